//! Where in a text a member's value stands, for whoever may change nothing else of it.

use std::ops::Range;

use super::python::RULES;
use super::scan::{Scanner, Token, ordered_bytes};

/// What stands between the quotes of every string that is the member `path` of the objects in one another, each time that
/// it is there. Of a text that is no JSON, as far as it is.
pub(crate) fn strings_at(text: &str, path: &[&str]) -> Vec<Range<usize>> {
    let mut scanner = Scanner::new(text, RULES);
    // The key that is at hand in each container that is open; none in a list.
    let mut open: Vec<Option<Range<usize>>> = Vec::new();
    let mut found = Vec::new();
    while let Ok(Some(token)) = scanner.next() {
        match token {
            Token::ObjectStart | Token::ArrayStart => open.push(None),
            Token::ObjectEnd | Token::ArrayEnd => {
                open.pop();
            }
            Token::Key(key) => {
                if let Some(at_hand) = open.last_mut() {
                    *at_hand = Some(key);
                }
            }
            Token::String(value) => {
                let is_named = |key: &Option<Range<usize>>, name: &str| {
                    let key = key.clone().and_then(|key| text.get(key));
                    key.is_some_and(|key| *ordered_bytes(key) == *name.as_bytes())
                };
                if open.len() == path.len() && open.iter().zip(path).all(|(key, name)| is_named(key, name)) {
                    found.push(value);
                }
            }
            Token::Number(_) | Token::True | Token::False | Token::Null => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(r#"{"alert":{"secret":"ab"}}"#, &["ab"])]
    #[case(r#"{"alert":{"\u0073ecret":"a\"b","secret":"c"}}"#, &["a\\\"b", "c"])]
    #[case(r#"{"secret":"x","alert":[{"secret":"x"}],"a":{"alert":{"secret":"x"}}}"#, &[])]
    #[case(r#"{"alert":{"deeper":{"secret":"x"},"secret":7}}"#, &[])]
    #[case(r#"{"alert":{"a":[1,{"b":2}],"secret":"ab"},"broken"#, &["ab"])]
    fn strings_are_found_by_their_path(#[case] text: &str, #[case] wanted: &[&str]) {
        let found = strings_at(text, &["alert", "secret"]);
        assert_eq!(found.into_iter().filter_map(|place| text.get(place)).collect::<Vec<_>>(), wanted);
    }
}

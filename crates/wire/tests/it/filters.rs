//! The examples of `docs/filters.md`, asked.

use watchbell_wire::EventType;
use watchbell_wire::expression::{Budget, Expression, Facts, Name};

const PAGE: &str = include_str!("../../../../docs/filters.md");

#[test]
fn the_examples_of_the_page_are_what_it_says() {
    let event_type = EventType::VulnerabilityCreated;
    let sample = event_type.sample().unwrap();
    let facts = Facts::of(&event_type, &sample);
    let mut asked = 0;
    for line in PAGE.lines() {
        let Some((text, answer)) =
            line.strip_prefix("| `").and_then(|line| line.strip_suffix(" |")?.rsplit_once("` | "))
        else {
            continue;
        };
        let Ok(answer) = answer.parse::<bool>() else { continue };
        let text = text.replace("\\|", "|");
        let expression = Expression::compile(&text).unwrap_or_else(|mistake| panic!("{text}: {mistake}"));
        assert_eq!(expression.answer(&facts, &mut Budget::per_event()), Ok(answer), "{text}");
        asked += 1;
    }
    assert!(asked >= 10, "{asked}");
}

#[test]
fn the_page_names_every_fact() {
    for name in Name::ALL {
        assert!(PAGE.contains(&format!("`{}`", name.as_str())), "{name:?}");
    }
}

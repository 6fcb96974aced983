//! What a document may cost, found out before it is validated.
//!
//! First its brackets are counted in the raw text, because a parser that descends meets its own stack before it meets a
//! rule. Then the parsed document is measured as it would be executed, fragments put in their places: depth, aliases,
//! fields. Each fragment is measured once, so that a document of nested fragments costs its length and not what it stands
//! for. The schema's own validation comes after, when nothing can be long any more.

use std::collections::HashMap;

use async_graphql::parser::parse_query;
use async_graphql::parser::types::{ExecutableDocument, OperationType, Selection, SelectionSet};

use crate::problem::{Problem, Result};

/// Longest document, in bytes.
pub(super) const QUERY_BYTES_MAX: usize = 32 * 1024;
/// Deepest brackets in the text.
const BRACKETS_MAX: usize = 64;
/// Levels of fields.
pub(super) const DEPTH_MAX: usize = 8;
/// Levels of fields below `__schema` and `__type`: clients ask for types of types of types.
const INTROSPECTION_DEPTH_MAX: usize = 20;
/// Fields with another name.
pub(super) const ALIASES_MAX: usize = 20;
/// Fields, fragments put in their places.
const FIELDS_MAX: usize = 1000;
/// What a document may cost: a field costs one, a list as many as its page has entries.
pub(super) const COMPLEXITY_MAX: usize = 10_000;
/// Directives at one field.
pub(super) const DIRECTIVES_MAX: usize = 5;
/// Selection sets, fragments among them, one in the other.
pub(super) const RECURSION_MAX: usize = 32;

/// A document that may be executed.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) parsed: ExecutableDocument,
    pub(super) kind: OperationType,
    pub(super) roots: usize,
    /// Whether it asks for the schema.
    pub(super) introspects: bool,
}

/// Reads and measures a document, and finds the operation meant.
pub(super) fn read(query: &str, operation: Option<&str>) -> Result<Document> {
    if query.len() > QUERY_BYTES_MAX {
        return Err(limit(format!("a query has at most {QUERY_BYTES_MAX} bytes: use variables")));
    }
    check_brackets(query)?;
    let parsed = parse_query(query).map_err(|error| {
        let text = error.to_string();
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Problem::GraphqlSyntax(line.chars().take(200).collect())
    })?;
    let mut introspects = false;
    let mut fragments = Fragments { parsed: &parsed, measured: HashMap::new() };
    for (_, operation) in parsed.operations.iter() {
        let size = fragments.size(&operation.node.selection_set.node)?;
        introspects |= size.introspects;
        size.check()?;
    }
    let mut operations = parsed.operations.iter();
    let meant = match operation {
        Some(name) => operations.find(|(found, _)| found.is_some_and(|found| found == name)),
        None => operations.next().filter(|_| operations.next().is_none()),
    };
    let unknown = || Problem::GraphqlInvalid("operationName names no operation of the document".to_owned());
    let (_, meant) = meant.ok_or_else(unknown)?;
    let (kind, roots) = (meant.node.ty, meant.node.selection_set.node.items.len());
    Ok(Document { kind, roots, introspects, parsed })
}

fn limit(detail: String) -> Problem {
    Problem::GraphqlLimit(detail)
}

/// Counts open brackets, skipping strings and comments.
fn check_brackets(query: &str) -> Result<()> {
    let mut rest = query.as_bytes();
    let mut open = 0_usize;
    while let Some((byte, after)) = rest.split_first() {
        rest = match byte {
            b'#' => skip_until(after, |tail| tail.first() == Some(&b'\n')),
            b'"' if after.starts_with(b"\"\"") => {
                let text = after.get(2..).unwrap_or_default();
                let end = skip_text(text, b"\"\"\"", b"\\\"\"\"");
                end.get(3..).unwrap_or_default()
            }
            b'"' => skip_text(after, b"\"", b"\\").get(1..).unwrap_or_default(),
            b'{' | b'(' | b'[' => {
                open += 1;
                if open > BRACKETS_MAX {
                    return Err(limit(format!("brackets stand {BRACKETS_MAX} deep at most")));
                }
                after
            }
            b'}' | b')' | b']' => {
                open = open.saturating_sub(1);
                after
            }
            _ => after,
        };
    }
    Ok(())
}

fn skip_until(text: &[u8], is_end: impl Fn(&[u8]) -> bool) -> &[u8] {
    let end = (0..text.len()).find(|at| text.get(*at..).is_some_and(&is_end)).unwrap_or(text.len());
    text.get(end..).unwrap_or_default()
}

/// The text from its end mark on. What is escaped does not end it: a lone backslash escapes the byte behind it.
fn skip_text<'t>(text: &'t [u8], end: &[u8], escape: &[u8]) -> &'t [u8] {
    let escaped = escape.len().max(2);
    let mut rest = text;
    while !rest.is_empty() && !rest.starts_with(end) {
        let step = if rest.starts_with(escape) { escaped } else { 1 };
        rest = rest.get(step..).unwrap_or_default();
    }
    rest
}

/// How large a selection is, fragments put in their places.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    depth: usize,
    introspection_depth: usize,
    aliases: usize,
    fields: usize,
    introspects: bool,
}

impl Size {
    fn add(&mut self, other: Self) {
        self.depth = self.depth.max(other.depth);
        self.introspection_depth = self.introspection_depth.max(other.introspection_depth);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.fields = self.fields.saturating_add(other.fields);
        self.introspects |= other.introspects;
    }

    /// As what stands below a field.
    fn below(self, field: &str, has_alias: bool) -> Self {
        let is_introspection = matches!(field, "__schema" | "__type");
        let own = usize::from(has_alias);
        let (aliases, fields) = (self.aliases.saturating_add(own), self.fields.saturating_add(1));
        if is_introspection {
            let introspection_depth = self.depth.max(self.introspection_depth) + 1;
            return Self { depth: 1, introspection_depth, aliases, fields, introspects: true };
        }
        let introspection_depth = if self.introspects { self.introspection_depth + 1 } else { 0 };
        Self { depth: self.depth + 1, introspection_depth, aliases, fields, ..self }
    }

    fn check(self) -> Result<()> {
        let Self { depth, introspection_depth, aliases, fields, .. } = self;
        if depth > DEPTH_MAX {
            return Err(limit(format!("fields stand {DEPTH_MAX} deep at most, these {depth}")));
        }
        if introspection_depth > INTROSPECTION_DEPTH_MAX {
            return Err(limit(format!("the schema is asked for {INTROSPECTION_DEPTH_MAX} levels at most")));
        }
        if aliases > ALIASES_MAX {
            return Err(limit(format!("a document has {ALIASES_MAX} aliases at most, this one {aliases}")));
        }
        if fields > FIELDS_MAX {
            return Err(limit(format!("a document has {FIELDS_MAX} fields at most, this one {fields}")));
        }
        Ok(())
    }
}

/// The document's fragments, each measured once. `None`: it is being measured, so it contains itself.
struct Fragments<'d> {
    parsed: &'d ExecutableDocument,
    measured: HashMap<&'d str, Option<Size>>,
}

impl<'d> Fragments<'d> {
    fn size(&mut self, set: &'d SelectionSet) -> Result<Size> {
        let mut size = Size::default();
        for selection in &set.items {
            size.add(match &selection.node {
                Selection::Field(field) => {
                    let field = &field.node;
                    let inner = self.size(&field.selection_set.node)?;
                    inner.below(field.name.node.as_str(), field.alias.is_some())
                }
                Selection::InlineFragment(inline) => self.size(&inline.node.selection_set.node)?,
                Selection::FragmentSpread(spread) => self.fragment(spread.node.fragment_name.node.as_str())?,
            });
        }
        Ok(size)
    }

    fn fragment(&mut self, name: &'d str) -> Result<Size> {
        match self.measured.get(name) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => return Err(Problem::GraphqlInvalid("a fragment contains itself".to_owned())),
            None => {}
        }
        let Some(fragment) = self.parsed.fragments.get(name) else {
            return Err(Problem::GraphqlInvalid("a fragment is used that the document does not define".to_owned()));
        };
        self.measured.insert(name, None);
        if self.measured.len() > FIELDS_MAX {
            return Err(limit(format!("a document has {FIELDS_MAX} fragments at most")));
        }
        let size = self.size(&fragment.node.selection_set.node)?;
        self.measured.insert(name, Some(size));
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(query: &str) -> &'static str {
        read(query, None).map_or_else(|problem| problem.code(), |_| "ok")
    }

    fn nested(depth: usize) -> String {
        format!("{{{}a{}}}", "a{".repeat(depth - 1), "}".repeat(depth - 1))
    }

    #[test]
    fn e18_depth_and_aliases_are_counted_with_fragments_in_their_places() {
        assert_eq!(code(&nested(DEPTH_MAX)), "ok");
        assert_eq!(code(&nested(DEPTH_MAX + 1)), "graphql_limit");
        let aliases = |n: usize| (0..n).map(|n| format!("a{n}: b ")).collect::<String>();
        assert_eq!(code(&format!("{{{}}}", aliases(20))), "ok");
        assert_eq!(code(&format!("{{{}}}", aliases(21))), "graphql_limit");
        let hidden = format!("{{...F ...F ...F}} fragment F on Q {{{}}}", aliases(7));
        assert_eq!(code(&hidden), "graphql_limit");
        let deep = "{a{a{a{a{...F}}}}} fragment F on Q {a{a{a{a{a}}}}}";
        assert_eq!(code(deep), "graphql_limit");
    }

    #[test]
    fn fragments_that_multiply_are_refused_at_once() {
        let mut query = "{...F0}".to_owned();
        for n in 0..60 {
            query.push_str(&format!(" fragment F{n} on Q {{...F{} ...F{}}}", n + 1, n + 1));
        }
        query.push_str(" fragment F60 on Q {a}");
        assert_eq!(code(&query), "graphql_limit");
        assert_eq!(code("{...F} fragment F on Q {a{...F}}"), "graphql_invalid");
        assert_eq!(code("{...G}"), "graphql_invalid");
    }

    #[test]
    fn brackets_are_counted_outside_of_strings_and_comments() {
        assert_eq!(code(&"{a".repeat(5000)), "graphql_limit");
        assert_eq!(code(&format!("{{a(b:{}", "[".repeat(5000))), "graphql_limit");
        let text = "[".repeat(5000);
        assert_eq!(code(&format!("{{a(b:\"{text}\")}}")), "ok");
        assert_eq!(code(&format!("{{a(b:\"\\\"{text}\")}}")), "ok");
        assert_eq!(code(&format!("{{a(b:\"\"\"{text} \\\"\"\" {text}\"\"\")}}")), "ok");
        assert_eq!(code(&format!("# {text}\n{{a}}")), "ok");
        assert_eq!(code(&" ".repeat(QUERY_BYTES_MAX + 1)), "graphql_limit");
    }

    #[test]
    fn the_schema_may_be_asked_for_deeper_than_data() {
        let types =
            |depth: usize| format!("{{__schema{{types{{{}name{}}}}}}}", "ofType{".repeat(depth), "}".repeat(depth));
        assert_eq!(code(&types(10)), "ok");
        assert_eq!(code(&types(30)), "graphql_limit");
        assert!(read("{__type(name: \"A\"){name}}", None).unwrap().introspects);
        assert!(!read("{__typename a}", None).unwrap().introspects);
    }

    #[test]
    fn what_is_no_document_says_so() {
        for bad in ["", "{", "query", "{a}}", "mutation"] {
            assert_eq!(code(bad), "graphql_syntax", "{bad:?}");
        }
        assert_eq!(code("query A {a} query B {a}"), "graphql_invalid");
        assert_eq!(read("query A {a} query B {a b}", Some("B")).unwrap().roots, 2);
    }
}

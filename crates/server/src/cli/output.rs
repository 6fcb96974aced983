//! Printing: text for people, JSON for programs, colour only on a terminal that wants it.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::Value;

use super::Failure;

/// A good outcome.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// A bad outcome.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Something to look at.
pub(crate) const LOOK: Style = AnsiColor::Yellow.on_default().bold();
/// What stands beside the point.
pub(crate) const FAINT: Style = Style::new().dimmed();

/// How to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// JSON in place of text.
    pub(crate) json: bool,
}

impl Output {
    /// One line. A reader that has gone away is no failure.
    pub(crate) fn line(self, text: impl AsRef<str>) {
        let mut out = anstream::stdout();
        writeln!(out, "{}", text.as_ref()).ok();
    }

    /// A JSON value on lines of its own.
    pub(crate) fn value(self, value: &Value) {
        self.line(format!("{value:#}"));
    }

    /// Rows under headings: `columns` are a heading and the members (`a.b`) to take, the first that is there.
    pub(crate) fn table(self, items: &[Value], columns: &[(&str, &[&str])]) {
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_header(columns.iter().map(|(heading, _)| heading.to_uppercase()));
        for item in items {
            table.add_row(columns.iter().map(|(_, members)| first_of(item, members)));
        }
        for line in table.lines() {
            // Cells are padded on both sides.
            self.line(line.strip_prefix(' ').unwrap_or(&line).trim_end());
        }
    }

    /// A page of a list, as the API answers it.
    pub(crate) fn page(self, page: &Value, columns: &[(&str, &[&str])]) {
        if self.json {
            return self.value(page);
        }
        let items = page.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if items.is_empty() {
            return self.line("(none)");
        }
        self.table(items, columns);
        if let Some(cursor) = page.get("next_cursor").and_then(Value::as_str) {
            self.line(format!("{FAINT}more: --cursor {cursor}{FAINT:#}"));
        }
    }

    /// One thing with all its members.
    pub(crate) fn thing(self, thing: &Value) {
        if self.json {
            return self.value(thing);
        }
        let Some(members) = thing.as_object() else {
            return self.value(thing);
        };
        let width = members.keys().map(String::len).max().unwrap_or(0);
        for (name, value) in members {
            if (value.is_object() || value.is_array()) && !is_flat(value) {
                self.line(format!("{FAINT}{name}{FAINT:#}"));
                for line in format!("{value:#}").lines() {
                    self.line(format!("  {line}"));
                }
            } else {
                self.line(format!("{FAINT}{name:width$}{FAINT:#}  {}", plain(value)));
            }
        }
    }
}

/// A failure, on stderr, with what to do next.
pub(super) fn failure(failure: &Failure) {
    if failure.problem.is_empty() {
        return;
    }
    let mut out = anstream::stderr();
    writeln!(out, "{BAD}error:{BAD:#} {}", failure.problem).ok();
    if let Some(advice) = &failure.advice {
        writeln!(out, "  {FAINT}{advice}{FAINT:#}").ok();
    }
}

/// A remark on stderr, so that stdout stays what was asked for.
pub(crate) fn remark(text: impl AsRef<str>) {
    writeln!(anstream::stderr(), "{}", text.as_ref()).ok();
}

fn first_of(item: &Value, members: &[&str]) -> String {
    let pointer = |member: &str| format!("/{}", member.replace('.', "/"));
    members
        .iter()
        .find_map(|member| item.pointer(&pointer(member)).filter(|value| !value.is_null()))
        .map_or_else(|| "-".to_owned(), plain)
}

fn is_flat(value: &Value) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(|item| !item.is_object() && !item.is_array()))
}

/// A value in a table cell. What others sent is shown without its control characters: a terminal would obey them.
pub(crate) fn plain(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    };
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

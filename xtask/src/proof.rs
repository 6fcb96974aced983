//! The table of rows and tests in `docs/testing.md`: every row is there, and every test it names exists.

use std::collections::BTreeSet;
use std::fs;

use anyhow::Context;

use crate::command::root;

const PAGE: &str = "docs/testing.md";

/// Rows that must have a test: the family and the last number. H8 and H9 are of PostgreSQL and of several nodes on one
/// store, and there is neither.
const ROWS: &[(char, u32, &[u32])] =
    &[('B', 21, &[]), ('C', 17, &[]), ('D', 21, &[]), ('F', 32, &[]), ('G', 8, &[]), ('H', 19, &[8, 9]), ('I', 7, &[])];

/// Adds what is wrong with the table.
pub(crate) fn check(problems: &mut Vec<String>) -> anyhow::Result<()> {
    let text = fs::read_to_string(root().join(PAGE)).context(PAGE)?;
    let named = rows(&text);
    let proven: BTreeSet<&str> = named.iter().map(|(row, _, _)| *row).collect();
    problems.extend(missing(&proven).map(|row| format!("{PAGE} names no test for row {row}")));
    for (row, file, test) in named {
        let source = fs::read_to_string(root().join(file)).unwrap_or_default();
        if !source.contains(&format!("fn {test}(")) {
            problems.push(format!("{PAGE}, row {row}: {file} has no test {test}"));
        }
    }
    Ok(())
}

/// Row, file and test of each test that is named: a file holds for the tests behind it.
fn rows(text: &str) -> Vec<(&str, &str, &str)> {
    let mut named = Vec::new();
    for line in text.lines() {
        let mut cells = line.strip_prefix('|').unwrap_or_default().split('|').map(str::trim);
        let (Some(row), Some(_), Some(tests)) = (cells.next(), cells.next(), cells.next()) else { continue };
        let is_row = row
            .strip_prefix(|c: char| c.is_ascii_uppercase())
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if !is_row {
            continue;
        }
        // A row that stands for several, such as `D1–D3`, is checked as well and proves none of them.
        let mut file = "";
        for word in tests.split('`').skip(1).step_by(2) {
            match word.ends_with(".rs") {
                true => file = word,
                false => named.push((row, file, word)),
            }
        }
    }
    named
}

fn missing(proven: &BTreeSet<&str>) -> impl Iterator<Item = String> {
    let wanted = ROWS.iter().flat_map(|(family, last, others)| {
        (1..=*last).filter(|number| !others.contains(number)).map(move |number| format!("{family}{number}"))
    });
    wanted.filter(|row| !proven.contains(row.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_names_files_and_their_tests() {
        let text = "| row | what | tests |\n|---|---|---|\n| C1 | `x` | `a.rs`: `b`, `c`; `d.rs`: `e` |\n| what | `f.rs` | g |";
        assert_eq!(rows(text), [("C1", "a.rs", "b"), ("C1", "a.rs", "c"), ("C1", "d.rs", "e")]);
    }

    #[test]
    fn a_row_that_stands_for_several_proves_none() {
        let text = "| D1–D3, D5 | what | `a.rs`: `b` |\n| D4 | what | `a.rs`: `c` |";
        assert_eq!(rows(text), [("D1–D3, D5", "a.rs", "b"), ("D4", "a.rs", "c")]);
        let named = rows(text);
        let proven = named.iter().map(|(row, _, _)| *row).collect();
        assert_eq!(missing(&proven).filter(|row| row.starts_with('D')).count(), 20);
    }

    #[test]
    fn a_row_that_is_not_there_is_missed() {
        let all: Vec<String> = missing(&BTreeSet::new()).collect();
        assert_eq!(all.len(), 21 + 17 + 21 + 32 + 8 + 17 + 7);
        let proven = all.iter().map(String::as_str).filter(|row| *row != "F9").collect();
        assert_eq!(missing(&proven).collect::<Vec<_>>(), ["F9"]);
    }

    #[test]
    fn the_table_holds() {
        let mut problems = Vec::new();
        check(&mut problems).unwrap();
        assert_eq!(problems, Vec::<String>::new());
    }
}

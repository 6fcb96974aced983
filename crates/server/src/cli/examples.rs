//! What the help and the documents show to be typed can be typed.
//!
//! Every line that begins with `watchbell` in an `Examples:` of a help text, and in the code blocks of `README.md` and
//! `docs/`, is taken apart as a shell does it and given to the parser. Nothing is run.

use std::path::PathBuf;

use super::definition;

/// A line and the line that goes on with it, as one.
fn joined(text: &str) -> String {
    text.replace("\\\n", " ")
}

/// The words of a command as a shell makes them, up to a redirection, a pipe, a remark or two blanks (an explanation).
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = line.chars().peekable();
    let mut blanks = 0;
    while let Some(given) = chars.next() {
        match (quote, given) {
            (Some(end), given) if given == end => quote = None,
            (Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (Some(_), given) => word.get_or_insert_default().push(given),
            (None, '\'' | '"') => {
                word.get_or_insert_default();
                quote = Some(given);
            }
            (None, '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, ' ') => {
                words.extend(word.take());
                blanks += 1;
                if blanks >= 2 && chars.peek().is_some_and(|next| *next != '-' && *next != ' ') {
                    break;
                }
                continue;
            }
            (None, '<' | '>' | '|' | '&' | ';') => break,
            (None, '#') if word.is_none() => break,
            (None, given) => word.get_or_insert_default().push(given),
        }
        blanks = 0;
    }
    words.extend(word);
    words
}

fn refusal(line: &str) -> Option<String> {
    let error = definition().try_get_matches_from(words(line)).err()?;
    let is_answered =
        matches!(error.kind(), clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion);
    (!is_answered).then(|| format!("{line}\n  {}", error.to_string().lines().next().unwrap_or_default()))
}

fn of_help(command: &clap::Command, lines: &mut Vec<String>) {
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let shown = joined(&after);
    lines.extend(shown.lines().map(str::trim).filter(|line| line.starts_with("watchbell ")).map(str::to_owned));
    command.get_subcommands().for_each(|command| of_help(command, lines));
}

fn without_examples(command: &clap::Command, path: &str, found: &mut Vec<String>) {
    let path = format!("{path} {}", command.get_name());
    let mut inner = command.get_subcommands().peekable();
    let shown = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    if inner.peek().is_none() && !shown.contains("Examples:") {
        found.push(path.clone());
    }
    inner.for_each(|command| without_examples(command, &path, found));
}

#[test]
fn every_command_that_does_something_shows_how() {
    let mut found = Vec::new();
    without_examples(&definition(), "", &mut found);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn the_examples_of_every_help_can_be_typed() {
    let mut lines = Vec::new();
    of_help(&definition(), &mut lines);
    assert!(lines.len() > 80, "{}", lines.len());
    let refused: Vec<_> = lines.iter().filter_map(|line| refusal(line)).collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn the_commands_of_the_documents_can_be_typed() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let of_docs = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    // That page is the help, with its lines broken.
    let is_written = |path: &PathBuf| path.extension().is_some_and(|end| end == "md") && !path.ends_with("docs/cli.md");
    let pages = of_docs.filter(is_written).chain([root.join("README.md")]);
    let mut refused = Vec::new();
    for page in pages {
        let text = joined(&std::fs::read_to_string(&page).unwrap());
        let blocks = text.split("```").skip(1).step_by(2);
        let lines = blocks.flat_map(str::lines).map(|line| line.trim().trim_start_matches("$ "));
        let found = lines.filter(|line| line.starts_with("watchbell ")).filter_map(refusal);
        refused.extend(found.map(|line| format!("{}: {line}", page.display())));
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

//! What all reports of weaknesses in code and of secrets have in common: places and fingerprints.
//!
//! The forms of a fingerprint are those of [`crate::finding::identity`], the same as for SARIF: what a tool
//! says in its own JSON and what it says in SARIF is one finding.

use sha2::{Digest, Sha256};

use super::lenient::limit_text;
use super::{limit, names};

/// `shop.py:12`, or the file alone.
pub(super) fn place(file: &str, line: Option<u64>) -> String {
    let file = names::path(file);
    match line {
        Some(line) => format!("{file}:{line}"),
        None => file,
    }
}

/// By what the tool itself says identifies it, wherever it is.
pub(super) fn by_own(value: &str) -> String {
    format!("full:{}", digest(value))
}

/// By what the tool itself says identifies it in its file. Also a secret's own hash.
pub(super) fn by_hash(value: &str) -> String {
    format!("partial:{}", digest(value))
}

/// By the code: its first line with its white space squeezed, because the others change while the weakness stays.
pub(super) fn by_snippet(snippet: &str) -> Option<String> {
    Some(format!("snippet:{}", digest(&squeezed(line_of_code(snippet)?))))
}

/// The first line of a snippet that is not blank.
pub(super) fn line_of_code(snippet: &str) -> Option<&str> {
    snippet.lines().find(|line| !line.trim().is_empty())
}

/// By what is said of it.
pub(super) fn by_message(message: &str) -> String {
    by_cut_message(&limit_text(message, limit::MESSAGE_MAX))
}

/// The same of a message that was cut already, before its placeholders were filled: SARIF's.
pub(super) fn by_cut_message(message: &str) -> String {
    format!("message:{}", digest(&squeezed(message)))
}

/// One line of a text, for a title.
pub(super) fn first_line(text: &str) -> String {
    limit_text(text.trim().lines().next().unwrap_or_default(), limit::TITLE_MAX)
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn digest(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    hex::encode(hash.get(..12).unwrap_or_default())
}

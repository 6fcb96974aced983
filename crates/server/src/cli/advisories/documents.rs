//! The files of an advisory database, as OSV documents.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

use super::rustsec;

/// Longest file. An export with one document a line may be long; a document is not.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// The files that may hold advisories, in order. Hidden ones are passed over: a checkout has a `.git`.
pub(super) fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if fs::metadata(path)?.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let mut open = vec![path.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let kind = entry.file_type()?;
            if name.starts_with('.') {
                continue;
            }
            // A link is not followed: it may lead back.
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() && Kind::of(&entry.path()).is_some() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Json,
    Lines,
    Yaml,
    RustSec,
}

impl Kind {
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        match path.extension()?.to_str()? {
            "json" => Some(Self::Json),
            "jsonl" | "ndjson" => Some(Self::Lines),
            "yaml" | "yml" => Some(Self::Yaml),
            "md" if name.starts_with("RUSTSEC-") => Some(Self::RustSec),
            _ => None,
        }
    }
}

/// The documents of a file; in place of one that cannot be read, why.
pub(super) fn read(path: &Path) -> Vec<Result<Value, String>> {
    let kind = Kind::of(path).unwrap_or(Kind::Json);
    let text = match text(path) {
        Ok(text) => text,
        Err(error) => return vec![Err(error.to_string())],
    };
    let json = |text: &str| serde_json::from_str(text).map_err(|error| error.to_string());
    match kind {
        Kind::Json => match json(&text) {
            Ok(Value::Array(documents)) => documents.into_iter().map(Ok).collect(),
            one => vec![one],
        },
        Kind::Lines => text.lines().filter(|line| !line.trim().is_empty()).map(json).collect(),
        Kind::Yaml => vec![serde_saphyr::from_str(&text).map_err(|error| error.to_string())],
        Kind::RustSec => vec![rustsec::document(&text, changed_at(path))],
    }
}

fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// When the file was written: a checkout writes what has changed.
fn changed_at(path: &Path) -> jiff::Timestamp {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    jiff::Timestamp::try_from(modified).unwrap_or_default()
}

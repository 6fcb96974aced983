//! What `sign` and `verify` share: the dialect, the secret file, the body, headers and times on the command line.

use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use watchbell_wire::{Dialect, Headers, Secret, dialect};

use super::Failure;

/// No webhook is larger; reading stops here.
const BODY_BYTES_MAX: u64 = 64 << 20;

/// No secret is longer.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// A dialect by its id.
pub(super) fn dialect_by_id(id: &str) -> Result<&'static Dialect, String> {
    dialect::find(id).ok_or_else(|| {
        let known: Vec<&str> = dialect::ALL.iter().map(|dialect| dialect.id).collect();
        format!("there is no dialect {id:?}; there are {}", known.join(", "))
    })
}

/// A dialect that is received, by its id.
pub(super) fn received_dialect_by_id(id: &str) -> Result<&'static Dialect, String> {
    let received = || dialect::ALL.iter().copied().filter(|dialect| dialect.inbound.is_some());
    received().find(|dialect| dialect.id == id).ok_or_else(|| {
        let known: Vec<&str> = received().map(|dialect| dialect.id).collect();
        let what = if dialect::find(id).is_some() { "is only sent" } else { "is no dialect" };
        format!("{id:?} {what}; received are {}", known.join(", "))
    })
}

/// The secret: the file's exact bytes, but for one final newline.
pub(super) fn read_secret(path: &Path) -> Result<Secret, Failure> {
    let fail = |problem: String| Failure::usage(format!("secret file {}: {problem}", path.display()));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| fail(format!("cannot be read: {error}")))?;
    file.take(SECRET_BYTES_MAX).read_to_end(&mut bytes).map_err(|error| fail(format!("cannot be read: {error}")))?;
    let bytes = without_final_newline(bytes);
    String::from_utf8(bytes).map(Secret::new).map_err(|_| fail("does not hold UTF-8 text".to_owned()))
}

fn without_final_newline(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    bytes
}

/// The body: a file's, or what comes in on stdin. Byte for byte.
pub(super) fn read_body(path: Option<&PathBuf>) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    let read = match path {
        Some(path) => std::fs::File::open(path).and_then(|file| file.take(BODY_BYTES_MAX + 1).read_to_end(&mut body)),
        None => std::io::stdin().lock().take(BODY_BYTES_MAX + 1).read_to_end(&mut body),
    };
    let name = path.map_or_else(|| "stdin".to_owned(), |path| path.display().to_string());
    match read {
        Err(error) => Err(Failure::usage(format!("cannot read the body from {name}: {error}"))),
        Ok(bytes) if bytes as u64 > BODY_BYTES_MAX => Err(Failure::usage("the body is larger than 64 MiB")),
        Ok(_) => Ok(body),
    }
}

/// `Name: value` lines. White space around the value is not part of it, as in HTTP.
pub(super) fn headers(lines: &[String]) -> Result<Headers, Failure> {
    let mut headers = Headers::default();
    for line in lines {
        let (name, value) = line.split_once(':').filter(|(name, _)| !name.trim().is_empty()).ok_or_else(|| {
            Failure::usage("--header wants 'Name: value'")
                .advise("quote it, so that the shell passes it as one argument")
        })?;
        headers.push(name.trim(), value.trim_matches([' ', '\t']));
    }
    Ok(headers)
}

/// Unix seconds, or RFC 3339.
pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    let time = match text.parse::<i64>() {
        Ok(secs) => Timestamp::from_second(secs).ok(),
        Err(_) => text.parse().ok(),
    };
    time.ok_or_else(|| "Unix seconds are wanted, or a time such as 2026-01-02T03:04:05Z".to_owned())
}

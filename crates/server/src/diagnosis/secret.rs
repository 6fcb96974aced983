//! The other ways in which a secret may be read.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use watchbell_wire::{Dialect, Key, Secret};

use super::Change;

/// Keys that a sender may have used in place of the one that the dialect makes of `secret`.
pub(super) fn changes(dialect: &'static Dialect, secret: &Secret) -> Vec<Change<Key>> {
    let text = secret.expose();
    let is_token = matches!(dialect.secrets.key(secret), Ok(Key::Token(_)));
    let mut changes = Vec::new();
    for (spelled, what) in spellings(text) {
        if !what.is_empty()
            && let Ok(key) = dialect.secrets.key(&Secret::new(spelled.clone()))
        {
            changes.push(Change { meaning: format!("the signature fits the secret {what}"), to: key });
        }
        if is_token {
            continue;
        }
        for (bytes, how) in readings(&spelled) {
            let joined = if what.is_empty() { String::new() } else { format!(" {what}") };
            changes.push(Change {
                meaning: format!("the signature fits a key made of the secret{joined} {how}; {}", rule_of(dialect)),
                to: Key::hmac(&bytes),
            });
        }
    }
    changes
}

/// The text as it stands, and with white space, quotes or a prefix taken off or put on.
fn spellings(text: &str) -> Vec<(String, &'static str)> {
    let mut spellings = vec![(text.to_owned(), "")];
    let mut add = |spelled: String, what: &'static str| {
        if spellings.iter().all(|(known, _)| *known != spelled) {
            spellings.push((spelled, what));
        }
    };
    add(
        text.trim().to_owned(),
        "without the white space (or newline) around it: the secret file has it, the sender's secret has not",
    );
    add(text.trim().trim_matches(['"', '\'']).to_owned(), "without the quotes around it");
    add(
        format!("{text}\n"),
        "with a newline at its end: the sender's secret was read from a file together with its final newline",
    );
    add(
        format!("{text}\r\n"),
        "with a carriage return and newline at its end: the sender's secret was read together with them",
    );
    add(format!("{text} "), "with white space at its end, which the sender's secret has");
    if let Some(token) = text.trim().strip_prefix("Bearer ") {
        add(token.to_owned(), "without the word Bearer: the secret is the token alone");
    }
    add(text.to_ascii_lowercase(), "in lower case");
    add(text.to_ascii_uppercase(), "in upper case");
    spellings
}

/// The bytes that a text may stand for.
fn readings(text: &str) -> Vec<(Vec<u8>, &'static str)> {
    let mut readings = vec![(text.as_bytes().to_vec(), "taken as text, as it stands")];
    if let Some((_, rest)) = text.split_once('_').filter(|(prefix, _)| prefix.starts_with("wh")) {
        readings.push((rest.as_bytes().to_vec(), "taken as text without its prefix"));
    }
    if let Ok(bytes) = hex::decode(text)
        && !bytes.is_empty()
    {
        readings.push((bytes, "hex-decoded"));
    }
    let bare = text.strip_prefix("whsec_").unwrap_or(text);
    for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
        if let Ok(bytes) = engine.decode(bare)
            && !bytes.is_empty()
        {
            readings.push((bytes, "base64-decoded"));
            break;
        }
    }
    readings
}

/// What the dialect itself does, seen from what it takes as a key.
fn rule_of(dialect: &'static Dialect) -> String {
    let takes = |text: &str| dialect.secrets.key(&Secret::new(text)).is_ok();
    let rule = match (takes("a secret that is neither"), takes("abcdef0123456789abcdef0123456789")) {
        (true, _) => "takes the secret's text as it stands, without decoding it",
        (false, true) if !takes("YWJjZA==") => "hex-decodes the secret first",
        (false, true | false) => "base64-decodes the secret first",
    };
    format!("{} {rule}", dialect.name)
}

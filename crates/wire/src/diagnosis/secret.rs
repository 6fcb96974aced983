//! The other ways in which a secret may be read.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::{Fault, Finding, Other, Question};
use crate::dialect::scheme::Spelling;
use crate::signature::digest;
use crate::{Dialect, Key, Secret, Settings};

/// A key that the sender may have used.
#[derive(Debug)]
pub(super) struct Guess {
    /// The key.
    pub(super) key: Key,
    /// What it is made of, where that is known: for other algorithms.
    pub(super) bytes: Option<Zeroizing<Vec<u8>>>,
    /// What is wrong when it fits; `None`: it is the right one.
    pub(super) fault: Option<Finding>,
}

/// How the dialect, or its receiver's settings, read a secret.
pub(super) struct Reader<'a> {
    dialect: &'static Dialect,
    settings: &'a Settings,
    /// How the key is written, where settings say and something is signed.
    written: Option<&'static str>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(question: &Question<'a>, dialect: &'static Dialect) -> Self {
        let scheme = question.configured(dialect).filter(|scheme| scheme.spelling != Spelling::Token);
        let written = scheme.and_then(|scheme| scheme.configured).map(|configured| configured.key);
        Self { dialect, settings: question.settings, written }
    }

    /// The key, and what it is made of where that is known.
    pub(super) fn key(&self, secret: &Secret) -> Option<(Key, Option<Zeroizing<Vec<u8>>>)> {
        if self.written.is_some() {
            let bytes = self.dialect.inbound?.key_bytes(self.settings, secret)?;
            return Some((Key::hmac(&bytes), Some(bytes)));
        }
        Some((self.dialect.secrets.key(secret).ok()?, None))
    }

    /// What is done with a secret, in words.
    pub(super) fn rule(&self) -> String {
        match self.written {
            Some(written) => format!("by the settings the key {written}"),
            None => rule_of(self.dialect),
        }
    }
}

/// The key that the dialect makes of `secret`, then those that a sender may have used in its place.
pub(super) fn guesses(reader: &Reader<'_>, secret: &Secret) -> Vec<Guess> {
    let right = reader.key(secret);
    let is_token = matches!(right, Some((Key::Token(_), _)));
    let mut guesses: Vec<Guess> = Vec::new();
    if let Some((key, bytes)) = right {
        // The bytes of the right key are those of one of the readings.
        let of_reading = || {
            let bytes = readings(secret.expose()).into_iter().map(|(bytes, _)| bytes);
            bytes.into_iter().find(|bytes| is_same(&Key::hmac(bytes), &key))
        };
        let bytes = bytes.or_else(of_reading);
        guesses.push(Guess { key, bytes, fault: None });
    }
    let mut add = |guess: Guess| {
        if guesses.iter().all(|known| !is_same(&known.key, &guess.key)) {
            guesses.push(guess);
        }
    };
    for (spelled, what) in spellings(secret.expose()) {
        if let (Some((key, bytes)), false) = (reader.key(&Secret::new(spelled.as_str())), what.is_empty()) {
            let fault = Finding::new(Fault::SecretSpelling, format!("the signature fits the secret {what}"));
            add(Guess { key, bytes, fault: Some(fault) });
        }
        if is_token {
            continue;
        }
        for (bytes, how) in readings(&spelled) {
            let joined = if what.is_empty() { String::new() } else { format!(" {what}") };
            let detail = format!("the signature fits a key made of the secret{joined} {how}; {}", reader.rule());
            let fault = Finding::new(Fault::SecretDecoding, detail);
            add(Guess { key: Key::hmac(&bytes), bytes: Some(bytes), fault: Some(fault) });
        }
    }
    guesses
}

/// The keys of something else's secret: as this dialect reads it, and as its own.
pub(super) fn of_other(reader: &Reader<'_>, other: &Other) -> Vec<Guess> {
    let own = reader.key(&other.secret);
    let readings = [own, other.dialect.secrets.key(&other.secret).ok().map(|key| (key, None))];
    let fault = |_: &Key| {
        Finding::new(
            Fault::SecretOther,
            format!(
                "the signature fits the secret of {}: the sender signs with the wrong one of your secrets",
                other.name
            ),
        )
    };
    readings.into_iter().flatten().map(|(key, bytes)| Guess { fault: Some(fault(&key)), key, bytes }).collect()
}

/// Whether two keys are the same, seen from what they sign.
fn is_same(one: &Key, other: &Key) -> bool {
    match (one, other) {
        (Key::Hmac(_), Key::Hmac(_)) => digest(one, &[b"probe"]) == digest(other, &[b"probe"]),
        (Key::Token(one), Key::Token(other)) => one == other,
        (Key::Hmac(_) | Key::Ed25519(_) | Key::Ed25519Public(_) | Key::Token(_), _) => false,
    }
}

/// The text as it stands, and with white space, quotes or a prefix taken off or put on.
fn spellings(text: &str) -> Vec<(Zeroizing<String>, &'static str)> {
    let mut spellings = vec![(Zeroizing::new(text.to_owned()), "")];
    let mut add = |spelled: String, what: &'static str| {
        if spellings.iter().all(|(known, _)| **known != spelled) {
            spellings.push((Zeroizing::new(spelled), what));
        }
    };
    add(
        text.trim().to_owned(),
        "without the white space (or newline) around it: it is there where you keep the secret, and not at the sender",
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
    add(format!(" {text}"), "with white space before it, which the sender's secret has");
    if let Some(token) = text.trim().strip_prefix("Bearer ") {
        add(token.to_owned(), "without the word Bearer: the secret is the token alone");
    }
    add(text.to_ascii_lowercase(), "in lower case");
    add(text.to_ascii_uppercase(), "in upper case");
    spellings
}

/// The bytes that a text may stand for.
fn readings(text: &str) -> Vec<(Zeroizing<Vec<u8>>, &'static str)> {
    let mut readings = vec![(text.as_bytes().to_vec(), "taken as text, as it stands")];
    let bare = text.strip_prefix("whsec_").unwrap_or(text);
    if let Some((_, rest)) = text.split_once('_').filter(|(prefix, _)| prefix.starts_with("wh")) {
        readings.push((rest.as_bytes().to_vec(), "taken as text without its prefix"));
    }
    if let Ok(bytes) = hex::decode(text)
        && !bytes.is_empty()
    {
        readings.push((bytes, "hex-decoded"));
    }
    let engines = [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD];
    let decoded = engines.iter().find_map(|engine| engine.decode(bare).ok()).filter(|bytes| !bytes.is_empty());
    readings.extend(decoded.map(|bytes| (bytes, "base64-decoded")));
    readings.into_iter().map(|(bytes, how)| (Zeroizing::new(bytes), how)).collect()
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

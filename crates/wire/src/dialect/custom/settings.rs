//! The settings of [`super::auth`], read and checked.

use jiff::SignedDuration;
use serde::Deserialize;

use super::auth::{Auth, Clock, Encoding, Entries, HEADER, Kind, PREFIX, Piece};
use crate::dialect::SettingsError;

/// Longest text of a setting here, in bytes.
const TEXT_MAX: usize = 200;
/// Longest tolerance.
const TOLERANCE_MAX: SignedDuration = SignedDuration::from_hours(24);

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Given {
    kind: Option<String>,
    header: Option<String>,
    prefix: Option<String>,
    encoding: Option<String>,
    entries: Option<Entries>,
    signed: Option<String>,
    id_header: Option<String>,
    timestamp_header: Option<String>,
    timestamp: Option<String>,
    tolerance: Option<String>,
    key: Option<String>,
    key_prefix: Option<String>,
}

fn unfit(member: &str, detail: impl Into<String>) -> SettingsError {
    SettingsError { pointer: format!("/auth/{member}"), detail: detail.into() }
}

fn kind(text: Option<&str>) -> Result<Kind, SettingsError> {
    match text.map(str::to_ascii_lowercase).as_deref() {
        None | Some("hmac-sha256") => Ok(Kind::Sha256),
        Some("hmac-sha512") => Ok(Kind::Sha512),
        Some("token") => Ok(Kind::Token),
        Some("hmac-sha1" | "hmac-md5") => Err(unfit("kind", "SHA-1 and MD5 prove too little; use hmac-sha256")),
        Some(_) => Err(unfit("kind", "one of: hmac-sha256, hmac-sha512, token")),
    }
}

fn encoding(member: &str, text: Option<&str>, default: Encoding) -> Result<Encoding, SettingsError> {
    match text {
        None => Ok(default),
        Some("hex") => Ok(Encoding::Hex),
        Some("base64") => Ok(Encoding::Base64),
        Some("text") if default == Encoding::Text => Ok(Encoding::Text),
        Some(_) if default == Encoding::Text => Err(unfit(member, "one of: text, hex, base64")),
        Some(_) => Err(unfit(member, "one of: hex, base64")),
    }
}

fn header(member: &str, name: Option<String>) -> Result<Option<String>, SettingsError> {
    let Some(name) = name else { return Ok(None) };
    let symbol = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    match !name.is_empty() && name.len() <= TEXT_MAX && name.bytes().all(symbol) {
        true => Ok(Some(name)),
        false => Err(unfit(member, "the name of a header")),
    }
}

/// `{id}.{timestamp}.{body}` in pieces.
fn template(text: &str) -> Result<Vec<Piece>, SettingsError> {
    let wanted = "text with {body} in it once, and {id} and {timestamp} where they are signed";
    if text.len() > TEXT_MAX {
        return Err(unfit("signed", wanted));
    }
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, behind)) = after.split_once('}') else { return Err(unfit("signed", wanted)) };
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        pieces.push(match name {
            "id" => Piece::Id,
            "timestamp" => Piece::Timestamp,
            "body" => Piece::Body,
            _ => return Err(unfit("signed", format!("{{{name}}} is unknown: {wanted}"))),
        });
        rest = behind;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    // Two texts that follow each other could be parted in more than one way; a body begins with a bracket.
    let is_ambiguous = |pair: &[Piece]| {
        matches!(
            pair,
            [Piece::Id, Piece::Id | Piece::Timestamp | Piece::Body] | [Piece::Timestamp | Piece::Body, Piece::Id]
        ) || matches!(pair, [Piece::Body, Piece::Timestamp])
    };
    if pieces.windows(2).any(is_ambiguous) {
        return Err(unfit("signed", "text must stand between two parts, such as a full stop"));
    }
    match pieces.iter().filter(|piece| matches!(piece, Piece::Body)).count() {
        1 => Ok(pieces),
        _ => Err(unfit("signed", wanted)),
    }
}

impl Auth {
    pub(super) fn check(given: Given) -> Result<Self, SettingsError> {
        let kind = kind(given.kind.as_deref())?;
        let is_token = kind == Kind::Token;
        let no_text = |member: &str, given: bool| match given && is_token {
            true => Err(unfit(member, "a token signs nothing: this is a setting of signatures")),
            false => Ok(()),
        };
        no_text("signed", given.signed.is_some())?;
        no_text("encoding", given.encoding.is_some())?;
        no_text("timestamp_header", given.timestamp_header.is_some())?;
        no_text("key", given.key.is_some())?;
        let signed = template(given.signed.as_deref().unwrap_or("{body}"))?;
        let signs = |wanted: fn(&Piece) -> bool| signed.iter().any(wanted);
        let (signs_id, signs_time) =
            (signs(|piece| matches!(piece, Piece::Id)), signs(|piece| matches!(piece, Piece::Timestamp)));
        let in_entries = given.entries.as_ref().is_some_and(|entries| entries.timestamp.is_some());
        let has_time = given.timestamp_header.is_some() || in_entries;
        if let Some(entries) = &given.entries {
            let is_short = |text: &str| !text.is_empty() && text.len() <= 20;
            let all = [&entries.separator, &entries.assign, &entries.name];
            if !all.iter().all(|text| is_short(text)) || entries.separator == entries.assign {
                return Err(unfit("entries", "separator, assign and name: short texts, the first two not the same"));
            }
        }
        match (has_time, signs_time) {
            (true, false) => {
                return Err(unfit("signed", "a time that is not signed proves nothing: put {timestamp} in"));
            }
            (false, true) => {
                return Err(unfit("timestamp_header", "{timestamp} is signed: say in which header it stands"));
            }
            (true, true) if in_entries && given.timestamp_header.is_some() => {
                return Err(unfit("timestamp_header", "the time stands in the entries already"));
            }
            (true, true) | (false, false) => {}
        }
        if signs_id && given.id_header.is_none() {
            return Err(unfit("id_header", "{id} is signed: say in which header it stands"));
        }
        let clock = match given.timestamp.as_deref() {
            None | Some("unix") => Clock::Unix,
            Some("unix_ms") => Clock::UnixMillis,
            Some("iso") => Clock::Iso,
            Some(_) => return Err(unfit("timestamp", "one of: unix, unix_ms, iso")),
        };
        let tolerance = given.tolerance.as_deref().map(|text| {
            let read = text.parse::<SignedDuration>().ok();
            let fits = |read: &SignedDuration| read.is_positive() && *read <= TOLERANCE_MAX;
            read.filter(fits).ok_or_else(|| unfit("tolerance", "a duration up to 24h, such as \"5m\""))
        });
        let default_prefix = if is_token || given.entries.is_some() || kind == Kind::Sha512 { "" } else { PREFIX };
        let prefix = given.prefix.unwrap_or_else(|| default_prefix.to_owned());
        if prefix.len() > TEXT_MAX || !prefix.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err(unfit("prefix", "visible ASCII"));
        }
        Ok(Self {
            kind,
            header: header("header", given.header)?.unwrap_or_else(|| HEADER.to_owned()),
            prefix,
            encoding: encoding("encoding", given.encoding.as_deref(), Encoding::Hex)?,
            entries: given.entries,
            signed,
            id_header: header("id_header", given.id_header)?,
            timestamp_header: header("timestamp_header", given.timestamp_header)?,
            clock,
            tolerance: tolerance.transpose()?,
            key: encoding("key", given.key.as_deref(), Encoding::Text)?,
            key_prefix: given.key_prefix.unwrap_or_default(),
        })
    }
}

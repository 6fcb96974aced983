//! What [`crate::diagnosis`] asks of a dialect by configuration: where the signature stands, and what it is of.

use super::auth::{Auth, Clock, Encoding, Kind, Piece, one};
use crate::Unverified;
use crate::dialect::scheme::{Configured, List, Scheme, Spelling, Unit};

impl Auth {
    /// How requests are signed, and what time this one states.
    pub(super) fn scheme(&self, request: &Unverified) -> Scheme {
        let value = one(request.headers(), &self.header).ok().flatten().unwrap_or_default();
        let time = self.time_text(request.headers(), value).ok().flatten();
        let unit = match self.clock {
            Clock::Unix => Unit::Seconds,
            Clock::UnixMillis => Unit::Millis,
            Clock::Iso => Unit::Iso,
        };
        let entries = self.entries.as_ref().map(|entries| List {
            separator: entries.separator.clone(),
            assign: entries.assign.clone(),
            name: entries.name.clone(),
        });
        let key = match self.key {
            Encoding::Text => "is the secret's text as it stands",
            Encoding::Hex => "is written in the secret in hex",
            Encoding::Base64 => "is written in the secret in base64",
        };
        Scheme {
            header: self.header.clone(),
            prefix: self.prefix.clone(),
            spelling: match (self.kind, self.encoding) {
                (Kind::Token, _) => Spelling::Token,
                (Kind::Sha256 | Kind::Sha512, Encoding::Base64) => Spelling::Base64,
                (Kind::Sha256 | Kind::Sha512, Encoding::Hex | Encoding::Text) => Spelling::Hex,
            },
            is_sha512: self.kind == Kind::Sha512,
            configured: Some(Configured { key, entries, time: time.map(|text| (text.to_owned(), unit)) }),
        }
    }

    /// The text that a right signature is of, whether or not its time is one; `None`: a token is of nothing.
    pub(super) fn signed(&self, request: &Unverified) -> Option<Vec<u8>> {
        if self.kind == Kind::Token {
            return None;
        }
        let value = one(request.headers(), &self.header).ok()??;
        let id = self.id(request.headers()).ok()?.unwrap_or_default();
        let time = self.time_text(request.headers(), value).ok()?.unwrap_or_default();
        let pieces = self.signed.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_bytes(),
            Piece::Id => id.as_bytes(),
            Piece::Timestamp => time.as_bytes(),
            Piece::Body => request.body(),
        });
        Some(pieces.collect::<Vec<_>>().concat())
    }

    /// What else senders sign.
    pub(super) fn mistaken(&self, request: &Unverified) -> Vec<(Vec<u8>, &'static str)> {
        match self.signed.as_slice() {
            [Piece::Body] => Vec::new(),
            _ => vec![(request.body().to_vec(), "the body alone, without what the settings want around it (`signed`)")],
        }
    }
}

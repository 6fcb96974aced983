//! Lists: query parameters read strictly, and cursors that only we can make.
//!
//! A cursor is the last id of a page with a MAC over organisation, list and id. One that was changed, or made for another
//! organisation or list, is refused.

use axum::extract::{FromRequestParts, Query};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;
use watchbell_domain::port::{Page, PageRequest};

use crate::problem::{Problem, Result};

/// Entries of a page, unless asked for otherwise, and at most.
const LIMIT: u16 = 50;
const LIMIT_MAX: u16 = 250;
const ID_BYTES: usize = 16;

/// Makes and reads cursors.
#[derive(Clone)]
pub struct Cursors(Hmac<Sha256>);

impl std::fmt::Debug for Cursors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cursors([redacted])")
    }
}

/// Which page of a list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// Entries, at most 250.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 250)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct List<T> {
    /// The entries, newest first.
    pub(crate) items: Vec<T>,
    /// Gets the next page; null on the last.
    pub(crate) next_cursor: Option<String>,
}

impl Cursors {
    /// Cursors made with another key are refused. Nodes behind one address need the same key.
    pub fn new(key: [u8; 32]) -> Self {
        match Hmac::new_from_slice(&key) {
            Ok(mac) => Self(mac),
            Err(_) => unreachable!("HMAC takes a key of any length"),
        }
    }

    /// The page asked for of the list `scope` (organisation and name).
    pub(crate) fn page(&self, scope: &str, query: &PageQuery) -> Result<PageRequest> {
        let limit = match &query.limit {
            None => LIMIT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=LIMIT_MAX).contains(limit))
                .ok_or_else(|| Problem::QueryInvalid("limit is a number from 1 to 250".into()))?,
        };
        let before = match &query.cursor {
            None => None,
            Some(text) => Some(self.read(scope, text).ok_or(Problem::CursorInvalid)?),
        };
        Ok(PageRequest { before, limit })
    }

    /// A page as it is answered.
    pub(crate) fn list<T, J>(
        &self,
        scope: &str,
        page: Page<T>,
        id: impl Fn(&T) -> Uuid,
        show: impl Fn(T) -> J,
    ) -> List<J> {
        let last = page.items.last().map(id).filter(|_| page.more);
        List { items: page.items.into_iter().map(show).collect(), next_cursor: last.map(|id| self.make(scope, id)) }
    }

    /// The cursor that stands behind an entry of the list `scope`.
    pub(crate) fn make(&self, scope: &str, id: Uuid) -> String {
        let mut bytes = id.as_bytes().to_vec();
        bytes.extend_from_slice(&self.mac(scope, id).finalize().into_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn read(&self, scope: &str, text: &str) -> Option<Uuid> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (id, tag) = bytes.split_at_checked(ID_BYTES)?;
        let id = Uuid::from_slice(id).ok()?;
        self.mac(scope, id).verify_slice(tag).ok()?;
        Some(id)
    }

    fn mac(&self, scope: &str, id: Uuid) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(id.as_bytes());
        mac.update(scope.as_bytes());
        mac
    }
}

/// Query parameters, where unknown or repeated ones are errors of ours and not axum's.
#[derive(Debug)]
pub(crate) struct QueryOf<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryOf<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let read = Query::<T>::from_request_parts(parts, state).await;
        read.map(|Query(query)| Self(query)).map_err(|rejection| {
            let text = rejection.body_text();
            // What axum says before it says what is wrong.
            let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
            Problem::QueryInvalid(text.chars().take(200).collect())
        })
    }
}

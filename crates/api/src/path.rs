//! Ids in paths. Whatever is no id names nothing: 404, as for an id that nothing has.

use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;

use crate::problem::{Problem, Result};

/// The id in the path parameter `{id}`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IdIn<T>(pub(crate) T);

impl<T: FromStr, S: Send + Sync> FromRequestParts<S> for IdIn<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        named(&params(parts, state).await?).map(Self).ok_or(Problem::NotFound)
    }
}

/// The id in the path parameter `{id}`, and the one in the last parameter, of something that belongs to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IdsIn<T, P>(pub(crate) T, pub(crate) P);

impl<T: FromStr, P: FromStr, S: Send + Sync> FromRequestParts<S> for IdsIn<T, P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let params = params(parts, state).await?;
        let part = params.iter().last().and_then(|(_, text)| text.parse().ok());
        named(&params).zip(part).map(|(id, part)| Self(id, part)).ok_or(Problem::NotFound)
    }
}

async fn params(parts: &mut Parts, state: &(impl Send + Sync)) -> Result<RawPathParams> {
    RawPathParams::from_request_parts(parts, state).await.map_err(|_| Problem::NotFound)
}

fn named<T: FromStr>(params: &RawPathParams) -> Option<T> {
    let text = params.iter().find_map(|(name, value)| (name == "id").then_some(value));
    text.and_then(|text| text.parse().ok())
}

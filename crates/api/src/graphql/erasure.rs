//! Erasing every event about a subject.

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use http::Method;
use serde::{Deserialize, Serialize};

use super::error::Answer;
use super::list::Node;
use super::operation::{Path, session};
use super::scalar::{DateTime, Json};

/// How far an erasure came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ErasureState {
    /// It looks.
    Running,
    /// It has looked at everything.
    Finished,
}

/// A search for a subject through all events. Whom it looks for is never shown.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
pub(super) struct Erasure {
    pub(super) id: ID,
    state: ErasureState,
    /// Events looked at.
    looked_at: i64,
    /// Events erased.
    erased: i64,
    created_at: DateTime,
    ended_at: Option<DateTime>,
}

impl Node for Erasure {
    fn key(&self) -> &str {
        &self.id
    }
}

/// Whose data is to be erased: `pointer` and `value`, or `text`.
#[derive(Debug, InputObject, Serialize)]
pub(super) struct ErasureInput {
    /// A JSON pointer (RFC 6901) into `data`, such as `/creator`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    /// What stands there, compared as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Json>,
    /// A text of 4 characters or more that occurs in a string of `data`, wherever it stands; case matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct ErasureMutation;

#[Object]
impl ErasureMutation {
    /// Erase every event about a subject, in the background. Events accepted later are not looked at.
    async fn create_erasure(&self, ctx: &Context<'_>, input: ErasureInput, org: Option<ID>) -> Answer<Erasure> {
        let own = session(ctx).org(org.as_ref()).await?;
        let path = Path::org(&own.id).then("erasures");
        Ok(session(ctx).write(ctx, Method::POST, path, &input).await?)
    }
}

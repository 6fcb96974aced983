//! Completed lessons.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use http::Method;
use serde::{Deserialize, Serialize};

use super::error::Answer;
use super::list::Node;
use super::operation::{Path, session};
use super::scalar::DateTime;

/// A lesson that somebody completed.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
pub(super) struct Training {
    pub(super) id: ID,
    user: TrainingUser,
    training: Lesson,
    /// Points; may exceed 100.
    score: i64,
    started_at: DateTime,
    completed_at: DateTime,
    created_at: DateTime,
}

/// Who completed a lesson.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
struct TrainingUser {
    /// Mail address.
    email: String,
    name: Option<String>,
}

/// A lesson.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
struct Lesson {
    name: String,
    /// The vendor's own.
    id: Option<String>,
}

impl Node for Training {
    fn key(&self) -> &str {
        &self.id
    }
}

/// A lesson that was completed.
#[derive(Debug, InputObject, Serialize)]
pub(super) struct TrainingInput {
    /// A UUID of your own: reported again under it, nothing is told twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    user: TrainingUserInput,
    training: LessonInput,
    /// Points; may exceed 100.
    score: i64,
    started_at: DateTime,
    completed_at: DateTime,
}

/// Who completed a lesson.
#[derive(Debug, InputObject, Serialize)]
struct TrainingUserInput {
    /// Mail address.
    email: String,
    name: Option<String>,
}

/// A lesson.
#[derive(Debug, InputObject, Serialize)]
struct LessonInput {
    name: String,
    /// The vendor's own.
    id: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct TrainingMutation;

#[Object]
impl TrainingMutation {
    /// Report a completed lesson; `training.completed` follows.
    async fn add_training(&self, ctx: &Context<'_>, input: TrainingInput, org: Option<ID>) -> Answer<Training> {
        let own = session(ctx).org(org.as_ref()).await?;
        Ok(session(ctx).write(ctx, Method::POST, Path::org(&own.id).then("trainings"), &input).await?)
    }
}

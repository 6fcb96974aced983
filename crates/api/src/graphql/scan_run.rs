//! Scans that are announced and ended by a word.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use http::Method;
use serde::{Deserialize, Serialize};

use super::error::Answer;
use super::list::Node;
use super::operation::{Path, session};
use super::scalar::{DateTime, Json};

/// An announced scan.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
pub(super) struct ScanRun {
    pub(super) id: ID,
    project_id: ID,
    tool: Option<String>,
    /// `in_progress`, `completed`, `failed`.
    status: String,
    started_at: DateTime,
    ended_at: Option<DateTime>,
    threats_found: Option<i64>,
    error: Option<String>,
}

impl Node for ScanRun {
    fn key(&self) -> &str {
        &self.id
    }
}

/// A scan that begins.
#[derive(Debug, Default, InputObject, Serialize)]
pub(super) struct ScanStartInput {
    /// A UUID of your own.
    #[serde(skip_serializing_if = "Option::is_none")]
    scan_id: Option<String>,
    /// What scans.
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<String>,
}

/// What a scan has found.
#[derive(Debug, Default, InputObject, Serialize)]
pub(super) struct ScanCompletionInput {
    /// A number of threats; the number of details when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    threats_found: Option<u64>,
    /// One entry a threat, of any shape; `id`, `name`, `severity`, `path`, `action` are read where they are there.
    #[graphql(default)]
    details: Vec<Json>,
}

#[derive(Debug, Default)]
pub(super) struct ScanRunMutation;

#[Object]
impl ScanRunMutation {
    /// Announce a scan that begins; `scan.started` follows.
    async fn start_scan(
        &self,
        ctx: &Context<'_>,
        project: ID,
        #[graphql(default)] input: ScanStartInput,
        org: Option<ID>,
    ) -> Answer<ScanRun> {
        let own = session(ctx).org(org.as_ref()).await?;
        let path = Path::org(&own.id).then("projects").id(&project).then("scans").then("start");
        Ok(session(ctx).write(ctx, Method::POST, path, &input).await?)
    }

    /// End an announced scan with what it found; `scan.completed` follows.
    async fn complete_scan(
        &self,
        ctx: &Context<'_>,
        id: ID,
        #[graphql(default)] input: ScanCompletionInput,
        org: Option<ID>,
    ) -> Answer<ScanRun> {
        let own = session(ctx).org(org.as_ref()).await?;
        let path = Path::org(&own.id).then("scans").id(&id).then("complete");
        Ok(session(ctx).write(ctx, Method::POST, path, &input).await?)
    }

    /// End an announced scan that could not be carried out; `scan.failed` follows.
    async fn fail_scan(&self, ctx: &Context<'_>, id: ID, error: String, org: Option<ID>) -> Answer<ScanRun> {
        #[derive(Serialize)]
        struct Failing {
            error: String,
        }
        let own = session(ctx).org(org.as_ref()).await?;
        let path = Path::org(&own.id).then("scans").id(&id).then("fail");
        Ok(session(ctx).write(ctx, Method::POST, path, &Failing { error }).await?)
    }
}

//! Evidence: documents that are kept, and read in the background.

use async_graphql::{ComplexObject, Context, Enum, ID, InputObject, Object, SimpleObject};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::error::Answer;
use super::list::{Node, node_of_org};
use super::operation::{Path, session};
use super::project::Project;
use super::scalar::DateTime;
use crate::problem::{Problem, Result};

/// How far reading a document came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EvidenceState {
    /// It waits.
    Pending,
    /// It is read.
    Processing,
    /// It was read.
    Completed,
    /// It could not be read.
    Failed,
}

/// A document.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
#[graphql(complex)]
pub(super) struct Evidence {
    pub(super) id: ID,
    /// The project that its content is weighed for as a scan.
    project_id: Option<ID>,
    file_name: String,
    /// As the uploader said.
    media_type: String,
    bytes: i64,
    /// Of the content, in hexadecimal.
    sha256: String,
    created_at: DateTime,
    state: EvidenceState,
    /// When it was read.
    ended_at: Option<DateTime>,
    /// Why it could not be.
    error: Option<String>,
    /// The format it is in; null while it waits, and when it is none that is read.
    format: Option<String>,
    components: i64,
    vulnerabilities_found: i64,
    critical_count: i64,
    high_count: i64,
    #[graphql(skip)]
    #[serde(skip)]
    org: String,
}

node_of_org!(Evidence);

#[ComplexObject]
impl Evidence {
    /// Where the document itself is answered, byte for byte, to the same key.
    async fn content_path(&self) -> String {
        format!("/api/v1/orgs/{}/evidence/{}/content", self.org, self.id.as_str())
    }

    /// The project that its content is weighed for.
    async fn project(&self, ctx: &Context<'_>) -> Answer<Option<Project>> {
        let Some(id) = &self.project_id else { return Ok(None) };
        let found: Option<Project> = session(ctx).find(Path::org(&self.org).then("projects").id(id)).await?;
        Ok(found.map(|project| project.within(&self.org)))
    }
}

/// A document to be kept: `text`, or `base64` where it is no text. Large ones go over REST.
#[derive(Debug, InputObject)]
pub(super) struct EvidenceInput {
    /// The document's name, for people.
    file_name: String,
    /// A project, by id or name: what the document holds is weighed as a scan of it.
    project: Option<String>,
    text: Option<String>,
    base64: Option<String>,
}

fn content(text: Option<String>, base64: Option<String>) -> Result<Vec<u8>> {
    match (text, base64) {
        (Some(text), None) => Ok(text.into_bytes()),
        (None, Some(text)) => {
            STANDARD.decode(text).map_err(|_| Problem::payload("/base64", "base64 of RFC 4648 with padding is wanted"))
        }
        _ => Err(Problem::payload("/text", "either text or base64 is wanted")),
    }
}

#[derive(Debug, Default)]
pub(super) struct EvidenceMutation;

#[Object]
impl EvidenceMutation {
    /// Keep a document: a report, a bill of materials, any file. It is read in the background.
    async fn upload_evidence(&self, ctx: &Context<'_>, input: EvidenceInput, org: Option<ID>) -> Answer<Evidence> {
        let own = session(ctx).org(org.as_ref()).await?;
        let content = content(input.text, input.base64)?;
        let path = Path::org(&own.id).then("evidence").with("file_name", Some(input.file_name));
        let path = path.with("project", input.project);
        let kept: Evidence = session(ctx).upload(ctx, path, "application/octet-stream", content).await?;
        Ok(kept.within(&own.id))
    }

    /// Delete a document, and its content with the last that has it. What was found in it stays. Answers its id.
    async fn delete_evidence(&self, ctx: &Context<'_>, id: ID, org: Option<ID>) -> Answer<ID> {
        let own = session(ctx).org(org.as_ref()).await?;
        session(ctx).delete(ctx, Path::org(&own.id).then("evidence").id(&id)).await?;
        Ok(id)
    }
}

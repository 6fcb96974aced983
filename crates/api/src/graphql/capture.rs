//! Capture inboxes, and what they were sent.

use std::collections::BTreeMap;

use async_graphql::{ComplexObject, Context, ID, InputObject, Object, SimpleObject};
use http::Method;
use serde::{Deserialize, Serialize};

use super::delivery::HeaderLine;
use super::endpoint_input::{HeaderInput, as_map};
use super::error::Answer;
use super::list::{Node, Page, Wanted, node_of_org};
use super::operation::{Path, session};
use super::scalar::DateTime;
use super::verify::{Diagnosis, VerifyWithInput};
use crate::problem::Problem;

/// A capture inbox.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
#[graphql(complex)]
pub(super) struct Capture {
    pub(super) id: ID,
    name: String,
    /// Where to send: any method, any path below. Whoever knows it can send, and cannot read.
    url: String,
    answer: CaptureAnswer,
    created_at: DateTime,
    /// When it goes, with everything in it.
    expires_at: DateTime,
    #[graphql(skip)]
    #[serde(skip)]
    org: String,
}

node_of_org!(Capture);

/// What a capture inbox answers.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
#[graphql(complex)]
struct CaptureAnswer {
    status: i32,
    body: String,
    /// How long the sender waits.
    delay: String,
    #[graphql(skip)]
    headers: BTreeMap<String, String>,
}

#[ComplexObject]
impl CaptureAnswer {
    async fn headers(&self) -> Vec<HeaderLine> {
        let line = |(name, value): (&String, &String)| HeaderLine { name: name.clone(), value: value.clone() };
        self.headers.iter().map(line).collect()
    }
}

#[ComplexObject]
impl Capture {
    /// What it was sent, newest first.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn requests(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Answer<Page<CapturedRequest>> {
        let path = self.path().then("requests");
        let scope = format!("captures/{}/requests", self.id.as_str());
        let mut page: Page<CapturedRequest> =
            session(ctx).list(&self.org, path, &scope, Wanted { first, after }).await?;
        for edge in &mut page.edges {
            edge.node.inbox = self.id.to_string();
        }
        Ok(page)
    }

    /// One request.
    async fn request(
        &self,
        ctx: &Context<'_>,
        id: ID,
        #[graphql(default, desc = "Show credentials too. Takes the scope `sources:write`.")] unmasked: bool,
    ) -> Answer<CapturedRequest> {
        let path = self.path().then("requests").id(&id).with("unmasked", unmasked.then_some(true));
        let found: CapturedRequest = session(ctx).get(path).await?;
        Ok(CapturedRequest { inbox: self.id.to_string(), ..found.within(&self.org) })
    }
}

impl Capture {
    fn path(&self) -> Path {
        Path::org(&self.org).then("captures").id(&self.id)
    }
}

/// A request that a capture inbox was sent.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
#[graphql(complex)]
pub(super) struct CapturedRequest {
    id: ID,
    /// Counts the inbox's requests.
    number: i64,
    received_at: DateTime,
    method: String,
    /// The whole path.
    path: String,
    /// What stands behind the question mark.
    query: Option<String>,
    /// `HTTP/1.1`.
    version: String,
    /// Where it came from.
    address: Option<String>,
    /// How long the body was, as far as it was read.
    body_bytes: i64,
    /// Whether the body was kept whole.
    complete: bool,
    #[graphql(skip)]
    headers: Vec<(String, String)>,
    #[graphql(skip)]
    body: Option<String>,
    #[graphql(skip)]
    body_base64: Option<String>,
    #[graphql(skip)]
    #[serde(skip)]
    org: String,
    #[graphql(skip)]
    #[serde(skip)]
    inbox: String,
}

node_of_org!(CapturedRequest);

#[ComplexObject]
impl CapturedRequest {
    /// Name and value of each line, with the letters and in the order in which they came. Values of credentials are masked
    /// unless `unmasked` was asked for.
    async fn headers(&self) -> Vec<HeaderLine> {
        let line = |(name, value): &(String, String)| HeaderLine { name: name.clone(), value: value.clone() };
        self.headers.iter().map(line).collect()
    }

    /// The body, where it is text.
    #[graphql(complexity = "5")]
    async fn body(&self, ctx: &Context<'_>) -> Answer<Option<String>> {
        Ok(self.whole(ctx).await?.body)
    }

    /// The body's bytes.
    #[graphql(name = "bodyBase64", complexity = "5")]
    async fn body_base64(&self, ctx: &Context<'_>) -> Answer<Option<String>> {
        Ok(self.whole(ctx).await?.body_base64)
    }

    /// Say whether it is genuine, and if not, why not.
    #[graphql(complexity = "20 + child_complexity")]
    async fn verification(&self, ctx: &Context<'_>, with: VerifyWithInput) -> Answer<Diagnosis> {
        Ok(session(ctx).ask(self.place_in_rest().then("verify"), &with).await?)
    }
}

impl CapturedRequest {
    fn place_in_rest(&self) -> Path {
        Path::org(&self.org).then("captures").id(&self.inbox).then("requests").id(&self.id)
    }

    /// With its body, which lists leave out.
    async fn whole(&self, ctx: &Context<'_>) -> Result<Self, Problem> {
        if self.body_base64.is_some() {
            return Ok(self.clone());
        }
        session(ctx).get(self.place_in_rest()).await
    }
}

/// A capture inbox that is to be made.
#[derive(InputObject, Serialize)]
pub(super) struct CaptureInput {
    /// 1 to 100 characters, unique in the organisation.
    name: String,
    /// What is answered; 200 and `{}` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<CaptureAnswerInput>,
    /// How long it lives: `168h` unless given, `720h` at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<String>,
}

/// What a capture inbox answers.
#[derive(InputObject, Serialize)]
struct CaptureAnswerInput {
    /// 200 to 599; 200 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_map")]
    headers: Option<Vec<HeaderInput>>,
    /// Text of at most 64 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// How long the sender waits, `30s` at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    delay: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct CaptureMutation;

#[Object]
impl CaptureMutation {
    /// Make a capture inbox: an address that keeps whatever is sent to it.
    async fn create_capture(&self, ctx: &Context<'_>, input: CaptureInput, org: Option<ID>) -> Answer<Capture> {
        let own = session(ctx).org(org.as_ref()).await?;
        let path = Path::org(&own.id).then("captures");
        let made: Capture = session(ctx).write(ctx, Method::POST, path, &input).await?;
        Ok(made.within(&own.id))
    }

    /// Delete a capture inbox with everything in it. Answers its id.
    async fn delete_capture(&self, ctx: &Context<'_>, id: ID, org: Option<ID>) -> Answer<ID> {
        let own = session(ctx).org(org.as_ref()).await?;
        session(ctx).delete(ctx, Path::org(&own.id).then("captures").id(&id)).await?;
        Ok(id)
    }

    /// Delete a request of a capture inbox. Answers its id.
    async fn delete_captured_request(&self, ctx: &Context<'_>, capture: ID, id: ID, org: Option<ID>) -> Answer<ID> {
        let own = session(ctx).org(org.as_ref()).await?;
        let path = Path::org(&own.id).then("captures").id(&capture).then("requests").id(&id);
        session(ctx).delete(ctx, path).await?;
        Ok(id)
    }
}

//! Receipts: the requests of sources with what became of them; accepted or replayed by hand.

use std::sync::Arc;

use axum::extract::{FromRef, Request, State};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::audit::Action;
use watchbell_domain::id::{EventId, OrgId, ReceiptId, SourceId};
use watchbell_domain::port::{ReceiptFilter, ReceiptStore, StoreError};
use watchbell_domain::receipt::{Receipt, Verdict};
use watchbell_engine::receive::{Known, Receiver, Retaken, Unreadable};

use crate::auth::{Caller, Tenant, right};
use crate::body::BodyReader;
use crate::edge::{Edge, Making};
use crate::once::{answer, finish};
use crate::page::{Cursors, List, PageQuery, QueryOf};
use crate::path::IdIn;
use crate::problem::{Body, Problem, Result};

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .routes(routes!(list_receipts))
        .routes(routes!(get_receipt))
        .routes(routes!(accept_receipt))
        .routes(routes!(replay_receipt))
}

/// A request of a source. Values of headers that hold credentials are masked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Receipt)]
struct ReceiptView {
    id: String,
    source_id: String,
    received_at: Timestamp,
    /// Where it came from.
    address: Option<String>,
    method: String,
    /// What became of it: `accepted`, `duplicate`, `signature_mismatch`, ….
    verdict: &'static str,
    /// What it was answered with.
    status: u16,
    /// Why it was refused. The sender was told less.
    detail: Option<String>,
    /// The vendor's own name of what happened.
    vendor_event: Option<String>,
    /// The events it made.
    events: Vec<String>,
    /// The receipt that this one repeats: a duplicate's first, or the one that was accepted or replayed by hand.
    of: Option<String>,
    headers: Vec<HeaderLine>,
    /// Bytes the body had.
    body_bytes: Option<u64>,
    /// The body as text. Only where one receipt is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The body where it is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

/// A header line as received.
#[derive(Debug, Serialize, ToSchema)]
struct HeaderLine {
    name: String,
    value: String,
}

impl ReceiptView {
    fn new(receipt: Receipt) -> Self {
        let line = |(name, value): (&str, &[u8])| HeaderLine {
            name: name.to_owned(),
            value: String::from_utf8_lossy(value).into_owned(),
        };
        Self {
            id: receipt.id.to_string(),
            source_id: receipt.source_id.to_string(),
            received_at: receipt.received_at,
            address: receipt.address.map(|address| address.to_string()),
            method: receipt.request.method,
            verdict: receipt.verdict.as_str(),
            status: receipt.status,
            detail: receipt.detail,
            vendor_event: receipt.vendor_event,
            events: receipt.events.iter().map(ToString::to_string).collect(),
            of: receipt.of.map(|of| of.to_string()),
            headers: receipt.request.headers.iter().map(line).collect(),
            body_bytes: receipt.request.body_bytes,
            body: None,
            body_base64: None,
        }
    }

    fn with_body(receipt: Receipt) -> Self {
        let bytes = receipt.request.body.clone();
        let mut view = Self::new(receipt);
        match std::str::from_utf8(&bytes) {
            Ok(text) => view.body = Some(text.to_owned()),
            Err(_) => view.body_base64 = Some(BASE64.encode(&bytes)),
        }
        view
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ReceiptsQuery {
    /// Of this source (id).
    #[param(value_type = Option<String>)]
    source: Option<SourceId>,
    /// With this verdict.
    verdict: Option<String>,
    /// That made this event (id).
    #[param(value_type = Option<String>)]
    event: Option<EventId>,
    #[serde(flatten)]
    #[param(ignore)]
    page: PageQuery,
}

/// The requests of the organisation's sources, those that were refused among them.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/receipts", tag = "sources",
    params(("org" = String, Path, description = "Id or slug"), ReceiptsQuery, PageQuery),
    responses((status = 200, body = List<ReceiptView>), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_receipts(
    tenant: Tenant<right::SourcesRead>,
    State(receipts): State<Arc<dyn ReceiptStore>>,
    State(cursors): State<Cursors>,
    QueryOf(query): QueryOf<ReceiptsQuery>,
) -> Result<axum::Json<List<ReceiptView>>> {
    let verdict = query.verdict.map(|text| {
        let unknown = || {
            let all = Verdict::ALL.iter().map(|verdict| verdict.as_str()).collect::<Vec<_>>().join(", ");
            Problem::QueryInvalid(format!("verdict: one of {all}"))
        };
        Verdict::parse(&text).ok_or_else(unknown)
    });
    let filter = ReceiptFilter { source_id: query.source, verdict: verdict.transpose()?, event_id: query.event };
    let scope = format!("{}/receipts", tenant.org);
    let page = receipts.receipts(tenant.org, filter, cursors.page(&scope, &query.page)?).await?;
    Ok(axum::Json(cursors.list(&scope, page, |receipt| receipt.id.0, ReceiptView::new)))
}

/// One request with its body.
#[utoipa::path(get, path = "/api/v1/orgs/{org}/receipts/{id}", tag = "sources",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = ReceiptView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_receipt(
    tenant: Tenant<right::SourcesRead>,
    IdIn(id): IdIn<ReceiptId>,
    State(receipts): State<Arc<dyn ReceiptStore>>,
) -> Result<axum::Json<ReceiptView>> {
    let found = receipts.receipt(tenant.org, id).await?;
    Ok(axum::Json(ReceiptView::with_body(found.ok_or(Problem::NotFound)?)))
}

/// A request that was taken again.
#[derive(Debug, Serialize, ToSchema)]
struct TakenAgain {
    /// The new receipt.
    id: String,
    /// The one it was made of.
    of: String,
    /// The events it made.
    events: Vec<String>,
}

/// What taking receipts again takes.
#[derive(Clone)]
struct Again {
    receipts: Arc<dyn ReceiptStore>,
    receiver: Arc<Receiver>,
    making: Making,
    bodies: BodyReader,
}

impl FromRef<Edge> for Again {
    fn from_ref(edge: &Edge) -> Self {
        Self {
            receipts: Arc::from_ref(edge),
            receiver: Arc::from_ref(edge),
            making: Making::from_ref(edge),
            bodies: BodyReader::from_ref(edge),
        }
    }
}

impl Again {
    async fn take(
        &self,
        caller: &Caller,
        (org, id): (OrgId, ReceiptId),
        action: Action,
        request: Request,
        read: impl Fn(&Receiver, &Known, &Receipt, Timestamp) -> Result<Retaken, Unreadable> + Send,
    ) -> Result<Response> {
        let write = self.bodies.optional_json(request).await?;
        let old = self.receipts.receipt(org, id).await?.ok_or(Problem::NotFound)?;
        let known = self.receiver.find(old.source_id).await?;
        let known = known.ok_or_else(|| Problem::ReceiptState("the source is gone".to_owned()))?;
        let now = self.making.clock.now();
        let retaken = read(&self.receiver, &known, &old, now)?;
        let events: Vec<String> = retaken.events().iter().map(ToString::to_string).collect();
        let view = TakenAgain { id: retaken.receipt_id().to_string(), of: id.to_string(), events: events.clone() };
        let answer = answer(StatusCode::OK, &view);
        let detail = json!({"source": old.source_id.to_string(), "verdict": old.verdict.as_str(),
            "receipt": view.id, "events": events});
        let terms = write.once.terms(&answer, caller.deed(action, id, now, detail));
        let written = self.receipts.retake(retaken.retaking, terms).await;
        if let Err(StoreError::Conflict(what)) = written {
            return Err(Problem::ReceiptState(what.to_owned()));
        }
        finish(written?, answer)
    }
}

/// Accept a request that was refused, as it is and unverified. Whoever does so vouches for it.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/receipts/{id}/accept", tag = "sources",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = TakenAgain), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn accept_receipt(
    tenant: Tenant<right::ReceiptsAccept>,
    IdIn(id): IdIn<ReceiptId>,
    State(again): State<Again>,
    request: Request,
) -> Result<Response> {
    let named = (tenant.org, id);
    again.take(&tenant.caller, named, Action::ReceiptAccept, request, Receiver::accept).await
}

/// Make the events of a request that was taken anew: new events, delivered as if it had come again.
#[utoipa::path(post, path = "/api/v1/orgs/{org}/receipts/{id}/replay", tag = "sources",
    params(("org" = String, Path, description = "Id or slug"), ("id" = String, Path)),
    responses((status = 200, body = TakenAgain), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn replay_receipt(
    tenant: Tenant<right::EventsWrite>,
    IdIn(id): IdIn<ReceiptId>,
    State(again): State<Again>,
    request: Request,
) -> Result<Response> {
    let named = (tenant.org, id);
    again.take(&tenant.caller, named, Action::ReceiptReplay, request, Receiver::replay).await
}

impl From<Unreadable> for Problem {
    fn from(unreadable: Unreadable) -> Self {
        let detail = unreadable.to_string();
        match unreadable {
            Unreadable::Incomplete | Unreadable::State(_) => Self::ReceiptState(detail),
            Unreadable::Content(_) => Self::ReceiptUnreadable(detail),
        }
    }
}

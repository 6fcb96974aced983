//! Aegis's webhook API, as its documents have it.
//!
//! A webhook is an endpoint of the dialect `aegis` under Aegis's names. Event names and severities are scalars on the way
//! in, because the documents write them as enum words, as strings in variables and as strings inside the document, and an
//! enum takes no string literal. Errors carry Aegis's codes.

use async_graphql::{Context, ID, Object, SimpleObject};

use super::delivery::{Delivery, DeliveryState};
use super::endpoint::{Endpoint, EndpointState};
use super::endpoint_input::RotationInput;
use super::error::{Answer, aegis};
use super::event::Event;
use super::list::{Node, Wanted};
use super::operation::{Path, session};
use super::org::{DeliveryFilter, deliveries};
use super::scalar::DateTime;
use super::webhook_input::{Body, WebhookEvent, WebhookInput, WebhookUpdateInput, checked, mildest};
use crate::problem::{Problem, Result};

const DIALECT: &str = "aegis";
/// Pages read for a list that has none.
const PAGES_MAX: usize = 40;

/// A webhook of Aegis's API: an endpoint of the dialect `aegis`.
#[derive(Debug, SimpleObject)]
pub(super) struct Webhook {
    id: ID,
    url: String,
    events: Vec<WebhookEvent>,
    active: bool,
    /// Filled only in the answers that make one.
    secret: Option<String>,
    created_at: DateTime,
    updated_at: DateTime,
}

impl Webhook {
    fn new(endpoint: Endpoint, is_secret_new: bool) -> Self {
        let events = match &endpoint.events {
            Some(events) => events.iter().filter_map(|event| WebhookEvent::of(event)).collect(),
            None => WebhookEvent::ALL.to_vec(),
        };
        Self {
            id: endpoint.id,
            url: endpoint.url,
            events,
            active: endpoint.state == EndpointState::Active,
            secret: endpoint.secret.filter(|_| is_secret_new),
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
        }
    }
}

/// How a delivery of a webhook went.
#[derive(Debug, SimpleObject)]
pub(super) struct WebhookDelivery {
    id: ID,
    event: WebhookEvent,
    /// How many attempts there were.
    attempt: i32,
    /// The HTTP status of the last answer.
    status: Option<i32>,
    delivered_at: Option<DateTime>,
    /// What went wrong last; null once it is delivered.
    error: Option<String>,
}

impl WebhookDelivery {
    fn new(delivery: Delivery, event: &Event) -> Option<Self> {
        let last = delivery.attempts.last();
        let is_delivered = delivery.state == DeliveryState::Delivered;
        Some(Self {
            event: WebhookEvent::of(&event.r#type)?,
            attempt: last.map_or(0, |attempt| attempt.number),
            status: last.and_then(|attempt| attempt.http_status),
            delivered_at: delivery.finished_at.filter(|_| is_delivered),
            error: last
                .filter(|_| !is_delivered)
                .map(|attempt| attempt.detail.clone().unwrap_or_else(|| attempt.result.clone())),
            id: delivery.id,
        })
    }
}

/// The organisation of a webhook, and the endpoint that it is.
async fn seen(ctx: &Context<'_>, id: &ID) -> Result<(ID, Endpoint)> {
    let org = session(ctx).org(None).await?.id;
    let endpoint: Endpoint = session(ctx).get(Path::org(&org).then("endpoints").id(id)).await?;
    match endpoint.dialect == DIALECT {
        true => Ok((org, endpoint)),
        false => Err(Problem::NotFound),
    }
}

async fn webhooks(ctx: &Context<'_>) -> Result<Vec<Webhook>> {
    let org = session(ctx).org(None).await?.id;
    let mut found = Vec::new();
    let mut after = None;
    for _ in 0..PAGES_MAX {
        let wanted = Wanted { first: Some(250), after: after.take() };
        let page = session(ctx).list::<Endpoint>(&org, Path::org(&org).then("endpoints"), "endpoints", wanted).await?;
        after = page.edges.last().map(|edge| edge.cursor.clone()).filter(|_| page.has_next_page);
        let of_aegis = page.edges.into_iter().map(|edge| edge.node).filter(|endpoint| endpoint.dialect == DIALECT);
        found.extend(of_aegis.map(|endpoint| Webhook::new(endpoint, false)));
        if after.is_none() {
            break;
        }
    }
    Ok(found)
}

async fn webhook_deliveries(ctx: &Context<'_>, id: &ID, first: i32) -> Result<Vec<WebhookDelivery>> {
    let (org, endpoint) = seen(ctx, id).await?;
    let filter = DeliveryFilter { endpoint: Some(endpoint.id), ..DeliveryFilter::default() };
    let wanted = Wanted { first: Some(first), after: None };
    let page = deliveries(ctx, &org, wanted, filter).await?;
    let mut shown = Vec::new();
    for edge in page.edges {
        let event = session(ctx).event(&org, &edge.node.event_id).await?;
        shown.extend(event.and_then(|event| WebhookDelivery::new(edge.node, &event)));
    }
    Ok(shown)
}

#[derive(Debug, Default)]
pub(super) struct WebhookQuery;

#[Object]
impl WebhookQuery {
    /// The tenant's webhooks, newest first.
    #[graphql(complexity = "50 * child_complexity")]
    async fn webhooks(&self, ctx: &Context<'_>) -> Answer<Vec<Webhook>> {
        webhooks(ctx).await.map_err(|problem| aegis(&problem))
    }

    /// A webhook.
    async fn webhook(&self, ctx: &Context<'_>, id: ID) -> Answer<Option<Webhook>> {
        let found = seen(ctx, &id).await.map_err(|problem| aegis(&problem))?;
        Ok(Some(Webhook::new(found.1, false)))
    }

    /// How a webhook's deliveries went, newest first.
    #[graphql(complexity = "first.max(1) as usize * child_complexity")]
    async fn webhook_deliveries(
        &self,
        ctx: &Context<'_>,
        webhook_id: ID,
        #[graphql(default = 50)] first: i32,
    ) -> Answer<Vec<WebhookDelivery>> {
        webhook_deliveries(ctx, &webhook_id, first).await.map_err(|problem| aegis(&problem))
    }
}

async fn create(ctx: &Context<'_>, input: WebhookInput) -> Result<Webhook> {
    let org = session(ctx).org(None).await?.id;
    let body = Body {
        dialect: Some(DIALECT),
        url: Some(input.url),
        events: Some(checked(input.events)?),
        secret: input.secret,
        min_severity: input.filters.map(mildest).transpose()?.flatten().map(Some),
        paused: (!input.active).then_some(true),
    };
    let made = session(ctx).create_endpoint(ctx, &org, &body).await?;
    Ok(Webhook::new(made, true))
}

async fn update(ctx: &Context<'_>, id: &ID, input: WebhookUpdateInput) -> Result<Webhook> {
    let (org, endpoint) = seen(ctx, id).await?;
    let is_secret_new = input.secret.is_some();
    let body = Body {
        url: input.url,
        events: input.events.map(checked).transpose()?,
        secret: input.secret,
        min_severity: input.filters.map(mildest).transpose()?,
        paused: input.active.map(|active| !active),
        dialect: None,
    };
    let changed = session(ctx).change_endpoint(ctx, &org, &endpoint.id, &body).await?;
    Ok(Webhook::new(changed, is_secret_new))
}

#[derive(Debug, Default)]
pub(super) struct WebhookMutation;

#[Object]
impl WebhookMutation {
    /// Register a webhook. Its secret is answered here and never again.
    async fn create_webhook(&self, ctx: &Context<'_>, input: WebhookInput) -> Answer<Webhook> {
        create(ctx, input).await.map_err(|problem| aegis(&problem))
    }

    /// Change a webhook. Members left out stay.
    async fn update_webhook(&self, ctx: &Context<'_>, id: ID, input: WebhookUpdateInput) -> Answer<Webhook> {
        update(ctx, &id, input).await.map_err(|problem| aegis(&problem))
    }

    /// Delete a webhook. What waits for it is cancelled.
    async fn delete_webhook(&self, ctx: &Context<'_>, id: ID) -> Answer<bool> {
        let delete = async {
            let (org, endpoint) = seen(ctx, &id).await?;
            session(ctx).delete(ctx, Path::org(&org).then("endpoints").id(&endpoint.id)).await
        };
        delete.await.map(|()| true).map_err(|problem| aegis(&problem))
    }

    /// Send a webhook a test event.
    async fn test_webhook(&self, ctx: &Context<'_>, id: ID) -> Answer<bool> {
        let test = async {
            let (org, endpoint) = seen(ctx, &id).await?;
            session(ctx).ping(ctx, &org, &endpoint.id).await
        };
        test.await.map(|_| true).map_err(|problem| aegis(&problem))
    }

    /// Give a webhook a new secret, which is answered here and never again. The old one stays valid for 24 hours.
    async fn rotate_webhook_secret(&self, ctx: &Context<'_>, id: ID) -> Answer<Webhook> {
        let rotate = async {
            let (org, endpoint) = seen(ctx, &id).await?;
            session(ctx).rotate(ctx, &org, &endpoint.id, &RotationInput::default()).await
        };
        let rotated = rotate.await.map_err(|problem| aegis(&problem))?;
        Ok(Webhook::new(rotated.within(""), true))
    }
}

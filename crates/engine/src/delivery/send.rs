//! Encode, sign, send: one attempt at a dialect endpoint, without a thought of what follows.

use bytes::Bytes;
use http::HeaderValue;
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;
use watchbell_domain::Timestamp;
use watchbell_domain::delivery::AttemptResult;
use watchbell_domain::port::ClaimedDelivery;
use watchbell_wire::dialect::EncodeError;
use watchbell_wire::{Header, Message};

use super::prepared::{Authorization, Prepared};
use crate::net::client::{Client, Exchange, Outgoing, Peer};
use crate::net::fault::Fault;
use crate::net::oauth2::{Token, TokenSource};

/// As it is spelled on HTTP/1.1.
const AUTHORIZATION: &str = "Authorization";

/// Over how many webhooks an event has come with this one. Said of events that came with a count: others begin here.
const HOPS: &str = "webhook-hops";

/// What an attempt came to.
#[derive(Debug)]
pub(super) enum Sent {
    /// Something went out, or was tried to.
    Exchange {
        exchange: Exchange,
        /// The body as made now; it is kept for the attempts to come.
        made: Option<Bytes>,
    },
    /// The event cannot be said in the dialect.
    NotEncodable(EncodeError),
}

/// Sends one delivery. The body is made by the first attempt and the same bytes go out on every later one; what carries the
/// time of sending is made anew each time.
pub(super) async fn send(
    client: &Client,
    prepared: &Prepared,
    delivery: &ClaimedDelivery,
    now: Timestamp,
    stop: &CancellationToken,
) -> Sent {
    let encoded = match encode(prepared, delivery, now) {
        Ok(encoded) => encoded,
        Err(error) => return Sent::NotEncodable(error),
    };
    let exchange = exchange(client, prepared, &encoded, stop).await;
    Sent::Exchange { exchange, made: delivery.body.is_none().then_some(encoded.body) }
}

struct Encoded {
    headers: Vec<Header>,
    hops: u8,
    body: Bytes,
}

fn encode(prepared: &Prepared, delivery: &ClaimedDelivery, now: Timestamp) -> Result<Encoded, EncodeError> {
    let event = &delivery.event;
    let no_such_event = || EncodeError::NoSuchEvent(event.event_type.clone());
    let outbound = prepared.endpoint.dialect.outbound.ok_or_else(no_such_event)?;
    let name = outbound.event_name(&event.event_type).ok_or_else(no_such_event)?;
    let body = match &delivery.body {
        Some(body) => body.clone(),
        None => outbound.encode(event)?.into(),
    };
    let message = Message {
        id: &delivery.id.to_string(),
        event: &name,
        occurred_at: event.occurred_at,
        sent_at: now,
        body: &body,
    };
    let headers = outbound.headers(&message, &prepared.keys(now))?;
    Ok(Encoded { headers, hops: delivery.hops, body })
}

async fn exchange(client: &Client, prepared: &Prepared, encoded: &Encoded, stop: &CancellationToken) -> Exchange {
    if let Err(failed_point) = watchbell_domain::failpoint::at("engine.send") {
        return Fault::new(AttemptResult::Internal, failed_point.to_string()).into();
    }
    let Some(peer) = &prepared.peer else {
        let refused = prepared.refused.clone().map(Fault::from);
        return refused.unwrap_or(AttemptResult::EgressForbidden.into()).into();
    };
    let mut headers = match lines(prepared, &encoded.headers) {
        Ok(headers) => headers,
        Err(name) => {
            let detail = format!("the header {name} holds what a header cannot hold");
            return Fault::new(AttemptResult::Internal, detail).into();
        }
    };
    if encoded.hops > 0 {
        headers.push((HOPS, HeaderValue::from(u16::from(encoded.hops) + 1)));
    }
    match &prepared.authorization {
        Ok(Authorization::None) => {}
        Ok(Authorization::Fixed(value)) => headers.push((AUTHORIZATION, value.clone())),
        Ok(Authorization::Fetched(source)) => {
            return WithToken { client, prepared, peer, source, headers, body: &encoded.body, stop }.send().await;
        }
        Err(fault) => return fault.clone().into(),
    }
    let outgoing = Outgoing { headers, body: encoded.body.clone(), timeout: prepared.timeout, mask: &prepared.mask };
    client.send(peer, outgoing, stop).await
}

/// A request that goes out with a token.
struct WithToken<'a> {
    client: &'a Client,
    prepared: &'a Prepared,
    peer: &'a Peer,
    source: &'a TokenSource,
    headers: Vec<(&'a str, HeaderValue)>,
    body: &'a Bytes,
    stop: &'a CancellationToken,
}

impl WithToken<'_> {
    /// A token that was kept may have been revoked: refused, it is renewed once and the request sent again, within the same
    /// deadline.
    async fn send(self) -> Exchange {
        let deadline = self.client.monotonic() + self.prepared.timeout;
        let left = || deadline - self.client.monotonic();
        let (token, is_new) = match self.source.token(self.client, None, left(), self.stop).await {
            Ok(got) => got,
            Err(fault) => return fault.into(),
        };
        let refused = self.send_once(&token, left()).await;
        let may_renew = !is_new && left().is_positive() && !self.stop.is_cancelled();
        if refused.result != AttemptResult::Http(401) || !may_renew {
            return refused;
        }
        match self.source.token(self.client, Some(&token), left(), self.stop).await {
            Ok((token, _)) => self.send_once(&token, left()).await,
            // What the endpoint said is worth more than that no other token could be had.
            Err(fault) => Exchange { detail: fault.detail, ..refused },
        }
    }

    async fn send_once(&self, token: &Token, timeout: SignedDuration) -> Exchange {
        let mut headers = self.headers.clone();
        headers.push((AUTHORIZATION, token.header.clone()));
        let mask = self.prepared.mask.and(&token.secret);
        let outgoing = Outgoing { headers, body: self.body.clone(), timeout, mask: &mask };
        self.client.send(self.peer, outgoing, self.stop).await
    }
}

/// The dialect's lines, then the endpoint's own: those never stand in for one of the dialect's.
fn lines<'a>(prepared: &'a Prepared, headers: &'a [Header]) -> Result<Vec<(&'a str, HeaderValue)>, &'a str> {
    let own = prepared.headers.as_ref().map_err(String::as_str)?;
    let mut lines = Vec::with_capacity(headers.len() + own.len());
    for header in headers {
        let value = HeaderValue::from_str(&header.value).map_err(|_| header.name)?;
        lines.push((header.name, value));
    }
    for (name, value) in own {
        if !headers.iter().any(|header| header.name.eq_ignore_ascii_case(name)) {
            lines.push((name, value.clone()));
        }
    }
    Ok(lines)
}

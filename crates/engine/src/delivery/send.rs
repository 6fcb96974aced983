//! Encode, sign, send, read the answer: one attempt at a dialect endpoint, for one delivery or for several at once, without
//! a thought of what follows.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderValue, Method};
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;
use watchbell_domain::Timestamp;
use watchbell_domain::delivery::AttemptResult;
use watchbell_domain::port::ClaimedDelivery;
use watchbell_domain::retry::{Heard, RetryAfter};
use watchbell_wire::dialect::{self, Answer, EncodeError, Judgement, Outbound, Part};
use watchbell_wire::{Header, Key, Message};

use super::carrier::{self, Carried, Way, smtp};
use super::prepared::{Authorization, Prepared};
use crate::net::client::{Client, Exchange, Outgoing, Peer};
use crate::net::fault::Fault;
use crate::net::mask::Mask;
use crate::net::oauth2::{Token, TokenSource};

/// As it is spelled on HTTP/1.1.
const AUTHORIZATION: &str = "Authorization";

/// As dialects spell it.
const CONTENT_TYPE: &str = "Content-Type";

/// Over how many webhooks an event has come with this one. Said of events that came with a count: others begin here.
const HOPS: &str = "webhook-hops";

/// Most requests of one attempt.
const TURNS_MAX: usize = 8;

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
    /// It did not go out with the others: there was no room.
    Nothing,
}

/// Most bytes that are sent at once; more deliveries wait for the next time.
const TOGETHER_BYTES_MAX: usize = 900_000;

/// Sends deliveries of one endpoint, several as one where the dialect joins them; says what became of each. A body is made by
/// the first attempt and the same bytes go out on every later one; what carries the time of sending is made anew each time.
pub(super) async fn send(
    client: &Client,
    prepared: &Prepared,
    deliveries: &[&ClaimedDelivery],
    now: Timestamp,
    stop: &CancellationToken,
) -> Vec<Sent> {
    let mut each: Vec<Sent> = Vec::with_capacity(deliveries.len());
    let mut going: Vec<Going<'_>> = Vec::with_capacity(deliveries.len());
    let mut bytes = 0;
    for (place, delivery) in deliveries.iter().enumerate() {
        match encode(prepared, delivery) {
            Ok((outbound, name, body)) => {
                bytes += body.len();
                if going.is_empty() || bytes <= TOGETHER_BYTES_MAX {
                    going.push(Going { place, delivery, outbound, name, body });
                }
                each.push(Sent::Nothing);
            }
            Err(error) => each.push(Sent::NotEncodable(error)),
        }
    }
    let Some(first) = going.first() else { return each };
    let outcomes = match body_of(prepared, &going) {
        Ok(body) => {
            let (delivery, outbound, name) = (first.delivery, first.outbound, &*first.name);
            let (keys, count) = (prepared.keys(now), going.len());
            let id = delivery.id.to_string();
            let hops = going.iter().map(|one| one.delivery.hops).max().unwrap_or_default();
            Talk { client, prepared, delivery, id, outbound, name, count, hops, keys, now, stop }.hold(&body).await
        }
        Err(error) => Err(error),
    };
    let mut exchanges = match outcomes {
        Ok(exchanges) => exchanges.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error); going.len()],
    }
    .into_iter();
    for one in going {
        let Some(place) = each.get_mut(one.place) else { continue };
        *place = match exchanges.next() {
            Some(Ok(exchange)) => Sent::Exchange { exchange, made: one.delivery.body.is_none().then_some(one.body) },
            Some(Err(error)) => Sent::NotEncodable(error),
            None => Sent::Nothing,
        };
    }
    each
}

/// A delivery that can be said.
struct Going<'a> {
    place: usize,
    delivery: &'a ClaimedDelivery,
    outbound: &'static dyn Outbound,
    name: Cow<'a, str>,
    body: Bytes,
}

/// The one body of all. Where deliveries gather one alone is joined too, so that its receiver reads one shape.
fn body_of(prepared: &Prepared, going: &[Going<'_>]) -> Result<Bytes, EncodeError> {
    if let ([one], None) = (going, prepared.endpoint.policy.batch) {
        return Ok(one.body.clone());
    }
    let parts: Vec<Part<'_>> = going.iter().map(|one| Part { event: &one.delivery.event, body: &one.body }).collect();
    let joined = going.first().and_then(|first| first.outbound.join(&parts, &prepared.endpoint.settings));
    joined.unwrap_or_else(|| Err(EncodeError::Data("the dialect says one thing at a time".to_owned()))).map(Bytes::from)
}

/// By a carrier that has no statuses.
async fn carried(
    client: &Client,
    prepared: &Prepared,
    carrying: impl Future<Output = Carried>,
    stop: &CancellationToken,
) -> Exchange {
    let mut exchange: Exchange = carrier::in_time(client, prepared.timeout, stop, carrying).await.into();
    exchange.detail = exchange.detail.map(|detail| prepared.mask.text(detail.as_bytes()));
    exchange
}

/// The dialect, its name of the event, the body that is kept.
fn encode<'a>(
    prepared: &Prepared,
    delivery: &'a ClaimedDelivery,
) -> Result<(&'static dyn Outbound, Cow<'a, str>, Bytes), EncodeError> {
    let event = &delivery.event;
    let no_such_event = || EncodeError::NoSuchEvent(event.event_type.clone());
    let outbound = prepared.endpoint.dialect.outbound.ok_or_else(no_such_event)?;
    let name = outbound.event_name(&event.event_type).ok_or_else(no_such_event)?;
    let body = match &delivery.body {
        Some(body) => body.clone(),
        None => outbound.encode(event, &prepared.endpoint.settings)?.into(),
    };
    Ok((outbound, name, body))
}

/// What one attempt says to an endpoint: one request, or as many as the dialect asks for.
struct Talk<'a> {
    client: &'a Client,
    prepared: &'a Prepared,
    delivery: &'a ClaimedDelivery,
    id: String,
    outbound: &'static dyn Outbound,
    name: &'a str,
    /// How many deliveries go out at once; `delivery` is the first of them.
    count: usize,
    /// Over how many webhooks the one has come that has come over most.
    hops: u8,
    keys: Vec<Key>,
    now: Timestamp,
    stop: &'a CancellationToken,
}

/// One request of it.
struct Turn {
    method: Method,
    target: Option<String>,
    body: Bytes,
}

impl Talk<'_> {
    /// What became of each delivery, in their order.
    async fn hold(&self, body: &Bytes) -> Result<Vec<Exchange>, EncodeError> {
        if let Err(failed_point) = watchbell_domain::failpoint::at("engine.send") {
            return Ok(self.all(Fault::new(AttemptResult::Internal, failed_point.to_string())));
        }
        let (client, prepared) = (self.client, self.prepared);
        match &prepared.way {
            None => {
                let refused = prepared.refused.clone().map(Fault::from);
                Ok(self.all(refused.unwrap_or(AttemptResult::EgressForbidden.into())))
            }
            Some(Way::Http(peer)) => self.request_all(peer, body).await,
            Some(Way::Syslog(line)) => {
                let framing = self.outbound.framing(&prepared.endpoint.settings)?;
                let carrying = async {
                    match line.send(client, body, framing).await {
                        Ok(()) => Carried::Sent { detail: None },
                        Err(fault) => fault.into(),
                    }
                };
                Ok(self.all(carried(client, prepared, carrying, self.stop).await))
            }
            Some(Way::Smtp(socket)) => {
                let carrying = smtp::send(client, socket, prepared.endpoint.transport.auth.as_ref(), body);
                Ok(self.all(carried(client, prepared, carrying, self.stop).await))
            }
        }
    }

    /// The same for all.
    fn all(&self, exchange: impl Into<Exchange>) -> Vec<Exchange> {
        vec![exchange.into(); self.count]
    }

    async fn request_all(&self, peer: &Peer, body: &Bytes) -> Result<Vec<Exchange>, EncodeError> {
        let (event, settings) = (&self.delivery.event, &self.prepared.endpoint.settings);
        let deadline = self.client.monotonic() + self.prepared.timeout;
        let target = self.outbound.target(event, settings, peer.path());
        let method = method_of(self.outbound.method(settings))?;
        let mut turn = Turn { method, target, body: self.keyed(body)? };
        let mut earlier: Vec<(Exchange, Vec<u8>)> = Vec::new();
        loop {
            let left = deadline - self.client.monotonic();
            let (exchange, read) = self.request(peer, turn, left).await?;
            if exchange.response.is_none() {
                return Ok(self.all(exchange));
            }
            let mut answers: Vec<Answer<'_>> = earlier.iter().filter_map(answer).collect();
            let latest = (exchange, read);
            answers.extend(answer(&latest));
            let so_far = dialect::Exchange { id: &self.id, event, settings, path: peer.path(), answers: &answers };
            let left = deadline - self.client.monotonic();
            match self.outbound.judge(&so_far) {
                Judgement::AskLater { wait, request } if earlier.len() + 1 < TURNS_MAX && wait < left => {
                    if !self.waited(wait).await {
                        return Ok(self.all(Fault::from(AttemptResult::Interrupted)));
                    }
                    turn = self.turn(request)?;
                    earlier.push(latest);
                }
                Judgement::Ask(request) if earlier.len() + 1 < TURNS_MAX => {
                    turn = self.turn(request)?;
                    earlier.push(latest);
                }
                judgement @ (Judgement::ByStatus
                | Judgement::Failed { .. }
                | Judgement::Refused { .. }
                | Judgement::Gone { .. }
                | Judgement::Taken
                | Judgement::AskLater { .. }
                | Judgement::Ask(_)) => {
                    let judgements = self.judgements(&so_far, judgement);
                    let exchanges = std::iter::repeat_n(latest.0, judgements.len()).zip(judgements);
                    let mask = &self.prepared.mask;
                    return Ok(exchanges.map(|(exchange, judgement)| heard(exchange, judgement, mask)).collect());
                }
            }
        }
    }

    /// The body with the key in it, where the dialect wants that. An empty one is none.
    fn keyed(&self, body: &Bytes) -> Result<Bytes, EncodeError> {
        if body.is_empty() {
            return Ok(Bytes::new());
        }
        Ok(match self.outbound.keyed(body, &self.keys)? {
            Cow::Borrowed(_) => body.clone(),
            Cow::Owned(keyed) => keyed.into(),
        })
    }

    fn turn(&self, request: dialect::Request) -> Result<Turn, EncodeError> {
        let (method, body) = (method_of(request.method)?, self.keyed(&request.body.into())?);
        Ok(Turn { method, target: Some(request.target), body })
    }

    /// What the answer means for each delivery, by what it means for the request.
    fn judgements(&self, so_far: &dialect::Exchange<'_>, judgement: Judgement) -> Vec<Judgement> {
        if self.count == 1 {
            return vec![judgement];
        }
        if so_far.latest().is_some_and(|answer| self.outbound.is_too_large(answer)) {
            self.prepared.too_many(self.count);
            let detail = "so many at once are too many; they are sent again, fewer at once".to_owned();
            return vec![Judgement::Failed { detail, pause: None }; self.count];
        }
        self.outbound.shares(so_far, self.count).unwrap_or_else(|| vec![judgement; self.count])
    }

    /// Whether nothing interrupted the wait.
    async fn waited(&self, wait: SignedDuration) -> bool {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            () = self.client.sleep(wait) => true,
        }
    }

    async fn request(&self, peer: &Peer, turn: Turn, left: SignedDuration) -> Result<(Exchange, Vec<u8>), EncodeError> {
        let message = Message {
            id: &self.id,
            event: self.name,
            occurred_at: self.delivery.event.occurred_at,
            sent_at: self.now,
            body: &turn.body,
        };
        let mut said = self.outbound.headers(&message, &self.keys)?;
        if let Some(media_type) = self.outbound.content_type(&self.prepared.endpoint.settings) {
            said.iter_mut()
                .filter(|line| line.name == CONTENT_TYPE)
                .for_each(|line| line.value.clone_from(&media_type));
        }
        let fault = |fault: Fault| Ok((Exchange::from(fault), Vec::new()));
        let mut headers = match lines(self.prepared, &said) {
            Ok(headers) => headers,
            Err(name) => {
                let detail = format!("the header {name} holds what a header cannot hold");
                return fault(Fault::new(AttemptResult::Internal, detail));
            }
        };
        if self.hops > 0 {
            headers.push((HOPS, HeaderValue::from(u16::from(self.hops) + 1)));
        }
        let (client, prepared, stop) = (self.client, self.prepared, self.stop);
        match &prepared.authorization {
            Ok(Authorization::None) => {}
            Ok(Authorization::Fixed(value)) => headers.push((AUTHORIZATION, value.clone())),
            Ok(Authorization::Fetched(source)) => {
                let with_token = WithToken { client, prepared, peer, source, headers, turn: &turn, stop };
                return Ok(with_token.send(left).await);
            }
            Err(refused) => return fault(refused.clone()),
        }
        Ok(client.send(peer, turn.outgoing(headers, left, &prepared.mask), stop).await)
    }
}

fn method_of(name: &str) -> Result<Method, EncodeError> {
    name.parse().map_err(|_| EncodeError::Data(format!("{name} is no method")))
}

impl Turn {
    fn outgoing<'a>(
        &'a self,
        headers: Vec<(&'a str, HeaderValue)>,
        timeout: SignedDuration,
        mask: &'a Mask,
    ) -> Outgoing<'a> {
        let (method, target) = (self.method.clone(), self.target.as_deref());
        Outgoing { method, target, headers, body: self.body.clone(), timeout, mask }
    }
}

/// The exchange with what the dialect read in it. A 2xx that was none says so in its result.
fn heard(mut exchange: Exchange, judgement: Judgement, mask: &Mask) -> Exchange {
    let (heard, detail) = match judgement {
        Judgement::ByStatus => return exchange,
        Judgement::Taken if exchange.result.is_success() => return exchange,
        Judgement::Taken => {
            exchange.result = AttemptResult::Sent;
            return exchange;
        }
        Judgement::Failed { detail, pause } => {
            let pause = pause.and_then(|pause| u64::try_from(pause.as_secs()).ok()).map(RetryAfter::Seconds);
            exchange.retry_after = exchange.retry_after.or(pause);
            (Heard::Failed, detail)
        }
        Judgement::Refused { detail } => (Heard::Refused, detail),
        Judgement::Gone { detail } => (Heard::Gone, detail),
        Judgement::AskLater { .. } => (Heard::Failed, "the endpoint has not confirmed in time".to_owned()),
        Judgement::Ask(_) => (Heard::Failed, "the endpoint answers, but never what would end the talk".to_owned()),
    };
    if exchange.result.is_success() {
        exchange.result = AttemptResult::Rejected;
    }
    (exchange.heard, exchange.detail) = (heard, Some(mask.text(detail.as_bytes())));
    exchange
}

fn answer((exchange, body): &(Exchange, Vec<u8>)) -> Option<Answer<'_>> {
    let response = exchange.response.as_ref()?;
    Some(Answer { status: response.status, headers: &response.headers, body })
}

/// A request that goes out with a token.
struct WithToken<'a> {
    client: &'a Client,
    prepared: &'a Prepared,
    peer: &'a Peer,
    source: &'a TokenSource,
    headers: Vec<(&'a str, HeaderValue)>,
    turn: &'a Turn,
    stop: &'a CancellationToken,
}

impl WithToken<'_> {
    /// A token that was kept may have been revoked: refused, it is renewed once and the request sent again, within the same
    /// deadline.
    async fn send(self, timeout: SignedDuration) -> (Exchange, Vec<u8>) {
        let deadline = self.client.monotonic() + timeout;
        let left = || deadline - self.client.monotonic();
        let (token, is_new) = match self.source.token(self.client, None, left(), self.stop).await {
            Ok(got) => got,
            Err(fault) => return (fault.into(), Vec::new()),
        };
        let (refused, read) = self.send_once(&token, left()).await;
        let may_renew = !is_new && left().is_positive() && !self.stop.is_cancelled();
        if refused.result != AttemptResult::Http(401) || !may_renew {
            return (refused, read);
        }
        match self.source.token(self.client, Some(&token), left(), self.stop).await {
            Ok((token, _)) => self.send_once(&token, left()).await,
            // What the endpoint said is worth more than that no other token could be had.
            Err(fault) => (Exchange { detail: fault.detail, ..refused }, read),
        }
    }

    async fn send_once(&self, token: &Token, timeout: SignedDuration) -> (Exchange, Vec<u8>) {
        let mut headers = self.headers.clone();
        headers.push((AUTHORIZATION, token.header.clone()));
        let mask = self.prepared.mask.and(&token.secret);
        self.client.send(self.peer, self.turn.outgoing(headers, timeout, &mask), self.stop).await
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

//! Access tokens by the client credentials grant (RFC 6749, section 4.4), one source an endpoint.
//!
//! ```text
//!  attempt ─▶ token kept and young? ─▶ send
//!                │ no: one fetches, the others wait for what comes of it
//!                ▼
//!         token server, by the same guarded client, with the endpoint's own TLS
//! ```
//!
//! What goes wrong here is a failed attempt that says why in the token server's own words, less every secret.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use jiff::SignedDuration;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use url::form_urlencoded;
use watchbell_domain::delivery::AttemptResult;
use watchbell_domain::endpoint::{AuthStyle, OAuth2Client, Transport};
use watchbell_wire::Secret;

use super::client::{Client, Outgoing, Peer, PeerRefused};
use super::fault::Fault;
use super::mask::Mask;

/// How long a token is taken to last whose server does not say.
const LIFE_UNSAID: u64 = 300;

/// A token is not kept longer, whatever its server says.
const LIFE_MAX: u64 = 24 * 3600;

/// A token is renewed so long before it ends, but not before four fifths of its life.
const MARGIN_MAX: u64 = 60;

/// Characters of a token server's words that are shown.
const WORDS_MAX: usize = 200;

type Lines = Vec<(&'static str, HeaderValue)>;

/// Where an endpoint's tokens come from.
#[derive(Debug)]
pub(crate) struct TokenSource {
    client: OAuth2Client,
    peer: Result<Peer, PeerRefused>,
    kept: Mutex<Kept>,
    /// Fetches that have ended. Who waited while one ended takes its outcome and does not fetch as well.
    ended: AtomicU64,
}

#[derive(Debug, Default)]
struct Kept {
    token: Option<Token>,
    failed: Option<Fault>,
}

/// A token in use.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    /// The value of `Authorization`.
    pub(crate) header: HeaderValue,
    /// What must not be kept of an answer that echoes it.
    pub(crate) secret: Secret,
    /// Which of the source's tokens it is.
    number: u64,
    until: SignedDuration,
}

impl TokenSource {
    /// A source that has fetched nothing yet.
    pub(crate) fn new(client: &OAuth2Client, transport: &Transport, http: &Client) -> Self {
        let peer = http.https_peer(&client.token_url, transport);
        Self { client: client.clone(), peer, kept: Mutex::default(), ended: AtomicU64::new(0) }
    }

    /// A token that the endpoint has not refused, and whether it was fetched for this call.
    pub(crate) async fn token(
        &self,
        http: &Client,
        refused: Option<&Token>,
        timeout: SignedDuration,
        stop: &CancellationToken,
    ) -> Result<(Token, bool), Fault> {
        let ended_before = self.ended.load(Ordering::Acquire);
        let start = http.monotonic();
        let mut kept = tokio::select! {
            biased;
            kept = self.kept.lock() => kept,
            () = http.sleep(timeout) => return Err(fault("it did not answer in time")),
            () = stop.cancelled() => return Err(AttemptResult::Interrupted.into()),
        };
        let is_usable = |token: &&Token| {
            http.monotonic() < token.until && refused.is_none_or(|refused| refused.number != token.number)
        };
        if let Some(token) = kept.token.as_ref().filter(is_usable) {
            return Ok((token.clone(), false));
        }
        let number = self.ended.load(Ordering::Acquire);
        if let (true, Some(failed)) = (number != ended_before, &kept.failed) {
            return Err(failed.clone());
        }
        kept.token = None;
        let left = timeout - (http.monotonic() - start);
        let fetched = self.fetch(http, number, left, stop).await;
        // Who was stopped says nothing about the token server.
        if fetched.as_ref().is_err_and(|fault| fault.result == AttemptResult::Interrupted) {
            return fetched.map(|token| (token, true));
        }
        self.ended.fetch_add(1, Ordering::AcqRel);
        kept.failed = fetched.as_ref().err().cloned();
        kept.token = fetched.as_ref().ok().cloned();
        fetched.map(|token| (token, true))
    }

    async fn fetch(
        &self,
        http: &Client,
        number: u64,
        timeout: SignedDuration,
        stop: &CancellationToken,
    ) -> Result<Token, Fault> {
        let peer = self.peer.as_ref().map_err(|refused| of_exchange(refused.clone().into()))?;
        let (headers, body) = self.request()?;
        let mask = Mask::default();
        let outgoing =
            Outgoing { method: Method::POST, target: None, headers, body: body.into(), timeout, mask: &mask };
        let (status, answer) = http.fetch(peer, outgoing, stop).await.map_err(of_exchange)?;
        let answer: Option<Value> = serde_json::from_slice(&answer).ok();
        if status != StatusCode::OK {
            return Err(self.refusal(status, answer.as_ref()));
        }
        let answer = answer.ok_or_else(|| fault("its answer is no JSON"))?;
        token_of(&answer, number, http.monotonic())
    }

    /// Header lines and body.
    fn request(&self) -> Result<(Lines, String), Fault> {
        let client = &self.client;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        form.extend_pairs(client.scope.iter().map(|scope| ("scope", scope)));
        form.extend_pairs(client.audience.iter().map(|audience| ("audience", audience)));
        let mut headers = vec![
            (CONTENT_TYPE.as_str(), HeaderValue::from_static("application/x-www-form-urlencoded")),
            (ACCEPT.as_str(), HeaderValue::from_static("application/json")),
        ];
        match client.auth_style {
            AuthStyle::Body => {
                form.append_pair("client_id", &client.client_id);
                form.append_pair("client_secret", client.client_secret.expose());
            }
            AuthStyle::Basic => {
                // Section 2.3.1: both are written as a form would before they are joined.
                let coded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let pair = format!("{}:{}", coded(&client.client_id), coded(client.client_secret.expose()));
                headers.push((AUTHORIZATION.as_str(), basic(&pair)?));
            }
        }
        Ok((headers, form.finish()))
    }

    /// Section 5.2, as far as the token server keeps to it.
    fn refusal(&self, status: StatusCode, answer: Option<&Value>) -> Fault {
        let mask = Mask::new([self.client.client_secret.clone()]);
        let said = |name: &str| {
            let text = answer?.get(name)?.as_str()?;
            let shown: String = text.chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect();
            Some(mask.text(shown.as_bytes()))
        };
        let mut words = format!("it answered {}", status.as_u16());
        if let Some(error) = said("error") {
            words.push_str(&format!(": {error}"));
        }
        if let Some(description) = said("error_description") {
            words.push_str(&format!(" ({description})"));
        }
        fault(&words)
    }
}

/// The value of `Authorization` for a user name and a password, joined by a colon.
pub(crate) fn basic(pair: &str) -> Result<HeaderValue, Fault> {
    sensitive(&format!("Basic {}", STANDARD.encode(pair)))
}

/// The value of `Authorization` for a token.
pub(crate) fn bearer(token: &str) -> Result<HeaderValue, Fault> {
    sensitive(&format!("Bearer {token}"))
}

fn sensitive(text: &str) -> Result<HeaderValue, Fault> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| Fault::new(AttemptResult::Internal, "the credentials hold what a header cannot hold"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Section 5.1.
fn token_of(answer: &Value, number: u64, now: SignedDuration) -> Result<Token, Fault> {
    let text = |name: &str| answer.get(name).and_then(Value::as_str);
    let token =
        text("access_token").filter(|token| !token.is_empty()).ok_or_else(|| fault("it gave no access_token"))?;
    if !text("token_type").is_none_or(|kind| kind.eq_ignore_ascii_case("bearer")) {
        return Err(fault("its token is not of the type bearer"));
    }
    // A number, though some write it as text.
    let life = answer.get("expires_in").and_then(|life| life.as_u64().or_else(|| life.as_str()?.parse().ok()));
    let life = life.unwrap_or(LIFE_UNSAID).min(LIFE_MAX);
    let kept_for = life - MARGIN_MAX.min(life / 5);
    Ok(Token {
        header: bearer(token).map_err(|_| fault("its token holds what a header cannot hold"))?,
        secret: Secret::new(token),
        number,
        until: now + SignedDuration::from_secs(i64::try_from(kept_for).unwrap_or_default()),
    })
}

/// What kept us from an answer. Where we may not connect is said of token servers as of endpoints.
fn of_exchange(failed: Fault) -> Fault {
    if matches!(failed.result, AttemptResult::Interrupted | AttemptResult::EgressForbidden) {
        return failed;
    }
    match failed.detail {
        Some(detail) => fault(&format!("{}, {detail}", failed.result.name())),
        None => fault(&failed.result.name()),
    }
}

fn fault(what: &str) -> Fault {
    Fault::new(AttemptResult::TokenError, format!("the token server: {what}"))
}

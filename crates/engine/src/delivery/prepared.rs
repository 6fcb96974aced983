//! An endpoint made ready for sending: keys computed, headers checked, sockets its own. Made once and kept until the
//! endpoint changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use jiff::{SignedDuration, Timestamp};
use watchbell_domain::endpoint::{Auth, Endpoint, Transport};
use watchbell_domain::retry::RetryPolicy;
use watchbell_wire::{Key, Secret};

use super::carrier::Way;
use super::options::Options;
use crate::net::client::{Client, PeerRefused};
use crate::net::fault::Fault;
use crate::net::mask::{self, Mask};
use crate::net::oauth2::{self, TokenSource};

#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) endpoint: Arc<Endpoint>,
    /// `None`: see `refused`.
    pub(super) way: Option<Way>,
    /// The URL is not one that we may deliver to any more, or its certificates cannot be used.
    pub(super) refused: Option<PeerRefused>,
    /// What the `Authorization` header says; `Err`: it cannot be said.
    pub(super) authorization: Result<Authorization, Fault>,
    /// The endpoint's own header lines; `Err`: the name of one that cannot be sent.
    pub(super) headers: Result<Vec<(String, HeaderValue)>, String>,
    pub(super) mask: Mask,
    pub(super) policy: RetryPolicy,
    pub(super) timeout: SignedDuration,
    /// Most deliveries that go out at once; fewer where the endpoint has said that so many are too many.
    together_max: AtomicUsize,
    keys: Vec<(Option<Timestamp>, Key)>,
}

impl Prepared {
    /// Makes an endpoint ready. Its open sockets are kept where URL and TLS are still the same, and so is its token where
    /// who we are is.
    pub(super) fn new(endpoint: Arc<Endpoint>, before: Option<&Self>, client: &Client, options: &Options) -> Self {
        let transport = &endpoint.transport;
        let same_tls = before.filter(|before| {
            let old = &before.endpoint.transport;
            old.tls == transport.tls && old.http_version == transport.http_version
        });
        let (way, refused) = match same_tls.filter(|before| before.endpoint.url == endpoint.url) {
            Some(before) => (before.way.clone(), before.refused.clone()),
            None => match Way::of(&endpoint, client) {
                Ok(way) => (Some(way), None),
                Err(refused) => (None, Some(refused)),
            },
        };
        let authorization = match same_tls.filter(|before| before.endpoint.transport.auth == transport.auth) {
            Some(before) => before.authorization.clone(),
            None => Authorization::of(transport, client),
        };
        let keys = endpoint.secrets.iter().filter_map(|secret| {
            let key = endpoint.dialect.secrets.key(&secret.text).ok()?;
            Some((secret.expires_at, key))
        });
        let secrets = endpoint.secrets.iter().map(|secret| &secret.text);
        let spoken = secrets.clone().filter_map(|secret| endpoint.dialect.secrets.spoken(secret));
        let values = endpoint.headers.iter().map(|(_, value)| value);
        let in_url = match endpoint.dialect.url_is_secret {
            true => mask::of_secret_url(&endpoint.url),
            false => mask::credentials_of(&endpoint.url),
        };
        let outbound = endpoint.dialect.outbound;
        let together_max = match (endpoint.policy.batch, outbound) {
            (Some(batch), _) => usize::try_from(batch.max).unwrap_or(usize::MAX),
            (None, Some(outbound)) => outbound.batch_max(&endpoint.settings),
            (None, None) => 1,
        };
        Self {
            together_max: AtomicUsize::new(together_max),
            keys: keys.collect(),
            way,
            refused,
            authorization,
            headers: header_lines(&endpoint.headers),
            mask: Mask::new(
                secrets.chain(values).cloned().chain(spoken).chain(in_url).chain(credentials(&endpoint.transport)),
            ),
            policy: options.retry_policy(&endpoint.policy),
            timeout: options.timeout_within_lease(endpoint.policy.timeout, client.limits()),
            endpoint,
        }
    }

    /// Whether nothing that matters here has changed.
    pub(super) fn is_for(&self, endpoint: &Endpoint) -> bool {
        std::ptr::eq(&raw const *self.endpoint, endpoint)
            || (self.endpoint.updated_at == endpoint.updated_at
                && self.endpoint.url == endpoint.url
                && self.endpoint.dialect == endpoint.dialect
                && self.endpoint.secrets == endpoint.secrets
                && self.endpoint.headers == endpoint.headers
                && self.endpoint.settings == endpoint.settings
                && self.endpoint.transport == endpoint.transport
                && self.endpoint.policy == endpoint.policy)
    }

    /// How many deliveries may go out at once.
    pub(super) fn together_max(&self) -> usize {
        self.together_max.load(Ordering::Relaxed)
    }

    /// So many at once were too many.
    pub(super) fn too_many(&self, count: usize) {
        self.together_max.fetch_min((count / 2).max(1), Ordering::Relaxed);
    }

    /// The keys valid at `now`, newest first.
    pub(super) fn keys(&self, now: Timestamp) -> Vec<Key> {
        let live = self.keys.iter().filter(|(end, _)| end.is_none_or(|end| now < end));
        live.map(|(_, key)| key.clone()).collect()
    }
}

/// What the `Authorization` header says.
#[derive(Debug, Clone)]
pub(super) enum Authorization {
    /// Nothing of the transport's.
    None,
    /// Always the same.
    Fixed(HeaderValue),
    /// A token that is fetched.
    Fetched(Arc<TokenSource>),
}

impl Authorization {
    fn of(transport: &Transport, client: &Client) -> Result<Self, Fault> {
        Ok(match &transport.auth {
            None => Self::None,
            Some(Auth::Basic { username, password }) => Self::Fixed(oauth2::basic(&pair(username, password))?),
            Some(Auth::Bearer { token }) => Self::Fixed(oauth2::bearer(token.expose())?),
            Some(Auth::OAuth2(oauth2)) => Self::Fetched(Arc::new(TokenSource::new(oauth2, transport, client))),
        })
    }
}

/// What an echo of our requests may hold of a transport's secrets, as they are meant and as they are sent. Keys are never
/// sent.
fn credentials(transport: &Transport) -> Vec<Secret> {
    match &transport.auth {
        None => Vec::new(),
        Some(Auth::Basic { username, password }) => {
            // Mail servers are told them in other spellings, and some repeat a command that they do not know.
            let plain = STANDARD.encode(format!("\0{username}\0{}", password.expose()));
            let login = STANDARD.encode(password.expose());
            let sent = [STANDARD.encode(pair(username, password)), plain, login].map(Secret::new);
            [password.clone()].into_iter().chain(sent).collect()
        }
        Some(Auth::Bearer { token }) => vec![token.clone()],
        Some(Auth::OAuth2(oauth2)) => vec![oauth2.client_secret.clone()],
    }
}

fn pair(username: &str, password: &Secret) -> String {
    format!("{username}:{}", password.expose())
}

fn header_lines(headers: &[(String, Secret)]) -> Result<Vec<(String, HeaderValue)>, String> {
    let line = |(name, value): &(String, Secret)| match HeaderValue::from_str(value.expose()) {
        Ok(value) => Ok((name.clone(), value)),
        Err(_) => Err(name.clone()),
    };
    headers.iter().map(line).collect()
}

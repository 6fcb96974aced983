//! An endpoint made ready for sending: keys computed, headers checked, sockets its own. Made once and kept until the
//! endpoint changes.

use std::sync::Arc;

use http::HeaderValue;
use jiff::{SignedDuration, Timestamp};
use watchbell_domain::endpoint::Endpoint;
use watchbell_domain::retry::RetryPolicy;
use watchbell_wire::{Key, Secret};

use super::options::Options;
use crate::net::client::{Client, Peer};
use crate::net::mask::{self, Mask};

#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) endpoint: Arc<Endpoint>,
    /// `None`: the URL is not one that we may deliver to any more.
    pub(super) peer: Option<Arc<Peer>>,
    /// The endpoint's own header lines; `Err`: the name of one that cannot be sent.
    pub(super) headers: Result<Vec<(String, HeaderValue)>, String>,
    pub(super) mask: Mask,
    pub(super) policy: RetryPolicy,
    pub(super) timeout: SignedDuration,
    keys: Vec<(Option<Timestamp>, Key)>,
}

impl Prepared {
    /// Makes an endpoint ready. Its open sockets are kept where the URL is still the same.
    pub(super) fn new(endpoint: Arc<Endpoint>, before: Option<&Self>, client: &Client, options: &Options) -> Self {
        let same_url = before.filter(|before| before.endpoint.url == endpoint.url);
        let peer = match same_url {
            Some(before) => before.peer.clone(),
            None => client.peer(&endpoint.url).ok().map(Arc::new),
        };
        let keys = endpoint.secrets.iter().filter_map(|secret| {
            let key = endpoint.dialect.secrets.key(&secret.text).ok()?;
            Some((secret.expires_at, key))
        });
        let secrets = endpoint.secrets.iter().map(|secret| &secret.text);
        let values = endpoint.headers.iter().map(|(_, value)| value);
        Self {
            keys: keys.collect(),
            peer,
            headers: header_lines(&endpoint.headers),
            mask: Mask::new(secrets.chain(values).cloned().chain(mask::credentials_of(&endpoint.url))),
            policy: options.retry_policy(endpoint.dialect, &endpoint.policy),
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
                && self.endpoint.transport == endpoint.transport
                && self.endpoint.policy == endpoint.policy)
    }

    /// The keys valid at `now`, newest first.
    pub(super) fn keys(&self, now: Timestamp) -> Vec<Key> {
        let live = self.keys.iter().filter(|(end, _)| end.is_none_or(|end| now < end));
        live.map(|(_, key)| key.clone()).collect()
    }
}

fn header_lines(headers: &[(String, Secret)]) -> Result<Vec<(String, HeaderValue)>, String> {
    let line = |(name, value): &(String, Secret)| match HeaderValue::from_str(value.expose()) {
        Ok(value) => Ok((name.clone(), value)),
        Err(_) => Err(name.clone()),
    };
    headers.iter().map(line).collect()
}

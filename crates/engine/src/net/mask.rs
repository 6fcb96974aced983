//! Our own secrets, taken out of what an endpoint answers: some echo the request they got.

use std::borrow::Cow;
use std::fmt;

use url::Url;
use watchbell_wire::Secret;

/// What stands in a secret's place.
const MASK: &[u8] = "••••".as_bytes();

/// Shorter texts are too common to be looked for.
const SECRET_LEN_MIN: usize = 6;

/// Shorter parts of a path are words.
const PATH_SECRET_LEN_MIN: usize = 16;

/// Query parameters that hold credentials.
const CREDENTIALS: &[&str] =
    &["access_token", "api_key", "apikey", "auth", "code", "key", "password", "secret", "sig", "signature", "token"];

/// Whether a query parameter of this name holds a credential.
pub fn is_credential(name: &str) -> bool {
    CREDENTIALS.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// The credentials in a URL's query: as they are written there, and as they are meant.
pub(crate) fn credentials_of(url: &str) -> Vec<Secret> {
    let Ok(url) = Url::parse(url) else { return Vec::new() };
    let meant = url.query_pairs().filter(|(name, _)| is_credential(name));
    let mut found: Vec<_> = meant.map(|(_, value)| Secret::new(value)).collect();
    let pairs = url.query().into_iter().flat_map(|query| query.split('&'));
    let written = pairs.filter_map(|pair| pair.split_once('=')).filter(|(name, _)| is_credential(name));
    found.extend(written.map(|(_, value)| Secret::new(value)));
    found
}

/// What of a URL is a secret where the URL itself is one: its path and query, and each part of the path that could be.
pub(crate) fn of_secret_url(url: &str) -> Vec<Secret> {
    let Ok(url) = Url::parse(url) else { return Vec::new() };
    let after_host = url.query().map_or(url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let parts = url.path().split('/').filter(|part| part.len() >= PATH_SECRET_LEN_MIN);
    parts.map(Secret::new).chain([Secret::new(&*after_host)]).chain(credentials_of(url.as_str())).collect()
}

/// The secrets of one endpoint, longest first.
#[derive(Clone, Default)]
pub struct Mask(Vec<Secret>);

impl Mask {
    /// Looks for these. Texts of less than six bytes are left out: replacing every `1` says more than it hides.
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let mut secrets: Vec<Secret> =
            secrets.into_iter().filter(|secret| secret.expose().len() >= SECRET_LEN_MIN).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        Self(secrets)
    }

    /// Looks for one more.
    #[must_use]
    pub fn and(&self, secret: &Secret) -> Self {
        Self::new(self.0.iter().chain([secret]).cloned())
    }

    /// The bytes, each secret in them replaced.
    pub fn bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let mut masked = Cow::Borrowed(bytes);
        for secret in &self.0 {
            if let Some(replaced) = replace(&masked, secret.expose().as_bytes()) {
                masked = Cow::Owned(replaced);
            }
        }
        masked
    }

    /// The bytes as text, each secret in them replaced.
    pub fn text(&self, bytes: &[u8]) -> String {
        String::from_utf8_lossy(&self.bytes(bytes)).into_owned()
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mask").field(&self.0.len()).finish()
    }
}

/// `None`: it does not occur.
fn replace(bytes: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
    let mut rest = bytes;
    let mut replaced = Vec::new();
    while let Some(at) = rest.windows(secret.len()).position(|window| window == secret) {
        let (before, after) = rest.split_at(at);
        replaced.extend_from_slice(before);
        replaced.extend_from_slice(MASK);
        rest = after.get(secret.len()..).unwrap_or_default();
    }
    if rest.len() == bytes.len() {
        return None;
    }
    replaced.extend_from_slice(rest);
    Some(replaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_the_query_of_the_url_are_secrets() {
        let mask = Mask::new(credentials_of("https://a.example/in?tenant=blue-team&Token=dead%2Fbeef&x"));
        let echo = b"POST /in?tenant=blue-team&Token=dead%2Fbeef&x: no such token dead/beef";
        assert_eq!(mask.text(echo), "POST /in?tenant=blue-team&Token=••••&x: no such token ••••");
    }

    #[test]
    fn secrets_are_replaced_wherever_they_stand() {
        let mask = Mask::new(["secret-1", "secret-12", "1"].map(Secret::new));
        assert_eq!(mask.text(b"secret-12 secret-1secret-1 1"), "•••• •••••••• 1");
        assert_eq!(mask.text(b"\xffsecret-1\xff"), "\u{fffd}••••\u{fffd}");
        assert!(matches!(mask.bytes(b"nothing here"), Cow::Borrowed(_)));
        assert_eq!(Mask::default().text(b""), "");
    }
}

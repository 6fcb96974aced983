//! A request as it may be kept: without what would let its reader call in the vendor's name.

use std::borrow::Cow;

use bytes::Bytes;
use watchbell_domain::receipt::KeptRequest;
use watchbell_wire::Headers;

/// What stands in a credential's place.
const MASK: &str = "****";

/// Schemes of `Authorization` that may be shown. What stands first in another value may be the token itself.
const SCHEMES: &[&str] = &["basic", "bearer", "digest", "token"];

/// In the names of headers that hold credentials, by their first letter. An underscore is as good as a hyphen.
const fn telltales(first: u8) -> &'static [&'static str] {
    match first.to_ascii_lowercase() {
        b'a' => &["authorization", "api-key", "apikey"],
        b'c' => &["cookie", "credential"],
        b'p' => &["password", "passphrase"],
        b's' => &["secret"],
        b't' => &["token"],
        _ => &[],
    }
}

/// Keeps a request. `hidden` is a header that holds a credential, whatever it is called.
pub(super) fn kept(
    method: String,
    headers: Headers,
    hidden: Option<&str>,
    body: Bytes,
    body_bytes: Option<u64>,
) -> KeptRequest {
    let is_hidden = |name: &str| hidden.is_some_and(|hidden| name.eq_ignore_ascii_case(hidden)) || is_credential(name);
    let hides = headers.iter().any(|(name, _)| is_hidden(name));
    let shown = |(name, value)| (name, if is_hidden(name) { masked(value) } else { Cow::Borrowed(value) });
    let headers = if hides { headers.iter().map(shown).collect() } else { headers };
    KeptRequest { method, headers, body, body_bytes }
}

/// Whether a header of this name holds what lets its reader call in somebody's name.
pub fn is_credential(name: &str) -> bool {
    let is_same =
        |(given, wanted): (&u8, u8)| given.eq_ignore_ascii_case(&wanted) || (*given == b'_' && wanted == b'-');
    let name = name.as_bytes();
    name.iter().enumerate().any(|(start, first)| {
        let rest = name.get(start..).unwrap_or_default();
        let begins = |telltale: &&str| rest.len() >= telltale.len() && rest.iter().zip(telltale.bytes()).all(is_same);
        telltales(*first).iter().any(begins)
    })
}

fn masked(value: &[u8]) -> Cow<'_, [u8]> {
    let scheme = std::str::from_utf8(value).ok().and_then(|text| text.split_once(' ')).map(|(scheme, _)| scheme);
    match scheme.filter(|scheme| SCHEMES.contains(&scheme.to_ascii_lowercase().as_str())) {
        Some(scheme) => Cow::Owned(format!("{scheme} {MASK}").into_bytes()),
        None => Cow::Borrowed(MASK.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_masked_and_signatures_stay() {
        let given = [
            ("Authorization", "Bearer hush-hush"),
            ("authorization", "hush-hush more"),
            ("Cookie", "session=hush-hush"),
            ("X-Gitlab-Token", "hush-hush"),
            ("x_api_key", "hush-hush"),
            ("X-Sesame", "hush-hush"),
            ("X-Hub-Signature", "sha256=00"),
            ("webhook-id", "msg_1"),
        ];
        let kept = kept("POST".to_owned(), given.into_iter().collect(), Some("x-sesame"), Bytes::new(), None);
        let values: Vec<_> =
            kept.headers.iter().map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect();
        assert_eq!(values, ["Bearer ****", "****", "****", "****", "****", "****", "sha256=00", "msg_1"]);
    }
}

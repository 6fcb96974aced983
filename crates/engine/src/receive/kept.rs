//! A request as it may be kept: without what would let its reader call in the vendor's name.

use bytes::Bytes;
use watchbell_domain::receipt::KeptRequest;
use watchbell_wire::Headers;

/// What stands in a credential's place.
const MASK: &str = "****";

/// Schemes of `Authorization` that may be shown. What stands first in another value may be the token itself.
const SCHEMES: &[&str] = &["basic", "bearer", "digest", "token"];

/// In the names of headers that hold credentials.
const TELLTALES: &[&str] =
    &["authorization", "cookie", "token", "secret", "password", "passphrase", "api-key", "apikey", "credential"];

/// Keeps a request.
pub(super) fn kept(method: &str, headers: &Headers, body: Bytes, body_bytes: Option<u64>) -> KeptRequest {
    let headers = headers.iter().map(|(name, value)| match is_credential(name) {
        true => (name.to_owned(), masked(value)),
        false => (name.to_owned(), value.to_vec()),
    });
    KeptRequest { method: method.to_owned(), headers: headers.collect(), body, body_bytes }
}

/// Whether a header of this name holds what lets its reader call in somebody's name.
pub fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    TELLTALES.iter().any(|telltale| name.contains(telltale))
}

fn masked(value: &[u8]) -> Vec<u8> {
    let scheme = std::str::from_utf8(value).ok().and_then(|text| text.split_once(' ')).map(|(scheme, _)| scheme);
    match scheme.filter(|scheme| SCHEMES.contains(&scheme.to_ascii_lowercase().as_str())) {
        Some(scheme) => format!("{scheme} {MASK}").into_bytes(),
        None => MASK.into(),
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
            ("X-Hub-Signature", "sha256=00"),
            ("webhook-id", "msg_1"),
        ];
        let kept = kept("POST", &given.into_iter().collect(), Bytes::new(), None);
        let values: Vec<_> =
            kept.headers.iter().map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect();
        assert_eq!(values, ["Bearer ****", "****", "****", "****", "****", "sha256=00", "msg_1"]);
    }
}

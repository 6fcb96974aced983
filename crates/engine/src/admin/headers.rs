//! Custom headers of an endpoint: text that goes into a request head, so every character of it is judged on saving.

use watchbell_wire::dialect::Credential;
use watchbell_wire::{Dialect, Secret};

/// Most custom headers of an endpoint.
pub const COUNT_MAX: usize = 20;
/// Longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// Longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 4096;

/// Names that frame the request, or that some hop acts on.
const FORBIDDEN: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "cookie2",
    "date",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
];

/// Beginnings of names that dialects sign with, or that steer proxies.
const FORBIDDEN_PREFIXES: &[&str] = &[
    "ce-",
    "proxy-",
    "sec-",
    "symbioticsec",
    "webhook-",
    "x-aegis-",
    "x-forwarded-",
    "x-github-",
    "x-hub-",
    "x-snyk-",
];

/// A custom header that cannot be saved. Names the header, never its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct HeaderForbidden {
    /// What is wrong and what is wanted.
    pub detail: String,
}

/// Whether these headers may go out with a dialect's own.
///
/// # Errors
/// The first that may not.
pub fn check(dialect: &Dialect, headers: &[(String, Secret)]) -> Result<(), HeaderForbidden> {
    if headers.len() > COUNT_MAX {
        return Err(forbidden(format!("an endpoint has at most {COUNT_MAX} custom headers")));
    }
    let mut seen = std::collections::BTreeSet::new();
    for (name, value) in headers {
        let lower = name.to_ascii_lowercase();
        check_name(dialect, name, &lower)?;
        check_value(name, value)?;
        if !seen.insert(lower) {
            return Err(forbidden(format!("{} is given more than once", shown(name))));
        }
    }
    Ok(())
}

fn check_name(dialect: &Dialect, name: &str, lower: &str) -> Result<(), HeaderForbidden> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(is_token) {
        let wanted = "a header's name has 1 to 128 letters, digits or characters of !#$%&'*+-.^_`|~";
        return Err(forbidden(format!("{} is no header name: {wanted}", shown(name))));
    }
    let is_credential = lower == "authorization"
        && dialect.credential != Credential::SecretOptional
        && dialect.speaks_in_authorization();
    if is_credential || FORBIDDEN.contains(&lower) || FORBIDDEN_PREFIXES.iter().any(|prefix| lower.starts_with(prefix))
    {
        return Err(forbidden(format!("{} is set by Watchbell or by the connection", shown(name))));
    }
    Ok(())
}

fn check_value(name: &str, value: &Secret) -> Result<(), HeaderForbidden> {
    let text = value.expose();
    let is_visible = |c: char| c == ' ' || c == '\t' || c.is_ascii_graphic();
    if text.is_empty() || text.len() > VALUE_BYTES_MAX || !text.chars().all(is_visible) || text.trim() != text {
        return Err(forbidden(format!(
            "the value of {} must be 1 to {VALUE_BYTES_MAX} visible ASCII characters without blanks around them",
            shown(name)
        )));
    }
    Ok(())
}

fn shown(name: &str) -> String {
    let cut: String = name.chars().take(60).collect();
    format!("{cut:?}")
}

fn forbidden(detail: String) -> HeaderForbidden {
    HeaderForbidden { detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(dialect: &str, name: &str, value: &str) -> bool {
        let dialect = watchbell_wire::dialect::find(dialect).unwrap();
        check(dialect, &[(name.to_owned(), Secret::new(value))]).is_ok()
    }

    #[test]
    fn plain_headers_pass() {
        assert!(verdict("standard", "X-Tenant", "blue team"));
        assert!(verdict("snyk", "Authorization", "Basic Zm9vOmJhcg=="));
    }

    #[test]
    fn headers_that_frame_or_sign_are_refused() {
        let names = "Host Content-Length Transfer-Encoding Connection Cookie Webhook-Id webhook-signature X-Hub-Signature \
                     X-Snyk-Event X-Aegis-Signature SymbioticSec_Signature Proxy-Authorization Content-Type User-Agent TE";
        for name in names.split(' ') {
            assert!(!verdict("standard", name, "v"), "{name}");
        }
        for name in ["", "a b", "a:b", "a\r\nb", "ä", "a\0"] {
            assert!(!verdict("standard", name, "v"), "{name:?}");
        }
        for value in ["", "a\r\nX: y", "a\nb", "a\0b", "ä", " a", &"v".repeat(4097)] {
            assert!(!verdict("standard", "X-A", value), "{value:?}");
        }
    }

    #[test]
    fn a_name_has_one_value() {
        let dialect = watchbell_wire::dialect::find("standard").unwrap();
        let twice = [("X-A".to_owned(), Secret::new("1")), ("x-a".to_owned(), Secret::new("2"))];
        assert!(check(dialect, &twice).is_err());
        let many: Vec<_> = (0..21).map(|n| (format!("X-{n}"), Secret::new("1"))).collect();
        assert!(check(dialect, &many).is_err());
        assert!(check(dialect, &many[..20]).is_ok());
    }
}

//! How an endpoint is reached: judged on saving, so that whoever enters it reads what is wrong and no attempt has to fail
//! of it.

use std::fmt::Display;

use jiff::Timestamp;
use url::Url;
use watchbell_domain::endpoint::{Auth, HttpVersion, OAuth2Client, TlsSettings, Transport};
use watchbell_wire::dialect::{Carrier, Credential};
use watchbell_wire::{Dialect, Secret};

use super::endpoint::Refused;
use crate::net::guard::EgressPolicy;
use crate::net::identity;

/// What stands in an answer where a secret was.
pub const REDACTED: &str = "[redacted]";
/// Longest user name, client id or audience, in bytes.
pub const NAME_BYTES_MAX: usize = 1024;
/// Longest password, token, client secret or scope, in bytes.
pub const SECRET_BYTES_MAX: usize = 4096;
/// Longest PEM text, in bytes.
pub const PEM_BYTES_MAX: usize = 64 * 1024;

/// Whether an endpoint of this URL, dialect and headers can be reached so.
///
/// # Errors
/// The first thing that does not fit.
pub(super) fn check_fit(
    transport: &Transport,
    url: &Url,
    dialect: &Dialect,
    has_secret: bool,
    headers: &[(String, Secret)],
) -> Result<(), Refused> {
    check_carrier(transport, url, dialect, headers)?;
    if let Some(auth) = &transport.auth {
        if has_secret && dialect.speaks_in_authorization() {
            let member_of_it = if dialect.credential == Credential::BearerToken { "bearer_token" } else { "secret" };
            let detail = format!(
                "the dialect {} says in Authorization what {member_of_it} holds: {} beside it would say something else",
                dialect.id,
                auth.kind()
            );
            return Err(member("/auth", detail));
        }
        if headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization")) {
            let detail = "auth and the header Authorization both say who Watchbell is: give one of them";
            return Err(member("/auth", detail));
        }
    }
    if url.scheme() == "https" || dialect.carrier != Carrier::Http {
        return Ok(());
    }
    if !transport.tls.is_default() {
        return Err(member("/tls", "certificates are for https, and the URL is plain http"));
    }
    match transport.http_version {
        HttpVersion::Http2 => {
            Err(member("/http_version", "http2 is spoken over https alone, and the URL is plain http"))
        }
        HttpVersion::Auto | HttpVersion::Http1 => Ok(()),
    }
}

/// What HTTP alone has, and what the others have no use for.
fn check_carrier(
    transport: &Transport,
    url: &Url,
    dialect: &Dialect,
    headers: &[(String, Secret)],
) -> Result<(), Refused> {
    if dialect.carrier == Carrier::Http {
        return Ok(());
    }
    if !headers.is_empty() {
        return Err(member("/headers", format!("the dialect {} sends no HTTP and has no headers", dialect.id)));
    }
    if transport.http_version != HttpVersion::Auto {
        return Err(member("/http_version", format!("the dialect {} sends no HTTP", dialect.id)));
    }
    let has_tls = matches!(url.scheme(), "syslog+tls" | "smtp" | "smtps");
    if !has_tls && !transport.tls.is_default() {
        return Err(member("/tls", "certificates are for TLS, and the URL is plain"));
    }
    match (dialect.carrier, &transport.auth) {
        (Carrier::Http, _) | (_, None) | (Carrier::Smtp, Some(Auth::Basic { .. })) => Ok(()),
        (Carrier::Syslog, Some(_)) => Err(member("/auth", "syslog has no credentials; TLS may show a certificate")),
        (Carrier::Smtp, Some(_)) => Err(member("/auth", "mail servers take a user and a password: kind basic")),
    }
}

/// Whether these credentials can be sent, and where a token would be fetched is where we may connect.
///
/// # Errors
/// The first thing that does not do. Never repeats a secret.
pub(super) fn check_auth(auth: &Auth, egress: &EgressPolicy) -> Result<(), Refused> {
    match auth {
        Auth::Basic { username, password } => {
            check_text("/auth/username", username, NAME_BYTES_MAX, |c| !c.is_control())?;
            if username.contains(':') {
                return Err(member(
                    "/auth/username",
                    "a user name of basic has no colon: it ends where the colon stands",
                ));
            }
            check_secret("/auth/password", password, |c| !c.is_control())
        }
        Auth::Bearer { token } => {
            check_secret("/auth/token", token, |c| c.is_ascii_alphanumeric() || "-._~+/=".contains(c))
        }
        Auth::OAuth2(client) => check_oauth2(client, egress),
    }
}

/// Whether these PEM texts are what they should be at `now`.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn check_tls(tls: &TlsSettings, now: Timestamp) -> Result<(), Refused> {
    let client = tls.client.as_ref();
    let texts = [
        ("/tls/client_certificate_pem", client.map(|client| client.certificate_pem.as_str())),
        ("/tls/client_key_pem", client.map(|client| client.key_pem.expose())),
        ("/tls/ca_pem", tls.ca_pem.as_deref()),
    ];
    for (pointer, text) in texts {
        let Some(text) = text else { continue };
        if text.len() > PEM_BYTES_MAX {
            return Err(member(pointer, "the PEM text has more than 64 KiB"));
        }
        refuse_redacted(pointer, text)?;
    }
    identity::check(tls, now).map_err(|problem| member(&format!("/tls/{}", problem.member), problem.why))
}

fn check_oauth2(client: &OAuth2Client, egress: &EgressPolicy) -> Result<(), Refused> {
    egress.check_https_url(&client.token_url).map_err(|refused| member("/auth/token_url", refused.detail))?;
    // RFC 6749, appendix A: ids and secrets are visible ASCII and blanks, a scope is words of it without quotes.
    let is_visible = |c: char| c == ' ' || c.is_ascii_graphic();
    check_text("/auth/client_id", &client.client_id, NAME_BYTES_MAX, is_visible)?;
    check_secret("/auth/client_secret", &client.client_secret, is_visible)?;
    if let Some(scope) = &client.scope {
        check_text("/auth/scope", scope, SECRET_BYTES_MAX, |c| is_visible(c) && c != '"' && c != '\\')?;
    }
    match &client.audience {
        Some(audience) => check_text("/auth/audience", audience, NAME_BYTES_MAX, |c| !c.is_control()),
        None => Ok(()),
    }
}

fn check_secret(pointer: &str, secret: &Secret, is_taken: impl Fn(char) -> bool) -> Result<(), Refused> {
    refuse_redacted(pointer, secret.expose())?;
    check_text(pointer, secret.expose(), SECRET_BYTES_MAX, is_taken)
}

/// Somebody sent back what an answer showed: taken at its word, it would become the secret.
fn refuse_redacted(pointer: &str, text: &str) -> Result<(), Refused> {
    match text == REDACTED {
        true => {
            Err(member(pointer, "[redacted] stands for what is kept: give it again, or leave the whole member out"))
        }
        false => Ok(()),
    }
}

fn check_text(pointer: &str, text: &str, bytes_max: usize, is_taken: impl Fn(char) -> bool) -> Result<(), Refused> {
    if text.is_empty() || text.len() > bytes_max {
        return Err(member(pointer, format!("1 to {bytes_max} bytes are wanted")));
    }
    match text.chars().all(is_taken) {
        true => Ok(()),
        false => Err(member(pointer, "it holds a character that cannot be sent here")),
    }
}

fn member(pointer: &str, detail: impl Display) -> Refused {
    Refused::Member { pointer: pointer.to_owned(), detail: detail.to_string() }
}

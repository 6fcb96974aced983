//! The request as it goes out: the lines that are ours, then the dialect's and the endpoint's in their casing.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HOST, USER_AGENT};
use http::{HeaderName, HeaderValue, Request};
use http_body_util::Full;

use super::casing::Casing;
use super::client::Outgoing;
use super::connector::Target;

/// The lines that every request begins with, as they are spelled on HTTP/1.1.
pub(super) const SENT_FIRST: [&str; 4] = ["Host", "User-Agent", "Accept-Encoding", "Content-Length"];

/// The request for one try. `casing` is that of [`SENT_FIRST`] and of the lines of `outgoing`.
pub(super) fn of(
    target: &Target,
    outgoing: &Outgoing<'_>,
    user_agent: &HeaderValue,
    casing: &Casing,
    is_http2: bool,
) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(outgoing.body.clone()));
    request.method_mut().clone_from(&outgoing.method);
    let path = outgoing.target.unwrap_or(&target.path);
    let uri = match is_http2 {
        true => format!("https://{}{path}", target.authority),
        false => path.to_owned(),
    };
    // A parsed URL's path, and what a dialect makes of it, is a request target; were it not, the peer would say so.
    *request.uri_mut() = uri.parse().unwrap_or_default();
    let headers = request.headers_mut();
    headers.reserve(casing.names.len());
    if let (false, Ok(authority)) = (is_http2, HeaderValue::from_str(&target.authority)) {
        headers.insert(HOST, authority);
    }
    headers.insert(USER_AGENT, user_agent.clone());
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(outgoing.body.len()));
    let given = casing.names.iter().skip(SENT_FIRST.len()).zip(&outgoing.headers);
    for (name, (_, value)) in given {
        if *name == USER_AGENT {
            headers.insert(name, value.clone());
        } else if !is_ours(name) {
            headers.append(name, value.clone());
        }
    }
    if !is_http2 {
        *request.extensions_mut() = casing.extensions.clone();
    }
    request
}

/// Lines that belong to the connection and the framing: no dialect and no endpoint sets them.
fn is_ours(name: &HeaderName) -> bool {
    const OURS: [HeaderName; 9] = [
        HOST,
        CONTENT_LENGTH,
        ACCEPT_ENCODING,
        http::header::CONNECTION,
        http::header::TRANSFER_ENCODING,
        http::header::TE,
        http::header::TRAILER,
        http::header::UPGRADE,
        http::header::EXPECT,
    ];
    OURS.contains(name)
}

//! Header names in exactly the casing given, on HTTP/1.1.
//!
//! `http` keeps names in lower case. hyper's encoder restores another spelling from an extension of the request whose type
//! is its own, and which only its parser makes: so a request head with the wanted names is handed to that parser, once
//! for each list of names, and the extension it leaves is put on every request.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Extensions, HeaderName};
use http_body_util::Empty;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;

/// A list of header names, ready for use.
#[derive(Debug)]
pub(super) struct Casing {
    given: Vec<Box<str>>,
    /// The same names, as `http` has them.
    pub(super) names: Vec<HeaderName>,
    /// What tells hyper how to spell them.
    pub(super) extensions: Extensions,
}

/// A name that is no header name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no header name")]
pub(super) struct BadName(String);

impl Casing {
    fn of<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self, BadName> {
        let given: Vec<Box<str>> = names.map(Box::from).collect();
        let names = given
            .iter()
            .map(|name| HeaderName::from_bytes(name.as_bytes()).map_err(|_| BadName(name.chars().take(100).collect())))
            .collect::<Result<_, _>>()?;
        let extensions = spelled(&given).unwrap_or_default();
        Ok(Self { given, names, extensions })
    }

    fn is_for<'a>(&self, names: impl Iterator<Item = &'a str>) -> bool {
        self.given.iter().map(|name| &**name).eq(names)
    }
}

/// The latest list of names of an endpoint: it changes with the endpoint, not with the delivery.
#[derive(Debug, Default)]
pub(super) struct LatestCasing(Mutex<Option<Arc<Casing>>>);

impl LatestCasing {
    /// The casing of these names, made anew only when they differ from the last ones.
    pub(super) fn of<'a>(&self, names: impl Iterator<Item = &'a str> + Clone) -> Result<Arc<Casing>, BadName> {
        let mut latest = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(casing) = latest.as_ref().filter(|casing| casing.is_for(names.clone())) {
            return Ok(Arc::clone(casing));
        }
        let casing = Arc::new(Casing::of(names)?);
        *latest = Some(Arc::clone(&casing));
        Ok(casing)
    }
}

/// Lets hyper's server parse a head with these names, and takes what it noted about them.
fn spelled(names: &[Box<str>]) -> Option<Extensions> {
    let mut head = String::from("POST / HTTP/1.1\r\n");
    for name in names {
        // Length and coding would be taken at their word, and a repeated length refused: zero is what there is.
        let value = match name.eq_ignore_ascii_case("content-length") {
            true => "0",
            false => "x",
        };
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");

    let (mut client, server) = tokio::io::duplex(head.len().max(1));
    client.write_all(head.as_bytes()).now_or_never()?.ok()?;
    let found = Mutex::new(None);
    let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
        let (parts, _) = request.into_parts();
        *found.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(parts.extensions);
        std::future::ready(Ok::<_, Infallible>(http::Response::new(Empty::<Bytes>::new())))
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.preserve_header_case(true);
    // Everything is in memory already: one poll parses it. The connection is dropped with its answer unread.
    let _unfinished = builder.serve_connection(TokioIo::new(server), service).now_or_never();
    found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

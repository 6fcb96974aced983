//! Where we may connect. Asked twice: about the text when a URL is saved, and about the socket address just before every
//! connection. The second is the boundary.

use std::net::SocketAddr;

use ipnet::IpNet;
use url::Url;

/// What the operator (never a tenant) opened and closed.
#[derive(Debug, Clone, Default)]
pub struct EgressPolicy {
    /// Exactly these are allowed although they are in the list of refused addresses.
    pub allow: Vec<AllowRule>,
    /// Plain HTTP is allowed, to allowed addresses too. For tests and closed networks.
    pub allow_http: bool,
    /// Our own public host name, which no endpoint may point at.
    pub own_host: Option<String>,
}

/// `CIDR[:port]`: `127.0.0.0/8:8443`, `10.2.0.0/16`, `[fd00::/8]:443`. `/0` is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllowRule {
    /// The addresses.
    pub net: IpNet,
    /// The port, where only one is allowed.
    pub port: Option<u16>,
}

/// Why a URL cannot be an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct UrlRefused {
    /// `endpoint_url_invalid`, `endpoint_url_forbidden`, `endpoint_url_scheme`, `endpoint_url_port`.
    pub code: &'static str,
    /// What is wrong and what is wanted. Repeats at most 100 characters of the URL.
    pub detail: String,
}

/// The address is not one we may connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address is not one that Watchbell may connect to")]
pub struct Forbidden;

impl EgressPolicy {
    /// Judges the text of a URL on saving: its spelling, scheme, host, port (rows A1–A11). Answers the normal form.
    ///
    /// # Errors
    /// With the code and the reason in words.
    pub fn check_url(&self, text: &str) -> Result<Url, UrlRefused> {
        let _ = text;
        unimplemented!()
    }

    /// Judges an address just before connecting to it.
    ///
    /// # Errors
    /// When it is refused.
    pub fn check_address(&self, address: SocketAddr) -> Result<(), Forbidden> {
        let _ = address;
        unimplemented!()
    }
}

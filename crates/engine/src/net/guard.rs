//! Where we may connect. Asked twice: about the text when a URL is saved, and about the socket address just before every
//! connection. The second is the boundary.
//!
//! The text is judged raw, before any parser has repaired it: URL parsers drop tabs and turn `\` into `/`. Then it is
//! parsed as browsers do, so that every spelling of an address (`0x7f.1`, `２１３０７０６４３３`) is one address.
//!
//! An operator's [`AllowRule`] opens exactly its addresses, on exactly its port. Names are not opened by it, but
//! `localhost`, which is an address by another name: where a name leads is judged when it is dialled.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;
use url::{Host, Url};
use watchbell_wire::dialect::Carrier;

pub use carried::Carried;
pub use ports::{DeniedPorts, NotAPort};

mod addresses;
mod carried;
mod names;
mod ports;
#[cfg(test)]
mod tests;

/// The longest URL that is taken, in characters.
const URL_LEN_MAX: usize = 2048;

/// How much of a URL an error repeats, in characters.
const ECHO_MAX: usize = 100;

/// What the operator (never a tenant) opened and closed.
#[derive(Debug, Clone, Default)]
pub struct EgressPolicy {
    /// Exactly these are allowed although they are in the list of refused addresses.
    pub allow: Vec<AllowRule>,
    /// Plain HTTP is allowed, to allowed addresses too. For tests and closed networks.
    pub allow_http: bool,
    /// Our own public host name, which no endpoint may point at.
    pub own_host: Option<String>,
    /// Where we listen ourselves: never connected to, whatever is allowed. An unspecified address stands for loopback too.
    pub own_addresses: Vec<SocketAddr>,
    /// Ports of other protocols.
    pub denied_ports: DeniedPorts,
    /// This network reaches IPv4 by NAT64: `64:ff9b::/96` is judged by the IPv4 address in it.
    pub nat64: bool,
}

/// `CIDR[:port]`: `127.0.0.0/8:8443`, `10.2.0.0/16`, `[fd00::/8]:443`. `/0` is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllowRule {
    /// The addresses.
    pub net: IpNet,
    /// The port, where only one is allowed.
    pub port: Option<u16>,
}

/// Why a text is no [`AllowRule`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllowRuleError {
    /// Not `CIDR[:port]`.
    #[error("not CIDR[:port], such as 10.2.0.0/16:8088 or [fd00::/8]:443")]
    Spelling,
    /// `/0` would switch the guard off.
    #[error("/0 would allow every address")]
    Everything,
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
        check_characters(text)?;
        let after_scheme = self.check_scheme(text)?;
        check_authority(after_scheme)?;
        self.check_http(Carrier::Http, text)
    }

    /// Judges host and port of a URL of HTTP's as those of `carrier`. Answers the normal form.
    fn check_http(&self, carrier: Carrier, text: &str) -> Result<Url, UrlRefused> {
        let mut url = Url::parse(text).map_err(|problem| refused_by_parser(problem, text))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("a user name or password in the URL is not taken"));
        }
        let port = url.port_or_known_default().unwrap_or_default();
        match url.host() {
            Some(Host::Ipv4(address)) => self.check_literal(carrier, address.into(), port)?,
            Some(Host::Ipv6(address)) => self.check_literal(carrier, address.into(), port)?,
            Some(Host::Domain(name)) => {
                let name = names::normal(name).map_err(invalid)?;
                self.check_name(carrier, &name, port)?;
                url.set_host(Some(&name)).map_err(|problem| refused_by_parser(problem, text))?;
            }
            None => return Err(invalid("the URL names no host")),
        }
        Ok(url)
    }

    /// As [`Self::check_url`], for who takes `https` alone: plain HTTP is left to addresses (and `localhost`) that the
    /// operator opened one by one. A name may lead anywhere, so for names [`Self::allow_http`] does not count.
    ///
    /// # Errors
    /// With the code and the reason in words.
    pub fn check_https_url(&self, text: &str) -> Result<Url, UrlRefused> {
        let url = self.check_url(text)?;
        let port = url.port_or_known_default().unwrap_or_default();
        let is_opened = match url.host() {
            Some(Host::Ipv4(address)) => self.opens(SocketAddr::new(address.into(), port)),
            Some(Host::Ipv6(address)) => self.opens(SocketAddr::new(address.into(), port)),
            Some(Host::Domain(name)) => loopback_addresses(port).any(|at| names::is_localhost(name) && self.opens(at)),
            None => false,
        };
        match url.scheme() == "https" || is_opened {
            true => Ok(url),
            false => Err(scheme_refused(url.scheme())),
        }
    }

    /// Judges an address just before connecting to it.
    ///
    /// # Errors
    /// When it is refused.
    pub fn check_address(&self, address: SocketAddr) -> Result<(), Forbidden> {
        self.check_address_for(Carrier::Http, address)
    }

    /// As [`Self::check_address`], for what another carrier takes there: its own ports are not another protocol's.
    ///
    /// # Errors
    /// When it is refused.
    pub fn check_address_for(&self, carrier: Carrier, address: SocketAddr) -> Result<(), Forbidden> {
        if address.port() == 0 || self.is_own(address) {
            return Err(Forbidden);
        }
        if self.opens(address) {
            return Ok(());
        }
        if self.is_port_denied(carrier, address.port()) || self.is_refused(address.ip()) {
            return Err(Forbidden);
        }
        Ok(())
    }

    fn check_scheme<'a>(&self, text: &'a str) -> Result<&'a str, UrlRefused> {
        let (scheme, rest) = text
            .split_once(':')
            .filter(|(scheme, _)| is_scheme(scheme))
            .ok_or_else(|| invalid("the URL has no scheme; https:// is wanted"))?;
        let known = scheme.eq_ignore_ascii_case("https") || (self.allow_http && scheme.eq_ignore_ascii_case("http"));
        if !known {
            return Err(scheme_refused(scheme));
        }
        match rest.strip_prefix("//") {
            Some(after) if !after.is_empty() && !after.starts_with('/') => Ok(after),
            _ => Err(invalid("https:// and a host are wanted")),
        }
    }

    fn check_literal(&self, carrier: Carrier, address: IpAddr, port: u16) -> Result<(), UrlRefused> {
        if self.is_own(SocketAddr::new(address, port)) {
            return Err(forbidden("the URL's host is this server"));
        }
        if self.opens(SocketAddr::new(address, port)) {
            return Ok(());
        }
        if self.is_refused(address) {
            return Err(forbidden("the URL's address is not one that Watchbell may connect to"));
        }
        self.check_port(carrier, port)
    }

    fn check_name(&self, carrier: Carrier, name: &str, port: u16) -> Result<(), UrlRefused> {
        if names::is_localhost(name) {
            return match loopback_addresses(port).any(|address| self.opens(address) && !self.is_own(address)) {
                true => Ok(()),
                false => Err(forbidden("the URL names this machine")),
            };
        }
        if names::is_refused(name) {
            return Err(forbidden("the URL's host is a name of an internal network"));
        }
        if self.own_host.as_deref().is_some_and(|own| names::is_same(own, name)) {
            return Err(forbidden("the URL's host is this server"));
        }
        self.check_port(carrier, port)
    }

    fn is_refused(&self, address: IpAddr) -> bool {
        match addresses::embedded_in_nat64(address) {
            Some(embedded) if self.nat64 => addresses::is_refused(embedded.into()),
            Some(_) | None => addresses::is_refused(address),
        }
    }

    /// Whether we listen there ourselves.
    fn is_own(&self, address: SocketAddr) -> bool {
        self.own_addresses.iter().any(|own| {
            let same_host = own.ip() == address.ip() || (own.ip().is_unspecified() && address.ip().is_loopback());
            own.port() == address.port() && same_host
        })
    }

    /// Whether the operator opened exactly this address.
    fn opens(&self, address: SocketAddr) -> bool {
        self.allow.iter().any(|rule| rule.covers(address))
    }

    fn is_port_denied(&self, carrier: Carrier, port: u16) -> bool {
        self.denied_ports.contains(port) && !carried::ports(carrier).contains(&port)
    }

    fn check_port(&self, carrier: Carrier, port: u16) -> Result<(), UrlRefused> {
        // Where a name leads is not known yet: a rule for the port lets the text pass, the address is judged on dialling.
        if self.is_port_denied(carrier, port) && !self.allow.iter().any(|rule| rule.port == Some(port)) {
            return Err(port_refused(format!("port {port} belongs to another protocol")));
        }
        Ok(())
    }
}

/// The addresses that `localhost` stands for.
pub(crate) fn loopback_addresses(port: u16) -> impl Iterator<Item = SocketAddr> {
    [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
        .into_iter()
        .map(move |address| SocketAddr::new(address, port))
}

/// Whether a name in normal form is `localhost` or below it: those are never asked of a name server.
pub(crate) fn is_localhost(name: &str) -> bool {
    names::is_localhost(name)
}

impl AllowRule {
    /// Whether the rule opens this address. An IPv4 rule does not open the same address written inside IPv6.
    fn covers(&self, address: SocketAddr) -> bool {
        self.net.contains(&address.ip()) && self.port.is_none_or(|port| port == address.port())
    }
}

impl FromStr for AllowRule {
    type Err = AllowRuleError;

    fn from_str(text: &str) -> Result<Self, AllowRuleError> {
        let (net, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (net, port) = rest.split_once(']').ok_or(AllowRuleError::Spelling)?;
                match port {
                    "" => (net, None),
                    _ => (net, Some(port.strip_prefix(':').ok_or(AllowRuleError::Spelling)?)),
                }
            }
            // A bare IPv6 network has colons of its own and so no port.
            None if text.matches(':').count() > 1 => (text, None),
            None => match text.split_once(':') {
                Some((net, port)) => (net, Some(port)),
                None => (text, None),
            },
        };
        let net: IpNet =
            net.parse().or_else(|_| net.parse::<IpAddr>().map(IpNet::from)).map_err(|_| AllowRuleError::Spelling)?;
        if net.prefix_len() == 0 {
            return Err(AllowRuleError::Everything);
        }
        let port = port.map(|port| parse_port(port).ok_or(AllowRuleError::Spelling)).transpose()?;
        Ok(Self { net: net.trunc(), port })
    }
}

impl fmt::Display for AllowRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.net, self.port) {
            (net, None) => net.fmt(f),
            (IpNet::V4(net), Some(port)) => write!(f, "{net}:{port}"),
            (IpNet::V6(net), Some(port)) => write!(f, "[{net}]:{port}"),
        }
    }
}

fn check_characters(text: &str) -> Result<(), UrlRefused> {
    if text.chars().count() > URL_LEN_MAX {
        return Err(invalid("the URL has more than 2048 characters"));
    }
    if text.is_empty() {
        return Err(invalid("the URL is empty"));
    }
    if text.chars().any(|c| c == '\\' || c.is_control() || c.is_whitespace()) {
        return Err(invalid("the URL holds a blank, a control character or a backslash"));
    }
    Ok(())
}

/// What stands between `//` and the path: no user, and a port that is spelled as one.
fn check_authority(after_scheme: &str) -> Result<(), UrlRefused> {
    let authority = after_scheme.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(invalid("a user name or password in the URL is not taken"));
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (literal, port) =
                rest.split_once(']').ok_or_else(|| invalid("the bracket around the address is not closed"))?;
            // Zone ids, IPv4 and names do not belong into brackets.
            if literal.parse::<Ipv6Addr>().is_err() {
                return Err(invalid("what stands in brackets is no IPv6 address"));
            }
            match port {
                "" => (literal, None),
                _ => (literal, Some(port.strip_prefix(':').ok_or_else(|| invalid("the host is misspelled"))?)),
            }
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err(invalid("the URL names no host"));
    }
    match port {
        Some(port) if parse_port(port).is_none() => {
            Err(port_refused(format!("{} is no port; 1 to 65535 is wanted", echo(port))))
        }
        _ => Ok(()),
    }
}

fn parse_port(text: &str) -> Option<u16> {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?.filter(|port| *port != 0)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn refused_by_parser(problem: url::ParseError, text: &str) -> UrlRefused {
    // The query may hold a credential.
    let text = text.split(['?', '#']).next().unwrap_or_default();
    if problem == url::ParseError::InvalidPort {
        return port_refused(format!("the port of {} is no port", echo(text)));
    }
    invalid(format!("{} is no URL: {problem}", echo(text)))
}

fn echo(text: &str) -> String {
    text.chars().take(ECHO_MAX).collect()
}

fn invalid(detail: impl Into<String>) -> UrlRefused {
    UrlRefused { code: "endpoint_url_invalid", detail: detail.into() }
}

fn scheme_refused(scheme: &str) -> UrlRefused {
    UrlRefused { code: "endpoint_url_scheme", detail: format!("the scheme is {}; https is wanted", echo(scheme)) }
}

fn forbidden(detail: &str) -> UrlRefused {
    UrlRefused { code: "endpoint_url_forbidden", detail: detail.to_owned() }
}

fn port_refused(detail: String) -> UrlRefused {
    UrlRefused { code: "endpoint_url_port", detail }
}

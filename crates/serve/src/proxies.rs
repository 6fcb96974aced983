//! Who is asking when a proxy passes the request on (`server.trusted_proxies`).
//!
//! `X-Forwarded-For` is written by anybody. Each proxy adds at the end whom it was asked by, so the list is read from the
//! end, and only as long as the address that said so is one of the operator's own proxies.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies that are believed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl From<Vec<IpNet>> for TrustedProxies {
    fn from(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }
}

impl TrustedProxies {
    /// Whether the address is a proxy's.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The address that a request came from.
    pub(super) fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        if !self.contain(peer.ip()) {
            return peer;
        }
        let lines: Vec<_> = headers.get_all(X_FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok()).collect();
        let mut client = peer;
        for entry in lines.iter().flat_map(|line| line.split(',')).rev() {
            let Some(address) = address_of(entry.trim()) else { break };
            client = address;
            if !self.contain(client.ip()) {
                break;
            }
        }
        client
    }
}

/// An address, with a port where the proxy adds one.
fn address_of(entry: &str) -> Option<SocketAddr> {
    if let Ok(with_port) = entry.parse() {
        return Some(with_port);
    }
    let address: IpAddr = entry.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    Some(SocketAddr::new(address.to_canonical(), 0))
}

/// What limits for each address count by: an IPv6 customer has a whole network of addresses.
pub fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use rstest::rstest;

    use super::*;

    fn client(peer: &str, lines: &[&'static str]) -> String {
        let proxies = TrustedProxies(["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).to_vec());
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_static(line));
        }
        proxies.client(SocketAddr::new(peer.parse().unwrap(), 1), &headers).ip().to_string()
    }

    #[rstest]
    #[case::a_stranger_is_not_believed("192.0.2.9", &["198.51.100.1"], "192.0.2.9")]
    #[case::no_header("10.0.0.1", &[], "10.0.0.1")]
    #[case::one("10.0.0.1", &["198.51.100.1"], "198.51.100.1")]
    #[case::what_the_client_wrote_is_before("10.0.0.1", &["1.1.1.1, 198.51.100.1"], "198.51.100.1")]
    #[case::two_lines("10.0.0.1", &["1.1.1.1", "198.51.100.1, 10.0.0.2"], "198.51.100.1")]
    #[case::nonsense_ends_it("10.0.0.1", &["198.51.100.1, x, 10.0.0.2"], "10.0.0.2")]
    #[case::port("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1")]
    #[case::v6("fd00::1", &["[2001:db8::1]:4711"], "2001:db8::1")]
    #[case::mapped("::ffff:10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1")]
    #[case::proxies_alone("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3")]
    fn c16_the_last_that_is_no_proxy(#[case] peer: &str, #[case] lines: &[&'static str], #[case] wanted: &str) {
        assert_eq!(client(peer, lines), wanted);
    }

    #[rstest]
    #[case("192.0.2.1", "192.0.2.1")]
    #[case("::ffff:192.0.2.1", "192.0.2.1")]
    #[case("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::")]
    fn a_network_counts_as_one(#[case] address: &str, #[case] counted_as: &str) {
        assert_eq!(counted(address.parse().unwrap()).to_string(), counted_as);
    }
}

//! URLs of the carriers that are not HTTP: a scheme, a host, a port and nothing else.
//!
//! The `url` crate parses hosts by the rules of browsers only under the schemes it knows; under others `0x7f.1` would be a
//! name. So the host is judged as that of an `https` URL, and what was judged is what is kept and dialled.

use url::{Host, Url};
use watchbell_wire::dialect::Carrier;

use super::{EgressPolicy, UrlRefused, check_authority, check_characters, echo, invalid, is_scheme};

/// A scheme: its name, the port where the URL names none, and what it means.
struct Scheme {
    name: &'static str,
    port: u16,
    is_tls: bool,
    is_datagram: bool,
}

const SYSLOG: &[Scheme] = &[
    Scheme { name: "syslog+tcp", port: 514, is_tls: false, is_datagram: false },
    Scheme { name: "syslog+tls", port: 6514, is_tls: true, is_datagram: false },
    Scheme { name: "syslog+udp", port: 514, is_tls: false, is_datagram: true },
];

const SMTP: &[Scheme] = &[
    Scheme { name: "smtp", port: 587, is_tls: false, is_datagram: false },
    Scheme { name: "smtps", port: 465, is_tls: true, is_datagram: false },
];

/// The ports that belong to a carrier, though to HTTP they are another protocol's.
pub(super) const fn ports(carrier: Carrier) -> &'static [u16] {
    match carrier {
        Carrier::Http => &[],
        Carrier::Syslog => &[514, 601, 6514],
        Carrier::Smtp => &[25, 465, 587],
    }
}

const fn schemes(carrier: Carrier) -> &'static [Scheme] {
    match carrier {
        Carrier::Http => &[],
        Carrier::Syslog => SYSLOG,
        Carrier::Smtp => SMTP,
    }
}

/// A URL that was judged, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The normal form, with its port.
    pub url: Url,
    /// The host, as browsers read it.
    pub host: Host<String>,
    /// The port, given or the scheme's own.
    pub port: u16,
    /// TLS from the first byte.
    pub is_tls: bool,
    /// UDP.
    pub is_datagram: bool,
}

impl EgressPolicy {
    /// Judges the URL of an endpoint whose dialect goes by `carrier`. Answers the normal form.
    ///
    /// # Errors
    /// With the code and the reason in words.
    pub fn check_url_for(&self, carrier: Carrier, text: &str) -> Result<Url, UrlRefused> {
        match carrier {
            Carrier::Http => self.check_url(text),
            Carrier::Syslog | Carrier::Smtp => self.check_carried(carrier, text).map(|carried| carried.url),
        }
    }

    /// As [`Self::check_url_for`], of the carriers that are not HTTP.
    ///
    /// # Errors
    /// With the code and the reason in words.
    pub fn check_carried(&self, carrier: Carrier, text: &str) -> Result<Carried, UrlRefused> {
        check_characters(text)?;
        let wanted = || {
            let names: Vec<String> = schemes(carrier).iter().map(|scheme| format!("{}://", scheme.name)).collect();
            names.join(" or ")
        };
        let (given, rest) = text
            .split_once(':')
            .filter(|(scheme, _)| is_scheme(scheme))
            .ok_or_else(|| invalid(format!("the URL has no scheme; {} is wanted", wanted())))?;
        let scheme = schemes(carrier).iter().find(|scheme| scheme.name.eq_ignore_ascii_case(given));
        let scheme = scheme.ok_or_else(|| UrlRefused {
            code: "endpoint_url_scheme",
            detail: format!("the scheme is {}; {} is wanted", echo(given), wanted()),
        })?;
        let authority = rest
            .strip_prefix("//")
            .map(|rest| rest.strip_suffix('/').unwrap_or(rest))
            .filter(|authority| !authority.is_empty())
            .ok_or_else(|| invalid(format!("{}:// and a host are wanted", scheme.name)))?;
        check_authority(authority)?;
        if authority.contains(['/', '?', '#']) {
            return Err(invalid("the URL has a host and a port, and neither path nor query"));
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, after)| !after.contains(']'));
        let with_port = match has_port {
            true => authority.to_owned(),
            false => format!("{authority}:{}", scheme.port),
        };
        let judged = self.check_http(carrier, &format!("https://{with_port}/"))?;
        let host = judged.host().ok_or_else(|| invalid("the URL names no host"))?.to_owned();
        let port = judged.port_or_known_default().unwrap_or_default();
        let url = Url::parse(&format!("{}://{host}:{port}", scheme.name))
            .map_err(|problem| invalid(format!("the host cannot be written: {problem}")))?;
        Ok(Carried { url, host, port, is_tls: scheme.is_tls, is_datagram: scheme.is_datagram })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(carrier: Carrier, text: &str) -> Result<String, &'static str> {
        let policy = EgressPolicy { own_host: Some("hooks.example.org".to_owned()), ..EgressPolicy::default() };
        policy.check_url_for(carrier, text).map(|url| url.to_string()).map_err(|refused| refused.code)
    }

    #[test]
    fn each_carrier_has_its_schemes_and_ports() {
        let good = [
            (Carrier::Syslog, "syslog+tcp://log.example.com", "syslog+tcp://log.example.com:514"),
            (Carrier::Syslog, "SYSLOG+TLS://Log.Example.com/", "syslog+tls://log.example.com:6514"),
            (Carrier::Syslog, "syslog+udp://192.0.2.1.example.com:5140", "syslog+udp://192.0.2.1.example.com:5140"),
            (Carrier::Syslog, "syslog+tls://8.8.8.8:443", "syslog+tls://8.8.8.8:443"),
            (Carrier::Syslog, "syslog+tcp://[2606:4700::1111]", "syslog+tcp://[2606:4700::1111]:514"),
            (Carrier::Smtp, "smtp://mail.example.com", "smtp://mail.example.com:587"),
            (Carrier::Smtp, "smtp://mail.example.com:25", "smtp://mail.example.com:25"),
            (Carrier::Smtp, "smtps://bücher.example", "smtps://xn--bcher-kva.example:465"),
        ];
        for (carrier, text, normal) in good {
            assert_eq!(judged(carrier, text).as_deref(), Ok(normal), "{text}");
            assert_eq!(judged(carrier, normal).as_deref(), Ok(normal), "the normal form is its own");
        }
        for text in ["https://a.example.com", "smtp://a.example.com", "syslog://a.example.com", "http://a.example.com"]
        {
            assert_eq!(judged(Carrier::Syslog, text), Err("endpoint_url_scheme"), "{text}");
        }
        for text in ["syslog+tcp://a.example.com", "smtps://a.example.com"] {
            assert_eq!(judged(Carrier::Http, text), Err("endpoint_url_scheme"), "{text}");
        }
        for text in ["syslog+tcp://a.example.com:25", "syslog+tcp://a.example.com:22", "syslog+tcp://a.example.com:0"] {
            assert_eq!(judged(Carrier::Syslog, text), Err("endpoint_url_port"), "{text}");
        }
        assert_eq!(judged(Carrier::Smtp, "smtp://a.example.com:514"), Err("endpoint_url_port"));
        assert_eq!(judged(Carrier::Http, "https://a.example.com:6514"), Ok("https://a.example.com:6514/".to_owned()));
    }

    /// Rows A1 to A6: no scheme makes a spelling of an address a name.
    #[test]
    fn a1_every_spelling_of_an_address_is_that_address() {
        let hosts = [
            "127.0.0.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "127.1",
            "0x7f.1",
            "127.0.0.1.",
            "１２７.0.0.1",
            "①２７.0.0.1",
            "127。0。0。1",
            "%31%32%37.0.0.1",
            "10.1.2.3",
            "169.254.169.254",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "localhost",
            "a.localhost",
            "hooks.example.org",
        ];
        for host in hosts {
            for (carrier, scheme) in
                [(Carrier::Syslog, "syslog+udp"), (Carrier::Syslog, "syslog+tcp"), (Carrier::Smtp, "smtp")]
            {
                for port in ["", ":5514"] {
                    let text = format!("{scheme}://{host}{port}");
                    assert!(judged(carrier, &text).is_err(), "{text}");
                }
            }
        }
        let misspelled = [
            "syslog+tcp:",
            "syslog+tcp://",
            "syslog+tcp:/a",
            "syslog+tcp:///a",
            "syslog+tcp://u@a.example",
            "syslog+tcp://a.example/b",
            "syslog+tcp://a.example?b",
            "syslog+tcp://a.example#b",
            "syslog+tcp://a b",
            "syslog+tcp://a\\b",
            "syslog+tcp://a.example:",
            "syslog+tcp://a.example:x",
            "//a.example",
            "",
        ];
        for text in misspelled {
            assert!(judged(Carrier::Syslog, text).is_err(), "{text}");
        }
    }

    #[test]
    fn a19_an_opened_address_is_opened_on_its_port_alone() {
        let policy = EgressPolicy { allow: vec!["10.2.0.0/16:6514".parse().unwrap()], ..EgressPolicy::default() };
        assert!(policy.check_url_for(Carrier::Syslog, "syslog+tls://10.2.3.4").is_ok());
        assert!(policy.check_url_for(Carrier::Syslog, "syslog+tcp://10.2.3.4").is_err());
        let address = "203.0.113.7:25".parse().unwrap();
        assert!(policy.check_address_for(Carrier::Http, address).is_err());
        let public = "8.8.8.8:25".parse().unwrap();
        assert!(policy.check_address_for(Carrier::Smtp, public).is_ok());
        assert!(policy.check_address_for(Carrier::Syslog, public).is_err());
        assert!(policy.check_address(public).is_err());
    }
}

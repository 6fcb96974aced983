//! What no single setting can know: whether they fit together.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use watchbell_engine::admin::endpoint::OVERLAP_MAX;
use watchbell_engine::delivery::OptionsError;
use watchbell_engine::net::guard::AllowRule;

use super::options::{delivery_options, exchange_limits};
use super::value::Duration;
use super::{Config, Error};

/// More attempts than this are a mistake.
const ATTEMPTS_MAX: usize = 100;

/// Checks the settings as a whole.
pub(super) fn whole(config: &Config) -> Result<(), Error> {
    server(config)?;
    delivery(config)?;
    egress(config)?;
    storage(config)
}

fn server(config: &Config) -> Result<(), Error> {
    listen_address(&config.server.listen).map_err(|problem| Error::of_key("server.listen", problem))?;
    if let Some(text) = &config.server.public_url {
        public_url(text).map_err(|problem| Error::of_key("server.public_url", problem))?;
    }
    ingress(config)?;
    captures(config)?;
    let floors = [
        ("server.max_connections", config.server.max_connections),
        ("server.max_connections_per_address", config.server.max_connections_per_address),
        ("server.max_headers", config.server.max_headers.into()),
        ("server.max_streams", config.server.max_streams),
        ("json.max_depth", config.json.max_depth.into()),
        ("delivery.max_in_flight", config.delivery.max_in_flight),
        ("delivery.max_in_flight_per_org", config.delivery.max_in_flight_per_org),
        ("delivery.max_in_flight_per_endpoint", config.delivery.max_in_flight_per_endpoint),
    ];
    if let Some((key, _)) = floors.into_iter().find(|(_, value)| *value == 0) {
        return Err(Error::of_key(key, "must be at least 1"));
    }
    if config.json.max_depth > 256 {
        return Err(Error::of_key("json.max_depth", "must be at most 256"));
    }
    let sizes = [
        ("server.max_header_bytes", config.server.max_header_bytes, 4 << 10, 1 << 20),
        ("server.max_uri_bytes", config.server.max_uri_bytes, 256, 1 << 20),
        // A scanner's report must fit in.
        ("server.max_body_memory", config.server.max_body_memory, 64 << 20, 1 << 40),
        ("api.max_event_bytes", config.api.max_event_bytes, 1 << 10, 64 << 20),
        // A vendor's largest message must fit into what its refused ones may weigh.
        ("ingress.max_body_bytes", config.ingress.max_body_bytes, 1 << 10, 64 << 20),
        ("ingress.receipts_refused_bytes", config.ingress.receipts_refused_bytes, 64 << 10, 1 << 40),
        ("capture.max_inbox_bytes", config.capture.max_inbox_bytes, 64 << 10, 1 << 40),
        ("capture.max_body_bytes", config.capture.max_body_bytes, 1 << 10, 64 << 20),
        ("capture.max_read_bytes", config.capture.max_read_bytes, 1 << 10, 1 << 30),
        ("scan.max_bytes", config.scan.max_bytes, 1 << 20, 1 << 30),
        ("evidence.max_bytes", config.evidence.max_bytes, 1 << 20, 4 << 30),
        ("delivery.max_response_bytes", config.delivery.max_response_bytes, 0, 1 << 20),
        ("delivery.max_response_header_bytes", config.delivery.max_response_header_bytes, 8 << 10, 1 << 20),
    ];
    for (key, size, least, most) in sizes {
        if !(least..=most).contains(&size.get()) {
            return Err(Error::of_key(key, format!("must be from {least} to {most} bytes")));
        }
    }
    for proxy in &config.server.trusted_proxies {
        let network = network(proxy).map_err(|problem| Error::of_key("server.trusted_proxies", problem))?;
        if network.prefix_len() == 0 {
            let problem = format!("{proxy:?} is everybody: then anybody could say to be somebody else");
            return Err(Error::of_key("server.trusted_proxies", problem));
        }
    }
    Ok(())
}

/// What vendors sign anew with each attempt must be known again for longer than it is believed.
fn ingress(config: &Config) -> Result<(), Error> {
    let ingress = &config.ingress;
    if ingress.dedup_window.get() < ingress.tolerance.get() * 2 {
        let problem = format!(
            "{} is less than twice ingress.tolerance ({}): a message could come again as a new one",
            ingress.dedup_window, ingress.tolerance
        );
        return Err(Error::of_key("ingress.dedup_window", problem));
    }
    if ingress.rotation_overlap.get() > OVERLAP_MAX {
        return Err(Error::of_key("ingress.rotation_overlap", "must be at most 30 days"));
    }
    Ok(())
}

/// What is kept must be read, and fit in; what lives by itself must be allowed to.
fn captures(config: &Config) -> Result<(), Error> {
    let capture = &config.capture;
    for (key, most) in
        [("capture.max_read_bytes", capture.max_read_bytes), ("capture.max_inbox_bytes", capture.max_inbox_bytes)]
    {
        if most.get() < capture.max_body_bytes.get() {
            let problem = format!("{most} is less than capture.max_body_bytes ({})", capture.max_body_bytes);
            return Err(Error::of_key(key, problem));
        }
    }
    if capture.ttl < Duration::secs(60) || capture.max_ttl < capture.ttl {
        let problem = format!("must be from 1m to capture.max_ttl ({})", capture.max_ttl);
        return Err(Error::of_key("capture.ttl", problem));
    }
    if capture.max_waiting < capture.max_waiting_per_inbox {
        let problem = format!("is less than capture.max_waiting_per_inbox ({})", capture.max_waiting_per_inbox);
        return Err(Error::of_key("capture.max_waiting", problem));
    }
    Ok(())
}

/// An `http` or `https` URL of a host, without a path; answered without the slash at its end.
pub(crate) fn public_url(text: &str) -> Result<String, String> {
    let wanted = || format!("{text:?}: a URL such as \"https://hooks.example.com\", without a path, is wanted");
    let url = url::Url::parse(text).map_err(|_| wanted())?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.host().is_some()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    match is_plain {
        true => Ok(url.as_str().trim_end_matches('/').to_owned()),
        false => Err(wanted()),
    }
}

/// `IP` or `CIDR`.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let address = text.parse::<IpAddr>().map(IpNet::from);
    address
        .or_else(|_| text.parse())
        .map_err(|_| format!("{text:?}: an address or a network is wanted, such as \"10.0.0.7\" or \"10.0.0.0/8\""))
}

/// An address and port in figures, or `localhost:PORT`.
pub(crate) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let text = text.replacen("localhost:", "127.0.0.1:", 1);
    text.parse().map_err(|_| "an address and a port are wanted, such as \"127.0.0.1:8420\" or \"[::]:8420\"".to_owned())
}

fn delivery(config: &Config) -> Result<(), Error> {
    let delivery = &config.delivery;
    let attempts = delivery.retry_schedule.len();
    if attempts == 0 || attempts > ATTEMPTS_MAX {
        return Err(Error::of_key(
            "delivery.retry_schedule",
            "wants from 1 to 100 entries, one an attempt: [\"0s\", \"5s\", \"5m\"]",
        ));
    }
    for (key, wait) in [
        ("delivery.connect_timeout", delivery.connect_timeout),
        ("delivery.timeout", delivery.timeout),
        ("delivery.body_timeout", delivery.body_timeout),
        ("egress.dns_timeout", config.egress.dns_timeout),
        ("server.header_timeout", config.server.header_timeout),
        ("server.body_timeout", config.server.body_timeout),
        ("server.body_rate_window", config.server.body_rate_window),
        ("server.keep_alive", config.server.keep_alive),
        ("scan.upload_timeout", config.scan.upload_timeout),
        ("ingress.tolerance", config.ingress.tolerance),
        ("ingress.dedup_window", config.ingress.dedup_window),
        ("capture.max_request_age", config.capture.max_request_age),
    ] {
        if wait.get().is_zero() {
            return Err(Error::of_key(key, "must be longer than zero"));
        }
    }
    if delivery.connect_timeout > delivery.timeout {
        let problem = format!(
            "{} is longer than delivery.timeout ({}), which includes it",
            delivery.connect_timeout, delivery.timeout
        );
        return Err(Error::of_key("delivery.connect_timeout", problem));
    }
    Ok(())
}

fn egress(config: &Config) -> Result<(), Error> {
    for rule in &config.egress.allow {
        rule.parse::<AllowRule>().map_err(|problem| Error::of_key("egress.allow", format!("{rule:?}: {problem}")))?;
    }
    for server in &config.egress.dns_servers {
        if server.parse::<IpAddr>().is_err() && server.parse::<SocketAddr>().is_err() {
            return Err(Error::of_key(
                "egress.dns_servers",
                format!("{server:?}: an IP address is wanted, with :PORT where it is not 53"),
            ));
        }
    }
    Ok(())
}

/// What the delivery loop asks of its options: above all that a claim outlasts the longest attempt.
fn storage(config: &Config) -> Result<(), Error> {
    delivery_options(config).validate(&exchange_limits(config)).map_err(|error| {
        let key = match &error {
            OptionsError::Lease { .. } => "storage.lease",
            OptionsError::Zero(key) | OptionsError::Duration(key) => key,
        };
        let text = error.to_string();
        Error::of_key(key, text.strip_prefix(key).map_or(text.as_str(), str::trim_start))
    })
}

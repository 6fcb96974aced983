//! What no single setting can know: whether they fit together.

use std::net::{IpAddr, SocketAddr};

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
    let floors = [
        ("server.max_connections", config.server.max_connections),
        (
            "server.max_connections_per_address",
            config.server.max_connections_per_address,
        ),
        ("server.max_headers", config.server.max_headers.into()),
        ("json.max_depth", config.json.max_depth.into()),
        ("delivery.max_in_flight", config.delivery.max_in_flight),
        ("delivery.max_in_flight_per_org", config.delivery.max_in_flight_per_org),
        (
            "delivery.max_in_flight_per_endpoint",
            config.delivery.max_in_flight_per_endpoint,
        ),
    ];
    if let Some((key, _)) = floors.into_iter().find(|(_, value)| *value == 0) {
        return Err(Error::of_key(key, "must be at least 1"));
    }
    if config.json.max_depth > 256 {
        return Err(Error::of_key("json.max_depth", "must be at most 256"));
    }
    let sizes = [
        (
            "server.max_header_bytes",
            config.server.max_header_bytes,
            4 << 10,
            1 << 20,
        ),
        ("server.max_uri_bytes", config.server.max_uri_bytes, 256, 1 << 20),
        ("api.max_event_bytes", config.api.max_event_bytes, 1 << 10, 64 << 20),
        (
            "delivery.max_response_bytes",
            config.delivery.max_response_bytes,
            0,
            1 << 20,
        ),
        (
            "delivery.max_response_header_bytes",
            config.delivery.max_response_header_bytes,
            8 << 10,
            1 << 20,
        ),
    ];
    for (key, size, least, most) in sizes {
        if !(least..=most).contains(&size.get()) {
            return Err(Error::of_key(key, format!("must be from {least} to {most} bytes")));
        }
    }
    Ok(())
}

/// An address and port in figures, or `localhost:PORT`.
pub(crate) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let text = text.replacen("localhost:", "127.0.0.1:", 1);
    text.parse()
        .map_err(|_| "an address and a port are wanted, such as \"127.0.0.1:8420\" or \"[::]:8420\"".to_owned())
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
        allow_rule(rule).map_err(|problem| Error::of_key("egress.allow", format!("{rule:?}: {problem}")))?;
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

fn storage(config: &Config) -> Result<(), Error> {
    let attempt = config
        .delivery
        .timeout
        .get()
        .saturating_add(config.delivery.body_timeout.get());
    if config.storage.lease.get() <= attempt {
        let problem = format!(
            "{} must be longer than delivery.timeout ({}) and delivery.body_timeout ({}) together, or a delivery is sent twice",
            config.storage.lease, config.delivery.timeout, config.delivery.body_timeout,
        );
        return Err(Error::of_key("storage.lease", problem));
    }
    Ok(())
}

fn allow_rule(text: &str) -> Result<(), String> {
    const WANTED: &str = "CIDR or CIDR:PORT is wanted, such as \"10.2.0.0/16:8088\" or \"[fd00::/8]:443\"";
    let (net, port) = match text.rsplit_once("]:") {
        Some((net, port)) => (net.trim_start_matches('['), Some(port)),
        None => match text.rsplit_once(':') {
            Some((net, port)) if !net.contains(':') => (net, Some(port)),
            Some(_) | None => (text, None),
        },
    };
    let (address, prefix) = net.split_once('/').ok_or(WANTED)?;
    let address: IpAddr = address.parse().map_err(|_| WANTED)?;
    let prefix: u8 = prefix.parse().map_err(|_| WANTED)?;
    if port.is_some_and(|port| !matches!(port.parse::<u16>(), Ok(1..)))
        || prefix > if address.is_ipv4() { 32 } else { 128 }
    {
        return Err(WANTED.to_owned());
    }
    if prefix == 0 {
        return Err("/0 would switch the guard off; name the networks that are meant".to_owned());
    }
    Ok(())
}

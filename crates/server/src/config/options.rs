//! The settings as the parts of a node take them.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;

use jiff::SignedDuration;
use watchbell_api::body::BodyLimits;
use watchbell_api::limits::RateLimit;
use watchbell_api::{Options as EdgeOptions, capture, serve};
use watchbell_domain::capture::Keep;
use watchbell_domain::endpoint::RateLimit as SourceRate;
use watchbell_domain::receipt::Ring;
use watchbell_engine::delivery;
use watchbell_engine::evidence;
use watchbell_engine::net::client::Limits;
use watchbell_engine::receive;
use watchbell_engine::upkeep::{capture as upkeep_capture, receipts, retention};

use super::Config;
use super::check::{network, public_url};
use super::value::Rate;

/// Where name servers listen.
const DNS_PORT: u16 = 53;

/// How many bytes of a response are read for each one that is kept.
const READ_PER_KEPT: usize = 4;

/// Until clients have seen that the node is not ready any more.
const DRAIN: SignedDuration = SignedDuration::from_millis(500);

/// The delivery loop's.
pub(crate) fn delivery_options(config: &Config) -> delivery::Options {
    let settings = &config.delivery;
    delivery::Options {
        retry_schedule: settings.retry_schedule.iter().map(|wait| wait.get()).collect(),
        jitter_percent: settings.jitter.0,
        retry_after_max: settings.retry_after_max.get(),
        timeout: settings.timeout.get(),
        max_in_flight: settings.max_in_flight,
        max_in_flight_per_org: settings.max_in_flight_per_org,
        max_in_flight_per_endpoint: settings.max_in_flight_per_endpoint,
        lease: config.storage.lease.get(),
        shutdown_grace: config.shutdown.grace.get(),
        ..delivery::Options::default()
    }
}

/// The longest that a delivery or an endpoint is put off for, jitter included.
pub(crate) fn longest_wait(config: &Config) -> SignedDuration {
    let settings = &config.delivery;
    let waits = settings.retry_schedule.iter().map(|wait| wait.get());
    let longest = waits.max().unwrap_or_default().max(settings.retry_after_max.get());
    longest.saturating_mul(100 + i32::from(settings.jitter.0)) / 100
}

/// The retention loop's.
pub(crate) fn retention_options(config: &Config) -> retention::Options {
    let settings = &config.retention;
    retention::Options {
        attempts: settings.attempts.get(),
        deliveries: settings.deliveries.get(),
        events: settings.events.get(),
        audit: settings.audit.get(),
        ..retention::Options::default()
    }
}

/// The loop's that reads documents.
pub(crate) fn evidence_options(config: &Config) -> evidence::Options {
    evidence::Options { keep: config.retention.evidence.get(), ..evidence::Options::default() }
}

/// The bounds of one exchange with an endpoint.
pub(crate) fn exchange_limits(config: &Config) -> Limits {
    let settings = &config.delivery;
    let kept = settings.max_response_bytes.usize();
    Limits {
        connect_timeout: settings.connect_timeout.get(),
        body_timeout: settings.body_timeout.get(),
        head_bytes_max: settings.max_response_header_bytes.usize(),
        body_bytes_kept_max: kept,
        body_bytes_read_max: kept.saturating_mul(READ_PER_KEPT),
        ..Limits::default()
    }
}

/// The name servers to ask; none: the system's. Checked when the configuration was loaded.
pub(crate) fn dns_servers(config: &Config) -> Vec<SocketAddr> {
    let with_port = |text: &String| match text.parse::<IpAddr>() {
        Ok(address) => Some(SocketAddr::new(address, DNS_PORT)),
        Err(_) => text.parse().ok(),
    };
    config.egress.dns_servers.iter().filter_map(with_port).collect()
}

/// What vendors' requests are judged by.
fn receive_options(config: &Config) -> receive::Options {
    let settings = &config.ingress;
    receive::Options {
        tolerance: settings.tolerance.get(),
        max_event_age: settings.max_event_age.get(),
        dedup_window: settings.dedup_window.get(),
        rate_limit: match settings.rate_limit {
            Rate::Off => None,
            Rate::Limit { per_second, burst } => Some(SourceRate { per_second, burst }),
        },
        json_depth_max: config.json.max_depth.into(),
        ring: Ring { count_max: settings.receipts_refused.get(), bytes_max: settings.receipts_refused_bytes.get() },
    }
}

/// The loop's that forgets receipts.
pub(crate) fn receipts_options(config: &Config) -> receipts::Options {
    let settings = &config.ingress;
    receipts::Options {
        dedup_window: settings.dedup_window.get(),
        age_max: settings.receipts_max_age.get(),
        source_bytes_max: Some(settings.receipts_max_bytes.get()).filter(|bytes| *bytes > 0),
        ..receipts::Options::default()
    }
}

/// The loop's that removes old captures.
pub(crate) fn captures_options(config: &Config) -> upkeep_capture::Options {
    upkeep_capture::Options {
        request_age_max: config.capture.max_request_age.get(),
        ..upkeep_capture::Options::default()
    }
}

/// How much capture inboxes may be.
fn capture_options(config: &Config) -> capture::Options {
    let settings = &config.capture;
    let count = |count: NonZeroU32| usize::try_from(count.get()).unwrap_or(usize::MAX);
    capture::Options {
        inboxes_max: settings.max_inboxes.get(),
        keep: Keep { requests: settings.max_requests.get(), bytes: settings.max_inbox_bytes.get() },
        body_bytes_max: settings.max_body_bytes.usize(),
        read_bytes_max: settings.max_read_bytes.get(),
        per_inbox: limit(settings.rate_limit),
        per_address: limit(settings.rate_limit_per_address),
        ttl: settings.ttl.get(),
        ttl_max: settings.max_ttl.get(),
        waiting_per_inbox_max: count(settings.max_waiting_per_inbox),
        waiting_max: count(settings.max_waiting),
    }
}

fn limit(rate: Rate) -> Option<RateLimit> {
    match rate {
        Rate::Off => None,
        Rate::Limit { per_second, burst } => Some(RateLimit { per_second, burst }),
    }
}

/// The HTTP edge's.
pub(crate) fn edge_options(config: &Config, address: SocketAddr, cursor_key: [u8; 32]) -> EdgeOptions {
    let bodies = BodyLimits {
        event_bytes_max: config.api.max_event_bytes.get(),
        ingress_bytes_max: config.ingress.max_body_bytes.get(),
        report_bytes_max: config.scan.max_bytes.get(),
        evidence_bytes_max: config.evidence.max_bytes.get(),
        upload_timeout: config.scan.upload_timeout.get(),
        json_depth_max: config.json.max_depth.into(),
        timeout: config.server.body_timeout.get(),
        bytes_per_second_min: config.server.min_body_rate.get(),
        rate_window: config.server.body_rate_window.get(),
        memory_bytes_max: config.server.max_body_memory.get(),
        ..BodyLimits::default()
    };
    EdgeOptions {
        bodies,
        rate_limit: limit(config.api.rate_limit),
        failures_per_minute: config.auth.failures_per_minute,
        uri_bytes_max: config.server.max_uri_bytes.usize(),
        receive: receive_options(config),
        capture: capture_options(config),
        rotation_overlap: config.ingress.rotation_overlap.get(),
        // Checked when the configuration was loaded.
        public_url: match config.server.public_url.as_deref().map(public_url) {
            Some(Ok(url)) => url,
            Some(Err(_)) | None => format!("http://{address}"),
        },
        ..EdgeOptions::new(cursor_key)
    }
}

/// The accept loop's.
pub(crate) fn serve_options(config: &Config) -> serve::Options {
    let settings = &config.server;
    let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    serve::Options {
        header_timeout: settings.header_timeout.get(),
        header_bytes_max: settings.max_header_bytes.usize(),
        headers_max: settings.max_headers.into(),
        connections_max: count(settings.max_connections),
        connections_per_address_max: count(settings.max_connections_per_address),
        // Checked when the configuration was loaded.
        trusted_proxies: settings
            .trusted_proxies
            .iter()
            .filter_map(|proxy| network(proxy).ok())
            .collect::<Vec<_>>()
            .into(),
        keep_alive: settings.keep_alive.get(),
        streams_max: settings.max_streams,
        drain: DRAIN.min(config.shutdown.grace.get()),
        grace: config.shutdown.grace.get().saturating_sub(DRAIN).max(SignedDuration::ZERO),
    }
}

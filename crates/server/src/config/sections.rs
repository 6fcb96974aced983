//! The settings, one struct a section. Field names are the keys; the comments become the schema and the manual.

use std::num::NonZeroU32;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{Age, Duration, Percent, Ports, ProxyUrl, Rate, Size};

/// Every setting.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The HTTP listener.
    pub(crate) server: Server,
    /// What API callers may send.
    pub(crate) api: Api,
    /// Vendors' webhooks that come in.
    pub(crate) ingress: Ingress,
    /// Capture inboxes.
    pub(crate) capture: Capture,
    /// Failed logins.
    pub(crate) auth: Auth,
    /// JSON that is accepted.
    pub(crate) json: Json,
    /// Scanners' reports.
    pub(crate) scan: Scan,
    /// Documents that are uploaded.
    pub(crate) evidence: Evidence,
    /// How events are delivered.
    pub(crate) delivery: Delivery,
    /// When endpoints are disabled.
    pub(crate) endpoint: Endpoint,
    /// Where Watchbell may connect.
    pub(crate) egress: Egress,
    /// Where data is kept.
    pub(crate) storage: Storage,
    /// How long data is kept.
    pub(crate) retention: Retention,
    /// How secrets are kept.
    pub(crate) secrets: Secrets,
    /// How the server ends.
    pub(crate) shutdown: Shutdown,
    /// What is logged.
    pub(crate) log: Log,
}

/// The HTTP listener.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Server {
    /// Address and port to listen on; port 0 takes a free one.
    pub(crate) listen: String,
    /// What others reach this server by, such as `https://hooks.example.com`: the URLs of sources begin with it. Without it
    /// they begin with the address that is listened on.
    pub(crate) public_url: Option<String>,
    /// Longest wait for complete request headers.
    pub(crate) header_timeout: Duration,
    /// Longest wait for a complete request body.
    pub(crate) body_timeout: Duration,
    /// Fewest bytes of a request body a second, in each `body_rate_window`; 0: as slow as `body_timeout` lets it.
    pub(crate) min_body_rate: Size,
    /// How long a request body may be slower than `min_body_rate` before it is given up.
    pub(crate) body_rate_window: Duration,
    /// Most bytes of all request bodies that are read or worked on at a time; beyond it requests are answered 503.
    pub(crate) max_body_memory: Size,
    /// How long a connection may idle between requests, or its answers wait to be read.
    pub(crate) keep_alive: Duration,
    /// Most bytes of request headers.
    pub(crate) max_header_bytes: Size,
    /// Most request header lines.
    pub(crate) max_headers: u16,
    /// Longest request target.
    pub(crate) max_uri_bytes: Size,
    /// Most connections at once.
    pub(crate) max_connections: u32,
    /// Most connections at once from one client address; for IPv6, from one /64. Trusted proxies may have more.
    pub(crate) max_connections_per_address: u32,
    /// Most HTTP/2 requests at once on one connection.
    pub(crate) max_streams: u32,
    /// Addresses (`IP` or `CIDR`) of the proxies before Watchbell. Only what they say in `X-Forwarded-For` is believed.
    pub(crate) trusted_proxies: Vec<String>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8420".to_owned(),
            public_url: None,
            header_timeout: Duration::secs(10),
            body_timeout: Duration::secs(20),
            min_body_rate: Size::bytes(1 << 10),
            body_rate_window: Duration::secs(5),
            max_body_memory: Size::bytes(256 << 20),
            keep_alive: Duration::secs(60),
            max_header_bytes: Size::bytes(32 << 10),
            max_headers: 100,
            max_uri_bytes: Size::bytes(8 << 10),
            max_connections: 10_000,
            max_connections_per_address: 200,
            max_streams: 128,
            trusted_proxies: Vec::new(),
        }
    }
}

/// What API callers may send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Api {
    /// Largest event, in bytes of the request.
    pub(crate) max_event_bytes: Size,
    /// Requests of one key.
    pub(crate) rate_limit: Rate,
}

impl Default for Api {
    fn default() -> Self {
        Self { max_event_bytes: Size::bytes(1 << 20), rate_limit: Rate::limit(const { NonZeroU32::new(50).unwrap() }) }
    }
}

/// Vendors' webhooks that come in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Ingress {
    /// Largest request, in bytes of its body.
    pub(crate) max_body_bytes: Size,
    /// How far a signed time of sending may lie from this server's clock, on either side.
    pub(crate) tolerance: Duration,
    /// How old a signed time inside a body may be, unless the source says otherwise. `off`: any.
    pub(crate) max_event_age: Age,
    /// How long a request is known again: within it, the same delivery id or body of one source makes no second event.
    pub(crate) dedup_window: Duration,
    /// Requests of one source, unless it says otherwise.
    pub(crate) rate_limit: Rate,
    /// How long a source's old secret still proves requests after it was rotated.
    pub(crate) rotation_overlap: Duration,
    /// Receipts, from when their request came. `off`: for ever.
    pub(crate) receipts_max_age: Age,
    /// Most bytes of one source's accepted receipts; the oldest go first. 0: no limit.
    pub(crate) receipts_max_bytes: Size,
    /// Most refused requests of one source that are kept, and as many duplicates; the oldest go first.
    pub(crate) receipts_refused: NonZeroU32,
    /// Most bytes of one source's refused requests, and as many of its duplicates.
    pub(crate) receipts_refused_bytes: Size,
}

impl Default for Ingress {
    fn default() -> Self {
        Self {
            max_body_bytes: Size::bytes(5 << 20),
            tolerance: Duration::secs(300),
            max_event_age: Age::For(Duration::secs(24 * 3600)),
            dedup_window: Duration::secs(7 * 24 * 3600),
            rate_limit: Rate::Limit {
                per_second: const { NonZeroU32::new(100).unwrap() },
                burst: const { NonZeroU32::new(500).unwrap() },
            },
            rotation_overlap: Duration::secs(24 * 3600),
            receipts_max_age: Age::days(30),
            receipts_max_bytes: Size::bytes(1 << 30),
            receipts_refused: const { NonZeroU32::new(1000).unwrap() },
            receipts_refused_bytes: Size::bytes(16 << 20),
        }
    }
}

/// Capture inboxes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Capture {
    /// Most inboxes of one organisation.
    pub(crate) max_inboxes: NonZeroU32,
    /// Most requests that an inbox keeps; the oldest go first.
    pub(crate) max_requests: NonZeroU32,
    /// Most bytes that an inbox keeps, heads and bodies together; the oldest requests go first.
    pub(crate) max_inbox_bytes: Size,
    /// Bytes of a request's body that are kept.
    pub(crate) max_body_bytes: Size,
    /// Bytes of a request's body that are read before it is answered 413.
    pub(crate) max_read_bytes: Size,
    /// Requests to one inbox.
    pub(crate) rate_limit: Rate,
    /// Requests of one address, whatever inbox they name.
    pub(crate) rate_limit_per_address: Rate,
    /// How long an inbox lives, unless it is said when it is made.
    pub(crate) ttl: Duration,
    /// The longest it may.
    pub(crate) max_ttl: Duration,
    /// How long a request is kept at most, however long its inbox lives.
    pub(crate) max_request_age: Duration,
    /// Senders to one inbox that wait for a delayed answer at a time; beyond it they are answered 429.
    pub(crate) max_waiting_per_inbox: NonZeroU32,
    /// Senders to all inboxes that wait for a delayed answer at a time.
    pub(crate) max_waiting: NonZeroU32,
}

impl Default for Capture {
    fn default() -> Self {
        let rate = |per_second, burst| Rate::Limit { per_second, burst };
        Self {
            max_inboxes: const { NonZeroU32::new(50).unwrap() },
            max_requests: const { NonZeroU32::new(500).unwrap() },
            max_inbox_bytes: Size::bytes(16 << 20),
            max_body_bytes: Size::bytes(256 << 10),
            max_read_bytes: Size::bytes(8 << 20),
            rate_limit: rate(const { NonZeroU32::new(20).unwrap() }, const { NonZeroU32::new(100).unwrap() }),
            rate_limit_per_address: rate(
                const { NonZeroU32::new(50).unwrap() },
                const { NonZeroU32::new(200).unwrap() },
            ),
            ttl: Duration::secs(168 * 3600),
            max_ttl: Duration::secs(720 * 3600),
            max_request_age: Duration::secs(168 * 3600),
            max_waiting_per_inbox: const { NonZeroU32::new(16).unwrap() },
            max_waiting: const { NonZeroU32::new(256).unwrap() },
        }
    }
}

/// Failed logins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Auth {
    /// Wrong keys from one address before it has to wait.
    pub(crate) failures_per_minute: NonZeroU32,
}

impl Default for Auth {
    fn default() -> Self {
        Self { failures_per_minute: const { NonZeroU32::new(20).unwrap() } }
    }
}

/// JSON that is accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Json {
    /// Deepest nesting.
    pub(crate) max_depth: u16,
}

impl Default for Json {
    fn default() -> Self {
        Self { max_depth: 64 }
    }
}

/// Scanners' reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Scan {
    /// Largest report. It is on the data directory's disk while it is worked on.
    pub(crate) max_bytes: Size,
    /// Longest wait for a complete report or document; `server.min_body_rate` holds besides.
    pub(crate) upload_timeout: Duration,
}

impl Default for Scan {
    fn default() -> Self {
        Self { max_bytes: Size::bytes(256 << 20), upload_timeout: Duration::secs(15 * 60) }
    }
}

/// Documents that are uploaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Evidence {
    /// Largest document.
    pub(crate) max_bytes: Size,
}

impl Default for Evidence {
    fn default() -> Self {
        Self { max_bytes: Size::bytes(256 << 20) }
    }
}

/// How events are delivered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Delivery {
    /// Longest wait for DNS, TCP and TLS together.
    pub(crate) connect_timeout: Duration,
    /// Longest wait from the start of an attempt to complete response headers.
    pub(crate) timeout: Duration,
    /// Longest wait for the rest of the response.
    pub(crate) body_timeout: Duration,
    /// Bytes of a response body that are kept; four times as many are read.
    pub(crate) max_response_bytes: Size,
    /// Most bytes of response headers.
    pub(crate) max_response_header_bytes: Size,
    /// Most attempts in flight at once.
    pub(crate) max_in_flight: u32,
    /// Most attempts in flight at once for one organisation.
    pub(crate) max_in_flight_per_org: u32,
    /// Most attempts in flight at once to one endpoint, unless the endpoint says otherwise.
    pub(crate) max_in_flight_per_endpoint: u32,
    /// Waits before each attempt. As many entries as attempts; the first is the wait before the first.
    pub(crate) retry_schedule: Vec<Duration>,
    /// Added to each wait: from nothing to this share of it.
    pub(crate) jitter: Percent,
    /// A `Retry-After` beyond this is cut to it.
    pub(crate) retry_after_max: Duration,
}

impl Default for Delivery {
    fn default() -> Self {
        const HOUR: i64 = 3600;
        let schedule = [0, 5, 300, 1800, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
        Self {
            connect_timeout: Duration::secs(5),
            timeout: Duration::secs(20),
            body_timeout: Duration::secs(5),
            max_response_bytes: Size::bytes(16 << 10),
            max_response_header_bytes: Size::bytes(64 << 10),
            max_in_flight: 512,
            max_in_flight_per_org: 128,
            max_in_flight_per_endpoint: 10,
            retry_schedule: schedule.into_iter().map(Duration::secs).collect(),
            jitter: Percent(10),
            retry_after_max: Duration::secs(24 * HOUR),
        }
    }
}

/// When endpoints are disabled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Endpoint {
    /// An endpoint is disabled once it has had nothing but failures for so long, at least 20 of them: its deliveries are
    /// held until somebody resumes it, and an `endpoint.disabled` event tells of it. `off`: never.
    pub(crate) disable_after: Age,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self { disable_after: Age::days(5) }
    }
}

/// Where Watchbell may connect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Egress {
    /// Addresses to allow although they are private or reserved: `CIDR` or `CIDR:PORT`.
    pub(crate) allow: Vec<String>,
    /// Allow `http://` endpoints. For tests and closed networks only.
    pub(crate) allow_http: bool,
    /// DNS servers to ask (`IP` or `IP:PORT`) in place of the system's.
    pub(crate) dns_servers: Vec<String>,
    /// Longest wait for a DNS answer.
    pub(crate) dns_timeout: Duration,
    /// PEM file of certificate authorities to trust beside the system's.
    pub(crate) extra_ca_file: Option<PathBuf>,
    /// Ports that are never connected to, one by one or as ranges; in place of the list that is the default.
    pub(crate) denied_ports: Vec<Ports>,
    /// An HTTP proxy that every connection to an endpoint or token server goes through, by CONNECT. Addresses are judged
    /// before it is asked, and it is asked for addresses. The proxies of the environment are ignored.
    pub(crate) proxy: Option<ProxyUrl>,
    /// This network reaches IPv4 by NAT64: addresses below `64:ff9b::/96` are judged by the IPv4 address in them.
    pub(crate) nat64: bool,
    /// The public host name of this server, which no endpoint may point at.
    pub(crate) own_host: Option<String>,
}

impl Default for Egress {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            allow_http: false,
            dns_servers: Vec::new(),
            dns_timeout: Duration::secs(3),
            extra_ca_file: None,
            denied_ports: Ports::denied(),
            proxy: None,
            nat64: false,
            own_host: None,
        }
    }
}

/// Where data is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Storage {
    /// Directory of the database and the key file; made when it is not there.
    pub(crate) data: PathBuf,
    /// How long a claimed delivery is this process's alone. Longer than an attempt can take.
    pub(crate) lease: Duration,
    /// Free space on the data directory's file system below which nothing new is accepted; what was accepted before is
    /// still delivered. 0: until the disk is full.
    pub(crate) min_free_bytes: Size,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            data: PathBuf::from("./watchbell-data"),
            lease: Duration::secs(60),
            min_free_bytes: Size::bytes(256 << 20),
        }
    }
}

/// How long data is kept. What has not ended is kept however old it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Retention {
    /// Events, from when they were accepted; one with deliveries goes with the last of them. `off`: for ever.
    pub(crate) events: Age,
    /// Deliveries with their attempts, from when they ended; never longer than `retention.events`. `off`: as long as
    /// their events.
    pub(crate) deliveries: Age,
    /// What was tried for a delivery and what the endpoint answered, from when the delivery ended. `off`: as long as the
    /// delivery.
    pub(crate) attempts: Age,
    /// Entries of the audit log; the head of its chain stays. `off`: for ever.
    pub(crate) audit: Age,
    /// Documents and their content, from when they were read; what was found in them stays. `off`: for ever.
    pub(crate) evidence: Age,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            events: Age::days(90),
            deliveries: Age::days(90),
            attempts: Age::days(30),
            audit: Age::Off,
            evidence: Age::Off,
        }
    }
}

/// How secrets are kept.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Secrets {
    /// File of the key that seals secrets; without it `secrets.key` in the data directory, made on the first start.
    pub(crate) key_file: Option<PathBuf>,
}

/// How the server ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Shutdown {
    /// Longest wait for running attempts and requests.
    pub(crate) grace: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { grace: Duration::secs(25) }
    }
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives such as `warn,watchbell=debug`.
    pub(crate) level: String,
    /// How log lines look.
    pub(crate) format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "warn".to_owned(), format: LogFormat::Text }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

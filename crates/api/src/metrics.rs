//! Figures about requests, and the page that shows every figure of the node.
//!
//! Labels are bounded: routes are templates, methods and statuses few, nothing of a tenant.

use std::sync::Arc;

use http::{Method, StatusCode};
use jiff::SignedDuration;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// What the edge counts.
#[derive(Debug, Clone)]
pub struct Requests {
    answered: Family<Labels, Counter>,
    seconds: Family<RouteLabel, Histogram>,
    receipts: Family<ReceiptLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReceiptLabels {
    dialect: &'static str,
    verdict: &'static str,
}

impl Requests {
    /// Adds the edge's figures to a registry that others may add to as well.
    pub fn register(registry: &mut Registry) -> Self {
        let requests = Self {
            answered: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.000_5, 2.0, 16))),
            receipts: Family::default(),
        };
        let answered = requests.answered.clone();
        registry.register("watchbell_http_requests", "Requests answered", answered);
        let seconds = requests.seconds.clone();
        registry.register("watchbell_http_request_seconds", "Time to an answer", seconds);
        let receipts = requests.receipts.clone();
        registry.register("watchbell_receipts", "Requests of sources, by what became of them", receipts);
        requests
    }
}

/// The edge's figures and the registry they are shown from.
#[derive(Debug, Clone)]
pub struct Metrics {
    requests: Requests,
    registry: Arc<Registry>,
}

impl Metrics {
    /// Shows `registry`, into which `requests` was registered.
    pub fn new(requests: Requests, registry: Arc<Registry>) -> Self {
        Self { requests, registry }
    }

    pub(crate) fn request(&self, method: &Method, route: &str, status: StatusCode, took: SignedDuration) {
        let labels = Labels { method: known(method), route: route.to_owned(), status: status.as_u16() };
        self.requests.answered.get_or_create(&labels).inc();
        let route = RouteLabel { route: route.to_owned() };
        self.requests.seconds.get_or_create(&route).observe(took.as_secs_f64());
    }

    /// A source's request, kept or not.
    pub(crate) fn receipt(&self, dialect: &'static str, verdict: &'static str) {
        self.requests.receipts.get_or_create(&ReceiptLabels { dialect, verdict }).inc();
    }

    /// OpenMetrics text.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// A client may invent methods; a label must not.
fn known(method: &Method) -> &'static str {
    ["GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS"]
        .into_iter()
        .find(|known| method.as_str() == *known)
        .unwrap_or("other")
}

//! The node's own figures, read from the parts that keep them when somebody asks for `/metrics`.
//!
//! Nothing is counted here, and nothing that has to be searched for is shown: a scrape costs a few loads. Labels are
//! bounded: results are statuses and a fixed list of names, nothing of a tenant.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use watchbell_engine::delivery::Observer;
use watchbell_engine::upkeep::{poam, retention};
use watchbell_store::sqlite::SqliteStore;

/// What is shown beside the edge's figures.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) observer: Arc<Observer>,
    pub(crate) forgotten: Arc<retention::Observer>,
    pub(crate) plans: Arc<poam::Observer>,
    pub(crate) store: Arc<SqliteStore>,
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.attempts(&mut encoder)?;
        self.forgotten(&mut encoder)?;
        let in_flight = i64::try_from(self.observer.in_flight()).unwrap_or(i64::MAX);
        let name = "watchbell_deliveries_in_flight";
        let gauge = encoder.encode_descriptor(name, "Deliveries claimed and not settled", None, MetricType::Gauge)?;
        ConstGauge::new(in_flight).encode(gauge)?;
        let stats = self.store.stats();
        let counters = [
            ("watchbell_delivery_leases_lost", "Outcomes that came after their lease", self.observer.leases_lost()),
            (
                "watchbell_delivery_settle_failures",
                "Times the store did not take an outcome",
                self.observer.settle_failures(),
            ),
            (
                "watchbell_delivery_claim_failures",
                "Times the store did not hand out deliveries",
                self.observer.claim_failures(),
            ),
            ("watchbell_delivery_panics", "Attempts that panicked", self.observer.panics()),
            (
                "watchbell_delivery_loop_panics",
                "Times the delivery loop panicked and began anew",
                self.observer.loop_panics(),
            ),
            ("watchbell_poam_rings", "Plans of action that rang", self.plans.rung()),
            (
                "watchbell_poam_unreadable",
                "Times a plan of action was due and could not be read",
                self.plans.unreadable(),
            ),
            ("watchbell_store_commits", "Transactions committed", stats.commits),
            ("watchbell_store_units", "Writes that shared them", stats.units),
            ("watchbell_store_checkpoints", "Checkpoints of the log", stats.checkpoints),
        ];
        for (name, help, count) in counters {
            let counter = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(count).encode(counter)?;
        }
        Ok(())
    }
}

impl Figures {
    fn attempts(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let name = "watchbell_delivery_attempts";
        let mut family = encoder.encode_descriptor(name, "Attempts ended, by result", None, MetricType::Counter)?;
        for (result, count) in self.observer.attempts() {
            let result = result.name();
            let labels = [("result", result.as_ref())];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn forgotten(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let name = "watchbell_retention_removed";
        let mut family = encoder.encode_descriptor(name, "Old rows removed, by kind", None, MetricType::Counter)?;
        for (kind, count) in self.forgotten.removed() {
            ConstCounter::new(count).encode(family.encode_family(&[("kind", kind)])?)?;
        }
        let counters = [
            ("watchbell_retention_failures", "Passes that the store broke off", self.forgotten.failures()),
            (
                "watchbell_retention_given_back_bytes",
                "Bytes given back to the file system",
                self.forgotten.bytes_given_back(),
            ),
        ];
        for (name, help, count) in counters {
            let counter = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(count).encode(counter)?;
        }
        let gauges = [
            (
                "watchbell_retention_last_pass_timestamp_seconds",
                "When the last whole pass ended; 0: there was none",
                self.forgotten.last_pass(),
            ),
            (
                "watchbell_oldest_event_timestamp_seconds",
                "When the oldest event was accepted that was there after the last pass; 0: there is none",
                self.forgotten.oldest_event(),
            ),
        ];
        for (name, help, seconds) in gauges {
            let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(seconds).encode(gauge)?;
        }
        Ok(())
    }
}

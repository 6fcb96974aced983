//! What may be set about delivery, and which combinations refuse to run.

use jiff::SignedDuration;
use watchbell_domain::endpoint::EndpointPolicy;
use watchbell_domain::retry::RetryPolicy;

use crate::net::client::Limits;

/// What a lease must leave after the longest attempt, to write its outcome down.
const SETTLE_MARGIN: SignedDuration = SignedDuration::from_secs(10);

/// Longest wait between two attempts.
const WAIT_MAX: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How deliveries are made. Durations of an endpoint's own policy go before these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Waits before each attempt; n entries mean n attempts. The first is the wait before the first.
    pub retry_schedule: Vec<SignedDuration>,
    /// Added to each wait: 0 to this share of it, in percent.
    pub jitter_percent: u8,
    /// A `Retry-After` beyond this is cut to it.
    pub retry_after_max: SignedDuration,
    /// From the start of an attempt to complete response headers.
    pub timeout: SignedDuration,
    /// Deliveries in flight.
    pub max_in_flight: u32,
    /// … of one organisation.
    pub max_in_flight_per_org: u32,
    /// … to one endpoint.
    pub max_in_flight_per_endpoint: u32,
    /// How long a claim holds.
    pub lease: SignedDuration,
    /// How often the store is asked what is due.
    pub poll_every: SignedDuration,
    /// How long attempts may go on after a stop was asked for.
    pub shutdown_grace: SignedDuration,
}

impl Default for Options {
    fn default() -> Self {
        let schedule = [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
        Self {
            retry_schedule: schedule.map(SignedDuration::from_secs).to_vec(),
            jitter_percent: 10,
            retry_after_max: SignedDuration::from_hours(24),
            timeout: SignedDuration::from_secs(20),
            max_in_flight: 512,
            max_in_flight_per_org: 128,
            max_in_flight_per_endpoint: 10,
            lease: SignedDuration::from_secs(60),
            poll_every: SignedDuration::from_secs(5),
            shutdown_grace: SignedDuration::from_secs(25),
        }
    }
}

/// A combination that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// The claim would expire while its attempt is still running.
    #[error("storage.lease is {lease:#}, but an attempt may take {longest:#} with its margin")]
    Lease {
        /// As configured.
        lease: SignedDuration,
        /// At least this is needed.
        longest: SignedDuration,
    },
    /// Nothing could be sent.
    #[error("{0} must be at least 1")]
    Zero(&'static str),
    /// A duration below zero, or beyond its maximum.
    #[error("{0} must lie between 0 and 30 days")]
    Duration(&'static str),
}

impl Options {
    /// Checks that these options can work together with the client's bounds.
    ///
    /// # Errors
    /// With the first combination that cannot.
    pub fn validate(&self, limits: &Limits) -> Result<(), OptionsError> {
        let durations = [
            ("delivery.timeout", self.timeout),
            ("delivery.connect_timeout", limits.connect_timeout),
            ("delivery.body_timeout", limits.body_timeout),
            ("delivery.retry_after_max", self.retry_after_max),
            ("storage.lease", self.lease),
            ("shutdown.grace", self.shutdown_grace),
        ];
        let waits = self.retry_schedule.iter().map(|wait| ("delivery.retry_schedule", *wait));
        for (name, duration) in durations.into_iter().chain(waits) {
            if duration.is_negative() || duration > WAIT_MAX {
                return Err(OptionsError::Duration(name));
            }
        }
        let counts = [
            ("delivery.retry_schedule", self.retry_schedule.len()),
            ("delivery.max_in_flight", self.max_in_flight as usize),
            ("delivery.max_in_flight_per_org", self.max_in_flight_per_org as usize),
            ("delivery.max_in_flight_per_endpoint", self.max_in_flight_per_endpoint as usize),
        ];
        if let Some((name, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(OptionsError::Zero(name));
        }
        if !self.poll_every.is_positive() {
            return Err(OptionsError::Zero("delivery.poll_every"));
        }
        let longest = self.timeout + limits.body_timeout + SETTLE_MARGIN;
        match self.lease < longest {
            true => Err(OptionsError::Lease { lease: self.lease, longest }),
            false => Ok(()),
        }
    }

    /// How long a claimed delivery may wait to be begun, so that its claim outlasts the attempt.
    pub(super) fn longest_in_line(&self, own_timeout: Option<SignedDuration>, limits: &Limits) -> SignedDuration {
        let timeout = self.timeout_within_lease(own_timeout, limits);
        (self.lease - timeout - limits.body_timeout - SETTLE_MARGIN).max(SETTLE_MARGIN / 2)
    }

    /// An endpoint's own timeout, as far as the lease allows it.
    pub(super) fn timeout_within_lease(&self, own: Option<SignedDuration>, limits: &Limits) -> SignedDuration {
        let longest = self.lease - limits.body_timeout - SETTLE_MARGIN;
        own.unwrap_or(self.timeout).min(longest)
    }

    /// An endpoint's own schedule, or ours, as far as its `max_attempts` lets it go.
    pub(super) fn retry_policy(&self, own: &EndpointPolicy) -> RetryPolicy {
        let schedule = own.retry_schedule.as_ref().unwrap_or(&self.retry_schedule);
        let attempts = own.max_attempts.and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::MAX);
        RetryPolicy {
            schedule: schedule.iter().copied().take(attempts).collect(),
            jitter_percent: self.jitter_percent,
            retry_after_max: self.retry_after_max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_can_work() {
        assert_eq!(Options::default().validate(&Limits::default()), Ok(()));
    }

    #[test]
    fn a_lease_outlasts_the_longest_attempt() {
        let limits = Limits::default();
        let seconds = |lease| Options { lease: SignedDuration::from_secs(lease), ..Options::default() };
        assert_eq!(seconds(35).validate(&limits), Ok(()));
        assert!(matches!(seconds(34).validate(&limits), Err(OptionsError::Lease { .. })));
        let own = SignedDuration::from_secs(600);
        let capped = seconds(60).timeout_within_lease(Some(own), &limits);
        assert_eq!(capped, SignedDuration::from_secs(45));
    }

    #[test]
    fn most_attempts_cut_the_schedule_and_never_lengthen_it() {
        let options = Options::default();
        let length = |retry_schedule: Option<Vec<SignedDuration>>, max_attempts| {
            let own = EndpointPolicy { retry_schedule, max_attempts, ..EndpointPolicy::default() };
            options.retry_policy(&own).schedule.len()
        };
        assert_eq!(length(None, None), 10);
        assert_eq!(length(None, Some(3)), 3);
        let own = Some(vec![SignedDuration::ZERO; 2]);
        assert_eq!((length(own.clone(), Some(1)), length(own.clone(), Some(3)), length(own, None)), (1, 2, 2));
    }

    #[test]
    fn nothing_is_zero_or_negative() {
        let limits = Limits::default();
        let none = Options { retry_schedule: Vec::new(), ..Options::default() };
        assert_eq!(none.validate(&limits), Err(OptionsError::Zero("delivery.retry_schedule")));
        let negative = Options { timeout: SignedDuration::from_secs(-1), ..Options::default() };
        assert_eq!(negative.validate(&limits), Err(OptionsError::Duration("delivery.timeout")));
    }
}

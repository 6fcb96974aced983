//! What comes in becomes events with deliveries, in one commit.
//!
//! - [`event`]: events as an API caller posts them, one or many.
//! - [`scan`]: a scanner's report for a project.
//! - [`judge`]: what somebody says of a finding.
//!
//! Preparing is a matter of values: ids, the time and the data are arguments, and what comes out is an
//! [`Acceptance`](watchbell_domain::port::Acceptance). One call of a port then makes it true, and only after that call
//! is the delivery loop woken.

pub mod event;
pub mod judge;
pub mod scan;

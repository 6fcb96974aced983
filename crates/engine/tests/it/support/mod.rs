//! Stages and doubles.

pub(crate) mod dialect;
pub(crate) mod rig;
pub(crate) mod sink;
pub(crate) mod store;

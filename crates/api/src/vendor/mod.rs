//! APIs that speak as a vendor's own does: shapes, statuses and errors included.

pub(crate) mod snyk;

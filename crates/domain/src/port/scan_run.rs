//! Scans that are announced and ended by whoever runs them.

use super::{Acceptance, Once, Pending, Written};
use crate::id::{OrgId, ScanId};
use crate::scan_run::ScanRun;

/// Announced scans.
pub trait ScanRunStore: Send + Sync {
    /// Adds a scan that has begun, with its event. `Conflict` when there is one of this id.
    fn start_scan(&self, run: ScanRun, told: Acceptance, once: Option<Once>) -> Pending<'_, Written<()>>;

    /// One scan.
    fn scan_run(&self, org: OrgId, id: ScanId) -> Pending<'_, Option<ScanRun>>;

    /// Ends a scan, with its event. `Conflict` when it has ended.
    fn end_scan(&self, run: ScanRun, told: Acceptance, once: Option<Once>) -> Pending<'_, Written<()>>;
}

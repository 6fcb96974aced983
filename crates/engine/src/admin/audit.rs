//! Walking a chain of the audit log from its beginning, or from a place that is known to hold.

use watchbell_domain::audit::{Broken, Chain, Head};
use watchbell_domain::port::{AuditStore, StoreError};

/// Entries read at once.
const STEP: u32 = 500;

/// How far a walk came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walked {
    /// Behind which entry it began.
    pub from: Head,
    /// The last entry that holds.
    pub head: Head,
    /// Entries that hold.
    pub checked: u64,
    /// The first that does not.
    pub broken: Option<Broken>,
    /// Whether the walk came to the end, or to a break.
    pub is_complete: bool,
}

/// Checks at most so many entries behind `known`, or behind what was dropped for its age.
///
/// # Errors
/// What the store says.
pub async fn walk(store: &dyn AuditStore, chain: Chain, known: Option<Head>, most: u64) -> Result<Walked, StoreError> {
    let from = match known {
        Some(known) => known,
        None => store.audit_checkpoint(chain).await?,
    };
    let mut walked = Walked { from, head: from, checked: 0, broken: None, is_complete: false };
    while walked.checked < most {
        let entries = store.audit_behind(chain, walked.head.number, STEP).await?;
        if entries.is_empty() {
            walked.is_complete = true;
            break;
        }
        for entry in entries {
            if let Err(broken) = entry.follows(walked.head, chain) {
                return Ok(Walked { broken: Some(broken), is_complete: true, ..walked });
            }
            walked.head = entry.head();
            walked.checked += 1;
        }
    }
    Ok(walked)
}

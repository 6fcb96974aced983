//! The audit log, read; and what other routes write into it.

use serde::Serialize;
use serde_json::Value;

/// What a change is about, as the audit log keeps it: a view, whose secrets are masked.
pub(crate) fn audited<T: Serialize>(view: &T) -> Value {
    // Only maps with keys that are no text fail, and views are structs.
    serde_json::to_value(view).unwrap_or_default()
}

//! Evidence: documents that are uploaded, kept by their hash, and read in the background.
//!
//! ```text
//!  body ─▶ spool ─▶ content/<org>/<sha256>, synced ─▶ row, pending ─▶ 202
//!                                                        │
//!  Service: waiting rows ─▶ read ─▶ (components only: match advisories) ─▶ state + scan + events in one commit
//! ```
//!
//! A 202 is a promise: content and row are on disk by then. A process that dies leaves rows that wait, and they are found
//! again; what it had done of them was in no commit yet, so nothing happens twice.

use std::io;

use watchbell_domain::audit::Deed;
use watchbell_domain::evidence::Evidence;
use watchbell_domain::id::{EvidenceId, OrgId};
use watchbell_domain::port::{EvidenceStore, StoreError, Terms, Written};

use crate::spool::Spooled;

mod content;
mod copy;
mod read;
mod service;

pub use content::Content;
pub use copy::{Copied, copy};
pub use service::{Options, Parts, Service};

/// Why a document was not taken or deleted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused.
    #[error("the content cannot be kept: {0}")]
    File(#[from] io::Error),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keeps a document: its content, then what is known of it. When it answers, both are on disk.
///
/// # Errors
/// [`Error`]. Nothing is kept then.
pub async fn add(
    store: &dyn EvidenceStore,
    content: &Content,
    evidence: Evidence,
    body: Spooled,
    terms: Terms,
) -> Result<Written<()>, Error> {
    let (org, sha256) = (evidence.org_id, evidence.sha256);
    // Nobody removes the content between its file and its row.
    let _turn = content.turn().await;
    content.keep(org, body).await?;
    let written = store.create_evidence(evidence, terms).await;
    if !matches!(written, Ok(Written::Fresh(()))) && !store.has_content(org, sha256).await? {
        content.remove(org, sha256).await?;
    }
    Ok(written?)
}

/// Deletes a document, and its content with the last that has it. `false`: there is none.
///
/// # Errors
/// [`Error`].
pub async fn delete(
    store: &dyn EvidenceStore,
    content: &Content,
    org: OrgId,
    id: EvidenceId,
    deed: Option<Deed>,
) -> Result<bool, Error> {
    let _turn = content.turn().await;
    let Some(removed) = store.delete_evidence(org, id, deed).await? else { return Ok(false) };
    if removed.is_last {
        content.remove(org, removed.sha256).await?;
    }
    Ok(true)
}

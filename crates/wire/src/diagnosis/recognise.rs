//! Which dialect a request looks like, for somebody who does not know. Proves nothing: everybody may send such headers.

use bytes::Bytes;

use super::header;
use super::shown;
use crate::dialect::ALL;
use crate::{Dialect, Headers, Unverified};

/// A dialect that it may be.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) dialect: &'static Dialect,
    weight: usize,
    /// Why, in words.
    pub(super) evidence: Vec<String>,
}

/// A header that only this dialect has.
const OWN_HEADER: usize = 4;
/// Its signature header under another name.
const RENAMED: usize = 3;
/// The shape of its body.
const SHAPE: usize = 2;
/// A header that others have too.
const COMMON_HEADER: usize = 1;

/// Those it looks like, the likeliest first.
pub(super) fn candidates(headers: &Headers, body: &[u8]) -> Vec<Candidate> {
    let request = Unverified::new(headers.clone(), Bytes::copy_from_slice(body));
    let mut found: Vec<Candidate> = ALL.iter().filter_map(|dialect| candidate(dialect, &request)).collect();
    // Stable: among equals the order of the dialects decides.
    found.sort_by_key(|candidate| std::cmp::Reverse(candidate.weight));
    found
}

/// Whether a request looks like `dialect` more than a shared header would make it.
pub(super) fn candidate(dialect: &'static Dialect, request: &Unverified) -> Option<Candidate> {
    let inbound = dialect.inbound?;
    let headers = request.headers();
    let (mut weight, mut evidence) = (0, Vec::new());
    let (wanted, _) = header::probe(dialect, 0x5a)?;
    let is_there = |name: &str| headers.all(name).next().is_some();
    for header in wanted.iter().filter(|header| is_there(header.name)) {
        match header.name.to_ascii_lowercase().as_str() {
            "content-type" | "user-agent" => {}
            "authorization" => {
                weight += COMMON_HEADER;
                evidence.push("it has a bearer token".to_owned());
            }
            _ => {
                weight += OWN_HEADER;
                evidence.push(format!("it has the header {}", header.name));
            }
        }
    }
    let scheme = header::scheme_of(dialect)?;
    if !is_there(&scheme.header)
        && let Some(given) = header::read(&scheme, headers)
    {
        weight += RENAMED;
        evidence.extend(given.faults.first().map(|fault| shown_fault(&fault.detail)));
    }
    if inbound.resembles(request) {
        weight += SHAPE;
        evidence.push("what it says has the shape of its messages".to_owned());
    }
    (weight > 0).then_some(Candidate { dialect, weight, evidence })
}

/// The first clause of a finding.
fn shown_fault(detail: &str) -> String {
    shown(detail.split([':', ';']).next().unwrap_or_default())
}

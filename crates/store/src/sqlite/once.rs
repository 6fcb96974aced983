//! Writes that happen once however often they are sent.
//!
//! The answer is stored, sealed, in the commit of the write it belongs to: either both are there or neither is. Writes go
//! through one thread, so fifty at once are one after the other here.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, params};
use watchbell_domain::id::OrgId;
use watchbell_domain::port::{Answer, Once, Written};

use super::error::Result;
use super::row::{Columns, micros};
use super::writer::Tx;
use crate::seal::Place;

/// How long a key is remembered.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

const FIND: &str = "SELECT request, answer FROM idempotency WHERE org_id = ?1 AND key = ?2 AND created_at > ?3";
const REMEMBER: &str = "INSERT OR REPLACE INTO idempotency (org_id, key, request, answer, created_at) \
                        VALUES (?1, ?2, ?3, ?4, ?5)";
// A few at a time, beside a write that pays for a commit anyway: more than come in, so they never gather.
const FORGET: &str = "DELETE FROM idempotency WHERE (org_id, key) IN \
                      (SELECT org_id, key FROM idempotency WHERE created_at <= ?1 ORDER BY created_at LIMIT ?2)";
const FORGET_WITH_EACH: u32 = 4;

/// Does `work`, or answers what it was answered before. `now` is the time of the write.
pub(super) fn once<T>(
    tx: &mut Tx<'_>,
    org: OrgId,
    now: Timestamp,
    once: Option<&Once>,
    work: impl FnOnce(&mut Tx<'_>) -> Result<T>,
) -> Result<Written<T>> {
    let Some(once) = once else {
        return work(tx).map(Written::Fresh);
    };
    let org_bytes = org.0.as_bytes();
    let place = Place { org, object: once.key.as_bytes(), table: "idempotency", field: "answer" };
    let forgotten = micros(now.saturating_sub(REMEMBERED).unwrap_or(Timestamp::MIN));
    let found = tx
        .conn
        .prepare_cached(FIND)?
        .query_row(params![org_bytes, once.key, forgotten], |row| {
            let columns = Columns::of("idempotency", row);
            Ok(columns.get::<[u8; 32]>("request").and_then(|request| Ok((request, columns.get::<Vec<u8>>("answer")?))))
        })
        .optional()?
        .transpose()?;
    if let Some((request, answer)) = found {
        if request != once.request {
            return Ok(Written::KeyReused);
        }
        let answer = tx.vault.open(place, &answer)?;
        return Ok(Written::Repeated(decode(&answer)));
    }
    let done = work(tx)?;
    let answer = tx.vault.seal(place, &encode(&once.answer))?;
    tx.conn.prepare_cached(REMEMBER)?.execute(params![org_bytes, once.key, once.request, answer, micros(now)])?;
    tx.conn.prepare_cached(FORGET)?.execute(params![forgotten, FORGET_WITH_EACH])?;
    Ok(Written::Fresh(done))
}

/// Forgets answers that are not good any more at `now`: those that no later write takes along.
pub(super) fn forget(tx: &Tx<'_>, now: Timestamp, limit: u32) -> Result<u64> {
    let forgotten = micros(now.saturating_sub(REMEMBERED).unwrap_or(Timestamp::MIN));
    let removed = tx.conn.prepare_cached(FORGET)?.execute(params![forgotten, limit])?;
    Ok(u64::try_from(removed).unwrap_or(u64::MAX))
}

/// Status, then body.
fn encode(answer: &Answer) -> Vec<u8> {
    let mut bytes = answer.status.to_be_bytes().to_vec();
    bytes.extend_from_slice(&answer.body);
    bytes
}

/// What was authenticated was written by [`encode`], so it has its two bytes.
fn decode(bytes: &[u8]) -> Answer {
    match bytes.split_first_chunk() {
        Some((status, body)) => Answer { status: u16::from_be_bytes(*status), body: body.to_vec() },
        None => Answer { status: 500, body: Vec::new() },
    }
}

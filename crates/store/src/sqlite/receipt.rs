//! Receipts: taken with their events in one commit, kept within bounds, forgotten by age.
//!
//! Whether a request was here before is decided where it is written, by the one writer: of fifty at once the first is new,
//! and one that was refused for want of room has left nothing behind.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use uuid::Uuid;
use watchbell_domain::id::{EventId, OrgId, ReceiptId, SourceId};
use watchbell_domain::port::{
    Acceptance, Forgetting, Forgotten, Page, PageRequest, Pending, ReceiptFilter, ReceiptStore, Reception, Retaking,
    Saying, StoreError, Taking, Terms, Written,
};
use watchbell_domain::receipt::{DedupKey, KeptRequest, Kind, Receipt, Ring, Verdict};

use super::error::Result;
use super::event::accept_said;
use super::page::{self, before};
use super::receipt_row::{self, kind_code};
use super::row::{micros, signed};
use super::writer::Tx;
use super::{SqliteStore, audit, receipt_keys, witness};

const WEIGHTS: &str = "SELECT id, bytes FROM receipt INDEXED BY receipt_source \
    WHERE source_id = ?1 AND kind = ?2 ORDER BY id DESC";
const CUT: &str = "DELETE FROM receipt WHERE number IN (SELECT number FROM receipt INDEXED BY receipt_source \
    WHERE source_id = ?1 AND kind = ?2 AND id <= ?3 ORDER BY id LIMIT ?4)";
const FIND: &str = "SELECT * FROM receipt WHERE org_id = ?1 AND id = ?2";
/// What a list shows: all but the body.
const SHOWN: &str = "receipt.org_id, receipt.id, receipt.source_id, verdict, status, received_at, address, method, \
    headers, body_bytes, detail, vendor_event, events, of_receipt, x'' AS body";

// Numbers rise with time: what is behind the first young one is younger.
const FORGET: &str = "DELETE FROM receipt WHERE number IN (SELECT number FROM receipt ORDER BY number LIMIT ?2) \
    AND received_at < ?1";
const HAS_OLD: &str = "SELECT ifnull((SELECT received_at FROM receipt ORDER BY number LIMIT 1) < ?1, 0)";
const SOURCES: &str = "SELECT id FROM source";

impl ReceiptStore for SqliteStore {
    fn take(&self, taking: Taking) -> Pending<'_, Reception> {
        self.add_often(move |tx| take(tx, &taking))
    }

    fn keep_refused(&self, receipt: Receipt, ring: Ring) -> Pending<'_, ()> {
        self.add(move |tx| keep(tx.conn, &receipt, ring))
    }

    fn retake(&self, retaking: Retaking, terms: Terms) -> Pending<'_, Written<()>> {
        self.add(move |tx| {
            let receipt = &retaking.receipt;
            audit::on(tx, receipt.org_id, receipt.received_at, &terms, |tx| {
                if first_by(tx, receipt, &retaking.keys, retaking.window)?.is_some() {
                    return Err(StoreError::Conflict("the request was taken already").into());
                }
                admit(tx, receipt, &retaking.keys, &retaking.acceptance, retaking.saying.as_ref())
            })
        })
    }

    fn receipt(&self, org: OrgId, id: ReceiptId) -> Pending<'_, Option<Receipt>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached(FIND)?;
            let found = query.query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| Ok(receipt_row::decode(row)));
            found.optional()?.transpose()
        })
    }

    fn receipts(&self, org: OrgId, filter: ReceiptFilter, page: PageRequest) -> Pending<'_, Page<Receipt>> {
        self.read(move |read| list(read.conn, org, filter, page))
    }

    fn forget_receipts(&self, forgetting: Forgetting) -> Pending<'_, Forgotten> {
        Box::pin(async move {
            // Asked of a reader: mostly there is nothing to do, and the writer is left alone.
            let old = self.read(move |read| look(read.conn, forgetting)).await?;
            if !old.is_any() {
                return Ok(Forgotten::default());
            }
            self.write(move |tx| forget(tx, forgetting, &old)).await
        })
    }
}

fn take(tx: &mut Tx<'_>, taking: &Taking) -> Result<Reception> {
    let receipt = &taking.receipt;
    if let Some(of) = first_by(tx, receipt, &taking.keys, taking.window)? {
        keep(tx.conn, &repeated(receipt, of), taking.ring)?;
        return Ok(Reception::Duplicate { of });
    }
    admit(tx, receipt, &taking.keys, &taking.acceptance, taking.saying.as_ref())?;
    Ok(Reception::New)
}

/// The receipt of the request that was taken by one of these names within the window.
fn first_by(
    tx: &mut Tx<'_>,
    receipt: &Receipt,
    keys: &[DedupKey],
    window: SignedDuration,
) -> Result<Option<ReceiptId>> {
    let forgotten = receipt.received_at.saturating_sub(window).unwrap_or(Timestamp::MIN);
    for key in keys {
        if let Some(first) = tx.receipt_keys.find(tx.conn, *key, forgotten)? {
            return Ok(Some(first));
        }
    }
    Ok(None)
}

/// The receipt of a request that was here before. What it said stands in the first one's.
fn repeated(receipt: &Receipt, of: ReceiptId) -> Receipt {
    let request = KeptRequest { body: bytes::Bytes::new(), ..receipt.request.clone() };
    Receipt { request, verdict: Verdict::Duplicate, events: Vec::new(), of: Some(of), ..receipt.clone() }
}

/// Writes an authentic request, the names it is known again by, and its events.
fn admit(
    tx: &mut Tx<'_>,
    receipt: &Receipt,
    keys: &[DedupKey],
    acceptance: &Acceptance,
    saying: Option<&Saying>,
) -> Result<()> {
    for key in keys {
        tx.receipt_keys.remember(tx.conn, *key, receipt.id, receipt.received_at)?;
    }
    let Some(saying) = saying else {
        if !acceptance.events.is_empty() {
            accept_said(tx, acceptance)?;
        }
        return receipt_row::insert(tx.conn, receipt);
    };
    let weighed = witness::weigh(tx, saying, acceptance)?;
    let events = acceptance.events.iter().cloned().chain(weighed.events).collect();
    let acceptance = Acceptance { events, ..acceptance.clone() };
    if !acceptance.events.is_empty() {
        accept_said(tx, &acceptance)?;
    }
    let events = acceptance.events.iter().map(|new| EventId(new.event.id)).collect();
    let told = receipt.detail.iter().cloned().chain(weighed.notes).collect::<Vec<_>>().join("; ");
    let detail = Some(told).filter(|told| !told.is_empty());
    receipt_row::insert(tx.conn, &Receipt { events, detail, ..receipt.clone() })
}

/// Keeps one of those of which only so many are kept.
fn keep(conn: &Connection, receipt: &Receipt, ring: Ring) -> Result<()> {
    receipt_row::insert(conn, receipt)?;
    let (source, kind) = (receipt.source_id, receipt.verdict.kind());
    if let Some(last) = beyond(conn, source, kind, Some(ring.count_max), ring.bytes_max)? {
        cut(conn, source, kind, last, u32::MAX)?;
    }
    Ok(())
}

/// The newest receipt that is too many.
fn beyond(
    conn: &Connection,
    source: SourceId,
    kind: Kind,
    count_max: Option<u32>,
    bytes_max: u64,
) -> Result<Option<ReceiptId>> {
    let mut query = conn.prepare_cached(WEIGHTS)?;
    let mut rows = query.query(params![source.0.as_bytes(), kind_code(kind)])?;
    let (mut count, mut bytes) = (0, 0_i64);
    while let Some(row) = rows.next()? {
        count += 1;
        bytes = bytes.saturating_add(row.get(1)?);
        // The newest one stays, however large.
        if count > 1 && (count_max.is_some_and(|max| count > max) || bytes > signed(bytes_max)) {
            return Ok(Some(ReceiptId(Uuid::from_bytes(row.get(0)?))));
        }
    }
    Ok(None)
}

fn cut(conn: &Connection, source: SourceId, kind: Kind, last: ReceiptId, limit: u32) -> Result<u64> {
    let mut cut = conn.prepare_cached(CUT)?;
    let gone = cut.execute(params![source.0.as_bytes(), kind_code(kind), last.0.as_bytes(), limit])?;
    Ok(u64::try_from(gone).unwrap_or_default())
}

fn list(conn: &Connection, org: OrgId, filter: ReceiptFilter, page: PageRequest) -> Result<Page<Receipt>> {
    let mut values = vec![Value::Blob(org.0.as_bytes().to_vec()), Value::Blob(before(page).to_vec())];
    values.push(Value::Integer(page::fetch(page).into()));
    let mut wanted = String::new();
    let mut demand = |condition: &str, of: Vec<Value>| {
        let first = values.len() + 1;
        let places: Vec<String> = (first..first + of.len()).map(|place| format!("?{place}")).collect();
        values.extend(of);
        let mut places = places.into_iter();
        let parts = condition.split('?').map(|part| format!("{part}{}", places.next().unwrap_or_default()));
        wanted.push_str(" AND ");
        wanted.push_str(&parts.collect::<String>());
    };
    if let Some(verdict) = filter.verdict {
        demand("verdict = ?", vec![Value::Text(verdict.as_str().to_owned())]);
    }
    if let Some(event) = filter.event_id {
        let (from, to) = receipt_row::around(event);
        let of = [from, to, *event.0.as_bytes()].map(|bytes| Value::Blob(bytes.to_vec()));
        demand("id >= ? AND id < ? AND instr(events, ?) > 0", of.to_vec());
    }
    let statement = match filter.source_id {
        None => format!("SELECT {SHOWN} FROM receipt WHERE org_id = ?1 AND id < ?2{wanted} ORDER BY id DESC LIMIT ?3"),
        Some(source) => {
            values.push(Value::Blob(source.0.as_bytes().to_vec()));
            let source = values.len();
            // Each kind is in order by itself: of each only as many are looked at as the page has.
            let kinds = match filter.verdict {
                Some(verdict) => vec![verdict.kind()],
                None => vec![Kind::Taken, Kind::Repeated, Kind::Refused],
            };
            let of_kind = |kind: &Kind| {
                format!(
                    "SELECT * FROM (SELECT number FROM receipt INDEXED BY receipt_source WHERE source_id = ?{source} \
                     AND kind = {} AND id < ?2{wanted} ORDER BY id DESC LIMIT ?3)",
                    kind_code(*kind)
                )
            };
            let found = kinds.iter().map(of_kind).collect::<Vec<_>>().join(" UNION ALL ");
            format!("SELECT {SHOWN} FROM receipt WHERE number IN ({found}) AND org_id = ?1 ORDER BY id DESC LIMIT ?3")
        }
    };
    let mut query = conn.prepare_cached(&statement)?;
    page::collect(page, query.query(params_from_iter(values))?, receipt_row::decode)
}

/// What a reader found to be too old, or too much.
#[derive(Debug, Default)]
struct Old {
    has_keys: bool,
    has_receipts: bool,
    /// Up to which receipt each source's go.
    beyond: BTreeMap<SourceId, ReceiptId>,
}

impl Old {
    fn is_any(&self) -> bool {
        self.has_keys || self.has_receipts || !self.beyond.is_empty()
    }
}

fn look(conn: &Connection, forgetting: Forgetting) -> Result<Old> {
    let mut old = Old { has_keys: receipt_keys::has_old(conn, forgetting.keys_before)?, ..Old::default() };
    if let Some(before) = forgetting.receipts_before {
        old.has_receipts = conn.prepare_cached(HAS_OLD)?.query_row([micros(before)], |row| row.get(0))?;
    }
    if let Some(bytes_max) = forgetting.source_bytes_max {
        let mut query = conn.prepare_cached(SOURCES)?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let source = SourceId(Uuid::from_bytes(row.get(0)?));
            if let Some(last) = beyond(conn, source, Kind::Taken, None, bytes_max)? {
                old.beyond.insert(source, last);
            }
        }
    }
    Ok(old)
}

fn forget(tx: &mut Tx<'_>, forgetting: Forgetting, old: &Old) -> Result<Forgotten> {
    let limit = forgetting.limit;
    let keys = if old.has_keys { tx.receipt_keys.forget(tx.conn, forgetting.keys_before, limit)? } else { 0 };
    let mut receipts = match forgetting.receipts_before {
        Some(before) => {
            let gone = tx.conn.prepare_cached(FORGET)?.execute(params![micros(before), limit])?;
            u64::try_from(gone).unwrap_or_default()
        }
        None => 0,
    };
    for (source, last) in &old.beyond {
        let left = u64::from(limit).saturating_sub(receipts);
        receipts += cut(tx.conn, *source, Kind::Taken, *last, u32::try_from(left).unwrap_or(u32::MAX))?;
    }
    Ok(Forgotten { keys, receipts })
}

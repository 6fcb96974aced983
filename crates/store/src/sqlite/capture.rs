//! Capture inboxes, and the requests that they were sent: numbered in the commit that keeps them.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use watchbell_domain::audit::Deed;
use watchbell_domain::capture::{CaptureAnswer, Captured, Inbox, InboxToken, Keep};
use watchbell_domain::id::{CaptureId, CapturedId, OrgId};
use watchbell_domain::port::{CaptureStore, CapturedSince, Page, PageRequest, Pending, StoreError, Terms, Written};

use super::error::{OrConflict, Result};
use super::page::{self, before};
use super::row::{Columns, corrupt, micros, signed};
use super::vault::Vault;
use super::writer::Tx;
use super::{SqliteStore, audit};
use crate::seal::Place;

const TABLE: &str = "capture_request";

const INSERT: &str = "INSERT INTO capture (org_id, id, token, name, answer, created_at, expires_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const COUNT: &str = "SELECT count(*) FROM capture WHERE org_id = ?1";
const FIND: &str = "SELECT * FROM capture WHERE org_id = ?1 AND id = ?2";
const BY_TOKEN: &str = "SELECT capture.* FROM capture JOIN org ON org.id = capture.org_id \
    WHERE token = ?1 AND expires_at > ?2 AND org.state = 'active'";
const LIST: &str = "SELECT * FROM capture WHERE org_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
const DELETE: &str = "DELETE FROM capture WHERE org_id = ?1 AND id = ?2";
const EMPTY: &str = "DELETE FROM capture_request WHERE org_id = ?1 AND capture_id = ?2";

const NUMBER: &str = "UPDATE capture SET last_number = last_number + 1, kept = kept + 1, kept_bytes = kept_bytes + ?3 \
    WHERE org_id = ?1 AND id = ?2 RETURNING last_number, kept, kept_bytes";
const RECORD: &str = "INSERT INTO capture_request (org_id, capture_id, number, id, received_at, bytes, head, body) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const OLDEST: &str = "SELECT number, bytes FROM capture_request WHERE org_id = ?1 AND capture_id = ?2 \
    ORDER BY number LIMIT 1";
const DROP: &str = "DELETE FROM capture_request WHERE org_id = ?1 AND capture_id = ?2 AND number = ?3";
const LESS: &str = "UPDATE capture SET kept = kept - 1, kept_bytes = kept_bytes - ?3 WHERE org_id = ?1 AND id = ?2";

const REQUESTS: &str = "SELECT org_id, capture_id, number, id, received_at, head, x'' AS body FROM capture_request \
    WHERE org_id = ?1 AND capture_id = ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4";
const SINCE: &str = "SELECT * FROM capture_request WHERE org_id = ?1 AND capture_id = ?2 AND number > ?3 \
    ORDER BY number LIMIT ?4";
const LAST: &str = "SELECT last_number FROM capture WHERE org_id = ?1 AND id = ?2";
const KEPT_SINCE: &str = "SELECT count(*) FROM capture_request WHERE org_id = ?1 AND capture_id = ?2 AND number > ?3";
const REQUEST: &str = "SELECT * FROM capture_request WHERE org_id = ?1 AND capture_id = ?2 AND id = ?3";

const OLD: &str = "SELECT org_id, capture_id, number, bytes FROM capture_request INDEXED BY capture_request_age \
    WHERE received_at < ?1 ORDER BY received_at LIMIT ?2";
const EXPIRED: &str = "SELECT org_id, id FROM capture INDEXED BY capture_expiry WHERE expires_at <= ?1 \
    ORDER BY expires_at LIMIT 1";
const EMPTY_SOME: &str = "DELETE FROM capture_request WHERE org_id = ?1 AND capture_id = ?2 AND number IN \
    (SELECT number FROM capture_request WHERE org_id = ?1 AND capture_id = ?2 LIMIT ?3)";

impl CaptureStore for SqliteStore {
    fn create_capture(&self, inbox: Inbox, inboxes_max: u32, terms: Terms) -> Pending<'_, Written<()>> {
        self.add(move |tx| audit::on(tx, inbox.org_id, inbox.created_at, &terms, |tx| create(tx, &inbox, inboxes_max)))
    }

    fn capture(&self, org: OrgId, id: CaptureId) -> Pending<'_, Option<Inbox>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached(FIND)?;
            query.query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| Ok(inbox(row))).optional()?.transpose()
        })
    }

    fn capture_by_token(&self, token: InboxToken, now: Timestamp) -> Pending<'_, Option<Inbox>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached(BY_TOKEN)?;
            query.query_row(params![token.0, micros(now)], |row| Ok(inbox(row))).optional()?.transpose()
        })
    }

    fn captures(&self, org: OrgId, page: PageRequest) -> Pending<'_, Page<Inbox>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached(LIST)?;
            page::collect(page, query.query(params![org.0.as_bytes(), before(page), page::fetch(page)])?, inbox)
        })
    }

    fn delete_capture(&self, org: OrgId, id: CaptureId, deed: Option<Deed>) -> Pending<'_, bool> {
        self.write(move |tx| {
            let key = params![org.0.as_bytes(), id.0.as_bytes()];
            tx.conn.prepare_cached(EMPTY)?.execute(key)?;
            let is_deleted = tx.conn.prepare_cached(DELETE)?.execute(key)? == 1;
            audit::note(tx, org, deed.as_ref().filter(|_| is_deleted))?;
            Ok(is_deleted)
        })
    }

    fn record_capture(&self, request: Captured, keep: Keep) -> Pending<'_, Option<u64>> {
        self.add(move |tx| record(tx, &request, keep))
    }

    fn captured(&self, org: OrgId, inbox: CaptureId, page: PageRequest) -> Pending<'_, Page<Captured>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached(REQUESTS)?;
            let key = params![org.0.as_bytes(), inbox.0.as_bytes(), before(page), page::fetch(page)];
            page::collect(page, query.query(key)?, |row| captured(row, read.vault))
        })
    }

    fn captured_since(
        &self,
        org: OrgId,
        inbox: CaptureId,
        after: u64,
        limit: u32,
    ) -> Pending<'_, Option<CapturedSince>> {
        self.read(move |read| {
            let key = params![org.0.as_bytes(), inbox.0.as_bytes()];
            let last: Option<i64> = read.conn.prepare_cached(LAST)?.query_row(key, |row| row.get(0)).optional()?;
            let Some(last) = last else { return Ok(None) };
            let key = params![org.0.as_bytes(), inbox.0.as_bytes(), signed(after)];
            let kept: i64 = read.conn.prepare_cached(KEPT_SINCE)?.query_row(key, |row| row.get(0))?;
            let mut query = read.conn.prepare_cached(SINCE)?;
            let mut rows = query.query(params![org.0.as_bytes(), inbox.0.as_bytes(), signed(after), limit])?;
            let mut requests = Vec::new();
            while let Some(row) = rows.next()? {
                requests.push(captured(row, read.vault)?);
            }
            let behind = last.saturating_sub(signed(after)).max(0);
            let missed = u64::try_from(behind.saturating_sub(kept)).unwrap_or_default();
            Ok(Some(CapturedSince { requests, last_number: u64::try_from(last).unwrap_or_default(), missed }))
        })
    }

    fn captured_request(&self, org: OrgId, inbox: CaptureId, id: CapturedId) -> Pending<'_, Option<Captured>> {
        self.read(move |read| find(read.conn, read.vault, org, inbox, id))
    }

    fn delete_captured(&self, org: OrgId, inbox: CaptureId, id: CapturedId, deed: Option<Deed>) -> Pending<'_, bool> {
        self.write(move |tx| {
            let Some(found) = find(tx.conn, tx.vault, org, inbox, id)? else { return Ok(false) };
            let_go(tx.conn, org, inbox, signed(found.number), signed(found.kept_bytes()))?;
            audit::note(tx, org, deed.as_ref())?;
            Ok(true)
        })
    }

    fn expire_captures(&self, now: Timestamp, before: Timestamp, limit: u32) -> Pending<'_, u64> {
        Box::pin(async move {
            // Asked of a reader: mostly there is nothing to do, and the writer is left alone.
            let is_any = self.read(move |read| is_any_old(read.conn, now, before)).await?;
            if !is_any {
                return Ok(0);
            }
            self.write(move |tx| expire(tx.conn, now, before, limit)).await
        })
    }
}

fn create(tx: &Tx<'_>, inbox: &Inbox, inboxes_max: u32) -> Result<()> {
    let there: i64 = tx.conn.prepare_cached(COUNT)?.query_row([inbox.org_id.0.as_bytes()], |row| row.get(0))?;
    if there >= i64::from(inboxes_max) {
        return Err(StoreError::Conflict("the organisation has as many capture inboxes as it may").into());
    }
    let answer = Answer::from(&inbox.answer);
    let answer = serde_json::to_string(&answer)
        .map_err(|problem| corrupt("capture", "answer", inbox.id.to_string(), problem))?;
    let inserted = tx.conn.prepare_cached(INSERT)?.execute(params![
        inbox.org_id.0.as_bytes(),
        inbox.id.0.as_bytes(),
        inbox.token.0,
        inbox.name,
        answer,
        micros(inbox.created_at),
        micros(inbox.expires_at),
    ]);
    inserted.or_conflict("a capture inbox of this name exists")?;
    Ok(())
}

fn record(tx: &Tx<'_>, request: &Captured, keep: Keep) -> Result<Option<u64>> {
    let bytes = signed(request.kept_bytes());
    let (org, inbox) = (request.org_id, request.inbox_id);
    let counted =
        tx.conn.prepare_cached(NUMBER)?.query_row(params![org.0.as_bytes(), inbox.0.as_bytes(), bytes], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        });
    let Some((number, mut kept, mut kept_bytes)) = counted.optional()? else { return Ok(None) };
    let head = serde_json::to_vec(&Head::from(request))
        .map_err(|problem| corrupt(TABLE, "head", request.id.to_string(), problem))?;
    tx.conn.prepare_cached(RECORD)?.execute(params![
        org.0.as_bytes(),
        inbox.0.as_bytes(),
        number,
        request.id.0.as_bytes(),
        micros(request.received_at),
        bytes,
        tx.vault.seal(place(org, &request.id, "head"), &head)?,
        tx.vault.seal(place(org, &request.id, "body"), &request.body)?,
    ])?;
    // The newest stays whatever it weighs.
    while kept > 1 && (kept > i64::from(keep.requests) || kept_bytes > signed(keep.bytes)) {
        let mut oldest = tx.conn.prepare_cached(OLDEST)?;
        let (oldest, freed): (i64, i64) =
            oldest.query_row(params![org.0.as_bytes(), inbox.0.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let_go(tx.conn, org, inbox, oldest, freed)?;
        kept -= 1;
        kept_bytes -= freed;
    }
    Ok(Some(u64::try_from(number).unwrap_or_default()))
}

/// Removes one request and counts it out.
fn let_go(conn: &Connection, org: OrgId, inbox: CaptureId, number: i64, bytes: i64) -> Result<()> {
    conn.prepare_cached(DROP)?.execute(params![org.0.as_bytes(), inbox.0.as_bytes(), number])?;
    conn.prepare_cached(LESS)?.execute(params![org.0.as_bytes(), inbox.0.as_bytes(), bytes])?;
    Ok(())
}

fn find(conn: &Connection, vault: &Vault, org: OrgId, inbox: CaptureId, id: CapturedId) -> Result<Option<Captured>> {
    let mut query = conn.prepare_cached(REQUEST)?;
    let key = params![org.0.as_bytes(), inbox.0.as_bytes(), id.0.as_bytes()];
    query.query_row(key, |row| Ok(captured(row, vault))).optional()?.transpose()
}

fn is_any_old(conn: &Connection, now: Timestamp, before: Timestamp) -> Result<bool> {
    let expired = conn.prepare_cached(EXPIRED)?.exists([micros(now)])?;
    Ok(expired || conn.prepare_cached(OLD)?.exists(params![micros(before), 1])?)
}

/// Old requests, then what is in expired inboxes, then those themselves.
fn expire(conn: &Connection, now: Timestamp, before: Timestamp, limit: u32) -> Result<u64> {
    let mut gone: u64 = 0;
    let mut old = Vec::new();
    let mut query = conn.prepare_cached(OLD)?;
    let mut rows = query.query(params![micros(before), limit])?;
    while let Some(row) = rows.next()? {
        let columns = Columns::of(TABLE, row);
        let (org, inbox) = (OrgId(columns.uuid("org_id")?), CaptureId(columns.uuid("capture_id")?));
        old.push((org, inbox, columns.get::<i64>("number")?, columns.get::<i64>("bytes")?));
    }
    drop(rows);
    for (org, inbox, number, bytes) in old {
        let_go(conn, org, inbox, number, bytes)?;
        gone += 1;
    }
    while gone < u64::from(limit) {
        let key = conn
            .prepare_cached(EXPIRED)?
            .query_row([micros(now)], |row| Ok((row.get::<_, [u8; 16]>("org_id")?, row.get::<_, [u8; 16]>("id")?)));
        let Some((org, id)) = key.optional()? else { break };
        let left = i64::from(limit).saturating_sub(signed(gone));
        let emptied = conn.prepare_cached(EMPTY_SOME)?.execute(params![org, id, left])?;
        gone += u64::try_from(emptied).unwrap_or_default();
        if gone < u64::from(limit) {
            gone += u64::try_from(conn.prepare_cached(DELETE)?.execute(params![org, id])?).unwrap_or_default();
        }
    }
    Ok(gone)
}

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    delay_ms: i64,
}

impl From<&CaptureAnswer> for Answer {
    fn from(answer: &CaptureAnswer) -> Self {
        Self {
            status: answer.status,
            headers: answer.headers.clone(),
            body: answer.body.clone(),
            delay_ms: i64::try_from(answer.delay.as_millis()).unwrap_or_default(),
        }
    }
}

/// All of a request but what it is found by, and its body.
#[derive(Serialize, Deserialize)]
struct Head {
    method: String,
    path: String,
    query: Option<String>,
    version: String,
    /// Values in hex: they need not be text.
    headers: Vec<(String, String)>,
    body_bytes: u64,
    is_whole: bool,
    address: Option<IpAddr>,
}

impl From<&Captured> for Head {
    fn from(request: &Captured) -> Self {
        let headers = request.headers.iter().map(|(name, value)| (name.clone(), hex::encode(value)));
        Self {
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            version: request.version.clone(),
            headers: headers.collect(),
            body_bytes: request.body_bytes,
            is_whole: request.is_whole,
            address: request.address,
        }
    }
}

fn inbox(row: &Row<'_>) -> Result<Inbox> {
    let columns = Columns::of("capture", row);
    let answer: Answer = columns.json("answer")?;
    Ok(Inbox {
        id: CaptureId(columns.uuid("id")?),
        org_id: OrgId(columns.uuid("org_id")?),
        token: InboxToken(columns.get("token")?),
        name: columns.get("name")?,
        answer: CaptureAnswer {
            status: answer.status,
            headers: answer.headers,
            body: answer.body,
            delay: SignedDuration::from_millis(answer.delay_ms),
        },
        created_at: columns.time("created_at")?,
        expires_at: columns.time("expires_at")?,
    })
}

fn captured(row: &Row<'_>, vault: &Vault) -> Result<Captured> {
    let columns = Columns::of(TABLE, row);
    let (org_id, id) = (OrgId(columns.uuid("org_id")?), CapturedId(columns.uuid("id")?));
    let head = vault.open(place(org_id, &id, "head"), &columns.get::<Vec<u8>>("head")?)?;
    // Not the parser's words: they may repeat what they stumbled over.
    let broken = || columns.corrupt("head", "not what is kept there");
    let head: Head = serde_json::from_slice(&head).map_err(|_| broken())?;
    let headers = head.headers.into_iter().map(|(name, value)| Some((name, hex::decode(value).ok()?)));
    let sealed: Vec<u8> = columns.get("body")?;
    let body = match sealed.is_empty() {
        true => Vec::new(),
        false => vault.open(place(org_id, &id, "body"), &sealed)?.to_vec(),
    };
    Ok(Captured {
        id,
        org_id,
        inbox_id: CaptureId(columns.uuid("capture_id")?),
        number: columns.count("number")?,
        received_at: columns.time("received_at")?,
        method: head.method,
        path: head.path,
        query: head.query,
        version: head.version,
        headers: headers.collect::<Option<_>>().ok_or_else(broken)?,
        body,
        body_bytes: head.body_bytes,
        is_whole: head.is_whole,
        address: head.address,
    })
}

fn place<'a>(org: OrgId, id: &'a CapturedId, field: &'static str) -> Place<'a> {
    Place { org, object: id.0.as_bytes(), table: TABLE, field }
}

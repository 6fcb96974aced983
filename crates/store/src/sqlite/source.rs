//! Sources: their rows, and when they last called. The secrets are sealed as one value, bound to the source.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::{Map, Value};
use uuid::Uuid;
use watchbell_domain::audit::Deed;
use watchbell_domain::id::{OrgId, ReceiptId, SourceId};
use watchbell_domain::port::{Acceptance, Caller, Page, PageRequest, Pending, SourceStore, StoreError, Terms, Written};
use watchbell_domain::receipt::Kind;
use watchbell_domain::source::silence::{WINDOW_HOURS, hour_of};
use watchbell_domain::source::{Set, Source, SourceState};

use super::endpoint_row::{opened_secrets, sealed_list};
use super::error::{OrConflict, Result};
use super::page::{self, before};
use super::receipt_row::kind_code;
use super::row::{Columns, duration_micros, micros, truncated};
use super::vault::Vault;
use super::writer::Tx;
use super::{SqliteStore, audit, event};
use crate::seal::Place;

const TABLE: &str = "source";

const INSERT: &str = "INSERT INTO source (org_id, id, name, dialect, secrets, allowed_ips, rate_limit, max_event_age, \
    settings, paused_since, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
const UPDATE: &str = "UPDATE source SET name = ?3, dialect = ?4, secrets = ?5, allowed_ips = ?6, rate_limit = ?7, \
    max_event_age = ?8, settings = ?9, paused_since = ?10, created_at = ?11, updated_at = ?12 \
    WHERE org_id = ?1 AND id = ?2";
const FIND: &str = "SELECT * FROM source WHERE org_id = ?1 AND id = ?2";
const NAMED: &str = "SELECT name, dialect FROM source WHERE org_id = ?1 AND id = ?2";
const LIST: &str = "SELECT * FROM source WHERE org_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
const DELETE: &str = "DELETE FROM source WHERE org_id = ?1 AND id = ?2";
const CALLED: &str = "SELECT source.* FROM source JOIN org ON org.id = source.org_id \
    WHERE source.id = ?1 AND org.state = 'active'";

const CALLERS: &str = "SELECT source.org_id, source.id, source.silent_told FROM source \
    JOIN org ON org.id = source.org_id WHERE org.state = 'active' AND source.paused_since IS NULL";
const LAST: &str = "SELECT max(id) FROM receipt INDEXED BY receipt_source WHERE source_id = ?1 AND kind = ?2";
const ANY_BETWEEN: &str = "SELECT EXISTS (SELECT 1 FROM receipt INDEXED BY receipt_source \
    WHERE source_id = ?1 AND kind = ?2 AND id >= ?3 AND id < ?4)";
const TELL: &str = "UPDATE source SET silent_told = ?3 WHERE org_id = ?1 AND id = ?2 AND silent_told IS NOT ?3";

impl SourceStore for SqliteStore {
    fn create_source(&self, source: Source, terms: Terms) -> Pending<'_, Written<()>> {
        self.add(move |tx| {
            audit::on(tx, source.org_id, source.created_at, &terms, |tx| {
                write(tx, INSERT, &source)?.or_conflict("a source of this id exists").map(drop)
            })
        })
    }

    fn source(&self, org: OrgId, id: SourceId) -> Pending<'_, Option<Source>> {
        self.read(move |read| find(read.conn, read.vault, org, id))
    }

    fn sources(&self, org: OrgId, page: PageRequest) -> Pending<'_, Page<Source>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached(LIST)?;
            let rows = query.query(params![org.0.as_bytes(), before(page), page::fetch(page)])?;
            page::collect(page, rows, |row| decode(row, read.vault))
        })
    }

    fn update_source(&self, seen: Source, changed: Source, terms: Terms) -> Pending<'_, Written<()>> {
        self.write(move |tx| audit::on(tx, seen.org_id, changed.updated_at, &terms, |tx| update(tx, seen, &changed)))
    }

    fn delete_source(&self, org: OrgId, id: SourceId, deed: Option<Deed>) -> Pending<'_, bool> {
        self.write(move |tx| {
            let is_deleted = tx.conn.prepare_cached(DELETE)?.execute(params![org.0.as_bytes(), id.0.as_bytes()])? > 0;
            if is_deleted {
                audit::note(tx, org, deed.as_ref())?;
            }
            Ok(is_deleted)
        })
    }

    fn called_source(&self, id: SourceId) -> Pending<'_, Option<Source>> {
        self.read(move |read| {
            let mut query = read.conn.prepare_cached(CALLED)?;
            query.query_row([id.0.as_bytes()], |row| Ok(decode(row, read.vault))).optional()?.transpose()
        })
    }

    fn callers(&self, now: Timestamp) -> Pending<'_, Vec<Caller>> {
        self.read(move |read| callers(read.conn, now))
    }

    fn tell_silent(&self, source: SourceId, last: ReceiptId, told: Acceptance) -> Pending<'_, bool> {
        self.add(move |tx| {
            if last_call(tx.conn, source)? != Some(last) {
                return Ok(false);
            }
            let key = params![told.org_id.0.as_bytes(), source.0.as_bytes(), last.0.as_bytes()];
            if tx.conn.prepare_cached(TELL)?.execute(key)? == 0 {
                return Ok(false);
            }
            event::accept(tx, &told)?;
            Ok(true)
        })
    }
}

/// What a source is called, and the dialect that it speaks.
pub(super) fn called(conn: &Connection, org: OrgId, id: SourceId) -> Result<Option<(String, String)>> {
    let mut query = conn.prepare_cached(NAMED)?;
    let found = query.query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(found.optional()?)
}

fn find(conn: &Connection, vault: &Vault, org: OrgId, id: SourceId) -> Result<Option<Source>> {
    let mut query = conn.prepare_cached(FIND)?;
    query.query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| Ok(decode(row, vault))).optional()?.transpose()
}

fn update(tx: &mut Tx<'_>, seen: Source, changed: &Source) -> Result<()> {
    let current = find(tx.conn, tx.vault, seen.org_id, seen.id)?.ok_or(StoreError::Conflict("the source is gone"))?;
    // Everything its owner sees is compared: two changes may fall into one microsecond.
    if current != as_stored(seen) {
        return Err(StoreError::Conflict("the source was changed meanwhile").into());
    }
    write(tx, UPDATE, changed)??;
    Ok(())
}

/// The statement's own error is left to the caller: for one of them it is a conflict.
fn write(tx: &Tx<'_>, statement: &'static str, source: &Source) -> Result<rusqlite::Result<usize>> {
    let place = Place { org: source.org_id, object: source.id.0.as_bytes(), table: TABLE, field: "secrets" };
    let ips: Vec<String> = source.allowed_ips.iter().map(ToString::to_string).collect();
    let paused_since = match source.state {
        SourceState::Active => None,
        SourceState::Paused { since } => Some(micros(since)),
    };
    Ok(tx.conn.prepare_cached(statement)?.execute(params![
        source.org_id.0.as_bytes(),
        source.id.0.as_bytes(),
        source.name,
        source.dialect.id,
        sealed_list(&source.secrets, place, tx.vault)?,
        serde_json::json!(ips).to_string(),
        set_column(source.rate_limit, |rate| rate.to_string()),
        set_column(source.max_event_age, |age| duration_micros(age).to_string()),
        Value::Object(source.settings.clone()).to_string(),
        paused_since,
        micros(source.created_at),
        micros(source.updated_at),
    ]))
}

/// What stands for no limit where a value may stand.
const OFF: &str = "off";

fn set_column<T>(set: Set<T>, spell: impl Fn(T) -> String) -> Option<String> {
    match set {
        Set::Default => None,
        Set::Off => Some(OFF.to_owned()),
        Set::To(value) => Some(spell(value)),
    }
}

fn set<T>(columns: &Columns<'_, '_>, column: &'static str, read: impl Fn(&str) -> Option<T>) -> Result<Set<T>> {
    match columns.get::<Option<String>>(column)?.as_deref() {
        None => Ok(Set::Default),
        Some(OFF) => Ok(Set::Off),
        Some(text) => read(text).map(Set::To).ok_or_else(|| columns.corrupt(column, "not what is kept there")),
    }
}

fn decode(row: &Row<'_>, vault: &Vault) -> Result<Source> {
    let columns = Columns::of(TABLE, row);
    let (org_id, id) = (OrgId(columns.uuid("org_id")?), SourceId(columns.uuid("id")?));
    let place = Place { org: org_id, object: id.0.as_bytes(), table: TABLE, field: "secrets" };
    let ips: Vec<String> = columns.json("allowed_ips")?;
    let network = |text: &String| {
        let read = text.parse().or_else(|_| text.parse::<IpAddr>().map(Into::into));
        read.map_err(|problem| columns.corrupt("allowed_ips", problem))
    };
    Ok(Source {
        id,
        org_id,
        name: columns.get("name")?,
        dialect: columns.named("dialect", vault.find_dialect)?,
        secrets: opened_secrets(&columns, "secrets", place, vault)?,
        allowed_ips: ips.iter().map(network).collect::<Result<_>>()?,
        rate_limit: set(&columns, "rate_limit", |text| text.parse().ok())?,
        max_event_age: set(&columns, "max_event_age", |text| text.parse().ok().map(SignedDuration::from_micros))?,
        settings: columns.json::<Map<String, Value>>("settings")?,
        state: columns.maybe_time("paused_since")?.map_or(SourceState::Active, |since| SourceState::Paused { since }),
        created_at: columns.time("created_at")?,
        updated_at: columns.time("updated_at")?,
    })
}

/// The source as it will come back: times in whole microseconds.
fn as_stored(mut source: Source) -> Source {
    if let SourceState::Paused { since } = &mut source.state {
        *since = truncated(*since);
    }
    if let Set::To(age) = &mut source.max_event_age {
        *age = SignedDuration::from_micros(duration_micros(*age));
    }
    for secret in &mut source.secrets {
        secret.created_at = truncated(secret.created_at);
        secret.expires_at = secret.expires_at.map(truncated);
    }
    source.created_at = truncated(source.created_at);
    source.updated_at = truncated(source.updated_at);
    source
}

/// The last authentic request of a source. Ids sort by when they were made.
fn last_call(conn: &Connection, source: SourceId) -> Result<Option<ReceiptId>> {
    let mut query = conn.prepare_cached(LAST)?;
    let mut last = None;
    for kind in [Kind::Taken, Kind::Repeated] {
        let found: Option<[u8; 16]> =
            query.query_row(params![source.0.as_bytes(), kind_code(kind)], |row| row.get(0))?;
        last = last.max(found);
    }
    Ok(last.map(|bytes| ReceiptId(Uuid::from_bytes(bytes))))
}

fn callers(conn: &Connection, now: Timestamp) -> Result<Vec<Caller>> {
    let mut query = conn.prepare_cached(CALLERS)?;
    let mut rows = query.query([])?;
    let mut callers = Vec::new();
    while let Some(row) = rows.next()? {
        let columns = Columns::of(TABLE, row);
        let source_id = SourceId(columns.uuid("id")?);
        let Some(last) = last_call(conn, source_id)? else { continue };
        let told = columns.maybe_uuid("silent_told")?.map(ReceiptId);
        let last_at = made_at(last);
        // Whoever called within the hour is not silent by any measure.
        if told == Some(last) || hour_of(now) <= hour_of(last_at) {
            continue;
        }
        let hours = hours(conn, source_id, hour_of(last_at))?;
        callers.push(Caller { org_id: OrgId(columns.uuid("org_id")?), source_id, last, last_at, hours });
    }
    Ok(callers)
}

/// The hours in which a source called, up to `end`: one look into the index for each, however many the calls.
fn hours(conn: &Connection, source: SourceId, end: i64) -> Result<Vec<i64>> {
    let mut query = conn.prepare_cached(ANY_BETWEEN)?;
    let mut hours = Vec::new();
    for hour in end - WINDOW_HOURS..=end {
        let (from, to) = (first_id_of(hour), first_id_of(hour + 1));
        let kind = kind_code(Kind::Taken);
        let key = params![source.0.as_bytes(), kind, from.as_bytes(), to.as_bytes()];
        if query.query_row(key, |row| row.get(0))? {
            hours.push(hour);
        }
    }
    Ok(hours)
}

fn first_id_of(hour: i64) -> Uuid {
    let millis = u64::try_from(hour.saturating_mul(3_600_000)).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}

/// The millisecond an id was made in.
fn made_at(id: ReceiptId) -> Timestamp {
    let [a, b, c, d, e, f, ..] = *id.0.as_bytes();
    let millis = i64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}

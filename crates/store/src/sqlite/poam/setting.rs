//! How an organisation's items ring, and its policy.

use rusqlite::{Connection, OptionalExtension, Row, params};
use watchbell_domain::id::OrgId;
use watchbell_domain::poam::policy::Policy;
use watchbell_domain::poam::{OverdueRings, Settings};

use super::super::error::Result;
use super::super::row::{Columns, corrupt};
use super::super::writer::Tx;

// A row is made with the defaults by whichever is set first.
const SET: &str = "INSERT INTO poam_setting (org_id, time_zone, leads, overdue) VALUES (?1, ?2, ?3, ?4) \
    ON CONFLICT (org_id) DO UPDATE SET time_zone = excluded.time_zone, leads = excluded.leads, \
      overdue = excluded.overdue";
const SET_POLICY: &str = "INSERT INTO poam_setting (org_id, time_zone, leads, overdue, policy) \
    VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (org_id) DO UPDATE SET policy = excluded.policy";
// Whatever they waited for, they are looked at, also by a clock that is set back meanwhile.
const LOOK_AGAIN: &str = "UPDATE poam_item SET next_ring_at = 0 WHERE org_id = ?1 AND state = 'open'";

pub(super) fn settings(conn: &Connection, org: OrgId) -> Result<Settings> {
    let mut query =
        conn.prepare_cached("SELECT org_id AS id, time_zone, leads, overdue FROM poam_setting WHERE org_id = ?1")?;
    let found = query.query_row([org.0.as_bytes()], |row| Ok(read(row)));
    Ok(found.optional()?.transpose()?.unwrap_or_default())
}

fn read(row: &Row<'_>) -> Result<Settings> {
    let columns = Columns::of("poam_setting", row);
    Ok(Settings {
        zone: columns.named("time_zone", |text| text.parse().ok())?,
        leads: columns.json("leads")?,
        overdue: columns.named("overdue", overdue)?,
    })
}

pub(super) fn set_settings(tx: &Tx<'_>, org: OrgId, settings: &Settings) -> Result<()> {
    tx.conn.prepare_cached(SET)?.execute(params![
        org.0.as_bytes(),
        settings.zone.name(),
        leads(org, settings)?,
        overdue_name(settings.overdue)
    ])?;
    tx.conn.prepare_cached(LOOK_AGAIN)?.execute(params![org.0.as_bytes()])?;
    Ok(())
}

pub(super) fn policy(conn: &Connection, org: OrgId) -> Result<Policy> {
    let mut query = conn.prepare_cached("SELECT org_id AS id, policy FROM poam_setting WHERE org_id = ?1")?;
    let found =
        query.query_row([org.0.as_bytes()], |row| Ok(Columns::of("poam_setting", row).json::<Policy>("policy")));
    Ok(found.optional()?.transpose()?.unwrap_or_default())
}

pub(super) fn set_policy(tx: &Tx<'_>, org: OrgId, policy: &Policy) -> Result<()> {
    let text =
        serde_json::to_string(policy).map_err(|problem| corrupt("poam_setting", "policy", org.to_string(), problem))?;
    let settings = Settings::default();
    tx.conn.prepare_cached(SET_POLICY)?.execute(params![
        org.0.as_bytes(),
        settings.zone.name(),
        leads(org, &settings)?,
        overdue_name(settings.overdue),
        text
    ])?;
    Ok(())
}

fn leads(org: OrgId, settings: &Settings) -> Result<String> {
    serde_json::to_string(&settings.leads).map_err(|problem| corrupt("poam_setting", "leads", org.to_string(), problem))
}

const fn overdue_name(overdue: OverdueRings) -> &'static str {
    match overdue {
        OverdueRings::Daily => "daily",
        OverdueRings::Once => "once",
    }
}

fn overdue(name: &str) -> Option<OverdueRings> {
    [OverdueRings::Daily, OverdueRings::Once].into_iter().find(|overdue| overdue_name(*overdue) == name)
}

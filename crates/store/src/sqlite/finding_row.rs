//! A finding as a row, and its history.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use watchbell_domain::finding::{Finding, FindingChange, FindingStatus};
use watchbell_domain::id::{ChangeId, FindingId, OrgId, ProjectId};
use watchbell_domain::port::{FindingFilter, Page, PageRequest, StoreError};

use super::error::{OrConflict, Result};
use super::page::{self, before};
use super::row::{Columns, corrupt, micros, signed};

const TABLE: &str = "finding";

// A finding never changes its project: one of this id elsewhere is not this finding.
const WRITE: &str = "INSERT INTO finding \
    (org_id, id, project_id, identity, names, status, severity, observation, sights, judgement, accepted_until, \
     first_seen_at, last_seen_at, remediated_at, merged_into, changes) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) \
    ON CONFLICT (org_id, id) DO UPDATE SET identity = excluded.identity, names = excluded.names, \
      status = excluded.status, severity = excluded.severity, \
      observation = excluded.observation, sights = excluded.sights, judgement = excluded.judgement, \
      accepted_until = excluded.accepted_until, first_seen_at = excluded.first_seen_at, \
      last_seen_at = excluded.last_seen_at, remediated_at = excluded.remediated_at, \
      merged_into = excluded.merged_into, changes = excluded.changes \
    WHERE project_id = excluded.project_id";
// What leads to one that is merged now leads to where that one leads.
const FOLLOW: &str = "UPDATE finding INDEXED BY finding_merged SET merged_into = ?3 \
                      WHERE org_id = ?1 AND merged_into = ?2";
const FIND: &str = "SELECT * FROM finding WHERE org_id = ?1 AND id = \
    coalesce((SELECT merged_into FROM finding WHERE org_id = ?1 AND id = ?2), ?2)";
const OF_PROJECT: &str = "SELECT * FROM finding INDEXED BY finding_project \
                          WHERE org_id = ?1 AND project_id = ?2 AND merged_into IS NULL ORDER BY id";
const LEAD: &str =
    "INSERT OR IGNORE INTO finding_digest (org_id, project_id, digest, finding_id) VALUES (?1, ?2, ?3, ?4)";
const LED_TO: &str = "SELECT finding.* FROM finding_digest \
    CROSS JOIN finding ON finding.org_id = finding_digest.org_id AND finding.id = finding_digest.finding_id \
    WHERE finding_digest.org_id = ?1 AND finding_digest.project_id = ?2 AND digest = ?3 AND merged_into IS NULL";
const HAS_LABEL: &str = "SELECT EXISTS (SELECT 1 FROM finding WHERE org_id = ?1 AND project_id = ?2 AND identity = ?3)";
const IS_TAKEN: &str = "SELECT EXISTS (SELECT 1 FROM finding WHERE org_id = ?1 AND id = ?2)";
const ADD_CHANGE: &str = "INSERT INTO finding_change \
    (org_id, finding_id, id, number, changed_at, from_status, to_status, changed_by, reason) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const HISTORY: &str = "SELECT * FROM finding_change WHERE org_id = ?1 AND finding_id IN \
    (SELECT ?2 UNION ALL SELECT id FROM finding WHERE org_id = ?1 AND merged_into = ?2) \
    AND id < ?3 ORDER BY id DESC LIMIT ?4";

/// Writes a finding under this organisation and project, whatever it says, and what leads to it.
pub(super) fn write(conn: &Connection, org: OrgId, project: ProjectId, finding: &Finding) -> Result<()> {
    write_row(conn, org, project, finding)?;
    lead(conn, org, project, finding.digests().into_iter().map(|digest| (digest, finding.id)))
}

/// As [`write()`] for many. They are let go as they are written; what leads to them is written in its own order, for digests
/// come by chance, and each would go to another page.
pub(super) fn write_all(conn: &Connection, org: OrgId, project: ProjectId, findings: Vec<Finding>) -> Result<()> {
    let mut leads = Vec::with_capacity(findings.len());
    for finding in findings {
        write_row(conn, org, project, &finding)?;
        leads.extend(finding.digests().into_iter().map(|digest| (digest, finding.id)));
    }
    leads.sort_unstable();
    lead(conn, org, project, leads.into_iter())
}

fn lead(
    conn: &Connection,
    org: OrgId,
    project: ProjectId,
    leads: impl Iterator<Item = ([u8; 16], FindingId)>,
) -> Result<()> {
    let mut lead = conn.prepare_cached(LEAD)?;
    for (digest, finding) in leads {
        lead.execute(params![org.0.as_bytes(), project.0.as_bytes(), digest, finding.0.as_bytes()])?;
    }
    Ok(())
}

fn write_row(conn: &Connection, org: OrgId, project: ProjectId, finding: &Finding) -> Result<()> {
    let broken = |column| move |problem| corrupt(TABLE, column, finding.id.to_string(), problem);
    let judgement = finding.judgement.as_ref().map(serde_json::to_string).transpose().map_err(broken("judgement"))?;
    let written = conn.prepare_cached(WRITE)?.execute(params![
        org.0.as_bytes(),
        finding.id.0.as_bytes(),
        project.0.as_bytes(),
        finding.identity,
        serde_json::to_string(&finding.names).map_err(broken("names"))?,
        finding.status.as_str(),
        finding.observation.severity.as_str(),
        serde_json::to_string(&finding.observation).map_err(broken("observation"))?,
        serde_json::to_string(&finding.sights).map_err(broken("sights"))?,
        judgement,
        finding.accepted_until().map(micros),
        micros(finding.first_seen_at),
        micros(finding.last_seen_at),
        finding.remediated_at.map(micros),
        finding.merged_into.map(|id| *id.0.as_bytes()),
        signed(finding.changes),
    ]);
    if written.or_conflict("another finding has this identity")? != 1 {
        return Err(StoreError::Conflict("the finding's id is taken").into());
    }
    if let Some(elder) = finding.merged_into {
        conn.prepare_cached(FOLLOW)?.execute(params![org.0.as_bytes(), finding.id.0.as_bytes(), elder.0.as_bytes()])?;
    }
    Ok(())
}

/// A project's findings that these digests lead to, each once, without those that were merged into others.
pub(super) fn led_to(conn: &Connection, org: OrgId, project: ProjectId, digests: &[[u8; 16]]) -> Result<Vec<Finding>> {
    let mut findings: Vec<Finding> = Vec::new();
    for digest in digests {
        let mut query = conn.prepare_cached(LED_TO)?;
        let mut rows = query.query(params![org.0.as_bytes(), project.0.as_bytes(), digest])?;
        while let Some(row) = rows.next()? {
            let finding = decode(row)?;
            if !findings.iter().any(|known| known.id == finding.id) {
                findings.push(finding);
            }
        }
    }
    Ok(findings)
}

/// Whether a project has, or had, a finding of this label.
pub(super) fn has_label(conn: &Connection, org: OrgId, project: ProjectId, label: &str) -> Result<bool> {
    let values = params![org.0.as_bytes(), project.0.as_bytes(), label];
    Ok(conn.prepare_cached(HAS_LABEL)?.query_row(values, |row| row.get(0))?)
}

/// Whether the organisation has a finding of this id.
pub(super) fn is_taken(conn: &Connection, org: OrgId, id: FindingId) -> Result<bool> {
    Ok(conn.prepare_cached(IS_TAKEN)?.query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| row.get(0))?)
}

/// One finding, or the one that it was merged into.
pub(super) fn find(conn: &Connection, org: OrgId, id: FindingId) -> Result<Option<Finding>> {
    let mut query = conn.prepare_cached(FIND)?;
    let found = query.query_row(params![org.0.as_bytes(), id.0.as_bytes()], |row| Ok(decode(row)));
    found.optional()?.transpose()
}

/// A project's, without those that were merged into others.
pub(super) fn of_project(conn: &Connection, org: OrgId, project: ProjectId) -> Result<Vec<Finding>> {
    let mut query = conn.prepare_cached(OF_PROJECT)?;
    let mut rows = query.query(params![org.0.as_bytes(), project.0.as_bytes()])?;
    let mut findings = Vec::new();
    while let Some(row) = rows.next()? {
        findings.push(decode(row)?);
    }
    Ok(findings)
}

/// A page of those that fit.
pub(super) fn list(conn: &Connection, org: OrgId, filter: &FindingFilter, page: PageRequest) -> Result<Page<Finding>> {
    let mut statement = match filter.project_id {
        Some(_) => "SELECT * FROM finding INDEXED BY finding_project WHERE org_id = ? AND id < ?".to_owned(),
        None => "SELECT * FROM finding WHERE org_id = ? AND id < ?".to_owned(),
    };
    statement.push_str(" AND merged_into IS NULL");
    let mut values: Vec<Value> = vec![org.0.as_bytes().to_vec().into(), before(page).to_vec().into()];
    let mut wanted = |condition: &str, value: Option<Value>| {
        if let Some(value) = value {
            statement.push_str(condition);
            values.push(value);
        }
    };
    let text = |text: &str| Value::from(text.to_owned());
    wanted(" AND project_id = ?", filter.project_id.map(|id| id.0.as_bytes().to_vec().into()));
    wanted(" AND status = ?", filter.status.map(|status| text(status.as_str())));
    wanted(" AND severity = ?", filter.severity.map(|severity| text(severity.as_str())));
    let name = filter.name.as_deref().map(text);
    wanted(" AND EXISTS (SELECT 1 FROM json_each(names) WHERE value = ?)", name);
    if let Some(component) = &filter.component {
        wanted(" AND (observation ->> '$.component.name' = ?", Some(text(component)));
        wanted(" OR observation ->> '$.component.purl' = ?", Some(text(component)));
        // A package URL without its version.
        wanted(" OR substr(observation ->> '$.component.purl', 1, length(?)) =", Some(text(&format!("{component}@"))));
        wanted(" ?)", Some(text(&format!("{component}@"))));
    }
    statement.push_str(" ORDER BY id DESC LIMIT ?");
    values.push(i64::from(page::fetch(page)).into());
    let mut query = conn.prepare_cached(&statement)?;
    page::collect(page, query.query(params_from_iter(values))?, decode)
}

/// Adds an entry to a finding's history.
pub(super) fn add_change(conn: &Connection, org: OrgId, change: &FindingChange) -> Result<()> {
    let by = serde_json::to_string(&change.by)
        .map_err(|problem| corrupt("finding_change", "changed_by", change.id.to_string(), problem))?;
    let added = conn.prepare_cached(ADD_CHANGE)?.execute(params![
        org.0.as_bytes(),
        change.finding_id.0.as_bytes(),
        change.id.0.as_bytes(),
        signed(change.number),
        micros(change.at),
        change.from.map(FindingStatus::as_str),
        change.to.as_str(),
        by,
        change.reason,
    ]);
    added.or_conflict("an entry of this id exists")?;
    Ok(())
}

/// A page of a finding's history.
pub(super) fn history(conn: &Connection, org: OrgId, id: FindingId, page: PageRequest) -> Result<Page<FindingChange>> {
    let mut query = conn.prepare_cached(HISTORY)?;
    let rows = query.query(params![org.0.as_bytes(), id.0.as_bytes(), before(page), page::fetch(page)])?;
    page::collect(page, rows, decode_change)
}

fn decode_change(row: &Row<'_>) -> Result<FindingChange> {
    let columns = Columns::of("finding_change", row);
    Ok(FindingChange {
        id: ChangeId(columns.uuid("id")?),
        finding_id: FindingId(columns.uuid("finding_id")?),
        number: columns.count("number")?,
        at: columns.time("changed_at")?,
        from: match columns.get::<Option<String>>("from_status")? {
            Some(_) => Some(columns.named("from_status", FindingStatus::parse)?),
            None => None,
        },
        to: columns.named("to_status", FindingStatus::parse)?,
        by: columns.json("changed_by")?,
        reason: columns.get("reason")?,
    })
}

fn decode(row: &Row<'_>) -> Result<Finding> {
    let columns = Columns::of(TABLE, row);
    Ok(Finding {
        id: FindingId(columns.uuid("id")?),
        org_id: OrgId(columns.uuid("org_id")?),
        project_id: ProjectId(columns.uuid("project_id")?),
        identity: columns.get("identity")?,
        names: columns.json("names")?,
        status: columns.named("status", FindingStatus::parse)?,
        observation: columns.json("observation")?,
        sights: columns.json("sights")?,
        judgement: match columns.get::<Option<String>>("judgement")? {
            Some(_) => Some(columns.json("judgement")?),
            None => None,
        },
        first_seen_at: columns.time("first_seen_at")?,
        last_seen_at: columns.time("last_seen_at")?,
        remediated_at: columns.maybe_time("remediated_at")?,
        merged_into: columns.maybe_uuid("merged_into")?.map(FindingId),
        changes: columns.count("changes")?,
    })
}

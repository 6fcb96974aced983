//! Items as rows.

use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::types::Value;
use watchbell_domain::id::{FindingId, OrgId, PoamId, ProjectId};
use watchbell_domain::poam::{CompletedBy, Item, Origin, Settings, State, Told};

use super::super::error::Result;
use super::super::row::{Columns, micros};
use super::{json, state_columns, version};

/// The values of an item's row, in the order of the statements that write it.
pub(super) fn columns_of(item: &Item, settings: &Settings, next_ring_at: Option<Timestamp>) -> Result<[Value; 20]> {
    let (state, state_at, completed_by) = state_columns(item.state);
    let id = |id: uuid::Uuid| Value::from(id.as_bytes().to_vec());
    Ok([
        id(item.org_id.0),
        id(item.id.0),
        id(item.finding_id.0),
        item.project_id.map(|project| project.0.as_bytes().to_vec()).into(),
        json(&item.about, "about", item.id)?.into(),
        item.title.clone().into(),
        item.owner.clone().into(),
        item.notes.clone().into(),
        item.due.to_string().into(),
        micros(item.due.deadline(&settings.zone)).into(),
        json(&item.milestones, "milestones", item.id)?.into(),
        state.to_owned().into(),
        state_at.map(micros).into(),
        completed_by.map(str::to_owned).into(),
        item.origin.as_str().to_owned().into(),
        item.told.map(|told| i64::from(told.0)).into(),
        next_ring_at.map(micros).into(),
        version(item.version).into(),
        micros(item.created_at).into(),
        micros(item.updated_at).into(),
    ])
}

pub(super) fn item(row: &Row<'_>) -> Result<Item> {
    let columns = Columns::of("poam_item", row);
    Ok(Item {
        id: PoamId(columns.uuid("id")?),
        org_id: OrgId(columns.uuid("org_id")?),
        finding_id: FindingId(columns.uuid("finding_id")?),
        project_id: columns.maybe_uuid("project_id")?.map(ProjectId),
        about: columns.json("about")?,
        title: columns.get("title")?,
        owner: columns.get("owner")?,
        notes: columns.get("notes")?,
        due: columns.named("due", |text| text.parse().ok())?,
        milestones: columns.json("milestones")?,
        state: state(&columns)?,
        origin: columns.named("origin", Origin::parse)?,
        told: columns.get::<Option<i32>>("told")?.map(Told),
        version: columns.count("version")?,
        created_at: columns.time("created_at")?,
        updated_at: columns.time("updated_at")?,
    })
}

fn state(columns: &Columns<'_, '_>) -> Result<State> {
    let at = || columns.time("state_at");
    match columns.get::<String>("state")?.as_str() {
        "open" => Ok(State::Open),
        "completed" => Ok(State::Completed { at: at()?, by: columns.named("completed_by", CompletedBy::parse)? }),
        "cancelled" => Ok(State::Cancelled { at: at()? }),
        _ => Err(columns.corrupt("state", "an unknown name")),
    }
}

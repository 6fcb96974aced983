//! What receipts say of findings, weighed where it is written: see [`watchbell_domain::witness`].
//!
//! A scan is weighed outside of the commit and refused if its project has changed meanwhile. Receipts of one project come
//! many at once, so they are weighed here, one after the other; each moves the project's version on, so that a scan which
//! was weighed against what was known before is weighed again.

use std::collections::BTreeMap;

use serde_json::json;
use watchbell_domain::audit::{Action, Deed};
use watchbell_domain::event::NewEvent;
use watchbell_domain::id::{EventId, OrgId, ProjectId};
use watchbell_domain::org::Project;
use watchbell_domain::port::{Acceptance, Saying, Statement};
use watchbell_domain::witness::{Heard, Testimony, Wanted, hear};

use super::error::Result;
use super::writer::Tx;
use super::{audit, finding_row, poam, project};

/// Most projects of an organisation up to which a source may make one.
const PROJECTS_MAX: u64 = 10_000;
/// Longest name of a project that is made, in characters.
const NAME_MAX: usize = 200;
/// Most notes that are kept of one receipt.
const NOTES_MAX: usize = 5;
/// How often another number is tried for a label.
const LABELS_MAX: u32 = 1_000;

/// What follows from a receipt's words of findings.
#[derive(Debug, Default)]
pub(super) struct Weighed {
    /// What is told, in the order of the words.
    pub(super) events: Vec<NewEvent>,
    /// Why of some of them nothing is told.
    pub(super) notes: Vec<String>,
}

/// Weighs what was said, and writes the findings as they are then. `acceptance` is of the same receipt.
pub(super) fn weigh(tx: &mut Tx<'_>, saying: &Saying, acceptance: &Acceptance) -> Result<Weighed> {
    let org = acceptance.org_id;
    let mut weighed = Weighed::default();
    let mut changed: BTreeMap<ProjectId, u64> = BTreeMap::new();
    for statement in &saying.statements {
        let Some(project) = place(tx, saying, statement, acceptance)? else {
            weighed.events.extend(statement.relayed.iter().cloned());
            continue;
        };
        let mut said = statement.testimony.clone();
        said.event_ids = statement.relayed.iter().map(|new| EventId(new.event.id)).collect();
        let heard = listen(tx, saying, &project, said)?;
        if !heard.findings.is_empty() {
            changed.insert(project.id, project.version);
            poam::findings_change(tx, &heard.findings, acceptance)?;
        }
        for finding in &heard.findings {
            finding_row::write(tx.conn, org, project.id, finding)?;
        }
        if let Some(change) = &heard.change {
            finding_row::add_change(tx.conn, org, change)?;
        }
        weighed.events.extend(heard.events);
        weighed.notes.extend(heard.note.filter(|_| weighed.notes.len() < NOTES_MAX));
    }
    for (id, version) in changed {
        project::advance(tx.conn, org, id, version, None)?;
    }
    Ok(weighed)
}

fn listen(tx: &Tx<'_>, saying: &Saying, project: &Project, mut said: Testimony) -> Result<Heard> {
    let org = project.org_id;
    let known = finding_row::led_to(tx.conn, org, project.id, &said.digests(saying.hearing.source_id))?;
    // A finding has an id of its own, whatever somebody says.
    if let Some(id) = said.stated_id
        && finding_row::is_taken(tx.conn, org, id)?
    {
        said.stated_id = None;
    }
    let mut heard = hear(project, &known, &said, &saying.hearing, &*tx.vault.entropy);
    if let Some(finding) = heard.findings.first_mut().filter(|_| heard.is_new) {
        let label = finding.identity.clone();
        let mut number = 2;
        while number < LABELS_MAX && finding_row::has_label(tx.conn, org, project.id, &finding.identity)? {
            finding.identity = format!("{label}#{number}");
            number += 1;
        }
    }
    Ok(heard)
}

/// The project that is meant; made where the source says so.
fn place(tx: &Tx<'_>, saying: &Saying, statement: &Statement, acceptance: &Acceptance) -> Result<Option<Project>> {
    let org = acceptance.org_id;
    let wanted = saying.placing.wanted(&statement.testimony.named);
    for one in &wanted {
        let found = match one {
            Wanted::Id(id) => project::find(tx.conn, org, *id)?,
            Wanted::Name(name) => project::matching(tx.conn, org, name)?,
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    let named = wanted.iter().find_map(|one| match one {
        Wanted::Name(name) => Some(name),
        Wanted::Id(_) => None,
    });
    match named.filter(|_| saying.placing.makes) {
        Some(name) if project::count(tx.conn, org)? < PROJECTS_MAX => make(tx, saying, name, org, acceptance).map(Some),
        Some(_) | None => Ok(None),
    }
}

fn make(tx: &Tx<'_>, saying: &Saying, name: &str, org: OrgId, acceptance: &Acceptance) -> Result<Project> {
    let now = acceptance.accepted_at;
    let made = Project {
        owner: None,
        labels: BTreeMap::new(),
        id: ProjectId::make(now, &*tx.vault.entropy),
        org_id: org,
        name: name.chars().take(NAME_MAX).collect(),
        created_at: now,
        version: 0,
        last_scan_at: None,
    };
    project::insert(tx, &made)?;
    let deed = Deed::of_system("receive", Action::ProjectCreate, made.id, now);
    let detail = json!({"name": made.name, "source": saying.hearing.source_id.to_string()});
    audit::note(tx, org, Some(&deed.with(detail)))?;
    Ok(made)
}

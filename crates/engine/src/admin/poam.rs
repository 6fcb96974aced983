//! Plans of action, made and changed by people; how they ring, and the policy that makes them.

use jiff::Timestamp;
use watchbell_domain::finding::Finding;
use watchbell_domain::id::{EventId, FindingId, OrgId, PoamId};
use watchbell_domain::poam::policy::{DAYS_MAX, Policy, RULES_MAX};
use watchbell_domain::poam::ring::LEADS_MAX;
use watchbell_domain::poam::{
    About, CompletedBy, Due, Item, MILESTONES_MAX, Milestone, Origin, Settings, State, Status,
};
use watchbell_domain::port::{Acceptance, Entropy, PoamUpdate};

use crate::ingest::event::delivery_ids;

/// Longest title of an item or milestone, in characters.
pub const TITLE_LENGTH_MAX: usize = 500;
/// Longest owner, in characters.
pub const OWNER_LENGTH_MAX: usize = 200;
/// Longest notes, in characters.
pub const NOTES_LENGTH_MAX: usize = 10_000;
/// Longest package URL type, in characters.
const COMPONENT_TYPE_LENGTH_MAX: usize = 50;

/// What a plan of action cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {detail}")]
pub struct Refused {
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// What is wrong and what is wanted.
    pub detail: String,
}

/// A plan of action as asked for.
#[derive(Debug, Clone)]
pub struct Spec {
    /// What is to be remediated.
    pub finding_id: FindingId,
    /// Until when.
    pub due: Due,
    /// Its title, where the finding's does not do.
    pub title: Option<String>,
    /// Who sees to it.
    pub owner: Option<String>,
    /// Anything else.
    pub notes: Option<String>,
    /// Steps on the way.
    pub milestones: Vec<Milestone>,
}

/// What is to change. `None`: stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Until when.
    pub due: Option<Due>,
    /// Its title.
    pub title: Option<Option<String>>,
    /// Who sees to it.
    pub owner: Option<Option<String>>,
    /// Anything else.
    pub notes: Option<Option<String>>,
    /// All its steps.
    pub milestones: Option<Vec<Milestone>>,
    /// `Open`, `Completed` or `Cancelled`.
    pub status: Option<Status>,
}

/// A new item. `finding`: what is known of its finding.
///
/// # Errors
/// [`Refused`]
pub fn create(
    org_id: OrgId,
    spec: Spec,
    finding: Option<&Finding>,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Item, Refused> {
    let item = Item {
        id: PoamId::make(now, entropy),
        org_id,
        finding_id: spec.finding_id,
        project_id: finding.map(|finding| finding.project_id),
        about: finding.map(about).unwrap_or_default(),
        title: spec.title,
        owner: spec.owner,
        notes: spec.notes,
        due: spec.due,
        milestones: spec.milestones,
        state: State::Open,
        origin: Origin::Api,
        told: None,
        version: 0,
        created_at: now,
        updated_at: now,
    };
    check(&item)?;
    Ok(item)
}

fn about(finding: &Finding) -> About {
    let observation = &finding.observation;
    About {
        title: Some(observation.title.clone()).filter(|title| !title.is_empty()),
        severity: observation.severity,
        cve_id: observation.cve_id.clone(),
    }
}

/// A changed item, with what is told of it.
///
/// # Errors
/// [`Refused`]
pub fn change(
    seen: Item,
    change: Change,
    settings: &Settings,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<PoamUpdate, Refused> {
    let mut changed = seen.clone();
    changed.due = change.due.unwrap_or(changed.due);
    changed.title = change.title.unwrap_or(changed.title);
    changed.owner = change.owner.unwrap_or(changed.owner);
    changed.notes = change.notes.unwrap_or(changed.notes);
    changed.milestones = change.milestones.unwrap_or(changed.milestones);
    changed.updated_at = now;
    changed.version = seen.version + 1;
    match change.status {
        None => {}
        Some(Status::Open) => changed.state = State::Open,
        Some(Status::Completed) if !matches!(seen.state, State::Completed { .. }) => {
            changed.state = State::Completed { at: now, by: CompletedBy::Hand };
        }
        Some(Status::Cancelled) if !matches!(seen.state, State::Cancelled { .. }) => {
            changed.state = State::Cancelled { at: now };
        }
        Some(Status::Completed | Status::Cancelled) => {}
        Some(Status::Overdue) => {
            return Err(refused("/status", "an item is overdue by itself; wanted is open, completed or cancelled"));
        }
    }
    check(&changed)?;
    let is_done = matches!(changed.state, State::Completed { .. }) && changed.state != seen.state;
    let told = is_done.then(|| Acceptance {
        org_id: changed.org_id,
        events: vec![changed.completed(settings, now, EventId::make(now, entropy))],
        accepted_at: now,
        delivery_ids: delivery_ids(entropy),
    });
    Ok(PoamUpdate { seen, changed, told })
}

/// Whether items can ring so.
///
/// # Errors
/// [`Refused`]
pub fn check_settings(settings: &Settings) -> Result<(), Refused> {
    if settings.leads.len() > LEADS_MAX {
        return Err(refused("/lead_times", format!("there are at most {LEADS_MAX} lead times")));
    }
    let mut hours: Vec<i32> = settings.leads.iter().map(|lead| lead.hours()).collect();
    hours.sort_unstable();
    hours.dedup();
    match hours.len() == settings.leads.len() {
        true => Ok(()),
        false => Err(refused("/lead_times", "a lead time is given twice")),
    }
}

/// Whether this can be a policy.
///
/// # Errors
/// [`Refused`]
pub fn check_policy(policy: &Policy) -> Result<(), Refused> {
    if policy.rules.len() > RULES_MAX {
        return Err(refused("/rules", format!("a policy has at most {RULES_MAX} rules")));
    }
    for (index, rule) in policy.rules.iter().enumerate() {
        let at = |member: &str| format!("/rules/{index}/{member}");
        if rule.days > DAYS_MAX {
            return Err(refused(at("days"), format!("a rule gives 0 to {DAYS_MAX} days")));
        }
        if rule.cvss_min.is_some_and(|score| !(0.0..=10.0).contains(&score)) {
            return Err(refused(at("cvss_min"), "a CVSS score is 0.0 to 10.0"));
        }
        let is_type = |text: &String| {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '+');
            !text.is_empty() && text.len() <= COMPONENT_TYPE_LENGTH_MAX && text.chars().all(plain)
        };
        if rule.component_type.as_ref().is_some_and(|text| !is_type(text)) {
            return Err(refused(at("component_type"), "wanted is the type of a package URL, such as pypi or npm"));
        }
    }
    Ok(())
}

fn check(item: &Item) -> Result<(), Refused> {
    check_line("/title", item.title.as_deref(), TITLE_LENGTH_MAX)?;
    check_line("/owner", item.owner.as_deref(), OWNER_LENGTH_MAX)?;
    if item.notes.as_ref().is_some_and(|notes| notes.chars().count() > NOTES_LENGTH_MAX) {
        return Err(refused("/notes", format!("notes have at most {NOTES_LENGTH_MAX} characters")));
    }
    if item.milestones.len() > MILESTONES_MAX {
        return Err(refused("/milestones", format!("an item has at most {MILESTONES_MAX} milestones")));
    }
    for (index, milestone) in item.milestones.iter().enumerate() {
        check_line(&format!("/milestones/{index}/title"), Some(&milestone.title), TITLE_LENGTH_MAX)?;
    }
    Ok(())
}

fn check_line(pointer: &str, text: Option<&str>, length_max: usize) -> Result<(), Refused> {
    let Some(text) = text else { return Ok(()) };
    let is_line = !text.trim().is_empty() && !text.chars().any(char::is_control);
    match is_line && text.chars().count() <= length_max {
        true => Ok(()),
        false => Err(refused(pointer, format!("wanted are 1 to {length_max} characters on one line"))),
    }
}

fn refused(pointer: impl Into<String>, detail: impl Into<String>) -> Refused {
    Refused { pointer: pointer.into(), detail: detail.into() }
}

//! Witnesses: what the webhooks of vendors say of findings.
//!
//! ```text
//!  event of a source ──read──▶ Testimony ──hear──▶ the finding as it is now, its history, what is told of it
//!                                  ▲
//!                     findings known of the project
//! ```
//!
//! A scan says everything it sees; a webhook says one thing of one finding. Each source's own record of a finding (GitHub's
//! alert 17, Snyk's issue in one of its projects) is a witness of it: a [`Sight`] with a [`Witness`]. Records that name the
//! same vulnerability in the same place are witnesses of one finding ([`identity`]). It is gone when no witness, and no
//! tool of a scan, sees it any more.
//!
//! Of one witness the word with the later time counts, whichever comes first; so the order of messages plays no part in
//! what is known, and a message that comes again changes nothing. [`hear`] is pure: the store calls it inside the commit
//! that takes the receipt, since two receipts of one project at once would else be weighed again and again.

use jiff::Timestamp;
use serde_json::{Map, Value};
use watchbell_wire::event::{Event, EventType, Vulnerability};
use watchbell_wire::{Data, Severity};

use crate::event::NewEvent;
use crate::finding::merge::{merge, packed, unpacked};
use crate::finding::{ChangedBy, Finding, FindingChange, FindingStatus, NameSet, Sight, Sights, Witness, identity};
use crate::id::{ChangeId, EventId, FindingId, SourceId};
use crate::org::Project;
use crate::port::Entropy;
use crate::snapshot::ChangeKind;

mod project;
mod testimony;

pub use project::{MATCHES_MAX, Match, Named, Placing, Unfit, Wanted, match_name};
pub use testimony::{Presence, Testimony};

/// How a message is heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hearing {
    /// The source that said it.
    pub source_id: SourceId,
    /// When it came in.
    pub received_at: Timestamp,
    /// Over how many webhooks it has come.
    pub hops: u8,
    /// Its dialect has no word for a critical finding beside the one for a new one: we say both.
    pub tells_critical: bool,
    /// Tell again what is known already, as the vendor said it: somebody replays the receipt.
    pub retells: bool,
}

/// What follows from one testimony.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// The finding as it is now, and those that turned out to be it; nothing where nothing changed.
    pub findings: Vec<Finding>,
    /// Whether the first of them was not known.
    pub is_new: bool,
    /// The entry of its history.
    pub change: Option<FindingChange>,
    /// What is told of it.
    pub events: Vec<NewEvent>,
    /// Why nothing is told, for the owner of the source.
    pub note: Option<String>,
}

/// Hears one testimony. `known` holds at least those findings of the project that [`Testimony::digests`] leads to.
pub fn hear(project: &Project, known: &[Finding], said: &Testimony, hearing: &Hearing, entropy: &dyn Entropy) -> Heard {
    let before = related(known, said, hearing.source_id);
    let first = before.first().copied();
    let one = before.iter().skip(1).fold(first.cloned(), |one, other| one.map(|one| merge(&one, other)));
    let mut after = unpacked(one.unwrap_or_else(|| blank(project, said, hearing, entropy)));
    let key = said.sight_key(hearing.source_id);
    let known_sight = after.sights.remove(&key);
    let words_before = known_sight.as_ref().and_then(|sight| sight.observation.clone());
    let sight = listen(known_sight, said, hearing.source_id);
    let has_other_words = sight.observation != words_before;
    after.sights.insert(key.clone(), sight);
    after.last_seen_at = last_seen(&after);
    after.first_seen_at = after.first_seen_at.min(said.since);
    let names = identity::names(&said.observation).into_iter().filter(|name| !name.is_empty());
    after.names.extend(names);
    if after.names.is_empty() {
        after.names.insert(String::new());
    }
    let mut after = packed(after);
    after.status = after.standing();
    after.remediated_at = after.gone_since();

    let from = first.map(|finding| finding.status);
    let is_rated_otherwise = first.is_some_and(|was| was.observation.severity != after.observation.severity);
    let is_changed = said.event_type == EventType::VulnerabilityChanged && has_other_words;
    let is_other = before.len() > 1 || is_rated_otherwise || is_changed;
    let kind = ChangeKind::of(from, after.status, is_other);
    let merged = before.iter().skip(1).map(|finding| Finding { merged_into: Some(after.id), ..(*finding).clone() });
    let merged: Vec<Finding> = merged.collect();
    let told = types(kind, said, &after, hearing);
    if told.contains(&EventType::VulnerabilityCritical)
        && let Some(witness) = after.sights.get_mut(&key).and_then(|sight| sight.witness.as_mut())
    {
        witness.told_critical = true;
    }
    let note = told.is_empty().then(|| note(&after, said, &key));
    let reason = reason(kind, first, &after, said, &merged);
    let change = (kind != ChangeKind::Unchanged || !merged.is_empty()).then(|| {
        after.changes += 1;
        FindingChange {
            id: ChangeId::make(hearing.received_at, entropy),
            finding_id: after.id,
            number: after.changes,
            at: said.at,
            from,
            to: after.status,
            by: ChangedBy::Source { id: hearing.source_id, tool: said.observation.tool.clone() },
            reason: reason.clone(),
        }
    });
    let data = data(said, &after, &merged, Some(reason).filter(|_| kind != ChangeKind::Created));
    let event = |(index, event_type): (usize, EventType)| NewEvent {
        event: Event {
            id: said.event_ids.get(index).copied().unwrap_or_else(|| EventId::make(hearing.received_at, entropy)).0,
            event_type,
            occurred_at: said.occurred_at,
            data: data.clone(),
        },
        project_id: Some(project.id),
        only: None,
        source_id: Some(hearing.source_id),
        hops: hearing.hops,
    };
    let events = told.into_iter().enumerate().map(event).collect();
    let is_same = merged.is_empty() && first.is_some_and(|was| *was == after);
    let findings = if is_same { Vec::new() } else { std::iter::once(after).chain(merged).collect() };
    Heard { findings, is_new: first.is_none(), change, events, note }
}

/// The findings that the testimony is about, the eldest first. Several: they turn out to be one. Of several instances of
/// one vulnerability in one place the testimony is of the one that its key is known from, else of the first.
fn related<'a>(known: &'a [Finding], said: &Testimony, source: SourceId) -> Vec<&'a Finding> {
    let key = said.sight_key(source);
    let living = || known.iter().filter(|finding| finding.merged_into.is_none());
    let by_key = living().find(|finding| finding.sights.contains_key(&key));
    let place = identity::place(by_key.map_or(&said.observation, |finding| &*finding.observation));
    let mut names = identity::names(&said.observation);
    names.extend(by_key.into_iter().flat_map(|finding| finding.names.iter().cloned()));
    if by_key.is_some_and(|finding| finding.observation.component.is_some()) {
        names.remove("");
    }
    let is_same = |finding: &&Finding| {
        identity::place(&finding.observation) == place && names.iter().any(|name| finding.names.contains(name))
    };
    let same: Vec<&Finding> = living().filter(is_same).collect();
    let number = |finding: &&Finding| identity::number_in(&finding.identity);
    let wanted = by_key.as_ref().map(number).or_else(|| same.iter().map(number).min());
    let mut related: Vec<&Finding> = same.into_iter().filter(|finding| Some(number(finding)) == wanted).collect();
    if let Some(finding) = by_key
        && !related.iter().any(|one| one.id == finding.id)
    {
        related.push(finding);
    }
    related.sort_by_key(|finding| (finding.first_seen_at, finding.id));
    related
}

fn blank(project: &Project, said: &Testimony, hearing: &Hearing, entropy: &dyn Entropy) -> Finding {
    Finding {
        id: said.stated_id.unwrap_or_else(|| FindingId::make(hearing.received_at, entropy)),
        org_id: project.org_id,
        project_id: project.id,
        identity: identity::label(&said.observation, 1),
        names: NameSet::new(),
        status: FindingStatus::Open,
        observation: Box::new(said.observation.clone()),
        sights: Sights::new(),
        judgement: None,
        first_seen_at: said.since,
        last_seen_at: said.at,
        remediated_at: None,
        merged_into: None,
        changes: 0,
    }
}

/// When anything last saw it; of what was only ever said to be gone, when that was said.
fn last_seen(finding: &Finding) -> Timestamp {
    let witnesses = || finding.sights.values().filter_map(|sight| sight.witness.as_ref());
    let has_scans = witnesses().count() < finding.sights.len();
    let seen_at = witnesses().filter_map(|witness| witness.seen_at).max();
    let said_at = finding.sights.values().map(|sight| sight.at).max();
    match (seen_at, has_scans) {
        (Some(seen_at), false) => seen_at,
        (Some(seen_at), true) => seen_at.max(finding.last_seen_at),
        (None, true) => finding.last_seen_at,
        (None, false) => said_at.unwrap_or(finding.last_seen_at),
    }
}

/// What is known of one witness after one more word of it. Whether it sees the finding says its latest word, at one time
/// the one that does; what it says of it, the latest word that saw it.
fn listen(known: Option<Sight>, said: &Testimony, source_id: SourceId) -> Sight {
    let as_before = known.as_ref().map(|sight| sight.there);
    let there = match said.presence {
        Presence::There => true,
        Presence::Gone => false,
        Presence::AsBefore => as_before.unwrap_or(true),
    };
    let witness = Witness {
        source_id,
        key: said.key.clone(),
        url: said.observation.url.clone(),
        seen_at: there.then_some(said.at),
        told_critical: false,
    };
    let words = Some(Box::new(said.observation.clone()));
    let Some(mut sight) = known else {
        return Sight { since: said.since, at: said.at, there, observation: words, witness: Some(witness) };
    };
    sight.since = sight.since.min(said.since);
    let is_latest = (said.at, there) >= (sight.at, sight.there);
    if is_latest {
        (sight.at, sight.there) = (said.at, there);
    }
    let mut known = sight.witness.take().unwrap_or_else(|| Witness { seen_at: None, ..witness.clone() });
    let is_to_be_believed = match (there, known.seen_at) {
        (true, Some(seen_at)) => said.at >= seen_at,
        (true, None) => true,
        (false, Some(_)) => false,
        (false, None) => is_latest,
    };
    if is_to_be_believed {
        let mut words = said.observation.clone();
        if let Some(old) = &sight.observation {
            keep_place(&mut words, old);
            if said.presence == Presence::AsBefore {
                (words.suppressed, words.suppression_reason) = (old.suppressed, old.suppression_reason.clone());
            }
        }
        known.url = words.url.clone().or(known.url);
        sight.observation = Some(Box::new(words));
    }
    if there {
        known.seen_at = known.seen_at.max(Some(said.at));
    }
    sight.witness = Some(known);
    sight
}

/// A word that does not say what the finding is in means what the one before meant.
fn keep_place(words: &mut crate::finding::Observation, old: &crate::finding::Observation) {
    if words.component.is_none() {
        words.component.clone_from(&old.component);
        words.fingerprint.clone_from(&old.fingerprint);
        words.location = words.location.take().or_else(|| old.location.clone());
        if words.rule_id.is_empty() || words.component.is_none() {
            words.rule_id.clone_from(&old.rule_id);
            words.tool.clone_from(&old.tool);
        }
    }
}

/// What is told: the change, once. What was known already is told by nobody but whoever replays it.
fn types(kind: ChangeKind, said: &Testimony, now: &Finding, hearing: &Hearing) -> Vec<EventType> {
    let is_critical = now.observation.severity == Severity::Critical && now.status == FindingStatus::Open;
    let says_critical = said.event_type == EventType::VulnerabilityCritical;
    let said_critical = |tool: &str| now.said_by(tool).is_some_and(|said| said.severity == Severity::Critical);
    let was_told = now.sights.iter().any(|(tool, sight)| match &sight.witness {
        Some(witness) => witness.told_critical,
        None => said_critical(tool),
    });
    match kind {
        ChangeKind::Created if says_critical || (is_critical && hearing.tells_critical) => {
            vec![EventType::VulnerabilityCreated, EventType::VulnerabilityCritical]
        }
        ChangeKind::Created => vec![EventType::VulnerabilityCreated],
        ChangeKind::Reopened => vec![EventType::VulnerabilityReopened],
        ChangeKind::Suppressed => vec![EventType::VulnerabilitySuppressed],
        ChangeKind::Changed => vec![EventType::VulnerabilityChanged],
        // Gone, and it was never known here: whoever heard of it elsewhere closes it.
        ChangeKind::Remediated | ChangeKind::Recorded => vec![EventType::VulnerabilityRemediated],
        ChangeKind::Unchanged if says_critical && now.status == FindingStatus::Open && !was_told => {
            vec![EventType::VulnerabilityCritical]
        }
        ChangeKind::Unchanged if hearing.retells => {
            let is_both = said.event_type == EventType::VulnerabilityCreated && is_critical && hearing.tells_critical;
            let beside = is_both.then_some(EventType::VulnerabilityCritical);
            std::iter::once(said.event_type.clone()).chain(beside).collect()
        }
        ChangeKind::Unchanged => Vec::new(),
    }
}

/// Why, for the history.
fn reason(kind: ChangeKind, was: Option<&Finding>, now: &Finding, said: &Testimony, merged: &[Finding]) -> String {
    let tool = &said.observation.tool;
    if !merged.is_empty() {
        let ids: Vec<String> = merged.iter().map(|finding| finding.id.to_string()).collect();
        let names: Vec<&str> = now.names.iter().map(String::as_str).collect();
        return format!("the same vulnerability as {}: {}", ids.join(", "), names.join(", "));
    }
    let given = said.observation.suppression_reason.clone().filter(|reason| !reason.is_empty());
    match kind {
        ChangeKind::Created => format!("seen first by {tool}"),
        ChangeKind::Recorded => format!("{tool} says that it is gone; nobody had said that it was there"),
        ChangeKind::Reopened if was.is_some_and(|was| was.status == FindingStatus::Remediated) => {
            format!("seen again by {tool}")
        }
        ChangeKind::Reopened => format!("{tool} says that it counts again"),
        ChangeKind::Suppressed => given.unwrap_or_else(|| format!("{tool} says that nobody need act")),
        ChangeKind::Changed => {
            let severity = |finding: &Finding| finding.observation.severity.as_str();
            match was.map(severity) {
                Some(before) if before != severity(now) => format!("severity {}, was {before}", severity(now)),
                Some(_) | None => format!("{tool} says more of it"),
            }
        }
        ChangeKind::Remediated => format!("no longer seen by {tool}, the last that saw it"),
        ChangeKind::Unchanged => String::new(),
    }
}

/// Why nothing is told.
fn note(now: &Finding, said: &Testimony, key: &str) -> String {
    let (id, tool) = (now.id, &said.observation.tool);
    let seeing: Vec<&str> = now
        .sights
        .iter()
        .filter(|(other, sight)| sight.there && *other != key)
        .map(|(other, _)| now.tool_of(other))
        .collect();
    let is_stale = now.sights.get(key).is_some_and(|sight| sight.at > said.at);
    match said.presence {
        _ if is_stale => format!("{id}: {tool} has said something newer of it"),
        Presence::Gone if !seeing.is_empty() => {
            format!("{id}: {tool} no longer sees it, {} still does", seeing.join(", "))
        }
        Presence::Gone => format!("{id}: it was known to be gone"),
        Presence::There | Presence::AsBefore if seeing.is_empty() => format!("{id}: it was known"),
        Presence::There | Presence::AsBefore => format!("{id}: it was known, {} sees it too", seeing.join(", ")),
    }
}

/// The vendor's data, with what we know better: whose finding it is, by all its names, and where it stands.
fn data(said: &Testimony, now: &Finding, merged: &[Finding], reason: Option<String>) -> Data {
    let ours = Vulnerability {
        finding_id: Some(now.id.bare()),
        title: Some(now.observation.title.clone()).filter(|title| !title.is_empty()),
        severity: now.observation.severity,
        cve_id: now.cve_id().map(str::to_owned),
        aliases: now.aliases(),
        cvss_score: now.observation.cvss_score,
        cvss_vector: now.observation.cvss_vector.clone(),
        component: now.observation.component.clone(),
        rule_id: Some(now.observation.rule_id.clone()).filter(|rule| !rule.is_empty()),
        resource_path: now.observation.location.clone(),
        creator: None,
        project_id: Some(now.project_id.bare()),
        detected_at: Some(now.first_seen_at),
        remediated_at: now.remediated_at,
        status: Some(now.status.as_str().to_owned()),
        reason: reason.filter(|reason| !reason.is_empty()),
        accepted_until: None,
        merged_finding_ids: merged.iter().map(|finding| finding.id.bare()).collect(),
    };
    let Ok(Value::Object(ours)) = serde_json::to_value(&ours) else { return said.data.clone() };
    // What only the vendor can know stays in its words.
    const OURS: [&str; 10] = [
        "finding_id",
        "severity",
        "cve_id",
        "aliases",
        "project_id",
        "detected_at",
        "remediated_at",
        "status",
        "reason",
        "merged_finding_ids",
    ];
    let given: Map<String, Value> = said.data.typed().unwrap_or_default();
    let has_said = |name: &str| given.get(name).is_some_and(|value| !value.is_null());
    // How a dismissal is meant (false positive, accepted) is known to the vendor alone, and so are its reasons.
    let is_theirs = |name: &str| matches!(name, "status" | "reason") && now.status == FindingStatus::Suppressed;
    let mut members: Map<String, Value> = ours
        .into_iter()
        .filter(|(name, _)| !has_said(name) || (OURS.contains(&name.as_str()) && !is_theirs(name)))
        .collect();
    let project = given.get("project_id").filter(|id| id.as_str() != Some(&now.project_id.bare()));
    if let Some(theirs) = project.filter(|id| !id.is_null()) {
        members.insert("vendor_project_id".to_owned(), theirs.clone());
    }
    said.data.with_members(&members)
}

#[cfg(test)]
mod tests;

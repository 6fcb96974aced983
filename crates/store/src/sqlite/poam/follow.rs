//! What becomes of findings, followed by their plans in the same commit.
//!
//! | finding | its items | policy |
//! |---|---|---|
//! | new | – | an item, when a rule matches |
//! | open again | completed by remediation → open | an item, when a rule matches and it has none |
//! | remediated | open → completed, with `poam.completed` | – |
//! | suppressed, accepted, false | quiet: they do not ring | – |
//! | merged into another | are the other's | of two made by it the later due is cancelled |
//!
//! Findings with a row here are followed by their rows ([`findings_change`], called before these are written). Of those
//! that only events speak of, posted or received, events say it ([`said`]).

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use watchbell_domain::finding::{Finding, FindingStatus};
use watchbell_domain::id::{EventId, FindingId, OrgId, PoamId, ProjectId};
use watchbell_domain::poam::policy::{self, Facts, Policy};
use watchbell_domain::poam::{About, CompletedBy, Item, Origin, Settings, State};
use watchbell_domain::port::Acceptance;
use watchbell_wire::EventType;
use watchbell_wire::event::Vulnerability;

use super::super::error::Result;
use super::super::writer::Tx;
use super::{finding_status, insert, item, kev, replace, setting, tell};

const OF_FINDING: &str = "SELECT * FROM poam_item INDEXED BY poam_item_finding WHERE org_id = ?1 AND finding_id = ?2";
const QUIET: &str = "UPDATE poam_item INDEXED BY poam_item_finding SET next_ring_at = NULL \
    WHERE org_id = ?1 AND finding_id = ?2";
const MERGE: &str = "UPDATE poam_item INDEXED BY poam_item_finding SET finding_id = ?3, \
    next_ring_at = iif(state = 'open', 0, next_ring_at) WHERE org_id = ?1 AND finding_id = ?2";
const HAS_ITEMS: &str = "SELECT 1 FROM poam_item WHERE org_id = ?1 LIMIT 1";

/// What became of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Seen for the first time, or again.
    Opened,
    /// There as before.
    Stays,
    /// Gone.
    Remediated,
    /// There, and nobody need act.
    Quiet,
}

/// A finding, as far as plans care.
struct Followed<'a> {
    finding_id: FindingId,
    project_id: Option<ProjectId>,
    turn: Turn,
    about: About,
    cvss_score: Option<f64>,
    purl: Option<&'a str>,
    aliases: &'a [String],
}

/// These findings of a project are about to be written as they are here; `acceptance` is what is told of it.
pub(in super::super) fn findings_change(tx: &mut Tx<'_>, findings: &[Finding], acceptance: &Acceptance) -> Result<()> {
    let Some(plans) = Plans::of(tx.conn, acceptance)? else { return Ok(()) };
    for (merged, into) in findings.iter().filter_map(|finding| Some((finding.id, finding.merged_into?))) {
        plans.merge(tx, merged, into)?;
    }
    for finding in findings.iter().filter(|finding| finding.merged_into.is_none()) {
        let before = finding_status(tx.conn, plans.org, finding.id)?;
        // Whatever keeps a finding from being acted on keeps its plans quiet.
        let turn = if finding.status == FindingStatus::Remediated {
            Turn::Remediated
        } else if finding.status != FindingStatus::Open {
            Turn::Quiet
        } else if before == Some(FindingStatus::Open) {
            Turn::Stays
        } else {
            Turn::Opened
        };
        let observation = &finding.observation;
        let followed = Followed {
            finding_id: finding.id,
            project_id: Some(finding.project_id),
            turn,
            about: about(&observation.title, observation.severity, observation.cve_id.as_deref()),
            cvss_score: observation.cvss_score,
            purl: observation.component.as_ref().and_then(|component| component.purl.as_deref()),
            aliases: &observation.aliases,
        };
        plans.follow(tx, followed)?;
    }
    Ok(())
}

/// These events were accepted as they were posted, or received.
pub(in super::super) fn said(tx: &mut Tx<'_>, acceptance: &Acceptance) -> Result<()> {
    let turns = acceptance.events.iter().filter_map(|new| Some((turn(&new.event.event_type)?, new)));
    let mut plans = None;
    for (turn, new) in turns {
        if plans.is_none() {
            plans = Plans::of(tx.conn, acceptance)?;
        }
        let Some(plans) = &plans else { return Ok(()) };
        let Ok(data) = new.event.data.typed::<Vulnerability>() else { continue };
        let Some(finding_id) = data.finding_id.and_then(|id| id.parse().ok()) else { continue };
        // Of a finding with a row its row speaks.
        if finding_status(tx.conn, plans.org, finding_id)?.is_some() {
            continue;
        }
        let followed = Followed {
            finding_id,
            project_id: new.project_id,
            turn,
            about: about(data.title.as_deref().unwrap_or_default(), data.severity, data.cve_id.as_deref()),
            cvss_score: data.cvss_score,
            purl: data.component.as_ref().and_then(|component| component.purl.as_deref()),
            aliases: &data.aliases,
        };
        plans.follow(tx, followed)?;
    }
    Ok(())
}

fn about(title: &str, severity: watchbell_wire::Severity, cve_id: Option<&str>) -> About {
    About {
        title: Some(title.to_owned()).filter(|title| !title.is_empty()),
        severity,
        cve_id: cve_id.map(str::to_owned),
    }
}

/// What an event says became of its finding.
fn turn(event_type: &EventType) -> Option<Turn> {
    const TURNS: [(EventType, Turn); 5] = [
        (EventType::VulnerabilityCreated, Turn::Opened),
        (EventType::VulnerabilityReopened, Turn::Opened),
        (EventType::VulnerabilityChanged, Turn::Stays),
        (EventType::VulnerabilityRemediated, Turn::Remediated),
        (EventType::VulnerabilitySuppressed, Turn::Quiet),
    ];
    TURNS.iter().find(|(said, _)| said == event_type).map(|(_, turn)| *turn)
}

/// An organisation's way with plans, for one commit.
struct Plans {
    org: OrgId,
    now: Timestamp,
    settings: Settings,
    policy: Policy,
}

impl Plans {
    /// `None`: the organisation has neither plans nor a policy that would make one.
    fn of(conn: &Connection, acceptance: &Acceptance) -> Result<Option<Self>> {
        let org = acceptance.org_id;
        let policy = setting::policy(conn, org)?;
        let has_items = conn.prepare_cached(HAS_ITEMS)?.query_row([org.0.as_bytes()], |_| Ok(())).optional()?.is_some();
        if policy.rules.is_empty() && !has_items {
            return Ok(None);
        }
        let now = acceptance.accepted_at;
        Ok(Some(Self { org, now, settings: setting::settings(conn, org)?, policy }))
    }

    /// The plans of a finding that turned out to be another are that one's, and are looked at. Of those that the policy
    /// made, one is enough.
    fn merge(&self, tx: &Tx<'_>, merged: FindingId, into: FindingId) -> Result<()> {
        let values = params![self.org.0.as_bytes(), merged.0.as_bytes(), into.0.as_bytes()];
        tx.conn.prepare_cached(MERGE)?.execute(values)?;
        let items = self.items(tx, into)?;
        let doubled = policy::doubled(&items, &self.settings.zone);
        for item in items.into_iter().filter(|item| doubled.contains(&item.id)) {
            let (state, version) = (State::Cancelled { at: self.now }, item.version + 1);
            replace(tx, &Item { state, version, updated_at: self.now, ..item }, &self.settings, None)?;
        }
        Ok(())
    }

    fn follow(&self, tx: &mut Tx<'_>, followed: Followed<'_>) -> Result<()> {
        let items = self.items(tx, followed.finding_id)?;
        if items.is_empty() && followed.turn == Turn::Opened {
            return self.plan(tx, followed);
        }
        if followed.turn == Turn::Quiet {
            let finding = followed.finding_id.0;
            tx.conn.prepare_cached(QUIET)?.execute(params![self.org.0.as_bytes(), finding.as_bytes()])?;
        }
        for item in items {
            self.move_on(tx, item, &followed)?;
        }
        Ok(())
    }

    fn move_on(&self, tx: &mut Tx<'_>, item: Item, followed: &Followed<'_>) -> Result<()> {
        let state = match (item.state, followed.turn) {
            (State::Open, Turn::Remediated) => State::Completed { at: self.now, by: CompletedBy::Remediation },
            (State::Completed { by: CompletedBy::Remediation, .. }, Turn::Opened) => State::Open,
            (state, Turn::Opened | Turn::Stays | Turn::Remediated | Turn::Quiet) => state,
        };
        let has_moved = state != item.state;
        let is_new = item.about != followed.about;
        let wakes = state == State::Open && followed.turn == Turn::Opened;
        if !(has_moved || is_new || wakes) {
            return Ok(());
        }
        let project_id = item.project_id.or(followed.project_id);
        let version = item.version + u64::from(has_moved);
        let updated_at = if has_moved { self.now } else { item.updated_at };
        let item = Item { state, project_id, about: followed.about.clone(), version, updated_at, ..item };
        let is_quiet = followed.turn == Turn::Quiet;
        let next_ring_at = item.next_ring_at(&self.settings).filter(|_| !is_quiet);
        replace(tx, &item, &self.settings, next_ring_at)?;
        if has_moved && followed.turn == Turn::Remediated {
            let id = EventId::make(self.now, &*tx.vault.entropy);
            tell(tx, self.org, item.completed(&self.settings, self.now, id), self.now)?;
        }
        Ok(())
    }

    /// An item by the policy.
    fn plan(&self, tx: &Tx<'_>, followed: Followed<'_>) -> Result<()> {
        let names = followed.about.cve_id.iter().chain(followed.aliases).map(String::as_str);
        let facts = Facts {
            severity: followed.about.severity,
            cvss_score: followed.cvss_score,
            purl: followed.purl,
            is_known_exploited: self.policy.asks_for_kev() && kev::knows(tx.conn, names)?,
        };
        let Some(due) = self.policy.due(facts, &self.settings.zone, self.now) else { return Ok(()) };
        let item = Item {
            id: PoamId::make(self.now, &*tx.vault.entropy),
            org_id: self.org,
            finding_id: followed.finding_id,
            project_id: followed.project_id,
            about: followed.about,
            title: None,
            owner: None,
            notes: None,
            due,
            milestones: Vec::new(),
            state: State::Open,
            origin: Origin::Policy,
            told: None,
            version: 0,
            created_at: self.now,
            updated_at: self.now,
        };
        insert(tx, &item, &self.settings)
    }

    fn items(&self, tx: &Tx<'_>, finding: FindingId) -> Result<Vec<Item>> {
        let mut query = tx.conn.prepare_cached(OF_FINDING)?;
        let mut rows = query.query(params![self.org.0.as_bytes(), finding.0.as_bytes()])?;
        let mut items = Vec::new();
        while let Some(row) = rows.next()? {
            items.push(item(row)?);
        }
        Ok(items)
    }
}

//! Items as an OSCAL plan of action and milestones.
//!
//! Source: NIST, OSCAL 1.1.2, "POA&M model" (JSON). Each item is a `poam-item` that names a `risk`; the risk carries the
//! deadline and, as a remediation's tasks, the milestones. OSCAL takes only random and name-based UUIDs, and ours are
//! sorted by time, so names are made of them, the same every time; our ids stand in properties.

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Item, Milestone, Settings, Status};
use crate::org::Org;

/// The version whose schema the document follows.
pub const VERSION: &str = "1.1.2";

/// Whose property names these are.
const NAMESPACE: &str = "https://github.com/watchbell/watchbell/ns/oscal";

/// The document. `None` without items: OSCAL knows no plan of nothing.
pub fn document(org: &Org, items: &[Item], settings: &Settings, now: Timestamp) -> Option<Value> {
    if items.is_empty() {
        return None;
    }
    let risks: Vec<Value> = items.iter().map(|item| risk(item, settings, now)).collect();
    let plans: Vec<Value> = items.iter().map(|item| plan(item, settings, now)).collect();
    let modified = items.iter().map(|item| item.updated_at).max().unwrap_or(now);
    Some(json!({"plan-of-action-and-milestones": {
        "uuid": name(org.id.0, "plan"),
        "metadata": {
            "title": format!("Plan of action and milestones: {}", line(&org.name)),
            "last-modified": modified.to_string(),
            "version": modified.to_string(),
            "oscal-version": VERSION,
        },
        "system-id": {"identifier-type": "https://ietf.org/rfc/rfc4122", "id": org.id.bare()},
        "risks": risks,
        "poam-items": plans,
    }}))
}

fn plan(item: &Item, settings: &Settings, now: Timestamp) -> Value {
    let mut props = vec![
        property("item-id", &item.id.to_string()),
        property("status", item.status(settings, now).as_str()),
        property("scheduled-completion-date", &item.due.to_string()),
        property("origin", item.origin.as_str()),
    ];
    props.extend(item.owner.as_deref().and_then(filled).map(|owner| property("owner", &owner)));
    let mut plan = json!({
        "uuid": name(item.id.0, "item"),
        "title": title(item),
        "description": description(item),
        "props": props,
        "related-risks": [{"risk-uuid": name(item.id.0, "risk")}],
    });
    if let (Some(notes), Some(members)) = (item.notes.as_deref().and_then(filled), plan.as_object_mut()) {
        members.insert("remarks".to_owned(), notes.into());
    }
    plan
}

fn risk(item: &Item, settings: &Settings, now: Timestamp) -> Value {
    let mut props =
        vec![property("finding-id", &item.finding_id.to_string()), property("severity", item.about.severity.as_str())];
    props.extend(item.about.cve_id.as_deref().and_then(filled).map(|cve| property("cve-id", &cve)));
    let status = match item.status(settings, now) {
        Status::Open | Status::Overdue => "open",
        Status::Completed | Status::Cancelled => "closed",
    };
    let mut risk = json!({
        "uuid": name(item.id.0, "risk"),
        "title": title(item),
        "description": description(item),
        "statement": description(item),
        "props": props,
        "status": status,
        "deadline": item.due.deadline(&settings.zone).to_string(),
    });
    if let (false, Some(members)) = (item.milestones.is_empty(), risk.as_object_mut()) {
        let tasks = item.milestones.iter().enumerate();
        let tasks: Vec<Value> = tasks.map(|(index, step)| task(item, index, step, settings)).collect();
        let remediation = json!({
            "uuid": name(item.id.0, "remediation"),
            "lifecycle": "planned",
            "title": title(item),
            "description": "Remediate the finding.",
            "tasks": tasks,
        });
        members.insert("remediations".to_owned(), json!([remediation]));
    }
    risk
}

fn task(item: &Item, index: usize, milestone: &Milestone, settings: &Settings) -> Value {
    let state = if milestone.completed_at.is_some() { "completed" } else { "open" };
    json!({
        "uuid": name(item.id.0, &format!("milestone {index}")),
        "type": "milestone",
        "title": line(&milestone.title),
        "props": [property("state", state)],
        "timing": {"on-date": {"date": milestone.due.deadline(&settings.zone).to_string()}},
    })
}

fn title(item: &Item) -> String {
    let title = item.shown_title().and_then(filled);
    title
        .or_else(|| item.about.cve_id.as_deref().and_then(filled))
        .unwrap_or_else(|| format!("Finding {}", item.finding_id))
}

fn description(item: &Item) -> String {
    let severity = item.about.severity.as_str();
    match item.about.cve_id.as_deref().and_then(filled) {
        Some(cve) => format!("{cve}, severity {severity}, finding {}", item.finding_id),
        None => format!("Severity {severity}, finding {}", item.finding_id),
    }
}

fn property(name: &str, value: &str) -> Value {
    json!({"name": name, "ns": NAMESPACE, "value": line(value)})
}

/// On one line, without blanks around it; a hyphen where nothing is left.
fn line(text: &str) -> String {
    filled(text).unwrap_or_else(|| "-".to_owned())
}

fn filled(text: &str) -> Option<String> {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then_some(line)
}

/// A name-based UUID in the shape that OSCAL takes, of SHA-256.
fn name(id: Uuid, part: &str) -> String {
    let hash = Sha256::new().chain_update(id.as_bytes()).chain_update(part.as_bytes()).finalize();
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(hash) {
        *to = from;
    }
    let mut builder = uuid::Builder::from_bytes(bytes);
    builder.set_variant(uuid::Variant::RFC4122).set_version(uuid::Version::Sha1);
    builder.into_uuid().hyphenated().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::OrgId;
    use crate::poam::testing::item;

    fn org() -> Org {
        let (id, created_at) = (OrgId(Uuid::from_u128(7)), Timestamp::UNIX_EPOCH);
        Org { id, slug: "acme".into(), name: "Acme".into(), weight: 1, created_at }
    }

    #[test]
    fn an_item_is_a_plan_and_its_risk() {
        let now = "2026-02-04T12:00:00Z".parse().unwrap();
        let document = document(&org(), &[item()], &Settings::default(), now).unwrap();
        insta::assert_json_snapshot!(document);
    }

    #[test]
    fn of_nothing_there_is_no_plan_and_blanks_make_no_values() {
        assert_eq!(document(&org(), &[], &Settings::default(), Timestamp::UNIX_EPOCH), None);
        assert_eq!((line(" a\r\n b\u{7}"), line(" \n")), ("a b".to_owned(), "-".to_owned()));
    }
}

//! Snyk's outbound webhooks, v1 (beta at the vendor): `ping` and `project_snapshot`.
//!
//! Source: <https://docs.snyk.io/snyk-api/how-to-use-snyk-webhooks-apis/about-webhooks>, "verifying the source" and "events and
//! payloads". Signature: `X-Hub-Signature: sha256=` and the lower-case hex HMAC-SHA256 of the raw body; the
//! key is the secret's UTF-8 bytes, also when the secret looks like hex. Neither the event header nor the time header is
//! signed. Vectors: `tests/vectors/snyk.json`.
//!
//! What goes out survives `JSON.parse` and `JSON.stringify` unchanged (see [`crate::json::javascript`]), because Snyk's
//! older example verifies that text. Every member of the documented example is written; `null` and absent members get an
//! empty value of their type, because there are consumers whose model demands them all.
//!
//! Decoded: a `ping` is a `webhook.ping`; a `project_snapshot` is a `project.snapshot` with Snyk's own members, and an
//! event for each issue. A finding's key is `snyk:<project.id>:<issue.id>` (member `finding_key`), its `finding_id` a
//! UUID made of that key. An ignored issue opens suppressed: `vulnerability.suppressed` instead of `.created`. An issue
//! in both lists is open, so its removal is not told.

use std::borrow::Cow;
use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::message::{
    self, Events, Said, bare, iso_seconds, malformed, named_id, need, object_of, plain_header, required_text,
    severity_named, text, unfit, unknown_event,
};
use super::package;
use super::{Carrier, Credential, Dialect, EncodeError, Header, Inbound, Message, Outbound, Settings};
use crate::event::{self, Ping};
use crate::json::javascript;
use crate::json::tree::{Object, Value};
use crate::signature::BodyDigest;
use crate::{Data, Decoded, Event, EventType, Key, Reason, Refusal, Severity, Unverified, Verified};

pub(super) static DIALECT: Dialect = Dialect {
    id: "snyk",
    name: "Snyk",
    source: "https://docs.snyk.io/snyk-api/how-to-use-snyk-webhooks-apis/about-webhooks",
    credential: Credential::SecretGiven,
    carrier: Carrier::Http,
    url_is_secret: false,
    secrets: &message::TextSecrets,
    inbound: Some(&Snyk),
    outbound: Some(&Snyk),
};

const SIGNATURE: BodyDigest = BodyDigest { header: "X-Hub-Signature" };
const EVENT: &str = "X-Snyk-Event";
const TRANSPORT_ID: &str = "X-Snyk-Transport-ID";
const TIMESTAMP: &str = "X-Snyk-Timestamp";

struct Snyk;

impl Inbound for Snyk {
    fn verify(&self, request: &Unverified, keys: &[Key], _: Timestamp, _: SignedDuration) -> Result<(), Refusal> {
        SIGNATURE.verify(request, keys)
    }

    fn resembles(&self, request: &Unverified) -> bool {
        let has = |body: &Value, name: &str| body.get(name).is_some();
        Value::read(request.body()).is_ok_and(|body| {
            has(&body, "webhookId") || (has(&body, "newIssues") && has(&body, "project") && has(&body, "org"))
        })
    }

    fn decode(&self, request: &Verified) -> Result<Decoded, Refusal> {
        let headers = request.headers();
        let Some(event) = headers.one(EVENT)?.filter(|value| !value.is_empty()) else {
            return Err(Refusal::new(Reason::HeaderMissing, format!("the header {EVENT} is missing")));
        };
        let event = plain_header(event, EVENT)?;
        let (name, version) = match event.split_once('/') {
            Some((name, version)) => (name.to_owned(), Some(version.to_owned())),
            None => (event, None),
        };
        let delivery_id = headers
            .one(TRANSPORT_ID)?
            .filter(|value| !value.is_empty())
            .map(|value| plain_header(value, TRANSPORT_ID))
            .transpose()?;
        let body = object_of(Value::read(request.body()).map_err(|error| malformed(&error))?)?;
        let stated = headers.one(TIMESTAMP)?.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
        let occurred_at = stated.unwrap_or(request.received_at());
        let mut events = Events::of(DIALECT.id, request);
        match name.as_str() {
            // The event header is not signed: what is plainly something else is no ping.
            "ping" if body.get("project").is_some() => return Err(unfit("/project", "absent of a ping")),
            "ping" => {
                let webhook_id = body.get("webhookId").and_then(Value::as_str).unwrap_or_default().to_owned();
                events.push_data(EventType::WebhookPing, occurred_at, Data::from_typed(&Ping { webhook_id }));
            }
            "project_snapshot" => decode_snapshot(body, occurred_at, &mut events)?,
            _ => {}
        }
        let silence = events.silence(|| unknown_event(&name));
        Ok(Decoded {
            vendor_event: name,
            vendor_version: version,
            delivery_id,
            sent_at: None,
            events: events.done(),
            silence,
        })
    }
}

fn decode_snapshot(body: Object, occurred_at: Timestamp, events: &mut Events<'_>) -> Result<(), Refusal> {
    let member =
        |key: &str| body.get(key).and_then(Value::as_object).ok_or_else(|| unfit(&format!("/{key}"), "an object"));
    let project = Project {
        id: required_text(member("project")?, "id", "/project")?,
        name: required_text(member("project")?, "name", "/project")?,
        repository_url: text(member("project")?, "remoteRepoUrl").map(str::to_owned),
        package_type: text(member("project")?, "type").and_then(package::of_manager),
    };
    required_text(member("org")?, "id", "/org")?;
    let list = |key: &str| -> Result<Vec<Issue>, Refusal> {
        let issues = match body.get(key) {
            None | Some(Value::Null) if key == "removedIssues" => &[],
            Some(Value::Array(issues)) => issues.as_slice(),
            _ => return Err(unfit(&format!("/{key}"), "an array")),
        };
        issues
            .iter()
            .enumerate()
            .map(|(place, issue)| Issue::read(issue, &format!("/{key}/{place}"), &project))
            .collect()
    };
    let (new, removed) = (list("newIssues")?, list("removedIssues")?);
    events.push(EventType::ProjectSnapshot, occurred_at, body, Object::default())?;

    let open: BTreeSet<String> = new.iter().map(|issue| issue.key.clone()).collect();
    for mut issue in new {
        issue.data.set("detected_at", occurred_at.to_string());
        let event_type =
            if issue.ignored { EventType::VulnerabilitySuppressed } else { EventType::VulnerabilityCreated };
        events.push(event_type, occurred_at, issue.data, Object::default())?;
    }
    for mut issue in removed.into_iter().filter(|issue| !open.contains(&issue.key)) {
        issue.data.set("remediated_at", occurred_at.to_string());
        events.push(EventType::VulnerabilityRemediated, occurred_at, issue.data, Object::default())?;
    }
    Ok(())
}

/// The project that a snapshot is of.
struct Project {
    id: String,
    name: String,
    repository_url: Option<String>,
    /// The type of its packages' URLs.
    package_type: Option<&'static str>,
}

/// An issue in our members.
struct Issue {
    key: String,
    ignored: bool,
    data: Object,
}

impl Issue {
    /// Only the id is required; everything else is read where it has the documented type.
    fn read(issue: &Value, at: &str, project: &Project) -> Result<Self, Refusal> {
        let object = issue.as_object().ok_or_else(|| unfit(at, "an object"))?;
        let id = required_text(object, "id", at)?;
        let key = format!("snyk:{}:{id}", project.id);
        let about = object.get("issueData");
        let of_issue = |key: &str| about?.get(key)?.as_str().filter(|text| !text.is_empty());
        let identifiers = about.and_then(|about| about.get("identifiers")).and_then(Value::as_object);
        let cve_id = identifiers.and_then(|names| texts(names.get("CVE")).next());

        let mut data = Object::from([
            ("finding_id", named_id(&[key.as_bytes()]).to_string().into()),
            ("finding_key", key.as_str().into()),
        ]);
        data.set_some("title", of_issue("title"));
        data.set("severity", of_issue("severity").map_or(Severity::Unknown, severity_named).as_str());
        data.set_some("cve_id", cve_id);
        data.set("aliases", aliases(&id, cve_id, identifiers));
        data.set_some(
            "cvss_score",
            about.and_then(|about| about.get("cvssScore")).filter(|score| score.as_f64().is_some()).cloned(),
        );
        data.set_some("cvss_vector", of_issue("CVSSv3"));
        if let Some(name) = object.get("pkgName").and_then(Value::as_str).filter(|name| !name.is_empty()) {
            let mut component = Object::from([("name", name.into())]);
            component.set_some("version", texts(object.get("pkgVersions")).next());
            let package_type = of_issue("language").and_then(package::of_language).or(project.package_type);
            component.set_some("purl", package_type.map(|kind| package::purl(kind, name)));
            data.set("component", component);
        }
        data.set("rule_id", id);
        data.set_some("resource_path", of_issue("path"));
        data.set("project_id", project.id.as_str());
        data.set("project_name", project.name.as_str());
        data.set_some("repository_url", project.repository_url.clone());
        data.set_some("url", of_issue("url"));
        let ignored = object.get("isIgnored") == Some(&Value::Bool(true));
        Ok(Self { key, ignored, data })
    }
}

fn texts(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array).unwrap_or_default().iter().filter_map(Value::as_str).filter(|text| !text.is_empty())
}

/// Snyk's own id, then every other name of the vulnerability; CWE names a kind of weakness and is none.
fn aliases(id: &str, cve_id: Option<&str>, identifiers: Option<&Object>) -> Vec<Value> {
    let mut aliases = vec![id];
    for (_, names) in identifiers.into_iter().flat_map(Object::iter).filter(|(kind, _)| *kind != "CWE") {
        for name in texts(Some(names)) {
            if Some(name) != cve_id && !aliases.contains(&name) {
                aliases.push(name);
            }
        }
    }
    aliases.into_iter().map(Value::from).collect()
}

impl Outbound for Snyk {
    fn event_name<'a>(&self, event_type: &'a EventType) -> Option<Cow<'a, str>> {
        Said::name(EVENTS, event_type)
    }

    fn encode(&self, event: &Event, _: &Settings) -> Result<Vec<u8>, EncodeError> {
        let body = Said::encode(EVENTS, event)?;
        Ok(javascript::stringify(&Value::Object(body)).into_bytes())
    }

    fn headers(&self, message: &Message<'_>, keys: &[Key]) -> Result<Vec<Header>, EncodeError> {
        Ok(vec![
            Header { name: "Content-Type", value: "application/json".to_owned() },
            Header { name: "User-Agent", value: "Snyk-Webhooks/044aadd".to_owned() },
            Header { name: EVENT, value: message.event.to_owned() },
            Header { name: TRANSPORT_ID, value: bare(message.id).to_owned() },
            Header { name: TIMESTAMP, value: iso_seconds(message.occurred_at) },
            Header { name: SIGNATURE.header, value: SIGNATURE.sign(message.body, keys)? },
        ])
    }
}

const EVENTS: &[Said] = &[
    Said { event_type: EventType::WebhookPing, name: "ping/v0", encode: ping },
    Said { event_type: EventType::ProjectSnapshot, name: "project_snapshot/v0", encode: snapshot },
];

fn ping(event: &Event) -> Result<Object, EncodeError> {
    let ping: Ping = message::typed(event)?;
    let webhook_id = need(Some(ping.webhook_id).filter(|id| !id.is_empty()), "webhook_id")?;
    Ok(Object::from([("webhookId", bare(&webhook_id).into())]))
}

fn snapshot(event: &Event) -> Result<Object, EncodeError> {
    let read = Value::read(event.data.text().as_bytes()).map_err(|error| EncodeError::Data(error.to_string()))?;
    event::check_value(&event.event_type, &read).map_err(|mismatch| EncodeError::Data(mismatch.to_string()))?;
    let Value::Object(mut body) = read else {
        return Err(EncodeError::Data("data is not an object".to_owned()));
    };
    fill(&mut body, SNAPSHOT);
    if let Some(Value::Object(project)) = body.get_mut("project")
        && project.get("lastTestedDate").and_then(Value::as_str) == Some("")
    {
        project.set("lastTestedDate", format!("{:.3}", event.occurred_at));
    }
    for list in ["newIssues", "removedIssues"] {
        if let Some(Value::Array(issues)) = body.get_mut(list) {
            for issue in issues {
                if let Value::Object(issue) = issue {
                    fill(issue, ISSUE);
                }
            }
        }
    }
    Ok(body)
}

/// The empty value of a member that a snapshot does not have.
enum Empty {
    Text,
    Null,
    False,
    Zero,
    List,
    Members(&'static [(&'static str, Empty)]),
}

/// Adds the members that are absent, and replaces nulls where the document shows something else than null.
fn fill(object: &mut Object, shape: &'static [(&'static str, Empty)]) {
    for (key, empty) in shape {
        match (object.get_mut(key), empty) {
            (Some(Value::Object(inner)), Empty::Members(members)) => fill(inner, members),
            (None | Some(Value::Null), _) => object.set(key, empty.value()),
            (Some(_), _) => {}
        }
    }
}

impl Empty {
    fn value(&'static self) -> Value {
        match self {
            Self::Text => "".into(),
            Self::Null => Value::Null,
            Self::False => false.into(),
            Self::Zero => 0_i64.into(),
            Self::List => Vec::new().into(),
            Self::Members(members) => {
                let mut object = Object::default();
                fill(&mut object, members);
                object.into()
            }
        }
    }
}

/// The documented example's members, in its order.
const SNAPSHOT: &[(&str, Empty)] = &[
    ("project", Empty::Members(PROJECT)),
    (
        "org",
        Empty::Members(&[
            ("name", Empty::Text),
            ("id", Empty::Text),
            ("slug", Empty::Text),
            ("url", Empty::Text),
            ("created", Empty::Text),
        ]),
    ),
    ("group", Empty::Members(&[("name", Empty::Text), ("id", Empty::Text)])),
    ("newIssues", Empty::List),
    ("removedIssues", Empty::List),
];

const PROJECT: &[(&str, Empty)] = &[
    ("name", Empty::Text),
    ("id", Empty::Text),
    ("created", Empty::Text),
    ("origin", Empty::Text),
    ("type", Empty::Text),
    ("readOnly", Empty::False),
    ("testFrequency", Empty::Text),
    ("totalDependencies", Empty::Zero),
    (
        "issueCountsBySeverity",
        Empty::Members(&[
            ("low", Empty::Zero),
            ("medium", Empty::Zero),
            ("high", Empty::Zero),
            ("critical", Empty::Zero),
        ]),
    ),
    ("imageId", Empty::Text),
    ("imageTag", Empty::Text),
    ("imagePlatform", Empty::Text),
    ("hostname", Empty::Null),
    ("remoteRepoUrl", Empty::Text),
    ("lastTestedDate", Empty::Text),
    ("browseUrl", Empty::Text),
    ("importingUser", Empty::Null),
    ("isMonitored", Empty::False),
    ("branch", Empty::Null),
    ("targetReference", Empty::Null),
    ("tags", Empty::List),
    (
        "attributes",
        Empty::Members(&[("criticality", Empty::List), ("environment", Empty::List), ("lifecycle", Empty::List)]),
    ),
    (
        "remediation",
        Empty::Members(&[
            ("upgrade", Empty::Members(&[])),
            ("patch", Empty::Members(&[])),
            ("pin", Empty::Members(&[])),
        ]),
    ),
    ("imageBaseImage", Empty::Text),
    ("imageCluster", Empty::Text),
];

const ISSUE: &[(&str, Empty)] = &[
    ("id", Empty::Text),
    ("issueType", Empty::Text),
    ("pkgName", Empty::Text),
    ("pkgVersions", Empty::List),
    ("priority", Empty::Members(&[("score", Empty::Zero), ("factors", Empty::List)])),
    (
        "issueData",
        Empty::Members(&[
            ("id", Empty::Text),
            ("title", Empty::Text),
            ("severity", Empty::Text),
            ("url", Empty::Text),
            ("description", Empty::Text),
            (
                "identifiers",
                Empty::Members(&[("CVE", Empty::List), ("CWE", Empty::List), ("ALTERNATIVE", Empty::List)]),
            ),
            ("credit", Empty::List),
            ("exploitMaturity", Empty::Text),
            ("semver", Empty::Members(&[("vulnerable", Empty::List)])),
            ("publicationTime", Empty::Text),
            ("disclosureTime", Empty::Text),
            ("CVSSv3", Empty::Text),
            ("cvssScore", Empty::Null),
            ("language", Empty::Text),
            ("patches", Empty::List),
            ("nearestFixedInVersion", Empty::Text),
        ]),
    ),
    ("isPatched", Empty::False),
    ("isIgnored", Empty::False),
    (
        "fixInfo",
        Empty::Members(&[
            ("isUpgradable", Empty::False),
            ("isPinnable", Empty::False),
            ("isPatchable", Empty::False),
            ("nearestFixedInVersion", Empty::Text),
        ]),
    ),
];

//! GitHub's security alerts: Dependabot, code scanning, secret scanning. Received only.
//!
//! Source: GitHub's documentation, "Webhook events and payloads" and "Validating webhook deliveries". Signature:
//! `X-Hub-Signature-256: sha256=` and the lower-case hex HMAC-SHA256 of the raw body, of a form as much as of JSON; the
//! key is the secret's UTF-8 bytes. `X-Hub-Signature` (SHA-1) proves too little and is never looked at, except to say so.
//! The event header is not signed, so a body must fit the event it comes with. Vectors: `tests/vectors/github.json`.
//!
//! Decoded: a finding's key is `github:<repository>:<kind>:<number>` (member `finding_key`), its `finding_id` a UUID made
//! of that key. Only members named here are taken over: a leaked secret, should one ever stand in an alert, goes no
//! further. An alert that appeared in one more branch, or was assigned to somebody, is no news of the finding.

use jiff::{SignedDuration, Timestamp};

use super::form::{self, payload};
use super::message::{
    Events, TextSecrets, bare, malformed, member, named_id, object_of, plain_header, quoted, required_text,
    severity_named, text, time_of, unfit, unknown_event,
};
use super::package::purl;
use super::{Carrier, Credential, Dialect, EncodeError, Header, Inbound, Message};
use crate::event::Ping;
use crate::json::tree::{Object, Value};
use crate::signature::BodyDigest;
use crate::{Data, Decoded, EventType, Headers, Key, Reason, Refusal, Severity, Unverified, Verified};

pub(super) static DIALECT: Dialect = Dialect {
    id: "github",
    name: "GitHub security alerts",
    source: "https://docs.github.com/en/webhooks/webhook-events-and-payloads",
    credential: Credential::SecretGivenOrMade,
    carrier: Carrier::Http,
    url_is_secret: false,
    secrets: &TextSecrets,
    inbound: Some(&GitHub),
    outbound: None,
};

const SIGNATURE: BodyDigest = BodyDigest { header: "X-Hub-Signature-256" };
const SHA1_SIGNATURE: &str = "X-Hub-Signature";
const EVENT: &str = "X-GitHub-Event";
const DELIVERY: &str = "X-GitHub-Delivery";

struct GitHub;

impl Inbound for GitHub {
    fn verify(&self, request: &Unverified, keys: &[Key], _: Timestamp, _: SignedDuration) -> Result<(), Refusal> {
        let outcome = SIGNATURE.verify(request, keys);
        match outcome {
            Err(refusal)
                if refusal.reason == Reason::SignatureMissing
                    && request.headers().all(SHA1_SIGNATURE).next().is_some() =>
            {
                let detail = format!(
                    "the header {} is missing; {SHA1_SIGNATURE} alone is a SHA-1 signature, which proves too little",
                    SIGNATURE.header
                );
                Err(Refusal::new(Reason::SignatureMissing, detail))
            }
            other => other,
        }
    }

    fn mistaken(&self, request: &Unverified) -> Vec<(Vec<u8>, &'static str)> {
        let of_form = payload(request.headers(), request.body()).ok().filter(|payload| payload != request.body());
        let words = "the JSON inside the form was signed; the raw form body is to be signed and verified";
        of_form.map(|payload| (payload, words)).into_iter().collect()
    }

    fn resembles(&self, request: &Unverified) -> bool {
        let payload = payload(request.headers(), request.body()).unwrap_or_default();
        Value::read(&payload).is_ok_and(|body| {
            let has = |name: &str| body.get(name).is_some();
            (has("zen") && has("hook_id")) || (has("alert") && has("repository") && has("action"))
        })
    }

    fn decode(&self, request: &Verified) -> Result<Decoded, Refusal> {
        let headers = request.headers();
        let Some(event) = headers.one(EVENT)?.filter(|value| !value.is_empty()) else {
            return Err(Refusal::new(Reason::HeaderMissing, format!("the header {EVENT} is missing")));
        };
        let vendor_event = plain_header(event, EVENT)?;
        let delivery_id = headers
            .one(DELIVERY)?
            .filter(|value| !value.is_empty())
            .map(|value| plain_header(value, DELIVERY))
            .transpose()?;
        let payload = payload(headers, request.body())?;
        let body = object_of(Value::read(&payload).map_err(|error| malformed(&error))?)?;
        let mut events = Events::of(DIALECT.id, request);
        if vendor_event == "ping" {
            // The event header is not signed: what is plainly something else is no ping.
            if body.get("alert").is_some() {
                return Err(unfit("/alert", "absent of a ping"));
            }
            let webhook_id = body.get("hook_id").and_then(Value::as_i64).map(|id| id.to_string()).unwrap_or_default();
            let ping = Data::from_typed(&Ping { webhook_id });
            events.push_data(EventType::WebhookPing, request.received_at(), ping);
        } else if let Some(kind) = KINDS.iter().find(|kind| kind.event == vendor_event) {
            let alert = Alert::read(kind, &body)?;
            let action = body.get("action").and_then(Value::as_str).unwrap_or_default();
            if let Some(event_type) = (kind.event_type)(action, alert.members) {
                alert.tell(event_type, request.received_at(), &mut events)?;
            }
        }
        let silence =
            events.silence(|| match (KINDS.iter().any(|kind| kind.event == vendor_event), text(&body, "action")) {
                (true, Some(action)) => {
                    format!("the action {} of {vendor_event} changes nothing about a finding", quoted(action))
                }
                (true, None) | (false, _) => unknown_event(&vendor_event),
            });
        Ok(Decoded { vendor_event, vendor_version: None, delivery_id, sent_at: None, events: events.done(), silence })
    }

    fn json(&self, headers: &Headers, body: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        payload(headers, body).map(Some)
    }

    /// The leaked secret itself, which GitHub does not send and may one day.
    fn redacted(&self, headers: &Headers, body: &[u8]) -> Option<Vec<u8>> {
        form::redacted(headers, body, &["alert", "secret"])
    }

    fn vendor_headers(&self, message: &Message<'_>, keys: &[Key]) -> Result<Vec<Header>, EncodeError> {
        Ok(vec![
            Header { name: "Content-Type", value: "application/json".to_owned() },
            Header { name: "User-Agent", value: "GitHub-Hookshot/044aadd".to_owned() },
            Header { name: EVENT, value: message.event.to_owned() },
            Header { name: DELIVERY, value: bare(message.id).to_owned() },
            Header { name: SIGNATURE.header, value: SIGNATURE.sign(message.body, keys)? },
        ])
    }
}

/// One of the three kinds of alert.
struct Kind {
    event: &'static str,
    /// As it stands in a finding's key.
    key: &'static str,
    /// What an action says about the finding; `None` when it says nothing of its life.
    event_type: fn(&str, &Object) -> Option<EventType>,
    describe: fn(&Object, &mut Object),
    /// Members that alerts of this kind have, and of no other.
    marks: &'static [&'static str],
}

const KINDS: &[Kind] = &[
    Kind {
        event: "dependabot_alert",
        key: "dependabot",
        event_type: of_dependabot,
        describe: dependency,
        marks: &["security_advisory", "security_vulnerability"],
    },
    Kind {
        event: "code_scanning_alert",
        key: "code-scanning",
        event_type: of_code_scanning,
        describe: code,
        marks: &["rule", "most_recent_instance"],
    },
    Kind {
        event: "secret_scanning_alert",
        key: "secret-scanning",
        event_type: of_secret_scanning,
        describe: leak,
        marks: &["secret_type"],
    },
];

fn of_dependabot(action: &str, _: &Object) -> Option<EventType> {
    match action {
        "created" => Some(EventType::VulnerabilityCreated),
        "reopened" | "reintroduced" | "auto_reopened" => Some(EventType::VulnerabilityReopened),
        "fixed" => Some(EventType::VulnerabilityRemediated),
        "dismissed" | "auto_dismissed" => Some(EventType::VulnerabilitySuppressed),
        _ => None,
    }
}

fn of_code_scanning(action: &str, _: &Object) -> Option<EventType> {
    match action {
        "created" => Some(EventType::VulnerabilityCreated),
        "reopened" | "reopened_by_user" => Some(EventType::VulnerabilityReopened),
        "fixed" => Some(EventType::VulnerabilityRemediated),
        "closed_by_user" => Some(EventType::VulnerabilitySuppressed),
        _ => None,
    }
}

/// A resolved secret is gone when it was revoked; every other resolution says that nobody will revoke it.
fn of_secret_scanning(action: &str, alert: &Object) -> Option<EventType> {
    match action {
        "created" => Some(EventType::VulnerabilityCreated),
        "reopened" => Some(EventType::VulnerabilityReopened),
        "validated" | "publicly_leaked" => Some(EventType::VulnerabilityChanged),
        "revoked" => Some(EventType::VulnerabilityRemediated),
        "resolved" => Some(match text(alert, "resolution") {
            None | Some("revoked") => EventType::VulnerabilityRemediated,
            Some(_) => EventType::VulnerabilitySuppressed,
        }),
        _ => None,
    }
}

/// An alert with what every kind has.
struct Alert<'a> {
    members: &'a Object,
    data: Object,
}

impl<'a> Alert<'a> {
    fn read(kind: &Kind, body: &'a Object) -> Result<Self, Refusal> {
        let object =
            |key: &str| body.get(key).and_then(Value::as_object).ok_or_else(|| unfit(&format!("/{key}"), "an object"));
        let (members, repository) = (object("alert")?, object("repository")?);
        // The event header is not signed: what is plainly another kind is not taken for this one.
        let others = KINDS.iter().filter(|other| other.event != kind.event).flat_map(|other| other.marks);
        if let Some(mark) = others.copied().find(|mark| members.get(mark).is_some()) {
            return Err(unfit(&format!("/alert/{mark}"), &format!("absent of a {}", kind.event)));
        }
        let number =
            members.get("number").and_then(Value::as_i64).ok_or_else(|| unfit("/alert/number", "an integer"))?;
        let name = required_text(repository, "full_name", "/repository")?;
        let key = format!("github:{name}:{}:{number}", kind.key);
        let mut data =
            Object::from([("finding_id", named_id(&[key.as_bytes()]).to_string().into()), ("finding_key", key.into())]);
        (kind.describe)(members, &mut data);
        data.set("repository", name);
        data.set_some("url", text(members, "html_url"));
        Ok(Self { members, data })
    }

    fn tell(mut self, event_type: EventType, received_at: Timestamp, events: &mut Events<'_>) -> Result<(), Refusal> {
        let time = |key: &str| -> Result<Option<Timestamp>, Refusal> {
            text(self.members, key).map(|stated| time_of(stated, &format!("/alert/{key}"))).transpose()
        };
        let occurred_at = time("updated_at")?.or(time("created_at")?).unwrap_or(received_at);
        let detected_at = time("created_at")?.unwrap_or(occurred_at);
        self.data.set("detected_at", detected_at.to_string());
        if event_type == EventType::VulnerabilityRemediated {
            self.data.set("remediated_at", occurred_at.to_string());
        }
        if event_type == EventType::VulnerabilitySuppressed {
            let why = text(self.members, "dismissed_reason").or(text(self.members, "resolution"));
            self.data.set("status", status(why.unwrap_or_default()));
            let comment = text(self.members, "dismissed_comment").or(text(self.members, "resolution_comment")).or(why);
            self.data.set_some("reason", comment);
        }
        events.push(event_type, occurred_at, self.data, Object::default())
    }
}

/// What a dismissal makes of a finding.
fn status(reason: &str) -> &'static str {
    match reason {
        "inaccurate" | "false positive" | "false_positive" => "false_positive",
        "tolerable_risk" | "won't fix" | "wont_fix" => "accepted",
        _ => "suppressed",
    }
}

fn dependency(alert: &Object, data: &mut Object) {
    let advisory = member(alert, "security_advisory");
    let of_advisory = |key: &str| advisory.and_then(|advisory| text(advisory, key));
    let vulnerability = member(alert, "security_vulnerability");
    let stated = vulnerability.and_then(|vulnerability| text(vulnerability, "severity")).or(of_advisory("severity"));
    let cve_id = of_advisory("cve_id");
    data.set_some("title", of_advisory("summary"));
    data.set("severity", stated.map_or(Severity::Unknown, severity_named).as_str());
    data.set_some("cve_id", cve_id);
    data.set("aliases", aliases(of_advisory("ghsa_id"), cve_id, advisory));
    if let Some(cvss) = advisory.and_then(|advisory| member(advisory, "cvss")) {
        // Where nobody has rated an advisory, the score is 0 and the vector null.
        let vector = text(cvss, "vector_string");
        let score = cvss.get("score").filter(|score| vector.is_some() && score.as_f64().is_some());
        data.set_some("cvss_score", score.cloned());
        data.set_some("cvss_vector", vector);
    }
    data.set_some("rule_id", of_advisory("ghsa_id"));
    let dependency = member(alert, "dependency");
    data.set_some("resource_path", dependency.and_then(|dependency| text(dependency, "manifest_path")));
    let package = dependency.and_then(|dependency| member(dependency, "package"));
    if let Some(name) = package.and_then(|package| text(package, "name")) {
        let mut component = Object::from([("name", name.into())]);
        let ecosystem = package.and_then(|package| text(package, "ecosystem")).unwrap_or_default();
        component.set_some("purl", purl_of(ecosystem, name));
        data.set("component", component);
    }
    let patched = vulnerability.and_then(|vulnerability| member(vulnerability, "first_patched_version"));
    data.set_some("fixed_in", patched.and_then(|patched| text(patched, "identifier")));
    data.set("tool", "dependabot");
}

/// GitHub's own name first, then every other one but the CVE.
fn aliases(ghsa_id: Option<&str>, cve_id: Option<&str>, advisory: Option<&Object>) -> Vec<Value> {
    let identifiers = advisory.and_then(|advisory| advisory.get("identifiers")).and_then(Value::as_array);
    let named = identifiers.unwrap_or_default().iter().filter_map(|one| text(one.as_object()?, "value"));
    let mut aliases: Vec<&str> = Vec::new();
    for name in ghsa_id.into_iter().chain(named) {
        if Some(name) != cve_id && !aliases.contains(&name) {
            aliases.push(name);
        }
    }
    aliases.into_iter().map(Value::from).collect()
}

/// The package's URL. `None` for an ecosystem that we cannot name.
fn purl_of(ecosystem: &str, name: &str) -> Option<String> {
    let kind = match ecosystem {
        "npm" | "maven" | "nuget" | "composer" | "pub" | "swift" => ecosystem,
        "pip" => "pypi",
        "rubygems" => "gem",
        "go" => "golang",
        "rust" => "cargo",
        "erlang" => "hex",
        "actions" => "githubactions",
        _ => return None,
    };
    Some(purl(kind, name))
}

fn code(alert: &Object, data: &mut Object) {
    let rule = member(alert, "rule");
    let of_rule = |key: &str| rule.and_then(|rule| text(rule, key));
    data.set_some("title", of_rule("description").or(of_rule("name")));
    let severity = match (of_rule("security_severity_level"), of_rule("severity")) {
        (Some(level), _) => severity_named(level),
        (None, Some("error")) => Severity::High,
        (None, Some("warning")) => Severity::Medium,
        (None, Some("note")) => Severity::Low,
        (None, Some("none")) => Severity::Info,
        (None, _) => Severity::Unknown,
    };
    data.set("severity", severity.as_str());
    data.set_some("rule_id", of_rule("id"));
    let older = || alert.get("instances").and_then(Value::as_array).and_then(<[Value]>::first)?.as_object();
    let location =
        member(alert, "most_recent_instance").or_else(older).and_then(|instance| member(instance, "location"));
    if let Some(path) = location.and_then(|location| text(location, "path")) {
        let line = location.and_then(|location| location.get("start_line")).and_then(Value::as_i64);
        data.set("resource_path", line.map_or(path.to_owned(), |line| format!("{path}:{line}")));
    }
    data.set_some("tool", member(alert, "tool").and_then(|tool| text(tool, "name")));
}

fn leak(alert: &Object, data: &mut Object) {
    let kind = text(alert, "secret_type");
    data.set_some("title", text(alert, "secret_type_display_name").or(kind));
    let in_use = text(alert, "validity") == Some("active") || alert.get("publicly_leaked") == Some(&Value::Bool(true));
    let severity = if in_use { Severity::Critical } else { Severity::High };
    data.set("severity", severity.as_str());
    data.set_some("rule_id", kind);
    data.set("tool", "secret-scanning");
}

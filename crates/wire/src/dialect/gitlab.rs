//! GitLab's vulnerability events.
//!
//! Source: <https://docs.gitlab.com/user/project/integrations/webhook_events/#vulnerability-events> and "Webhooks", delivery
//! headers. Two ways of proving who it is, told apart by the secret: one that begins with `whsec_` is GitLab's *signing
//! token*, with which `webhook-signature` is made as Standard Webhooks says (over id, time and body); any other is its *secret
//! token*, which comes as it is in `X-Gitlab-Token` and proves nothing of the body. During a move from the one to the other a
//! receiver has both.
//!
//! The id of a delivery is `Idempotency-Key`, the same on every attempt (`webhook-id` repeats it). `X-Gitlab-Event-UUID` is
//! none: events that set each other off share one. The payload names neither its project nor its own number: both stand in
//! the vulnerability's URL, so a finding's key is `gitlab:<path of the project>:<number>`. What happened is not said either,
//! only the state it is in now: `resolved` is `vulnerability.remediated`, `dismissed` `.suppressed`, and of `detected` and
//! `confirmed` the first word is `.created`, every later one `.changed` with the status `open`.

use jiff::{SignedDuration, Timestamp};
use subtle::{Choice, ConstantTimeEq as _};

use super::message::{
    Events, KEY_BYTES_MIN, TextSecrets, malformed, member, named_id, object_of, plain_header, required_text,
    severity_named, text, time_of, unfit, unknown_event,
};
use super::package::purl;
use super::standard::{self, PrefixedSecrets, Standard};
use super::{Carrier, Credential, Dialect, EncodeError, Header, Inbound, Message, Outbound as _, Secrets};
use crate::json::tree::{Object, Value};
use crate::{Decoded, EventType, Key, Reason, Refusal, Secret, SecretError, Severity, Unverified, Verified};

pub(super) static DIALECT: Dialect = Dialect {
    id: "gitlab",
    name: "GitLab vulnerability events",
    source: "https://docs.gitlab.com/user/project/integrations/webhook_events/#vulnerability-events",
    credential: Credential::SecretGivenOrMade,
    url_is_secret: false,
    carrier: Carrier::Http,
    secrets: &TokenOrSigning,
    inbound: Some(&GitLab),
    outbound: None,
};

const TOKEN: &str = "X-Gitlab-Token";
const EVENT: &str = "X-Gitlab-Event";
const DELIVERY: &str = "Idempotency-Key";
const VULNERABILITY: &str = "vulnerability";
/// What a name in `X-Gitlab-Event` ends with.
const HOOK: &str = " Hook";

struct GitLab;

impl Inbound for GitLab {
    fn verify(
        &self,
        request: &Unverified,
        keys: &[Key],
        now: Timestamp,
        tolerance: SignedDuration,
    ) -> Result<(), Refusal> {
        let has_signing = keys.iter().any(|key| !matches!(key, Key::Token(_)));
        let has_token = keys.iter().any(|key| matches!(key, Key::Token(_)));
        let is_signed = request.headers().all(standard::SIGNATURE).next().is_some();
        // A signature that is there and can be judged is judged: a token beside it proves less.
        if has_signing && (is_signed || !has_token) {
            return Standard.verify(request, keys, now, tolerance);
        }
        verify_token(request, keys)
    }

    fn signed(&self, request: &Unverified) -> Option<Vec<u8>> {
        request.headers().all(standard::SIGNATURE).next()?;
        Standard.signed(request)
    }

    fn resembles(&self, request: &Unverified) -> bool {
        Value::read(request.body()).is_ok_and(|body| body.get("object_kind").is_some())
    }

    fn decode(&self, request: &Verified) -> Result<Decoded, Refusal> {
        let headers = request.headers();
        let Some(event) = headers.one(EVENT)?.filter(|value| !value.is_empty()) else {
            return Err(Refusal::new(Reason::HeaderMissing, format!("the header {EVENT} is missing")));
        };
        let vendor_event = event_name(event)?;
        let delivery_id = headers
            .one(DELIVERY)?
            .filter(|value| !value.is_empty())
            .map(|value| plain_header(value, DELIVERY))
            .transpose()?;
        let body = object_of(Value::read(request.body()).map_err(|error| malformed(&error))?)?;
        let mut events = Events::of(DIALECT.id, request);
        if vendor_event == VULNERABILITY {
            // The event header is not signed: what is plainly something else is no vulnerability.
            if text(&body, "object_kind") != Some(VULNERABILITY) {
                return Err(unfit("/object_kind", "\"vulnerability\""));
            }
            decode(&body, request.received_at(), &mut events)?;
        }
        let silence = events.silence(|| unknown_event(&vendor_event));
        Ok(Decoded { vendor_event, vendor_version: None, delivery_id, sent_at: None, events: events.done(), silence })
    }

    fn vendor_headers(&self, message: &Message<'_>, keys: &[Key]) -> Result<Vec<Header>, EncodeError> {
        let mut words: Vec<String> = message.event.split('_').map(capital).collect();
        words.push("Hook".to_owned());
        let mut headers = vec![
            Header { name: "Content-Type", value: "application/json".to_owned() },
            Header { name: "User-Agent", value: "GitLab/18.0.0".to_owned() },
            Header { name: EVENT, value: words.join(" ") },
            Header { name: DELIVERY, value: message.id.to_owned() },
        ];
        let token = keys.iter().find_map(|key| if let Key::Token(token) = key { Some(token) } else { None });
        match token {
            Some(token) => headers.push(Header { name: TOKEN, value: token.expose().to_owned() }),
            None => headers.extend(Standard.headers(message, keys)?.into_iter().skip(1)),
        }
        Ok(headers)
    }
}

fn verify_token(request: &Unverified, keys: &[Key]) -> Result<(), Refusal> {
    let Some(given) = request.headers().one(TOKEN)?.filter(|value| !value.is_empty()) else {
        return Err(Refusal::new(Reason::SignatureMissing, format!("the header {TOKEN} is missing or empty")));
    };
    let mut matched = Choice::from(0);
    for key in keys {
        if let Key::Token(expected) = key {
            matched |= expected.expose().as_bytes().ct_eq(given);
        }
    }
    if matched.into() {
        return Ok(());
    }
    Err(Refusal::new(Reason::SignatureMismatch, format!("{TOKEN} is not the secret token that was agreed on")))
}

/// `Vulnerability Hook` is `vulnerability`, `Merge Request Hook` `merge_request`.
fn event_name(value: &[u8]) -> Result<String, Refusal> {
    let joined: Vec<u8> = value.iter().map(|&byte| if byte == b' ' { b'_' } else { byte }).collect();
    let name = plain_header(&joined, EVENT)?.to_ascii_lowercase();
    let suffix = HOOK.replace(' ', "_").to_ascii_lowercase();
    Ok(name.strip_suffix(&suffix).unwrap_or(&name).to_owned())
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

fn decode(body: &Object, received_at: Timestamp, events: &mut Events<'_>) -> Result<(), Refusal> {
    let at = "/object_attributes";
    let about = member(body, "object_attributes").ok_or_else(|| unfit(at, "an object"))?;
    let url = required_text(about, "url", at)?;
    let state = required_text(about, "state", at)?;
    let time = |name: &str| -> Result<Option<Timestamp>, Refusal> {
        text(about, name).map(|stated| time_of(stated, &format!("{at}/{name}"))).transpose()
    };
    let (created_at, updated_at) = (time("created_at")?, time("updated_at")?);
    let is_first = created_at.is_some() && created_at == updated_at;
    let event_type = match state.as_str() {
        "detected" | "confirmed" if is_first => EventType::VulnerabilityCreated,
        "detected" | "confirmed" => EventType::VulnerabilityChanged,
        "dismissed" => EventType::VulnerabilitySuppressed,
        "resolved" => EventType::VulnerabilityRemediated,
        _ => return Ok(()),
    };
    let occurred_at = updated_at.or(created_at).unwrap_or(received_at);
    let (repository, number) = page(&url).unwrap_or(("", &url));
    let key = format!("gitlab:{repository}:{number}");
    let mut data =
        Object::from([("finding_id", named_id(&[key.as_bytes()]).to_string().into()), ("finding_key", key.into())]);
    describe(about, &mut data);
    data.set_some("repository", Some(repository).filter(|path| !path.is_empty()));
    data.set_some("project_id", about.get("project_id").and_then(Value::as_i64).map(|id| id.to_string()));
    data.set("url", url);
    data.set("detected_at", created_at.unwrap_or(occurred_at).to_string());
    if event_type == EventType::VulnerabilityChanged {
        data.set("status", "open");
    } else if event_type == EventType::VulnerabilitySuppressed {
        let why = text(about, "dismissal_reason");
        data.set("status", status(why.unwrap_or_default()));
        data.set_some("reason", text(about, "dismissal_comment").or(why));
    } else if event_type == EventType::VulnerabilityRemediated {
        data.set("remediated_at", time("resolved_at")?.unwrap_or(occurred_at).to_string());
    }
    events.push(event_type, occurred_at, data, Object::default())
}

/// Path of the project and number of the vulnerability in a URL of its page.
fn page(url: &str) -> Option<(&str, &str)> {
    let (_, path) = url.split_once("://")?.1.split_once('/')?;
    path.split_once("/-/security/vulnerabilities/")
}

/// What a dismissal makes of a finding.
fn status(reason: &str) -> &'static str {
    match reason {
        "false_positive" => "false_positive",
        "acceptable_risk" => "accepted",
        _ => "suppressed",
    }
}

fn describe(about: &Object, data: &mut Object) {
    data.set_some("title", text(about, "title"));
    data.set_some("description", text(about, "description"));
    data.set("severity", text(about, "severity").map_or(Severity::Unknown, severity_named).as_str());
    let identifiers: Vec<&Object> = about
        .get("identifiers")
        .and_then(Value::as_array)
        .unwrap_or_default()
        .iter()
        .filter_map(Value::as_object)
        .collect();
    let kind = |identifier: &Object| text(identifier, "external_type").unwrap_or_default().to_ascii_lowercase();
    let name = |identifier: &&Object| text(identifier, "name").map(str::to_owned);
    let cve_id = identifiers.iter().copied().find(|one| kind(one) == "cve").as_ref().and_then(name);
    // A weakness or a chapter of a guide names a kind of vulnerability, and no vulnerability.
    let is_a_name = |one: &&Object| !matches!(kind(one).as_str(), "cwe" | "owasp" | "wasc" | "capec");
    let names: Vec<String> = identifiers.iter().copied().filter(is_a_name).filter_map(|one| name(&one)).collect();
    data.set_some("rule_id", names.iter().find(|name| Some(*name) != cve_id.as_ref()).or(cve_id.as_ref()).cloned());
    let aliases = names.into_iter().filter(|name| Some(name) != cve_id.as_ref());
    data.set("aliases", aliases.map(Value::from).collect::<Vec<_>>());
    data.set_some("cve_id", cve_id);
    let cvss: Vec<&Object> =
        about.get("cvss").and_then(Value::as_array).unwrap_or_default().iter().filter_map(Value::as_object).collect();
    let by_nvd = cvss.iter().copied().find(|one| text(one, "vendor") == Some("NVD"));
    let rated = by_nvd.or(cvss.first().copied());
    data.set_some("cvss_vector", rated.and_then(|one| text(one, "vector")));
    if let Some(location) = member(about, "location") {
        place(location, data);
    }
    let scanner = text(about, "report_type").map(|kind| format!("gitlab-{}", kind.replace('_', "-")));
    data.set("tool", scanner.unwrap_or_else(|| DIALECT.id.to_owned()));
}

fn place(location: &Object, data: &mut Object) {
    let file = text(location, "file");
    let dependency = member(location, "dependency");
    let package = dependency.and_then(|dependency| member(dependency, "package"));
    if let Some(name) = package.and_then(|package| text(package, "name")) {
        let mut component = Object::from([("name", name.into())]);
        component.set_some("version", dependency.and_then(|dependency| text(dependency, "version")));
        component.set_some("purl", file.and_then(ecosystem).map(|kind| purl(kind, name)));
        data.set("component", component);
        data.set_some("resource_path", file.or(text(location, "image")));
        return;
    }
    let line = location.get("start_line").and_then(Value::as_i64);
    let in_file = file.map(|file| line.map_or(file.to_owned(), |line| format!("{file}:{line}")));
    let on_site = || Some(format!("{}{}", text(location, "hostname")?, text(location, "path").unwrap_or_default()));
    data.set_some("resource_path", in_file.or_else(on_site).or_else(|| text(location, "image").map(str::to_owned)));
}

/// The ecosystem of a lock file. `None`: GitLab names the package alone.
fn ecosystem(file: &str) -> Option<&'static str> {
    Some(match file.rsplit('/').next().unwrap_or(file) {
        "package-lock.json" | "npm-shrinkwrap.json" | "yarn.lock" | "pnpm-lock.yaml" | "package.json" => "npm",
        "Gemfile.lock" | "gems.locked" => "gem",
        "requirements.txt" | "requirements.pip" | "Pipfile" | "Pipfile.lock" | "poetry.lock" | "setup.py"
        | "uv.lock" => "pypi",
        "pom.xml" | "build.gradle" | "build.gradle.kts" | "gradle.lockfile" | "build.sbt" => "maven",
        "go.mod" | "go.sum" => "golang",
        "composer.lock" => "composer",
        "Cargo.lock" => "cargo",
        "packages.lock.json" => "nuget",
        "conan.lock" => "conan",
        _ => return None,
    })
}

/// `whsec_…` is a signing token, everything else a secret token.
struct TokenOrSigning;

impl Secrets for TokenOrSigning {
    fn key(&self, secret: &Secret) -> Result<Key, SecretError> {
        match PrefixedSecrets::is_hmac(secret) {
            true => PrefixedSecrets.key(secret),
            false if secret.expose().is_empty() => Err(SecretError::Empty),
            false => Ok(Key::Token(secret.clone())),
        }
    }

    fn check(&self, secret: &Secret) -> Result<Secret, SecretError> {
        let text = secret.expose();
        match PrefixedSecrets::is_hmac(secret) {
            true => PrefixedSecrets.check(secret),
            false if !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Err(SecretError::Spelling { wanted: "a secret token: visible ASCII, for it goes into a header" })
            }
            false if text.len() < KEY_BYTES_MIN => {
                Err(SecretError::Length { bytes: text.len(), wanted: "at least 16 are wanted" })
            }
            false => Ok(secret.clone()),
        }
    }

    fn make(&self, random: [u8; 32]) -> Secret {
        TextSecrets.make(random)
    }
}

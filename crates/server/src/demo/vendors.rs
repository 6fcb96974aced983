//! The vendors that call: Snyk and GitHub, as they would. Each signs the bytes that it sends.

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use url::Url;
use watchbell_domain::port::Clock;
use watchbell_wire::{Dialect, Key, Message, Secret, dialect};

use super::Error;
use super::play::Play;

/// The repository that both look at.
pub(super) const REPOSITORY: &str = "acme/pay";
/// What both find in it, by everybody's name and by GitHub's.
pub(super) const CVE: &str = "CVE-2021-44228";
const GHSA: &str = "GHSA-jfh8-c2jp-5v3q";
const PACKAGE: &str = "org.apache.logging.log4j:log4j-core";
const CVSS: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H";

/// No answer to a vendor is larger.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Somebody who calls one source.
pub(super) struct Vendor {
    pub(super) dialect: &'static Dialect,
    /// The source's id and URL, as the server gave them.
    pub(super) source: String,
    pub(super) url: String,
    pub(super) key: Key,
}

/// What a vendor has to say.
pub(super) struct Call {
    /// Its name of what happened, as it stands in a header.
    pub(super) event: &'static str,
    /// The same for people.
    pub(super) words: &'static str,
    pub(super) body: Value,
}

/// How a call was answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Vendor {
    /// Makes a source for the vendor whose dialect has this id, and gives it URL and secret.
    pub(super) async fn register(play: &Play<'_>, dialect_id: &str) -> Result<Self, Error> {
        let dialect =
            dialect::find(dialect_id).ok_or_else(|| Error::SetUp(format!("there is no dialect {dialect_id}")))?;
        let secret = play.stage.secret(dialect);
        let given = json!({"dialect": dialect.id, "name": dialect.id, "secret": secret.expose()});
        let source = play.post("/sources", &given).await?;
        let of = |name: &str| source.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Self { dialect, source: of("id"), url: of("url"), key: key_of(dialect, &secret)? })
    }

    /// A key of the vendor's kind that is not the one it was given.
    pub(super) fn other_key(&self, play: &Play<'_>) -> Result<Key, Error> {
        key_of(self.dialect, &play.stage.secret(self.dialect))
    }

    /// Signs a call with `key` and makes it.
    pub(super) async fn call(&self, play: &Play<'_>, call: &Call, key: &Key) -> Result<Answer, Error> {
        let (id, now) = (play.stage.delivery_id(), play.stage.clock.now());
        let body = call.body.to_string();
        let message = Message { id: &id, event: call.event, occurred_at: now, sent_at: now, body: body.as_bytes() };
        let lines = self.dialect.sign(&message, std::slice::from_ref(key));
        let lines = lines.map_err(|error| Error::SetUp(error.to_string()))?;
        let failed = |problem: String| Error::SetUp(format!("{} cannot call: {problem}", self.dialect.name));
        let url = Url::parse(&self.url).map_err(|error| failed(error.to_string()))?;
        let address = url.socket_addrs(|| None).ok().and_then(|found| found.first().copied());
        let address = address.ok_or_else(|| failed(format!("{url} leads nowhere")))?;
        let mut request = Request::post(url.path()).header(header::HOST, address.to_string());
        for line in lines {
            request = request.header(line.name, line.value);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|error| failed(error.to_string()))?;
        send(address, request).await.map_err(failed)
    }
}

fn key_of(dialect: &Dialect, secret: &Secret) -> Result<Key, Error> {
    dialect.secrets.key(secret).map_err(|error| Error::SetUp(error.to_string()))
}

async fn send(address: std::net::SocketAddr, request: Request<Full<Bytes>>) -> Result<Answer, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let exchange = async {
        let (head, body) = sender.send_request(request).await.map_err(|error| error.to_string())?.into_parts();
        #[expect(clippy::disallowed_methods, reason = "read through Limited")]
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|error| error.to_string())?;
        let body = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
        Ok(Answer { status: head.status.as_u16(), body })
    };
    tokio::pin!(exchange);
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        ended = connection => {
            ended.map_err(|error| error.to_string())?;
            exchange.await
        }
    }
}

/// What Snyk sends when a project was tested and something changed.
pub(super) fn snapshot(words: &'static str, new: &[Value], removed: &[Value]) -> Call {
    let body = json!({
        "project": {
            "name": format!("{REPOSITORY}(main):pom.xml"), "id": "af137b96-6966-46c1-826b-2e79ac49bbd9", "origin": "github",
            "type": "maven", "readOnly": false, "testFrequency": "daily", "totalDependencies": 42,
            "remoteRepoUrl": format!("https://github.com/{REPOSITORY}.git"), "isMonitored": true, "branch": "main",
            "browseUrl": "https://app.snyk.io/org/acme/project/af137b96-6966-46c1-826b-2e79ac49bbd9",
        },
        "org": {"name": "Acme", "id": "a04d9cbd-ae6e-44af-b573-0556b0ad4bd2", "slug": "acme"},
        "group": {"name": "Acme", "id": "a060a49f-636e-480f-9e14-38e773b2a97f"},
        "newIssues": new, "removedIssues": removed,
    });
    Call { event: "project_snapshot/v0", words, body }
}

/// The vulnerability, as Snyk tells it.
pub(super) fn issue() -> Value {
    let id = "SNYK-JAVA-ORGAPACHELOGGINGLOG4J-2314720";
    json!({
        "id": id, "issueType": "vuln", "pkgName": PACKAGE, "pkgVersions": ["2.14.1"],
        "priority": {"score": 919, "factors": [{"name": "exploitMaturity", "description": "Mature exploit"}]},
        "issueData": {
            "id": id, "title": "Remote Code Execution (RCE)", "severity": "critical", "language": "java",
            "url": format!("https://security.snyk.io/vuln/{id}"), "identifiers": {"CVE": [CVE], "GHSA": [GHSA], "CWE": ["CWE-94"]},
            "exploitMaturity": "mature", "CVSSv3": CVSS, "cvssScore": 10, "semver": {"vulnerable": ["[2.0-beta9,2.15.0)"]},
        },
        "isPatched": false, "isIgnored": false, "fixInfo": {"isUpgradable": true, "fixedIn": ["2.15.0"]},
    })
}

/// What GitHub sends when Dependabot's alert of it is raised or ends.
pub(super) fn alert(action: &str, words: &'static str, raised_at: Timestamp, at: Timestamp) -> Call {
    let state = if action == "fixed" { "fixed" } else { "open" };
    let package = json!({"ecosystem": "maven", "name": PACKAGE});
    let body = json!({
        "action": action,
        "alert": {
            "number": 17, "state": state, "html_url": format!("https://github.com/{REPOSITORY}/security/dependabot/17"),
            "created_at": format!("{raised_at:.0}"), "updated_at": format!("{at:.0}"),
            "dependency": {"package": package, "manifest_path": "pom.xml", "scope": "runtime"},
            "security_advisory": {
                "ghsa_id": GHSA, "cve_id": CVE, "summary": "Remote code injection in Log4j", "severity": "critical",
                "identifiers": [{"value": GHSA, "type": "GHSA"}, {"value": CVE, "type": "CVE"}],
                "cvss": {"vector_string": CVSS, "score": 10.0}, "cwes": [{"cwe_id": "CWE-502"}],
            },
            "security_vulnerability": {
                "package": package, "severity": "critical", "vulnerable_version_range": ">= 2.13.0, < 2.15.0",
                "first_patched_version": {"identifier": "2.15.0"},
            },
        },
        "repository": {"id": 186_853_002, "name": "pay", "full_name": REPOSITORY, "private": true},
        "organization": {"login": "acme", "id": 38_302_899},
        "sender": {"login": "github", "id": 9919, "type": "Organization"},
    });
    Call { event: "dependabot_alert", words, body }
}

//! `watchbell scan`: post a scanner's report and print what changed.

use std::path::PathBuf;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::connect::{Connect, segment};
use super::output::plain;
use super::{Done, Failure, Output};
use crate::client::{self, Client, Request, Upload};

/// No server takes a larger report.
const REPORT_BYTES_MAX: u64 = 1 << 30;

/// So many of the events that a scan made are shown.
const EVENTS_SHOWN: u16 = 250;

/// More projects than this are not searched for a name.
const PROJECTS_MAX: usize = 100_000;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bandit -r . -f sarif -o bandit.sarif; watchbell scan bandit.sarif --project shop
  trivy image --format cyclonedx --scanners vuln shop:1.2 | watchbell scan - --project shop
  pip-audit -f cyclonedx-json -o audit.cdx.json; watchbell scan audit.cdx.json --project shop

Formats: SARIF 2.1.0 (any tool) and CycloneDX JSON; which one it is shows in the report itself.")]
pub(super) struct Args {
    /// The report as the tool wrote it, or - for stdin
    #[arg(value_name = "FILE")]
    report: PathBuf,
    /// The project that was scanned; made when there is none of this name
    #[arg(long, value_name = "NAME")]
    project: String,
    /// The tool, where the report does not say
    #[arg(long, value_name = "TOOL")]
    tool: Option<String>,
    /// The report covers a part of the project: what it does not mention is not gone
    #[arg(long)]
    partial: bool,
    /// When the tool looked, where the report does not say (RFC 3339): a late scan is put where it belongs
    #[arg(long, value_name = "TIME")]
    scanned_at: Option<String>,
    /// Post once, however often this command is repeated with the same key
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        let unreadable = |error: std::io::Error| {
            Failure::usage(format!("cannot read the report {}: {error}", self.report.display()))
        };
        let report = Upload::open(&self.report, REPORT_BYTES_MAX).map_err(unreadable)?;
        let client = self.connect.client()?;
        let (scan, events) = super::wait(async {
            let projects = self.connect.path("/projects");
            let project = project_id(&client, &projects, &self.project).await?;
            let mut request = Request::new(Method::POST, format!("{projects}/{}/scans", segment(&project)))
                .with("tool", self.tool.as_ref())
                .with("partial", self.partial.then_some(true))
                .with("scanned_at", self.scanned_at.as_ref())
                .once(self.idempotency_key.clone());
            request.upload = Some(report);
            let scan = client.json(request).await?;
            let made = Request::get(self.connect.path("/events"))
                .with("project", Some(&project))
                .with("since", scan.get("received_at").and_then(Value::as_str))
                .with("limit", Some(EVENTS_SHOWN));
            let events = client.json(made).await?.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
            Ok((scan, events))
        })?;
        if out.json {
            out.value(&json!({"scan": scan, "events": events}));
        } else {
            show(out, &self.project, &scan, &events);
        }
        Ok(())
    }
}

/// The id of the project with this name; made when there is none.
pub(crate) async fn project_id(client: &Client, projects: &str, name: &str) -> Result<String, Failure> {
    let id_of = |project: &Value| project.get("id").and_then(Value::as_str).map(str::to_owned);
    match client.json(Request::post(projects, &json!({"name": name}))).await {
        Ok(project) => {
            id_of(&project).ok_or_else(|| Failure::failed("the server made a project and did not say its id"))
        }
        Err(client::Error::Refused { status: StatusCode::CONFLICT, .. }) => {
            let all = client.every(projects, PROJECTS_MAX).await?;
            let named = all.iter().find(|project| project.get("name").and_then(Value::as_str) == Some(name));
            named.and_then(id_of).ok_or_else(|| {
                Failure::failed(format!("there is a project {name:?}, but it is not in the list of projects"))
            })
        }
        Err(error) => Err(error.into()),
    }
}

/// The figures of the scan, and a line for each event it made about a finding.
fn show(out: Output, project: &str, scan: &Value, events: &[Value]) {
    let member = |name: &str| scan.get(name).map_or_else(|| "-".to_owned(), plain);
    out.line(format!(
        "{project}: {} by {}, {} findings, {} new, {} gone",
        member("status"),
        member("tool"),
        member("findings_seen"),
        member("findings_new"),
        member("findings_removed")
    ));
    for event in events {
        let of = |pointer: &str| event.pointer(pointer).map(plain).unwrap_or_default();
        if of("/type").starts_with("vulnerability.") {
            let name =
                [of("/data/cve_id"), of("/data/rule_id")].into_iter().find(|name| !name.is_empty()).unwrap_or_default();
            out.line(format!("  {:<24} {:<8} {name:<16} {}", of("/type"), of("/data/severity"), of("/data/title")));
        }
    }
}

//! `watchbell scan`: post a scanner's report and print what changed; or announce a scan and end it by a word.

use std::path::PathBuf;

use clap::Subcommand;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

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
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:
  bandit -r . -f sarif -o bandit.sarif; watchbell scan bandit.sarif --project shop
  trivy image --format cyclonedx --scanners vuln shop:1.2 | watchbell scan - --project shop
  pip-audit -f cyclonedx-json -o audit.cdx.json; watchbell scan audit.cdx.json --project shop

Which format it is shows in the report itself: docs/reports.md has them all. A scan without a
report is announced and ended by a word: `scan start`, `scan complete`, `scan fail`."
)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    post: Post,
}

/// A report to post.
#[derive(Debug, clap::Args)]
struct Post {
    /// The report as the tool wrote it, or - for stdin
    #[arg(value_name = "FILE", required = true)]
    report: Option<PathBuf>,
    /// The project that was scanned; made when there is none of this name
    #[arg(long, value_name = "NAME", required = true)]
    project: Option<String>,
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

#[derive(Debug, Subcommand)]
enum Action {
    /// Announce a scan that begins
    #[command(after_help = "Examples:
  scan=$(watchbell --json scan start --project shop --tool clamav | jq -r .id)
  watchbell scan complete $scan --threats-found 2")]
    Start {
        /// The project that is scanned; made when there is none of this name
        #[arg(long, value_name = "NAME")]
        project: String,
        /// What scans
        #[arg(long, value_name = "TOOL")]
        tool: Option<String>,
        /// A UUID of your own for the scan
        #[arg(long, value_name = "UUID")]
        id: Option<String>,
        #[command(flatten)]
        connect: Connect,
    },
    /// End an announced scan with what it found
    #[command(after_help = "Examples:
  watchbell scan complete scn_0192f0c1-… --threats-found 0
  watchbell scan complete scn_0192f0c1-… --details '[{\"name\": \"EICAR\", \"path\": \"a.com\"}]'")]
    Complete {
        /// The scan, as `start` said it
        scan: String,
        /// A number of threats; the number of details when left out
        #[arg(long, value_name = "COUNT")]
        threats_found: Option<u64>,
        /// A JSON array, one entry a threat: the text, @FILE or - for stdin
        #[arg(long, value_name = "JSON")]
        details: Option<String>,
        #[command(flatten)]
        connect: Connect,
    },
    /// End an announced scan that could not be carried out
    #[command(after_help = "Examples:
  watchbell scan fail scn_0192f0c1-… --error 'the repository could not be cloned'")]
    Fail {
        /// The scan, as `start` said it
        scan: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        error: String,
        #[command(flatten)]
        connect: Connect,
    },
    /// Show an announced scan
    #[command(after_help = "Examples:
  watchbell scan show scn_0192f0c1-…")]
    Show {
        /// The scan
        scan: String,
        #[command(flatten)]
        connect: Connect,
    },
}

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        match self.action {
            Some(action) => action.run(out),
            None => self.post.run(out),
        }
    }
}

impl Action {
    fn run(self, out: Output) -> Done {
        let of = |connect: &Connect, scan: &str, rest: &str| connect.path(&format!("/scans/{}{rest}", segment(scan)));
        let shown = match self {
            Self::Start { project, tool, id, connect } => {
                let mut body = Map::new();
                body.extend(tool.map(|tool| ("tool".to_owned(), json!(tool))));
                body.extend(id.map(|id| ("scan_id".to_owned(), json!(id))));
                let client = connect.client()?;
                super::wait(async {
                    let projects = connect.path("/projects");
                    let project = project_id(&client, &projects, &project).await?;
                    let path = format!("{projects}/{}/scans/start", segment(&project));
                    Ok(client.json(Request::post(path, &Value::Object(body))).await?)
                })?
            }
            Self::Complete { scan, threats_found, details, connect } => {
                let mut body = Map::new();
                body.extend(threats_found.map(|count| ("threats_found".to_owned(), json!(count))));
                if let Some(details) = details {
                    let text = super::send::read_json("--details", &details)?;
                    let entries: Value = serde_json::from_str(&text)
                        .map_err(|error| Failure::usage(format!("--details is not JSON: {error}")))?;
                    body.insert("details".to_owned(), entries);
                }
                connect.ask(Request::post(of(&connect, &scan, "/complete"), &Value::Object(body)))?
            }
            Self::Fail { scan, error, connect } => {
                connect.ask(Request::post(of(&connect, &scan, "/fail"), &json!({"error": error})))?
            }
            Self::Show { scan, connect } => connect.ask(Request::get(of(&connect, &scan, "")))?,
        };
        out.thing(&shown);
        Ok(())
    }
}

impl Post {
    fn run(self, out: Output) -> Done {
        // Both are required where no word follows: the command line has been refused without them.
        let (Some(report), Some(project_name)) = (&self.report, &self.project) else {
            return Err(Failure::usage("a report is wanted: watchbell scan FILE --project NAME".to_owned()));
        };
        let unreadable =
            |error: std::io::Error| Failure::usage(format!("cannot read the report {}: {error}", report.display()));
        let report = Upload::open(report, REPORT_BYTES_MAX).map_err(unreadable)?;
        let client = self.connect.client()?;
        let (scan, events) = super::wait(async {
            let projects = self.connect.path("/projects");
            let project = project_id(&client, &projects, project_name).await?;
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
            show(out, project_name, &scan, &events);
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

//! `watchbell scan`: post a scanner's report and print what changed.

use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::connect::{Connect, segment};
use super::{Done, Failure, Output};
use crate::client::{self, Client, Request};

/// No server takes a larger report.
const REPORT_BYTES_MAX: u64 = 256 << 20;

/// More projects than this are not searched for a name.
const PROJECTS_MAX: usize = 100_000;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bandit -r . -f json -o bandit.json; watchbell scan bandit.json --project shop
  trivy image --format json shop:1.2 | watchbell scan - --project shop
  watchbell scan pip-audit.json --project shop --tool pip-audit")]
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
    /// Post once, however often this command is repeated with the same key
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        let report = read_report(&self.report)?;
        let client = self.connect.client()?;
        let answer = super::wait(async {
            let projects = self.connect.path("/projects");
            let project = project_id(&client, &projects, &self.project).await?;
            let mut request = Request::post(format!("{projects}/{}/scans", segment(&project)), &Value::Null)
                .with("tool", self.tool.as_ref())
                .with("partial", self.partial.then_some(true))
                .once(self.idempotency_key.clone());
            request.body = Some((media_type(&report), report));
            Ok(client.json(request).await?)
        })?;
        if out.json {
            out.value(&answer);
        } else {
            changes(out, &self.project, &answer);
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
        Err(client::Error::Refused {
            status: StatusCode::CONFLICT,
            ..
        }) => {
            let all = client.every(projects, PROJECTS_MAX).await?;
            let named = all
                .iter()
                .find(|project| project.get("name").and_then(Value::as_str) == Some(name));
            named.and_then(id_of).ok_or_else(|| {
                Failure::failed(format!(
                    "there is a project {name:?}, but it is not in the list of projects"
                ))
            })
        }
        Err(error) => Err(error.into()),
    }
}

/// What the body is, seen from its first byte; the server looks for itself.
pub(crate) fn media_type(report: &[u8]) -> &'static str {
    match report.trim_ascii_start().first() {
        Some(b'{' | b'[') => client::JSON,
        Some(b'<') => "application/xml",
        Some(_) | None => "application/octet-stream",
    }
}

fn changes(out: Output, project: &str, answer: &Value) {
    let scan = answer.get("scan").unwrap_or(answer);
    let member = |name: &str| scan.get(name).map_or_else(|| "-".to_owned(), super::output::plain);
    out.line(format!("{project}: scan by {} {}", member("tool"), member("status")));
    out.line(format!(
        "  findings in the report {}, new {}, removed {}",
        member("findings_seen"),
        member("findings_new"),
        member("findings_removed")
    ));
    let events = answer
        .get("events")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    for event in events {
        let of = |name: &str| event.get(name).map(super::output::plain);
        out.line(format!(
            "  {}  {}",
            of("type").unwrap_or_default(),
            of("id").unwrap_or_else(|| super::output::plain(event))
        ));
    }
}

fn read_report(path: &Path) -> Result<Bytes, Failure> {
    let mut report = Vec::new();
    let read = match path == Path::new("-") {
        true => std::io::stdin().lock().take(REPORT_BYTES_MAX).read_to_end(&mut report),
        false => std::fs::File::open(path).and_then(|file| file.take(REPORT_BYTES_MAX).read_to_end(&mut report)),
    };
    read.map_err(|error| Failure::usage(format!("cannot read the report {}: {error}", path.display())))?;
    Ok(Bytes::from(report))
}

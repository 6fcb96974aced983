//! `watchbell poam …`: plans of action and milestones.

use std::io::Write;
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use http::Method;
use serde_json::{Map, Value, json};

use super::connect::{Connect, Paging, segment};
use super::{Done, Failure, Output};
use crate::client::Request;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List plans of action, newest first
    #[command(after_help = "Examples:
  watchbell poam list --status overdue
  watchbell poam list --owner ada@example.com --json | jq -r '.items[].scheduled_completion_date'")]
    List {
        /// open, overdue, completed or cancelled
        #[arg(long)]
        status: Option<String>,
        /// About this finding
        #[arg(long, value_name = "ID")]
        finding: Option<String>,
        /// Of this owner
        #[arg(long)]
        owner: Option<String>,
        #[command(flatten)]
        paging: Paging,
        #[command(flatten)]
        connect: Connect,
    },
    /// Plan a finding's remediation
    #[command(after_help = "Examples:
  watchbell poam create fnd_0192f0c1-… --due 2026-03-31 --owner ada@example.com
  watchbell poam create fnd_0192f0c1-… --due 2026-03-31T12:00:00Z --milestone 2026-03-15=Upgrade")]
    Create {
        /// The finding's id
        finding: String,
        /// Until when: a date (until its end in the organisation's time zone) or an instant
        #[arg(long, value_name = "DATE")]
        due: String,
        #[command(flatten)]
        said: Said,
        #[command(flatten)]
        connect: Connect,
    },
    /// Show one plan of action
    #[command(after_help = "Examples:
  watchbell poam show poam_0192f0c1-…")]
    Show(Named),
    /// Change a plan of action
    #[command(after_help = "Examples:
  watchbell poam update poam_0192f0c1-… --due 2026-04-30
  watchbell poam update poam_0192f0c1-… --status completed")]
    Update {
        /// Its new date
        #[arg(long, value_name = "DATE")]
        due: Option<String>,
        /// open, completed or cancelled
        #[arg(long)]
        status: Option<String>,
        #[command(flatten)]
        said: Said,
        #[command(flatten)]
        named: Named,
    },
    /// Cancel a plan of action; it stays readable and rings no more
    #[command(after_help = "Examples:
  watchbell poam cancel poam_0192f0c1-…")]
    Cancel(Named),
    /// Print every plan of action for a spreadsheet or as OSCAL
    #[command(after_help = "Examples:
  watchbell poam export --out poam.csv
  watchbell poam export --format oscal | jq '.[\"plan-of-action-and-milestones\"].risks | length'")]
    Export {
        /// csv, or oscal (OSCAL 1.1.2, JSON)
        #[arg(long, default_value = "csv")]
        format: Format,
        /// File to write; stdout when absent
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        connect: Connect,
    },
    /// Show how plans of action ring, or set it
    #[command(after_help = "Examples:
  watchbell poam settings
  watchbell poam settings --set '{\"time_zone\": \"Europe/Berlin\", \"lead_times\": [\"14d\", \"1d\"], \"overdue\": \"once\"}'")]
    Settings {
        /// All of it; what is left out takes its default
        #[arg(long, value_name = "JSON")]
        set: Option<String>,
        #[command(flatten)]
        connect: Connect,
    },
    /// Show the policy that makes plans of action, or set it
    #[command(after_help = "Examples:
  watchbell poam policy
  watchbell poam policy --set '{\"rules\": [{\"severity\": \"critical\", \"days\": 30}, {\"kev\": true, \"days\": 14}]}'")]
    Policy {
        /// All of it
        #[arg(long, value_name = "JSON")]
        set: Option<String>,
        #[command(flatten)]
        connect: Connect,
    },
}

/// The form of an export.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Csv,
    Oscal,
}

/// One item of the server.
#[derive(Debug, clap::Args)]
struct Named {
    /// The item's id
    id: String,
    #[command(flatten)]
    connect: Connect,
}

/// What create and update share.
#[derive(Debug, clap::Args)]
struct Said {
    /// Its title, where the finding's does not do
    #[arg(long)]
    title: Option<String>,
    /// Who sees to it
    #[arg(long)]
    owner: Option<String>,
    /// Anything else
    #[arg(long)]
    notes: Option<String>,
    /// A step on the way; may be given several times
    #[arg(long, value_name = "DATE=TITLE", value_parser = milestone)]
    milestone: Vec<(String, String)>,
}

impl Said {
    fn members(self) -> Map<String, Value> {
        let mut members = Map::new();
        for (name, value) in [("title", self.title), ("owner", self.owner), ("notes", self.notes)] {
            members.extend(value.map(|value| (name.to_owned(), json!(value))));
        }
        if !self.milestone.is_empty() {
            let steps: Vec<Value> =
                self.milestone.into_iter().map(|(due, title)| json!({"due": due, "title": title})).collect();
            members.insert("milestones".to_owned(), json!(steps));
        }
        members
    }
}

fn milestone(text: &str) -> Result<(String, String), String> {
    let (due, title) = text.split_once('=').ok_or("wanted is DATE=TITLE")?;
    Ok((due.to_owned(), title.to_owned()))
}

const COLUMNS: &[(&str, &[&str])] = &[
    ("id", &["id"]),
    ("status", &["status"]),
    ("due", &["scheduled_completion_date"]),
    ("severity", &["severity"]),
    ("cve", &["cve_id"]),
    ("owner", &["owner"]),
    ("title", &["title"]),
];

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        match self.action {
            Action::List { status, finding, owner, paging, connect } => {
                let request = Request::get(connect.path("/poam-items"))
                    .with("status", status)
                    .with("finding", finding)
                    .with("owner", owner);
                out.page(&connect.ask(paging.onto(request))?, COLUMNS);
            }
            Action::Create { finding, due, said, connect } => {
                let mut body = said.members();
                body.insert("finding_id".to_owned(), json!(finding));
                body.insert("scheduled_completion_date".to_owned(), json!(due));
                out.thing(&connect.ask(Request::post(connect.path("/poam-items"), &Value::Object(body)))?);
            }
            Action::Show(named) => out.thing(&named.ask(Method::GET, None)?),
            Action::Update { due, status, said, named } => {
                let mut body = said.members();
                body.extend(due.map(|due| ("scheduled_completion_date".to_owned(), json!(due))));
                body.extend(status.map(|status| ("status".to_owned(), json!(status))));
                if body.is_empty() {
                    return Err(Failure::usage("nothing to change: give --due, --status or another flag of --help"));
                }
                out.thing(&named.ask(Method::PATCH, Some(&Value::Object(body)))?);
            }
            Action::Cancel(named) => out.thing(&named.ask(Method::DELETE, None)?),
            Action::Export { format, out, connect } => export(format, out, &connect)?,
            Action::Settings { set, connect } => get_or_put(out, &connect, "/settings", set)?,
            Action::Policy { set, connect } => get_or_put(out, &connect, "/poam-policy", set)?,
        }
        Ok(())
    }
}

impl Named {
    fn ask(&self, method: Method, body: Option<&Value>) -> Result<Value, Failure> {
        let path = self.connect.path(&format!("/poam-items/{}", segment(&self.id)));
        self.connect.call(method, path, body)
    }
}

fn get_or_put(out: Output, connect: &Connect, path: &str, set: Option<String>) -> Done {
    let path = connect.path(path);
    let request = match set {
        None => Request::get(path),
        Some(text) => {
            let body: Value =
                serde_json::from_str(&text).map_err(|error| Failure::usage(format!("--set is no JSON: {error}")))?;
            Request { method: Method::PUT, ..Request::post(path, &body) }
        }
    };
    out.thing(&connect.ask(request)?);
    Ok(())
}

fn export(format: Format, file: Option<PathBuf>, connect: &Connect) -> Done {
    let format = match format {
        Format::Csv => "csv",
        Format::Oscal => "oscal",
    };
    let client = connect.client()?;
    let request = Request::get(connect.path("/poam-items/export")).with("format", Some(format));
    let reply = super::wait(async move { Ok(client.call(request).await?) })?;
    let written = match &file {
        Some(path) => std::fs::write(path, &reply.body),
        None => std::io::stdout().lock().write_all(&reply.body),
    };
    written.map_err(|error| Failure::failed(format!("the export cannot be written: {error}")))
}

//! `watchbell finding …`: what scans saw, what happened to it, and what is to become of it.

use clap::Subcommand;
use http::Method;
use serde_json::{Value, json};

use super::connect::{Connect, Paging, segment};
use super::{Done, Failure, Output};
use crate::client::{self, Request};

/// So many entries of a history are shown.
const HISTORY_SHOWN: u16 = 250;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List findings, newest first
    #[command(after_help = "Examples:
  watchbell finding list --status open --severity critical
  watchbell finding list --cve CVE-2021-44228
  watchbell finding list --component pkg:npm/lodash --json | jq '.items[].id'")]
    List {
        /// Standing so: open, remediated, suppressed, accepted, false_positive
        #[arg(long)]
        status: Option<String>,
        /// Of this severity: critical, high, medium, low, info, unknown
        #[arg(long)]
        severity: Option<String>,
        /// Of the project with this id
        #[arg(long, value_name = "ID")]
        project: Option<String>,
        /// That have this name: a CVE, or any other that a report gave them
        #[arg(long, value_name = "NAME")]
        cve: Option<String>,
        /// In a component of this name or package URL
        #[arg(long, value_name = "NAME")]
        component: Option<String>,
        #[command(flatten)]
        paging: Paging,
        #[command(flatten)]
        connect: Connect,
    },
    /// Show one finding and what happened to it
    #[command(after_help = "Examples:
  watchbell finding show fnd_0192f0c1-…")]
    Show {
        /// The finding's id
        id: String,
        #[command(flatten)]
        connect: Connect,
    },
    /// Accept a finding's risk, mostly until a time: it reopens then
    #[command(after_help = "Examples:
  watchbell finding accept fnd_0192f0c1-… --until 2027-01-31T00:00:00Z --reason 'behind the firewall'")]
    Accept {
        #[command(flatten)]
        named: Named,
        /// Until when (RFC 3339); without it, until somebody reopens the finding
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },
    /// Suppress a finding: it is there, and nobody need act
    #[command(after_help = "Examples:
  watchbell finding suppress fnd_0192f0c1-… --reason 'the code is not reached'
  watchbell finding suppress fnd_0192f0c1-… --false-positive --reason 'a test fixture'")]
    Suppress {
        #[command(flatten)]
        named: Named,
        /// It is not there in truth
        #[arg(long)]
        false_positive: bool,
    },
    /// Reopen a finding: lifts what was said before
    #[command(after_help = "Examples:
  watchbell finding reopen fnd_0192f0c1-… --reason 'reached after all'")]
    Reopen {
        #[command(flatten)]
        named: Named,
    },
}

/// One finding, and why.
#[derive(Debug, clap::Args)]
struct Named {
    /// The finding's id
    id: String,
    /// Why; for the history, and for those who are told
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Say it once, however often this command is repeated with the same key
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        match self.action {
            Action::List { status, severity, project, cve, component, paging, connect } => {
                let request = Request::get(connect.path("/findings"))
                    .with("status", status)
                    .with("severity", severity)
                    .with("project", project)
                    .with("cve", cve)
                    .with("component", component);
                let columns: &[(&str, &[&str])] = &[
                    ("id", &["id"]),
                    ("status", &["status"]),
                    ("severity", &["severity"]),
                    ("name", &["cve_id", "rule_id"]),
                    ("title", &["title"]),
                ];
                out.page(&connect.ask(paging.onto(request))?, columns);
            }
            Action::Show { id, connect } => show(out, &id, &connect)?,
            Action::Accept { named, until } => named.say(out, "accepted", until.as_deref())?,
            Action::Suppress { named, false_positive: true } => named.say(out, "false_positive", None)?,
            Action::Suppress { named, false_positive: false } => named.say(out, "suppressed", None)?,
            Action::Reopen { named } => named.say(out, "open", None)?,
        }
        Ok(())
    }
}

impl Named {
    fn say(self, out: Output, status: &str, until: Option<&str>) -> Done {
        let mut verdict = json!({"status": status});
        for (name, value) in [("reason", self.reason.as_deref()), ("until", until)] {
            if let (Some(value), Some(members)) = (value, verdict.as_object_mut()) {
                members.insert(name.to_owned(), value.into());
            }
        }
        let mut request = Request::new(Method::PATCH, self.connect.path(&format!("/findings/{}", segment(&self.id))))
            .once(self.idempotency_key);
        request.body = Some((client::JSON, verdict.to_string().into()));
        out.thing(&self.connect.ask(request)?);
        Ok(())
    }
}

fn show(out: Output, id: &str, connect: &Connect) -> Done {
    let path = connect.path(&format!("/findings/{}", segment(id)));
    let client = connect.client()?;
    let (finding, history) = super::wait(async {
        let finding = client.json(Request::get(path.clone())).await?;
        let history = Request::get(format!("{path}/history")).with("limit", Some(HISTORY_SHOWN));
        Ok::<(Value, Value), Failure>((finding, client.json(history).await?))
    })?;
    if out.json {
        out.value(&json!({"finding": finding, "history": history.get("items")}));
        return Ok(());
    }
    out.thing(&finding);
    out.page(
        &history,
        &[
            ("at", &["at"]),
            ("from", &["from"]),
            ("to", &["to"]),
            ("by", &["by.name", "by.kind"]),
            ("reason", &["reason"]),
        ],
    );
    Ok(())
}

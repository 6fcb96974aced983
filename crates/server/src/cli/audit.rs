//! `watchbell audit …`: who changed what, and whether the record still holds.

use clap::Subcommand;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::connect::{Connect, Paging};
use super::{Done, Failure, Output};
use crate::client::Request;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List what was done, newest first
    #[command(after_help = "Examples:
  watchbell audit list --action endpoint
  watchbell audit list --operator --since 2026-01-01T00:00:00Z")]
    List {
        /// Only by this key or member (id)
        #[arg(long)]
        actor: Option<String>,
        /// Only this action, such as endpoint.update, or all of a kind: endpoint
        #[arg(long)]
        action: Option<String>,
        /// Only what was done to this id
        #[arg(long)]
        subject: Option<String>,
        /// Only at or after this time (RFC 3339)
        #[arg(long)]
        since: Option<String>,
        /// Only before this time
        #[arg(long)]
        until: Option<String>,
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        paging: Paging,
    },
    /// Walk the chain of hashes and say where it breaks
    #[command(after_help = "Examples:
  watchbell audit verify
  watchbell audit verify --head 1742:9f86d081…   nor was anything up to this entry written anew

The head that is printed is worth noting elsewhere. Status 1 when the chain is broken.")]
    Verify {
        /// An entry that was noted earlier, as NUMBER:HASH
        #[arg(long, value_name = "NUMBER:HASH", value_parser = head)]
        head: Option<(u64, String)>,
        #[command(flatten)]
        of: Of,
    },
    /// Print the whole log as JSON lines, oldest first
    #[command(after_help = "Examples:
  watchbell audit export > audit.jsonl
  watchbell audit export --after 1742 >> audit.jsonl")]
    Export {
        /// Begin behind this entry
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        after: u64,
        #[command(flatten)]
        of: Of,
    },
}

/// Whose log.
#[derive(Debug, Clone, clap::Args)]
struct Of {
    /// What operators did to organisations and groups, in place of what was done in one
    #[arg(long)]
    operator: bool,
    #[command(flatten)]
    connect: Connect,
}

impl Of {
    fn path(&self, rest: &str) -> String {
        match self.operator {
            true => format!("/api/v1/audit{rest}"),
            false => self.connect.path(&format!("/audit{rest}")),
        }
    }
}

fn head(text: &str) -> Result<(u64, String), String> {
    let (number, hash) = text.split_once(':').ok_or("NUMBER:HASH is wanted")?;
    Ok((number.parse().map_err(|_| "the number is none")?, hash.to_owned()))
}

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        match self.action {
            Action::List { actor, action, subject, since, until, of, paging } => {
                let request = Request::get(of.path(""))
                    .with("actor", actor)
                    .with("action", action)
                    .with("subject", subject)
                    .with("since", since)
                    .with("until", until);
                let columns: &[(&str, &[&str])] = &[
                    ("number", &["number"]),
                    ("at", &["at"]),
                    ("who", &["actor.name"]),
                    ("from", &["address"]),
                    ("what", &["action"]),
                    ("to", &["subject"]),
                ];
                out.page(&of.connect.ask(paging.onto(request))?, columns);
                Ok(())
            }
            Action::Verify { head, of } => verify(out, &of, head),
            Action::Export { after, of } => export(out, &of, after),
        }
    }
}

/// What one walk of the server found.
#[derive(Deserialize)]
struct Walked {
    checked: u64,
    head: Head,
    broken: Option<Broken>,
    complete: bool,
}

#[derive(Serialize, Deserialize)]
struct Head {
    number: u64,
    hash: String,
}

#[derive(Serialize, Deserialize)]
struct Broken {
    number: u64,
    problem: String,
}

/// The server checks so many entries a request; this goes on where it stopped.
fn verify(out: Output, of: &Of, mut known: Option<(u64, String)>) -> Done {
    let mut checked = 0;
    loop {
        let (number, hash) = known.clone().unzip();
        let walked = of.connect.ask(Request::get(of.path("/verify")).with("number", number).with("hash", hash))?;
        let walked: Walked = serde_json::from_value(walked).map_err(|error| Failure::failed(error.to_string()))?;
        checked += walked.checked;
        let Head { number, hash } = &walked.head;
        if let Some(broken) = &walked.broken {
            if out.json {
                out.value(&json!({"ok": false, "checked": checked, "head": walked.head, "broken": broken}));
            }
            let Broken { number, problem } = broken;
            return Err(Failure::failed(format!("the audit log is broken at entry {number}: {problem}")));
        }
        if walked.complete {
            match out.json {
                true => out.value(&json!({"ok": true, "checked": checked, "head": walked.head})),
                false => {
                    out.line(format!("{checked} entries hold"));
                    out.line(format!("head {number}:{hash}"));
                }
            }
            return Ok(());
        }
        known = Some((*number, hash.clone()));
    }
}

fn export(out: Output, of: &Of, mut after: u64) -> Done {
    let client = of.connect.client()?;
    loop {
        let request = Request::get(of.path("/export")).with("after", Some(after));
        let client = client.clone();
        let lines = super::wait(async move { Ok(client.call(request).await?.body) })?;
        let lines = String::from_utf8_lossy(&lines).into_owned();
        let Some(last) = lines.lines().last() else { return Ok(()) };
        let entry: Value = serde_json::from_str(last).unwrap_or_default();
        out.line(lines.trim_end());
        match entry.get("number").and_then(Value::as_u64) {
            Some(number) if number > after => after = number,
            _ => return Ok(()),
        }
    }
}

//! `watchbell advisories`: bring in what is known to be vulnerable, and see what is there.
//!
//! Files are read here and sent in batches, each of which is one commit of the server. So an import that is ended half-way
//! has kept what it sent, and the next one finds it there.

mod documents;
mod rustsec;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::connect::{Connect, segment};
use super::{Done, Failure, Output, output};
use crate::client::{Client, Request};

/// Documents, and bytes of them, that are sent at once.
const BATCH_DOCUMENTS_MAX: usize = 500;
const BATCH_BYTES_MAX: usize = 4 << 20;
/// Problems that are shown.
const PROBLEMS_SHOWN: usize = 20;
const PATH: &str = "/api/v1/advisories";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Bring advisories in: a file, or a folder with everything in it
    #[command(after_help = "Examples:
  git clone --depth 1 https://github.com/rustsec/advisory-db; watchbell advisories import advisory-db
  git clone --depth 1 https://github.com/pypa/advisory-database; watchbell advisories import advisory-database
  unzip -q all.zip -d pypi; watchbell advisories import pypi       an export of OSV

Read are OSV documents (.json, .jsonl with one a line, .yaml) and RustSec's own (RUSTSEC-*.md).
What is known in the same or a newer version is passed over, what was withdrawn is forgotten. It can
be ended at any time and begun again. Wants a key of an operator.")]
    Import {
        /// A file, or a folder such as a checkout of RustSec's, PyPA's or GitHub's database
        #[arg(value_name = "FILE|DIR")]
        path: PathBuf,
        #[command(flatten)]
        connect: Connect,
    },
    /// List advisories in the order of their ids
    #[command(after_help = "Examples:
  watchbell advisories list --ecosystem PyPI
  watchbell advisories list --after GHSA-9999-9999-9999 --limit 250")]
    List {
        /// Only about packages of this ecosystem: PyPI, crates.io, npm, Debian
        #[arg(long)]
        ecosystem: Option<String>,
        /// Go on behind this id
        #[arg(long, value_name = "ID")]
        after: Option<String>,
        /// At most this many entries (250)
        #[arg(long, value_name = "N", default_value_t = 25)]
        limit: u16,
        #[command(flatten)]
        connect: Connect,
    },
    /// Show an advisory
    #[command(after_help = "Examples:
  watchbell advisories show RUSTSEC-2023-0071")]
    Show {
        /// The advisory's id
        id: String,
        #[command(flatten)]
        connect: Connect,
    },
    /// How many advisories there are, and how old they are
    #[command(after_help = "Examples:
  watchbell advisories stats")]
    Stats {
        #[command(flatten)]
        connect: Connect,
    },
}

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        match self.action {
            Action::Import { path, connect } => import(&path, &connect, out),
            Action::List { ecosystem, after, limit, connect } => {
                let request = Request::get(PATH).with("ecosystem", ecosystem).with("after", after);
                let page = connect.ask(request.with("limit", Some(limit)))?;
                let columns: &[(&str, &[&str])] = &[
                    ("id", &["id"]),
                    ("severity", &["severity"]),
                    ("modified", &["modified"]),
                    ("packages", &["packages"]),
                    ("summary", &["summary"]),
                ];
                out.page(&page, columns);
                if let Some(after) = page.get("next_after").and_then(Value::as_str).filter(|_| !out.json) {
                    out.line(format!("more: --after {after}"));
                }
                Ok(())
            }
            Action::Show { id, connect } => {
                out.thing(&connect.ask(Request::get(format!("{PATH}/{}", segment(&id))))?);
                Ok(())
            }
            Action::Stats { connect } => {
                out.thing(&connect.ask(Request::get(format!("{PATH}/stats")))?);
                Ok(())
            }
        }
    }
}

/// What has been sent and what came of it.
#[derive(Debug, Default)]
struct Sum {
    figures: std::collections::BTreeMap<String, u64>,
    problems: Vec<String>,
    problem_count: usize,
}

impl Sum {
    fn problem(&mut self, problem: String) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_SHOWN {
            self.problems.push(problem);
        }
    }

    fn answer(&mut self, answer: &Value) {
        for figure in ["added", "changed", "unchanged", "withdrawn"] {
            let count = answer.get(figure).and_then(Value::as_u64).unwrap_or_default();
            *self.figures.entry(figure.to_owned()).or_default() += count;
        }
        for problem in answer.get("problems").and_then(Value::as_array).into_iter().flatten() {
            self.problem(problem.as_str().unwrap_or_default().to_owned());
        }
    }
}

fn import(path: &Path, connect: &Connect, out: Output) -> Done {
    let files =
        documents::files(path).map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    if files.is_empty() {
        return Err(Failure::usage(format!("there is no advisory in {}", path.display()))
            .advise("read are .json, .jsonl, .yaml and RUSTSEC-*.md; a .zip is to be unpacked first"));
    }
    let client = connect.client()?;
    let bar = bar(files.len());
    let sum = super::wait(async {
        let mut sum = Sum::default();
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for file in files {
            bar.inc(1);
            for document in documents::read(&file) {
                match document {
                    Ok(document) => {
                        bytes += document.to_string().len();
                        batch.push(document);
                    }
                    Err(problem) => sum.problem(format!("{}: {problem}", file.display())),
                }
                if batch.len() >= BATCH_DOCUMENTS_MAX || bytes >= BATCH_BYTES_MAX {
                    bytes = 0;
                    send(&client, std::mem::take(&mut batch), &mut sum).await?;
                }
            }
        }
        if !batch.is_empty() {
            send(&client, batch, &mut sum).await?;
        }
        Ok(sum)
    })?;
    bar.finish_and_clear();
    let mut told = json!(sum.figures);
    if let Some(told) = told.as_object_mut() {
        told.insert("unfit".to_owned(), json!(sum.problem_count));
    }
    for problem in &sum.problems {
        output::remark(format!("unfit: {problem}"));
    }
    out.thing(&told);
    Ok(())
}

async fn send(client: &Client, batch: Vec<Value>, sum: &mut Sum) -> Result<(), Failure> {
    let answer = client.json(Request::post(PATH, &json!({"advisories": batch}))).await?;
    sum.answer(&answer);
    Ok(())
}

fn bar(files: usize) -> ProgressBar {
    use std::io::IsTerminal;
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(u64::try_from(files).unwrap_or(u64::MAX));
    match ProgressStyle::with_template("{bar:30} {human_pos} of {human_len} files · {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

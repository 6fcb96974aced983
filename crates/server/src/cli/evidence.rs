//! `watchbell evidence`: upload a document and see what is in it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use http::Method;
use serde_json::Value;

use super::connect::{Connect, Paging, segment};
use super::{Done, Failure, Output};
use crate::client::{Request, Upload};

/// No server takes a larger document.
const DOCUMENT_BYTES_MAX: u64 = 4 << 30;

/// How often a document under way is asked after.
const ASK_EVERY: Duration = Duration::from_millis(300);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Upload a document: a report, a bill of materials, any file
    #[command(after_help = "Examples:
  cyclonedx-py environment -o sbom.cdx.json; watchbell evidence add sbom.cdx.json
  watchbell evidence add sbom.cdx.json --project shop      and weigh what it holds as a scan of shop
  watchbell evidence add policy.pdf --no-wait

A bill of materials that names components only is matched against the advisories that the server
knows: see `watchbell advisories import`.

Exit status: 0 the document was read, 1 it could not be.")]
    Add(Box<Add>),
    /// List documents, newest first
    #[command(after_help = "Examples:
  watchbell evidence list
  watchbell evidence list --json | jq '.items[] | select(.state == \"failed\")'")]
    List {
        /// Only documents of the project with this id
        #[arg(long, value_name = "ID")]
        project: Option<String>,
        #[command(flatten)]
        paging: Paging,
        #[command(flatten)]
        connect: Connect,
    },
    /// Show a document and what was found in it
    #[command(after_help = "Examples:
  watchbell evidence show evd_0192f0c1-…")]
    Show(Named),
    /// Delete a document; what was found in it stays
    #[command(after_help = "Examples:
  watchbell evidence delete evd_0192f0c1-…")]
    Delete(Named),
}

/// One document of the server.
#[derive(Debug, clap::Args)]
struct Named {
    /// The document's id
    id: String,
    #[command(flatten)]
    connect: Connect,
}

/// A document to upload.
#[derive(Debug, clap::Args)]
struct Add {
    /// The document, or - for stdin
    #[arg(value_name = "FILE")]
    document: PathBuf,
    /// Its name, where it is not that of the file
    #[arg(long, value_name = "NAME")]
    file_name: Option<String>,
    /// Weigh what it holds as a scan of this project: its id or name
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
    /// Do not wait until it was read
    #[arg(long)]
    no_wait: bool,
    /// Upload once, however often this command is repeated with the same key
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        match self.action {
            Action::Add(add) => add.run(out),
            Action::List { project, paging, connect } => {
                let request = paging.onto(Request::get(connect.path("/evidence"))).with("project", project);
                let columns: &[(&str, &[&str])] = &[
                    ("id", &["id"]),
                    ("state", &["state"]),
                    ("found", &["vulnerabilities_found"]),
                    ("critical", &["critical_count"]),
                    ("high", &["high_count"]),
                    ("format", &["format"]),
                    ("file", &["file_name"]),
                    ("created", &["created_at"]),
                ];
                out.page(&connect.ask(request)?, columns);
                Ok(())
            }
            Action::Show(named) => {
                let path = named.connect.path(&format!("/evidence/{}", segment(&named.id)));
                out.thing(&named.connect.ask(Request::get(path))?);
                Ok(())
            }
            Action::Delete(named) => {
                let path = named.connect.path(&format!("/evidence/{}", segment(&named.id)));
                named.connect.ask(Request::new(Method::DELETE, path))?;
                Ok(())
            }
        }
    }
}

impl Add {
    fn run(self, out: Output) -> Done {
        let unreadable =
            |error: std::io::Error| Failure::usage(format!("cannot read {}: {error}", self.document.display()));
        let upload = Upload::open(&self.document, DOCUMENT_BYTES_MAX).map_err(unreadable)?;
        let own_name = self.document.file_name().map(|name| name.to_string_lossy().into_owned());
        let file_name = self.file_name.clone().or(own_name).filter(|name| name != "-");
        let mut request = Request::new(Method::POST, self.connect.path("/evidence"))
            .with("file_name", Some(file_name.unwrap_or_else(|| "stdin".to_owned())))
            .with("project", self.project.as_ref())
            .once(self.idempotency_key.clone());
        request.upload = Some(upload);
        let mut evidence = self.connect.ask(request)?;
        let path = self.connect.path(&format!("/evidence/{}", segment(&text(&evidence, "id"))));
        while !self.no_wait && matches!(text(&evidence, "state").as_str(), "pending" | "processing") {
            std::thread::sleep(ASK_EVERY);
            evidence = self.connect.ask(Request::get(path.clone()))?;
        }
        out.thing(&evidence);
        match text(&evidence, "state").as_str() {
            "failed" => Err(Failure::failed(format!("the document could not be read: {}", text(&evidence, "error")))),
            _ => Ok(()),
        }
    }
}

fn text(thing: &Value, member: &str) -> String {
    thing.get(member).and_then(Value::as_str).unwrap_or_default().to_owned()
}

//! `watchbell verify`: is a received webhook genuine, and if not, why not. Needs no server.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::{Map, Value};
use watchbell_api::Diagnosed;
use watchbell_domain::port::Clock;
use watchbell_engine::admin::source::{Refused, settings_of};
use watchbell_wire::diagnosis::{self, Diagnosis, Question};
use watchbell_wire::{Decoded, Dialect, Secret, Settings};

use super::output::{BAD, GOOD, plain, remark};
use super::{Done, Failure, Output, message};
use crate::clock::SystemClock;
use crate::config::Duration;

/// What may be hashed to find out what is wrong: a minute's work at most.
const WORK_BYTES_MAX: u64 = 16 << 30;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchbell verify --dialect snyk --secret-file secret.txt \\
      --header 'X-Hub-Signature: sha256=…' --header 'X-Snyk-Event: ping/v0' < body.json
  watchbell verify --secret-file secret.txt --header 'X-Hub-Signature: sha256=…' < body.json   which format is it?
  watchbell verify --dialect standard --secret-file s --header 'webhook-id: msg_1' \\
      --header 'webhook-timestamp: 1700000000' --header 'webhook-signature: v1,…' --now 1700000060 < body
  watchbell verify --dialect custom --settings '{\"auth\": {\"header\": \"X-Acme-Signature\"}}' --secret-file s \\
      -H 'X-Acme-Signature: sha256=…' < body.json

The secret is the file's exact bytes; one newline at its end does not count. The body must be the exact bytes that
arrived. What is printed never holds the secret or the right signature.

Exit status: 0 verified, 1 refused (the reason is printed), 2 the command line is wrong.")]
pub(super) struct Args {
    /// The vendor's format: snyk, symbiotic, aegis, bearer-scan, standard, github, gitlab, cloudevents, custom; absent: the one it looks like
    #[arg(long, value_parser = message::received_dialect_by_id)]
    dialect: Option<&'static Dialect>,
    /// File with the secret
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,
    /// Settings of a source of that dialect, as a JSON object: for custom, how it is signed
    #[arg(long, value_name = "JSON", requires = "dialect")]
    settings: Option<String>,
    /// A header as it arrived; may be repeated
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The receiver's clock, Unix seconds or RFC 3339; the machine's clock when absent
    #[arg(long, value_name = "TIME", value_parser = message::instant, allow_hyphen_values = true)]
    now: Option<Timestamp>,
    /// Oldest message to take, by the time it states. Absent: 5m in the dialects that sign their time of sending, else any
    #[arg(long, value_name = "DURATION")]
    max_age: Option<Duration>,
    /// File with the body; stdin when absent
    #[arg(long, value_name = "FILE")]
    body_file: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        let secret = message::read_secret(&self.secret_file)?;
        let headers = message::headers(&self.headers)?;
        let body = message::read_body(self.body_file.as_ref())?;
        let secrets: [Secret; 1] = [secret];
        let settings = match (self.dialect, &self.settings) {
            (Some(dialect), Some(text)) => settings(dialect, text)?,
            (None, _) | (_, None) => Settings::default(),
        };
        let told = diagnosis::diagnose(&Question {
            dialect: self.dialect,
            settings: &settings,
            headers: &headers,
            body: &body,
            secrets: &secrets,
            others: &[],
            now: self.now.unwrap_or_else(|| SystemClock::start().now()),
            max_age: self.max_age.map(Duration::get),
            work_bytes_max: WORK_BYTES_MAX,
        });
        let is_verified = told.is_verified;
        match out.json {
            true => out.value(&serde_json::to_value(Diagnosed::from(told)).unwrap_or_default()),
            false => print(out, &told),
        }
        if is_verified { Ok(()) } else { Err(Failure::said()) }
    }
}

/// Settings as a source of the dialect has them.
fn settings(dialect: &Dialect, text: &str) -> Result<Settings, Failure> {
    let members: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| Failure::usage(format!("--settings is no JSON object: {error}")))?;
    settings_of(dialect, &members).map_err(|refused| match refused {
        Refused::Member { pointer, detail } => Failure::usage(format!("--settings: {pointer}: {detail}")),
        Refused::Secret { detail, .. } => Failure::usage(detail),
    })
}

fn print(out: Output, told: &Diagnosis) {
    match told.is_verified {
        true => out.line(format!("{GOOD}verified{GOOD:#}")),
        false => remark(format!("{BAD}refused:{BAD:#} {}", told.explanation)),
    }
    // Where nothing was compared, the reason is all there is to find.
    for finding in told.findings.iter().filter(|finding| finding.detail != told.explanation) {
        remark(format!("  - {}", finding.detail));
    }
    if let Some(decoded) = told.decoded.as_ref().filter(|decoded| !decoded.events.is_empty()) {
        remark(format!("  - it says {}: {}", plain(&decoded.vendor_event.as_str().into()), types_of(decoded)));
    }
}

/// `project.snapshot, 2 vulnerability.created`: in the order in which they are told.
fn types_of(decoded: &Decoded) -> String {
    let mut counted: Vec<(&str, usize)> = Vec::new();
    for event in &decoded.events {
        let name = event.event_type.as_str();
        match counted.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counted.push((name, 1)),
        }
    }
    let words = counted.into_iter().map(|(name, count)| match count {
        1 => name.to_owned(),
        count => format!("{count} {name}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

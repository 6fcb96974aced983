//! `watchbell verify`: is a received webhook genuine, and if not, why not. Needs no server.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use watchbell_domain::port::Clock;
use watchbell_wire::Dialect;

use super::output::{BAD, GOOD, remark};
use super::{Done, Failure, Output, message};
use crate::clock::SystemClock;
use crate::config::Duration;
use crate::diagnosis::{self, Received};

/// How far a signed time of sending may lie from now, where the dialect judges it.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(300);

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchbell verify --dialect snyk --secret-file secret.txt \\
      --header 'X-Hub-Signature: sha256=…' --header 'X-Snyk-Event: ping/v0' < body.json
  watchbell verify --dialect standard --secret-file s --header 'webhook-id: msg_1' \\
      --header 'webhook-timestamp: 1700000000' --header 'webhook-signature: v1,…' --now 1700000060 < body

The secret is the file's exact bytes; one newline at its end does not count. The body must be the exact bytes that
arrived. What is printed never holds the secret or the right signature.

Exit status: 0 verified, 1 refused (the reason is printed), 2 the command line is wrong.")]
pub(super) struct Args {
    /// The vendor's format: snyk, symbiotic, aegis, bearer-scan, standard
    #[arg(long, value_parser = message::dialect_by_id)]
    dialect: &'static Dialect,
    /// File with the secret
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,
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
        let received = Received {
            dialect: self.dialect,
            headers: &headers,
            body: &body,
            secret: &secret,
            now: self.now.unwrap_or_else(|| SystemClock::start().now()),
            tolerance: self.max_age.map_or(TOLERANCE, Duration::get),
            check_any_time: self.max_age.is_some(),
        };
        let Err(refused) = diagnosis::verify(&received) else {
            match out.json {
                true => out.value(&json!({"verified": true, "dialect": self.dialect.id})),
                false => out.line(format!("{GOOD}verified{GOOD:#}")),
            }
            return Ok(());
        };
        if out.json {
            out.value(&json!({
                "verified": false,
                "dialect": self.dialect.id,
                "reason": refused.reason.as_str(),
                "detail": refused.detail,
                "causes": refused.causes,
            }));
        } else {
            remark(format!("{BAD}refused:{BAD:#} {}", refused.detail));
            for cause in refused.causes {
                remark(format!("  - {cause}"));
            }
        }
        Err(Failure::said())
    }
}

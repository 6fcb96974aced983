//! `watchbell doctor`: looks for what is wrong, each finding with what to do about it.

mod local;
mod remote;

use serde_json::json;

use super::config::Source;
use super::connect::Connect;
use super::output::{BAD, FAINT, GOOD, LOOK};
use super::{Done, Failure, Output, Variables};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchbell doctor                                  the server at WATCHBELL_URL, with the key in WATCHBELL_KEY
  watchbell doctor --local --config watchbell.toml  configuration and data directory on this machine
  watchbell doctor --local --set storage.data=/var/lib/watchbell

Exit status: 0 nothing failed (there may be warnings), 1 something failed, 2 the configuration is wrong.")]
pub(super) struct Args {
    /// Look at the configuration and the data directory on this machine, in place of a running server
    #[arg(long)]
    local: bool,
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    connect: Connect,
}

/// How one check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Ok,
    Warn,
    Fail,
}

impl Mark {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone)]
struct Check {
    mark: Mark,
    /// What was looked at, and what was seen.
    what: String,
    /// What to do; empty when all is well.
    advice: String,
}

impl Check {
    fn ok(what: impl Into<String>) -> Self {
        Self { mark: Mark::Ok, what: what.into(), advice: String::new() }
    }

    fn warn(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { mark: Mark::Warn, what: what.into(), advice: advice.into() }
    }

    fn fail(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { mark: Mark::Fail, what: what.into(), advice: advice.into() }
    }
}

impl Args {
    pub(super) fn run(self, out: Output, variables: Variables) -> Done {
        let checks = match self.local {
            true => local::look(&self.source.load(variables, Vec::new())?.config),
            false => remote::look(&self.connect)?,
        };
        show(out, &checks);
        match checks.iter().any(|check| check.mark == Mark::Fail) {
            true => Err(Failure::said()),
            false => Ok(()),
        }
    }
}

fn show(out: Output, checks: &[Check]) {
    if out.json {
        let checks: Vec<_> = checks
            .iter()
            .map(|check| json!({"mark": check.mark.as_str(), "what": check.what, "advice": check.advice}))
            .collect();
        return out.value(&json!({"checks": checks}));
    }
    for check in checks {
        let style = match check.mark {
            Mark::Ok => GOOD,
            Mark::Warn => LOOK,
            Mark::Fail => BAD,
        };
        out.line(format!("{style}{:<4}{style:#}  {}", check.mark.as_str(), check.what));
        if !check.advice.is_empty() {
            out.line(format!("      {FAINT}{}{FAINT:#}", check.advice));
        }
    }
}

//! `watchbell serve`: the server, until it is told to end.

use std::path::PathBuf;
use std::sync::Arc;

use watchbell_wire::Secret;

use super::config::Source;
use super::output::{FAINT, GOOD};
use super::{Done, Exit, Failure, Output, Variables};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::signals::Signals;
use crate::wiring::{Node, StartError};

/// Fewer characters than this can be guessed.
const ADMIN_KEY_CHARACTERS_MIN: usize = 32;

/// Exit status after a second signal: what shells call ended by SIGINT.
const SECOND_SIGNAL: i32 = 130;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchbell serve
  watchbell serve --listen 0.0.0.0:8420 --data /var/lib/watchbell --config /etc/watchbell.toml
  WATCHBELL_ADMIN_KEY=\"$(openssl rand -hex 32)\" watchbell serve

The first start prints an API key, once; WATCHBELL_ADMIN_KEY (32 characters or more) sets it in its place.
SIGTERM or SIGINT: running attempts end within shutdown.grace; a second signal ends at once.

Exit status: 0 ended as asked, 2 the configuration is wrong, 74 the database is damaged (it is left as it is),
75 another process has the data directory, 78 the key file is missing, unsafe or another one, 1 anything else.")]
pub(super) struct Args {
    /// Address and port to listen on [server.listen]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Directory of the database and the key file [storage.data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// What to log: error, warn, info, debug, trace [log.level]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// How log lines look: text or json [log.format]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    #[command(flatten)]
    source: Source,
}

impl Args {
    pub(super) fn run(self, variables: Variables) -> Done {
        let admin_key = admin_key(&variables)?;
        let flags = [
            ("--listen", "server.listen", self.listen),
            ("--data", "storage.data", self.data.map(|path| path.display().to_string())),
            ("--log-level", "log.level", self.log_level),
            ("--log-format", "log.format", self.log_format),
        ];
        let flags = flags.into_iter().filter_map(|(flag, key, value)| Some((flag.to_owned(), key.to_owned(), value?)));
        let mut loaded = self.source.load(variables, flags.collect())?;
        crate::telemetry::init(&loaded.config.log).map_err(Failure::usage)?;
        crate::descriptors::fit(&mut loaded.config);
        let runtime = tokio::runtime::Runtime::new()
            .map_err(|error| Failure::failed(format!("cannot start the runtime: {error}")))?;
        runtime.block_on(serve(&loaded.config, admin_key))
    }
}

/// Runs a node until a signal, then lets it end. A second signal ends the process at once.
async fn serve(config: &Config, admin_key: Option<Secret>) -> Done {
    let mut signals =
        Signals::listen().map_err(|error| Failure::failed(format!("signals cannot be received: {error}")))?;
    let node = Node::start(config, admin_key, Arc::new(SystemClock::start())).await?;
    announce(config, &node);
    let has_failed = tokio::select! {
        biased;
        () = signals.next() => false,
        () = node.failed() => true,
    };
    tracing::info!(has_failed, "stops");
    tokio::select! {
        biased;
        () = signals.next() => std::process::exit(SECOND_SIGNAL),
        () = node.stop() => {}
    }
    match has_failed {
        true => Err(Failure::failed("a part of the server has failed; start it again, nothing accepted is lost")),
        false => Ok(()),
    }
}

/// Says where the server is and what comes next.
fn announce(config: &Config, node: &Node) {
    let out = Output { json: false };
    let url = format!("http://{}", node.address);
    if let Some(key) = &node.made_key {
        out.line(format!("API key, shown this once: {GOOD}{}{GOOD:#}", key.expose()));
        out.line(format!(
            "{FAINT}It may do everything. Keep it; `watchbell key create` makes others with less rights.{FAINT:#}"
        ));
    }
    out.line(format!(
        "Watchbell {} listens on {url} with its data in {}",
        env!("CARGO_PKG_VERSION"),
        config.storage.data.display()
    ));
    out.line(format!("{FAINT}next: export WATCHBELL_URL={url} WATCHBELL_KEY=…{FAINT:#}"));
    out.line(format!(
        "{FAINT}      watchbell endpoint create https://hooks.example.com/in --dialect standard{FAINT:#}"
    ));
}

fn admin_key(variables: &Variables) -> Result<Option<Secret>, Failure> {
    let given = variables.iter().find(|(name, _)| name == "WATCHBELL_ADMIN_KEY").map(|(_, value)| value);
    let Some(key) = given.filter(|key| !key.is_empty()) else {
        return Ok(None);
    };
    let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    if key.chars().count() < ADMIN_KEY_CHARACTERS_MIN {
        let problem =
            format!("WATCHBELL_ADMIN_KEY is too short: it wants {ADMIN_KEY_CHARACTERS_MIN} characters or more");
        return Err(Failure::usage(problem).advise("`openssl rand -hex 32` makes a good one"));
    }
    if !visible {
        return Err(Failure::usage(
            "WATCHBELL_ADMIN_KEY may hold only visible ASCII characters, or no header can carry it",
        ));
    }
    Ok(Some(Secret::new(key.clone())))
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let (exit, advice) = match &error {
            StartError::Locked(_) => {
                (Exit::StoreLocked, Some("end the other process, or give another directory with --data"))
            }
            StartError::Corrupt(_) => (
                Exit::StoreCorrupt,
                Some("nothing was changed; restore a backup, or look at a copy with the sqlite3 command"),
            ),
            StartError::KeyFile(_) => {
                (Exit::KeyFile, Some("without its key file the data cannot be read: put the right one back, mode 0600"))
            }
            StartError::Setting { .. } => (Exit::Usage, None),
            StartError::Listen { .. } => (
                Exit::Failed,
                Some("is another server running there? --listen names another address; port 0 takes a free one"),
            ),
            StartError::Store(_) => (Exit::Failed, None),
        };
        let failure = Self::new(exit, error.to_string());
        match advice {
            Some(advice) => failure.advise(advice),
            None => failure,
        }
    }
}

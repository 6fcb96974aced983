//! `watchbell serve`: the server, until it is told to end.

use std::path::PathBuf;

use watchbell_wire::Secret;

use super::config::Source;
use super::{Done, Exit, Failure, Variables};
use crate::wiring::{self, StartError};

/// Fewer characters than this can be guessed.
const ADMIN_KEY_CHARACTERS_MIN: usize = 32;

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
            (
                "--data",
                "storage.data",
                self.data.map(|path| path.display().to_string()),
            ),
            ("--log-level", "log.level", self.log_level),
            ("--log-format", "log.format", self.log_format),
        ];
        let flags = flags
            .into_iter()
            .filter_map(|(flag, key, value)| Some((flag.to_owned(), key.to_owned(), value?)));
        let loaded = self.source.load(variables, flags.collect())?;
        crate::telemetry::init(&loaded.config.log).map_err(Failure::usage)?;
        let runtime = tokio::runtime::Runtime::new()
            .map_err(|error| Failure::failed(format!("cannot start the runtime: {error}")))?;
        runtime
            .block_on(wiring::serve(&loaded.config, admin_key))
            .map_err(Failure::from)
    }
}

fn admin_key(variables: &Variables) -> Result<Option<Secret>, Failure> {
    let given = variables
        .iter()
        .find(|(name, _)| name == "WATCHBELL_ADMIN_KEY")
        .map(|(_, value)| value);
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
            StartError::Locked { .. } => (
                Exit::StoreLocked,
                Some("end the other process, or give another directory with --data"),
            ),
            StartError::Corrupt { .. } => (
                Exit::StoreCorrupt,
                Some("nothing was changed; restore a backup, or look at a copy with the sqlite3 command"),
            ),
            StartError::KeyFile { .. } => (
                Exit::KeyFile,
                Some("without its key file the data cannot be read: put the right one back, mode 0600"),
            ),
            StartError::Setting { .. } => (Exit::Usage, None),
            StartError::Listen { .. } => (
                Exit::Failed,
                Some("is another server running there? --listen names another address; port 0 takes a free one"),
            ),
            StartError::Other(_) => (Exit::Failed, None),
        };
        let failure = Self::new(exit, error.to_string());
        match advice {
            Some(advice) => failure.advise(advice),
            None => failure,
        }
    }
}

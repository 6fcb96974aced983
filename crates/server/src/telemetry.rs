//! Logs: to stderr, as text for people or JSON for collectors; quiet unless something is wrong.

use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, LogSettings};

/// Starts logging for this process.
pub(crate) fn init(settings: &LogSettings) -> Result<(), String> {
    let filter = EnvFilter::builder().parse(&settings.level).map_err(|error| format!("log.level: {error}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match settings.format {
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).finish().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
    };
    started.map_err(|error| format!("logging cannot start: {error}"))
}

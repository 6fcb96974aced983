//! `watchbell config check | schema | dump`: the configuration without a server.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::output::FAINT;
use super::{Done, Failure, Output, Variables};
use crate::config::{self, Layers, Loaded};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say whether the configuration can be used, or which key is wrong
    #[command(after_help = "Examples:
  watchbell config check --config watchbell.toml
  watchbell config check --set storage.lease=90s

Exit status: 0 good, 2 a setting is wrong.")]
    Check(Source),
    /// Print the JSON Schema of the configuration file
    #[command(after_help = "Examples:
  watchbell config schema > watchbell.schema.json     (editors complete and check with it)")]
    Schema,
    /// Print every setting as it would be used, and where it came from
    #[command(after_help = "Examples:
  watchbell config dump --config watchbell.toml
  watchbell config dump > watchbell.toml              (a file of all defaults to start from)")]
    Dump(Source),
}

/// Where settings come from.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Configuration")]
pub(super) struct Source {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "WATCHBELL_CONFIG", hide_env_values = true)]
    pub(super) config: Option<PathBuf>,
    /// Any setting: --set delivery.timeout=5s. Each is also a variable: WATCHBELL_DELIVERY__TIMEOUT
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Source {
    /// Reads the file and lays variables and flags over it. `flags`: the command's own flags that are settings.
    pub(super) fn load(&self, variables: Variables, flags: Vec<(String, String, String)>) -> Result<Loaded, Failure> {
        let file = match &self.config {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    Failure::usage(format!("cannot read the configuration file {}: {error}", path.display()))
                })?;
                Some((path.clone(), text))
            }
        };
        let mut all = Vec::new();
        for setting in &self.set {
            let (key, value) = setting
                .split_once('=')
                .ok_or_else(|| Failure::usage(format!("--set {setting}: KEY=VALUE is wanted")))?;
            all.push(("--set".to_owned(), key.trim().to_owned(), value.to_owned()));
        }
        all.extend(flags);
        Layers { file, variables, flags: all }.load().map_err(|error| {
            Failure::usage(error.to_string())
                .advise("`watchbell config schema` and docs/configuration.md say what each setting takes")
        })
    }
}

impl Args {
    pub(super) fn run(self, out: Output, variables: Variables) -> Done {
        match self.action {
            Action::Check(source) => {
                let loaded = source.load(variables, Vec::new())?;
                match out.json {
                    true => out.value(&json!({"ok": true, "settings_set": loaded.origins.len()})),
                    false => out.line("the configuration is good"),
                }
            }
            Action::Schema => {
                let schema = schemars::schema_for!(config::Config);
                out.value(&serde_json::to_value(schema).unwrap_or_default());
            }
            Action::Dump(source) => dump(out, &source.load(variables, Vec::new())?),
        }
        Ok(())
    }
}

/// TOML that reads back as the same settings; in JSON with origins. A key file is shown by its path, never its content.
fn dump(out: Output, loaded: &Loaded) {
    let settings = config::flat(&loaded.config);
    if out.json {
        let mut all = Map::new();
        for (key, value) in settings {
            let origin = loaded.origins.get(&key).map_or_else(|| "default".to_owned(), ToString::to_string);
            all.insert(key, json!({"value": value, "from": origin}));
        }
        return out.value(&Value::Object(all));
    }
    let mut section_before = String::new();
    for (key, value) in settings {
        let Some((section, name)) = key.split_once('.') else {
            continue;
        };
        if section != section_before {
            let gap = if section_before.is_empty() { "" } else { "\n" };
            out.line(format!("{gap}[{section}]"));
            section.clone_into(&mut section_before);
        }
        let origin = loaded.origins.get(&key).map_or_else(|| "default".to_owned(), ToString::to_string);
        // JSON text, numbers, booleans and lists of text are spelled alike in TOML.
        match value.is_null() {
            true => out.line(format!("{FAINT}# {name} is not set{FAINT:#}")),
            false => out.line(format!("{name} = {value}  {FAINT}# {origin}{FAINT:#}")),
        }
    }
}

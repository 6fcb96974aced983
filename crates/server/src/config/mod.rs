//! Configuration: defaults, a TOML file, `WATCHBELL_SECTION__KEY` variables, flags; the later wins.
//!
//! What comes in are values: the file's text, the variables, the flags. Reading the environment is `main`'s. What goes out
//! is a [`Loaded`]: every setting, checked as a whole, and where each one that is not a default came from. An error names
//! the key, where it was set, and what is wanted.

mod check;
mod options;
mod sections;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

pub(crate) use check::listen_address;
pub(crate) use options::{
    captures_options, delivery_options, dns_servers, edge_options, evidence_options, exchange_limits, longest_wait,
    receipts_options, retention_options, serve_options,
};
pub(crate) use sections::{Config, Log as LogSettings, LogFormat};
pub(crate) use value::{Duration, Ports};

/// Before the section in the name of a variable.
const VARIABLE_PREFIX: &str = "WATCHBELL_";

/// Where a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A file and the line in it.
    File { path: PathBuf, line: usize },
    /// An environment variable.
    Variable(String),
    /// A flag of the command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{} line {line}", path.display()),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// What the configuration is made of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layers {
    /// The file's path and text.
    pub(crate) file: Option<(PathBuf, String)>,
    /// Every environment variable; those that are no settings are passed over.
    pub(crate) variables: Vec<(String, String)>,
    /// Flags: the flag's own spelling, the key, the value.
    pub(crate) flags: Vec<(String, String, String)>,
}

/// The settings and where they came from.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    /// The settings.
    pub(crate) config: Config,
    /// By key; a key that is absent has its default.
    pub(crate) origins: BTreeMap<String, Origin>,
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) struct Error {
    /// `section.key`; absent where the file cannot be read at all.
    pub(crate) key: Option<String>,
    /// Where it was set.
    pub(crate) origin: Option<Origin>,
    /// What is wrong and what is wanted.
    pub(crate) problem: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.problem)?;
        match &self.origin {
            Some(origin) => write!(f, " ({origin})"),
            None => Ok(()),
        }
    }
}

impl Error {
    fn of_key(key: &str, problem: impl Into<String>) -> Self {
        Self { key: Some(key.to_owned()), origin: None, problem: problem.into() }
    }
}

impl Layers {
    /// Lays the layers over the defaults and checks the whole.
    pub(crate) fn load(self) -> Result<Loaded, Error> {
        let mut table = Table::new();
        let mut origins = BTreeMap::new();
        if let Some((path, text)) = &self.file {
            table = read_file(path, text, &mut origins)?;
        }
        let kinds = kinds();
        for (name, value) in self.variables {
            let Some(key) = key_of_variable(&name) else { continue };
            set(&mut table, &mut origins, &kinds, &key, &value, Origin::Variable(name))?;
        }
        for (flag, key, value) in self.flags {
            set(&mut table, &mut origins, &kinds, &key, &value, Origin::Flag(flag))?;
        }
        let located = |mut error: Error| {
            error.origin = error.key.as_deref().and_then(|key| origin_of(&origins, key));
            error
        };
        let config = typed(table).map_err(located)?;
        check::whole(&config).map_err(located)?;
        Ok(Loaded { config, origins })
    }
}

/// Where `key`, or the section or list entry it is part of, was set.
fn origin_of(origins: &BTreeMap<String, Origin>, key: &str) -> Option<Origin> {
    let mut key = key;
    loop {
        if let Some(origin) = origins.get(key) {
            return Some(origin.clone());
        }
        key = key.rsplit_once(['.', '['])?.0;
    }
}

fn read_file(path: &Path, text: &str, origins: &mut BTreeMap<String, Origin>) -> Result<Table, Error> {
    let line_of = |offset: usize| text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
    let at = |offset: usize| Origin::File { path: path.to_owned(), line: line_of(offset) };
    let broken = |error: &toml::de::Error| Error {
        key: None,
        origin: error.span().map(|span| at(span.start)),
        problem: format!("not TOML: {}", error.message()),
    };
    let spanned = toml::de::DeTable::parse(text).map_err(|error| broken(&error))?;
    for (section, content) in spanned.get_ref() {
        origins.insert(section.get_ref().to_string(), at(section.span().start));
        let toml::de::DeValue::Table(keys) = content.get_ref() else {
            continue;
        };
        for key in keys.keys() {
            origins.insert(format!("{}.{}", section.get_ref(), key.get_ref()), at(key.span().start));
        }
    }
    toml::from_str(text).map_err(|error| broken(&error))
}

fn typed(table: Table) -> Result<Config, Error> {
    serde_path_to_error::deserialize(table).map_err(|error| {
        let path = error.path().to_string();
        let message = error.inner().message().to_owned();
        let problem = match message.split_once("unknown field ").and_then(|(_, rest)| rest.split_once(", expected ")) {
            Some((_, known)) => format!(
                "there is no such setting; known here: {}",
                known.trim_start_matches("one of ").replace('`', "")
            ),
            None => message,
        };
        Error::of_key(&path, problem)
    })
}

/// `WATCHBELL_DELIVERY__RETRY_SCHEDULE` → `delivery.retry_schedule`; `None` for a variable that is no setting.
fn key_of_variable(name: &str) -> Option<String> {
    let (section, key) = name.strip_prefix(VARIABLE_PREFIX)?.split_once("__")?;
    Some(format!("{}.{}", section.to_ascii_lowercase(), key.to_ascii_lowercase()))
}

/// `delivery.retry_schedule` → `WATCHBELL_DELIVERY__RETRY_SCHEDULE`.
#[cfg(test)]
fn variable_of_key(key: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", key.replacen('.', "__", 1).to_ascii_uppercase())
}

/// How a setting's text is read from a variable or flag.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Bool,
    Number,
    List,
}

/// Every key and its kind, from the defaults.
fn kinds() -> BTreeMap<String, Kind> {
    let mut kinds = BTreeMap::new();
    for (key, value) in flat(&Config::default()) {
        let kind = match value {
            serde_json::Value::Bool(_) => Kind::Bool,
            serde_json::Value::Number(_) => Kind::Number,
            serde_json::Value::Array(_) => Kind::List,
            serde_json::Value::Null | serde_json::Value::String(_) | serde_json::Value::Object(_) => Kind::Text,
        };
        kinds.insert(key, kind);
    }
    kinds
}

/// Every `section.key` with its value, in the order of the sections.
pub(crate) fn flat(config: &Config) -> Vec<(String, serde_json::Value)> {
    let Ok(serde_json::Value::Object(sections)) = serde_json::to_value(config) else {
        return Vec::new();
    };
    let mut keys = Vec::new();
    for (section, content) in sections {
        if let serde_json::Value::Object(content) = content {
            keys.extend(content.into_iter().map(|(key, value)| (format!("{section}.{key}"), value)));
        }
    }
    keys
}

fn set(
    table: &mut Table,
    origins: &mut BTreeMap<String, Origin>,
    kinds: &BTreeMap<String, Kind>,
    key: &str,
    text: &str,
    origin: Origin,
) -> Result<(), Error> {
    let refuse =
        |problem: &str| Error { key: Some(key.to_owned()), origin: Some(origin.clone()), problem: problem.to_owned() };
    let kind = kinds.get(key).ok_or_else(|| refuse("there is no such setting"))?;
    let value = match kind {
        Kind::Text => Value::String(text.to_owned()),
        Kind::Bool => match text {
            "true" => Value::Boolean(true),
            "false" => Value::Boolean(false),
            _ => return Err(refuse("true or false is wanted")),
        },
        Kind::Number => Value::Integer(text.parse().map_err(|_| refuse("a whole number is wanted"))?),
        Kind::List => Value::Array(
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| Value::String(item.to_owned()))
                .collect(),
        ),
    };
    let (section, name) = key.split_once('.').ok_or_else(|| refuse("a setting is named section.key"))?;
    let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(section) = section {
        section.insert(name.to_owned(), value);
    }
    origins.insert(key.to_owned(), origin);
    Ok(())
}

#[cfg(test)]
mod tests;

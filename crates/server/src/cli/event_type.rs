//! `watchbell event-type …`: the catalogue of event types, and types of one's own.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use http::Method;
use serde_json::{Map, Value, json};

use super::connect::{Connect, segment};
use super::{Done, Failure, Output};
use crate::client::Request;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List event types: the built-in ones, then the organisation's own
    #[command(after_help = "Examples:
  watchbell event-type list")]
    List {
        #[command(flatten)]
        connect: Connect,
    },
    /// Show one event type: its schema, and its example in every format
    #[command(after_help = "Examples:
  watchbell event-type show vulnerability.created --json | jq -r '.dialects[0].body'")]
    Show(Named),
    /// Define an event type of your own, or change it
    #[command(after_help = "Examples:
  watchbell event-type define acme.build_done --description 'A build ended.' --schema build.schema.json
  watchbell event-type define acme.build_done --example build.json")]
    Define {
        /// When it is told
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// File with the JSON Schema that posted data must fit
        #[arg(long, value_name = "FILE")]
        schema: Option<PathBuf>,
        /// File with data that fits
        #[arg(long, value_name = "FILE")]
        example: Option<PathBuf>,
        #[command(flatten)]
        named: Named,
    },
    /// Delete an event type of your own; its events stay
    #[command(after_help = "Examples:
  watchbell event-type delete acme.build_done")]
    Delete(Named),
}

/// One event type.
#[derive(Debug, clap::Args)]
struct Named {
    /// Its name
    #[arg(value_name = "TYPE")]
    name: String,
    #[command(flatten)]
    connect: Connect,
}

const COLUMNS: &[(&str, &[&str])] = &[("type", &["type"]), ("built in", &["built_in"]), ("told", &["description"])];

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        match self.action {
            Action::List { connect } => out.page(&connect.ask(Request::get(connect.path("/event-types")))?, COLUMNS),
            Action::Show(named) => out.thing(&named.ask(Method::GET, None)?),
            Action::Define { description, schema, example, named } => {
                let mut body = Map::new();
                body.extend(description.map(|text| ("description".to_owned(), json!(text))));
                for (member, file) in [("schema", schema), ("example", example)] {
                    if let Some(file) = file {
                        body.insert(member.to_owned(), read(&file)?);
                    }
                }
                out.thing(&named.define(body)?);
            }
            Action::Delete(named) => {
                named.ask(Method::DELETE, None)?;
                match out.json {
                    true => out.value(&json!({"type": named.name, "done": "deleted"})),
                    false => out.line(format!("deleted {}", named.name)),
                }
            }
        }
        Ok(())
    }
}

impl Named {
    fn path(&self) -> String {
        self.connect.path(&format!("/event-types/{}", segment(&self.name)))
    }

    fn ask(&self, method: Method, body: Option<&Value>) -> Result<Value, Failure> {
        self.connect.call(method, self.path(), body)
    }

    /// Changes the type when there is one of this name.
    fn define(&self, mut body: Map<String, Value>) -> Result<Value, Failure> {
        let all = self.connect.ask(Request::get(self.connect.path("/event-types")))?;
        let items = all.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if items.iter().any(|item| item.get("type").and_then(Value::as_str) == Some(self.name.as_str())) {
            return self.ask(Method::PATCH, Some(&Value::Object(body)));
        }
        body.insert("type".to_owned(), json!(self.name));
        self.connect.ask(Request::post(self.connect.path("/event-types"), &Value::Object(body)))
    }
}

fn read(path: &Path) -> Result<Value, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    serde_json::from_str(&text).map_err(|error| Failure::usage(format!("{} is no JSON: {error}", path.display())))
}

//! `watchbell source …`: vendors that call us.

use std::path::PathBuf;

use clap::Subcommand;
use http::Method;
use serde_json::{Map, Value, json};
use watchbell_domain::id::SourceId;
use watchbell_wire::Dialect;

use super::capture::named;
use super::connect::{Connect, Paging, segment};
use super::endpoint::{credential, credential_of};
use super::output::{LOOK, remark};
use super::{Done, Failure, Output, message};
use crate::client::Request;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List sources, newest first
    #[command(after_help = "Examples:
  watchbell source list")]
    List {
        #[command(flatten)]
        paging: Paging,
        #[command(flatten)]
        connect: Connect,
    },
    /// Create a source and print the URL to register with the vendor; a secret that is made is printed once
    #[command(after_help = "Examples:
  watchbell source create --dialect snyk --name snyk --secret-file secret.txt
  watchbell source create --dialect github --name acme/api --make-secret
  watchbell source create --dialect bearer-scan --name scanner --make-secret --allowed-ips 192.0.2.0/24")]
    Create {
        /// The format it calls in: snyk, symbiotic, aegis, bearer-scan, standard, github, gitlab, cloudevents, custom
        #[arg(long, value_parser = message::received_dialect_by_id)]
        dialect: &'static Dialect,
        /// File with the signing secret or bearer token
        #[arg(long, value_name = "FILE", conflicts_with = "make_secret")]
        secret_file: Option<PathBuf>,
        /// Have the secret or token made
        #[arg(long)]
        make_secret: bool,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        connect: Connect,
    },
    /// Show one source
    #[command(after_help = "Examples:
  watchbell source show src_0192f0c1-…")]
    Show(Named),
    /// Change a source
    #[command(after_help = "Examples:
  watchbell source update src_0192f0c1-… --max-event-age 72h
  watchbell source update src_0192f0c1-… --rate-limit default")]
    Update {
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        named: Named,
    },
    /// Delete a source: its URL leads nowhere from then on
    #[command(after_help = "Examples:
  watchbell source delete src_0192f0c1-…")]
    Delete(Named),
    /// Give it a new secret; the old one still proves requests for a while
    #[command(after_help = "Examples:
  watchbell source rotate-secret src_0192f0c1-…
  watchbell source rotate-secret src_0192f0c1-… --secret-file new.txt --overlap 1h")]
    RotateSecret {
        /// File with the new secret; made and printed once when absent
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        /// How long the old one still holds
        #[arg(long, value_name = "DURATION")]
        overlap: Option<String>,
        #[command(flatten)]
        named: Named,
    },
    /// Take none of its requests: they are answered 503, so that the vendor sends them again
    #[command(after_help = "Examples:
  watchbell source pause src_0192f0c1-…")]
    Pause(Named),
    /// Take its requests again
    #[command(after_help = "Examples:
  watchbell source resume src_0192f0c1-…")]
    Resume(Named),
}

/// One source of the server.
#[derive(Debug, clap::Args)]
struct Named {
    /// The source: its name or id
    #[arg(value_name = "SOURCE")]
    id: String,
    #[command(flatten)]
    connect: Connect,
}

/// What create and update share.
#[derive(Debug, clap::Args)]
struct Settings {
    /// A name for people
    #[arg(long)]
    name: Option<String>,
    /// Addresses and networks it may call from, joined by commas; "any" for all
    #[arg(long, value_delimiter = ',', value_name = "NETWORKS")]
    allowed_ips: Vec<String>,
    /// How often it may call, such as "100/s"; "off" for no limit, "default" for the server's own
    #[arg(long, value_name = "RATE")]
    rate_limit: Option<String>,
    /// How old a signed time in a body may be, such as "72h"; "off" for any, "default" for the server's own
    #[arg(long, value_name = "DURATION")]
    max_event_age: Option<String>,
    /// What the format wants to know beside the secret, as the API takes it
    #[arg(long, value_name = "JSON")]
    settings: Option<String>,
}

impl Settings {
    fn members(self) -> Result<Map<String, Value>, Failure> {
        let mut members = Map::new();
        let or_default = |text: String| if text == "default" { Value::Null } else { text.into() };
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                members.insert(name.to_owned(), value);
            }
        };
        put("name", self.name.map(Value::from));
        put("rate_limit", self.rate_limit.map(or_default));
        put("max_event_age", self.max_event_age.map(or_default));
        put(
            "allowed_ips",
            match self.allowed_ips.as_slice() {
                [] => None,
                [any] if any == "any" => Some(json!([])),
                networks => Some(json!(networks)),
            },
        );
        if let Some(text) = self.settings {
            let settings: Map<String, Value> = serde_json::from_str(&text)
                .map_err(|error| Failure::usage(format!("--settings is no JSON object: {error}")))?;
            put("settings", Some(Value::Object(settings)));
        }
        Ok(members)
    }
}

const COLUMNS: &[(&str, &[&str])] =
    &[("id", &["id"]), ("dialect", &["dialect"]), ("name", &["name"]), ("state", &["state"]), ("url", &["url"])];

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        match self.action {
            Action::List { paging, connect } => {
                out.page(&connect.ask(paging.onto(Request::get(connect.path("/sources"))))?, COLUMNS);
            }
            Action::Create { dialect, secret_file, make_secret, settings, connect } => {
                let mut body = settings.members()?;
                body.insert("dialect".to_owned(), json!(dialect.id));
                // Without a name of its own it has its dialect's.
                body.entry("name").or_insert_with(|| json!(dialect.id));
                if secret_file.is_none() && !make_secret {
                    return Err(Failure::usage("a source needs its secret").advise(
                        "--secret-file FILE has the one that the vendor shows; --make-secret has one made, to give to the vendor",
                    ));
                }
                if let Some(path) = secret_file {
                    body.insert(credential(dialect).to_owned(), json!(message::read_secret(&path)?.expose()));
                }
                if make_secret {
                    body.insert("make_secret".to_owned(), json!(true));
                }
                let answer = connect.ask(Request::post(connect.path("/sources"), &Value::Object(body)))?;
                show(out, &answer, make_secret);
            }
            Action::Show(named) => out.thing(&named.ask(Method::GET, "", None)?),
            Action::Update { settings, named } => {
                let body = settings.members()?;
                if body.is_empty() {
                    return Err(Failure::usage("nothing to change: give a flag of --help"));
                }
                out.thing(&named.ask(Method::PATCH, "", Some(&Value::Object(body)))?);
            }
            Action::Delete(named) => {
                named.ask(Method::DELETE, "", None)?;
                match out.json {
                    true => out.value(&json!({"id": named.id, "done": "deleted"})),
                    false => out.line(format!("deleted {}", named.id)),
                }
            }
            Action::RotateSecret { secret_file, overlap, named } => {
                let mut body = Map::new();
                let is_made = secret_file.is_none();
                if let Some(path) = secret_file {
                    body.insert(named.credential()?.to_owned(), json!(message::read_secret(&path)?.expose()));
                }
                if let Some(overlap) = overlap {
                    body.insert("overlap".to_owned(), json!(overlap));
                }
                show(out, &named.ask(Method::POST, "/rotate-secret", Some(&Value::Object(body)))?, is_made);
            }
            Action::Pause(named) => out.thing(&named.ask(Method::POST, "/pause", None)?),
            Action::Resume(named) => out.thing(&named.ask(Method::POST, "/resume", None)?),
        }
        Ok(())
    }
}

/// The id of a source by its name. What is an id already is not looked up.
pub(super) fn source_id(source: &str, connect: &Connect) -> Result<String, Failure> {
    match source.parse::<SourceId>() {
        Ok(_) => Ok(source.to_owned()),
        Err(_) => named("source", source, connect),
    }
}

impl Named {
    fn ask(&self, method: Method, rest: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let id = source_id(&self.id, &self.connect)?;
        let path = self.connect.path(&format!("/sources/{}{rest}", segment(&id)));
        self.connect.call(method, path, body)
    }

    /// What the API calls the credential of this source.
    fn credential(&self) -> Result<&'static str, Failure> {
        credential_of(&self.ask(Method::GET, "", None)?).ok_or_else(|| {
            Failure::failed("the source calls in a dialect that this version of the command does not know")
        })
    }
}

fn show(out: Output, answer: &Value, is_made: bool) {
    out.thing(answer);
    if !out.json && is_made {
        remark(format!("{LOOK}The secret is shown this once: give it to the vendor.{LOOK:#}"));
    }
}

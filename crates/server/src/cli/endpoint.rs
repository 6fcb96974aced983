//! `watchbell endpoint …`: where events are delivered.

use std::path::PathBuf;

use clap::Subcommand;
use http::Method;
use serde_json::{Map, Value, json};
use watchbell_wire::Dialect;
use watchbell_wire::dialect::{self, Credential};

use super::connect::{Connect, Paging, segment};
use super::endpoint_flags::Flags;
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
    /// List endpoints, newest first
    #[command(after_help = "Examples:
  watchbell endpoint list
  watchbell endpoint list --json | jq -r '.items[].url'")]
    List {
        #[command(flatten)]
        paging: Paging,
        #[command(flatten)]
        connect: Connect,
    },
    /// Create an endpoint; a secret that is made is printed once
    #[command(after_help = "Examples:
  watchbell endpoint create https://hooks.example.com/in --dialect standard
  watchbell endpoint create https://example.com/snyk --dialect snyk --secret-file secret.txt
  watchbell endpoint create https://example.com/scans --dialect bearer-scan --secret-file token.txt \\
      --events scan.completed,scan.failed
  watchbell endpoint create https://siem.example.com/in --dialect standard --ca ca.pem \\
      --client-cert us.pem --client-key us.key --rate-limit 20/s --ordered project")]
    Create {
        /// Where to deliver
        #[arg(value_name = "URL")]
        target: String,
        /// The format it speaks: snyk, symbiotic, aegis, bearer-scan, standard, cloudevents, or a destination: slack, teams, pagerduty, opsgenie, jsm, jira, splunk_hec, elastic, rapid7, ocsf, syslog, cef, email, http
        #[arg(long, value_parser = message::dialect_by_id)]
        dialect: &'static Dialect,
        #[command(flatten)]
        settings: Settings,
        /// File with the signing secret or bearer token, for dialects that do not make one
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        #[command(flatten)]
        connect: Connect,
    },
    /// Show one endpoint
    #[command(after_help = "Examples:
  watchbell endpoint show ep_0192f0c1-…")]
    Show(Named),
    /// Change an endpoint
    #[command(after_help = "Examples:
  watchbell endpoint update ep_0192f0c1-… --to https://new.example.com/in
  watchbell endpoint update ep_0192f0c1-… --auth oauth2 --token-url https://id.example.com/token \\
      --auth-user watchbell --auth-secret-file client-secret.txt
  watchbell endpoint update ep_0192f0c1-… --set '{\"timeout\": \"10s\", \"max_in_flight\": 2}'")]
    Update {
        /// Its new URL
        #[arg(long = "to", value_name = "URL")]
        target: Option<String>,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        named: Named,
    },
    /// Delete an endpoint; its waiting deliveries are cancelled
    #[command(after_help = "Examples:
  watchbell endpoint delete ep_0192f0c1-…")]
    Delete(Named),
    /// Send it a ping, or a test event where its format has no ping
    #[command(after_help = "Examples:
  watchbell endpoint ping ep_0192f0c1-…")]
    Ping(Named),
    /// Give it a new secret, printed once; the old one stays valid for a while
    #[command(after_help = "Examples:
  watchbell endpoint rotate-secret ep_0192f0c1-…
  watchbell endpoint rotate-secret ep_0192f0c1-… --secret-file new.txt")]
    RotateSecret {
        /// File with the new secret; made by the server when absent
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        #[command(flatten)]
        named: Named,
    },
    /// Hold its deliveries
    #[command(after_help = "Examples:
  watchbell endpoint pause ep_0192f0c1-…")]
    Pause(Named),
    /// Deliver again, what was held first
    #[command(after_help = "Examples:
  watchbell endpoint resume ep_0192f0c1-…")]
    Resume(Named),
    /// Try a filter without saving it: on an event, or on a sample of every type the endpoint can get
    #[command(after_help = "Examples:
  watchbell endpoint try-filter ep_0192f0c1-… \"severity >= high && project.name.startsWith('pay')\"
  watchbell endpoint try-filter ep_0192f0c1-… --event evt_0192f0c1-…")]
    TryFilter {
        #[command(flatten)]
        named: Named,
        /// The filter; the endpoint's own when absent
        #[arg(value_name = "EXPRESSION")]
        filter: Option<String>,
        /// An event that was accepted
        #[arg(long, value_name = "EVENT")]
        event: Option<String>,
    },
    /// Mute something for an endpoint until an end, end a mute, or list what is muted
    #[command(after_help = "Examples:
  watchbell endpoint mute ep_0192f0c1-… --finding fnd_0192f0c1-… --for 72h --reason 'upgrade planned'
  watchbell endpoint mute ep_0192f0c1-… --when \"component.name == 'lodash'\" --until 2026-02-01T00:00:00Z
  watchbell endpoint mute ep_0192f0c1-…
  watchbell endpoint mute ep_0192f0c1-… --end mut_0192f0c1-…")]
    Mute {
        #[command(flatten)]
        mute: Mute,
        #[command(flatten)]
        named: Named,
    },
}

/// What to mute, and until when.
#[derive(Debug, clap::Args)]
// The group that clap makes of a struct holds all of its arguments, and lets one of them be given.
#[group(skip)]
struct Mute {
    /// Events about this finding
    #[arg(long, group = "muted", value_name = "ID")]
    finding: Option<String>,
    /// Events about this project
    #[arg(long, group = "muted", value_name = "ID")]
    project: Option<String>,
    /// Events of this type
    #[arg(long, group = "muted", value_name = "TYPE")]
    r#type: Option<String>,
    /// Events that this is true of
    #[arg(long, group = "muted", value_name = "EXPRESSION")]
    when: Option<String>,
    /// Everything
    #[arg(long, group = "muted")]
    everything: bool,
    /// End this mute now
    #[arg(long, group = "muted", value_name = "MUTE")]
    end: Option<String>,
    /// Until this time (RFC 3339)
    #[arg(long, value_name = "TIME", requires = "muted", conflicts_with_all = ["lasts", "end"])]
    until: Option<String>,
    /// For so long, such as 4h
    #[arg(long = "for", value_name = "DURATION", requires = "muted", conflicts_with = "end")]
    lasts: Option<String>,
    /// Why, for whoever asks later
    #[arg(long, value_name = "TEXT", requires = "muted", conflicts_with = "end")]
    reason: Option<String>,
}

impl Mute {
    /// The body of a new mute; `None`: nothing is to be muted.
    fn body(&self) -> Option<Value> {
        let what =
            [("finding", &self.finding), ("project", &self.project), ("type", &self.r#type), ("when", &self.when)];
        let given = what.iter().any(|(_, value)| value.is_some()) || self.everything;
        let members = [("until", &self.until), ("for", &self.lasts), ("reason", &self.reason)];
        let all = what.into_iter().chain(members);
        let body = all.filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?))));
        given.then(|| Value::Object(body.collect()))
    }
}

/// One endpoint of the server.
#[derive(Debug, clap::Args)]
struct Named {
    /// The endpoint's id
    id: String,
    #[command(flatten)]
    connect: Connect,
}

/// What create and update share.
#[derive(Debug, clap::Args)]
struct Settings {
    /// Event types to deliver, joined by commas; every one that the format can say when absent
    #[arg(long, value_delimiter = ',', value_name = "TYPES")]
    events: Vec<String>,
    /// A note for people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Any other members, as the API takes them
    #[arg(long, value_name = "JSON")]
    set: Option<String>,
    #[command(flatten)]
    flags: Flags,
}

impl Settings {
    fn members(self) -> Result<Map<String, Value>, Failure> {
        let mut members = match self.set {
            None => Map::new(),
            Some(text) => serde_json::from_str(&text)
                .map_err(|error| Failure::usage(format!("--set is no JSON object: {error}")))?,
        };
        if !self.events.is_empty() {
            members.insert("events".to_owned(), json!(self.events));
        }
        if let Some(description) = self.description {
            members.insert("description".to_owned(), json!(description));
        }
        self.flags.add_to(&mut members)?;
        Ok(members)
    }
}

const COLUMNS: &[(&str, &[&str])] =
    &[("id", &["id"]), ("dialect", &["dialect"]), ("state", &["state"]), ("url", &["url"]), ("events", &["events"])];

impl Args {
    #[expect(clippy::too_many_lines, reason = "one arm for each command")]
    pub(super) fn run(self, out: Output) -> Done {
        match self.action {
            Action::List { paging, connect } => {
                out.page(&connect.ask(paging.onto(Request::get(connect.path("/endpoints"))))?, COLUMNS);
            }
            Action::Create { target, dialect, settings, secret_file, connect } => {
                let mut body = settings.members()?;
                body.insert("url".to_owned(), json!(target));
                body.insert("dialect".to_owned(), json!(dialect.id));
                if let Some(path) = secret_file {
                    body.insert(credential(dialect).to_owned(), json!(message::read_secret(&path)?.expose()));
                }
                let answer = connect.ask(Request::post(connect.path("/endpoints"), &Value::Object(body)))?;
                show_with_secret(out, &answer);
            }
            Action::Show(named) => out.thing(&named.ask(Method::GET, "", None)?),
            Action::Update { target, settings, named } => {
                let mut body = settings.members()?;
                if let Some(url) = target {
                    body.insert("url".to_owned(), json!(url));
                }
                if body.is_empty() {
                    return Err(Failure::usage("nothing to change: give --to, --set or another flag of --help"));
                }
                out.thing(&named.ask(Method::PATCH, "", Some(&Value::Object(body)))?);
            }
            Action::Delete(named) => {
                named.ask(Method::DELETE, "", None)?;
                done(out, "deleted", &named.id);
            }
            Action::Ping(named) => {
                let answer = named.ask(Method::POST, "/ping", None)?;
                show_or(out, &answer, "ping accepted for", &named.id);
            }
            Action::RotateSecret { secret_file, named } => {
                let body = match secret_file {
                    Some(path) => json!({named.credential()?: message::read_secret(&path)?.expose()}),
                    None => json!({}),
                };
                show_with_secret(out, &named.ask(Method::POST, "/rotate-secret", Some(&body))?);
            }
            Action::Pause(named) => show_or(out, &named.ask(Method::POST, "/pause", None)?, "paused", &named.id),
            Action::Resume(named) => show_or(out, &named.ask(Method::POST, "/resume", None)?, "resumed", &named.id),
            Action::TryFilter { filter, event, named } => {
                let mut body = Map::new();
                body.extend(filter.map(|text| ("filter".to_owned(), text.into())));
                body.extend(event.map(|id| ("event_id".to_owned(), id.into())));
                let tried = named.ask(Method::POST, "/filter/try", Some(&Value::Object(body)))?;
                out.page(
                    &tried,
                    &[
                        ("type", &["type"]),
                        ("answer", &["answer"]),
                        ("goes out", &["goes_out"]),
                        ("error", &["error"]),
                        ("names", &["names"]),
                    ],
                );
            }
            Action::Mute { mute, named } => {
                if let Some(end) = &mute.end {
                    named.ask(Method::DELETE, &format!("/mutes/{}", segment(end)), None)?;
                    done(out, "ended", end);
                } else if let Some(body) = mute.body() {
                    out.thing(&named.ask(Method::POST, "/mutes", Some(&body))?);
                } else {
                    let columns: &[(&str, &[&str])] = &[
                        ("id", &["id"]),
                        ("when", &["when"]),
                        ("until", &["until"]),
                        ("live", &["live"]),
                        ("by", &["by"]),
                    ];
                    out.page(&named.ask(Method::GET, "/mutes", None)?, columns);
                }
            }
        }
        Ok(())
    }
}

impl Named {
    fn ask(&self, method: Method, rest: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let path = self.connect.path(&format!("/endpoints/{}{rest}", segment(&self.id)));
        self.connect.call(method, path, body)
    }
}

impl Named {
    /// What the API calls the credential of this endpoint.
    fn credential(&self) -> Result<&'static str, Failure> {
        credential_of(&self.ask(Method::GET, "", None)?).ok_or_else(|| {
            Failure::failed("the endpoint speaks a dialect that this version of the command does not know")
        })
    }
}

/// What the API calls the credential of an endpoint or a source, by its answer.
pub(super) fn credential_of(answer: &Value) -> Option<&'static str> {
    answer.get("dialect").and_then(Value::as_str).and_then(dialect::find).map(credential)
}

/// What the API calls the dialect's credential.
pub(super) fn credential(dialect: &Dialect) -> &'static str {
    match dialect.credential {
        Credential::SecretGiven
        | Credential::SecretGivenOrMade
        | Credential::SecretMade
        | Credential::SecretOptional
        | Credential::None => "secret",
        Credential::BearerToken => "bearer_token",
    }
}

fn show_with_secret(out: Output, answer: &Value) {
    out.thing(answer);
    if !out.json && answer.get("secret").is_some_and(Value::is_string) {
        remark(format!("{LOOK}The secret is shown this once: keep it where the receiver reads it.{LOOK:#}"));
    }
}

fn show_or(out: Output, answer: &Value, what: &str, id: &str) {
    match answer.as_object().is_some_and(|members| !members.is_empty()) {
        true => out.thing(answer),
        false => done(out, what, id),
    }
}

fn done(out: Output, what: &str, id: &str) {
    match out.json {
        true => out.value(&json!({"id": id, "done": what})),
        false => out.line(format!("{what} {id}")),
    }
}

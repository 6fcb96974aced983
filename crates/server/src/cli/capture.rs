//! `watchbell capture …`: inboxes that keep and explain whatever is sent to them.

use std::path::PathBuf;

use clap::Subcommand;
use http::Method;
use serde_json::{Map, Value, json};
use watchbell_wire::Dialect;

use super::connect::{Connect, Paging, segment};
use super::output::{BAD, FAINT, GOOD, plain};
use super::source::source_id;
use super::{Done, Failure, Output, message};
use crate::client::Request;

/// Most things that are looked through for a name.
const NAMES_MAX: usize = 5000;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make an inbox; the URL that it prints is where to send
    #[command(after_help = "Examples:
  watchbell capture create --name snyk-debug
  watchbell capture create --name slow --status 503 --header 'Retry-After: 1' --delay 2s --ttl 1h")]
    Create {
        /// A name of its own
        #[arg(long)]
        name: String,
        /// The status of every answer
        #[arg(long, value_name = "CODE")]
        status: Option<u16>,
        /// A header of every answer; may be repeated
        #[arg(long = "header", value_name = "NAME: VALUE")]
        headers: Vec<String>,
        /// The body of every answer
        #[arg(long, value_name = "TEXT")]
        body: Option<String>,
        /// How long the sender waits for it (30s)
        #[arg(long, value_name = "DURATION")]
        delay: Option<String>,
        /// How long the inbox lives (168h; 720h at most)
        #[arg(long, value_name = "DURATION")]
        ttl: Option<String>,
        #[command(flatten)]
        connect: Connect,
    },
    /// List inboxes
    #[command(after_help = "Examples:
  watchbell capture list")]
    List {
        #[command(flatten)]
        paging: Paging,
        #[command(flatten)]
        connect: Connect,
    },
    /// Show what an inbox was sent, newest first; with a request's id that request with its body
    #[command(after_help = "Examples:
  watchbell capture show snyk-debug
  watchbell capture show snyk-debug crq_0192f0c1-…
  watchbell capture show snyk-debug 3
  watchbell capture show snyk-debug last")]
    Show {
        /// The inbox: its name or id
        inbox: String,
        /// A request's id or number, or `last`
        request: Option<String>,
        /// Show credentials too
        #[arg(long)]
        unmasked: bool,
        #[command(flatten)]
        paging: Paging,
        #[command(flatten)]
        connect: Connect,
    },
    /// Say whether a request is genuine, and if not, why not
    #[command(after_help = "Examples:
  watchbell capture verify snyk-debug --secret-file secret.txt
  watchbell capture verify snyk-debug crq_0192f0c1-… --dialect snyk --secret-file secret.txt
  watchbell capture verify mine --endpoint ep_0192f0c1-…

Exit status: 0 verified, 1 refused (the reason is printed), 2 the command line is wrong.")]
    Verify {
        /// The inbox: its name or id
        inbox: String,
        /// A request's id or number
        #[arg(default_value = "last")]
        request: String,
        /// The vendor's format; absent: the one it looks like
        #[arg(long, value_parser = message::received_dialect_by_id)]
        dialect: Option<&'static Dialect>,
        /// File with the secret
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        /// Check with the secret of this source: its name or id
        #[arg(long, value_name = "SOURCE", conflicts_with = "secret_file")]
        source: Option<String>,
        /// Check with the secret of this endpoint
        #[arg(long, value_name = "ID", conflicts_with_all = ["secret_file", "source"])]
        endpoint: Option<String>,
        #[command(flatten)]
        connect: Connect,
    },
    /// Delete an inbox with everything in it
    #[command(after_help = "Examples:
  watchbell capture delete snyk-debug")]
    Delete {
        /// The inbox: its name or id
        inbox: String,
        #[command(flatten)]
        connect: Connect,
    },
}

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        match self.action {
            Action::Create { name, status, headers, body, delay, ttl, connect } => {
                let answer = answer(status, &headers, body, delay)?;
                let given = without_nulls(json!({"name": name, "answer": answer, "ttl": ttl}));
                out.thing(&connect.ask(Request::post(connect.path("/captures"), &given))?);
                Ok(())
            }
            Action::List { paging, connect } => {
                let page = connect.ask(paging.onto(Request::get(connect.path("/captures"))))?;
                let columns: &[(&str, &[&str])] = &[
                    ("id", &["id"]),
                    ("name", &["name"]),
                    ("answers", &["answer.status"]),
                    ("expires", &["expires_at"]),
                ];
                out.page(&page, columns);
                Ok(())
            }
            Action::Show { inbox, request, unmasked, paging, connect } => match request {
                None => list(&inbox, &paging, &connect, out),
                Some(request) => show(&inbox, &request, unmasked, &connect, out),
            },
            Action::Verify { inbox, request, dialect, secret_file, source, endpoint, connect } => {
                let source = source.map(|source| source_id(&source, &connect)).transpose()?;
                let secret = secret_file.as_deref().map(message::read_secret).transpose()?;
                let given = without_nulls(json!({
                    "dialect": dialect.map(|dialect| dialect.id),
                    "secret": secret.as_ref().map(watchbell_wire::Secret::expose),
                    "source": source,
                    "endpoint": endpoint,
                }));
                let path = path_of(&inbox, &request, &connect)?;
                verdict(&connect.ask(Request::post(format!("{path}/verify"), &given))?, out)
            }
            Action::Delete { inbox, connect } => {
                let id = id_of(&inbox, &connect)?;
                connect.ask(Request::new(Method::DELETE, connect.path(&format!("/captures/{}", segment(&id)))))?;
                match out.json {
                    true => out.value(&json!({"id": id, "done": "deleted"})),
                    false => out.line(format!("deleted {id}")),
                }
                Ok(())
            }
        }
    }
}

fn answer(
    status: Option<u16>,
    headers: &[String],
    body: Option<String>,
    delay: Option<String>,
) -> Result<Value, Failure> {
    let lines = message::headers(headers)?;
    let named = lines.iter().map(|(name, value)| (name.to_owned(), String::from_utf8_lossy(value).into()));
    let named: Map<String, Value> = named.collect();
    let headers = (!named.is_empty()).then_some(named);
    Ok(without_nulls(json!({"status": status, "headers": headers, "body": body, "delay": delay})))
}

/// What is not given is left out.
fn without_nulls(mut value: Value) -> Value {
    if let Some(members) = value.as_object_mut() {
        members.retain(|_, member| !member.is_null());
    }
    value
}

/// The id of the inbox with this name or id.
fn id_of(inbox: &str, connect: &Connect) -> Result<String, Failure> {
    named("capture", inbox, connect)
}

/// The id of the `capture` or `source` with this name or id.
pub(super) fn named(kind: &str, name: &str, connect: &Connect) -> Result<String, Failure> {
    let (client, path) = (connect.client()?, connect.path(&format!("/{kind}s")));
    let all = super::wait(async move { Ok(client.every(&path, NAMES_MAX).await?) })?;
    let is = |found: &&Value, member: &str| found.get(member).and_then(Value::as_str) == Some(name);
    let found = all.iter().find(|found| is(found, "id")).or_else(|| all.iter().find(|found| is(found, "name")));
    let id = found.and_then(|found| found.get("id")?.as_str().map(str::to_owned));
    id.ok_or_else(|| {
        Failure::failed(format!("there is no {kind} {name:?}")).advise(format!("`watchbell {kind} list` names them"))
    })
}

/// The path of a request: by its id, its number, or the newest.
fn path_of(inbox: &str, request: &str, connect: &Connect) -> Result<String, Failure> {
    let requests = connect.path(&format!("/captures/{}/requests", segment(&id_of(inbox, connect)?)));
    let id = match request {
        "last" => {
            let page = connect.ask(Request::get(requests.clone()).with("limit", Some(1)))?;
            let newest = page.pointer("/items/0/id").and_then(Value::as_str).map(str::to_owned);
            newest.ok_or_else(|| Failure::failed("nothing was sent to it yet"))?
        }
        other => match other.trim_start_matches('#').parse::<u64>() {
            Ok(number) => numbered(&requests, number, connect)?,
            Err(_) => other.to_owned(),
        },
    };
    Ok(format!("{requests}/{}", segment(&id)))
}

/// The id of the request with this number, if the inbox still has it.
fn numbered(requests: &str, number: u64, connect: &Connect) -> Result<String, Failure> {
    let client = connect.client()?;
    let all = super::wait(async move { Ok(client.every(requests, NAMES_MAX).await?) })?;
    let found = all.iter().find(|request| request.get("number").and_then(Value::as_u64) == Some(number));
    let id = found.and_then(|found| found.get("id")?.as_str().map(str::to_owned));
    id.ok_or_else(|| {
        Failure::failed(format!("the inbox has no request number {number}"))
            .advise("`watchbell capture show INBOX` lists those it has; the oldest make way")
    })
}

fn list(inbox: &str, paging: &Paging, connect: &Connect, out: Output) -> Done {
    let requests = connect.path(&format!("/captures/{}/requests", segment(&id_of(inbox, connect)?)));
    let page = connect.ask(paging.onto(Request::get(requests)))?;
    let columns: &[(&str, &[&str])] = &[
        ("id", &["id"]),
        ("#", &["number"]),
        ("received", &["received_at"]),
        ("method", &["method"]),
        ("path", &["path"]),
        ("bytes", &["body_bytes"]),
        ("from", &["address"]),
    ];
    out.page(&page, columns);
    Ok(())
}

/// A request as it came over the wire.
fn show(inbox: &str, request: &str, unmasked: bool, connect: &Connect, out: Output) -> Done {
    let path = path_of(inbox, request, connect)?;
    let found = connect.ask(Request::get(path).with("unmasked", unmasked.then_some(true)))?;
    if out.json {
        out.value(&found);
        return Ok(());
    }
    let text = |member: &str| found.get(member).map(plain).unwrap_or_default();
    out.line(format!("{FAINT}{}  #{} from {}{FAINT:#}", text("received_at"), text("number"), text("address")));
    let query = found.get("query").and_then(Value::as_str).map(|query| format!("?{query}")).unwrap_or_default();
    out.line(plain(&format!("{} {}{query} {}", text("method"), text("path"), text("version")).into()));
    for line in found.get("headers").and_then(Value::as_array).into_iter().flatten() {
        let part = |index: usize| line.get(index).map(plain).unwrap_or_default();
        out.line(format!("{}: {}", part(0), part(1)));
    }
    out.line("");
    match found.get("body").and_then(Value::as_str) {
        Some(body) => body.lines().for_each(|line| out.line(plain(&line.into()))),
        None => out.line(format!("{FAINT}({} bytes that are no text; --json has them){FAINT:#}", text("body_bytes"))),
    }
    if found.get("complete") == Some(&Value::Bool(false)) {
        out.line(format!("{FAINT}(cut: {} bytes came){FAINT:#}", text("body_bytes")));
    }
    Ok(())
}

/// What the server says of a request, as `watchbell verify` says it.
fn verdict(told: &Value, out: Output) -> Done {
    let is_verified = told.get("verified") == Some(&Value::Bool(true));
    if out.json {
        out.value(told);
    } else {
        let explanation = told.get("explanation").map(plain).unwrap_or_default();
        match is_verified {
            true => out.line(format!("{GOOD}{explanation}{GOOD:#}")),
            false => out.line(format!("{BAD}refused:{BAD:#} {explanation}")),
        }
        for finding in told.get("findings").and_then(Value::as_array).into_iter().flatten() {
            out.line(format!("  - {}", finding.get("detail").map(plain).unwrap_or_default()));
        }
    }
    if is_verified { Ok(()) } else { Err(Failure::said()) }
}

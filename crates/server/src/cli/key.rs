//! `watchbell key …`: API keys.

use clap::Subcommand;
use http::Method;
use serde_json::json;
use watchbell_domain::access::Scope;

use super::connect::{Connect, Paging, segment};
use super::output::{LOOK, remark};
use super::{Done, Output};
use crate::client::Request;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create a key with these scopes; it is printed once
    #[command(after_help = "Examples:
  watchbell key create --name ci --scopes events:write,projects:write
  watchbell key create --name dashboard --scopes events:read,deliveries:read --json | jq -r .key")]
    Create {
        /// What it is for
        #[arg(long)]
        name: String,
        /// What it may do, joined by commas
        #[arg(long, value_delimiter = ',', required = true, value_name = "SCOPES", value_parser = scope)]
        scopes: Vec<String>,
        #[command(flatten)]
        connect: Connect,
    },
    /// List keys (never the keys themselves)
    #[command(after_help = "Examples:
  watchbell key list")]
    List {
        #[command(flatten)]
        paging: Paging,
        #[command(flatten)]
        connect: Connect,
    },
    /// Replace a key by one with the same rights, which is printed once; the old one works a while longer
    #[command(after_help = "Examples:
  watchbell key rotate key_0192f0c1-… --overlap 1h")]
    Rotate {
        /// The key's id
        id: String,
        /// How long the old key still works
        #[arg(long, value_name = "DURATION", default_value = "24h")]
        overlap: String,
        #[command(flatten)]
        connect: Connect,
    },
    /// Make a key cease to work, at once
    #[command(after_help = "Examples:
  watchbell key revoke key_0192f0c1-…")]
    Revoke {
        /// The key's id
        id: String,
        #[command(flatten)]
        connect: Connect,
    },
}

fn scope(text: &str) -> Result<String, String> {
    Scope::named(text).map(|_| text.to_owned()).map_err(|error| {
        let all: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        format!("{error}; there are {}, and all of a family such as events:*", all.join(", "))
    })
}

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        match self.action {
            Action::Create { name, scopes, connect } => {
                let answer =
                    connect.ask(Request::post(connect.path("/keys"), &json!({"name": name, "scopes": scopes})))?;
                out.thing(&answer);
                if !out.json {
                    remark(format!("{LOOK}The key is shown this once.{LOOK:#}"));
                }
            }
            Action::List { paging, connect } => {
                let columns: &[(&str, &[&str])] = &[
                    ("id", &["id"]),
                    ("name", &["name"]),
                    ("scopes", &["scopes"]),
                    ("created", &["created_at"]),
                    ("used", &["last_used_at"]),
                    ("revoked", &["revoked_at"]),
                ];
                out.page(&connect.ask(paging.onto(Request::get(connect.path("/keys"))))?, columns);
            }
            Action::Rotate { id, overlap, connect } => {
                let path = connect.path(&format!("/keys/{}/rotate", segment(&id)));
                out.thing(&connect.ask(Request::post(path, &json!({"overlap": overlap})))?);
                if !out.json {
                    remark(format!("{LOOK}The key is shown this once.{LOOK:#}"));
                }
            }
            Action::Revoke { id, connect } => {
                connect.ask(Request::new(Method::DELETE, connect.path(&format!("/keys/{}", segment(&id)))))?;
                match out.json {
                    true => out.value(&json!({"id": id, "done": "revoked"})),
                    false => out.line(format!("revoked {id}")),
                }
            }
        }
        Ok(())
    }
}

//! `watchbell org …`: organisations.

use clap::Subcommand;
use http::Method;
use serde_json::{Map, Value, json};

use super::connect::{Connect, Paging, segment};
use super::{Done, Failure, Output};
use crate::client::Request;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make an organisation
    #[command(after_help = "Examples:
  watchbell org create --name 'Acme & Sons'
  watchbell org create --name Acme --slug acme --json | jq -r .id")]
    Create {
        /// For people
        #[arg(long)]
        name: String,
        /// For URLs; made of the name when left out
        #[arg(long)]
        slug: Option<String>,
        #[command(flatten)]
        connect: Connect,
    },
    /// List the organisations that the key reaches
    #[command(after_help = "Examples:
  watchbell org list")]
    List {
        #[command(flatten)]
        paging: Paging,
        #[command(flatten)]
        connect: Connect,
    },
    /// Show an organisation
    #[command(after_help = "Examples:
  watchbell org show acme")]
    Show {
        /// Id or slug
        id: String,
        #[command(flatten)]
        connect: Connect,
    },
    /// Give an organisation another name
    #[command(after_help = "Examples:
  watchbell org rename acme --name 'Acme Ltd.' --slug acme-ltd")]
    Rename {
        /// Id or slug
        id: String,
        /// The new name
        #[arg(long, required_unless_present = "slug")]
        name: Option<String>,
        /// The new slug
        #[arg(long)]
        slug: Option<String>,
        #[command(flatten)]
        connect: Connect,
    },
    /// Set an organisation's share when deliveries take turns
    #[command(after_help = "Examples:
  watchbell org weight 3 --org acme     three times as many starts as one that weighs 1, while both have some waiting

It needs a key that reaches every organisation, and holds within seconds.")]
    Weight {
        /// From 1, which every organisation weighs unless told otherwise, to 100
        weight: u32,
        #[command(flatten)]
        connect: Connect,
    },
    /// Suspend an organisation: its keys are dead, its deliveries held
    #[command(after_help = "Examples:
  watchbell org suspend acme")]
    Suspend {
        /// Id or slug
        id: String,
        #[command(flatten)]
        connect: Connect,
    },
    /// Let a suspended organisation work again
    #[command(after_help = "Examples:
  watchbell org resume acme")]
    Resume {
        /// Id or slug
        id: String,
        #[command(flatten)]
        connect: Connect,
    },
    /// Delete an organisation with all it has; only its audit log stays
    #[command(after_help = "Examples:
  watchbell org delete acme --yes")]
    Delete {
        /// Id or slug
        id: String,
        /// Do it
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        connect: Connect,
    },
}

/// The path of an organisation.
fn path(id: &str, rest: &str) -> String {
    format!("/api/v1/orgs/{}{rest}", segment(id))
}

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        match self.action {
            Action::Create { name, slug, connect } => {
                out.thing(&connect.ask(Request::post("/api/v1/orgs", &given(Some(name), slug)))?);
            }
            Action::List { paging, connect } => {
                let columns: &[(&str, &[&str])] = &[
                    ("id", &["id"]),
                    ("slug", &["slug"]),
                    ("name", &["name"]),
                    ("state", &["state"]),
                    ("weight", &["weight"]),
                    ("group", &["group_id"]),
                ];
                out.page(&connect.ask(paging.onto(Request::get("/api/v1/orgs")))?, columns);
            }
            Action::Show { id, connect } => out.thing(&connect.ask(Request::get(path(&id, "")))?),
            Action::Rename { id, name, slug, connect } => {
                let request = Request { method: Method::PATCH, ..Request::post(path(&id, ""), &given(name, slug)) };
                out.thing(&connect.ask(request)?);
            }
            Action::Weight { weight, connect } => {
                let request = Request::post(connect.path(""), &json!({"weight": weight}));
                out.thing(&connect.ask(Request { method: Method::PATCH, ..request })?);
            }
            Action::Suspend { id, connect } => {
                out.thing(&connect.ask(Request::post(path(&id, "/suspend"), &json!({})))?);
            }
            Action::Resume { id, connect } => {
                out.thing(&connect.ask(Request::post(path(&id, "/resume"), &json!({})))?);
            }
            Action::Delete { id, yes, connect } => {
                if !yes {
                    let problem = format!("nothing of {id} will be left but its audit log; say --yes if that is meant");
                    return Err(Failure::usage(problem));
                }
                out.thing(&connect.ask(Request::new(Method::DELETE, path(&id, "")))?);
            }
        }
        Ok(())
    }
}

/// The members that were given.
fn given(name: Option<String>, slug: Option<String>) -> Value {
    let members = [("name", name), ("slug", slug)];
    let given = members.into_iter().filter_map(|(member, text)| Some((member.to_owned(), Value::String(text?))));
    Value::Object(given.collect::<Map<_, _>>())
}

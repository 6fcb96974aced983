//! `watchbell org …`: organisations, for operators.

use bytes::Bytes;
use clap::Subcommand;
use http::Method;
use serde_json::json;

use super::connect::{Connect, Paging};
use super::{Done, Output};
use crate::client::{JSON, Request};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the organisations that the key reaches
    #[command(after_help = "Examples:
  watchbell org list")]
    List {
        #[command(flatten)]
        paging: Paging,
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
}

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        match self.action {
            Action::List { paging, connect } => {
                let columns: &[(&str, &[&str])] =
                    &[("id", &["id"]), ("slug", &["slug"]), ("name", &["name"]), ("weight", &["weight"])];
                out.page(&connect.ask(paging.onto(Request::get("/api/v1/orgs")))?, columns);
            }
            Action::Weight { weight, connect } => {
                let body = Bytes::from(json!({"weight": weight}).to_string());
                let change = Request { body: Some((JSON, body)), ..Request::new(Method::PATCH, connect.path("")) };
                out.thing(&connect.ask(change)?);
            }
        }
        Ok(())
    }
}

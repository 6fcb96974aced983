//! `watchbell training …`: completed lessons.

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::connect::{Connect, Paging};
use super::{Done, Output};
use crate::client::Request;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Report a completed lesson
    #[command(after_help = "Examples:
  watchbell training add --user ada@example.com --training 'Unencrypted S3 bucket' --score 110 \\
      --started-at 2026-01-09T10:02:59Z --completed-at 2026-01-09T10:07:07Z")]
    Add {
        /// Mail address of whoever completed it
        #[arg(long, value_name = "EMAIL")]
        user: String,
        /// Name of the lesson
        #[arg(long, value_name = "NAME")]
        training: String,
        /// Points
        #[arg(long, allow_hyphen_values = true)]
        score: i64,
        /// When it was begun (RFC 3339)
        #[arg(long, value_name = "TIME")]
        started_at: String,
        /// When it was completed (RFC 3339)
        #[arg(long, value_name = "TIME")]
        completed_at: String,
        /// A UUID of your own: reported again under it, nothing is told twice
        #[arg(long)]
        id: Option<String>,
        #[command(flatten)]
        connect: Connect,
    },
    /// List completed lessons, newest first
    #[command(after_help = "Examples:
  watchbell training list")]
    List {
        #[command(flatten)]
        paging: Paging,
        #[command(flatten)]
        connect: Connect,
    },
}

const COLUMNS: &[(&str, &[&str])] = &[
    ("id", &["id"]),
    ("user", &["user.email"]),
    ("training", &["training.name"]),
    ("score", &["score"]),
    ("completed", &["completed_at"]),
];

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        match self.action {
            Action::Add { user, training, score, started_at, completed_at, id, connect } => {
                let mut body = Map::new();
                body.insert("user".to_owned(), json!({"email": user}));
                body.insert("training".to_owned(), json!({"name": training}));
                body.insert("score".to_owned(), json!(score));
                body.insert("started_at".to_owned(), json!(started_at));
                body.insert("completed_at".to_owned(), json!(completed_at));
                body.extend(id.map(|id| ("id".to_owned(), json!(id))));
                out.thing(&connect.ask(Request::post(connect.path("/trainings"), &Value::Object(body)))?);
            }
            Action::List { paging, connect } => {
                out.page(&connect.ask(paging.onto(Request::get(connect.path("/trainings"))))?, COLUMNS);
            }
        }
        Ok(())
    }
}

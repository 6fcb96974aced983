//! `watchbell member …`: who belongs to an organisation, and in which role.

use clap::Subcommand;
use http::Method;
use serde_json::json;
use watchbell_domain::member::Role;

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
    /// Invite somebody; the invitation is printed once
    #[command(after_help = "Examples:
  watchbell member invite ada@example.com --role editor
  watchbell member invite ada@example.com --role viewer --json | jq -r .invitation")]
    Invite {
        /// E-mail address
        email: String,
        /// viewer, operator, editor, owner
        #[arg(long, value_parser = role)]
        role: Role,
        /// For people
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        connect: Connect,
    },
    /// Turn an invitation into a key, which is printed once
    #[command(after_help = "Examples:
  watchbell member accept --token wbi_…")]
    Accept {
        /// The invitation
        #[arg(long, env = "WATCHBELL_INVITATION", hide_env_values = true)]
        token: String,
        /// What the key is called
        #[arg(long)]
        key_name: Option<String>,
        #[command(flatten)]
        connect: Connect,
    },
    /// List members
    #[command(after_help = "Examples:
  watchbell member list")]
    List {
        #[command(flatten)]
        paging: Paging,
        #[command(flatten)]
        connect: Connect,
    },
    /// Give a member another role, at once
    #[command(after_help = "Examples:
  watchbell member role mbr_0192f0c1-… operator")]
    Role {
        /// The member's id
        id: String,
        /// viewer, operator, editor, owner
        #[arg(value_parser = role)]
        role: Role,
        #[command(flatten)]
        connect: Connect,
    },
    /// Remove a member, and with them their keys
    #[command(after_help = "Examples:
  watchbell member remove mbr_0192f0c1-…")]
    Remove {
        /// The member's id
        id: String,
        #[command(flatten)]
        connect: Connect,
    },
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| format!("there are {}", Role::ALL.map(Role::as_str).join(", ")))
}

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        match self.action {
            Action::Invite { email, role, name, connect } => {
                let mut body = json!({"email": email, "role": role.as_str()});
                if let (Some(name), Some(members)) = (name, body.as_object_mut()) {
                    members.insert("name".to_owned(), name.into());
                }
                out.thing(&connect.ask(Request::post(connect.path("/members"), &body))?);
                if !out.json {
                    remark(format!("{LOOK}The invitation is shown this once.{LOOK:#}"));
                }
            }
            Action::Accept { token, key_name, connect } => {
                let body = json!({"token": token, "key_name": key_name});
                out.thing(&connect.ask(Request::post("/api/v1/invitations/accept", &body))?);
                if !out.json {
                    remark(format!("{LOOK}The key is shown this once.{LOOK:#}"));
                }
            }
            Action::List { paging, connect } => {
                let columns: &[(&str, &[&str])] = &[
                    ("id", &["id"]),
                    ("email", &["email"]),
                    ("name", &["name"]),
                    ("role", &["role"]),
                    ("state", &["state"]),
                ];
                out.page(&connect.ask(paging.onto(Request::get(connect.path("/members"))))?, columns);
            }
            Action::Role { id, role, connect } => {
                let path = connect.path(&format!("/members/{}", segment(&id)));
                let request = Request::post(path, &json!({"role": role.as_str()}));
                out.thing(&connect.ask(Request { method: Method::PATCH, ..request })?);
            }
            Action::Remove { id, connect } => {
                connect.ask(Request::new(Method::DELETE, connect.path(&format!("/members/{}", segment(&id)))))?;
                match out.json {
                    true => out.value(&json!({"id": id, "done": "removed"})),
                    false => out.line(format!("removed {id}")),
                }
            }
        }
        Ok(())
    }
}

//! Which server a command talks to, as whom, and about which organisation.

use std::path::{Path, PathBuf};

use http::Method;
use serde_json::Value;
use watchbell_wire::Secret;

use super::{Failure, message};
use crate::client::{self, Client, Request};

/// The connection to a server.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Server")]
pub(super) struct Connect {
    /// Where the server is
    #[arg(
        long,
        value_name = "URL",
        env = "WATCHBELL_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8420"
    )]
    pub(super) url: String,
    /// API key (better in the variable or in a file: other users of the machine can see a command line)
    #[arg(long, value_name = "KEY", env = "WATCHBELL_KEY", hide_env_values = true)]
    key: Option<String>,
    /// File with the API key
    #[arg(long, value_name = "FILE", env = "WATCHBELL_KEY_FILE", hide_env_values = true)]
    key_file: Option<PathBuf>,
    /// Organisation: its id or slug
    #[arg(long, value_name = "ORG", env = "WATCHBELL_ORG", hide_env_values = true, default_value = "default")]
    org: String,
    /// PEM file of certificate authorities to trust beside the system's
    #[arg(long, value_name = "FILE", env = "WATCHBELL_CA_FILE", hide_env_values = true)]
    ca_file: Option<PathBuf>,
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        let failure = Self::failed(error.to_string());
        match error.advice() {
            Some(advice) => failure.advise(advice),
            None => failure,
        }
    }
}

impl Connect {
    /// A client, with the key of `--key`, `--key-file` or their variables.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        let key = match (&self.key, &self.key_file) {
            (Some(key), _) => Some(Secret::new(key.trim())),
            (None, Some(path)) => Some(Secret::new(message::read_secret(path)?.expose().trim())),
            (None, None) => None,
        };
        let tls = client::tls(self.ca_file.as_deref()).map_err(|error| Failure::usage(error.to_string()))?;
        Client::new(&self.url, key, tls).map_err(|error| Failure::usage(error.to_string()))
    }

    /// Certificate authorities to trust beside the system's.
    pub(super) fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// `/api/v1/orgs/{org}` and what follows.
    pub(super) fn path(&self, rest: &str) -> String {
        format!("/api/v1/orgs/{}{rest}", segment(&self.org))
    }

    /// Asks for something, with a body where there is one, and answers its JSON.
    pub(super) fn call(&self, method: Method, path: String, body: Option<&Value>) -> Result<Value, Failure> {
        self.ask(match body {
            Some(body) => Request { method, ..Request::post(path, body) },
            None => Request::new(method, path),
        })
    }

    /// Makes one request and answers its JSON.
    pub(super) fn ask(&self, request: Request) -> Result<Value, Failure> {
        let client = self.client()?;
        super::wait(async move { Ok(client.json(request).await?) })
    }
}

/// A text as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => out.push(char::from(byte)),
            b'.' => out.push_str("%2E"),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// Which page of a list.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Paging {
    /// At most this many entries (250)
    #[arg(long, value_name = "N", default_value_t = 25)]
    limit: u16,
    /// Go on after the page that printed this
    #[arg(long)]
    cursor: Option<String>,
}

impl Paging {
    pub(super) fn onto(&self, request: Request) -> Request {
        request.with("limit", Some(self.limit)).with("cursor", self.cursor.as_ref())
    }
}

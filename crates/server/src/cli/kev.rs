//! `watchbell kev …`: the catalogue of known exploited vulnerabilities.

use std::io::Read;
use std::path::PathBuf;

use bytes::Bytes;
use clap::Subcommand;
use http::Method;
use serde_json::Value;

use super::connect::Connect;
use super::{Done, Failure, Output};
use crate::client::{JSON, Request};

/// No server takes a larger catalogue.
const CATALOGUE_BYTES_MAX: u64 = 64 << 20;

const PATH: &str = "/api/v1/kev";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Replace the catalogue by CISA's, as it publishes it (JSON)
    #[command(after_help = "Examples:
  watchbell kev import known_exploited_vulnerabilities.json
  curl -s https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json | watchbell kev import -")]
    Import {
        /// The file, or - for stdin
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        connect: Connect,
    },
    /// Show which catalogue the server has
    #[command(after_help = "Examples:
  watchbell kev show")]
    Show {
        #[command(flatten)]
        connect: Connect,
    },
}

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        let answer = match self.action {
            Action::Import { file, connect } => {
                let mut request = Request { method: Method::PUT, ..Request::post(PATH, &Value::Null) };
                request.body = Some((JSON, read(&file)?));
                connect.ask(request)?
            }
            Action::Show { connect } => connect.ask(Request::get(PATH))?,
        };
        out.thing(&answer);
        Ok(())
    }
}

fn read(path: &std::path::Path) -> Result<Bytes, Failure> {
    let mut text = Vec::new();
    let read = match path == std::path::Path::new("-") {
        true => std::io::stdin().lock().take(CATALOGUE_BYTES_MAX).read_to_end(&mut text),
        false => std::fs::File::open(path).and_then(|file| file.take(CATALOGUE_BYTES_MAX).read_to_end(&mut text)),
    };
    read.map_err(|error| Failure::usage(format!("cannot read the catalogue {}: {error}", path.display())))?;
    Ok(Bytes::from(text))
}

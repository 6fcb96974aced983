//! `watchbell listen`: what a server is sent, brought to a developer's machine as it came.
//!
//! ```text
//!  server ── long poll, `after` the last number ──▶ listen ── the same method, path, headers, body ──▶ http://localhost:3000/…
//! ```
//!
//! The server numbers captured requests in the commit that keeps them. `listen` goes on from the last number it forwarded, so a
//! connection or server that goes away loses nothing but what made way meanwhile, and that is said. Each request is forwarded
//! once: what its receiver answers is printed and not tried again.

mod feed;
mod forward;

use std::time::Duration;

use clap::ArgGroup;
use serde_json::Value;
use url::Url;

use super::capture::named;
use super::connect::Connect;
use super::output::{BAD, FAINT, GOOD, LOOK, plain, remark};
use super::{Done, Failure, Output};
use crate::client;
use feed::Feed;
use forward::{Answered, Forwarded, Target};

/// From one try to reach the server to the next.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("from").required(true).args(["source", "capture"]))]
#[command(after_help = "Examples:
  watchbell listen --source snyk --forward http://localhost:3000/hook
  watchbell listen --capture snyk-debug --forward http://localhost:3000/hook --last 5

What stands below the inbox in the path, and the query, are added to the URL. Headers go out as they came, but for those of
the connection. Of an inbox credentials are forwarded too, which needs the scopes sources:read and sources:write; of a source
they are not kept, and arrive masked.")]
pub(super) struct Args {
    /// The source to listen to, refused requests included: its name or id
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// The capture inbox to listen to: its name or id
    #[arg(long, value_name = "NAME")]
    capture: Option<String>,
    /// Where to send what comes
    #[arg(long, value_name = "URL", value_parser = url)]
    forward: Url,
    /// Begin with the last N that came before
    #[arg(long, value_name = "N", default_value_t = 0)]
    last: u64,
    /// Forward to any host, not to this machine alone
    #[arg(long)]
    allow_any: bool,
    #[command(flatten)]
    connect: Connect,
}

fn url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| "an http or https URL is wanted, such as http://localhost:3000/hook".to_owned())
}

impl Args {
    pub(super) fn run(self, out: Output) -> Done {
        let tls = client::tls(self.connect.ca_file()).map_err(|error| Failure::usage(error.to_string()))?;
        let target = Target { url: self.forward, any_host: self.allow_any, tls };
        let client = self.connect.client()?;
        let feed = match (&self.source, &self.capture) {
            (Some(source), _) => {
                Feed::of_source(client, &self.connect, named("source", source, &self.connect)?, self.last)
            }
            (None, inbox) => {
                let id = named("capture", inbox.as_deref().unwrap_or_default(), &self.connect)?;
                Feed::of_capture(client, &self.connect, &id, self.last)
            }
        };
        super::wait(async move {
            target.check().await.map_err(Failure::usage)?;
            if !out.json {
                remark(format!("{FAINT}listening; Ctrl-C ends it{FAINT:#}"));
            }
            tokio::select! {
                biased;
                _ended = tokio::signal::ctrl_c() => Ok(()),
                failed = listen(feed, &target, out) => Err(failed),
            }
        })
    }
}

/// Ends only with what cannot get better by waiting.
async fn listen(mut feed: Feed, target: &Target, out: Output) -> Failure {
    let mut pause = PAUSE_MIN;
    loop {
        match feed.next().await {
            Ok(news) => {
                if std::mem::replace(&mut pause, PAUSE_MIN) > PAUSE_MIN {
                    remark(format!("{FAINT}the server is there again{FAINT:#}"));
                }
                if news.missed > 0 {
                    remark(format!("{LOOK}{} requests made way before they could be fetched{LOOK:#}", news.missed));
                }
                for request in &news.requests {
                    told(request, &target.forward(request).await, out);
                }
            }
            Err(error) if !may_pass(&error) => return error.into(),
            Err(error) => {
                if pause == PAUSE_MIN {
                    remark(format!("{LOOK}waiting for the server:{LOOK:#} {error}"));
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

/// Whether it makes sense to ask again.
fn may_pass(error: &client::Error) -> bool {
    match error {
        client::Error::Connect { .. } | client::Error::Timeout { .. } | client::Error::Broken { .. } => true,
        client::Error::Refused { status, .. } => {
            status.is_server_error() || *status == http::StatusCode::TOO_MANY_REQUESTS
        }
        client::Error::Url(_) | client::Error::Tls { .. } => false,
    }
}

fn told(request: &Value, forwarded: &Forwarded, out: Output) {
    let text = |member: &str| request.get(member).map(plain).unwrap_or_default();
    if out.json {
        let (status, error) = match &forwarded.answered {
            Ok(Answered { status, .. }) => (Some(*status), None),
            Err(error) => (None, Some(error)),
        };
        let line = serde_json::json!({
            "id": request.get("id"),
            "number": request.get("number"),
            "verdict": request.get("verdict"),
            "method": request.get("method"),
            "to": forwarded.to,
            "cut_to_bytes": forward::bytes_left(request),
            "status": status,
            "error": error,
            "took_ms": u64::try_from(forwarded.took.as_millis()).unwrap_or(u64::MAX),
        });
        return out.line(line.to_string());
    }
    let answer = match &forwarded.answered {
        Ok(Answered { status, reason }) if (200..300).contains(status) => format!("{GOOD}{status}{GOOD:#} {reason}"),
        Ok(Answered { status, reason }) => format!("{BAD}{status}{BAD:#} {reason}"),
        Err(error) => format!("{BAD}no answer:{BAD:#} {}", plain(&error.as_str().into())),
    };
    let name = match request.get("verdict") {
        Some(verdict) => plain(verdict),
        None => format!("#{}", text("number")),
    };
    let cut = match forward::bytes_left(request) {
        None => String::new(),
        Some(left) => format!(" {BAD}(cut: {left} B of it were kept and forwarded){BAD:#}"),
    };
    out.line(format!(
        "{name} {} {} {} B{cut} → {} {FAINT}{} ms{FAINT:#}",
        text("received_at"),
        plain(&format!("{} {}", text("method"), forwarded.to).into()),
        text("body_bytes"),
        answer.trim_end(),
        forwarded.took.as_millis()
    ));
}

//! What takes a body to an endpoint: requests, messages of syslog's, mail. All of them connect by way of [`Client`], to
//! addresses that were judged, within the attempt's time; what came of it is an [`Exchange`], as ever.

use std::future::Future;
use std::sync::Arc;

use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;
use watchbell_domain::delivery::AttemptResult;
use watchbell_domain::endpoint::Endpoint;
use watchbell_domain::retry::Heard;
use watchbell_wire::dialect::Carrier;

use crate::net::client::{Client, Exchange, Peer, PeerRefused, Socket};
use crate::net::fault::Fault;

pub(super) mod smtp;
pub(super) mod syslog;

/// An endpoint's own sockets.
#[derive(Debug, Clone)]
pub(super) enum Way {
    Http(Arc<Peer>),
    Syslog(Arc<syslog::Line>),
    Smtp(Arc<Socket>),
}

impl Way {
    pub(super) fn of(endpoint: &Endpoint, client: &Client) -> Result<Self, PeerRefused> {
        let (url, transport) = (&*endpoint.url, &endpoint.transport);
        Ok(match endpoint.dialect.carrier {
            Carrier::Http => Self::Http(Arc::new(client.peer_with(url, transport)?)),
            Carrier::Syslog => {
                Self::Syslog(Arc::new(syslog::Line::to(client.socket(Carrier::Syslog, url, transport)?)))
            }
            Carrier::Smtp => Self::Smtp(Arc::new(client.socket(Carrier::Smtp, url, transport)?)),
        })
    }

    /// Closes what has idled too long.
    pub(super) fn sweep(&self, client: &Client) {
        match self {
            Self::Http(peer) => client.sweep(peer),
            Self::Syslog(line) => line.sweep(client),
            // No connection outlives its mail.
            Self::Smtp(_) => {}
        }
    }
}

/// What a carrier without statuses came to.
#[derive(Debug)]
pub(super) enum Carried {
    /// Taken.
    Sent { detail: Option<String> },
    /// Not taken, and may be later.
    Later { detail: String },
    /// Not taken, and never will be.
    Never { detail: String },
    /// The connection came to nothing.
    Broken(Fault),
}

impl From<Fault> for Carried {
    fn from(fault: Fault) -> Self {
        Self::Broken(fault)
    }
}

impl From<Carried> for Exchange {
    fn from(carried: Carried) -> Self {
        let (result, heard, detail) = match carried {
            Carried::Sent { detail } => (AttemptResult::Sent, Heard::Status, detail),
            Carried::Later { detail } => (AttemptResult::Rejected, Heard::Failed, Some(detail)),
            Carried::Never { detail } => (AttemptResult::Rejected, Heard::Refused, Some(detail)),
            Carried::Broken(fault) => return fault.into(),
        };
        Self { result, heard, detail, response: None, retry_after: None }
    }
}

/// Within the attempt's time, and until somebody stops it.
pub(super) async fn in_time(
    client: &Client,
    timeout: SignedDuration,
    stop: &CancellationToken,
    carrying: impl Future<Output = Carried>,
) -> Carried {
    tokio::select! {
        biased;
        carried = carrying => carried,
        () = client.sleep(timeout) => Fault::from(AttemptResult::ResponseTimeout).into(),
        () = stop.cancelled() => Fault::from(AttemptResult::Interrupted).into(),
    }
}

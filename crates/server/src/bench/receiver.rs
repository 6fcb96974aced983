//! How the sink is reached: plainly, or over TLS with a certificate authority of the run's own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ClientConfig, ServerConfig};

use super::Error;
use crate::client;
use crate::demo::certificate;

/// What a sink shows and what its callers must trust.
#[derive(Debug, Clone)]
pub(super) struct Receiver {
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) ca_file: Option<PathBuf>,
}

impl Receiver {
    /// With `tls`, makes a certificate; that of its authority is written to `folder`.
    pub(super) fn make(tls: bool, folder: &Path) -> Result<Self, Error> {
        if !tls {
            return Ok(Self { tls: None, ca_file: None });
        }
        let certificate = certificate::make().map_err(Error::SetUp)?;
        let ca_file = folder.join("sink-ca.pem");
        std::fs::write(&ca_file, &certificate.ca_pem).map_err(Error::File)?;
        Ok(Self { tls: Some(certificate.server), ca_file: Some(ca_file) })
    }

    /// For callers of our own.
    pub(super) fn trust(&self) -> Result<Option<Arc<ClientConfig>>, Error> {
        let trust = self.ca_file.as_deref().map(|path| client::tls(Some(path)));
        trust.transpose().map_err(|error| Error::SetUp(error.to_string()))
    }

    /// A URL of the sink.
    pub(super) fn url(&self, sink: SocketAddr, path: &str) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{sink}{path}")
    }
}

//! TLS towards endpoints: always verified, TLS 1.2 and 1.3, the system's roots (or Mozilla's where the system has none)
//! and whatever CAs the operator adds. There is no switch that turns verification off.

use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use watchbell_domain::port::Clock;

/// Servers whose sessions are remembered.
const SESSIONS_MAX: usize = 1024;

/// A set of trusted roots and everything else a handshake needs. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
}

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// The file of additional CAs is not PEM.
    #[error("the additional CAs are not PEM certificates: {0}")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// The file of additional CAs holds no certificate.
    #[error("the additional CAs hold no certificate")]
    NoCertificate,
    /// A certificate cannot be a trust anchor.
    #[error("an additional CA cannot be used: {0}")]
    Certificate(#[source] rustls::Error),
    /// The cryptography provider lacks what is needed.
    #[error("TLS cannot be set up: {0}")]
    Provider(#[source] rustls::Error),
}

impl Tls {
    /// The system's roots and the CAs of `extra_ca_pem`.
    ///
    /// # Errors
    /// When the additional CAs cannot be used.
    pub fn new(extra_ca_pem: Option<&[u8]>, clock: Arc<dyn Clock>) -> Result<Self, TlsSetupError> {
        let mut roots = RootCertStore::empty();
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs);
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        if let Some(pem) = extra_ca_pem {
            add_extra(&mut roots, pem)?;
        }
        let mut config =
            ClientConfig::builder_with_details(Arc::new(aws_lc_rs::default_provider()), Arc::new(ClockTime(clock)))
                .with_safe_default_protocol_versions()
                .map_err(TlsSetupError::Provider)?
                .with_root_certificates(roots)
                .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
        Ok(Self { config: Arc::new(config) })
    }

    pub(super) fn connector(&self) -> tokio_rustls::TlsConnector {
        Arc::clone(&self.config).into()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

fn add_extra(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), TlsSetupError> {
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.map_err(TlsSetupError::Pem)?).map_err(TlsSetupError::Certificate)?;
        count += 1;
    }
    match count {
        0 => Err(TlsSetupError::NoCertificate),
        _ => Ok(()),
    }
}

/// Certificates are judged by our own clock.
#[derive(Debug)]
struct ClockTime(Arc<dyn Clock>);

impl TimeProvider for ClockTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }
}

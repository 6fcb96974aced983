//! TLS towards endpoints: always verified, TLS 1.2 and 1.3, the system's roots (or Mozilla's where the system has none)
//! and whatever CAs the operator adds; for one endpoint those that its owner adds, and a certificate of our own to show.
//! There is no switch that turns verification off.
//!
//! Endpoints that differ in any of it have configurations of their own, and so neither connections nor remembered
//! sessions in common.

use std::fmt;
use std::sync::Arc;

use rustls::client::{Resumption, WantsClientCert, WebPkiServerVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use watchbell_domain::endpoint::{HttpVersion, TlsSettings};
use watchbell_domain::port::Clock;

use super::identity;
use super::verifier::Verifier;

/// Servers whose sessions are remembered.
const SESSIONS_MAX: usize = 1024;

/// … where one endpoint alone has the configuration: its own, and its token server's.
const OWN_SESSIONS_MAX: usize = 8;

const H2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// A set of trusted roots and everything else a handshake needs. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    roots: Arc<RootCertStore>,
    clock: Arc<dyn Clock>,
    /// For endpoints that say nothing of their own, by what they speak.
    auto: Arc<ClientConfig>,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    bare: Arc<ClientConfig>,
}

/// How one endpoint's handshakes are made.
#[derive(Clone)]
pub(super) struct Handshake {
    config: Arc<ClientConfig>,
    /// HTTP/2 or nothing.
    pub(super) http2_only: bool,
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
        let roots = Arc::new(roots);
        let config = |spoken| {
            let builder = builder(Arc::clone(&roots), &clock).map_err(TlsSetupError::Provider)?;
            Ok(finished(builder.with_no_client_auth(), spoken, SESSIONS_MAX))
        };
        Ok(Self {
            auto: config(spoken(HttpVersion::Auto))?,
            http1: config(spoken(HttpVersion::Http1))?,
            http2: config(spoken(HttpVersion::Http2))?,
            bare: config(&[])?,
            roots,
            clock,
        })
    }

    /// What an endpoint's own settings make of it.
    ///
    /// # Errors
    /// When its texts are no PEM (any more); they were checked when they were saved.
    pub(super) fn handshake(&self, own: &TlsSettings, version: HttpVersion) -> Result<Handshake, identity::Problem> {
        let config = match own.is_default() {
            false => self.own(own, spoken(version))?,
            true => Arc::clone(match version {
                HttpVersion::Auto => &self.auto,
                HttpVersion::Http1 => &self.http1,
                HttpVersion::Http2 => &self.http2,
            }),
        };
        Ok(Handshake { config, http2_only: version == HttpVersion::Http2 })
    }

    /// As [`Self::handshake`], for what is not HTTP and agrees on nothing.
    ///
    /// # Errors
    /// As [`Self::handshake`].
    pub(super) fn bare_handshake(&self, own: &TlsSettings) -> Result<Handshake, identity::Problem> {
        let config = match own.is_default() {
            false => self.own(own, &[])?,
            true => Arc::clone(&self.bare),
        };
        Ok(Handshake { config, http2_only: false })
    }

    fn own(&self, own: &TlsSettings, spoken: &[&[u8]]) -> Result<Arc<ClientConfig>, identity::Problem> {
        let roots = match &own.ca_pem {
            None => Arc::clone(&self.roots),
            Some(pem) => {
                let mut roots = RootCertStore::clone(&self.roots);
                identity::add_cas(&mut roots, pem)?;
                Arc::new(roots)
            }
        };
        let unusable = |_| identity::Problem { member: "client_key_pem", why: identity::PemRefused::KeyUnusable };
        let builder = builder(roots, &self.clock).map_err(unusable)?;
        let config = match &own.client {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let key = identity::certified_key(client)?;
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
            }
        };
        Ok(finished(config, spoken, OWN_SESSIONS_MAX))
    }
}

impl Handshake {
    pub(super) fn connector(&self) -> tokio_rustls::TlsConnector {
        Arc::clone(&self.config).into()
    }
}

fn builder(
    roots: Arc<RootCertStore>,
    clock: &Arc<dyn Clock>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let builder = ClientConfig::builder_with_details(provider, Arc::new(ClockTime(Arc::clone(clock))))
        .with_safe_default_protocol_versions()?;
    // Not a way around verification: the verifier is the usual one behind one more refusal.
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(Verifier(verifier))))
}

const fn spoken(version: HttpVersion) -> &'static [&'static [u8]] {
    match version {
        HttpVersion::Auto => &[H2, HTTP1],
        HttpVersion::Http1 => &[HTTP1],
        HttpVersion::Http2 => &[H2],
    }
}

fn finished(mut config: ClientConfig, spoken: &[&[u8]], sessions: usize) -> Arc<ClientConfig> {
    config.alpn_protocols = spoken.iter().map(|name| name.to_vec()).collect();
    config.resumption = Resumption::in_memory_sessions(sessions);
    Arc::new(config)
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

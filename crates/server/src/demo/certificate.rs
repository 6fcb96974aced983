//! A certificate authority of the demo's own, good for one receiver on loopback.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What the receiver shows, and what its callers must trust.
pub(crate) struct Certificate {
    /// For the receiver.
    pub(crate) server: Arc<ServerConfig>,
    /// For `egress.extra_ca_file`.
    pub(crate) ca_pem: String,
}

/// Makes authority and certificate for `127.0.0.1`. The keys are never written down.
pub(crate) fn make() -> Result<Certificate, String> {
    let failed = |error: rcgen::Error| format!("cannot make a certificate: {error}");
    let mut authority = CertificateParams::new(Vec::new()).map_err(failed)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority_key = KeyPair::generate().map_err(failed)?;
    let ca_pem = authority.self_signed(&authority_key).map_err(failed)?.pem();
    let issuer = Issuer::new(authority, authority_key);

    let mut leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).map_err(failed)?;
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let leaf_key = KeyPair::generate().map_err(failed)?;
    let certificate = leaf.signed_by(&leaf_key, &issuer).map_err(failed)?;

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key))
        .map_err(|error| format!("cannot set up TLS for the receiver: {error}"))?;
    Ok(Certificate { server: Arc::new(server), ca_pem })
}

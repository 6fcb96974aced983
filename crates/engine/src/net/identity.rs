//! PEM text as an endpoint's owner pastes it: our certificate with its key, and CAs to trust. Read when it is saved, so
//! that what is wrong is said to whoever can mend it, and again when connections are made of it.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error as TlsError, RootCertStore};
use watchbell_domain::endpoint::{ClientIdentity, TlsSettings};

/// Most certificates of one text.
const CERTIFICATES_MAX: usize = 20;

/// What is wrong with a PEM text. Never repeats any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PemRefused {
    /// Not PEM, or PEM of something else.
    #[error("no certificate is in it; PEM is wanted, which begins with -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    /// Broken PEM.
    #[error("the PEM text is damaged: each part has a BEGIN line, base64 and the same END line")]
    Damaged,
    /// More than anybody needs.
    #[error("at most 20 certificates are taken")]
    TooMany,
    /// A key where everybody may look.
    #[error("a private key stands among the certificates: give it as the key, and in there alone")]
    KeyAmongCertificates,
    /// Not a certificate inside.
    #[error("a certificate in it cannot be read")]
    Unreadable,
    /// No key.
    #[error("no private key is in it; PEM is wanted, which begins with -----BEGIN PRIVATE KEY-----")]
    NoKey,
    /// Several keys.
    #[error("more than one private key is in it")]
    SeveralKeys,
    /// A key under a password.
    #[error("the private key is encrypted: give it without a password (openssl pkey -in key.pem)")]
    KeyEncrypted,
    /// A key of a kind that we do not speak.
    #[error("the private key cannot be used: RSA of 2048 bits or more, ECDSA (P-256, P-384, P-521) and Ed25519 can")]
    KeyUnusable,
    /// Not a pair.
    #[error("the private key does not fit the first certificate: the certificate comes first, then what issued it")]
    KeyMismatch,
    /// Over.
    #[error("the certificate has expired")]
    Expired,
    /// Not begun.
    #[error("the certificate is not valid yet")]
    NotYetValid,
    /// For servers alone.
    #[error("the certificate is not for clients: its extended key usage lacks clientAuth")]
    NotForClients,
}

/// Which member of the settings is wrong, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Problem {
    /// `client_certificate_pem`, `client_key_pem`, `ca_pem`.
    pub member: &'static str,
    /// Why.
    pub why: PemRefused,
}

/// Whether connections can be made with these settings at `now`.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(settings: &TlsSettings, now: Timestamp) -> Result<(), Problem> {
    if let Some(client) = &settings.client {
        let key = certified_key(client)?;
        check_certificate(&key.cert, now).map_err(|why| Problem { member: "client_certificate_pem", why })?;
    }
    match &settings.ca_pem {
        Some(pem) => add_cas(&mut RootCertStore::empty(), pem),
        None => Ok(()),
    }
}

/// The certificate with its key. Whether it is still valid is for the other side to say.
pub(super) fn certified_key(client: &ClientIdentity) -> Result<CertifiedKey, Problem> {
    let of_certificate = |why| Problem { member: "client_certificate_pem", why };
    let of_key = |why| Problem { member: "client_key_pem", why };
    let chain = certificates(&client.certificate_pem).map_err(of_certificate)?;
    let key = private_key(client.key_pem.expose()).map_err(of_key)?;
    #[expect(clippy::wildcard_enum_match_arm, reason = "whatever else is wrong is wrong with the key")]
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|error| match error {
        TlsError::InconsistentKeys(_) => of_key(PemRefused::KeyMismatch),
        TlsError::InvalidCertificate(_) => of_certificate(PemRefused::Unreadable),
        _ => of_key(PemRefused::KeyUnusable),
    })
}

/// Trusts the CAs of a PEM text as well.
pub(super) fn add_cas(roots: &mut RootCertStore, pem: &str) -> Result<(), Problem> {
    let of_ca = |why| Problem { member: "ca_pem", why };
    for certificate in certificates(pem).map_err(of_ca)? {
        roots.add(certificate).map_err(|_| of_ca(PemRefused::Unreadable))?;
    }
    Ok(())
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, PemRefused> {
    if pem.contains("PRIVATE KEY-----") {
        return Err(PemRefused::KeyAmongCertificates);
    }
    let found: Vec<_> =
        CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().map_err(|_| PemRefused::Damaged)?;
    match found.len() {
        0 => Err(PemRefused::NoCertificate),
        1..=CERTIFICATES_MAX => Ok(found),
        _ => Err(PemRefused::TooMany),
    }
}

fn private_key(pem: &str) -> Result<PrivateKeyDer<'static>, PemRefused> {
    if pem.contains("ENCRYPTED") {
        return Err(PemRefused::KeyEncrypted);
    }
    let mut found = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem.as_bytes()) {
        let (kind, der) = section.map_err(|_| PemRefused::Damaged)?;
        found.extend(PrivateKeyDer::from_pem(kind, der));
    }
    let key = found.pop().ok_or(PemRefused::NoKey)?;
    match found.is_empty() {
        true => Ok(key),
        false => Err(PemRefused::SeveralKeys),
    }
}

/// What the other side will find wrong whoever it trusts: asked of its own verifier, which looks at the certificate
/// before it looks for who issued it.
fn check_certificate(chain: &[CertificateDer<'static>], now: Timestamp) -> Result<(), PemRefused> {
    let Some((leaf, others)) = chain.split_first() else {
        return Err(PemRefused::NoCertificate);
    };
    let anybody = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(anybody), provider)
        .build()
        .map_err(|_| PemRefused::Unreadable)?;
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    let Err(TlsError::InvalidCertificate(problem)) = verifier.verify_client_cert(leaf, others, time) else {
        return Ok(());
    };
    #[expect(clippy::wildcard_enum_match_arm, reason = "who issued it is the other side's business")]
    match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Err(PemRefused::Expired),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Err(PemRefused::NotYetValid),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            Err(PemRefused::NotForClients)
        }
        CertificateError::BadEncoding => Err(PemRefused::Unreadable),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd};
    use watchbell_wire::Secret;

    use super::*;

    fn params() -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2027, 1, 1);
        params
    }

    fn verdict(certificate: &str, key: &str) -> Result<(), Problem> {
        verdict_at(certificate, key, "2026-06-01T12:00:00Z")
    }

    fn verdict_at(certificate: &str, key: &str, now: &str) -> Result<(), Problem> {
        let client = ClientIdentity { certificate_pem: certificate.to_owned(), key_pem: Secret::new(key) };
        check(&TlsSettings { client: Some(client), ca_pem: None }, now.parse().unwrap())
    }

    fn pair(params: &CertificateParams) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn of_certificate(why: PemRefused) -> Result<(), Problem> {
        Err(Problem { member: "client_certificate_pem", why })
    }

    fn of_key(why: PemRefused) -> Result<(), Problem> {
        Err(Problem { member: "client_key_pem", why })
    }

    #[test]
    fn a_certificate_and_its_key_pass_whoever_issued_it() {
        let (certificate, key) = pair(&params());
        assert_eq!(verdict(&certificate, &key), Ok(()));
        assert_eq!(verdict(&format!("{certificate}{certificate}"), &key), Ok(()));
        let mut for_clients = params();
        for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let (certificate, key) = pair(&for_clients);
        assert_eq!(verdict(&certificate, &key), Ok(()));
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_said() {
        let (certificate, key) = pair(&params());
        assert_eq!(verdict_at(&certificate, &key, "2027-06-01T12:00:00Z"), of_certificate(PemRefused::Expired));
        assert_eq!(verdict_at(&certificate, &key, "2025-06-01T12:00:00Z"), of_certificate(PemRefused::NotYetValid));
        let mut for_servers = params();
        for_servers.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let (servers, servers_key) = pair(&for_servers);
        assert_eq!(verdict(&servers, &servers_key), of_certificate(PemRefused::NotForClients));
        assert_eq!(verdict("", &key), of_certificate(PemRefused::NoCertificate));
        assert_eq!(verdict(&certificate.replace("-----END", "----END"), &key), of_certificate(PemRefused::Damaged));
        assert_eq!(verdict(&format!("{certificate}{key}"), &key), of_certificate(PemRefused::KeyAmongCertificates));
        let noise = "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n";
        assert_eq!(verdict(noise, &key), of_certificate(PemRefused::Unreadable));
        assert_eq!(verdict(&certificate.repeat(21), &key), of_certificate(PemRefused::TooMany));
    }

    #[test]
    fn what_is_wrong_with_a_key_is_said() {
        let (certificate, key) = pair(&params());
        let (_, other) = pair(&params());
        assert_eq!(verdict(&certificate, &other), of_key(PemRefused::KeyMismatch));
        assert_eq!(verdict(&certificate, ""), of_key(PemRefused::NoKey));
        assert_eq!(verdict(&certificate, &certificate), of_key(PemRefused::NoKey));
        assert_eq!(verdict(&certificate, &format!("{key}{other}")), of_key(PemRefused::SeveralKeys));
        assert_eq!(
            verdict(&certificate, &key.replace("PRIVATE", "ENCRYPTED PRIVATE")),
            of_key(PemRefused::KeyEncrypted)
        );
        let noise = "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----\n";
        assert_eq!(verdict(&certificate, noise), of_key(PemRefused::KeyUnusable));
        // The CA first and the client after it: the usual slip.
        let mut ca = params();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let (root, _) = pair(&ca);
        assert_eq!(verdict(&format!("{root}{certificate}"), &key), of_key(PemRefused::KeyMismatch));
    }

    #[test]
    fn cas_are_certificates() {
        let now = "2026-06-01T12:00:00Z".parse().unwrap();
        let ca = |pem: &str| check(&TlsSettings { client: None, ca_pem: Some(pem.to_owned()) }, now);
        let (certificate, key) = pair(&params());
        assert_eq!(ca(&certificate), Ok(()));
        assert_eq!(ca("x"), Err(Problem { member: "ca_pem", why: PemRefused::NoCertificate }));
        assert_eq!(ca(&key), Err(Problem { member: "ca_pem", why: PemRefused::KeyAmongCertificates }));
    }
}

//! The usual verification of a server's certificate, and one thing more before it: RSA keys of less than 2048 bits are
//! called weak. They are refused in any case, but as a signature that does not verify, which sends people looking for
//! another fault (row T6).
//!
//! This adds a refusal and takes none away: every answer but that one is the inner verifier's.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};

/// The least bits of an RSA key.
const RSA_BITS_MIN: usize = 2048;

/// The object identifier of RSA keys, 1.2.840.113549.1.1.1, as it is encoded.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const BIT_STRING: u8 = 0x03;
const INTEGER: u8 = 0x02;

/// A certificate of the chain has a weak key.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a certificate of the server's has an RSA key of {bits} bits; 2048 is the least")]
pub(super) struct WeakKey {
    bits: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Verifier(pub(super) Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let weakest = [leaf].into_iter().chain(intermediates).filter_map(rsa_bits).min();
        match weakest {
            Some(bits) if bits < RSA_BITS_MIN => {
                Err(CertificateError::Other(OtherError(Arc::new(WeakKey { bits }))).into())
            }
            Some(_) | None => self.0.verify_server_cert(leaf, intermediates, name, ocsp, now),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// How long the RSA key of a certificate is; `None`: its key is none, or cannot be read, which is for the other to judge.
fn rsa_bits(certificate: &CertificateDer<'_>) -> Option<usize> {
    let key = ParsedCertificate::try_from(certificate).ok()?.subject_public_key_info();
    let (info, _) = element(&key, SEQUENCE)?;
    let (algorithm, rest) = element(info, SEQUENCE)?;
    let (identifier, _) = element(algorithm, OBJECT_IDENTIFIER)?;
    if identifier != RSA {
        return None;
    }
    let (bits, _) = element(rest, BIT_STRING)?;
    // The first byte counts the bits that are left over: none.
    let (pair, _) = element(bits.get(1..)?, SEQUENCE)?;
    let (modulus, _) = element(pair, INTEGER)?;
    let leading_zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let significant = modulus.get(leading_zeros..)?;
    let first = significant.first()?;
    Some(significant.len() * 8 - first.leading_zeros() as usize)
}

/// The content of a DER element of this kind, and what follows it.
fn element(der: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        short @ 0..=0x7f => (usize::from(*short), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => {
            let (bytes, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*bytes)), rest)
        }
        _ => return None,
    };
    (*found == kind).then(|| rest.split_at_checked(length)).flatten()
}

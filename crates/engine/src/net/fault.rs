//! Why an exchange failed, in the words of [`AttemptResult`]. Errors are recognised by type, never by their text.

use std::error::Error;
use std::io;

use rustls::{CertificateError, Error as TlsError, OtherError};
use watchbell_domain::delivery::AttemptResult;

use super::verifier::WeakKey;
use super::watched::HeadTooLarge;

/// A failed exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// How the attempt ended.
    pub result: AttemptResult,
    /// More about it for people. Says nothing about an address that was refused.
    pub detail: Option<String>,
}

impl From<AttemptResult> for Fault {
    fn from(result: AttemptResult) -> Self {
        Self { result, detail: None }
    }
}

impl Fault {
    pub(crate) fn new(result: AttemptResult, detail: impl Into<String>) -> Self {
        Self { result, detail: Some(detail.into()) }
    }
}

/// A failed read, write or connect.
#[expect(clippy::wildcard_enum_match_arm, reason = "the operating system knows more errors than we name")]
pub(crate) fn of_io(error: &io::Error) -> Fault {
    if let Some(fault) = error.get_ref().and_then(|inner| of_source(inner)) {
        return fault;
    }
    let result = match error.kind() {
        io::ErrorKind::ConnectionRefused => AttemptResult::ConnectRefused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            AttemptResult::ConnectionReset
        }
        io::ErrorKind::UnexpectedEof => AttemptResult::ConnectionClosed,
        io::ErrorKind::TimedOut => AttemptResult::ConnectTimeout,
        // No route, or this machine has no socket to spare: either may mend, so the schedule goes on.
        _ => AttemptResult::ConnectUnreachable,
    };
    Fault { result, detail: Some(error.kind().to_string()) }
}

/// A failed TLS handshake: whatever is not the socket's fault is the protocol's.
pub(super) fn of_handshake(error: &io::Error) -> Fault {
    let known = error.get_ref().is_some_and(|inner| inner.is::<TlsError>());
    if error.kind() == io::ErrorKind::InvalidData && !known {
        return Fault::from(AttemptResult::TlsProtocol);
    }
    of_io(error)
}

/// A failed exchange on an open connection.
pub(super) fn of_hyper(error: &hyper::Error) -> Fault {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(fault) = of_source(inner) {
            return fault;
        }
        source = inner.source();
    }
    if error.is_parse_too_large() {
        return Fault::from(AttemptResult::ResponseTooLarge);
    }
    if error.is_parse() {
        return Fault::from(AttemptResult::ProtocolError);
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return Fault::from(AttemptResult::ConnectionClosed);
    }
    Fault::from(AttemptResult::ProtocolError)
}

/// Whether an HTTP/2 peer said that it has not begun to process the request.
pub(super) fn is_unprocessed(error: &hyper::Error) -> bool {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(error) = inner.downcast_ref::<h2::Error>() {
            // A stream that GOAWAY covers goes on; one that fails by it is above the last that is processed.
            return error.is_remote() && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM));
        }
        source = inner.source();
    }
    false
}

fn of_source(error: &(dyn Error + 'static)) -> Option<Fault> {
    if let Some(error) = error.downcast_ref::<TlsError>() {
        return Some(of_tls(error));
    }
    if let Some(error) = error.downcast_ref::<HeadTooLarge>() {
        return Some(Fault::from(match error.only_informational {
            true => AttemptResult::ProtocolError,
            false => AttemptResult::ResponseTooLarge,
        }));
    }
    if let Some(error) = error.downcast_ref::<h2::Error>() {
        return Some(of_h2(error));
    }
    error.downcast_ref::<io::Error>().map(of_io)
}

fn of_h2(error: &h2::Error) -> Fault {
    if let Some(error) = error.get_io() {
        return of_io(error);
    }
    let result = if error.is_remote() && error.is_reset() {
        AttemptResult::ConnectionReset
    } else if error.is_remote() && error.is_go_away() {
        AttemptResult::ConnectionClosed
    } else {
        AttemptResult::ProtocolError
    };
    match error.reason() {
        Some(reason) => Fault::new(result, format!("HTTP/2: {}", reason.description())),
        None => Fault::from(result),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "whatever else rustls finds wrong is the protocol")]
fn of_tls(error: &TlsError) -> Fault {
    match error {
        TlsError::InvalidCertificate(problem) => Fault::new(of_certificate(problem), problem.to_string()),
        TlsError::AlertReceived(alert) => Fault::new(AttemptResult::TlsProtocol, format!("TLS alert {alert:?}")),
        TlsError::NoCertificatesPresented => Fault::from(AttemptResult::TlsUntrusted),
        other => Fault::new(AttemptResult::TlsProtocol, other.to_string()),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "whatever else is wrong with a certificate makes it untrusted")]
fn of_certificate(problem: &CertificateError) -> AttemptResult {
    match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => AttemptResult::TlsExpired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => AttemptResult::TlsNotYetValid,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            AttemptResult::TlsHostname
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => AttemptResult::TlsWeak,
        CertificateError::Other(OtherError(other)) if other.is::<WeakKey>() => AttemptResult::TlsWeak,
        _ => AttemptResult::TlsUntrusted,
    }
}

//! What an answer's head says, and as much of it as is kept.

use http::header::{CONTENT_LENGTH, LOCATION, RETRY_AFTER, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode};
use watchbell_domain::Timestamp;
use watchbell_domain::delivery::{AttemptResult, Response};
use watchbell_domain::retry::{Heard, RetryAfter};

use super::client::Exchange;
use super::fault::Fault;
use super::mask::Mask;

/// Characters of a redirect's target that are shown.
const LOCATION_LEN_MAX: usize = 200;

/// Bytes of header lines that are kept.
const HEADER_BYTES_KEPT_MAX: usize = 16 * 1024;

/// A complete head with what it means. The body comes later and changes nothing of it.
pub(super) struct Head {
    status: StatusCode,
    headers: HeaderMap,
    result: AttemptResult,
}

impl Head {
    /// Judges a head.
    ///
    /// # Errors
    /// When it frames its body in a way that two readers could read differently, or wants to change the protocol.
    pub(super) fn read(status: StatusCode, headers: HeaderMap, is_http1: bool) -> Result<Self, Fault> {
        if status == StatusCode::SWITCHING_PROTOCOLS || (is_http1 && !is_framed_clearly(&headers)) {
            return Err(AttemptResult::ProtocolError.into());
        }
        let result = match status.is_redirection() {
            true => AttemptResult::RedirectRefused,
            false => AttemptResult::Http(status.as_u16()),
        };
        Ok(Self { status, headers, result })
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// The exchange as it is reported, with the part of the body that came.
    pub(super) fn with_body(self, body: &ReadBody, mask: &Mask, body_kept_max: usize, now: Timestamp) -> Exchange {
        let masked = mask.bytes(&body.bytes);
        let kept = masked.get(..body_kept_max).unwrap_or(&masked);
        let retry_after =
            RetryAfter::longest(self.headers.get_all(RETRY_AFTER).iter().map(|value| value.as_bytes()), now)
                .map(|asked| from_now(asked, now));
        let detail = (self.result == AttemptResult::RedirectRefused).then(|| self.location(mask)).flatten();
        Exchange {
            result: self.result,
            response: Some(Response {
                status: self.status.as_u16(),
                headers: self.kept_headers(mask),
                truncated: !body.complete || kept.len() < masked.len(),
                body: kept.to_vec(),
            }),
            retry_after,
            detail,
            heard: Heard::Status,
        }
    }

    fn kept_headers(&self, mask: &Mask) -> Vec<(String, String)> {
        let mut room = HEADER_BYTES_KEPT_MAX;
        let mut kept = Vec::with_capacity(self.headers.len());
        for (name, value) in &self.headers {
            let Some(left) = room.checked_sub(name.as_str().len() + value.len()) else {
                break;
            };
            room = left;
            kept.push((name.as_str().to_owned(), mask.text(value.as_bytes())));
        }
        kept
    }

    /// Where a redirect points to: without its query, which may carry what is nobody's business.
    fn location(&self, mask: &Mask) -> Option<String> {
        let location = mask.text(self.headers.get(LOCATION)?.as_bytes());
        let shown = match location.split_once(['?', '#']) {
            Some((before, _)) => format!("{before}?…"),
            None => location,
        };
        Some(format!("Location: {}", shown.chars().take(LOCATION_LEN_MAX).collect::<String>()))
    }
}

/// The part of a body that was read.
#[derive(Default)]
pub(super) struct ReadBody {
    pub(super) bytes: Vec<u8>,
    pub(super) complete: bool,
}

/// One length or one `chunked`, not both, not twice, nothing else.
fn is_framed_clearly(headers: &HeaderMap) -> bool {
    let lengths = headers.get_all(CONTENT_LENGTH).iter().count();
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => lengths <= 1,
        (Some(coding), None) => lengths == 0 && coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

/// A date is read by the wall clock, here and now. What is due later goes by a time that never runs backwards, which is
/// ahead of a wall clock that was set back, and by it the date might have passed already.
fn from_now(asked: RetryAfter, now: Timestamp) -> RetryAfter {
    match asked {
        RetryAfter::Seconds(_) => asked,
        RetryAfter::At(_) => {
            RetryAfter::Seconds(u64::try_from(asked.wait(now).as_millis()).unwrap_or(0).div_ceil(1000))
        }
    }
}

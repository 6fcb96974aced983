//! The events that are posted: their number at a fixed place, filled up to the size that was asked for.
//!
//! `{"bench":"0000000042","pad":"xxx…"}`: the receiver finds the number in whatever the dialect put around it.

use std::fmt::Write as _;
use std::ops::Range;

/// The type of the events that are measured: none of the catalogue's, so that nothing is checked or made from it.
pub(super) const MEASURED: &str = "bench.event";
/// The type of the events that wait at an endpoint that hardly answers.
pub(super) const WAITING: &str = "bench.waiting";

/// The fewest bytes that data can have.
pub(crate) const DATA_BYTES_MIN: usize = 31;

const MARK: &[u8] = br#""bench":""#;
const DIGITS: usize = 10;

/// `data` of so many bytes; the number is still 0.
pub(super) fn data(bytes: usize) -> String {
    let padding = bytes.saturating_sub(DATA_BYTES_MIN);
    format!(r#"{{"bench":"{:0DIGITS$}","pad":"{}"}}"#, 0, "x".repeat(padding))
}

/// The number in a body that was received.
pub(super) fn number_in(body: &[u8]) -> Option<usize> {
    let at = body.windows(MARK.len()).position(|window| window == MARK)? + MARK.len();
    std::str::from_utf8(body.get(at..at + DIGITS)?).ok()?.parse().ok()
}

/// A request that is ready but for the numbers of its events.
#[derive(Debug, Clone)]
pub(super) struct Template {
    bytes: Vec<u8>,
    numbers: Vec<Range<usize>>,
}

/// Where events are posted, and as whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) host: &'a str,
    pub(super) key: &'a str,
    /// Of the organisation: `/api/v1/orgs/…`.
    pub(super) base: &'a str,
}

impl Template {
    /// A post of `batch` events: to `/events` when it is 1, to `/events/batch` else.
    pub(super) fn new(target: Target<'_>, event_type: &str, data_bytes: usize, batch: usize) -> Self {
        let event = format!(r#"{{"type":"{event_type}","data":{}}}"#, data(data_bytes));
        let (path, body) = match batch {
            0 | 1 => ("events", event),
            batch => ("events/batch", format!(r#"{{"events":[{}]}}"#, vec![event; batch].join(","))),
        };
        let mut bytes = String::new();
        // Writing to a string cannot fail.
        write!(
            bytes,
            "POST {}/{path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            target.base,
            target.host,
            target.key,
            body.len()
        )
        .ok();
        let bytes = bytes.into_bytes();
        let marks = bytes.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK);
        let numbers = marks.map(|(at, _)| at + MARK.len()..at + MARK.len() + DIGITS).collect();
        Self { bytes, numbers }
    }

    /// The request for events `first`, `first + 1`, …
    pub(super) fn numbered(&mut self, first: u64) -> &[u8] {
        for (place, mut number) in self.numbers.iter().zip(first..) {
            for digit in self.bytes.get_mut(place.clone()).into_iter().flatten().rev() {
                *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
                number /= 10;
            }
        }
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Target<'_> = Target { host: "127.0.0.1:1", key: "k", base: "/api/v1/orgs/default" };

    #[test]
    fn data_has_the_size_asked_for() {
        for bytes in [DATA_BYTES_MIN, 32, 1024] {
            assert_eq!(data(bytes).len(), bytes);
        }
        serde_json::from_str::<serde_json::Value>(&data(100)).unwrap();
    }

    #[test]
    fn requests_carry_their_numbers_and_their_length() {
        for batch in [1, 3] {
            let mut template = Template::new(TARGET, MEASURED, 64, batch);
            assert!(!template.numbered(1_234_567_890).is_empty());
            let request = template.numbered(42).to_vec();
            let message = crate::bench::http::message(&request).unwrap().unwrap();
            assert_eq!(message.whole, request.len());
            let body: serde_json::Value = serde_json::from_slice(&request[message.head..]).unwrap();
            let last = if batch == 1 { &body } else { &body["events"][2] };
            assert_eq!(last["data"]["bench"], format!("{:010}", 41 + batch));
            assert_eq!(last["type"], MEASURED);
            assert_eq!(number_in(&request), Some(42));
        }
    }
}

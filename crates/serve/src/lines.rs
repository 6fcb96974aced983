//! Header lines with the letters and in the order in which they came.
//!
//! `http` knows names in lower case alone, and hyper keeps the others' to itself. Where requests are kept for people to look
//! at, the head is kept beside the parsed one ([`super::heads`]), and read here.

use std::sync::Arc;

use http::HeaderMap;
use watchbell_wire::Headers;

/// As many lines as a vendor's request has.
const LINES_USUAL: usize = 16;

/// Goes with a request over HTTP/1 whose head is kept: see [`Lines::as_received`].
#[derive(Debug, Clone)]
pub struct Lines(Arc<[u8]>);

impl Lines {
    pub(super) fn of(head: Box<[u8]>) -> Self {
        Self(head.into())
    }

    fn read(&self) -> Headers {
        let mut headers = Headers::with_capacity(LINES_USUAL, self.0.len());
        for line in self.0.split(|byte| *byte == b'\n').skip(1) {
            let mut pieces = line.splitn(2, |byte| *byte == b':');
            if let (Some(name), Some(value)) = (pieces.next(), pieces.next())
                && let Ok(name) = std::str::from_utf8(name)
            {
                headers.push(name, value.trim_ascii());
            }
        }
        headers
    }

    /// The lines of a request with these headers: as they came, or as far as it is known.
    pub fn as_received(kept: Option<&Self>, headers: &HeaderMap) -> Headers {
        let lines = kept.map(Self::read);
        // What hyper read is what counts, should the two ever differ.
        lines
            .filter(|lines| are_same(lines, headers))
            .unwrap_or_else(|| headers.iter().map(|(name, value)| (name, value.as_bytes())).collect())
    }
}

/// Whether both have the same lines: those of one name in the same order.
fn are_same(lines: &Headers, headers: &HeaderMap) -> bool {
    let is_there = |(index, (name, value)): (usize, (&str, &[u8]))| {
        let all = headers.get_all(name);
        let mut values = all.iter();
        if let (Some(only), None) = (values.next(), values.next()) {
            return only.as_bytes() == value;
        }
        let before = lines.iter().take(index).filter(|(other, _)| other.eq_ignore_ascii_case(name)).count();
        all.iter().nth(before).is_some_and(|same| same.as_bytes() == value)
    };
    lines.len() == headers.len() && lines.iter().enumerate().all(is_there)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn lines_come_as_they_came_unless_they_are_other_lines() {
        let head = b"POST /capture/x HTTP/1.1\r\nHost: a\r\nX-sIG:  b \r\nx-Sig: c\r\n\r\n";
        let lines = Lines::of(head.to_vec().into());
        let mut headers = HeaderMap::new();
        headers.append("host", HeaderValue::from_static("a"));
        headers.append("x-sig", HeaderValue::from_static("b"));
        headers.append("x-sig", HeaderValue::from_static("c"));
        let names = |lines: Option<&Lines>, headers: &HeaderMap| -> Vec<String> {
            Lines::as_received(lines, headers).iter().map(|(name, _)| name.to_owned()).collect()
        };
        assert_eq!(names(Some(&lines), &headers), ["Host", "X-sIG", "x-Sig"]);
        assert_eq!(names(None, &headers), ["host", "x-sig", "x-sig"]);
        headers.insert("host", HeaderValue::from_static("b"));
        assert_eq!(names(Some(&lines), &headers), ["host", "x-sig", "x-sig"]);
    }
}

//! Header lines with the letters and in the order in which they came.
//!
//! `http` knows names in lower case alone, and hyper keeps the others' to itself. Where requests are kept for people to look
//! at, the head is kept beside the parsed one ([`super::heads`]), and read here.

use std::sync::Arc;

use http::HeaderMap;

/// Goes with a request over HTTP/1 whose head is kept: see [`Lines::as_received`].
#[derive(Debug, Clone)]
pub(crate) struct Lines(Arc<[u8]>);

impl Lines {
    pub(super) fn of(head: Box<[u8]>) -> Self {
        Self(head.into())
    }

    fn read(&self) -> Vec<(String, Vec<u8>)> {
        let lines = self.0.split(|byte| *byte == b'\n').skip(1);
        let fields = lines.filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at(colon);
            let name = std::str::from_utf8(name).ok()?;
            Some((name.to_owned(), value.get(1..).unwrap_or_default().trim_ascii().to_vec()))
        });
        fields.collect()
    }

    /// The lines of a request with these headers: as they came, or as far as it is known.
    pub(crate) fn as_received(kept: Option<&Self>, headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
        let parsed = || headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
        let Some(lines) = kept.map(Self::read) else {
            return parsed().collect();
        };
        let mut ours: Vec<(String, &[u8])> =
            lines.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.as_slice())).collect();
        let mut theirs: Vec<(String, &[u8])> =
            headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes())).collect();
        ours.sort_unstable();
        theirs.sort_unstable();
        // What hyper read is what counts, should the two ever differ.
        if ours == theirs { lines } else { parsed().collect() }
    }
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
            Lines::as_received(lines, headers).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(Some(&lines), &headers), ["Host", "X-sIG", "x-Sig"]);
        assert_eq!(names(None, &headers), ["host", "x-sig", "x-sig"]);
        headers.insert("host", HeaderValue::from_static("b"));
        assert_eq!(names(Some(&lines), &headers), ["host", "x-sig", "x-sig"]);
    }
}

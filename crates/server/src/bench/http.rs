//! HTTP/1.1 messages as the load and the sink see them: where one ends, and no more than that.
//!
//! Both sides are ours and the server's, which frame by `Content-Length`; anything else is an error, not a guess.

/// Largest head and body that are waited for.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// A complete message at the front of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Message {
    /// Bytes of the head, its empty line included.
    pub(super) head: usize,
    /// Bytes of head and body.
    pub(super) whole: usize,
}

/// The message at the front of `buffer`; `None` while it is not complete.
pub(super) fn message(buffer: &[u8]) -> Result<Option<Message>, &'static str> {
    let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if buffer.len() > MESSAGE_BYTES_MAX { Err("a head without end") } else { Ok(None) };
    };
    let head = end + 4;
    let body = match header(buffer.get(..end).unwrap_or_default(), b"content-length") {
        None => 0,
        Some(value) => std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).ok_or("a bad length")?,
    };
    if body > MESSAGE_BYTES_MAX {
        return Err("a body that is too long");
    }
    let whole = head + body;
    Ok((buffer.len() >= whole).then_some(Message { head, whole }))
}

/// The first header of this name (in lower case) in a head.
pub(super) fn header<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    headers(head).find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Names and values of a head.
pub(super) fn headers(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let lines = head.split(|byte| *byte == b'\n').skip(1);
    lines.filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at_checked(colon)?;
        Some((name, value.get(1..)?.trim_ascii()))
    })
}

/// The status of an answer.
pub(super) fn status(answer: &[u8]) -> Option<u16> {
    std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_complete_with_its_last_byte() {
        let text = b"HTTP/1.1 202 Accepted\r\nA: b\r\ncontent-LENGTH:  3 \r\n\r\nabcHTTP/1.1";
        let head = text.len() - "abcHTTP/1.1".len();
        for end in 0..head + 3 {
            assert_eq!(message(&text[..end]), Ok(None), "{end}");
        }
        assert_eq!(message(text), Ok(Some(Message { head, whole: head + 3 })));
        assert_eq!(status(text), Some(202));
        assert_eq!(header(&text[..head], b"a"), Some(b"b".as_slice()));
    }

    #[test]
    fn no_length_is_no_body() {
        assert_eq!(message(b"GET / HTTP/1.1\r\n\r\n"), Ok(Some(Message { head: 18, whole: 18 })));
        assert_eq!(message(b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"), Err("a bad length"));
    }
}

//! A scripted HTTP receiver: reads whole requests, notes them, and answers well, badly, half, late or never.

use bytes::Bytes;
use jiff::fmt::strtime;
use jiff::{SignedDuration, tz::TimeZone};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use watchbell_domain::port::Clock;
use watchbell_wire::{Headers, Unverified};

use crate::chance::Chance;
use crate::clock::SimClock;
use crate::history::Arrival;
use crate::net::{Host, Mode, Seat, pause};

/// How long ago a request may have been signed: the wall clock is set by a day here and there.
const TOLERANCE: SignedDuration = SignedDuration::from_hours(20 * 24);

/// Longer than any timeout of the node.
const FOR_EVER: SignedDuration = SignedDuration::from_mins(5);

/// What a host does with one request.
#[derive(Debug)]
enum Reaction {
    /// Answers after a while; then may close.
    Answer { wait: SignedDuration, head: String, body: &'static str, close: bool },
    /// Part of an answer, and then nothing, or the end.
    Part { text: String, then: Then },
    /// Nothing, and then the end.
    Nothing(Then),
}

#[derive(Debug, Clone, Copy)]
enum Then {
    Close,
    Reset,
    Hang,
}

/// Serves one connection.
pub(crate) async fn serve(mut seat: Seat) {
    // Some never read what they are sent.
    if let Mode::Flaky(_) = seat.host.mode() {
        match seat.host.draw(|chance| chance.within(0, 99)) {
            0..=2 => return seat.reset(),
            3 => return,
            _ => {}
        }
    }
    while let Some((headers, body)) = request(&mut seat).await {
        let index = note(&seat, headers, body);
        let reaction = react(&seat);
        match reaction {
            Reaction::Answer { wait, head, body, close } => {
                pause(&seat.clock, wait).await;
                let text = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
                if seat.stream.write_all(text.as_bytes()).await.is_err() {
                    return;
                }
                answered(&seat, index, &head);
                if close {
                    return;
                }
            }
            Reaction::Part { text, then } => {
                seat.stream.write_all(text.as_bytes()).await.ok();
                if text.starts_with("HTTP/1.1 200") && text.contains("\r\n\r\n") {
                    answered(&seat, index, &text);
                }
                return end(seat, then).await;
            }
            Reaction::Nothing(then) => return end(seat, then).await,
        }
    }
}

async fn end(seat: Seat, then: Then) {
    match then {
        Then::Close => {}
        Then::Reset => {
            // What was sent before arrives before.
            pause(&seat.clock, SignedDuration::from_millis(2)).await;
            seat.reset();
        }
        Then::Hang => pause(&seat.clock.clone(), FOR_EVER).await,
    }
}

/// The next whole request; `None`: the connection has ended.
async fn request(seat: &mut Seat) -> Option<(Headers, Bytes)> {
    let mut bytes = Vec::new();
    let mut wanted = None;
    loop {
        if wanted.is_none() {
            wanted = head_length(&bytes);
        }
        if let Some((head, body)) = wanted
            && bytes.len() >= head + body
        {
            let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
            let lines = text.lines().skip(1).filter_map(|line| line.split_once(": "));
            let headers = lines.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).collect();
            return Some((headers, Bytes::copy_from_slice(&bytes[head..head + body])));
        }
        let mut chunk = [0; 2048];
        match seat.stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}

/// Bytes of head and body, once the head is complete.
fn head_length(bytes: &[u8]) -> Option<(usize, usize)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    Some((end, length.map_or(0, |length| length.trim().parse().unwrap())))
}

/// Writes down what came.
fn note(seat: &Seat, headers: Headers, body: Bytes) -> usize {
    let host = &seat.host;
    let one = |name| headers.one(name).ok().flatten().map(|value| String::from_utf8_lossy(value).into_owned());
    let delivery = one("webhook-id");
    let text = String::from_utf8_lossy(&body).into_owned();
    let mark = text.split_once("mark.").map(|(_, rest)| rest.chars().take_while(|end| *end != '"').collect::<String>());
    let said: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let event = said.as_ref().and_then(|said| said.get("event").or_else(|| said.get("type")));
    let event = event.and_then(|event| event.as_str()).unwrap_or_default().to_owned();
    let at = seat.clock.virtual_now();
    let kind =
        delivery.clone().unwrap_or_else(|| format!("{} {} {event}", host.endpoint, mark.clone().unwrap_or_default()));
    let digest = Sha256::digest(&body);
    let line = format!("arrived at {}: {kind} {} bytes {:02x}{:02x}", host.endpoint, body.len(), digest[0], digest[1]);
    let signed = is_signed(seat, host, headers, &body);
    let arrival = Arrival {
        at,
        org: host.org,
        endpoint: host.endpoint,
        delivery,
        mark,
        body,
        kind,
        signed,
        answered: None,
        clean: false,
    };
    let mut record = seat.history.record();
    record.tell(at, line);
    record.arrivals.push(arrival);
    record.arrivals.len() - 1
}

fn is_signed(seat: &Seat, host: &Host, headers: Headers, body: &Bytes) -> bool {
    let dialect = host.dialect;
    let keys: Vec<_> = host.secrets().iter().filter_map(|secret| dialect.secrets.key(secret).ok()).collect();
    let request = Unverified::new(headers, body.clone());
    request.verify(dialect, &keys, seat.clock.now(), TOLERANCE).is_ok()
}

/// Writes down that a whole answer was handed over.
fn answered(seat: &Seat, index: usize, head: &str) {
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    let at = seat.clock.virtual_now();
    let is_whole = !seat.host.is_link_cut();
    let mut record = seat.history.record();
    record.arrivals[index].answered = Some((status, at));
    record.arrivals[index].clean = is_whole;
    record.tell(at, format!("answered {status} by {}", seat.host.endpoint));
}

fn react(seat: &Seat) -> Reaction {
    let clock = &seat.clock;
    let mode = seat.host.mode();
    seat.host.draw(|chance| match mode {
        Mode::Well | Mode::Refuses => well(chance),
        Mode::Flaky(percent) if chance.percent(percent) => badly(clock, chance),
        Mode::Flaky(_) => well(chance),
        Mode::Broken => status(chance, "500 Internal Server Error"),
        Mode::Overloaded => overloaded(clock, chance),
        Mode::Hangs => Reaction::Nothing(Then::Hang),
        Mode::Gone => status(chance, "410 Gone"),
    })
}

fn well(chance: &mut Chance) -> Reaction {
    let line = chance.pick(&["200 OK", "202 Accepted", "204 No Content"]);
    // Closing behind an answer: the next request finds out too late.
    let close = chance.percent(10);
    let head = format!("HTTP/1.1 {line}\r\n");
    Reaction::Answer { wait: chance.millis(0, 80), head, body: if line.starts_with("204") { "" } else { "ok" }, close }
}

fn status(chance: &mut Chance, line: &str) -> Reaction {
    Reaction::Answer { wait: chance.millis(0, 80), head: format!("HTTP/1.1 {line}\r\n"), body: "no", close: false }
}

fn overloaded(clock: &SimClock, chance: &mut Chance) -> Reaction {
    let line = chance.pick(&["429 Too Many Requests", "503 Service Unavailable"]);
    let seconds = chance.within(1, 180);
    let after = match chance.within(0, 3) {
        0 => {
            let at = clock.now() + SignedDuration::from_secs(i64::try_from(seconds).unwrap());
            strtime::format("%a, %d %b %Y %H:%M:%S GMT", &at.to_zoned(TimeZone::UTC)).unwrap()
        }
        1 => chance.pick(&["soon", "-5", "99999999999999999999", "0", "1e3"]).to_owned(),
        _ => seconds.to_string(),
    };
    let head = format!("HTTP/1.1 {line}\r\nretry-after: {after}\r\n");
    Reaction::Answer { wait: chance.millis(0, 80), head, body: "later", close: chance.percent(20) }
}

fn badly(clock: &SimClock, chance: &mut Chance) -> Reaction {
    const WHOLE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n";
    let then = chance.pick(&[Then::Close, Then::Reset, Then::Hang]);
    match chance.within(0, 11) {
        0 => status(chance, "500 Internal Server Error"),
        1 => status(chance, "404 Not Found"),
        2 => status(chance, "301 Moved Permanently"),
        3 => overloaded(clock, chance),
        // The work was done, and nobody will know.
        4..=6 => Reaction::Nothing(then),
        7 => Reaction::Part { text: WHOLE[..chance.index(WHOLE.len())].to_owned(), then },
        // The head is whole: that is an answer, whatever becomes of the body.
        8 => Reaction::Part { text: format!("{WHOLE}half"), then },
        9 => Reaction::Part { text: "SMTP ready\r\n\r\n".to_owned(), then },
        10 => Reaction::Answer {
            wait: chance.millis(3_000, 7_000),
            head: "HTTP/1.1 200 OK\r\n".to_owned(),
            body: "late",
            close: false,
        },
        _ => Reaction::Part { text: "HTTP/1.1 102 Processing\r\n\r\n".to_owned(), then },
    }
}

//! A running server, from the outside.

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use watchbell_domain::port::Clock;

use super::Check;
use crate::cli::Failure;
use crate::cli::connect::Connect;
use crate::client::{Client, Reply, Request};
use crate::clock::SystemClock;

/// Signed times of sending are taken within five minutes by most receivers; half a minute is worth a word.
const SKEW_WARN: SignedDuration = SignedDuration::from_secs(30);

/// Beyond this, receivers that check times refuse what the server sends.
const SKEW_FAIL: SignedDuration = SignedDuration::from_secs(240);

pub(super) fn look(connect: &Connect) -> Result<Vec<Check>, Failure> {
    let client = connect.client()?;
    let orgs = connect.path("");
    crate::cli::wait(async move {
        let clock = SystemClock::start();
        let mut checks = Vec::new();
        let live = match client.ask(Request::get("/healthz")).await {
            Ok(live) => live,
            Err(error) => {
                let advice = error.advice().unwrap_or_default();
                checks.push(Check::fail(format!("the server answers: {error}"), advice));
                return Ok(checks);
            }
        };
        checks.push(match live.status {
            StatusCode::OK => Check::ok("the server answers"),
            other => Check::fail(format!("/healthz answers {other}"), "is this a Watchbell server? --url names it"),
        });
        checks.extend(skew(&live, clock.now()));
        checks.push(ready(&client).await);
        checks.push(key(&client, orgs).await);
        Ok(checks)
    })
}

async fn ready(client: &Client) -> Check {
    match client.ask(Request::get("/readyz")).await {
        Ok(reply) if reply.status == StatusCode::OK => Check::ok("the server is ready"),
        Ok(reply) => Check::fail(
            format!("the server is not ready: /readyz answers {}", reply.status),
            "it is starting, ending, or its store does not answer; its log says which",
        ),
        Err(error) => Check::fail(format!("/readyz: {error}"), error.advice().unwrap_or_default()),
    }
}

async fn key(client: &Client, org: String) -> Check {
    match client.ask(Request::get(org)).await {
        Ok(reply) => match reply.status {
            StatusCode::OK => Check::ok("the key works, and the organisation is there"),
            StatusCode::UNAUTHORIZED => Check::fail(
                "the server does not know the key",
                "give it with --key-file, --key or WATCHBELL_KEY; the first start printed one",
            ),
            StatusCode::FORBIDDEN => Check::warn(
                "the key works, but it may not see the organisation",
                "some commands need more scopes: watchbell key create",
            ),
            StatusCode::NOT_FOUND => {
                Check::fail("there is no such organisation for this key", "--org or WATCHBELL_ORG names another")
            }
            other => {
                Check::fail(format!("asking for the organisation was answered {other}"), "the server's log has more")
            }
        },
        Err(error) => Check::fail(format!("asking for the organisation: {error}"), error.advice().unwrap_or_default()),
    }
}

/// The two clocks, by the `Date` header: whole seconds, so half a second of doubt.
fn skew(reply: &Reply, now: Timestamp) -> Option<Check> {
    let date = reply.headers.get("date")?.to_str().ok()?;
    let theirs = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
    let skew = now.duration_since(theirs).abs();
    let seconds = skew.as_secs();
    let advice = "let both machines keep time with NTP: signed times of sending are refused when they are minutes away";
    Some(match skew {
        skew if skew > SKEW_FAIL => Check::fail(format!("its clock is {seconds} s away from this machine's"), advice),
        skew if skew > SKEW_WARN => Check::warn(format!("its clock is {seconds} s away from this machine's"), advice),
        _ => Check::ok("its clock agrees with this machine's"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::Mark;

    fn at(seconds_later: i64) -> Option<Mark> {
        let mut headers = http::HeaderMap::new();
        headers.insert("date", http::HeaderValue::from_static("Tue, 14 Nov 2023 22:13:20 GMT"));
        let reply = Reply { status: StatusCode::OK, headers, body: bytes::Bytes::new() };
        let now = Timestamp::from_second(1_700_000_000 + seconds_later).expect("a time");
        skew(&reply, now).map(|check| check.mark)
    }

    #[test]
    fn clocks_are_compared() {
        assert_eq!(at(0), Some(Mark::Ok));
        assert_eq!(at(-29), Some(Mark::Ok));
        assert_eq!(at(45), Some(Mark::Warn));
        assert_eq!(at(-300), Some(Mark::Fail));
    }
}

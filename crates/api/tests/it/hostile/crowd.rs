//! Many at once: C15.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use watchbell_api::serve::Options;

use crate::running::{EVENT, HEALTH, Running, answer, rest, start, start_with};

/// Each connection of a test is two sockets of this process.
pub(super) fn room_for_sockets(wanted: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
        raised.expect("this test needs more file descriptors: ulimit -Hn");
    }
}

async fn is_served(stream: &mut TcpStream) -> bool {
    answer(stream, HEALTH).await.starts_with("HTTP/1.1 200")
}

/// Opens connections until one is served.
async fn served_again(running: &Running) {
    loop {
        let mut stream = running.connect().await;
        stream.write_all(HEALTH.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes()).await.ok();
        if rest(&mut stream).await.starts_with("HTTP/1.1 200") {
            return;
        }
    }
}

#[tokio::test]
async fn c15_pipelined_requests_are_answered_in_order() {
    let running = start_with(Options::default(), |edge| edge.rate_limit = None).await;
    let mut stream = running.connect().await;
    let post = format!("{}Content-Length: {}\r\n\r\n{EVENT}", running.post_head(), EVENT.len());
    let not_found = "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n";
    let last = HEALTH.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let many = format!("{}{last}", format!("{post}{HEALTH}{not_found}").repeat(200));
    let (mut reader, mut writer) = stream.split();
    let writing = async {
        writer.write_all(many.as_bytes()).await.unwrap();
    };
    let mut text = Vec::new();
    let reading = tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut text);
    let ((), read) = tokio::join!(writing, reading);
    read.unwrap();
    let text = String::from_utf8_lossy(&text).into_owned();
    let statuses: Vec<_> = text.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.get(..3)).collect();
    let mut wanted = ["202", "200", "404"].repeat(200);
    wanted.push("200");
    assert_eq!(statuses, wanted);
}

#[tokio::test]
async fn c15_five_thousand_connects_leave_the_server_as_it_was() {
    room_for_sockets(2000);
    let running = start(Options { connections_max: 300, ..Options::default() }).await;
    for number in 0..5000u32 {
        let mut stream = running.connect_from(u8::try_from(2 + number % 100).unwrap()).await;
        match number % 3 {
            0 => drop(stream),
            1 => stream.set_zero_linger().unwrap(),
            _ => drop(stream.write_all(HEALTH.as_bytes()).await),
        }
    }
    served_again(&running).await;
}

#[tokio::test]
async fn c15_connections_beyond_the_limit_are_refused_and_the_rest_served() {
    room_for_sockets(1500);
    let running = start(Options { connections_max: 200, ..Options::default() }).await;
    let mut kept = Vec::new();
    for number in 0..200 {
        let mut stream = running.connect_from(2 + number / 50).await;
        assert!(is_served(&mut stream).await, "{number}");
        kept.push(stream);
    }
    for number in 0..200 {
        let mut stream = running.connect_from(100 + number / 50).await;
        let text = rest(&mut stream).await;
        assert!(text.starts_with("HTTP/1.1 503") && text.contains("retry-after"), "{number}: {text}");
    }
    for stream in &mut kept {
        assert!(is_served(stream).await);
    }
    drop(kept);
    served_again(&running).await;
}

#[tokio::test]
async fn c15_one_address_cannot_take_every_place() {
    let running = start(Options { connections_per_address_max: 20, ..Options::default() }).await;
    let mut kept = Vec::new();
    for _ in 0..20 {
        let mut stream = running.connect_from(2).await;
        assert!(is_served(&mut stream).await);
        kept.push(stream);
    }
    let mut more = running.connect_from(2).await;
    assert!(rest(&mut more).await.starts_with("HTTP/1.1 503"));
    let mut other = running.connect_from(3).await;
    assert!(is_served(&mut other).await);
}

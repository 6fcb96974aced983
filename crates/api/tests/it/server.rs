//! The accept loop over loopback, with time in the test's hand.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use watchbell_api::serve::Options;

use crate::running::{HEALTH, answer, rest, start};

#[tokio::test]
async fn connections_are_kept_alive_and_pipelined() {
    let running = start(Options::default()).await;
    let mut stream = running.connect().await;
    for _ in 0..3 {
        assert!(answer(&mut stream, HEALTH).await.starts_with("HTTP/1.1 200"));
    }
    let closing = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(format!("{HEALTH}{HEALTH}{closing}").as_bytes()).await.unwrap();
    assert_eq!(rest(&mut stream).await.matches("HTTP/1.1 200").count(), 3);
}

#[tokio::test]
async fn a_head_that_does_not_come_is_cut_off_in_time() {
    let running = start(Options::default()).await;
    let mut silent = running.connect().await;
    let mut slow = running.connect().await;
    slow.write_all(b"GET /healthz HT").await.unwrap();
    let mut after_one = running.connect().await;
    assert!(answer(&mut after_one, HEALTH).await.starts_with("HTTP/1.1 200"));
    after_one.write_all(b"GET /heal").await.unwrap();
    running.pass(20).await;
    for stream in [&mut silent, &mut slow, &mut after_one] {
        assert_eq!(rest(stream).await, "");
    }
}

#[tokio::test]
async fn an_idle_connection_lasts_a_minute() {
    let running = start(Options::default()).await;
    let mut stream = running.connect().await;
    assert!(answer(&mut stream, HEALTH).await.starts_with("HTTP/1.1 200"));
    running.pass(50).await;
    assert!(answer(&mut stream, HEALTH).await.starts_with("HTTP/1.1 200"));
    running.pass(64).await;
    assert_eq!(rest(&mut stream).await, "");
}

#[tokio::test]
async fn connections_beyond_the_limit_get_503() {
    let running = start(Options { connections_per_address_max: 2, ..Options::default() }).await;
    let mut first = running.connect().await;
    let mut second = running.connect().await;
    assert!(answer(&mut first, HEALTH).await.starts_with("HTTP/1.1 200"));
    assert!(answer(&mut second, HEALTH).await.starts_with("HTTP/1.1 200"));
    let mut third = running.connect().await;
    assert!(rest(&mut third).await.starts_with("HTTP/1.1 503"));
    drop(first);
    // The place is given back when the server notices.
    loop {
        let mut again = running.connect().await;
        if answer(&mut again, HEALTH).await.starts_with("HTTP/1.1 200") {
            break;
        }
    }
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused() {
    let running = start(Options::default()).await;
    let mut stream = running.connect().await;
    let many: String = (0..120).map(|n| format!("X-{n}: v\r\n")).collect();
    let request = format!("GET /healthz HTTP/1.1\r\nHost: a\r\n{many}\r\n");
    assert!(answer(&mut stream, &request).await.starts_with("HTTP/1.1 431"));
    let mut stream = running.connect().await;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n", "v".repeat(40 * 1024));
    assert!(answer(&mut stream, &request).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn a_shutdown_says_so_first_then_closes_then_ends() {
    let running = start(Options::default()).await;
    let mut stream = running.connect().await;
    assert!(answer(&mut stream, HEALTH).await.starts_with("HTTP/1.1 200"));
    running.shutdown.cancel();
    while running.world.edge.ready().get() {
        tokio::task::yield_now().await;
    }
    // Still accepting, for whoever asks whether to go on sending.
    let ready = "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut asking = running.connect().await;
    assert!(answer(&mut asking, ready).await.starts_with("HTTP/1.1 503"));
    running.pass(1).await;
    running.server.await.unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
    assert_eq!(rest(&mut stream).await, "");
}

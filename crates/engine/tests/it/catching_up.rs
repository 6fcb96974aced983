//! Endpoints in trouble, slow ones and strict ones, over real sockets: how often they are called, and in which order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use jiff::{SignedDuration, Timestamp};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use watchbell_domain::delivery::StateKind;
use watchbell_domain::endpoint::Order;
use watchbell_domain::port::Clock;
use watchbell_domain::port::testing::ManualClock;
use watchbell_engine::delivery::Options;

use crate::support::rig::{Rig, options, org, settle_down};
use crate::support::sink::read_request;

/// An endpoint that answers with a status that can be changed, and counts how many requests it has at once.
struct Receiver {
    url: String,
    status: Arc<AtomicU16>,
    most_at_once: Arc<AtomicU32>,
    heard: mpsc::UnboundedReceiver<(Timestamp, String)>,
}

impl Receiver {
    async fn start(clock: ManualClock, status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let status = Arc::new(AtomicU16::new(status));
        let most_at_once = Arc::new(AtomicU32::new(0));
        let (hears, heard) = mpsc::unbounded_channel();
        let (answers, most, at_once) = (Arc::clone(&status), Arc::clone(&most_at_once), Arc::new(AtomicU32::new(0)));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (answers, most, at_once) = (Arc::clone(&answers), Arc::clone(&most), Arc::clone(&at_once));
                let (hears, clock) = (hears.clone(), clock.clone());
                tokio::spawn(async move {
                    while let Some(request) = read_request(&mut stream).await {
                        most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        let body = request.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
                        hears.send((clock.now(), body)).unwrap_or_default();
                        settle_down().await;
                        at_once.fetch_sub(1, Ordering::SeqCst);
                        let status = answers.load(Ordering::SeqCst);
                        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { url, status, most_at_once, heard }
    }

    fn answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    fn heard(&mut self) -> Vec<(Timestamp, String)> {
        std::iter::from_fn(|| self.heard.try_recv().ok()).collect()
    }
}

/// Until nothing is in flight and nothing more begins without the clock.
async fn rest(rig: &Rig) {
    loop {
        settle_down().await;
        if rig.observer.in_flight() == 0 {
            settle_down().await;
            if rig.observer.in_flight() == 0 {
                return;
            }
        }
    }
}

async fn pass(rig: &Rig, time: SignedDuration) {
    rig.clock.advance(time);
    rest(rig).await;
}

fn delivered(rig: &Rig) -> usize {
    rig.store.tables().rows.values().filter(|row| row.state == StateKind::Delivered).count()
}

const SECOND: SignedDuration = SignedDuration::from_secs(1);

#[tokio::test]
async fn f27_three_days_down_and_then_everything_arrives_without_a_stampede() {
    let rig = Rig::start(Options { retry_schedule: Options::default().retry_schedule, ..options() });
    let mut receiver = Receiver::start(rig.clock.clone(), 503).await;
    let limit = "20/s burst 20".parse().unwrap();
    let endpoint = rig.endpoint_with(org(1), &receiver.url, |endpoint| endpoint.policy.rate_limit = Some(limit));
    for _ in 0..200 {
        rig.deliver(endpoint, "{}");
    }
    rest(&rig).await;
    let first_calls = receiver.heard().len();
    assert!((5..=20).contains(&first_calls), "{first_calls}: the breaker opened");
    for _ in 0..60 {
        pass(&rig, SECOND).await;
    }
    let probes = receiver.heard().len();
    assert!((3..=7).contains(&probes), "{probes} calls in a minute: probes, further and further apart");
    for _ in 0..3 * 24 {
        pass(&rig, SignedDuration::from_hours(1)).await;
    }
    assert!(receiver.heard().len() <= 3 * 24 + 10, "at most one call a step");
    assert_eq!(delivered(&rig), 0);

    receiver.answers(204);
    receiver.most_at_once.store(0, Ordering::SeqCst);
    let mut seconds = 0_i32;
    while delivered(&rig) < 200 {
        // The first minute second by second; then what is left of it waits for its retries.
        let step = if seconds < 60 { 1 } else { 60 };
        pass(&rig, SECOND * step).await;
        let (calls, most) = (receiver.heard().len(), 20 + 20 * usize::try_from(step).unwrap());
        assert!(calls <= most, "{calls} calls in {step} seconds");
        seconds += step;
        assert!(seconds < 24 * 3600, "{} of 200 have arrived", delivered(&rig));
    }
    assert!(receiver.most_at_once.load(Ordering::SeqCst) <= 10, "no more at once than its window");
}

#[tokio::test]
async fn a_rate_limit_is_kept_to_the_request() {
    let rig = Rig::start(options());
    let mut receiver = Receiver::start(rig.clock.clone(), 200).await;
    let limit = "5/s burst 3".parse().unwrap();
    let endpoint = rig.endpoint_with(org(1), &receiver.url, |endpoint| endpoint.policy.rate_limit = Some(limit));
    for _ in 0..30 {
        rig.deliver(endpoint, "{}");
    }
    rest(&rig).await;
    assert_eq!(receiver.heard().len(), 3, "the burst");
    let mut all = 3;
    for step in 1..=27 {
        pass(&rig, SignedDuration::from_millis(200)).await;
        all += receiver.heard().len();
        assert_eq!(all, 3 + step, "one each 200 ms");
    }
    assert_eq!(delivered(&rig), 30);
}

#[tokio::test]
async fn in_order_the_retries_of_the_first_come_before_the_second() {
    let rig = Rig::start(options());
    let mut receiver = Receiver::start(rig.clock.clone(), 500).await;
    let endpoint = rig.endpoint_with(org(1), &receiver.url, |endpoint| endpoint.policy.order = Order::Endpoint);
    for number in 1..=4 {
        rig.clock.advance(SignedDuration::from_millis(1));
        rig.deliver(endpoint, &format!("{{\"n\": {number}}}"));
    }
    rest(&rig).await;
    for _ in 0..3 {
        pass(&rig, SignedDuration::from_secs(2)).await;
    }
    receiver.answers(200);
    for _ in 0..400 {
        pass(&rig, SignedDuration::from_secs(1)).await;
    }
    let bodies: Vec<String> = receiver.heard().into_iter().map(|(_, body)| body).collect();
    let numbers: Vec<&str> = bodies.iter().map(String::as_str).collect();
    let last = &numbers[numbers.len() - 3..];
    assert_eq!(last, ["{\"n\": 2}", "{\"n\": 3}", "{\"n\": 4}"]);
    let tries = &numbers[..numbers.len() - 3];
    assert!(tries.len() >= 3 && tries.iter().all(|body| *body == "{\"n\": 1}"), "{numbers:?}");
    assert_eq!(receiver.most_at_once.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn h16_a_loop_that_panics_begins_anew_and_nothing_is_lost() {
    let rig = Rig::start(options());
    let mut receiver = Receiver::start(rig.clock.clone(), 200).await;
    let endpoint = rig.endpoint(org(1), &receiver.url);
    rig.deliver(endpoint, "{\"n\": 1}");
    rest(&rig).await;
    rig.store.tables().panics = 2;
    let lost = rig.add(endpoint, watchbell_wire::EventType::ScanStarted, "{\"n\": 2}");
    for _ in 0..200 {
        pass(&rig, SECOND).await;
    }
    assert_eq!(rig.observer.loop_panics(), 2);
    assert_eq!(rig.state(lost), StateKind::Delivered);
    let bodies: Vec<String> = receiver.heard().into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies, ["{\"n\": 1}", "{\"n\": 2}"]);
    assert!(!rig.running.is_finished());
}

//! Log servers and mail servers on raw sockets: what is said to them, in which order, and what becomes of it when they do not
//! do as they should. Addresses are judged whatever carries a message (rows A12–A14).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use watchbell_domain::delivery::AttemptResult::{self, *};
use watchbell_domain::delivery::DeadLetterReason;
use watchbell_domain::endpoint::{Endpoint, Transport};
use watchbell_domain::id::EndpointId;
use watchbell_domain::port::{Next, Settlement};
use watchbell_engine::net::resolver::{Lookup, Resolver};
use watchbell_wire::{EventType, Settings, dialect};

use crate::support::rig::{Net, Rig, open_policy, options, org, settle_down};

fn endpoint(rig: &Rig, dialect_id: &str, url: &str, settings: serde_json::Value) -> EndpointId {
    let serde_json::Value::Object(settings) = settings else { panic!("{settings}") };
    rig.endpoint_with(org(1), url, |endpoint: &mut Endpoint| {
        endpoint.dialect = dialect::find(dialect_id).unwrap();
        endpoint.settings = Settings::new(settings);
        endpoint.secrets.clear();
        endpoint.transport = Transport::default();
    })
}

/// Waits for the next outcome, while time goes on in small steps.
async fn settled(rig: &mut Rig) -> Settlement {
    for _ in 0..100 {
        settle_down().await;
        if let Ok(settlement) = rig.settlements.try_recv() {
            return settlement;
        }
        rig.clock.advance(SignedDuration::from_millis(100));
    }
    panic!("nothing was settled");
}

fn result_of(settlement: &Settlement) -> AttemptResult {
    settlement.attempt.as_ref().unwrap().result
}

async fn accepted(listener: &TcpListener) -> TcpStream {
    listener.accept().await.unwrap().0
}

async fn counted(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut length = String::new();
    loop {
        match stream.read_u8().await.unwrap() {
            b' ' => break,
            digit => length.push(char::from(digit)),
        }
    }
    let mut message = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut message).await.unwrap();
    String::from_utf8(message).unwrap()
}

#[tokio::test]
async fn messages_follow_one_another_on_one_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut rig = Rig::start(options());
    let url = format!("syslog+tcp://{}", listener.local_addr().unwrap());
    let endpoint = endpoint(&rig, "syslog", &url, json!({}));
    rig.deliver(endpoint, r#"{"title": "Schwäche"}"#);
    let mut stream = accepted(&listener).await;
    let first = counted(&mut stream).await;
    assert!(
        first.starts_with("<132>1 2026-06-01T12:00:00.000000Z - watchbell - vulnerability.created [watchbell@32473 ")
    );
    assert!(first.ends_with("] \u{feff}New unknown vulnerability: Schwäche"), "{first}");
    let settlement = settled(&mut rig).await;
    assert_eq!((result_of(&settlement), settlement.next), (Sent, Next::Delivered));
    assert_eq!(settlement.attempt.unwrap().response, None);

    rig.deliver(endpoint, r#"{"title": "Two"}"#);
    assert!(counted(&mut stream).await.ends_with("Two"), "the connection is kept");
    assert_eq!(settled(&mut rig).await.next, Next::Delivered);

    // A receiver that has closed is not written to: the message goes out on a new connection.
    drop(stream);
    settle_down().await;
    rig.deliver(endpoint, r#"{"title": "Three"}"#);
    let mut stream = accepted(&listener).await;
    assert!(counted(&mut stream).await.ends_with("Three"));
    assert_eq!(result_of(&settled(&mut rig).await), Sent);
}

#[tokio::test]
async fn lines_end_with_a_line_feed_where_that_is_wanted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut rig = Rig::start(options());
    let url = format!("syslog+tcp://{}", listener.local_addr().unwrap());
    let endpoint = endpoint(&rig, "cef", &url, json!({"framing": "newline"}));
    rig.deliver(endpoint, "{\"title\": \"a\\nb\"}");
    let mut lines = BufReader::new(accepted(&listener).await).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    assert!(line.contains("|a b|5|rt=") && line.starts_with("<132>1 "), "{line}");
    assert_eq!(result_of(&settled(&mut rig).await), Sent);
}

#[tokio::test]
async fn a_receiver_that_is_gone_or_goes_at_once_has_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut rig = Rig::start(options());
    let endpoint = endpoint(&rig, "syslog", &format!("syslog+tcp://{address}"), json!({}));
    rig.deliver(endpoint, "{}");
    drop(accepted(&listener).await);
    let settlement = settled(&mut rig).await;
    assert!(matches!(result_of(&settlement), ConnectionClosed | ConnectionReset), "{settlement:?}");
    let Next::Retry { due_at, counts: true, .. } = settlement.next else { panic!("{settlement:?}") };
    drop(listener);
    rig.advance_to(due_at);
    assert_eq!(result_of(&settled(&mut rig).await), ConnectRefused);
}

#[tokio::test]
async fn a_datagram_holds_one_message_and_no_more_than_it_may() {
    let receiver = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut rig = Rig::start(options());
    let url = format!("syslog+udp://{}", receiver.local_addr().unwrap());
    let short = endpoint(&rig, "cef", &url, json!({"datagram_max_bytes": 600}));
    rig.deliver(short, &json!({"title": "\\".repeat(400)}).to_string());
    let mut datagram = vec![0; 4096];
    let count = receiver.recv(&mut datagram).await.unwrap();
    assert!((599..=600).contains(&count) && datagram.starts_with(b"<132>1 "), "{count}");
    assert_eq!(result_of(&settled(&mut rig).await), Sent);
}

/// Names lead to a public address when they are saved and to a private one afterwards.
#[derive(Debug)]
struct Rebound(IpAddr);

impl Resolver for Rebound {
    fn resolve<'a>(&'a self, _: &'a str) -> Lookup<'a> {
        Box::pin(async { Ok(vec![self.0]) })
    }
}

#[tokio::test]
async fn a12_a14_no_carrier_goes_where_nothing_may_go() {
    let receiver = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let udp = receiver.local_addr().unwrap().port();
    let tcp = listener.local_addr().unwrap().port();
    let mut policy = open_policy();
    policy.allow.clear();
    let net = Net { policy, resolver: Some(Arc::new(Rebound(Ipv4Addr::LOCALHOST.into()))), ..Net::new() };
    let mut rig = Rig::on(net, options());
    let mail = json!({"from": "a@example.com", "to": ["b@example.com"]});
    let cases = [
        ("syslog", format!("syslog+udp://logs.example.com:{udp}"), json!({})),
        ("syslog", format!("syslog+tcp://logs.example.com:{tcp}"), json!({})),
        ("cef", format!("syslog+tls://logs.example.com:{tcp}"), json!({})),
        ("email", format!("smtp://mail.example.com:{tcp}"), mail.clone()),
        ("email", format!("smtps://mail.example.com:{tcp}"), mail),
        ("syslog", "syslog+udp://169.254.169.254".to_owned(), json!({})),
        ("syslog", "syslog+tcp://logs.example.com:25".to_owned(), json!({})),
        ("syslog", "https://logs.example.com".to_owned(), json!({})),
    ];
    for (dialect, url, settings) in cases {
        let endpoint = endpoint(&rig, dialect, &url, settings);
        rig.deliver(endpoint, "{}");
        let settlement = settled(&mut rig).await;
        assert_eq!(result_of(&settlement), EgressForbidden, "{url}");
        assert_eq!(settlement.attempt.unwrap().detail, None, "{url}");
        rig.store.tables().rows.clear();
    }
    assert!(receiver.try_recv(&mut [0; 1]).is_err());
}

/// What a mail server says, line by line: after its greeting an answer to each line that it reads; and what it read.
async fn mail_server(
    greeting: &'static str,
    answers: Vec<&'static str>,
) -> (SocketAddr, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let mut stream = BufReader::new(accepted(&listener).await);
        stream.write_all(greeting.as_bytes()).await.unwrap();
        let (mut heard, mut answers) = (Vec::new(), answers.into_iter());
        let mut line = Vec::new();
        // What is no line is TLS.
        while stream.read_until(b'\n', &mut line).await.is_ok_and(|count| count > 0) {
            heard.push(String::from_utf8_lossy(&line).trim_end().to_owned());
            line.clear();
            let Some(answer) = answers.next() else { break };
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        heard
    });
    (address, serving)
}

#[tokio::test]
async fn nothing_is_said_to_a_mail_server_without_tls() {
    let cases = [
        ("220 mail\r\n", vec!["250-mail\r\n250 AUTH PLAIN\r\n"], TlsProtocol, vec!["EHLO example.com"]),
        (
            "220 mail\r\n",
            vec!["250-mail\r\n250 STARTTLS\r\n", "454 not now\r\n"],
            Rejected,
            vec!["EHLO example.com", "STARTTLS"],
        ),
        // What stands behind the answer to STARTTLS would be taken for said within TLS.
        (
            "220 mail\r\n",
            vec!["250-mail\r\n250 STARTTLS\r\n", "220 go\r\n250 injected\r\n"],
            TlsProtocol,
            vec!["EHLO example.com", "STARTTLS"],
        ),
        ("554 go away\r\n", vec![], Rejected, vec![]),
        ("421 busy\r\n", vec![], Rejected, vec![]),
        ("HTTP/1.1 400 Bad Request\r\n", vec![], ProtocolError, vec![]),
    ];
    for (greeting, answers, result, heard) in cases {
        let (address, serving) = mail_server(greeting, answers).await;
        let mut rig = Rig::start(options());
        let settings = json!({"from": "a@example.com", "to": ["b@example.com"]});
        let endpoint = endpoint(&rig, "email", &format!("smtp://{address}"), settings);
        rig.deliver_type(endpoint, EventType::WebhookPing, "{}");
        let settlement = settled(&mut rig).await;
        assert_eq!(result_of(&settlement), result, "{greeting} {settlement:?}");
        let refused = matches!(settlement.next, Next::DeadLetter { reason: DeadLetterReason::Refused, .. });
        assert_eq!(refused, greeting.starts_with("554"), "{settlement:?}");
        assert_eq!(serving.await.unwrap(), heard);
    }
}

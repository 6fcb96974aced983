//! Where a name leads: rows A12–A15, asked of a name server on loopback.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use jiff::SignedDuration;
use rstest::rstest;
use tokio::net::UdpSocket;
use watchbell_domain::delivery::AttemptResult::{self, *};
use watchbell_engine::net::resolver::{DnsResolver, Options};

use crate::support::rig::{Net, post, settle_down};
use crate::support::sink::{Sink, exchanges};

const A: u16 = 1;
const CNAME: u16 = 5;
const SOA: u16 = 6;
const AAAA: u16 = 28;

/// What the name server says about every name.
#[derive(Debug, Clone)]
enum Says {
    Addresses(Vec<IpAddr>),
    /// By way of another name.
    Through(Vec<IpAddr>),
    Loop,
    Code(u8),
    Nothing,
    /// Addresses, for so many seconds.
    For(u32, Vec<IpAddr>),
    /// No such name, for so many seconds.
    NoneFor(u32),
}

fn addresses(list: &[&str]) -> Says {
    Says::Addresses(list.iter().map(|address| address.parse().unwrap()).collect())
}

struct NameServer {
    address: SocketAddr,
    says: Arc<Mutex<Says>>,
    asked: Arc<AtomicUsize>,
    names: Arc<Mutex<Vec<String>>>,
}

impl NameServer {
    async fn start(says: Says) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: socket.local_addr().unwrap(),
            says: Arc::new(Mutex::new(says)),
            asked: Arc::default(),
            names: Arc::default(),
        };
        let (says, asked, names) = (Arc::clone(&server.says), Arc::clone(&server.asked), Arc::clone(&server.names));
        tokio::spawn(async move {
            let mut query = [0; 512];
            loop {
                let (length, from) = socket.recv_from(&mut query).await.unwrap();
                asked.fetch_add(1, Ordering::SeqCst);
                let says = says.lock().unwrap().clone();
                let (answer, name) = answer(&query[..length], &says);
                names.lock().unwrap().push(name);
                if let Some(answer) = answer {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });
        server
    }

    fn net(&self) -> Net {
        let mut net = Net::new();
        // Loopback alone is open: it stands for the public internet here.
        net.policy.allow = vec!["127.0.0.0/8".parse().unwrap()];
        let options = Options { servers: vec![self.address], timeout: SignedDuration::from_secs(3) };
        let resolver = DnsResolver::new(&options, Arc::new(net.clock.clone())).unwrap();
        net.resolver = Some(Arc::new(resolver));
        net
    }
}

fn answer(query: &[u8], says: &Says) -> (Option<Vec<u8>>, String) {
    let mut end = 12;
    let mut name = String::new();
    while query[end] != 0 {
        let length = usize::from(query[end]);
        name.push_str(&String::from_utf8_lossy(&query[end + 1..=end + length]));
        name.push('.');
        end += length + 1;
    }
    let kind = u16::from_be_bytes([query[end + 1], query[end + 2]]);
    let question = &query[12..end + 5];
    let mut records = Vec::new();
    let mut authorities = Vec::new();
    let mut code = 0;
    let other = b"\x05other\x07example\x00";
    match says {
        Says::Nothing => return (None, name),
        Says::Code(refusal) => code = *refusal,
        Says::For(ttl, list) => {
            let found = list.iter().filter_map(|address| record(b"\xc0\x0c", kind, address));
            records.extend(found.map(|record| with_ttl(record, 2, *ttl)));
        }
        Says::NoneFor(ttl) => {
            code = 3;
            // SOA: names of server and mailbox, then serial, refresh, retry, expire and minimum.
            let soa = [&b"\x00\x00"[..], &[0; 16], &ttl.to_be_bytes()].concat();
            authorities.push(with_ttl(raw_record(b"\xc0\x0c", SOA, &soa), 2, *ttl));
        }
        Says::Addresses(list) => records.extend(list.iter().filter_map(|address| record(b"\xc0\x0c", kind, address))),
        Says::Through(list) if name.eq_ignore_ascii_case("other.example.") => {
            records.extend(list.iter().filter_map(|address| record(b"\xc0\x0c", kind, address)));
        }
        Says::Through(list) => {
            records.push(raw_record(b"\xc0\x0c", CNAME, other));
            records.extend(list.iter().filter_map(|address| record(other, kind, address)));
        }
        Says::Loop => {
            records.push(raw_record(b"\xc0\x0c", CNAME, other));
            records.push(raw_record(other, CNAME, b"\xc0\x0c"));
        }
    }
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1]);
    answer.extend(u16::try_from(records.len()).unwrap().to_be_bytes());
    answer.extend(u16::try_from(authorities.len()).unwrap().to_be_bytes());
    answer.extend([0; 2]);
    answer.extend(question);
    answer.extend(records.concat());
    answer.extend(authorities.concat());
    (Some(answer), name)
}

fn record(name: &[u8], kind: u16, address: &IpAddr) -> Option<Vec<u8>> {
    match (kind, address) {
        (A, IpAddr::V4(address)) => Some(raw_record(name, A, &address.octets())),
        (AAAA, IpAddr::V6(address)) => Some(raw_record(name, AAAA, &address.octets())),
        _ => None,
    }
}

/// Time to live zero: every look-up asks again.
fn raw_record(name: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap().to_be_bytes();
    [name, &kind.to_be_bytes(), &[0, 1, 0, 0, 0, 0], &length, data].concat()
}

async fn result(says: Says) -> (AttemptResult, usize) {
    let server = NameServer::start(says).await;
    let sink = Sink::always(exchanges(10)).await;
    let url = format!("http://hooks.example.com:{}/", sink.address.port());
    let exchange = post(&server.net().client(), &url, "{}").await;
    for name in server.names.lock().unwrap().iter() {
        let expected = ["hooks.example.com.", "other.example."];
        let known = expected.iter().any(|expected| name.eq_ignore_ascii_case(expected));
        assert!(known, "no search domain is tried: {name}");
    }
    (exchange.result, sink.connections())
}

#[rstest]
#[case(&["127.0.0.1"])]
#[case(&["127.0.0.1", "127.0.0.2"])]
#[tokio::test]
async fn allowed_addresses_are_dialled(#[case] list: &[&str]) {
    assert_eq!(result(addresses(list)).await, (Http(200), 1));
}

#[rstest]
#[case(&["10.0.0.1"])]
#[case(&["169.254.169.254"])]
#[case(&["::1"])]
#[case(&["fd00:ec2::254"])]
#[case(&["::ffff:127.0.0.1"])]
#[case(&["127.0.0.1", "10.0.0.1"])]
#[case(&["10.0.0.1", "127.0.0.1"])]
#[case(&["127.0.0.1", "::1"])]
#[case(&["127.0.0.1", "64:ff9b::7f00:1"])]
#[tokio::test]
async fn a12_a13_one_refused_address_condemns_the_name(#[case] list: &[&str]) {
    assert_eq!(result(addresses(list)).await, (EgressForbidden, 0));
}

#[tokio::test]
async fn a12_through_another_name() {
    let through = |address: &str| Says::Through(vec![address.parse().unwrap()]);
    assert_eq!(result(through("127.0.0.1")).await, (Http(200), 1));
    assert_eq!(result(through("192.168.0.1")).await, (EgressForbidden, 0));
}

#[tokio::test]
async fn a13_the_last_of_many() {
    let mut list: Vec<IpAddr> = (1..60).map(|last| IpAddr::from([127, 0, 0, last])).collect();
    list.push("10.0.0.1".parse().unwrap());
    assert_eq!(result(Says::Addresses(list)).await, (EgressForbidden, 0));
}

#[rstest]
#[case(Says::Code(3))]
#[case(Says::Code(2))]
#[case(Says::Code(5))]
#[case(addresses(&[]))]
#[case(Says::Loop)]
#[tokio::test]
async fn a15_no_address(#[case] says: Says) {
    assert_eq!(result(says).await, (DnsError, 0));
}

#[tokio::test]
async fn a15_silence_ends_at_the_dns_timeout() {
    let server = NameServer::start(Says::Nothing).await;
    let net = server.net();
    let client = net.client();
    let later = async {
        while server.asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        net.clock.advance(SignedDuration::from_secs(3));
    };
    let (exchange, ()) = tokio::join!(post(&client, "http://hooks.example.com:8080/", "{}"), later);
    assert_eq!(exchange.result, DnsError);
}

#[tokio::test]
async fn a14_a_name_that_moves_inside_is_refused_on_the_next_connection() {
    let server = NameServer::start(addresses(&["127.0.0.1"])).await;
    let sink = Sink::always(exchanges(1)).await;
    let url = format!("http://hooks.example.com:{}/", sink.address.port());
    let client = server.net().client();
    assert_eq!(post(&client, &url, "{}").await.result, Http(200));
    *server.says.lock().unwrap() = addresses(&["10.0.0.1"]);
    settle_down().await;
    assert_eq!(post(&client, &url, "{}").await.result, EgressForbidden);
    *server.says.lock().unwrap() = addresses(&["127.0.0.1"]);
    assert_eq!(post(&client, &url, "{}").await.result, Http(200));
    assert_eq!(sink.connections(), 2);
}

#[tokio::test]
async fn a1_an_address_is_never_looked_up() {
    let server = NameServer::start(Says::Nothing).await;
    let sink = Sink::always(exchanges(1)).await;
    let exchange = post(&server.net().client(), &sink.url(), "{}").await;
    assert_eq!(exchange.result, Http(200));
    assert_eq!(server.asked.load(Ordering::SeqCst), 0);
}

fn with_ttl(mut record: Vec<u8>, name_length: usize, ttl: u32) -> Vec<u8> {
    record[name_length + 4..name_length + 8].copy_from_slice(&ttl.to_be_bytes());
    record
}

/// Asks at these seconds, and says how many queries had come after each.
async fn asked_at(says: Says, seconds: &[i64]) -> Vec<usize> {
    let server = NameServer::start(says).await;
    let net = server.net();
    let resolver = net.resolver.clone().unwrap();
    let mut counts = Vec::new();
    let mut before = 0;
    for second in seconds {
        net.clock.advance(SignedDuration::from_secs(second - before));
        before = *second;
        resolver.resolve("hooks.example.com").await.map(drop).unwrap_or_default();
        counts.push(server.asked.load(Ordering::SeqCst));
    }
    counts
}

#[tokio::test]
async fn an_answer_is_kept_for_its_time_to_live_and_no_longer() {
    let here = || vec!["127.0.0.1".parse().unwrap()];
    // Each look-up asks for both families.
    assert_eq!(asked_at(Says::For(30, here()), &[0, 29, 30, 59, 60]).await, [2, 2, 4, 4, 6]);
    assert_eq!(asked_at(Says::For(0, here()), &[0, 0]).await, [2, 4]);
    // Nobody is believed for a week.
    assert_eq!(asked_at(Says::For(604_800, here()), &[0, 86_399, 86_400]).await, [2, 2, 4]);
}

#[tokio::test]
async fn that_there_is_no_such_name_is_kept_for_a_minute_at_most() {
    let counts = asked_at(Says::NoneFor(10), &[0, 9, 10]).await;
    assert!(counts[0] > 0 && counts[1] == counts[0] && counts[2] > counts[1], "{counts:?}");
    let counts = asked_at(Says::NoneFor(86_400), &[0, 59, 60]).await;
    assert!(counts[1] == counts[0] && counts[2] > counts[1], "{counts:?}");
    let counts = asked_at(Says::Code(2), &[0, 0]).await;
    assert!(counts[1] > counts[0], "a server's failure is not kept: {counts:?}");
}

#[tokio::test]
async fn a14_a_kept_answer_is_judged_again_by_who_dials() {
    let server = NameServer::start(Says::For(300, vec!["127.0.0.1".parse().unwrap()])).await;
    let mut net = server.net();
    let sink = Sink::always(exchanges(1)).await;
    let url = format!("http://hooks.example.com:{}/hook", sink.address.port());
    assert_eq!(post(&net.client(), &url, "{}").await.result, Http(200));
    net.policy.allow.clear();
    assert_eq!(post(&net.client(), &url, "{}").await.result, EgressForbidden);
    assert_eq!(server.asked.load(Ordering::SeqCst), 2, "the answer was kept");
}

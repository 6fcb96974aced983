//! Row C15 with the binary: no file descriptors left.
//!
//! The server has 36 of them; its own files and the clients it would take are more. Accepting fails, and goes on when
//! clients leave; what is accepted then is delivered.

use std::net::SocketAddr;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::TURN;
use crate::client::{Client, make_endpoint, make_org};
use crate::process::Home;
use crate::sink::Sink;

const DESCRIPTORS: u32 = 36;
const CLIENTS: u8 = 100;

async fn connect(address: &str, last: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
    socket.connect(address.parse().unwrap()).await.unwrap()
}

#[tokio::test]
async fn c15_clients_that_take_every_descriptor_stop_nothing_for_good() {
    let _turn = TURN.lock().await;
    let home = Home::new("");
    let server = home.start_with_descriptors(DESCRIPTORS);
    let mut sink = Sink::start().await;
    for round in 0..3 {
        let mut crowd = Vec::new();
        for number in 0..CLIENTS {
            let mut stream = connect(&server.address, 2 + number).await;
            // Some ask, so that they are seen to be accepted or refused; none leaves.
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await.ok();
            crowd.push(stream);
        }
        let mut first = [0; 12];
        crowd[0].read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200", "who is in is served");
        drop(crowd);

        let mut client = Client::new(&server.address);
        // Places are given back one by one as the server notices.
        while !matches!(client.get("/readyz").await, Ok((200, _))) {
            client = Client::new(&server.address);
        }
        let org = make_org(&mut client, &format!("round-{round}")).await;
        let url = format!("{}/take/{org}", sink.url);
        make_endpoint(&mut client, &org, json!({"url": url, "dialect": "standard"})).await;
        let events = format!("/api/v1/orgs/{org}/events");
        client.must_post(&events, json!({"type": "crowd.test", "data": {}})).await;
        let arrival = sink.arrivals.recv().await.unwrap();
        assert_eq!(arrival.path, format!("/take/{org}"));
    }
}

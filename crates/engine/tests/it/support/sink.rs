//! An endpoint of raw TCP: does what a script says, to the byte.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// One thing an endpoint does on a connection.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Reads one whole request.
    Read,
    /// Reads so many bytes.
    ReadBytes(usize),
    /// Writes these bytes.
    Write(Vec<u8>),
    /// Writes these bytes for ever.
    Flood(Vec<u8>),
    /// Ends the connection at once, with a reset.
    Reset,
    /// Waits until it is told to go on.
    Wait,
    /// Says nothing more and keeps the connection open.
    Hang,
}

pub(crate) fn write(text: impl AsRef<[u8]>) -> Step {
    Step::Write(text.as_ref().to_vec())
}

/// An ordinary answer.
pub(crate) fn answer(status: u16) -> Step {
    write(format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok"))
}

/// So many ordinary exchanges on one connection, which then waits for more.
pub(crate) fn exchanges(count: usize) -> Vec<Step> {
    let exchanges = std::iter::repeat_n([Step::Read, answer(200)], count).flatten();
    exchanges.chain([Step::Read]).collect()
}

pub(crate) struct Sink {
    pub address: SocketAddr,
    pub requests: mpsc::UnboundedReceiver<String>,
    pub connections: Arc<AtomicUsize>,
    go_on: mpsc::UnboundedSender<()>,
}

impl Sink {
    /// The n-th connection follows the n-th script, later ones the last.
    pub(crate) async fn start(scripts: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, requests) = mpsc::unbounded_channel();
        let (go_on, gone_on) = mpsc::unbounded_channel();
        let gone_on = Arc::new(tokio::sync::Mutex::new(gone_on));
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = count.fetch_add(1, Ordering::SeqCst);
                let script = scripts.get(number).or(scripts.last()).cloned().unwrap_or_default();
                tokio::spawn(follow(stream, script, heard.clone(), Arc::clone(&gone_on)));
            }
        });
        Self { address, requests, connections, go_on }
    }

    /// Every connection follows the same script.
    pub(crate) async fn always(script: Vec<Step>) -> Self {
        Self::start(vec![script]).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub(crate) fn go_on(&self) {
        self.go_on.send(()).unwrap();
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) async fn request(&mut self) -> String {
        self.requests.recv().await.unwrap()
    }
}

type GoneOn = Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<()>>>;

async fn follow(mut stream: TcpStream, script: Vec<Step>, heard: mpsc::UnboundedSender<String>, gone_on: GoneOn) {
    for step in script {
        match step {
            Step::Read => match read_request(&mut stream).await {
                Some(request) => heard.send(request).unwrap_or_default(),
                None => return,
            },
            Step::ReadBytes(count) => {
                if stream.read_exact(&mut vec![0; count]).await.is_err() {
                    return;
                }
            }
            Step::Write(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Step::Flood(bytes) => while stream.write_all(&bytes).await.is_ok() {},
            Step::Reset => {
                stream.set_zero_linger().unwrap();
                return;
            }
            Step::Wait => {
                gone_on.lock().await.recv().await;
            }
            Step::Hang => std::future::pending().await,
        }
    }
}

/// Head and body of one request, as text. `None`: the peer closed before it was complete.
pub(crate) async fn read_request(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
            if body.len() >= length.parse::<usize>().unwrap() {
                return Some(text);
            }
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

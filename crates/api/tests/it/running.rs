//! The edge behind its accept loop on loopback, with time in the test's hand, and clients that write bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use watchbell_api::serve::{Options, Server};
use watchbell_domain::SignedDuration;

use crate::world::{ROOT, World};

/// A test that waits for what never comes fails after this, and decides nothing by it.
const NEVER: Duration = Duration::from_secs(20);

pub(crate) const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

pub(crate) struct Running {
    pub(crate) world: World,
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) server: JoinHandle<()>,
}

pub(crate) async fn start(options: Options) -> Running {
    start_with(options, |_| {}).await
}

/// `change` is for the options of the edge.
pub(crate) async fn start_with(options: Options, change: impl FnOnce(&mut watchbell_api::Options)) -> Running {
    let world = World::with(change).await;
    world.edge.ready().set(true);
    let listener = TcpSocket::new_v4().unwrap();
    listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener: TcpListener = listener.listen(4096).unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let server = Server {
        router: world.router.clone(),
        ready: world.edge.ready(),
        clock: Arc::new(world.clock.clone()),
        options,
    };
    let server = tokio::spawn(server.run(listener, shutdown.clone()));
    Running { world, address, shutdown, server }
}

impl Running {
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A connection from `127.0.0.LAST`.
    pub(crate) async fn connect_from(&self, last: u8) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    /// Writes to a new connection and reads until the server closes it.
    pub(crate) async fn tell(&self, text: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        // A server that has refused need not read the rest.
        stream.write_all(text.as_ref()).await.ok();
        rest(&mut stream).await
    }

    /// As [`Self::tell`], with a healthy request behind, which must not be answered.
    #[track_caller]
    pub(crate) fn refuses(&self, text: impl AsRef<[u8]>) -> impl Future<Output = String> {
        let caller = std::panic::Location::caller();
        async move {
            let text = [text.as_ref(), HEALTH.as_bytes()].concat();
            let answer = self.tell(&text).await;
            let shown = String::from_utf8_lossy(text.get(..200).unwrap_or(&text)).into_owned();
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{caller}: {shown:?} got {answer}");
            answer
        }
    }

    /// Lets `seconds` pass in small steps, each long enough in turns for the tasks that wait to notice it.
    pub(crate) async fn pass(&self, seconds: i64) {
        for _ in 0..seconds * 4 {
            self.turns().await;
            self.world.clock.advance(SignedDuration::from_millis(250));
        }
        self.turns().await;
    }

    pub(crate) async fn turns(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    /// How many events are stored.
    pub(crate) async fn events(&self) -> usize {
        let listed = self.world.get(&self.world.path("/events")).await.is(200).json();
        listed["items"].as_array().unwrap().len()
    }

    /// The head of a POST to the events route, without the lines about its body and without its end.
    pub(crate) fn post_head(&self) -> String {
        let path = self.world.path("/events");
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {ROOT}\r\nContent-Type: application/json\r\n")
    }
}

/// A body that the events route takes.
pub(crate) const EVENT: &str = r#"{"type":"acme.thing_happened","data":{}}"#;

/// What comes until the other side closes.
pub(crate) async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = tokio::time::timeout(NEVER, stream.read_to_end(&mut text)).await;
    drop(read.expect("the server closes the connection"));
    String::from_utf8_lossy(&text).into_owned()
}

/// One answer without a body worth reading.
pub(crate) async fn answer(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    next(stream).await
}

/// What comes next.
pub(crate) async fn next(stream: &mut TcpStream) -> String {
    let mut text = vec![0; 4096];
    let read = tokio::time::timeout(NEVER, stream.read(&mut text)).await.expect("the server answers").unwrap();
    String::from_utf8_lossy(&text[..read]).into_owned()
}

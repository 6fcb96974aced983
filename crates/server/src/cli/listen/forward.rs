//! One request sent on as it came: the names of its headers keep their letters, so it is written by hand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

/// Longest wait for the receiver's answer: longer than a person stays at a breakpoint is too long.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Of an answer only its first line counts.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Headers of the connection, which are this one's own.
const OWN: [&str; 11] = [
    "host",
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Where requests go.
pub(super) struct Target {
    pub(super) url: Url,
    /// Not only to this machine.
    pub(super) any_host: bool,
    pub(super) tls: Arc<ClientConfig>,
}

/// What came of one.
pub(super) struct Forwarded {
    /// The path it was sent to.
    pub(super) to: String,
    pub(super) answered: Result<Answered, String>,
    pub(super) took: Duration,
}

/// How many bytes of its body a request still has, where some were not kept.
pub(super) fn bytes_left(request: &Value) -> Option<u64> {
    let text = request.get("body_base64").and_then(Value::as_str).unwrap_or_default();
    let left = u64::try_from(BASE64.decode(text).map_or(0, |body| body.len())).ok()?;
    let came = request.get("body_bytes").and_then(Value::as_u64)?;
    (left < came).then_some(left)
}

/// The first line of an answer.
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) reason: String,
}

impl Target {
    /// Whether it may be sent to, as far as it can be seen before.
    pub(super) async fn check(&self) -> Result<(), String> {
        self.addresses().await.map(drop)
    }

    /// Sends a captured request on. Its receiver is asked once.
    #[expect(clippy::disallowed_methods, reason = "a command line measures by the machine's clock")]
    pub(super) async fn forward(&self, request: &Value) -> Forwarded {
        let to = self.path(request);
        let began = Instant::now();
        let answered = match tokio::time::timeout(TIMEOUT, self.exchange(request, &to)).await {
            Ok(answered) => answered,
            Err(_) => Err(format!("none within {} s", TIMEOUT.as_secs())),
        };
        Forwarded { to, answered, took: began.elapsed() }
    }

    /// The URL's path, what stands below the inbox in the request's, and its query.
    fn path(&self, request: &Value) -> String {
        let text = |member: &str| request.get(member).and_then(Value::as_str);
        // `/capture/{token}` and what is below.
        let below = text("path").and_then(|path| path.splitn(4, '/').nth(3)).unwrap_or_default();
        let own = self.url.path();
        let mut path = match below {
            "" => own.to_owned(),
            below => format!("{}/{below}", own.trim_end_matches('/')),
        };
        let queries = [self.url.query(), text("query")];
        for (query, mark) in queries.into_iter().flatten().zip(['?', '&']) {
            path.push(mark);
            path.push_str(query);
        }
        path
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, String> {
        let host = self.url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = self.url.port_or_known_default().unwrap_or(80);
        let found = tokio::net::lookup_host((host, port)).await.map_err(|error| format!("{host}: {error}"))?;
        let all: Vec<SocketAddr> = found.collect();
        let here: Vec<SocketAddr> =
            all.iter().copied().filter(|address| self.any_host || address.ip().to_canonical().is_loopback()).collect();
        match (here.is_empty(), all.is_empty()) {
            (false, _) => Ok(here),
            (true, true) => Err(format!("{host} has no address")),
            (true, false) => Err(format!(
                "{host} is not this machine: what is forwarded holds credentials, so another host wants --allow-any"
            )),
        }
    }

    async fn exchange(&self, request: &Value, to: &str) -> Result<Answered, String> {
        let addresses = self.addresses().await?;
        let tcp = TcpStream::connect(addresses.as_slice()).await.map_err(|error| error.to_string())?;
        tcp.set_nodelay(true).map_err(|error| error.to_string())?;
        let bytes = self.bytes(request, to)?;
        if self.url.scheme() == "http" {
            return ask(tcp, &bytes).await;
        }
        let host = self.url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
        let tls = TlsConnector::from(Arc::clone(&self.tls));
        ask(tls.connect(name, tcp).await.map_err(|error| error.to_string())?, &bytes).await
    }

    /// The request as it goes out. What the server sent is checked once more: a line end in it would be another request.
    fn bytes(&self, request: &Value, to: &str) -> Result<Vec<u8>, String> {
        let text = |member: &str| request.get(member).and_then(Value::as_str).unwrap_or_default();
        let is_clean = |text: &str| !text.contains(['\r', '\n', '\0']);
        let body = BASE64.decode(text("body_base64")).map_err(|_| "the server's answer has no body".to_owned())?;
        let authority = match self.url.port() {
            Some(port) => format!("{}:{port}", self.url.host_str().unwrap_or_default()),
            None => self.url.host_str().unwrap_or_default().to_owned(),
        };
        let mut head = format!("{} {to} HTTP/1.1\r\nHost: {authority}\r\n", text("method"));
        if !is_clean(text("method")) || !is_clean(to) {
            return Err("its method or path holds a line end".to_owned());
        }
        for line in request.get("headers").and_then(Value::as_array).into_iter().flatten() {
            let part = |index: usize| line.get(index).and_then(Value::as_str).unwrap_or_default();
            let (name, value) = (part(0), part(1));
            if OWN.contains(&name.to_ascii_lowercase().as_str()) || name.is_empty() {
                continue;
            }
            if !is_clean(name) || !is_clean(value) {
                return Err(format!("its header {name:?} holds a line end"));
            }
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\nConnection: close\r\n\r\n", body.len()));
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&body);
        Ok(bytes)
    }
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, bytes: &[u8]) -> Result<Answered, String> {
    // A receiver that answers early may close before it has read everything; its answer counts.
    let written = stream.write_all(bytes).await;
    let mut head = Vec::new();
    let mut piece = [0; 2048];
    loop {
        if let Some(answered) = first_line(&head)? {
            return Ok(answered);
        }
        if head.len() > HEAD_BYTES_MAX {
            return Err("what came back is no HTTP".to_owned());
        }
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => {
                let problem = written.err().map_or_else(String::new, |error| format!(": {error}"));
                return Err(format!("the connection was closed{problem}"));
            }
            Ok(count) => head.extend_from_slice(piece.get(..count).unwrap_or_default()),
        }
    }
}

/// The status line of a final answer; what only says that more is to come is passed over.
fn first_line(head: &[u8]) -> Result<Option<Answered>, String> {
    let broken = || "what came back is no HTTP".to_owned();
    let mut rest = head;
    loop {
        let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") else {
            return Ok(None);
        };
        let line = std::str::from_utf8(rest.get(..end).unwrap_or_default()).map_err(|_| broken())?;
        let mut parts = line.splitn(3, ' ');
        let is_http = parts.next().is_some_and(|version| version.starts_with("HTTP/1."));
        let status: u16 = parts.next().and_then(|status| status.parse().ok()).filter(|_| is_http).ok_or_else(broken)?;
        if status >= 200 || status == 101 {
            let reason = parts.next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(60).collect();
            return Ok(Some(Answered { status, reason }));
        }
        let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        rest = rest.get(end + 4..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn target(url: &str) -> Target {
        Target { url: url.parse().unwrap(), any_host: false, tls: crate::client::tls(None).unwrap() }
    }

    #[test]
    fn what_is_below_the_inbox_is_added() {
        let to = |url: &str, path: &str, query: Option<&str>| target(url).path(&json!({"path": path, "query": query}));
        assert_eq!(to("http://localhost:1/hook", "/capture/t", None), "/hook");
        assert_eq!(to("http://localhost:1/hook/", "/capture/t/a/b", Some("x=1")), "/hook/a/b?x=1");
        assert_eq!(to("http://localhost:1/?k=v", "/capture/t/a", Some("x=1")), "/a?k=v&x=1");
        assert_eq!(to("http://localhost:1", "/capture/t/", Some("x=1")), "/?x=1");
    }

    #[test]
    fn a_request_goes_out_as_it_came_but_for_the_connection() {
        let request = json!({
            "method": "PUT",
            "headers": [["Host", "hub"], ["X-hUb", "a"], ["x-hub", "b"], ["Transfer-Encoding", "chunked"]],
            "body_base64": "eyJ9",
        });
        let bytes = target("http://localhost:3000/hook").bytes(&request, "/hook").unwrap();
        let wanted = "PUT /hook HTTP/1.1\r\nHost: localhost:3000\r\nX-hUb: a\r\nx-hub: b\r\nContent-Length: 3\r\n\
                      Connection: close\r\n\r\n{\"}";
        assert_eq!(String::from_utf8(bytes).unwrap(), wanted);
        for (member, value) in [("method", json!("A\r\nB")), ("headers", json!([["a", "b\r\nc: d"]]))] {
            let mut request = request.clone();
            request[member] = value;
            assert!(target("http://localhost/").bytes(&request, "/").is_err());
        }
    }

    #[test]
    fn the_final_answer_counts() {
        let line =
            |text: &str| first_line(text.as_bytes()).map(|found| found.map(|found| (found.status, found.reason)));
        assert_eq!(line("HTTP/1.1 204 No Content\r\n"), Ok(Some((204, "No Content".to_owned()))));
        assert_eq!(line("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500\r\n"), Ok(Some((500, String::new()))));
        assert_eq!(line("HTTP/1.1 100 Continue\r\n"), Ok(None));
        assert_eq!(line("HTTP/1.1 20"), Ok(None));
        assert!(line("SSH-2.0-x\r\n").is_err());
    }

    #[tokio::test]
    async fn other_hosts_are_refused_unless_allowed() {
        for url in ["http://192.0.2.1/", "http://[2001:db8::1]:80/", "http://10.0.0.1:3000/"] {
            assert!(target(url).check().await.unwrap_err().contains("--allow-any"), "{url}");
            assert!(Target { any_host: true, ..target(url) }.check().await.is_ok(), "{url}");
        }
        for url in ["http://127.0.0.1:1/", "http://[::1]:1/", "http://[::ffff:127.0.0.1]/"] {
            assert!(target(url).check().await.is_ok(), "{url}");
        }
    }
}

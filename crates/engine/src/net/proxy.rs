//! The operator's way out: an HTTP proxy that is asked, by CONNECT (RFC 9110, section 9.3.6), for a connection to an
//! address that was judged. It sees addresses and, of https, nothing but TLS.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::{Host, Url};
use watchbell_domain::delivery::AttemptResult;
use watchbell_wire::Secret;

use super::connector::Stream;
use super::fault::Fault;

/// The longest answer to CONNECT that is read.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// A proxy and what it wants to know of us. Prints without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub(super) host: Host<String>,
    pub(super) port: u16,
    /// The value of `Proxy-Authorization`.
    authorization: Option<Secret>,
}

/// The text is no proxy. Never repeats it: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("http://HOST:PORT or http://USER:PASSWORD@HOST:PORT is wanted, without a path")]
pub struct NotAProxy;

impl FromStr for Proxy {
    type Err = NotAProxy;

    fn from_str(text: &str) -> Result<Self, NotAProxy> {
        let url = Url::parse(text.trim()).map_err(|_| NotAProxy)?;
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if url.scheme() != "http" || !is_bare {
            return Err(NotAProxy);
        }
        let host = url.host().ok_or(NotAProxy)?.to_owned();
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or(NotAProxy)?;
        let authorization = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => {
                let mut pair = decoded(user)?;
                pair.push(b':');
                pair.extend(decoded(password.unwrap_or_default())?);
                Some(Secret::new(format!("Basic {}", STANDARD.encode(pair))))
            }
        };
        Ok(Self { host, port, authorization })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.authorization.as_ref().map_or("", |_| "[redacted]@");
        write!(f, "http://{user}{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

impl Proxy {
    /// Has the proxy connect the stream to an address.
    pub(super) async fn tunnel(
        &self,
        mut stream: Box<dyn Stream>,
        address: SocketAddr,
    ) -> Result<Box<dyn Stream>, Fault> {
        let mut head = format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n");
        if let Some(authorization) = &self.authorization {
            head.push_str("Proxy-Authorization: ");
            head.push_str(authorization.expose());
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        let gone = |_| fault("it closed the connection");
        stream.write_all(head.as_bytes()).await.map_err(gone)?;
        stream.flush().await.map_err(gone)?;
        let answer = read_head(&mut stream).await?;
        match status(&answer) {
            Some(200..=299) => Ok(stream),
            Some(407) => Err(fault("it wants other credentials (407)")),
            Some(status) => Err(fault(&format!("it answered {status}"))),
            None => Err(fault("it does not speak HTTP")),
        }
    }
}

/// A failure of the proxy's, as it is told to the endpoint's owner: the proxy's own address is nobody's business.
pub(super) fn fault(what: &str) -> Fault {
    Fault::new(AttemptResult::ConnectUnreachable, format!("the egress proxy: {what}"))
}

/// Byte by byte: what follows the head belongs to the endpoint.
async fn read_head(stream: &mut Box<dyn Stream>) -> Result<Vec<u8>, Fault> {
    let mut head = Vec::with_capacity(256);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD_BYTES_MAX {
            return Err(fault("its answer is too long"));
        }
        head.push(stream.read_u8().await.map_err(|_| fault("it closed the connection"))?);
    }
    Ok(head)
}

fn status(head: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(head.split(|byte| *byte == b'\r').next()?).ok()?;
    let status = line.strip_prefix("HTTP/1.")?.split(' ').nth(1)?;
    (status.len() == 3).then(|| status.parse().ok()).flatten()
}

/// Text of a URL with its `%XX` read.
fn decoded(text: &str) -> Result<Vec<u8>, NotAProxy> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or(NotAProxy)?;
        bytes.extend(hex::decode(digits).map_err(|_| NotAProxy)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_and_printed_without_its_password() {
        let proxy: Proxy = "http://us%40corp:p%3Aw@proxy.corp.example:3128".parse().unwrap();
        assert_eq!(proxy.authorization.as_ref().unwrap().expose(), "Basic dXNAY29ycDpwOnc=");
        assert_eq!(format!("{proxy} {proxy:?}").matches("[redacted]@proxy.corp.example:3128").count(), 2);
        let plain: Proxy = "http://[::1]:3128/".parse().unwrap();
        assert_eq!(plain.to_string(), "http://[::1]:3128");
        for text in [
            "",
            "proxy:3128",
            "https://a:1",
            "socks5://a:1",
            "http://a:0",
            "http://a/x",
            "http://a?b",
            "http://%zz@a:1",
        ] {
            assert_eq!(text.parse::<Proxy>(), Err(NotAProxy), "{text}");
        }
    }

    #[test]
    fn an_answer_has_a_status() {
        assert_eq!(status(b"HTTP/1.1 200 Connection established\r\n\r\n"), Some(200));
        assert_eq!(status(b"HTTP/1.0 407\r\n\r\n"), Some(407));
        for head in ["", "SSH-2.0-x\r\n", "HTTP/1.1\r\n", "HTTP/1.1 2000 x\r\n", "HTTP/2 200 OK\r\n"] {
            assert_eq!(status(head.as_bytes()), None, "{head}");
        }
    }
}

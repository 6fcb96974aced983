//! A client of the HTTP API: one kept-alive connection, JSON in and out.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::process::ADMIN_KEY;

/// One connection to a server, opened again when it was closed.
pub(crate) struct Client {
    address: String,
    connection: Option<SendRequest<Full<Bytes>>>,
    /// Of the last answer.
    pub(crate) retry_after: Option<String>,
}

/// Status and body, or that the connection broke before there was a complete answer.
pub(crate) type Answer = Result<(u16, Value), ()>;

impl Client {
    pub(crate) fn new(address: &str) -> Self {
        Self { address: address.to_owned(), connection: None, retry_after: None }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, String::new(), None).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, body.to_string(), None).await
    }

    /// As [`Self::post`], done once however often it is asked with the key.
    #[cfg(feature = "failpoints")]
    pub(crate) async fn post_once(&mut self, path: &str, key: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, body.to_string(), Some(key)).await
    }

    /// The body of a page that is no JSON.
    pub(crate) async fn text(&mut self, path: &str) -> String {
        let (status, answer) = self.get(path).await.expect("the server answers");
        assert_eq!(status, 200, "GET {path}: {answer}");
        answer.as_str().unwrap_or_default().to_owned()
    }

    /// As [`Self::post`], but anything other than 2xx fails the test.
    pub(crate) async fn must_post(&mut self, path: &str, body: Value) -> Value {
        let (status, answer) = self.post(path, &body).await.expect("the server answers");
        assert!((200..300).contains(&status), "POST {path} {body}: {status} {answer}");
        answer
    }

    async fn send(&mut self, method: Method, path: &str, body: String, key: Option<&str>) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.address)
            .header("authorization", format!("Bearer {ADMIN_KEY}"));
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        self.ask(request.body(Full::new(Bytes::from(body))).unwrap()).await
    }

    /// Posts bytes with these header lines and no others.
    pub(crate) async fn post_bytes(&mut self, path: &str, lines: &[(String, String)], body: Vec<u8>) -> Answer {
        let mut request = Request::post(path).header("host", &self.address);
        for (name, value) in lines {
            request = request.header(name, value);
        }
        self.ask(request.body(Full::new(Bytes::from(body))).unwrap()).await
    }

    async fn ask(&mut self, request: Request<Full<Bytes>>) -> Answer {
        if self.connection.as_ref().is_none_or(SendRequest::is_closed) {
            self.connection = Some(self.connect().await?);
        }
        let connection = self.connection.as_mut().ok_or(())?;
        connection.ready().await.map_err(drop)?;
        let response = connection.send_request(request).await.map_err(drop)?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(http::header::RETRY_AFTER);
        self.retry_after = retry_after.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = Limited::new(response.into_body(), 64 << 20);
        let bytes = read_whole(body).await?;
        let value = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into())
        };
        Ok((status, value))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, ()> {
        let stream = TcpStream::connect(&self.address).await.map_err(drop)?;
        stream.set_nodelay(true).map_err(drop)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(drop)?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

#[expect(clippy::disallowed_methods, reason = "the body is limited by its type")]
async fn read_whole<B>(body: Limited<B>) -> Result<Bytes, ()>
where
    B: http_body::Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    body.collect().await.map(|body| body.to_bytes()).map_err(drop)
}

/// A client without a key: a vendor, with headers of its own.
pub(crate) struct Raw {
    client: Client,
}

impl Raw {
    pub(crate) fn new(address: &str) -> Self {
        Self { client: Client::new(address) }
    }

    pub(crate) async fn post(&self, path: &str, lines: &[(&str, &str)], body: &str) -> (u16, Value) {
        self.try_post(path, lines, body).await.expect("the server answers")
    }

    pub(crate) async fn try_post(&self, path: &str, lines: &[(&str, &str)], body: &str) -> Answer {
        let mut connection = self.client.connect().await?;
        let mut request = Request::post(path).header("host", &self.client.address);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        let response = connection.send_request(request).await.map_err(drop)?;
        let status = response.status().as_u16();
        let bytes = read_whole(Limited::new(response.into_body(), 1 << 20)).await?;
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }
}

/// Makes an organisation and answers its slug.
pub(crate) async fn make_org(client: &mut Client, slug: &str) -> String {
    client.must_post("/api/v1/orgs", serde_json::json!({"name": slug, "slug": slug})).await;
    slug.to_owned()
}

/// Makes an endpoint of a dialect and answers it (with its secret, where one was made).
pub(crate) async fn make_endpoint(client: &mut Client, org: &str, body: Value) -> Value {
    client.must_post(&format!("/api/v1/orgs/{org}/endpoints"), body).await
}

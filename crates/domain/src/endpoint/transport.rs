//! How the connection to an endpoint is made: who we say we are, whom we trust, which HTTP is spoken.
//!
//! All of it was checked when it was saved (`engine::admin::transport`). What is secret is a [`Secret`].

use watchbell_wire::Secret;

/// How requests reach an endpoint. The default: no credentials, the server's own trust, HTTP as the two sides agree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transport {
    /// What the `Authorization` header says.
    pub auth: Option<Auth>,
    /// Our certificate, and whom we trust beside the server's roots.
    pub tls: TlsSettings,
    /// Which HTTP is spoken.
    pub http_version: HttpVersion,
}

/// What the `Authorization` header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// RFC 7617.
    Basic {
        /// Without a colon.
        username: String,
        /// Anything.
        password: Secret,
    },
    /// RFC 6750, a token that does not change.
    Bearer {
        /// The token.
        token: Secret,
    },
    /// RFC 6749, section 4.4: a token that is fetched and renewed.
    OAuth2(OAuth2Client),
}

impl Auth {
    /// `basic`, `bearer`, `oauth2`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Basic { .. } => "basic",
            Self::Bearer { .. } => "bearer",
            Self::OAuth2(_) => "oauth2",
        }
    }
}

/// A client that fetches its tokens by the client credentials grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth2Client {
    /// Where tokens are fetched. Judged like an endpoint's URL, on saving and before every connection.
    pub token_url: String,
    /// Who we are there.
    pub client_id: String,
    /// By what we show it.
    pub client_secret: Secret,
    /// What the token is to be good for, as the token server spells it.
    pub scope: Option<String>,
    /// For whom the token is to be, where the token server asks for it.
    pub audience: Option<String>,
    /// How id and secret are sent.
    pub auth_style: AuthStyle,
}

/// How a client shows its id and secret to the token server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthStyle {
    /// In the `Authorization` header, which every token server must understand.
    #[default]
    Basic,
    /// In the body of the request.
    Body,
}

impl AuthStyle {
    /// `basic`, `body`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Body => "body",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Basic, Self::Body].into_iter().find(|style| style.as_str() == text)
    }
}

/// What an endpoint's TLS differs in. There is nothing here that turns verification off.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsSettings {
    /// What we show when the endpoint asks who we are.
    pub client: Option<ClientIdentity>,
    /// CAs that are trusted in addition, as PEM.
    pub ca_pem: Option<String>,
}

impl TlsSettings {
    /// Whether the server's own settings are meant.
    pub const fn is_default(&self) -> bool {
        self.client.is_none() && self.ca_pem.is_none()
    }
}

/// A client certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The certificate and what stands between it and its CA, the certificate first, as PEM.
    pub certificate_pem: String,
    /// Its private key, as PEM.
    pub key_pem: Secret,
}

/// Which HTTP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpVersion {
    /// HTTP/2 where the endpoint offers it, else HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 alone, and over TLS alone.
    Http2,
}

impl HttpVersion {
    /// `auto`, `http1`, `http2`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Http1 => "http1",
            Self::Http2 => "http2",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Auto, Self::Http1, Self::Http2].into_iter().find(|version| version.as_str() == text)
    }
}

//! An endpoint's transport as JSON, in and out in one shape: what was secret on the way in is `[redacted]` on the way out.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::{PartialSchema, ToSchema};
use watchbell_domain::endpoint::{self, AuthStyle, ClientIdentity, OAuth2Client, TlsSettings};
use watchbell_engine::admin::transport::REDACTED;
use watchbell_wire::Secret;

/// Goes in, and does not come out again.
#[derive(Debug)]
pub(super) struct Sealed(Secret);

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

impl PartialSchema for Sealed {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}

impl ToSchema for Sealed {}

/// What the `Authorization` header says. Answers hold `[redacted]` in a secret's place.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
#[schema(as = EndpointAuth)]
pub(super) enum Auth {
    /// A user name and a password.
    Basic {
        /// Without a colon.
        username: String,
        password: Sealed,
    },
    /// A token that does not change.
    Bearer { token: Sealed },
    /// A token that Watchbell fetches and renews: OAuth 2.0 client credentials.
    OAuth2 {
        /// Where tokens are fetched: https.
        token_url: String,
        client_id: String,
        client_secret: Sealed,
        #[serde(default)]
        scope: Option<String>,
        #[serde(default)]
        audience: Option<String>,
        /// How id and secret are sent.
        #[serde(default)]
        auth_style: Style,
    },
}

/// How a client shows its id and secret: in the `Authorization` header, or in the body.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = OAuth2AuthStyle)]
pub(super) enum Style {
    #[default]
    Basic,
    Body,
}

/// Certificates, as PEM. Answers hold `[redacted]` in the key's place.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EndpointTls)]
pub(super) struct Tls {
    /// The certificate that Watchbell shows, then what stands between it and its CA.
    #[serde(default)]
    client_certificate_pem: Option<String>,
    /// Its private key.
    #[serde(default)]
    client_key_pem: Option<Sealed>,
    /// CAs to trust beside the server's own.
    #[serde(default)]
    ca_pem: Option<String>,
}

/// Which HTTP is spoken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = HttpVersion)]
pub(super) enum HttpVersion {
    /// HTTP/2 where the endpoint offers it, else HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 alone.
    Http2,
}

impl From<Auth> for endpoint::Auth {
    fn from(auth: Auth) -> Self {
        match auth {
            Auth::Basic { username, password } => Self::Basic { username, password: password.0 },
            Auth::Bearer { token } => Self::Bearer { token: token.0 },
            Auth::OAuth2 { token_url, client_id, client_secret, scope, audience, auth_style } => {
                let auth_style = match auth_style {
                    Style::Basic => AuthStyle::Basic,
                    Style::Body => AuthStyle::Body,
                };
                let client_secret = client_secret.0;
                Self::OAuth2(OAuth2Client { token_url, client_id, client_secret, scope, audience, auth_style })
            }
        }
    }
}

impl From<&endpoint::Auth> for Auth {
    fn from(auth: &endpoint::Auth) -> Self {
        match auth.clone() {
            endpoint::Auth::Basic { username, password } => Self::Basic { username, password: Sealed(password) },
            endpoint::Auth::Bearer { token } => Self::Bearer { token: Sealed(token) },
            endpoint::Auth::OAuth2(client) => Self::OAuth2 {
                token_url: super::endpoint_view::masked(&client.token_url),
                client_id: client.client_id,
                client_secret: Sealed(client.client_secret),
                scope: client.scope,
                audience: client.audience,
                auth_style: match client.auth_style {
                    AuthStyle::Basic => Style::Basic,
                    AuthStyle::Body => Style::Body,
                },
            },
        }
    }
}

/// `Err`: one of certificate and key without the other.
impl TryFrom<Tls> for TlsSettings {
    type Error = crate::problem::Problem;

    fn try_from(tls: Tls) -> Result<Self, Self::Error> {
        let alone = |there: &str, missing: &str| {
            let detail = format!("{there} is of no use without {missing}");
            crate::problem::Problem::payload(format!("/tls/{missing}"), detail)
        };
        let client = match (tls.client_certificate_pem, tls.client_key_pem) {
            (Some(certificate_pem), Some(key)) => Some(ClientIdentity { certificate_pem, key_pem: key.0 }),
            (None, None) => None,
            (Some(_), None) => return Err(alone("client_certificate_pem", "client_key_pem")),
            (None, Some(_)) => return Err(alone("client_key_pem", "client_certificate_pem")),
        };
        Ok(Self { client, ca_pem: tls.ca_pem })
    }
}

impl Tls {
    /// `None` where there is nothing of the endpoint's own.
    pub(super) fn shown(tls: &TlsSettings) -> Option<Self> {
        let client = tls.client.clone();
        let (certificate, key) = client.map(|client| (client.certificate_pem, Sealed(client.key_pem))).unzip();
        (!tls.is_default()).then(|| Self {
            client_certificate_pem: certificate,
            client_key_pem: key,
            ca_pem: tls.ca_pem.clone(),
        })
    }
}

impl From<HttpVersion> for endpoint::HttpVersion {
    fn from(version: HttpVersion) -> Self {
        match version {
            HttpVersion::Auto => Self::Auto,
            HttpVersion::Http1 => Self::Http1,
            HttpVersion::Http2 => Self::Http2,
        }
    }
}

impl From<endpoint::HttpVersion> for HttpVersion {
    fn from(version: endpoint::HttpVersion) -> Self {
        match version {
            endpoint::HttpVersion::Auto => Self::Auto,
            endpoint::HttpVersion::Http1 => Self::Http1,
            endpoint::HttpVersion::Http2 => Self::Http2,
        }
    }
}

//! An endpoint's transport as it is kept: one sealed value, since most of it is secret. Nothing is kept where it is the
//! default.

use serde::{Deserialize, Serialize};
use watchbell_domain::endpoint::{Auth, AuthStyle, ClientIdentity, HttpVersion, OAuth2Client, TlsSettings, Transport};
use watchbell_wire::Secret;

use super::endpoint_row::text;

/// A transport inside the sealed value.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredTransport {
    auth: Option<StoredAuth>,
    client: Option<StoredIdentity>,
    ca_pem: Option<String>,
    http_version: String,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum StoredAuth {
    Basic {
        username: String,
        #[serde(with = "text")]
        password: Secret,
    },
    Bearer {
        #[serde(with = "text")]
        token: Secret,
    },
    OAuth2 {
        token_url: String,
        client_id: String,
        #[serde(with = "text")]
        client_secret: Secret,
        scope: Option<String>,
        audience: Option<String>,
        auth_style: String,
    },
}

#[derive(Serialize, Deserialize)]
struct StoredIdentity {
    certificate_pem: String,
    #[serde(with = "text")]
    key_pem: Secret,
}

impl From<&Transport> for StoredTransport {
    fn from(transport: &Transport) -> Self {
        let client = transport.tls.client.as_ref();
        Self {
            auth: transport.auth.as_ref().map(StoredAuth::from),
            client: client.map(|client| StoredIdentity {
                certificate_pem: client.certificate_pem.clone(),
                key_pem: client.key_pem.clone(),
            }),
            ca_pem: transport.tls.ca_pem.clone(),
            http_version: transport.http_version.as_str().to_owned(),
        }
    }
}

impl From<&Auth> for StoredAuth {
    fn from(auth: &Auth) -> Self {
        match auth {
            Auth::Basic { username, password } => {
                Self::Basic { username: username.clone(), password: password.clone() }
            }
            Auth::Bearer { token } => Self::Bearer { token: token.clone() },
            Auth::OAuth2(client) => Self::OAuth2 {
                token_url: client.token_url.clone(),
                client_id: client.client_id.clone(),
                client_secret: client.client_secret.clone(),
                scope: client.scope.clone(),
                audience: client.audience.clone(),
                auth_style: client.auth_style.as_str().to_owned(),
            },
        }
    }
}

impl StoredTransport {
    /// `None`: a name in it is not one that we know.
    pub(super) fn read(self) -> Option<Transport> {
        let client = self
            .client
            .map(|client| ClientIdentity { certificate_pem: client.certificate_pem, key_pem: client.key_pem });
        let auth = match self.auth {
            Some(auth) => Some(auth.read()?),
            None => None,
        };
        Some(Transport {
            auth,
            tls: TlsSettings { client, ca_pem: self.ca_pem },
            http_version: HttpVersion::parse(&self.http_version)?,
        })
    }
}

impl StoredAuth {
    fn read(self) -> Option<Auth> {
        Some(match self {
            Self::Basic { username, password } => Auth::Basic { username, password },
            Self::Bearer { token } => Auth::Bearer { token },
            Self::OAuth2 { token_url, client_id, client_secret, scope, audience, auth_style } => {
                let auth_style = AuthStyle::parse(&auth_style)?;
                Auth::OAuth2(OAuth2Client { token_url, client_id, client_secret, scope, audience, auth_style })
            }
        })
    }
}

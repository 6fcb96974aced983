//! What the demo plays on: a node, a receiver, endpoints.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;
use watchbell_domain::port::{Clock, Entropy};
use watchbell_wire::dialect::{self, Credential};
use watchbell_wire::{Dialect, Secret};

use super::receiver::{Receiver, SHAKY};
use super::show::Show;
use super::{Error, certificate};
use crate::client::{self, Client, Request};
use crate::config::Layers;
use crate::wiring::Node;

/// The dialect of the receiver that is down at first.
const SHAKY_DIALECT: &str = "standard";

/// Everything that runs.
pub(super) struct Stage {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) client: Client,
    pub(super) receiver: Receiver,
    /// Where the server is.
    pub(super) url: String,
    /// The key to it.
    pub(super) key: Secret,
    /// The receiver's certificate authority, for whoever wants to call it.
    endpoints: BTreeMap<String, String>,
    node: Node,
    /// Removed when dropped.
    folder: TempDir,
}

impl Stage {
    /// Starts receiver and node, and registers an endpoint in every dialect that is sent.
    pub(super) async fn build(clock: Arc<dyn Clock>, entropy: &dyn Entropy, show: &Show) -> Result<Self, Error> {
        let set_up = |error: std::io::Error| Error::SetUp(error.to_string());
        let folder = tempfile::Builder::new().prefix("watchbell-demo-").tempdir().map_err(set_up)?;
        let certificate = certificate::make().map_err(Error::SetUp)?;
        let ca_file = folder.path().join("receiver-ca.pem");
        std::fs::write(&ca_file, &certificate.ca_pem).map_err(set_up)?;
        let receiver = Receiver::start(certificate.server, Arc::clone(&clock)).await.map_err(set_up)?;

        let mut random = [0; 32];
        entropy.fill(&mut random);
        let key = Secret::new(format!("demo_{}", hex::encode(random)));
        let config = Layers { flags: settings(&folder, &receiver), ..Layers::default() }.load();
        let config = config.map_err(|error| Error::SetUp(error.to_string()))?.config;
        let node = match Node::start(&config, Some(key.clone())).await {
            Ok(node) => node,
            Err(error) => {
                receiver.stop().await;
                return Err(error.into());
            }
        };
        let url = format!("http://{}", node.address);
        let tls = client::tls(None).map_err(|error| Error::SetUp(error.to_string()))?;
        let client = Client::new(&url, Some(key.clone()), tls)?;
        show.running(&url, &format!("https://{}", receiver.address));
        let mut stage = Self { clock, client, receiver, url, key, endpoints: BTreeMap::new(), node, folder };
        // What is verified needs a receiver of the format; destinations have none of ours.
        let both_ways = |dialect: &&'static Dialect| dialect.outbound.is_some() && dialect.inbound.is_some();
        for dialect in dialect::ALL.iter().copied().filter(both_ways) {
            let mut random = [0; 32];
            entropy.fill(&mut random);
            let registered = stage.register(dialect.id, dialect, &dialect.secrets.make(random), None).await;
            if let Err(error) = registered {
                stage.tear_down().await;
                return Err(error);
            }
        }
        Ok(stage)
    }

    /// Registers the endpoint of the receiver that is down at first, for one type of event.
    pub(super) async fn open_shaky(&mut self) -> Result<(), Error> {
        let dialect =
            dialect::find(SHAKY_DIALECT).ok_or_else(|| Error::SetUp(format!("there is no dialect {SHAKY_DIALECT}")))?;
        let secret = dialect.secrets.make([0x17; 32]);
        self.register(SHAKY, dialect, &secret, Some("poam.completed")).await
    }

    async fn register(
        &mut self,
        path: &str,
        dialect: &'static Dialect,
        secret: &Secret,
        only: Option<&str>,
    ) -> Result<(), Error> {
        let mut body = serde_json::Map::new();
        body.insert("url".to_owned(), json!(format!("https://{}/{path}", self.receiver.address)));
        body.insert("dialect".to_owned(), json!(dialect.id));
        body.insert("description".to_owned(), json!(format!("demo: {}", dialect.name)));
        if let Some(only) = only {
            body.insert("events".to_owned(), json!([only]));
        }
        let key_of = |secret: &Secret| dialect.secrets.key(secret).map_err(|error| Error::SetUp(error.to_string()));
        match dialect.credential {
            // Known before the creation, which may send a ping at once.
            Credential::SecretGiven | Credential::SecretGivenOrMade => {
                body.insert("secret".to_owned(), json!(secret.expose()));
                self.receiver.expect(path, dialect, key_of(secret)?);
            }
            Credential::BearerToken => {
                body.insert("bearer_token".to_owned(), json!(secret.expose()));
                self.receiver.expect(path, dialect, key_of(secret)?);
            }
            Credential::SecretMade | Credential::SecretOptional | Credential::None => {}
        }
        let endpoint = self.client.json(Request::post(self.path("/endpoints"), &Value::Object(body))).await?;
        if let (Credential::SecretMade, Some(made)) =
            (dialect.credential, endpoint.get("secret").and_then(Value::as_str))
        {
            self.receiver.expect(path, dialect, key_of(&Secret::new(made))?);
        }
        if let Some(id) = endpoint.get("id").and_then(Value::as_str) {
            self.endpoints.insert(path.to_owned(), id.to_owned());
        }
        Ok(())
    }

    /// A path of the demo's organisation.
    pub(super) fn path(&self, rest: &str) -> String {
        format!("/api/v1/orgs/{}{rest}", watchbell_domain::org::DEFAULT_SLUG)
    }

    /// The id of the endpoint that goes to this path of the receiver.
    pub(super) fn endpoint_id(&self, path: &str) -> Option<String> {
        self.endpoints.get(path).cloned()
    }

    /// Ends node and receiver, and removes everything that was written.
    pub(super) async fn tear_down(self) {
        self.node.stop().await;
        self.receiver.stop().await;
        // A folder that cannot be removed is the operating system's to clean: it is in its temporary directory.
        self.folder.close().ok();
    }
}

/// What differs from the defaults. The guard stays on: exactly the receiver is let through.
fn settings(folder: &TempDir, receiver: &Receiver) -> Vec<(String, String, String)> {
    let settings = [
        ("server.listen", "127.0.0.1:0".to_owned()),
        ("storage.data", folder.path().join("data").display().to_string()),
        ("egress.allow", format!("127.0.0.1/32:{}", receiver.address.port())),
        ("egress.extra_ca_file", folder.path().join("receiver-ca.pem").display().to_string()),
        ("delivery.retry_schedule", "0s,300ms,600ms,1s,2s,5s".to_owned()),
        ("api.rate_limit", "off".to_owned()),
        ("shutdown.grace", "3s".to_owned()),
    ];
    settings.into_iter().map(|(key, value)| ("demo".to_owned(), key.to_owned(), value)).collect()
}

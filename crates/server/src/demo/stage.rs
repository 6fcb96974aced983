//! What the demo plays on: a node, receivers, organisations with their endpoints.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use watchbell_domain::id::DeliveryId;
use watchbell_domain::org::DEFAULT_SLUG;
use watchbell_domain::port::{Clock, Entropy};
use watchbell_wire::dialect::{self, Carrier, Credential};
use watchbell_wire::{Dialect, Secret};

use super::receiver::{Check, Receiver, SHAKY};
use super::services::Service;
use super::show::Show;
use super::{Error, certificate};
use crate::client::{self, Client, Request};
use crate::clock::MovableClock;
use crate::config::Layers;
use crate::wiring::Node;

/// The dialect of the receiver that is down at first.
const SHAKY_DIALECT: &str = "standard";

/// The dialects in which everything is told: those that are sent, and that a receiver can verify.
pub(super) fn played() -> impl Iterator<Item = &'static Dialect> {
    dialect::ALL.iter().copied().filter(|dialect| dialect.outbound.is_some() && dialect.inbound.is_some())
}

/// Everything that runs.
pub(super) struct Stage {
    /// The node's, the receiver's and the play's.
    pub(super) clock: Arc<MovableClock>,
    pub(super) client: Client,
    pub(super) receiver: Receiver,
    /// Where the server is.
    pub(super) url: String,
    /// The key to it.
    pub(super) key: Secret,
    entropy: &'static dyn Entropy,
    /// Those that the play has been in; in the last one it is.
    orgs: Vec<&'static str>,
    endpoints: BTreeMap<String, String>,
    node: Node,
    /// Removed when dropped.
    folder: TempDir,
}

impl Stage {
    /// Starts receivers and node, and registers an endpoint in every dialect that a customer of its vendor can verify.
    pub(super) async fn build(entropy: &'static dyn Entropy, show: &Show) -> Result<Self, Error> {
        let clock = Arc::new(MovableClock::start());
        let time = Arc::clone(&clock) as Arc<dyn Clock>;
        let set_up = |error: std::io::Error| Error::SetUp(error.to_string());
        let folder = tempfile::Builder::new().prefix("watchbell-demo-").tempdir().map_err(set_up)?;
        let certificate = certificate::make().map_err(Error::SetUp)?;
        let ca_file = folder.path().join("receiver-ca.pem");
        std::fs::write(&ca_file, &certificate.ca_pem).map_err(set_up)?;
        let receiver = Receiver::start(certificate.server, Arc::clone(&time)).await.map_err(set_up)?;

        let key = Secret::new(format!("demo_{}", hex::encode(random::<32>(entropy))));
        let config = Layers { flags: settings(&folder, &receiver), ..Layers::default() }.load();
        let config = config.map_err(|error| Error::SetUp(error.to_string()))?.config;
        let node = match Node::start(&config, Some(key.clone()), time).await {
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
        let orgs = vec![DEFAULT_SLUG];
        let mut stage =
            Self { clock, client, receiver, url, key, entropy, orgs, endpoints: BTreeMap::new(), node, folder };
        for dialect in played() {
            let registered = stage.register(dialect.id, dialect, &dialect.secrets.make(random(entropy)), None).await;
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

    /// Takes the endpoint of the receiver that is down at first off the stage.
    pub(super) async fn close_shaky(&mut self) -> Result<(), Error> {
        if let Some(id) = self.endpoints.remove(SHAKY) {
            self.client.call(Request::new(Method::DELETE, self.path(&format!("/endpoints/{id}")))).await?;
        }
        Ok(())
    }

    /// Founds an organisation, and is in it from now on.
    pub(super) async fn found(&mut self, slug: &'static str, name: &str) -> Result<(), Error> {
        self.client.json(Request::post("/api/v1/orgs", &json!({"name": name, "slug": slug}))).await?;
        self.orgs.push(slug);
        Ok(())
    }

    /// Is in the organisation that it began in again.
    pub(super) fn go_home(&mut self) {
        self.orgs.retain(|org| *org != DEFAULT_SLUG);
        self.orgs.push(DEFAULT_SLUG);
    }

    /// A list, over all organisations that the play has been in.
    pub(super) async fn everywhere(&self, list: &str, most: usize) -> Result<Vec<Value>, Error> {
        let mut all = Vec::new();
        for org in &self.orgs {
            all.extend(self.client.every(&path_of(org, list), most).await?);
        }
        Ok(all)
    }

    /// Registers an endpoint that tells a service of what begins and what ends, with a credential that it gave out.
    pub(super) async fn subscribe(&mut self, service: &'static Service) -> Result<(), Error> {
        let dialect = dialect::find(service.dialect)
            .ok_or_else(|| Error::SetUp(format!("there is no dialect {}", service.dialect)))?;
        let credential = hex::encode(random::<16>(self.entropy));
        let place = service.place.replace("{}", &credential);
        let url = match dialect.carrier {
            Carrier::Http => format!("https://{}{place}", self.receiver.address),
            Carrier::Syslog => format!("syslog+tls://{}", self.receiver.log_address),
            Carrier::Smtp => return Err(Error::SetUp("the demo has no mail server".to_owned())),
        };
        let mut body = json!({"url": url, "dialect": dialect.id, "description": format!("demo: {}", service.who),
            "events": ["vulnerability.created", "vulnerability.remediated"]});
        if let (Some(members), true) = (body.as_object_mut(), dialect.credential != Credential::None) {
            members.insert("secret".to_owned(), json!(credential));
        }
        let path = place.split('?').next().unwrap_or_default();
        self.receiver.expect(path, dialect.id, dialect, Check::Service(service, credential));
        self.client.json(Request::post(self.path("/endpoints"), &body)).await?;
        Ok(())
    }

    async fn register(
        &mut self,
        name: &str,
        dialect: &'static Dialect,
        secret: &Secret,
        only: Option<&str>,
    ) -> Result<(), Error> {
        let mut body = serde_json::Map::new();
        body.insert("url".to_owned(), json!(format!("https://{}/{name}", self.receiver.address)));
        body.insert("dialect".to_owned(), json!(dialect.id));
        body.insert("description".to_owned(), json!(format!("demo: {}", dialect.name)));
        if let Some(only) = only {
            body.insert("events".to_owned(), json!([only]));
        }
        let path = format!("/{name}");
        let check = |secret: &Secret| {
            dialect.secrets.key(secret).map(Check::Customer).map_err(|error| Error::SetUp(error.to_string()))
        };
        match dialect.credential {
            // Known before the creation, which may send a ping at once.
            Credential::SecretGiven | Credential::SecretGivenOrMade => {
                body.insert("secret".to_owned(), json!(secret.expose()));
                self.receiver.expect(&path, name, dialect, check(secret)?);
            }
            Credential::BearerToken => {
                body.insert("bearer_token".to_owned(), json!(secret.expose()));
                self.receiver.expect(&path, name, dialect, check(secret)?);
            }
            Credential::SecretMade | Credential::SecretOptional | Credential::None => {}
        }
        let endpoint = self.client.json(Request::post(self.path("/endpoints"), &Value::Object(body))).await?;
        if let (Credential::SecretMade, Some(made)) =
            (dialect.credential, endpoint.get("secret").and_then(Value::as_str))
        {
            self.receiver.expect(&path, name, dialect, check(&Secret::new(made))?);
        }
        if let Some(id) = endpoint.get("id").and_then(Value::as_str) {
            self.endpoints.insert(name.to_owned(), id.to_owned());
        }
        Ok(())
    }

    /// A secret of this dialect that nobody else knows.
    pub(super) fn secret(&self, dialect: &Dialect) -> Secret {
        dialect.secrets.make(random(self.entropy))
    }

    /// An id that no delivery of a vendor's has had.
    pub(super) fn delivery_id(&self) -> String {
        DeliveryId::make(self.clock.now(), self.entropy).bare()
    }

    /// A path of the organisation that the play is in.
    pub(super) fn path(&self, rest: &str) -> String {
        path_of(self.orgs.last().copied().unwrap_or(DEFAULT_SLUG), rest)
    }

    /// The id of the endpoint that goes to the receiver of this name.
    pub(super) fn endpoint_id(&self, name: &str) -> Option<String> {
        self.endpoints.get(name).cloned()
    }

    /// Ends node and receivers, and removes everything that was written.
    pub(super) async fn tear_down(self) {
        self.node.stop().await;
        self.receiver.stop().await;
        // A folder that cannot be removed is the operating system's to clean: it is in its temporary directory.
        self.folder.close().ok();
    }
}

/// A path of an organisation.
fn path_of(org: &str, rest: &str) -> String {
    format!("/api/v1/orgs/{org}{rest}")
}

/// Bytes that nobody can guess.
fn random<const LENGTH: usize>(entropy: &dyn Entropy) -> [u8; LENGTH] {
    let mut random = [0; LENGTH];
    entropy.fill(&mut random);
    random
}

/// What differs from the defaults. The guard stays on: exactly the receivers are let through.
fn settings(folder: &TempDir, receiver: &Receiver) -> Vec<(String, String, String)> {
    let receivers = [receiver.address, receiver.log_address].map(|address| format!("127.0.0.1/32:{}", address.port()));
    let settings = [
        ("server.listen", "127.0.0.1:0".to_owned()),
        ("storage.data", folder.path().join("data").display().to_string()),
        ("egress.allow", receivers.join(",")),
        ("egress.extra_ca_file", folder.path().join("receiver-ca.pem").display().to_string()),
        ("delivery.retry_schedule", "0s,300ms,600ms,1s,2s,5s".to_owned()),
        ("api.rate_limit", "off".to_owned()),
        ("shutdown.grace", "3s".to_owned()),
    ];
    settings.into_iter().map(|(key, value)| ("demo".to_owned(), key.to_owned(), value)).collect()
}

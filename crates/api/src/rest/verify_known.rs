//! What a message is checked with: what was given, and the secrets that an organisation has.

use std::sync::Arc;

use axum::extract::FromRef;
use serde_json::{Map, Value};
use watchbell_domain::access::Scope;
use watchbell_domain::endpoint::{Endpoint, EndpointSecret};
use watchbell_domain::id::{EndpointId, OrgId, SourceId};
use watchbell_domain::port::{Clock, EndpointStore, PageRequest, SourceStore};
use watchbell_domain::source::Source;
use watchbell_engine::admin::source::settings_of;
use watchbell_wire::diagnosis::Other;
use watchbell_wire::{Dialect, Secret, Settings, dialect};

use crate::auth::Caller;
use crate::edge::{Edge, Making};
use crate::problem::{Problem, Result};

/// Longest secret.
const SECRET_BYTES_MAX: usize = 4096;

/// What a message is to be checked with, as it was asked for.
pub(super) struct KnownBy {
    pub(super) dialect: Option<String>,
    pub(super) settings: Option<Map<String, Value>>,
    pub(super) secret: Option<String>,
    pub(super) source: Option<String>,
    pub(super) endpoint: Option<String>,
}

/// What a message is to be checked with.
pub(super) struct With {
    pub(super) dialect: Option<&'static Dialect>,
    pub(super) settings: Settings,
    pub(super) secrets: Vec<Secret>,
    pub(super) others: Vec<Other>,
}

/// The secrets that an organisation has.
#[derive(Clone)]
pub(super) struct Known {
    endpoints: Arc<dyn EndpointStore>,
    sources: Arc<dyn SourceStore>,
    pub(super) clock: Arc<dyn Clock>,
}

impl FromRef<Edge> for Known {
    fn from_ref(edge: &Edge) -> Self {
        Self { endpoints: Arc::from_ref(edge), sources: Arc::from_ref(edge), clock: Making::from_ref(edge).clock }
    }
}

impl Known {
    /// Finds what was asked for by name. `org`: the one the caller asks within.
    pub(super) async fn question(&self, org: Option<OrgId>, caller: &Caller, by: KnownBy) -> Result<With> {
        let mut dialect = by.dialect.as_deref().map(dialect_named).transpose()?;
        let ways = [by.secret.is_some(), by.source.is_some(), by.endpoint.is_some()];
        if ways.into_iter().filter(|is_given| *is_given).count() > 1 {
            return Err(Problem::payload("", "give one of secret, source and endpoint"));
        }
        let mut secrets = Vec::new();
        if let Some(secret) = by.secret {
            if secret.len() > SECRET_BYTES_MAX {
                return Err(Problem::payload("/secret", "a secret has at most 4096 bytes"));
            }
            secrets.push(Secret::new(secret));
        }
        let (mut source, mut settings) = (None, by.settings);
        if let Some(id) = by.source {
            let org = org.ok_or_else(|| Problem::payload("/source", "ask within the organisation of the source"))?;
            let found = self.source(org, &id).await?;
            dialect = dialect.or(Some(found.dialect));
            secrets = self.live(&found.secrets);
            // Its settings say nothing of another dialect.
            settings = settings.or_else(|| (dialect == Some(found.dialect)).then_some(found.settings));
            source = Some(found.id);
        }
        let mut asked = None;
        if let Some(id) = by.endpoint {
            let org =
                org.ok_or_else(|| Problem::payload("/endpoint", "ask within the organisation of the endpoint"))?;
            caller.must(Scope::EndpointsRead)?;
            let endpoint = self.endpoint(org, &id).await?;
            dialect = dialect.or(Some(endpoint.dialect));
            secrets = self.live(&endpoint.secrets);
            asked = Some(endpoint.id);
        }
        let settings = match (dialect, settings) {
            (_, None) => Settings::default(),
            (Some(dialect), Some(settings)) => settings_of(dialect, &settings)?,
            (None, Some(_)) => return Err(Problem::payload("/settings", "say by dialect what they are settings of")),
        };
        let mut others = Vec::new();
        if let Some(org) = org {
            if caller.key.may(Scope::SourcesRead) {
                others.extend(self.other_sources(org, source).await?);
            }
            if caller.key.may(Scope::EndpointsRead) {
                others.extend(self.other_endpoints(org, asked).await?);
            }
        }
        Ok(With { dialect, settings, secrets, others })
    }

    async fn endpoint(&self, org: OrgId, text: &str) -> Result<Endpoint> {
        let none = || Problem::payload("/endpoint", "there is no such endpoint");
        let id: EndpointId = text.parse().map_err(|_| none())?;
        self.endpoints.endpoint(org, id).await?.ok_or_else(none)
    }

    async fn source(&self, org: OrgId, text: &str) -> Result<Source> {
        let none = || Problem::payload("/source", "there is no such source");
        let id: SourceId = text.parse().map_err(|_| none())?;
        self.sources.source(org, id).await?.ok_or_else(none)
    }

    fn live(&self, secrets: &[EndpointSecret]) -> Vec<Secret> {
        let now = self.clock.now();
        let live = secrets.iter().filter(|secret| secret.expires_at.is_none_or(|end| now < end));
        live.map(|secret| secret.text.clone()).collect()
    }

    /// The secrets of the newest sources but one.
    async fn other_sources(&self, org: OrgId, but: Option<SourceId>) -> Result<Vec<Other>> {
        let page = self.sources.sources(org, PageRequest { before: None, limit: 250 }).await?;
        let sources = page.items.into_iter().filter(|source| Some(source.id) != but);
        let others = sources.flat_map(|source| {
            let name = format!("the source {} ({})", source.name, source.id);
            let dialect = source.dialect;
            self.live(&source.secrets).into_iter().map(move |secret| Other { name: name.clone(), dialect, secret })
        });
        Ok(others.collect())
    }

    /// The secrets of the newest endpoints but one.
    async fn other_endpoints(&self, org: OrgId, but: Option<EndpointId>) -> Result<Vec<Other>> {
        let page = self.endpoints.endpoints(org, PageRequest { before: None, limit: 250 }).await?;
        let endpoints = page.items.into_iter().filter(|endpoint| Some(endpoint.id) != but);
        let others = endpoints.flat_map(|endpoint| {
            let name = format!("the endpoint {}", endpoint.id);
            let dialect = endpoint.dialect;
            self.live(&endpoint.secrets).into_iter().map(move |secret| Other { name: name.clone(), dialect, secret })
        });
        Ok(others.collect())
    }
}

fn dialect_named(id: &str) -> Result<&'static Dialect> {
    let known = || {
        dialect::ALL
            .iter()
            .filter(|dialect| dialect.inbound.is_some())
            .map(|dialect| dialect.id)
            .collect::<Vec<_>>()
            .join(", ")
    };
    dialect::find(id)
        .ok_or_else(|| Problem::payload("/dialect", format!("there is no such dialect; there are {}", known())))
}

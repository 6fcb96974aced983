//! Advisories: what is known to be vulnerable, shared by all organisations. An operator brings them in, anybody reads them.

use std::sync::Arc;

use axum::extract::{RawPathParams, Request, State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use watchbell_domain::advisory::{Advisory, osv};
use watchbell_domain::audit::Action;
use watchbell_domain::port::AdvisoryStore;

use crate::auth::Caller;
use crate::body::BodyReader;
use crate::edge::{Edge, Making};
use crate::page::QueryOf;
use crate::problem::{Body, Problem, Result};

/// Largest import at once, in bytes. More is sent in several.
const IMPORT_BYTES_MAX: u64 = 32 << 20;
/// Documents that are named when they are unfit.
const UNFIT_SHOWN_MAX: usize = 20;
/// Advisories of a page, unless asked for otherwise, and at most.
const LIMIT: u16 = 50;
const LIMIT_MAX: u16 = 250;

pub(super) fn routes() -> OpenApiRouter<Edge> {
    OpenApiRouter::default()
        .routes(routes!(list_advisories, import_advisories))
        .routes(routes!(advisory_stats))
        .routes(routes!(get_advisory))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Import {
    /// OSV documents.
    #[schema(value_type = Vec<Object>)]
    advisories: Vec<Value>,
}

/// What an import did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdvisoryImport)]
struct ImportView {
    added: u64,
    changed: u64,
    /// As known, or older than what is.
    unchanged: u64,
    /// Taken back by their authors, and forgotten.
    withdrawn: u64,
    /// Documents that could not be read.
    unfit: u64,
    /// Why, for the first of them.
    problems: Vec<String>,
}

/// Bring advisories in, as OSV documents. Needs a key with the scope admin for every organisation.
#[utoipa::path(post, path = "/api/v1/advisories", tag = "advisories", request_body = Import,
    responses((status = 200, body = ImportView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn import_advisories(
    caller: Caller,
    State(advisories): State<Arc<dyn AdvisoryStore>>,
    State(making): State<Making>,
    State(bodies): State<BodyReader>,
    request: Request,
) -> Result<axum::Json<ImportView>> {
    caller.must_be_operator()?;
    let write = bodies.json(request, IMPORT_BYTES_MAX).await?;
    let given: Import = write.parse()?;
    let count = given.advisories.len();
    let mut entries = Vec::with_capacity(count);
    let mut problems = Vec::new();
    for document in given.advisories {
        match osv::parse(document) {
            Ok(entry) => entries.push(entry),
            Err(unfit) => problems.push(unfit.to_string()),
        }
    }
    let unfit = u64::try_from(problems.len()).unwrap_or(u64::MAX);
    let detail = json!({"documents": count});
    let deed = caller.deed(Action::AdvisoryImport, "advisories", making.clock.now(), detail);
    let imported = advisories.put_advisories(entries, Some(deed)).await?;
    problems.truncate(UNFIT_SHOWN_MAX);
    Ok(axum::Json(ImportView {
        added: imported.added,
        changed: imported.changed,
        unchanged: imported.unchanged,
        withdrawn: imported.withdrawn,
        unfit,
        problems,
    }))
}

/// An advisory.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Advisory)]
struct AdvisoryView {
    id: String,
    modified: Timestamp,
    aliases: Vec<String>,
    summary: String,
    severity: &'static str,
    cvss_score: Option<f64>,
    url: Option<String>,
    /// `PyPI/pyyaml`.
    packages: Vec<String>,
}

impl From<Advisory> for AdvisoryView {
    fn from(advisory: Advisory) -> Self {
        let package = |name: &str, ecosystem: &str, release: Option<&str>| match release {
            Some(release) => format!("{ecosystem}:{release}/{name}"),
            None => format!("{ecosystem}/{name}"),
        };
        let affected = advisory.affected.iter();
        let mut packages: Vec<String> =
            affected.map(|it| package(&it.name, &it.ecosystem, it.release.as_deref())).collect();
        packages.dedup();
        Self {
            id: advisory.id,
            modified: advisory.modified,
            aliases: advisory.aliases,
            summary: advisory.summary,
            severity: advisory.severity.as_str(),
            cvss_score: advisory.cvss_score,
            url: advisory.url,
            packages,
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AdvisoriesQuery {
    /// Only about packages of this ecosystem: `PyPI`, `crates.io`, `Debian`.
    ecosystem: Option<String>,
    /// Go on behind this id.
    after: Option<String>,
    /// Entries, at most 250.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 250)]
    limit: Option<String>,
}

/// A page of advisories, in the order of their ids.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Advisories)]
struct AdvisoriesView {
    items: Vec<AdvisoryView>,
    /// What `after` gets the next page with; null on the last.
    next_after: Option<String>,
}

/// The advisories that are known.
#[utoipa::path(get, path = "/api/v1/advisories", tag = "advisories", params(AdvisoriesQuery),
    responses((status = 200, body = AdvisoriesView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn list_advisories(
    _: Caller,
    State(advisories): State<Arc<dyn AdvisoryStore>>,
    QueryOf(query): QueryOf<AdvisoriesQuery>,
) -> Result<axum::Json<AdvisoriesView>> {
    let limit = match &query.limit {
        None => Some(LIMIT),
        Some(text) => text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit)),
    };
    let limit = limit.ok_or_else(|| Problem::QueryInvalid("limit is a number from 1 to 250".into()))?;
    let page = advisories.advisories(query.ecosystem, query.after, limit).await?;
    let next_after = page.items.last().filter(|_| page.more).map(|advisory| advisory.id.clone());
    Ok(axum::Json(AdvisoriesView { items: page.items.into_iter().map(AdvisoryView::from).collect(), next_after }))
}

/// How many advisories there are.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdvisoryStats)]
struct StatsView {
    advisories: u64,
    /// When the newest of them was changed.
    modified: Option<Timestamp>,
    ecosystems: Vec<EcosystemView>,
}

/// Advisories about packages of an ecosystem.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdvisoryEcosystem)]
struct EcosystemView {
    ecosystem: String,
    advisories: u64,
}

/// How many advisories are known, and how old they are.
#[utoipa::path(get, path = "/api/v1/advisories/stats", tag = "advisories",
    responses((status = 200, body = StatsView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn advisory_stats(_: Caller, State(advisories): State<Arc<dyn AdvisoryStore>>) -> Result<axum::Json<StatsView>> {
    let stats = advisories.advisory_stats().await?;
    let ecosystems =
        stats.ecosystems.into_iter().map(|(ecosystem, advisories)| EcosystemView { ecosystem, advisories });
    Ok(axum::Json(StatsView {
        advisories: stats.advisories,
        modified: stats.modified,
        ecosystems: ecosystems.collect(),
    }))
}

/// Show an advisory.
#[utoipa::path(get, path = "/api/v1/advisories/{advisory}", tag = "advisories", params(("advisory" = String, Path)),
    responses((status = 200, body = AdvisoryView), (status = "4XX", body = Body, content_type = "application/problem+json")))]
async fn get_advisory(
    _: Caller,
    params: RawPathParams,
    State(advisories): State<Arc<dyn AdvisoryStore>>,
) -> Result<axum::Json<AdvisoryView>> {
    let id = params.iter().find_map(|(name, value)| (name == "advisory").then(|| value.to_owned()));
    let found = advisories.advisory(id.unwrap_or_default()).await?;
    Ok(axum::Json(found.ok_or(Problem::NotFound)?.into()))
}

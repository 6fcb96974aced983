//! Advisories: what is known of vulnerabilities, for all organisations alike.

use async_graphql::connection::Edge;
use async_graphql::{Context, ID, Object, SimpleObject};
use http::Method;
use serde::{Deserialize, Serialize};

use super::error::Answer;
use super::finding::Severity;
use super::list::{Page, first};
use super::operation::{Path, session};
use super::scalar::{DateTime, Json};

/// An advisory.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
pub(super) struct Advisory {
    id: ID,
    modified: DateTime,
    aliases: Vec<String>,
    summary: String,
    severity: Severity,
    cvss_score: Option<f64>,
    url: Option<String>,
    /// `PyPI/pyyaml`.
    packages: Vec<String>,
}

/// How many advisories are known, and how old they are.
#[derive(Debug, SimpleObject, Deserialize)]
pub(super) struct AdvisoryStats {
    advisories: i64,
    /// When the newest of them was changed.
    modified: Option<DateTime>,
    ecosystems: Vec<AdvisoryEcosystem>,
}

/// Advisories about packages of an ecosystem.
#[derive(Debug, SimpleObject, Deserialize)]
struct AdvisoryEcosystem {
    ecosystem: String,
    advisories: i64,
}

/// What an import did.
#[derive(Debug, SimpleObject, Deserialize)]
pub(super) struct AdvisoryImport {
    added: i64,
    changed: i64,
    /// As known, or older than what is.
    unchanged: i64,
    /// Taken back by their authors, and forgotten.
    withdrawn: i64,
    /// Documents that could not be read.
    unfit: i64,
    /// Why, for the first of them.
    problems: Vec<String>,
}

#[derive(Debug, Default)]
pub(super) struct AdvisoryQuery;

#[Object]
impl AdvisoryQuery {
    /// The advisories that are known, in the order of their ids.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn advisories(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        #[graphql(desc = "Only about packages of this ecosystem: `PyPI`, `crates.io`, `Debian`.")] ecosystem: Option<
            String,
        >,
    ) -> Answer<Page<Advisory>> {
        #[derive(Deserialize)]
        struct Answered {
            items: Vec<Advisory>,
            next_after: Option<String>,
        }
        let limit = self::first(first)?;
        let has_previous = after.is_some();
        let path = Path::advisories().with("ecosystem", ecosystem).with("after", after).with("limit", Some(limit));
        let answered: Answered = session(ctx).get(path).await?;
        let mut page = Page::new(has_previous, answered.next_after.is_some());
        page.edges.extend(answered.items.into_iter().map(|advisory| Edge::new(advisory.id.to_string(), advisory)));
        Ok(page)
    }

    /// An advisory, by its own id such as `GHSA-…`.
    async fn advisory(&self, ctx: &Context<'_>, name: String) -> Answer<Advisory> {
        Ok(session(ctx).get(Path::advisories().id(&name)).await?)
    }

    /// How many advisories are known, and how old they are.
    async fn advisory_stats(&self, ctx: &Context<'_>) -> Answer<AdvisoryStats> {
        Ok(session(ctx).get(Path::advisories().then("stats")).await?)
    }
}

#[derive(Debug, Default)]
pub(super) struct AdvisoryMutation;

#[Object]
impl AdvisoryMutation {
    /// Bring advisories in, as OSV documents. Takes a key that reaches every organisation.
    async fn import_advisories(&self, ctx: &Context<'_>, advisories: Vec<Json>) -> Answer<AdvisoryImport> {
        #[derive(Serialize)]
        struct Import {
            advisories: Vec<Json>,
        }
        Ok(session(ctx).write(ctx, Method::POST, Path::advisories(), &Import { advisories }).await?)
    }
}

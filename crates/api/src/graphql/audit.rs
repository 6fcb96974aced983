//! The audit log: who changed what, and whether anybody changed the log.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use serde::Deserialize;
use uuid::Uuid;
use watchbell_domain::id::OrgId;

use super::error::Answer;
use super::list::{Node, Page, Wanted};
use super::operation::{Path, session};
use super::scalar::{DateTime, Json};
use crate::problem::Problem;

/// An entry of the audit log. `hash` is SHA-256 of the rest as JSON with sorted members and without white space.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
pub(super) struct AuditEntry {
    /// Counts from 1, without gaps.
    number: u64,
    /// Null: the operators' log.
    org: Option<ID>,
    at: DateTime,
    actor: AuditActor,
    /// Such as `endpoint.update`.
    action: String,
    /// What it was done to.
    subject: Option<String>,
    /// From which address.
    address: Option<String>,
    /// In which request: its answer's `X-Request-Id`.
    request_id: Option<String>,
    /// What changed, secrets masked.
    detail: Json,
    /// The hash of the entry before.
    previous: String,
    hash: String,
}

/// Who did something.
#[derive(Debug, Clone, SimpleObject, Deserialize)]
struct AuditActor {
    /// `key`, `member`, `system`.
    kind: String,
    /// The key's or member's id, or the part of the server.
    id: String,
    /// Its name at that time.
    name: String,
    /// A member's: the key.
    key: Option<String>,
}

impl Node for AuditEntry {
    fn key(&self) -> &str {
        &self.hash
    }

    fn place(&self) -> Option<Uuid> {
        Some(Uuid::from_u128(self.number.into()))
    }
}

/// Which entries.
#[derive(Debug, Default, InputObject)]
pub(super) struct AuditFilter {
    /// The id of a key, of a member, or a part of the server.
    actor: Option<String>,
    /// Such as `endpoint.update`, or `endpoint` for all that is done to endpoints.
    action: Option<String>,
    /// The id of what it was done to.
    subject: Option<String>,
    /// At or after.
    since: Option<DateTime>,
    /// Before.
    until: Option<DateTime>,
}

impl AuditFilter {
    /// As REST's query has it.
    pub(super) fn on(self, path: Path) -> Path {
        path.with("actor", self.actor)
            .with("action", self.action)
            .with("subject", self.subject)
            .with("since", self.since.map(|at| at.0))
            .with("until", self.until.map(|at| at.0))
    }
}

/// What a walk along the chain found.
#[derive(Debug, SimpleObject, Deserialize)]
pub(super) struct AuditWalk {
    /// Nothing is broken as far as the walk came.
    ok: bool,
    /// Whether it came to the end. If not, go on with `head`.
    complete: bool,
    /// Entries that hold.
    checked: u64,
    /// Behind which entry it began: number 0 is before the first; more, where older entries were dropped for their age.
    from: AuditHead,
    /// The last entry that holds. Noted elsewhere, it shows later whether somebody wrote the chain anew.
    head: AuditHead,
    /// The first entry that does not hold.
    broken: Option<AuditBreak>,
}

/// An entry, by what cannot be forged.
#[derive(Debug, SimpleObject, Deserialize)]
struct AuditHead {
    number: u64,
    hash: String,
}

/// An entry that does not hold.
#[derive(Debug, SimpleObject, Deserialize)]
struct AuditBreak {
    number: u64,
    problem: String,
}

/// An entry that is known to hold: the walk begins behind it.
#[derive(Debug, InputObject)]
pub(super) struct AuditHeadInput {
    number: u64,
    /// In hex.
    hash: String,
}

/// On REST's path, from an entry that is known to hold.
pub(super) fn from_head(path: Path, known: Option<AuditHeadInput>) -> Path {
    let (number, hash) = known.map(|head| (head.number, head.hash)).unzip();
    path.with("number", number).with("hash", hash)
}

#[derive(Debug, Default)]
pub(super) struct AuditQuery;

#[Object]
impl AuditQuery {
    /// What operators did to organisations and groups, newest first. Takes a key that reaches every organisation.
    #[graphql(complexity = "first.unwrap_or(50).max(1) as usize * child_complexity")]
    async fn operator_audit(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        #[graphql(default)] filter: AuditFilter,
        #[graphql(desc = "The log of this organisation (id), which may be deleted.")] org: Option<String>,
    ) -> Answer<Page<AuditEntry>> {
        let org = org.map(|text| text.parse::<OrgId>().map_err(|_| Problem::NotFound)).transpose()?;
        let chain = org.unwrap_or(OrgId(Uuid::nil())).to_string();
        let path = filter.on(Path::audit()).with("org", org);
        Ok(session(ctx).list(&chain, path, "audit", Wanted { first, after }).await?)
    }

    /// Check the operators' audit log, or a deleted organisation's. Takes a key that reaches every organisation.
    async fn operator_audit_verification(
        &self,
        ctx: &Context<'_>,
        known: Option<AuditHeadInput>,
        #[graphql(desc = "The log of this organisation (id), which may be deleted.")] org: Option<String>,
    ) -> Answer<AuditWalk> {
        let path = from_head(Path::audit().then("verify"), known).with("org", org);
        Ok(session(ctx).get(path).await?)
    }
}

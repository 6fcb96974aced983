//! Who calls, and what they may do here.
//!
//! [`authenticate`] finds the key and puts it into the request. A handler gets at an organisation only through
//! [`Tenant`], which names a scope in its type: there is no other way to an `OrgId`, so none can forget the check. An
//! organisation that the key may not see is answered exactly like one that does not exist.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{FromRef, FromRequestParts, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{Extensions, HeaderMap, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use watchbell_domain::access::{ApiKey, KeyHash, Scope};
use watchbell_domain::audit::{Action, Actor, Deed};
use watchbell_domain::id::{GroupId, OrgId, RequestId};
use watchbell_domain::port::{Clock, GroupStore, KeyStore, PageRequest};
use watchbell_wire::Secret;

use crate::limits::Limiter;
use crate::org_names::OrgNames;
use crate::problem::{Problem, Result};

pub use crate::serve::Peer;

/// How long a key that was found is believed. Revoking on this node takes effect at once.
const REMEMBERED_FOR: SignedDuration = SignedDuration::from_secs(5);
/// Most keys remembered.
const REMEMBERED_MAX: usize = 4096;
/// A key is shorter than this.
const KEY_BYTES_MAX: usize = 512;

/// How old a key's last use may be before it is written anew: a write now and then, not one a request.
const USE_WRITTEN_EVERY: SignedDuration = SignedDuration::from_mins(5);

/// Keys by their hash, each with when it was looked up.
type Remembered = BTreeMap<KeyHash, (Known, SignedDuration)>;

/// A key, and what it reaches.
#[derive(Debug, Clone)]
struct Known {
    key: Arc<ApiKey>,
    /// A group's organisations.
    orgs: Arc<BTreeSet<OrgId>>,
}

/// Where a request came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) address: Option<IpAddr>,
    pub(crate) request_id: Option<RequestId>,
}

/// Finds keys.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "ports are object-safe and say nothing about themselves")]
pub struct Authenticator {
    keys: Arc<dyn KeyStore>,
    groups: Arc<dyn GroupStore>,
    clock: Arc<dyn Clock>,
    limiter: Limiter,
    remembered: Arc<Mutex<Remembered>>,
}

impl Authenticator {
    /// Looks keys up in `keys`.
    pub fn new(keys: Arc<dyn KeyStore>, groups: Arc<dyn GroupStore>, clock: Arc<dyn Clock>, limiter: Limiter) -> Self {
        Self { keys, groups, clock, limiter, remembered: Arc::default() }
    }

    /// Forgets every key, so that the next request sees what the store says.
    pub fn forget(&self) {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Where a request came from.
    pub(crate) fn origin(&self, extensions: &Extensions) -> Origin {
        Origin {
            address: extensions.get::<Peer>().map(|peer| peer.0.ip()),
            request_id: extensions.get::<RequestId>().copied(),
        }
    }

    /// Counts something that was to prove who somebody is, and did not: what it is answered with.
    pub(crate) fn failed(&self, from: &Origin) -> Problem {
        self.limiter.failure(from.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
    }

    /// Who sends a request with these headers.
    pub(crate) async fn caller(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<Caller> {
        let credential = credential(headers).map(Secret::new);
        self.admit(credential, self.origin(extensions)).await
    }

    /// Whether a caller's key still works, and may still do what it could.
    pub(crate) async fn is_live(&self, caller: &Caller) -> Result<bool> {
        let found = self.known(caller.key.hash).await?;
        let role = |key: &ApiKey| key.member.as_ref().map(|member| member.role);
        let is_same = |known: Known| role(&known.key) == role(&caller.key) && known.orgs == caller.orgs;
        Ok(found.is_some_and(is_same))
    }

    async fn admit(&self, credential: Option<Secret>, from: Origin) -> Result<Caller> {
        let known = match credential {
            Some(text) => self.known(KeyHash::of(text.expose())).await?,
            None => None,
        };
        let Known { key, orgs } = known.ok_or_else(|| self.failed(&from))?;
        self.limiter.request(key.id)?;
        Ok(Caller { key, orgs, from })
    }

    async fn known(&self, hash: KeyHash) -> Result<Option<Known>> {
        let found = match self.recall(hash) {
            Some(known) => Some(known),
            None => self.look_up(hash).await?,
        };
        Ok(found.filter(|known| known.key.is_live(self.clock.now())))
    }

    fn recall(&self, hash: KeyHash) -> Option<Known> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, since) = remembered.get(&hash)?;
        let age = self.clock.monotonic().saturating_sub(*since);
        (age < REMEMBERED_FOR).then(|| known.clone())
    }

    async fn look_up(&self, hash: KeyHash) -> Result<Option<Known>> {
        let since = self.clock.monotonic();
        let Some(key) = self.keys.key_by_hash(hash).await?.map(Arc::new) else {
            return Ok(None);
        };
        self.touch(&key).await;
        let orgs = match key.group_id {
            Some(group) => Arc::new(self.orgs_of(group).await?),
            None => Arc::default(),
        };
        let known = Known { key, orgs };
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(hash, (known.clone(), since));
        Ok(Some(known))
    }

    async fn orgs_of(&self, group: GroupId) -> Result<BTreeSet<OrgId>> {
        let (mut orgs, mut before) = (BTreeSet::new(), None);
        loop {
            let page = self.groups.orgs_of_group(group, PageRequest { before, limit: 250 }).await?;
            before = page.items.last().map(|org| org.id.0);
            orgs.extend(page.items.into_iter().map(|org| org.id));
            if !page.more {
                return Ok(orgs);
            }
        }
    }

    /// Remembers that a key is used, where that was not done a short while ago. What cannot be written is let go.
    async fn touch(&self, key: &ApiKey) {
        let now = self.clock.now();
        let is_recent = key.last_used_at.is_some_and(|last| last.duration_until(now) < USE_WRITTEN_EVERY);
        if key.is_live(now)
            && !is_recent
            && let Err(problem) = self.keys.touch_key(key.id, now).await
        {
            tracing::debug!(%problem, "the use of a key is not remembered");
        }
    }
}

/// Lets only requests with a valid key through, as often as the key may.
pub(crate) async fn authenticate(State(auth): State<Authenticator>, mut request: Request, next: Next) -> Response {
    match auth.caller(request.headers(), request.extensions()).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// `Bearer KEY` or `token KEY`, from exactly one header line.
fn credential(headers: &HeaderMap) -> Option<&str> {
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return None;
    };
    let (scheme, key) = line.to_str().ok()?.split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token");
    let key = key.trim_matches(' ');
    (known && !key.is_empty() && key.len() <= KEY_BYTES_MAX).then_some(key)
}

/// Who asks: the key that a request came with, and from where.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The key.
    pub key: Arc<ApiKey>,
    /// A group's organisations.
    orgs: Arc<BTreeSet<OrgId>>,
    from: Origin,
}

impl Caller {
    /// Whether the key is good for this organisation.
    pub fn sees(&self, org: OrgId) -> bool {
        match self.key.org_id {
            Some(own) => own == org,
            None => self.key.is_operators() || self.orgs.contains(&org),
        }
    }

    /// # Errors
    /// `forbidden`, naming the scope.
    pub fn must(&self, scope: Scope) -> Result<()> {
        match self.key.may(scope) {
            true => Ok(()),
            false => Err(Problem::Forbidden(scope)),
        }
    }

    /// # Errors
    /// Unless the key reaches every organisation.
    pub fn must_be_operator(&self) -> Result<()> {
        match self.key.is_operators() {
            true => self.must(Scope::Admin),
            false => Err(Problem::Forbidden(Scope::Admin)),
        }
    }

    /// What the caller does to `subject`, for the audit log. `detail` says what changed, its secrets masked.
    pub(crate) fn deed(&self, action: Action, subject: impl ToString, at: Timestamp, detail: Value) -> Deed {
        Deed {
            actor: match &self.key.member {
                Some(member) => Actor::Member { id: member.id, name: member.name.clone(), key: self.key.id },
                None => Actor::Key { id: self.key.id, name: self.key.name.clone() },
            },
            action,
            subject: Some(subject.to_string()),
            address: self.from.address,
            request_id: self.from.request_id,
            detail,
            at,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        parts.extensions.get::<Self>().cloned().ok_or(Problem::Unauthorized)
    }
}

/// What a handler needs its caller to be able to do.
pub trait Right: Send + Sync + 'static {
    /// The scope; `None`: any key of the organisation.
    const SCOPE: Option<Scope>;
}

macro_rules! rights {
    ($($name:ident = $scope:expr,)+) => {
        /// Scopes as types, for [`Tenant`].
        pub mod right {
            use super::{Right, Scope};
            $(
                #[doc = concat!("See [`Scope`]: ", stringify!($name), ".")]
                #[derive(Debug)]
                pub struct $name;
                impl Right for $name { const SCOPE: Option<Scope> = $scope; }
            )+
        }
    };
}

rights! {
    AnyKey = None,
    EventsRead = Some(Scope::EventsRead),
    EventsWrite = Some(Scope::EventsWrite),
    EventsErase = Some(Scope::EventsErase),
    EndpointsRead = Some(Scope::EndpointsRead),
    EndpointsWrite = Some(Scope::EndpointsWrite),
    DeliveriesRead = Some(Scope::DeliveriesRead),
    DeliveriesReplay = Some(Scope::DeliveriesReplay),
    ProjectsRead = Some(Scope::ProjectsRead),
    ProjectsWrite = Some(Scope::ProjectsWrite),
    FindingsRead = Some(Scope::FindingsRead),
    FindingsWrite = Some(Scope::FindingsWrite),
    PoamRead = Some(Scope::PoamRead),
    PoamWrite = Some(Scope::PoamWrite),
    SourcesRead = Some(Scope::SourcesRead),
    SourcesWrite = Some(Scope::SourcesWrite),
    ReceiptsAccept = Some(Scope::ReceiptsAccept),
    MembersRead = Some(Scope::MembersRead),
    MembersWrite = Some(Scope::MembersWrite),
    OrgWrite = Some(Scope::OrgWrite),
    AuditRead = Some(Scope::AuditRead),
    EvidenceRead = Some(Scope::EvidenceRead),
    EvidenceWrite = Some(Scope::EvidenceWrite),
    KeysRead = Some(Scope::KeysRead),
    KeysWrite = Some(Scope::KeysWrite),
}

/// The organisation in the path, which the caller may do `R` in.
#[derive(Debug)]
pub struct Tenant<R> {
    /// The organisation.
    pub org: OrgId,
    /// The key.
    pub caller: Caller,
    right: PhantomData<R>,
}

impl<R: Right, S: Send + Sync> FromRequestParts<S> for Tenant<R>
where
    OrgNames: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| Problem::NotFound)?;
        let text = params.iter().find_map(|(name, value)| (name == "org").then_some(value));
        let found = OrgNames::from_ref(state).find(text.unwrap_or_default()).await?;
        let org = found.filter(|org| caller.sees(*org)).ok_or(Problem::NotFound)?;
        if let Some(scope) = R::SCOPE {
            caller.must(scope)?;
        }
        Ok(Self { org, caller, right: PhantomData })
    }
}

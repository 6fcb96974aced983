//! Who calls, and what they may do here.
//!
//! [`authenticate`] finds the key and puts it into the request. A handler gets at an organisation only through
//! [`Tenant`], which names a scope in its type: there is no other way to an `OrgId`, so none can forget the check. An
//! organisation that the key may not see is answered exactly like one that does not exist.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{FromRef, FromRequestParts, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use watchbell_domain::access::{ApiKey, KeyHash, Scope};
use watchbell_domain::audit::{Action, Actor, Deed};
use watchbell_domain::id::{OrgId, RequestId};
use watchbell_domain::port::{Clock, KeyStore};
use watchbell_wire::Secret;

use crate::limits::Limiter;
use crate::org_names::OrgNames;
use crate::problem::{Problem, Result};

/// How long a key that was found is believed. Revoking on this node takes effect at once.
const REMEMBERED_FOR: SignedDuration = SignedDuration::from_secs(5);
/// Most keys remembered.
const REMEMBERED_MAX: usize = 4096;
/// A key is shorter than this.
const KEY_BYTES_MAX: usize = 512;

/// The address a request came from, put into its extensions by the server.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Keys by their hash, each with when it was looked up.
type Remembered = BTreeMap<KeyHash, (Arc<ApiKey>, SignedDuration)>;

/// Finds keys.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "ports are object-safe and say nothing about themselves")]
pub struct Authenticator {
    keys: Arc<dyn KeyStore>,
    clock: Arc<dyn Clock>,
    limiter: Limiter,
    remembered: Arc<Mutex<Remembered>>,
}

impl Authenticator {
    /// Looks keys up in `keys`.
    pub fn new(keys: Arc<dyn KeyStore>, clock: Arc<dyn Clock>, limiter: Limiter) -> Self {
        Self { keys, clock, limiter, remembered: Arc::default() }
    }

    /// Forgets every key, so that the next request sees what the store says.
    pub fn forget(&self) {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    async fn admit(&self, credential: Option<Secret>, address: IpAddr) -> Result<Arc<ApiKey>> {
        let key = match credential {
            Some(text) => self.key(text.expose()).await?,
            None => None,
        };
        let key = key.ok_or_else(|| self.limiter.failure(address))?;
        self.limiter.request(key.id)?;
        Ok(key)
    }

    async fn key(&self, text: &str) -> Result<Option<Arc<ApiKey>>> {
        let hash = KeyHash::of(text);
        let found = match self.recall(hash) {
            Some(key) => Some(key),
            None => self.look_up(hash).await?,
        };
        Ok(found.filter(|key| key.is_live(self.clock.now())))
    }

    fn recall(&self, hash: KeyHash) -> Option<Arc<ApiKey>> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let (key, since) = remembered.get(&hash)?;
        let age = self.clock.monotonic().saturating_sub(*since);
        (age < REMEMBERED_FOR).then(|| Arc::clone(key))
    }

    async fn look_up(&self, hash: KeyHash) -> Result<Option<Arc<ApiKey>>> {
        let since = self.clock.monotonic();
        let Some(key) = self.keys.key_by_hash(hash).await?.map(Arc::new) else {
            return Ok(None);
        };
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(hash, (Arc::clone(&key), since));
        Ok(Some(key))
    }
}

/// Lets only requests with a valid key through, as often as the key may.
pub(crate) async fn authenticate(State(auth): State<Authenticator>, mut request: Request, next: Next) -> Response {
    let credential = credential(request.headers()).map(Secret::new);
    let address = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
    let request_id = request.extensions().get::<RequestId>().copied();
    match auth.admit(credential, address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))).await {
        Ok(key) => {
            request.extensions_mut().insert(Caller { key, address, request_id });
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
    address: Option<IpAddr>,
    request_id: Option<RequestId>,
}

impl Caller {
    /// Whether the key is good for this organisation.
    pub fn sees(&self, org: OrgId) -> bool {
        self.key.org_id.is_none_or(|own| own == org)
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
        match self.key.org_id {
            None => self.must(Scope::Admin),
            Some(_) => Err(Problem::Forbidden(Scope::Admin)),
        }
    }

    /// What the caller does to `subject`, for the audit log. `detail` says what changed, its secrets masked.
    pub(crate) fn deed(&self, action: Action, subject: impl ToString, at: Timestamp, detail: Value) -> Deed {
        Deed {
            actor: Actor::Key { id: self.key.id, name: self.key.name.clone() },
            action,
            subject: Some(subject.to_string()),
            address: self.address,
            request_id: self.request_id,
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

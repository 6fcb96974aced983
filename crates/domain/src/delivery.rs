//! Deliveries (event × endpoint) and attempts (one try each).
//!
//! ```text
//!            accept                claim
//!  (new) ─────────────▶ pending ─────────▶ sending ───▶ delivered | dead_lettered
//!    │                   ▲   │ ▲            │
//!    │ endpoint not      │   │ └────────────┘ retry, interrupted
//!    │ active      resume│   │ pause, disable
//!    └───────────────▶ held ◀┘              pending | held ───▶ cancelled
//! ```
//!
//! `delivered`, `dead_lettered` and `cancelled` never change again: a replay is a new delivery that names the old one.

use jiff::{SignedDuration, Timestamp};

use crate::id::{DeliveryId, EndpointId, EventId, OrgId};

/// An event's way to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The same in every attempt.
    pub id: DeliveryId,
    /// Whose it is.
    pub org_id: OrgId,
    /// What is delivered.
    pub event_id: EventId,
    /// Where to.
    pub endpoint_id: EndpointId,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts that count towards the schedule (interrupted ones do not).
    pub attempts_counted: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// The delivery that this one repeats.
    pub replay_of: Option<DeliveryId>,
}

/// Where a delivery stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryState {
    /// Waits for its time.
    Pending {
        /// The next attempt is not before this.
        due_at: Timestamp,
    },
    /// An attempt is being made.
    Sending {
        /// Until when the claim holds.
        lease_until: Timestamp,
        /// Whoever settles must name this.
        lease: Lease,
    },
    /// Waits for its endpoint to become active.
    Held,
    /// The endpoint has it.
    Delivered {
        /// Since when.
        at: Timestamp,
    },
    /// Given up.
    DeadLettered {
        /// Since when.
        at: Timestamp,
        /// Why.
        reason: DeadLetterReason,
    },
    /// Not wanted any more.
    Cancelled {
        /// Since when.
        at: Timestamp,
        /// Why.
        reason: CancelReason,
    },
}

impl DeliveryState {
    /// The state's name in API and store.
    pub const fn as_str(&self) -> &'static str {
        self.kind().as_str()
    }

    /// The state without its data.
    pub const fn kind(&self) -> StateKind {
        match self {
            Self::Pending { .. } => StateKind::Pending,
            Self::Sending { .. } => StateKind::Sending,
            Self::Held => StateKind::Held,
            Self::Delivered { .. } => StateKind::Delivered,
            Self::DeadLettered { .. } => StateKind::DeadLettered,
            Self::Cancelled { .. } => StateKind::Cancelled,
        }
    }
}

/// A delivery's state without its data: for filters and counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateKind {
    /// Waits for its time.
    Pending,
    /// An attempt is being made.
    Sending,
    /// Waits for its endpoint.
    Held,
    /// The endpoint has it.
    Delivered,
    /// Given up.
    DeadLettered,
    /// Not wanted any more.
    Cancelled,
}

impl StateKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Sending, Self::Held, Self::Delivered, Self::DeadLettered, Self::Cancelled];

    /// The name in API and store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Held => "held",
            Self::Delivered => "delivered",
            Self::DeadLettered => "dead_lettered",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether nothing follows it.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Delivered | Self::DeadLettered | Self::Cancelled)
    }
}

/// A claim's token: grows with every claim of the delivery, so that a late settle of an old claim is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lease(pub u64);

/// Why a delivery was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadLetterReason {
    /// The schedule is exhausted.
    Exhausted,
    /// The endpoint answered 410.
    Gone,
    /// The endpoint's address is forbidden, three times in a row.
    EgressForbidden,
    /// The event cannot be said in the dialect.
    NotEncodable,
    /// The dialect says that this answer is final (a bearer receiver's 400 or 401).
    Refused,
    /// The attempt broke on our side, three times in a row.
    Internal,
}

impl DeadLetterReason {
    /// Every reason.
    pub const ALL: [Self; 6] =
        [Self::Exhausted, Self::Gone, Self::EgressForbidden, Self::NotEncodable, Self::Refused, Self::Internal];

    /// The name in API and store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::Gone => "gone",
            Self::EgressForbidden => "egress_forbidden",
            Self::NotEncodable => "not_encodable",
            Self::Refused => "refused",
            Self::Internal => "internal",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

/// Why a delivery was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelReason {
    /// Somebody asked for it.
    Requested,
    /// Its endpoint was deleted.
    EndpointDeleted,
    /// What its event says was erased.
    Erased,
}

impl CancelReason {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Requested, Self::EndpointDeleted, Self::Erased];

    /// The name in API and store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::EndpointDeleted => "endpoint_deleted",
            Self::Erased => "erased",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

/// One try, as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// 1, 2, 3, … within the delivery.
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took.
    pub duration: SignedDuration,
    /// How it ended.
    pub result: AttemptResult,
    /// What came back, where something did.
    pub response: Option<Response>,
    /// More about the result for people: the TLS alert, the masked `Location` of a redirect.
    pub detail: Option<String>,
}

/// The kept part of an endpoint's answer. Opaque: whatever it says is shown escaped and never acted on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header lines in order, our own secrets masked.
    pub headers: Vec<(String, String)>,
    /// The first bytes of the body.
    pub body: Vec<u8>,
    /// Whether there was more body than we keep.
    pub truncated: bool,
}

macro_rules! results {
    ($( $(#[$doc:meta])* $variant:ident = $text:literal, )+) => {
        /// How an attempt ended.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum AttemptResult {
            /// A complete response head with this status: `http_200`.
            Http(u16),
            $( $(#[$doc])* $variant, )+
        }

        impl AttemptResult {
            /// Every result but `Http`.
            pub const WITHOUT_STATUS: &'static [Self] = &[$(Self::$variant),+];

            /// The name in API, store and metrics: `http_503`, `connect_timeout`.
            pub fn name(self) -> std::borrow::Cow<'static, str> {
                match self {
                    Self::Http(status) => format!("http_{status}").into(),
                    $( Self::$variant => $text.into(), )+
                }
            }

            /// Reads the name.
            pub fn parse(text: &str) -> Option<Self> {
                if let Some(status) = text.strip_prefix("http_") {
                    return status.parse().ok().map(Self::Http);
                }
                Self::WITHOUT_STATUS.iter().copied().find(|result| result.name() == text)
            }
        }
    };
}

results! {
    /// The name could not be looked up.
    DnsError = "dns_error",
    /// The address is not one we may connect to.
    EgressForbidden = "egress_forbidden",
    /// Connection refused.
    ConnectRefused = "connect_refused",
    /// No route.
    ConnectUnreachable = "connect_unreachable",
    /// DNS, TCP and TLS took too long.
    ConnectTimeout = "connect_timeout",
    /// Certificate expired.
    TlsExpired = "tls_expired",
    /// Certificate not valid yet.
    TlsNotYetValid = "tls_not_yet_valid",
    /// Certificate chain not trusted.
    TlsUntrusted = "tls_untrusted",
    /// Certificate for another name.
    TlsHostname = "tls_hostname",
    /// Weak key or signature.
    TlsWeak = "tls_weak",
    /// No common TLS version, or no TLS at all.
    TlsProtocol = "tls_protocol",
    /// No complete response headers in time.
    ResponseTimeout = "response_timeout",
    /// Connection reset.
    ConnectionReset = "connection_reset",
    /// Connection closed before complete response headers.
    ConnectionClosed = "connection_closed",
    /// Not HTTP.
    ProtocolError = "protocol_error",
    /// More response head than we take.
    ResponseTooLarge = "response_too_large",
    /// A redirect, which is never followed.
    RedirectRefused = "redirect_refused",
    /// Taken, and no status says so: a log server's connection took it, a mail server accepted it, an answer about several
    /// deliveries names it.
    Sent = "sent",
    /// Not taken, by the word of a destination that says so by other means than a status: in the body of a 2xx, in a mail
    /// server's reply.
    Rejected = "rejected",
    /// No access token could be had, so nothing was sent.
    TokenError = "token_error",
    /// We stopped or died meanwhile. Does not count.
    Interrupted = "interrupted",
    /// Our own fault.
    Internal = "internal",
}

impl AttemptResult {
    /// Whether the endpoint has the delivery now.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Http(200..=299) | Self::Sent)
    }
}

//! The audit log: every change of what is configured, in the order in which it was committed, each entry bound to the
//! one before it.
//!
//! ```text
//!  Deed (who, from where, what) ──▶ Entry n = canonical JSON { …, "previous": hash n-1 } ──▶ hash n = SHA-256 of it
//! ```
//!
//! Each organisation has a chain, and so has what operators do beside them. Whoever changes, removes or inserts an entry
//! breaks the chain from there on, unless he writes all that follows anew; a head noted elsewhere shows that too.

mod chain;

use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::id::{KeyId, MemberId, RequestId};

pub use chain::{Broken, Chain, Entry, Head};

macro_rules! actions {
    ($( $(#[$doc:meta])* $variant:ident = $text:literal, )+) => {
        /// What can be done. The text form is `subject.verb`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action { $( $(#[$doc])* $variant, )+ }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Action] = &[$(Action::$variant),+];

            /// The text form.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $text, )+ }
            }
        }
    };
}

actions! {
    /// The server's first key was set by its configuration.
    ServerRootKey = "server.root_key",
    /// An organisation was made.
    OrgCreate = "org.create",
    /// An organisation got another name.
    OrgUpdate = "org.update",
    /// An organisation was put into a group, or taken out of one.
    OrgGroup = "org.group",
    /// An organisation was suspended.
    OrgSuspend = "org.suspend",
    /// An organisation may work again.
    OrgResume = "org.resume",
    /// An organisation was deleted: its keys are dead from here on.
    OrgDelete = "org.delete",
    /// The last of an organisation was removed; says where its own audit log ends.
    OrgRemoved = "org.removed",
    /// A group was made.
    GroupCreate = "group.create",
    /// A group got another name.
    GroupUpdate = "group.update",
    /// A group was deleted.
    GroupDelete = "group.delete",
    /// Somebody was invited.
    MemberInvite = "member.invite",
    /// Somebody took an invitation.
    MemberJoin = "member.join",
    /// A member got another name or role.
    MemberUpdate = "member.update",
    /// A member was removed, with their keys.
    MemberRemove = "member.remove",
    /// What an organisation weighs was changed.
    OrgWeight = "org.weight",
    /// A key was made.
    KeyCreate = "key.create",
    /// A key was replaced by another with the same rights.
    KeyRotate = "key.rotate",
    /// A key was revoked.
    KeyRevoke = "key.revoke",
    /// An endpoint was made.
    EndpointCreate = "endpoint.create",
    /// An endpoint was changed.
    EndpointUpdate = "endpoint.update",
    /// An endpoint got another secret.
    EndpointRotateSecret = "endpoint.rotate_secret",
    /// An endpoint's deliveries are held.
    EndpointPause = "endpoint.pause",
    /// An endpoint's deliveries go out again.
    EndpointResume = "endpoint.resume",
    /// An endpoint was disabled for what it answered.
    EndpointDisable = "endpoint.disable",
    /// A window of an endpoint's deliveries was repeated.
    EndpointReplay = "endpoint.replay",
    /// Something was muted for an endpoint.
    EndpointMute = "endpoint.mute",
    /// A mute was ended before its time.
    EndpointUnmute = "endpoint.unmute",
    /// An endpoint was deleted.
    EndpointDelete = "endpoint.delete",
    /// A source was made.
    SourceCreate = "source.create",
    /// A source was changed.
    SourceUpdate = "source.update",
    /// A source got another secret.
    SourceRotateSecret = "source.rotate_secret",
    /// A source's requests are not taken.
    SourcePause = "source.pause",
    /// A source's requests are taken again.
    SourceResume = "source.resume",
    /// A source was deleted.
    SourceDelete = "source.delete",
    /// A request that was refused was accepted by hand.
    ReceiptAccept = "receipt.accept",
    /// A request was taken again.
    ReceiptReplay = "receipt.replay",
    /// A waiting delivery was made due.
    DeliveryRetry = "delivery.retry",
    /// A waiting delivery was cancelled.
    DeliveryCancel = "delivery.cancel",
    /// A delivery was repeated.
    DeliveryReplay = "delivery.replay",
    /// An event was repeated to every endpoint it had gone to.
    EventReplay = "event.replay",
    /// What an event says was erased.
    EventErase = "event.erase",
    /// A search for a subject to erase was begun.
    ErasureCreate = "erasure.create",
    /// A replay was begun.
    ReplayCreate = "replay.create",
    /// A replay was ended.
    ReplayCancel = "replay.cancel",
    /// A project was made.
    ProjectCreate = "project.create",
    /// What is said of a project was changed: name, owner, labels.
    ProjectUpdate = "project.update",
    /// A finding was judged: suppressed, its risk accepted, called a false positive, or reopened.
    FindingJudge = "finding.judge",
    /// An accepted risk ended, and its finding reopened.
    FindingExpire = "finding.expire",
    /// A document was uploaded.
    EvidenceCreate = "evidence.create",
    /// A document was deleted.
    EvidenceDelete = "evidence.delete",
    /// Advisories were taken in.
    AdvisoryImport = "advisory.import",
    /// A plan of action was made.
    PoamCreate = "poam.create",
    /// A plan of action was changed.
    PoamUpdate = "poam.update",
    /// How plans of action ring was set.
    PoamSettings = "poam.settings",
    /// The policy that makes plans of action was set.
    PoamPolicy = "poam.policy",
    /// The catalogue of known exploited vulnerabilities was replaced.
    KevImport = "kev.import",
    /// An event type was defined.
    EventTypeCreate = "event_type.create",
    /// An event type was changed.
    EventTypeUpdate = "event_type.update",
    /// An event type was deleted.
    EventTypeDelete = "event_type.delete",
    /// A capture inbox was made.
    CaptureCreate = "capture.create",
    /// A capture inbox was deleted, with what was in it.
    CaptureDelete = "capture.delete",
    /// A request that a capture inbox was sent was deleted.
    CaptureRequestDelete = "capture_request.delete",
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Whoever had this key.
    Key {
        /// Which.
        id: KeyId,
        /// Its name at that time.
        name: String,
    },
    /// A member, with a key of their own.
    Member {
        /// Who.
        id: MemberId,
        /// Their name at that time.
        name: String,
        /// The key.
        key: KeyId,
    },
    /// Somebody who takes an invitation, and has no key yet.
    Invited {
        /// Who.
        id: MemberId,
        /// Their name at that time.
        name: String,
    },
    /// The server itself: the part of it that did so.
    System(&'static str),
}

impl Actor {
    fn json(&self) -> Value {
        match self {
            Self::Key { id, name } => json!({"kind": "key", "id": id.to_string(), "name": name}),
            Self::Member { id, name, key } => {
                json!({"kind": "member", "id": id.to_string(), "name": name, "key": key.to_string()})
            }
            Self::Invited { id, name } => json!({"kind": "member", "id": id.to_string(), "name": name, "key": null}),
            Self::System(part) => json!({"kind": "system", "id": part, "name": part}),
        }
    }
}

/// Something that is done, to be written down in the commit that does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// Who.
    pub actor: Actor,
    /// What.
    pub action: Action,
    /// What it was done to: an id as the API shows it.
    pub subject: Option<String>,
    /// From which address.
    pub address: Option<IpAddr>,
    /// In which request.
    pub request_id: Option<RequestId>,
    /// What changed, with secrets masked: see [`changes`].
    pub detail: Value,
    /// When.
    pub at: Timestamp,
}

impl Deed {
    /// Something that the server does by itself.
    pub fn of_system(part: &'static str, action: Action, subject: impl ToString, at: Timestamp) -> Self {
        let subject = Some(subject.to_string());
        Self { actor: Actor::System(part), action, subject, address: None, request_id: None, detail: Value::Null, at }
    }

    /// With what changed.
    #[must_use]
    pub fn with(self, detail: Value) -> Self {
        Self { detail, ..self }
    }
}

/// What differs between two JSON objects, member by member: `{"url": {"before": …, "after": …}}`.
pub fn changes(before: &Value, after: &Value) -> Value {
    let empty = Map::new();
    let (before, after) = (before.as_object().unwrap_or(&empty), after.as_object().unwrap_or(&empty));
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let differing = names.into_iter().filter_map(|name| {
        let (old, new) = (before.get(name), after.get(name));
        (old != new).then(|| (name.clone(), json!({"before": old, "after": new})))
    });
    Value::Object(differing.collect())
}

//! Ids: UUIDv7 with a type, shown as `ep_0192f0c1-…`.
//!
//! Both spellings, with and without the prefix, are read everywhere: vendors' APIs show ids bare.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::port::Entropy;

/// The text is not an id of this type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: wanted {prefix}_ and a UUID, or the UUID alone")]
pub struct IdError {
    /// The prefix of the type wanted.
    pub prefix: &'static str,
}

macro_rules! ids {
    ($( $(#[$doc:meta])* $name:ident = $prefix:literal, )+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl $name {
            /// What stands before the UUID.
            pub const PREFIX: &'static str = $prefix;

            /// A new id: sorted by time, unguessable by chance.
            pub fn make(now: Timestamp, entropy: &dyn Entropy) -> Self {
                Self(uuid_v7(now, entropy))
            }

            /// The UUID alone, as vendors' APIs show it.
            pub fn bare(self) -> String {
                self.0.hyphenated().to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let bare = text.strip_prefix(concat!($prefix, "_")).unwrap_or(text);
                // 36 characters: the hyphenated form only, so that an id has one spelling beside its prefix.
                if bare.len() != 36 {
                    return Err(IdError { prefix: $prefix });
                }
                Uuid::try_parse(bare).map(Self).map_err(|_| IdError { prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

ids! {
    /// An organisation.
    OrgId = "org",
    /// An API key (its name, not the key itself).
    KeyId = "key",
    /// An endpoint.
    EndpointId = "ep",
    /// An event.
    EventId = "evt",
    /// A delivery.
    DeliveryId = "dlv",
    /// A project.
    ProjectId = "prj",
    /// A scan of a project.
    ScanId = "scn",
    /// A finding.
    FindingId = "fnd",
    /// An entry in a finding's history.
    ChangeId = "chg",
    /// A replay that runs as a job.
    ReplayId = "rpl",
    /// An erasure by subject.
    ErasureId = "ers",
    /// A group of organisations.
    GroupId = "grp",
    /// A member of an organisation.
    MemberId = "mbr",
    /// A document uploaded as evidence.
    EvidenceId = "evd",
    /// A plan of action.
    PoamId = "poam",
    /// A completed lesson.
    TrainingId = "trn",
    /// A capture inbox.
    CaptureId = "cap",
    /// A request that a capture inbox was sent.
    CapturedId = "crq",
    /// A vendor that calls us.
    SourceId = "src",
    /// A request of a source.
    ReceiptId = "rcp",
    /// One request to our API.
    RequestId = "req",
}

fn uuid_v7(now: Timestamp, entropy: &dyn Entropy) -> Uuid {
    let mut random = [0; 10];
    entropy.fill(&mut random);
    let millis = u64::try_from(now.as_millisecond()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &str = "0192f0c1-7a3b-7c4d-8e5f-0123456789ab";

    #[test]
    fn both_spellings_are_read_and_ours_is_written() {
        let id: EndpointId = format!("ep_{BARE}").parse().unwrap();
        assert_eq!(BARE.parse(), Ok(id));
        assert_eq!(id.to_string(), format!("ep_{BARE}"));
        assert_eq!(id.bare(), BARE);
    }

    #[test]
    fn another_types_prefix_and_other_spellings_of_a_uuid_are_refused() {
        let refused =
            [format!("evt_{BARE}"), BARE.replace('-', ""), format!("{{{BARE}}}"), String::new(), "ep_".to_owned()];
        for text in refused {
            assert!(text.parse::<EndpointId>().is_err(), "{text}");
        }
    }
}

//! Sources: made, changed, their secrets rotated.
//!
//! A source without a secret would take anybody's word, so there is none: the secret is given, or made on request. What
//! the vendor shows (Symbiotic's key) or asks for (Snyk's, GitHub's) is given; a token that the vendor is to show us is
//! best made here.

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use watchbell_domain::endpoint::{EndpointSecret, RateLimit};
use watchbell_domain::id::{OrgId, SourceId};
use watchbell_domain::port::Entropy;
use watchbell_domain::receipt::CLOUDEVENTS;
use watchbell_domain::source::{Set, Source, SourceState};
use watchbell_domain::witness::Placing;
use watchbell_wire::dialect::Credential;
use watchbell_wire::{Dialect, Secret, Settings};

use super::endpoint::{self, Given, OVERLAP_MAX, after, check_secret, put_first};

/// Longest name, in characters.
pub const NAME_LENGTH_MAX: usize = 200;
/// Most networks a source may be called from.
pub const NETWORKS_MAX: usize = 100;
/// Longest settings, in bytes of JSON.
pub const SETTINGS_BYTES_MAX: usize = 16 * 1024;
/// Longest age that can be asked for.
pub const EVENT_AGE_MAX: SignedDuration = SignedDuration::from_hours(366 * 24);

/// What a source is to be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spec {
    /// The dialect's id.
    pub dialect: String,
    /// For people.
    pub name: String,
    /// The credential.
    pub credential: Given,
    /// Make the credential.
    pub makes_secret: bool,
    /// Where its requests may come from; empty: from anywhere.
    pub allowed_ips: Vec<String>,
    /// How often it may call.
    pub rate_limit: Set<RateLimit>,
    /// How old a signed time in a body may be.
    pub max_event_age: Set<SignedDuration>,
    /// What its dialect wants to know.
    pub settings: Map<String, Value>,
    /// Whether it begins paused.
    pub paused: bool,
}

/// What to change. `None`: leave as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Change {
    /// For people.
    pub name: Option<String>,
    /// Where its requests may come from, all of it.
    pub allowed_ips: Option<Vec<String>>,
    /// How often it may call.
    pub rate_limit: Option<Set<RateLimit>>,
    /// How old a signed time in a body may be.
    pub max_event_age: Option<Set<SignedDuration>>,
    /// What its dialect wants to know, all of it.
    pub settings: Option<Map<String, Value>>,
    /// Paused, or active again.
    pub paused: Option<bool>,
}

/// The source cannot be so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The credential is refused.
    #[error("{detail}")]
    Secret {
        /// `secret` or `bearer_token`.
        member: &'static str,
        /// What is wrong and what is wanted. Never the secret.
        detail: String,
    },
    /// Something else does not do.
    #[error("{detail}")]
    Member {
        /// Which, as a JSON pointer.
        pointer: String,
        /// What is wrong and what is wanted.
        detail: String,
    },
}

/// A source to be stored, and its secret where it was made now and may be shown, once.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// The source.
    pub source: Source,
    /// The secret that was made.
    pub secret: Option<Secret>,
}

/// A new source.
///
/// # Errors
/// [`Refused`]
pub fn create(org_id: OrgId, spec: Spec, now: Timestamp, entropy: &dyn Entropy) -> Result<Made, Refused> {
    let dialect = receivable(&spec.dialect)?;
    check_name(&spec.name)?;
    check_age(spec.max_event_age)?;
    check_settings(dialect, &spec.settings)?;
    let (secret, is_made) = credential(dialect, spec.credential, spec.makes_secret, entropy)?;
    let source = Source {
        id: SourceId::make(now, entropy),
        org_id,
        name: spec.name,
        dialect,
        secrets: vec![EndpointSecret { text: secret.clone(), created_at: now, expires_at: None }],
        allowed_ips: networks(&spec.allowed_ips)?,
        rate_limit: spec.rate_limit,
        max_event_age: spec.max_event_age,
        settings: spec.settings,
        state: if spec.paused { SourceState::Paused { since: now } } else { SourceState::Active },
        created_at: now,
        updated_at: now,
    };
    Ok(Made { source, secret: is_made.then_some(secret) })
}

/// The source after a change.
///
/// # Errors
/// [`Refused`]
pub fn change(seen: &Source, change: Change, now: Timestamp) -> Result<Source, Refused> {
    let turned = change.paused.and_then(|paused| with_state(seen, paused, now));
    let mut source = turned.unwrap_or_else(|| seen.clone());
    source.updated_at = after(seen.updated_at, now);
    if let Some(name) = change.name {
        check_name(&name)?;
        source.name = name;
    }
    if let Some(given) = change.allowed_ips {
        source.allowed_ips = networks(&given)?;
    }
    if let Some(rate) = change.rate_limit {
        source.rate_limit = rate;
    }
    if let Some(age) = change.max_event_age {
        check_age(age)?;
        source.max_event_age = age;
    }
    if let Some(settings) = change.settings {
        check_settings(seen.dialect, &settings)?;
        source.settings = settings;
    }
    Ok(source)
}

/// The source with a new secret; the others prove requests for `overlap` yet.
///
/// # Errors
/// [`Refused`]
pub fn rotate_secret(
    seen: &Source,
    given: Given,
    overlap: SignedDuration,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Made, Refused> {
    if overlap.is_negative() || overlap > OVERLAP_MAX {
        return Err(member("/overlap", "the overlap lies between 0s and 30 days (720h)"));
    }
    let makes = given == Given::default();
    let (secret, is_made) = credential(seen.dialect, given, makes, entropy)?;
    let mut source = seen.clone();
    source.updated_at = after(seen.updated_at, now);
    put_first(&mut source.secrets, &secret, overlap, now);
    Ok(Made { source, secret: is_made.then_some(secret) })
}

/// The source, paused or active again. `None`: it is so already.
pub fn with_state(seen: &Source, paused: bool, now: Timestamp) -> Option<Source> {
    let state = match (seen.state, paused) {
        (SourceState::Active, true) => SourceState::Paused { since: now },
        (SourceState::Paused { .. }, false) => SourceState::Active,
        (SourceState::Active, false) | (SourceState::Paused { .. }, true) => return None,
    };
    Some(Source { state, updated_at: after(seen.updated_at, now), ..seen.clone() })
}

fn receivable(id: &str) -> Result<&'static Dialect, Refused> {
    let can_be_received = |dialect: &&Dialect| dialect.inbound.is_some();
    watchbell_wire::dialect::find(id).filter(can_be_received).ok_or_else(|| {
        let all = watchbell_wire::dialect::ALL.iter().copied().filter(can_be_received);
        let names = all.map(|dialect| dialect.id).collect::<Vec<_>>().join(", ");
        member("/dialect", format!("the dialect is one of: {names}"))
    })
}

fn check_name(name: &str) -> Result<(), Refused> {
    let length = name.chars().count();
    match (1..=NAME_LENGTH_MAX).contains(&length) && !name.trim().is_empty() && !name.chars().any(char::is_control) {
        true => Ok(()),
        false => Err(member("/name", "a name has 1 to 200 characters on one line")),
    }
}

fn check_age(age: Set<SignedDuration>) -> Result<(), Refused> {
    match age {
        Set::To(age) if !age.is_positive() || age > EVENT_AGE_MAX => {
            Err(member("/max_event_age", "an age lies between 1ms and 366 days, or is \"off\""))
        }
        Set::Default | Set::Off | Set::To(_) => Ok(()),
    }
}

fn networks(given: &[String]) -> Result<Vec<IpNet>, Refused> {
    if given.len() > NETWORKS_MAX {
        return Err(member("/allowed_ips", "at most 100 networks"));
    }
    let read = |(index, text): (usize, &String)| {
        let address = text.parse::<std::net::IpAddr>().map(IpNet::from);
        address.or_else(|_| text.parse::<IpNet>()).map(|network| network.trunc()).map_err(|_| {
            let detail = "an address or a network is wanted, such as 192.0.2.7 or 192.0.2.0/24";
            member(&format!("/allowed_ips/{index}"), detail)
        })
    };
    given.iter().enumerate().map(read).collect()
}

fn check_settings(dialect: &Dialect, settings: &Map<String, Value>) -> Result<(), Refused> {
    settings_of(dialect, settings).map(drop)
}

/// What the dialect is told of a source's settings, once all of them are checked. Every source may say which projects it
/// means; the rest is its dialect's. `cloudevents` takes who may ask for consent, and how often they may send.
///
/// # Errors
/// [`Refused::Member`] with a pointer below `/settings`.
pub fn settings_of(dialect: &Dialect, settings: &Map<String, Value>) -> Result<Settings, Refused> {
    let bytes = Value::Object(settings.clone()).to_string().len();
    if bytes > SETTINGS_BYTES_MAX {
        return Err(member("/settings", "settings have at most 16384 bytes"));
    }
    let mut settings = settings.clone();
    Placing::take_from(&mut settings)
        .map_err(|problem| member(&format!("/settings{}", problem.pointer), format!("wanted: {}", problem.wanted)))?;
    if dialect.id == CLOUDEVENTS {
        crate::receive::handshake::Consent::read(&settings)
            .map_err(|problem| member(&format!("/settings/{}", problem.member), problem.wanted))?;
        return Ok(Settings::new(settings));
    }
    let settings = Settings::new(settings);
    match dialect.inbound.map(|inbound| inbound.check_settings(&settings)) {
        Some(Err(problem)) => Err(member(&format!("/settings{}", problem.pointer), problem.detail)),
        Some(Ok(())) | None => Ok(settings),
    }
}

/// The credential, and whether it was made here.
fn credential(
    dialect: &'static Dialect,
    given: Given,
    makes: bool,
    entropy: &dyn Entropy,
) -> Result<(Secret, bool), Refused> {
    let is_token = dialect.credential == Credential::BearerToken;
    let (name, other) = if is_token { ("bearer_token", "secret") } else { ("secret", "bearer_token") };
    let (text, misplaced) =
        if is_token { (given.bearer_token, given.secret) } else { (given.secret, given.bearer_token) };
    let refused = |member, detail| Err(Refused::Secret { member, detail });
    if misplaced.is_some() {
        return refused(other, format!("the dialect {} takes {name} and no {other}", dialect.id));
    }
    match (text, makes) {
        (Some(text), false) => {
            let checked = check_secret(dialect, name, &text);
            let refused = |refused: endpoint::Refused| Refused::Secret { member: name, detail: refused.to_string() };
            checked.map(|secret| (secret, false)).map_err(refused)
        }
        (Some(_), true) => refused(name, format!("give {name}, or have one made, not both")),
        (None, false) => {
            let detail = format!("a source needs its {name}: give it, or \"make_secret\": true to have one made");
            refused(name, detail)
        }
        (None, true) => {
            let mut random = [0; 32];
            entropy.fill(&mut random);
            Ok((dialect.secrets.make(random), true))
        }
    }
}

fn member(pointer: &str, detail: impl Into<String>) -> Refused {
    Refused::Member { pointer: pointer.to_owned(), detail: detail.into() }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use watchbell_domain::port::testing::SeededEntropy;

    use super::*;

    fn made(spec: Spec) -> Result<Made, Refused> {
        let entropy = SeededEntropy::new(1);
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        create(OrgId::make(now, &entropy), spec, now, &entropy)
    }

    fn spec(dialect: &str, secret: Option<&str>) -> Spec {
        let credential = Given { secret: secret.map(Secret::new), bearer_token: None };
        Spec { dialect: dialect.to_owned(), name: "n".to_owned(), credential, ..Spec::default() }
    }

    #[rstest]
    #[case("snyk", None)]
    #[case("snyk", Some(""))]
    #[case("snyk", Some("fifteen-bytes-x"))]
    #[case("standard", Some("whsec_c2hvcnQ="))]
    #[case("symbiotic", Some("not hexadecimal!!"))]
    #[case("bearer-scan", Some("sixteen-bytes-and-more"))]
    fn d4_no_source_without_a_secret_that_is_one(#[case] dialect: &str, #[case] secret: Option<&str>) {
        assert!(matches!(made(spec(dialect, secret)), Err(Refused::Secret { .. })));
    }

    #[test]
    fn secrets_are_made_on_request_and_rotated_with_an_overlap() {
        for dialect in watchbell_wire::dialect::ALL.iter().filter(|dialect| dialect.inbound.is_some()) {
            let made = made(Spec { makes_secret: true, ..spec(dialect.id, None) }).unwrap();
            assert!(made.secret.is_some());
            let now = Timestamp::from_second(1_800_000_100).unwrap();
            let overlap = SignedDuration::from_hours(24);
            let rotated = rotate_secret(&made.source, Given::default(), overlap, now, &SeededEntropy::new(2)).unwrap();
            let ends: Vec<_> = rotated.source.secrets.iter().map(|secret| secret.expires_at).collect();
            assert_eq!(ends, [None, Some(now + overlap)], "{}", dialect.id);
        }
    }

    #[test]
    fn networks_are_read_and_nonsense_is_not() {
        let with = |ips: &[&str]| Spec {
            allowed_ips: ips.iter().map(|ip| (*ip).to_owned()).collect(),
            ..spec("snyk", Some("sixteen-bytes-and-more"))
        };
        let source = made(with(&["192.0.2.7", "198.51.100.9/24", "2001:db8::/32"])).unwrap().source;
        for (address, is_admitted) in [
            ("192.0.2.7", true),
            ("::ffff:192.0.2.7", true),
            ("192.0.2.8", false),
            ("198.51.100.200", true),
            ("2001:db8:1::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(source.admits(address.parse().unwrap()), is_admitted, "{address}");
        }
        assert!(made(with(&["all"])).is_err());
    }
}

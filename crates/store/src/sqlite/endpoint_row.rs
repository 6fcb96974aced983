//! An endpoint as a row. URL, secrets, header values and the transport are sealed, each as one value, bound to the endpoint.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use watchbell_domain::endpoint::{
    Batch, DisabledReason, Endpoint, EndpointPolicy, EndpointSecret, EndpointState, Flow, Order, StormThreshold,
    Transport,
};
use watchbell_domain::id::{EndpointId, OrgId};
use watchbell_wire::{EventType, Secret, Settings, Severity};
use zeroize::Zeroizing;

use super::endpoint_rules;
use super::endpoint_transport::StoredTransport;
use super::error::Result;
use super::row::{Columns, corrupt, duration_micros, micros, truncated};
use super::vault::Vault;
use crate::seal::Place;

const TABLE: &str = "endpoint";

/// A secret inside the sealed list.
#[derive(Serialize, Deserialize)]
struct StoredSecret {
    #[serde(with = "text")]
    text: Secret,
    created_at: i64,
    expires_at: Option<i64>,
}

/// A header inside the sealed list.
#[derive(Serialize, Deserialize)]
struct StoredHeader {
    name: String,
    #[serde(with = "text")]
    value: Secret,
}

/// A secret as JSON: only ever inside what is sealed at once.
pub(super) mod text {
    use serde::{Deserialize, Deserializer, Serializer};
    use watchbell_wire::Secret;

    pub(in super::super) fn serialize<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret.expose())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}

pub(super) fn decode(row: &Row<'_>, vault: &Vault) -> Result<Endpoint> {
    let columns = Columns::of(TABLE, row);
    let org_id = OrgId(columns.uuid("org_id")?);
    let id = EndpointId(columns.uuid("id")?);
    let flow = flow(&columns)?;
    Ok(Endpoint {
        id,
        org_id,
        url: unseal(&columns, "url", vault, org_id, id)?,
        dialect: columns.named("dialect", vault.find_dialect)?,
        description: columns.get("description")?,
        events: match columns.get::<Option<String>>("events")? {
            Some(_) => Some(columns.json::<BTreeSet<EventType>>("events")?),
            None => None,
        },
        state: state(&columns)?,
        secrets: secrets(&columns, vault, org_id, id)?,
        headers: headers(&columns, vault, org_id, id)?,
        settings: settings(&columns)?,
        transport: transport(&columns, vault, org_id, id)?,
        policy: EndpointPolicy {
            retry_schedule: match columns.get::<Option<String>>("retry_schedule")? {
                Some(_) => {
                    let waits: Vec<i64> = columns.json("retry_schedule")?;
                    Some(waits.into_iter().map(SignedDuration::from_micros).collect())
                }
                None => None,
            },
            timeout: columns.get::<Option<i64>>("timeout")?.map(SignedDuration::from_micros),
            max_in_flight: flow.max_in_flight,
            max_attempts: columns.get("max_attempts")?,
            rate_limit: flow.rate_limit,
            order: flow.order,
            min_severity: match columns.get::<Option<String>>("min_severity")? {
                Some(_) => Some(columns.named("min_severity", Severity::parse)?),
                None => None,
            },
            storm_threshold: columns.get::<Option<i64>>("storm_threshold")?.map(storm_threshold),
            batch: batch(&columns)?,
            rules: endpoint_rules::read(&columns)?,
        },
        not_before: columns.maybe_time("not_before")?,
        created_at: columns.time("created_at")?,
        updated_at: columns.time("updated_at")?,
    })
}

/// What says when attempts may begin: of an endpoint that is gone, nothing.
pub(super) fn flow(columns: &Columns<'_, '_>) -> Result<Flow> {
    let given = |column| columns.get::<Option<String>>(column);
    Ok(Flow {
        max_in_flight: columns.get("max_in_flight")?,
        rate_limit: match given("rate_limit")? {
            Some(_) => Some(columns.named("rate_limit", |text| text.parse().ok())?),
            None => None,
        },
        order: match given("ordered")? {
            Some(_) => columns.named("ordered", Order::parse)?,
            None => Order::default(),
        },
        gathers: batch(columns)?.map(|batch| batch.max),
    })
}

/// How deliveries gather, inside its column.
#[derive(Serialize, Deserialize)]
struct StoredBatch {
    max: u32,
    /// In microseconds.
    wait: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    except: Option<Severity>,
}

fn batch(columns: &Columns<'_, '_>) -> Result<Option<Batch>> {
    if columns.get::<Option<String>>("batch")?.is_none() {
        return Ok(None);
    }
    let StoredBatch { max, wait, except } = columns.json("batch")?;
    Ok(Some(Batch { max, wait: SignedDuration::from_micros(wait), except }))
}

/// The batch as JSON.
pub(super) fn batch_column(endpoint: &Endpoint) -> Option<String> {
    let Batch { max, wait, except } = endpoint.policy.batch?;
    Some(serde_json::json!(StoredBatch { max, wait: duration_micros(wait), except }).to_string())
}

/// Told one by one however many there are: less than any count.
const STORM_OFF: i64 = -1;

fn storm_threshold(column: i64) -> StormThreshold {
    u32::try_from(column).map_or(StormThreshold::Off, StormThreshold::Above)
}

/// The threshold as a number.
pub(super) fn storm_column(endpoint: &Endpoint) -> Option<i64> {
    endpoint.policy.storm_threshold.map(|threshold| match threshold {
        StormThreshold::Off => STORM_OFF,
        StormThreshold::Above(count) => i64::from(count),
    })
}

/// The endpoint as it will come back: times and durations in whole microseconds.
pub(super) fn as_stored(mut endpoint: Endpoint) -> Endpoint {
    let whole = |duration: SignedDuration| SignedDuration::from_micros(duration_micros(duration));
    endpoint.state = match endpoint.state {
        EndpointState::Active => EndpointState::Active,
        EndpointState::Paused { since } => EndpointState::Paused { since: truncated(since) },
        EndpointState::Disabled { since, reason } => EndpointState::Disabled { since: truncated(since), reason },
    };
    for secret in &mut endpoint.secrets {
        secret.created_at = truncated(secret.created_at);
        secret.expires_at = secret.expires_at.map(truncated);
    }
    if let Some(schedule) = &mut endpoint.policy.retry_schedule {
        for wait in schedule {
            *wait = whole(*wait);
        }
    }
    endpoint.policy.timeout = endpoint.policy.timeout.map(whole);
    if let Some(batch) = &mut endpoint.policy.batch {
        batch.wait = whole(batch.wait);
    }
    endpoint_rules::as_stored(&mut endpoint.policy.rules);
    endpoint.not_before = endpoint.not_before.map(truncated);
    endpoint.created_at = truncated(endpoint.created_at);
    endpoint.updated_at = truncated(endpoint.updated_at);
    endpoint
}

/// `state`, `state_since`, `state_reason`.
pub(super) fn state_columns(state: &EndpointState) -> (&'static str, Option<i64>, Option<&'static str>) {
    match state {
        EndpointState::Active => (state.as_str(), None, None),
        EndpointState::Paused { since } => (state.as_str(), Some(micros(*since)), None),
        EndpointState::Disabled { since, reason } => (state.as_str(), Some(micros(*since)), Some(reason.as_str())),
    }
}

fn state(columns: &Columns<'_, '_>) -> Result<EndpointState> {
    let name: String = columns.get("state")?;
    Ok(match name.as_str() {
        "active" => EndpointState::Active,
        "paused" => EndpointState::Paused { since: columns.time("state_since")? },
        "disabled" => EndpointState::Disabled {
            since: columns.time("state_since")?,
            reason: columns.named("state_reason", |text| {
                [DisabledReason::Gone, DisabledReason::Failing, DisabledReason::OrgSuspended]
                    .into_iter()
                    .find(|reason| reason.as_str() == text)
            })?,
        },
        _ => return Err(columns.corrupt("state", "an unknown state")),
    })
}

/// The event types as a JSON array.
pub(super) fn events_column(endpoint: &Endpoint) -> Option<String> {
    endpoint.events.as_ref().map(|events| {
        let names: Vec<&str> = events.iter().map(EventType::as_str).collect();
        serde_json::json!(names).to_string()
    })
}

/// The waits as a JSON array of microseconds.
pub(super) fn schedule_column(endpoint: &Endpoint) -> Option<String> {
    endpoint.policy.retry_schedule.as_ref().map(|schedule| {
        let waits: Vec<i64> = schedule.iter().map(|wait| duration_micros(*wait)).collect();
        serde_json::json!(waits).to_string()
    })
}

/// `None` where there are none.
pub(super) fn settings_column(endpoint: &Endpoint) -> Option<String> {
    let members = endpoint.settings.members();
    (!members.is_empty()).then(|| serde_json::json!(members).to_string())
}

fn settings(columns: &Columns<'_, '_>) -> Result<Settings> {
    Ok(match columns.get::<Option<String>>("settings")? {
        Some(_) => Settings::new(columns.json("settings")?),
        None => Settings::default(),
    })
}

/// Some URLs are all that is needed to post to a chat, and others hold a token in their query.
pub(super) fn sealed_url(endpoint: &Endpoint, vault: &Vault) -> Result<Vec<u8>> {
    seal(endpoint, "url", &endpoint.url, vault)
}

pub(super) fn sealed_secrets(endpoint: &Endpoint, vault: &Vault) -> Result<Vec<u8>> {
    sealed_list(&endpoint.secrets, place(endpoint.org_id, &endpoint.id, "secrets"), vault)
}

/// Secrets with their times, sealed as one value.
pub(super) fn sealed_list(secrets: &[EndpointSecret], place: Place<'_>, vault: &Vault) -> Result<Vec<u8>> {
    let secrets: Vec<StoredSecret> = secrets
        .iter()
        .map(|secret| StoredSecret {
            text: secret.text.clone(),
            created_at: micros(secret.created_at),
            expires_at: secret.expires_at.map(micros),
        })
        .collect();
    seal_at(place, &secrets, vault)
}

pub(super) fn sealed_headers(endpoint: &Endpoint, vault: &Vault) -> Result<Vec<u8>> {
    let headers: Vec<StoredHeader> = endpoint
        .headers
        .iter()
        .map(|(name, value)| StoredHeader { name: name.clone(), value: value.clone() })
        .collect();
    seal(endpoint, "headers", &headers, vault)
}

/// `None` where nothing differs from the default.
pub(super) fn sealed_transport(endpoint: &Endpoint, vault: &Vault) -> Result<Option<Vec<u8>>> {
    match endpoint.transport == Transport::default() {
        true => Ok(None),
        false => seal(endpoint, "transport", &StoredTransport::from(&endpoint.transport), vault).map(Some),
    }
}

fn seal<T: Serialize>(endpoint: &Endpoint, field: &'static str, value: &T, vault: &Vault) -> Result<Vec<u8>> {
    seal_at(place(endpoint.org_id, &endpoint.id, field), value, vault)
}

fn seal_at<T: Serialize>(place: Place<'_>, value: &T, vault: &Vault) -> Result<Vec<u8>> {
    let json = serde_json::to_vec(value)
        .map_err(|problem| corrupt(place.table, place.field, hex::encode(place.object), problem))?;
    vault.seal(place, &Zeroizing::new(json))
}

fn secrets(columns: &Columns<'_, '_>, vault: &Vault, org: OrgId, id: EndpointId) -> Result<Vec<EndpointSecret>> {
    opened_secrets(columns, "secrets", place(org, &id, "secrets"), vault)
}

/// What [`sealed_list`] has sealed.
pub(super) fn opened_secrets(
    columns: &Columns<'_, '_>,
    field: &'static str,
    place: Place<'_>,
    vault: &Vault,
) -> Result<Vec<EndpointSecret>> {
    let time = |micros: i64| Timestamp::from_microsecond(micros).map_err(|problem| columns.corrupt(field, problem));
    unseal_at::<Vec<StoredSecret>>(columns, field, place, vault)?
        .into_iter()
        .map(|secret| {
            Ok(EndpointSecret {
                text: secret.text,
                created_at: time(secret.created_at)?,
                expires_at: secret.expires_at.map(time).transpose()?,
            })
        })
        .collect()
}

fn headers(columns: &Columns<'_, '_>, vault: &Vault, org: OrgId, id: EndpointId) -> Result<Vec<(String, Secret)>> {
    let headers = unseal::<Vec<StoredHeader>>(columns, "headers", vault, org, id)?;
    Ok(headers.into_iter().map(|header| (header.name, header.value)).collect())
}

fn transport(columns: &Columns<'_, '_>, vault: &Vault, org: OrgId, id: EndpointId) -> Result<Transport> {
    match columns.get::<Option<Vec<u8>>>("transport")? {
        None => Ok(Transport::default()),
        Some(_) => unseal::<StoredTransport>(columns, "transport", vault, org, id)?
            .read()
            .ok_or_else(|| columns.corrupt("transport", "an unknown name")),
    }
}

fn unseal<T: serde::de::DeserializeOwned>(
    columns: &Columns<'_, '_>,
    field: &'static str,
    vault: &Vault,
    org: OrgId,
    id: EndpointId,
) -> Result<T> {
    unseal_at(columns, field, place(org, &id, field), vault)
}

fn unseal_at<T: serde::de::DeserializeOwned>(
    columns: &Columns<'_, '_>,
    field: &'static str,
    place: Place<'_>,
    vault: &Vault,
) -> Result<T> {
    let sealed: Vec<u8> = columns.get(field)?;
    let json = vault.open(place, &sealed)?;
    // Not the parser's words: they may repeat what they stumbled over.
    serde_json::from_slice(&json).map_err(|_| columns.corrupt(field, "not what is kept there"))
}

fn place<'a>(org: OrgId, id: &'a EndpointId, field: &'static str) -> Place<'a> {
    Place { org, object: id.0.as_bytes(), table: TABLE, field }
}

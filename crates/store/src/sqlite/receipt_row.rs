//! A receipt as a row.

use std::net::IpAddr;

use rusqlite::{Connection, Row, params};
use uuid::Uuid;
use watchbell_domain::id::{EventId, OrgId, ReceiptId, SourceId};
use watchbell_domain::receipt::{KeptRequest, Kind, Receipt, Verdict};
use watchbell_wire::Headers;

use super::error::{OrConflict, Result};
use super::row::{Columns, micros, signed};

const TABLE: &str = "receipt";

const INSERT: &str = "INSERT INTO receipt (org_id, id, source_id, kind, verdict, status, received_at, address, method, \
    headers, body_bytes, detail, vendor_event, events, of_receipt, bytes, body) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)";

/// What a row weighs beside headers and body.
const ROW_BYTES: usize = 200;

pub(super) const fn kind_code(kind: Kind) -> u8 {
    match kind {
        Kind::Taken => 0,
        Kind::Repeated => 1,
        Kind::Refused => 2,
    }
}

pub(super) fn insert(conn: &Connection, receipt: &Receipt) -> Result<()> {
    let request = &receipt.request;
    let headers = packed(&request.headers);
    let events: Vec<u8> = receipt.events.iter().flat_map(|event| event.0.into_bytes()).collect();
    let bytes = ROW_BYTES + headers.len() + request.body.len();
    let inserted = conn.prepare_cached(INSERT)?.execute(params![
        receipt.org_id.0.as_bytes(),
        receipt.id.0.as_bytes(),
        receipt.source_id.0.as_bytes(),
        kind_code(receipt.verdict.kind()),
        receipt.verdict.as_str(),
        receipt.status,
        micros(receipt.received_at),
        receipt.address.map(|address| match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        }),
        request.method,
        headers,
        request.body_bytes.map(signed),
        receipt.detail,
        receipt.vendor_event,
        (!events.is_empty()).then_some(events),
        receipt.of.map(|of| *of.0.as_bytes()),
        signed(u64::try_from(bytes).unwrap_or(u64::MAX)),
        &*request.body,
    ]);
    inserted.or_conflict("a receipt of this id exists").map(drop)
}

pub(super) fn decode(row: &Row<'_>) -> Result<Receipt> {
    let columns = Columns::of(TABLE, row);
    let headers: Vec<u8> = columns.get("headers")?;
    let events: Vec<u8> = columns.get::<Option<Vec<u8>>>("events")?.unwrap_or_default();
    let (events, []) = events.as_chunks::<16>() else {
        return Err(columns.corrupt("events", "half an entry"));
    };
    Ok(Receipt {
        id: ReceiptId(columns.uuid("id")?),
        org_id: OrgId(columns.uuid("org_id")?),
        source_id: SourceId(columns.uuid("source_id")?),
        received_at: columns.time("received_at")?,
        address: columns.get::<Option<[u8; 16]>>("address")?.map(|octets| IpAddr::from(octets).to_canonical()),
        request: KeptRequest {
            method: columns.get("method")?,
            headers: unpacked(&headers).ok_or_else(|| columns.corrupt("headers", "half an entry"))?,
            body: columns.get::<Vec<u8>>("body")?.into(),
            body_bytes: columns.get::<Option<i64>>("body_bytes")?.and_then(|bytes| u64::try_from(bytes).ok()),
        },
        verdict: columns.named("verdict", Verdict::parse)?,
        status: columns.get("status")?,
        detail: columns.get("detail")?,
        vendor_event: columns.get("vendor_event")?,
        events: events.iter().map(|id| EventId(Uuid::from_bytes(*id))).collect(),
        of: columns.maybe_uuid("of_receipt")?.map(ReceiptId),
    })
}

/// Between which ids the receipt of an event is: both are made in the same millisecond, and begin with it.
pub(super) fn around(event: EventId) -> ([u8; 16], [u8; 16]) {
    let millis = event.0.as_u128() >> 80;
    let first_of = |millis: u128| (millis << 80).to_be_bytes();
    (first_of(millis), first_of(millis + 1))
}

/// Each line as length, name, length, value; lengths in four bytes, big-endian.
fn packed(headers: &Headers) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(headers.iter().map(|(name, value)| 8 + name.len() + value.len()).sum());
    let mut put = |piece: &[u8]| {
        bytes.extend_from_slice(&u32::try_from(piece.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(piece);
    };
    for (name, value) in headers.iter() {
        put(name.as_bytes());
        put(value);
    }
    bytes
}

fn unpacked(mut bytes: &[u8]) -> Option<Headers> {
    let mut headers = Headers::default();
    while !bytes.is_empty() {
        let mut take = || {
            let (length, rest) = bytes.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
            let (piece, rest) = rest.split_at_checked(length)?;
            bytes = rest;
            Some(piece)
        };
        let name = std::str::from_utf8(take()?).ok()?;
        headers.push(name, take()?);
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_as_they_were() {
        let headers: Headers = [("X-A", &b"1"[..]), ("x-a", b""), ("B", b"\xff\0")].into_iter().collect();
        let bytes = packed(&headers);
        assert_eq!(unpacked(&bytes), Some(headers));
        assert_eq!(unpacked(&[]), Some(Headers::default()));
        for end in 1..bytes.len() {
            let cut = unpacked(&bytes[..end]);
            assert!(cut.is_none() || cut.unwrap().iter().count() < 3, "{end}");
        }
    }
}

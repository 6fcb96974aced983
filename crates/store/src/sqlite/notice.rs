//! Notices: events about endpoints and deliveries, accepted in the commit that gives cause to them.

use rusqlite::{OptionalExtension, params};
use watchbell_domain::delivery::DeadLetterReason;
use watchbell_domain::endpoint::DisabledReason;
use watchbell_domain::event::NewEvent;
use watchbell_domain::id::{EventId, ProjectId};
use watchbell_domain::notice::{self, DeadLetter};
use watchbell_domain::port::{Acceptance, DeliveryIds, Settlement};

use super::error::Result;
use super::event;
use super::row::Columns;
use super::writer::Tx;

/// Tells that an endpoint was disabled by what became of an attempt.
pub(super) fn endpoint_disabled(tx: &mut Tx<'_>, settlement: &Settlement, reason: DisabledReason) -> Result<()> {
    let id = EventId::make(settlement.settled_at, &*tx.vault.entropy);
    let told = notice::endpoint_disabled(id, settlement.endpoint_id, reason, settlement.settled_at);
    accept(tx, settlement, told)
}

/// Tells that a delivery was given up, unless it was a notice itself.
pub(super) fn dead_lettered(
    tx: &mut Tx<'_>,
    settlement: &Settlement,
    event_id: EventId,
    reason: DeadLetterReason,
) -> Result<()> {
    let mut query = tx.conn.prepare_cached("SELECT id, type, project_id FROM event WHERE org_id = ?1 AND id = ?2")?;
    let key = params![settlement.org_id.0.as_bytes(), event_id.0.as_bytes()];
    let found = query.query_row(key, |row| {
        let columns = Columns::of("event", row);
        let event_type = columns.named("type", |text| text.parse().ok());
        Ok(event_type.and_then(|event_type| Ok((event_type, columns.maybe_uuid("project_id")?))))
    });
    let Some((event_type, project_id)) = found.optional()?.transpose()? else {
        return Ok(());
    };
    drop(query);
    let letter = DeadLetter {
        delivery_id: settlement.delivery_id,
        endpoint_id: settlement.endpoint_id,
        event_id,
        event_type,
        project_id: project_id.map(ProjectId),
        reason,
    };
    let id = EventId::make(settlement.settled_at, &*tx.vault.entropy);
    match notice::dead_lettered(id, &letter, settlement.settled_at) {
        Some(told) => accept(tx, settlement, told),
        None => Ok(()),
    }
}

fn accept(tx: &mut Tx<'_>, settlement: &Settlement, told: NewEvent) -> Result<()> {
    let mut seed = [0; 32];
    tx.vault.entropy.fill(&mut seed);
    let acceptance = Acceptance {
        org_id: settlement.org_id,
        events: vec![told],
        accepted_at: settlement.settled_at,
        delivery_ids: DeliveryIds { seed },
    };
    event::accept(tx, &acceptance).map(drop)
}

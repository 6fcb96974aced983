//! What every decoder's target does: sign the bytes as a sender would, so that verification passes and decoding is
//! reached, and say the decoded events again in every dialect.

use jiff::{SignedDuration, Timestamp};
use watchbell_wire::{dialect, event, Headers, Message, Settings, Unverified};

pub fn run(id: &str, vendor_event: &str, body: &[u8]) {
    let Some(dialect) = dialect::find(id) else { return };
    let Ok(key) = dialect.secrets.key(&dialect.secrets.make([7; 32])) else {
        return;
    };
    let (keys, now) = ([key], Timestamp::UNIX_EPOCH);
    let message = Message {
        id: "msg_1",
        event: vendor_event,
        occurred_at: now,
        sent_at: now,
        body,
    };
    // Symbiotic signs parsed JSON; what it cannot parse it cannot sign.
    let Ok(headers) = dialect.sign(&message, &keys) else {
        return;
    };
    let headers: Headers = headers.into_iter().map(|line| (line.name, line.value)).collect();
    let verified = Unverified::new(headers, body.to_vec()).verify(dialect, &keys, now, SignedDuration::ZERO);
    let verified = verified.expect("what is signed verifies");
    for event in verified.decode().into_iter().flat_map(|decoded| decoded.events) {
        event::check(&event.event_type, &event.data).expect("decoded events fit their type");
        for dialect in dialect::ALL {
            let Some(Ok(said)) = dialect.outbound.map(|outbound| outbound.encode(&event, &Settings::default())) else {
                continue;
            };
            assert!(std::str::from_utf8(&said).is_ok());
        }
    }
}

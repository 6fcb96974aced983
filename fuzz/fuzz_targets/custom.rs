//! The dialect by configuration: the first line is its settings, the rest a body. Whatever they are, nothing panics; and
//! settings that are refused decode nothing.
#![no_main]

use jiff::{SignedDuration, Timestamp};
use watchbell_wire::{dialect, event, Headers, Settings, Unverified};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some(split) = input.iter().position(|byte| *byte == b'\n') else { return };
    let (settings, body) = (&input[..split], &input[split + 1..]);
    let Ok(members) = serde_json::from_slice(settings) else { return };
    let Some(custom) = dialect::find("custom") else { return };
    let settings = Settings::new(members);
    let is_refused = custom.inbound.is_some_and(|inbound| inbound.check_settings(&settings).is_err());
    let request = Unverified::new(Headers::default(), body.to_vec()).configured(settings);
    let _ = request.clone().verify(custom, &[], Timestamp::UNIX_EPOCH, SignedDuration::ZERO);
    let Ok(verified) = request.vouched(custom, Timestamp::UNIX_EPOCH) else { return };
    let Ok(decoded) = verified.decode() else { return };
    assert!(!is_refused);
    for one in decoded.events {
        event::check(&one.event_type, &one.data).expect("decoded events fit their type");
    }
});

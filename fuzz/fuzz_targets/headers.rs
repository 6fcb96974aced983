//! Verification before any decoding: whatever stands in the credential's headers, it is not accepted by chance.
#![no_main]

use jiff::{SignedDuration, Timestamp};
use watchbell_wire::{Headers, Unverified, dialect};

const NAMES: &[&str] = &[
    "X-Hub-Signature",
    "symbioticsec_signature",
    "X-Aegis-Signature",
    "Authorization",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let lines = bytes.split(|&byte| byte == b'\n');
    let headers: Headers = NAMES.iter().copied().zip(lines).collect();
    for dialect in dialect::ALL {
        let Ok(key) = dialect.secrets.key(&dialect.secrets.make([7; 32])) else {
            continue;
        };
        let request = Unverified::new(headers.clone(), "{}");
        assert!(
            request
                .verify(dialect, &[key], Timestamp::UNIX_EPOCH, SignedDuration::MAX)
                .is_err()
        );
    }
});

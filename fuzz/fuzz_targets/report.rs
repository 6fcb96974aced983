//! A scanner's report: whatever is posted, reading it ends, and what is read has an identity.

#![no_main]

use libfuzzer_sys::fuzz_target;
use watchbell_domain::finding::identity;
use watchbell_domain::scan;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(report) = scan::read(bytes, None) {
        for observation in &report.observations {
            assert!(!identity::label(observation, 1).is_empty());
        }
    }
});

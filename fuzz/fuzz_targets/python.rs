//! Canonical text is ASCII and its own canonical text.
#![no_main]

use watchbell_wire::json::python;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(canonical) = python::canonical(bytes) {
        assert!(canonical.is_ascii());
        assert_eq!(python::canonical(canonical.as_bytes()).as_ref(), Ok(&canonical));
    }
});

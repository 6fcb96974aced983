//! What goes to JavaScript survives it.
#![no_main]

use watchbell_wire::json::javascript;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(written) = javascript::restringify(text) {
        assert_eq!(javascript::restringify(&written).as_ref(), Ok(&written));
    }
});

//! What the edge takes, every reader takes.
#![no_main]

use watchbell_wire::json::{python, strict};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if strict::check(bytes, 64).is_ok() {
        python::canonical(bytes).expect("Python reads all that is strict");
    }
});

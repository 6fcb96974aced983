//! The decoder, reached through a right token; see `decoder.rs`.
#![no_main]

mod decoder;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    decoder::run("gitlab", "vulnerability", body);
});

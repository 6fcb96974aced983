//! The decoder, reached through a right signature; see `decoder.rs`.
#![no_main]

mod decoder;

libfuzzer_sys::fuzz_target!(|body: &[u8]| decoder::run("standard", "", body));

//! What a request may ask for.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| message::properties::any_target(bytes));

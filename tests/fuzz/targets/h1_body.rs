//! What may stand for a body.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wire::h1::properties::any_body(bytes));

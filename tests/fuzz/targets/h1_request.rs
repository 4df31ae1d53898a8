//! What a client may send.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wire::h1::properties::any_request(bytes));

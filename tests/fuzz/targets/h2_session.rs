//! Sessions of HTTP/2, both sides, as scripts of steps.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wire::h2::properties::any_session(bytes));

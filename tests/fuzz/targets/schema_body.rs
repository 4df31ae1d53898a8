//! What a body may be, whatever its model.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| schema::properties::any_body(bytes));

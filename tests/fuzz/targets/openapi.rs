//! What an OpenAPI document may be.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| source::properties::any_document(bytes));

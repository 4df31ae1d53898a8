//! What a response and a request say about caching, as lines of fields.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| policy::cache::properties::any_fields(bytes));

//! What may stand in a configuration file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| source::properties::any_file(bytes));

//! A template of the access log, and values for it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| telemetry::access::properties::any_template(bytes));

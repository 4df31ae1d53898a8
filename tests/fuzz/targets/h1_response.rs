//! What an upstream may send.
#![no_main]

#[path = "../../../proxy/wire/tests/oracle/property.rs"]
#[allow(dead_code, reason = "each target uses its half")]
mod oracle;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    wire::h1::properties::any_response(bytes);
    oracle::response(bytes);
});

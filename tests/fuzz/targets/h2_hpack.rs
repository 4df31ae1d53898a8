//! Header blocks of HTTP/2 (HPACK), each behind a byte with its length.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wire::h2::properties::any_header_blocks(bytes));

//! What a client of HTTP/2 may send after its preface.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wire::h2::properties::any_frames(bytes));

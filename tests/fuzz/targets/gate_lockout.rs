//! Rules and frames by which somebody is locked out, if there are any.
#![no_main]

#[path = "../../../ebpf/gate/tests/gate/properties.rs"]
#[allow(dead_code, reason = "each target uses its half")]
mod properties;

#[path = "../../../ebpf/gate/tests/gate/frames.rs"]
#[allow(dead_code, reason = "the gate's own tests use the rest")]
mod frames;
#[path = "../../../ebpf/gate/tests/gate/memory.rs"]
#[allow(dead_code, reason = "the gate's own tests use the rest")]
mod memory;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::never_locks_out(bytes));

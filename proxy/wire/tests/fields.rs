//! Header blocks of HTTP/2 cost no allocation once tables have grown to their size: every allocation of the process is
//! counted. One test, since a second one beside it would be counted as well.

use std::alloc::System;
use std::io::Write as _;

use message::Headers;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use wire::h2::properties::HeaderBlocks;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Answers whose fields are the same, change now and then so that entries give way, and change always.
#[test]
fn blocks_allocate_nothing_in_the_long_run() {
    let (mut ours, mut theirs, mut coded) = (HeaderBlocks::new(), HeaderBlocks::new(), HeaderBlocks::new());
    let (mut fields, mut value, mut out) = (Headers::default(), Vec::new(), Vec::new());
    let mut round = |number: usize| {
        fields.clear();
        for (name, period) in [
            ("server", 0),
            ("content-type", 3),
            ("x-own", 5),
            ("vary", 300),
            ("cache-control", 7),
            ("etag", 1),
        ] {
            value.clear();
            write!(value, "{:0>100}", number.checked_div(period).unwrap_or_default()).unwrap();
            fields.push(name, &value);
        }
        out.clear();
        ours.encode(200, &fields, &mut out);
        assert_eq!(theirs.decode(&out), Some(7));
        // A string in Huffman's code that goes into the table each time: `302`.
        assert_eq!(coded.decode(b"\x48\x82\x64\x02"), Some(1));
    };
    (0..1_000).for_each(&mut round);
    let region = Region::new(ALLOCATOR);
    (1_000..3_000).for_each(&mut round);
    assert_eq!(region.change().allocations, 0);
}

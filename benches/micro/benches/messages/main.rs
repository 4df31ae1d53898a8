//! Instructions of whole messages of HTTP/2, judged as those of `counts` are. A program of its own: the codec is made anew for each
//! program by its generic parts, and calls of it here would change what it costs there.

// The macros of gungraun write public functions into modules of their own.
#![allow(missing_docs, unreachable_pub)]

mod http2;

use gungraun::{library_benchmark, library_benchmark_group, main};
use micro::{CALLS, Case, Make};

const CASES: &[(&str, Make)] =
    &[("h2_proxied_heads", http2::proxied_heads), ("h2_kept_answer", http2::kept_answer)];

/// Ready to be counted, and doing what it says.
fn warm(name: &str) -> Case {
    let Some((_, make)) = CASES.iter().find(|(case, _)| *case == name) else {
        panic!("there is no case `{name}`");
    };
    let mut case = make().warm();
    assert_eq!(case.calls(), CALLS, "{name}: calls with the right outcome");
    case
}

// The case is given back, so that taking it apart is not counted.
#[library_benchmark(setup = warm)]
#[bench::h2_proxied_heads("h2_proxied_heads")]
#[bench::h2_kept_answer("h2_kept_answer")]
fn calls(mut case: Case) -> Case {
    case.calls();
    case
}

library_benchmark_group!(name = messages, benchmarks = calls);
main!(library_benchmark_groups = messages);

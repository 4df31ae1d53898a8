//! Instructions of a hundred calls of every case, by valgrind. They repeat to the instruction, so they are a gate:
//! `limits.toml` beside this folder, judged by `cargo xtask bench --micro`.

// The macros of gungraun write public functions into modules of their own.
#![allow(missing_docs, unreachable_pub)]

use gungraun::{library_benchmark, library_benchmark_group, main};
use micro::{CASES, Case};

fn warm(name: &str) -> Case {
    let Some((_, make)) = CASES.iter().find(|(case, _)| *case == name) else {
        panic!("there is no case `{name}`");
    };
    make().warm()
}

// The case is given back, so that taking it apart is not counted.
#[library_benchmark(setup = warm)]
#[bench::decode_request("decode_request")]
#[bench::decode_least_request("decode_least_request")]
#[bench::encode_request("encode_request")]
#[bench::decode_response("decode_response")]
#[bench::encode_response("encode_response")]
#[bench::h2_decode_block("h2_decode_block")]
#[bench::h2_decode_coded_block("h2_decode_coded_block")]
#[bench::h2_encode_block("h2_encode_block")]
#[bench::read_plain_target("read_plain_target")]
#[bench::read_escaped_target("read_escaped_target")]
#[bench::find_among_10("find_among_10")]
#[bench::find_among_1000("find_among_1000")]
#[bench::find_among_10000("find_among_10000")]
#[bench::throttle("throttle")]
#[bench::throttle_refused("throttle_refused")]
#[bench::cache_key("cache_key")]
#[bench::cache_hit("cache_hit")]
#[bench::balance_one("balance_one")]
#[bench::balance_ten("balance_ten")]
#[bench::render_template("render_template")]
#[bench::find_path("find_path")]
#[bench::validate("validate")]
#[bench::validate_invalid("validate_invalid")]
fn calls(mut case: Case) -> Case {
    case.calls();
    case
}

library_benchmark_group!(name = rooms, benchmarks = calls);
main!(library_benchmark_groups = rooms);

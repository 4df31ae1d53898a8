//! Nanoseconds of every case, by criterion: for people, on a machine that is left alone. Nothing is judged by them.

use criterion::{Criterion, criterion_group, criterion_main};
use micro::CASES;

/// As in the gateway.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn times(criterion: &mut Criterion) {
    for (name, make) in CASES {
        let mut case = make().warm();
        criterion.bench_function(name, |bencher| bencher.iter(|| case.call()));
    }
}

criterion_group!(benches, times);
criterion_main!(benches);

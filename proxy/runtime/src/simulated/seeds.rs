//! Runs a test with many seeds, and says which one failed. Does not know what is tested.

/// The variable of the environment that names the one seed to run.
const VARIABLE: &str = "SEED";

/// Runs `test` with the seeds below `count`, or with the one that `SEED` in the environment names. When it panics, the
/// seed is printed, by which the same run can be had again.
///
/// # Panics
/// When `SEED` is no number, and when `test` does.
pub fn for_each_seed(count: u64, mut test: impl FnMut(u64)) {
    let seeds = match std::env::var(VARIABLE) {
        Err(_) => 0..count,
        Ok(named) => match named.trim().parse() {
            Ok(seed) => seed..seed + 1,
            Err(error) => panic!("{VARIABLE}={named} names no seed: {error}"),
        },
    };
    for seed in seeds {
        let told = Told(seed);
        test(told.0);
    }
}

/// Prints its seed when it is dropped by a panic.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the same run again: {VARIABLE}={} and the name of this test", self.0);
        }
    }
}

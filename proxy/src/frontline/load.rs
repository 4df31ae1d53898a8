//! How busy each core's thread was, as the kernel accounts for it.

use std::{
    collections::HashMap,
    fs,
    time::{Duration, Instant},
};

/// What the threads had used when they were looked at last.
#[derive(Default)]
pub(super) struct Load {
    before: Option<(Instant, HashMap<usize, Duration>)>,
}

impl Load {
    /// What part of its processor each core has used since this was called last; `None` the first time, or when the kernel does not
    /// say.
    pub(super) fn since_last(&mut self, cores: usize) -> Option<Vec<f64>> {
        let (now, used) = (Instant::now(), used());
        let (then, before) = self.before.replace((now, used.clone()))?;
        let elapsed = now.duration_since(then).as_secs_f64();
        let part = |core| {
            let spent = used.get(&core)?.saturating_sub(*before.get(&core)?);
            Some((spent.as_secs_f64() / elapsed).clamp(0.0, 1.0))
        };
        (0..cores).map(part).collect()
    }
}

/// The CPU time of each core's thread.
fn used() -> HashMap<usize, Duration> {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    threads
        .filter_map(|thread| {
            let name = fs::read_to_string(thread.path().join("comm")).ok()?;
            let core = name.trim_end().strip_prefix("core-")?.parse().ok()?;
            // Its first number is the time on a CPU, in ns (Documentation/scheduler/sched-stats.rst).
            let spent = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            Some((core, Duration::from_nanos(spent.split_whitespace().next()?.parse().ok()?)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;

    #[test]
    fn who_works_is_busy_and_who_sleeps_is_not() {
        const WORK: i64 = 100_000_000;
        let (stop, stopped) = mpsc::channel::<()>();
        let (begin, begun) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let (spin, spun) = mpsc::channel();
        let named = |core: usize| thread::Builder::new().name(format!("core-{core}"));
        // It has its name by then.
        let begin_too = begin.clone();
        let sleeps =
            named(0).spawn(move || begin_too.send(()).and_then(|()| stopped.recv().or(Ok(())))).unwrap();
        let works = named(1)
            .spawn(move || {
                begin.send(()).unwrap();
                gone.recv().unwrap();
                let used = || rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
                let mut turns = 0_u64;
                while used().tv_sec == 0 && used().tv_nsec < WORK {
                    turns = std::hint::black_box(turns + 1);
                }
                spin.send(turns).unwrap();
                // There to be looked at.
                thread::park();
            })
            .unwrap();
        begun.iter().take(2).for_each(drop);
        let mut load = Load::default();
        assert_eq!(load.since_last(2), None);
        go.send(()).unwrap();
        spun.recv().unwrap();
        let Some([idle, busy]) = load.since_last(2).map(|load| <[f64; 2]>::try_from(load).unwrap()) else {
            panic!("no load: {:?}", used())
        };
        assert!(busy > 10.0 * idle, "{idle} {busy}");
        assert_eq!(load.since_last(3), None, "there is no third");
        drop(stop);
        let _ = sleeps.join();
        works.thread().unpark();
        works.join().unwrap();
    }
}

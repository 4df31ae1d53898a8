//! What a core does when the node's memory runs short. It does not know how much there is: it is told a level and what to
//! do with its part of the cache, once a second for as long as anything is to be done.

use std::rc::Rc;

use crate::core::Core;

/// Entries of the cache that are put out in one turn, at most.
const SHED_ENTRIES: usize = 256;

/// Looked at after each so many of them: bytes are put out in one turn until they are so many.
const SHED_STEP: usize = 4;
const SHED_BYTES: u64 = 16 << 20;

/// Letters with [`CacheBound::Grow`] that give a cache all of its bound back.
pub const GROWTHS: u32 = 16;

/// How short memory is; each level includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// There is enough.
    #[default]
    Enough,
    /// Caches shrink, and nothing is kept for reuse.
    Trim,
    /// No new connections, and those that wait for a request are closed.
    Shut,
    /// Requests are refused.
    Refuse,
}

/// What becomes of the bound of the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheBound {
    /// It stays.
    #[default]
    Keep,
    /// A quarter less than there is in it.
    Shrink,
    /// A little more, up to what is configured.
    Grow,
}

/// What a core is told about the node's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// How short it is.
    pub level: Level,
    /// What to do with the cache.
    pub cache: CacheBound,
}

/// The cache's bound after a letter: from what is `configured`, the bound so far and the bytes in use.
fn bound(change: CacheBound, configured: u64, bound: u64, used: u64) -> u64 {
    match change {
        CacheBound::Keep => bound,
        CacheBound::Shrink => bound.min(used) / 4 * 3,
        CacheBound::Grow => bound.saturating_add(configured.div_ceil(GROWTHS.into())).min(configured),
    }
}

impl Core {
    /// Does what the node's memory asks for; what takes longer than clients may wait goes on beside them.
    pub(crate) fn bear(self: &Rc<Self>, pressure: Pressure) {
        let before = self.pressure.replace(pressure.level);
        if before < Level::Shut && pressure.level >= Level::Shut {
            self.wake_idle();
        }
        if pressure.level >= Level::Shut {
            self.pools.borrow_mut().let_go();
        }
        let mut owner = self.owner.borrow_mut();
        let stats = owner.stats();
        let bytes_max = bound(pressure.cache, owner.bytes_configured(), stats.bytes_max, stats.bytes);
        owner.set_bytes_max(bytes_max);
        drop(owner);
        if pressure.level >= Level::Trim && !self.shedding.replace(true) {
            self.handle.spawn(shed(self.clone()));
        }
    }
}

/// Puts out what the cache may hold no more, frees what is kept for reuse, and gives the kernel what that made free.
///
/// What giving back takes goes by what was freed since the last time, measured: 62 ms for 1.3 million entries of 300 bytes
/// in 512 MiB and 6 ms for 900 MiB in large ones, all at once; some tenths of a millisecond for a turn's.
async fn shed(core: Rc<Core>) {
    while shed_some(&core) {
        runtime::give_back();
        core.handle.yield_now().await;
    }
    core.free_spare();
    runtime::give_back();
    core.shedding.set(false);
}

/// A turn's part; whether there is more.
fn shed_some(core: &Core) -> bool {
    let mut owner = core.owner.borrow_mut();
    let before = owner.stats().bytes;
    for _ in 0..SHED_ENTRIES / SHED_STEP {
        if !owner.shed(SHED_STEP) {
            return false;
        }
        if before.saturating_sub(owner.stats().bytes) >= SHED_BYTES {
            break;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(change: CacheBound, configured: u64, before: u64, used: u64, after: u64) {
        assert_eq!(bound(change, configured, before, used), after);
    }

    #[test]
    fn a_cache_shrinks_from_what_it_holds_and_grows_to_what_is_configured() {
        check(CacheBound::Keep, 1_600, 700, 100, 700);
        check(CacheBound::Shrink, 1_600, 1_600, 400, 300);
        check(CacheBound::Shrink, 1_600, 200, 400, 150);
        check(CacheBound::Shrink, 1_600, 1_600, 0, 0);
        check(CacheBound::Grow, 1_600, 0, 0, 100);
        check(CacheBound::Grow, 1_600, 1_550, 0, 1_600);
        check(CacheBound::Grow, 8, 0, 0, 1);
    }

    /// However small the cache.
    #[test]
    fn a_cache_that_shrank_to_nothing_comes_back() {
        for configured in [0, 1, 15, 16, 17, 1 << 20, u64::MAX] {
            let grow = |before, _| bound(CacheBound::Grow, configured, before, before);
            let grown = (0..GROWTHS).fold(0, grow);
            assert_eq!(grown, configured);
        }
    }
}

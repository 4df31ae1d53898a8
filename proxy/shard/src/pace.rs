//! How long a peer is waited for while bytes move. Who moves nothing is given up after its idle time; where there is a
//! least rate, each byte buys time and no more than the idle time is ever saved up, so that a drip ends too. It is
//! reckoned when bytes move and when the alarm rings: no timer of its own, no division.

use std::cell::Cell;

use runtime::{Alarm, Handle};
use snapshot::Rate;

/// What is asked of a peer.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    /// The longest it may move nothing, and the most time it may save up.
    pub(crate) idle_ns: u64,
    /// The least rate.
    pub(crate) rate: Rate,
}

impl Terms {
    /// Silence alone is too slow.
    pub(crate) fn idle(idle_ns: u64) -> Self {
        Self { idle_ns, rate: Rate::NONE }
    }
}

/// One peer's time. It runs out only while the peer is waited for.
pub(crate) struct Credit {
    terms: Terms,
    left_ns: Cell<u64>,
    /// Bytes that have been paid for.
    bytes: Cell<u64>,
    /// Since when it runs; `None` while somebody else is waited for.
    since_ns: Cell<Option<u64>>,
}

impl Credit {
    pub(crate) fn new(terms: Terms) -> Self {
        let left_ns = Cell::new(terms.rate.grace_ns.min(terms.idle_ns));
        Self { terms, left_ns, bytes: Cell::new(0), since_ns: Cell::new(None) }
    }

    /// Waits for the peer, which has moved so many bytes in all; says when its time is up, in `mono_ns`.
    pub(crate) fn run(&self, now_ns: u64, bytes: u64) -> u64 {
        self.stop(now_ns);
        let moved = bytes.saturating_sub(self.bytes.get());
        if moved > 0 {
            self.bytes.set(bytes);
            let bought_ns = moved.saturating_mul(self.terms.rate.byte_ns);
            self.left_ns.set(self.left_ns.get().saturating_add(bought_ns).min(self.terms.idle_ns));
        }
        self.since_ns.set(Some(now_ns));
        now_ns.saturating_add(self.left_ns.get())
    }

    /// Waits for somebody else.
    pub(crate) fn stop(&self, now_ns: u64) {
        if let Some(since_ns) = self.since_ns.take() {
            let ran_ns = now_ns.saturating_sub(since_ns);
            self.left_ns.set(self.left_ns.get().saturating_sub(ran_ns));
        }
    }
}

/// What bounds a call as a whole.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// When it must be over, in `mono_ns`.
    pub(crate) end_ns: u64,
    /// The caller has said so: that it is over then says nothing about the backend.
    pub(crate) is_callers: bool,
    /// How long both ways together may be silent, where bodies are streams of messages that come when they come. `None`:
    /// each body has to go on by itself.
    pub(crate) silence_ns: Option<u64>,
}

impl Bounds {
    /// Over by then, in `mono_ns`.
    pub(crate) fn until(end_ns: u64) -> Self {
        Self { end_ns, is_callers: false, silence_ns: None }
    }

    /// Whether the caller's time is over.
    pub(crate) fn is_callers_over(&self, now_ns: u64) -> bool {
        self.is_callers && now_ns >= self.end_ns
    }
}

/// Which way bytes go.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// From the client to the backend.
    Up,
    /// From the backend to the client.
    Down,
}

/// A connection's one alarm while a call is under way: it stands for the earlier of the two ways' deadlines, so that
/// neither hides that the other has stopped.
pub(crate) struct Deadlines<'a> {
    handle: &'a Handle,
    alarm: &'a Alarm,
    bounds: &'a Bounds,
    due_ns: [Cell<u64>; 2],
    /// When both ways have been silent for too long, in `mono_ns`.
    silent_ns: Cell<u64>,
}

impl<'a> Deadlines<'a> {
    pub(crate) fn new(handle: &'a Handle, alarm: &'a Alarm, bounds: &'a Bounds) -> Self {
        let due_ns = [Cell::new(u64::MAX), Cell::new(u64::MAX)];
        Self { handle, alarm, bounds, due_ns, silent_ns: Cell::new(u64::MAX) }
    }

    pub(crate) fn now_ns(&self) -> u64 {
        self.handle.now().mono_ns
    }

    /// What bounds the call as a whole.
    pub(crate) fn bounds(&self) -> &Bounds {
        self.bounds
    }

    /// One way's deadline is now this.
    pub(crate) fn set(&self, way: Way, due_ns: u64) {
        let [up, down] = &self.due_ns;
        match way {
            Way::Up => up.set(due_ns),
            Way::Down => down.set(due_ns),
        }
        self.alarm.set(up.get().min(down.get()).min(self.silent_ns.get()).min(self.bounds.end_ns));
    }

    /// Whether both ways have been silent for too long.
    pub(crate) fn are_silent(&self) -> bool {
        self.silent_ns.get() <= self.now_ns()
    }

    /// Nobody is waited for on this way any more.
    pub(crate) fn clear(&self, way: Way) {
        self.set(way, u64::MAX);
    }

    /// Whether this way's deadline has passed.
    pub(crate) fn has_passed(&self, way: Way) -> bool {
        let [up, down] = &self.due_ns;
        let due_ns = match way {
            Way::Up => up.get(),
            Way::Down => down.get(),
        };
        due_ns <= self.now_ns()
    }
}

/// How long a body may take on its way: either its sender or its receiver is waited for.
pub(crate) struct Pace<'a> {
    deadlines: &'a Deadlines<'a>,
    way: Way,
    sender: Credit,
    receiver: Credit,
}

impl<'a> Pace<'a> {
    pub(crate) fn new(deadlines: &'a Deadlines<'a>, way: Way, sender: Terms, receiver: Terms) -> Self {
        Self { deadlines, way, sender: Credit::new(sender), receiver: Credit::new(receiver) }
    }

    /// The sender is waited for; it has brought so many bytes in all.
    pub(crate) fn wait_for_sender(&self, brought_bytes: u64) {
        let now_ns = self.deadlines.now_ns();
        self.receiver.stop(now_ns);
        let due_ns = match self.deadlines.bounds.silence_ns {
            None => self.sender.run(now_ns, brought_bytes),
            // It has just brought something, or nothing has begun: the other way need not go on meanwhile.
            Some(silence_ns) => {
                self.deadlines.silent_ns.set(now_ns.saturating_add(silence_ns));
                u64::MAX
            }
        };
        self.deadlines.set(self.way, due_ns);
    }

    /// The receiver is waited for; it has taken so many bytes in all.
    pub(crate) fn wait_for_receiver(&self, taken_bytes: u64) {
        let now_ns = self.deadlines.now_ns();
        self.sender.stop(now_ns);
        self.deadlines.set(self.way, self.receiver.run(now_ns, taken_bytes));
    }

    /// All of it has passed.
    pub(crate) fn end(&self) {
        self.deadlines.clear(self.way);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const S: u64 = 1_000_000_000;

    fn terms(bytes_per_s: u64) -> Terms {
        Terms { idle_ns: 30 * S, rate: Rate::new(bytes_per_s, Duration::from_secs(10)) }
    }

    /// `moves` are seconds and bytes in all by then; says in which second the peer is given up who moves no more.
    #[track_caller]
    fn check(bytes_per_s: u64, moves: &[(u64, u64)], expected_s: u64) {
        let credit = Credit::new(terms(bytes_per_s));
        let mut due_ns = credit.run(0, 0);
        for (at_s, bytes) in moves {
            if at_s * S >= due_ns {
                break;
            }
            due_ns = credit.run(at_s * S, *bytes);
        }
        assert_eq!(due_ns.div_ceil(S), expected_s, "{bytes_per_s} {moves:?}");
    }

    #[test]
    fn silence_ends_by_the_grace_or_by_the_idle_time() {
        check(100, &[], 10);
        check(0, &[], 30);
        check(0, &[(29, 1), (58, 2)], 88);
    }

    #[test]
    fn a_drip_ends_and_the_rate_does_not() {
        let each = |bytes: u64| (1..1_000).map(|s| (s, s * bytes)).collect::<Vec<_>>();
        check(100, &each(1), 11);
        check(100, &each(50), 19);
        check(100, &each(100), 1_009);
        check(100, &each(1_000), 1_029);
    }

    #[test]
    fn no_more_than_the_idle_time_is_saved_up() {
        check(100, &[(1, 1_000_000)], 31);
        check(100, &[(1, 1_000_000), (21, 1_000_100)], 32);
    }

    #[test]
    fn time_runs_only_for_who_is_waited_for() {
        let credit = Credit::new(terms(100));
        assert_eq!(credit.run(0, 0), 10 * S);
        credit.stop(4 * S);
        assert_eq!(credit.run(100 * S, 0), 106 * S);
        credit.stop(100 * S);
        assert_eq!(credit.run(200 * S, 100), 207 * S);
    }

    proptest! {
        /// Who is kept has moved what the rate asks, but for the grace and what was saved up before.
        #[test]
        fn who_is_kept_is_fast_enough(steps in proptest::collection::vec((0..20 * S, 0..5_000_u64), 1..50)) {
            let credit = Credit::new(terms(100));
            let (mut now_ns, mut bytes) = (0, 0);
            let mut due_ns = credit.run(0, 0);
            for (pause_ns, more) in steps {
                now_ns += pause_ns;
                if now_ns >= due_ns {
                    break;
                }
                prop_assert!(bytes * (S / 100) + 10 * S > now_ns, "{bytes} bytes in {now_ns} ns");
                bytes += more;
                due_ns = credit.run(now_ns, bytes);
                prop_assert!(due_ns > now_ns && due_ns <= now_ns + 30 * S);
            }
        }
    }
}

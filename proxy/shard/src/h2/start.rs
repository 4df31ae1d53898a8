//! How a client's connection starts: with few calls that want a connection to a backend each. A flood shows within its first
//! milliseconds what it is, and costs us no more than those by then; whoever means well has answers or is past this as soon. It
//! does not know what a flood is.

use std::{
    cell::{Cell, RefCell},
    task::{Context, Poll, Waker},
};

/// Calls that a connection may have under way from its first moment.
const CALLS_MAX: u32 = 16;

/// After so long there may be as many as there are streams, answered or not. A deadline comes up to a tick of 10 ms late.
const START_NS: u64 = 10_000_000;

/// What the streams of a connection know of each other until it has started.
#[derive(Debug)]
pub(crate) struct Start {
    /// From when on it has, in `mono_ns`; 0 once a backend has answered.
    until_ns: Cell<u64>,
    calls: Cell<u32>,
    /// Streams that wait for it.
    waiting: RefCell<Vec<Waker>>,
}

impl Start {
    /// Of a connection that begins now.
    pub(crate) fn new(now_ns: u64) -> Self {
        Self {
            until_ns: Cell::new(now_ns.saturating_add(START_NS)),
            calls: Cell::default(),
            waiting: RefCell::default(),
        }
    }

    /// Ready when one more call may be made. The moment at which that is so at the latest is the caller's to wait for.
    pub(crate) fn poll_call(&self, now_ns: u64, cx: &mut Context<'_>) -> Poll<()> {
        if now_ns < self.until_ns.get() {
            if self.calls.get() >= CALLS_MAX {
                let mut waiting = self.waiting.borrow_mut();
                if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                    waiting.push(cx.waker().clone());
                }
                return Poll::Pending;
            }
            self.calls.set(self.calls.get() + 1);
        }
        Poll::Ready(())
    }

    /// From when on nobody waits, in `mono_ns`.
    pub(crate) fn until_ns(&self) -> u64 {
        self.until_ns.get()
    }

    /// A backend has answered.
    pub(crate) fn answered(&self) {
        if self.until_ns.replace(0) > 0 {
            self.waiting.take().into_iter().for_each(Waker::wake);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_calls_until_one_is_answered_or_time_has_passed() {
        let mut cx = Context::from_waker(Waker::noop());
        for ends_by_answer in [true, false] {
            let start = Start::new(1_000);
            for _ in 0..CALLS_MAX {
                assert_eq!(start.poll_call(1_000, &mut cx), Poll::Ready(()));
            }
            assert_eq!(start.poll_call(1_000 + START_NS - 1, &mut cx), Poll::Pending);
            assert_eq!(start.until_ns(), 1_000 + START_NS);
            let now_ns = if ends_by_answer {
                start.answered();
                1_000
            } else {
                start.until_ns()
            };
            for _ in 0..CALLS_MAX * 2 {
                assert_eq!(start.poll_call(now_ns, &mut cx), Poll::Ready(()), "{ends_by_answer}");
            }
        }
    }
}

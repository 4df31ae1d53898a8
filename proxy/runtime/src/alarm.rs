//! Deadlines that may be moved for nothing: see [`crate::wheel`] for how.

use crate::reactor::Reactor;
use crate::wheel::NEVER;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// A deadline that one task waits for. Made once for a connection and moved for each request: setting it to a later time
/// stores a word. It rings in the turn after the deadline, up to 10 ms late and never early.
pub struct Alarm {
    reactor: Rc<Reactor>,
    key: u32,
}

/// The deadline passed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the deadline has passed")]
pub struct Expired;

impl Alarm {
    pub(crate) fn new(reactor: Rc<Reactor>) -> Self {
        let key = reactor.wheel.borrow_mut().insert();
        Self { reactor, key }
    }

    /// Sets the deadline, in nanoseconds of [`crate::Clock::mono_ns`].
    pub fn set(&self, mono_ns: u64) {
        self.reactor.wheel.borrow_mut().set(self.key, mono_ns);
    }

    /// Takes the deadline away.
    pub fn clear(&self) {
        self.set(NEVER);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.reactor.wheel.borrow().deadline_ns(self.key) != NEVER
    }

    /// Whether the deadline has passed, by this turn's clock.
    pub fn expired(&self) -> bool {
        self.reactor.wheel.borrow().deadline_ns(self.key) <= self.reactor.clock.get().mono_ns
    }

    /// Ready once the deadline has passed. One task waits at a time: the last to ask is woken.
    pub fn poll_expired(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.expired() {
            return Poll::Ready(());
        }
        let replaced = self.reactor.wheel.borrow_mut().watch(self.key, cx.waker());
        drop(replaced);
        Poll::Pending
    }

    /// Runs `future` until it is done or the deadline has passed. When both are the case, the future wins.
    pub fn guard<F: Future>(&self, future: F) -> Guard<'_, F> {
        Guard { alarm: self, future }
    }
}

/// A future with a deadline: see [`Alarm::guard`]. No `async fn`, in whose future the guarded one would lie twice.
pub struct Guard<'a, F> {
    alarm: &'a Alarm,
    future: F,
}

impl<F: Future> Future for Guard<'_, F> {
    type Output = Result<F::Output, Expired>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: nothing is moved out of what this gives access to: the alarm is a reference, and the future is pinned
        // again below.
        let Self { alarm, future } = unsafe { self.get_unchecked_mut() };
        // SAFETY: it is pinned with the guard that it lies in: there is no other way to it, the guard is `Unpin` only if the
        // future is, and it has no `Drop` of its own.
        match unsafe { Pin::new_unchecked(future) }.poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => alarm.poll_expired(cx).map(|()| Err(Expired)),
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let waker = self.reactor.wheel.borrow_mut().remove(self.key);
        drop(waker);
    }
}

//! Letters to a core from any thread: a bounded queue, and a bell that is rung only when the core sleeps.
//!
//! Before it sleeps a core says so (`awake = false`) and then looks into its mailboxes once more; who posts puts the letter
//! in first and then looks whether the core is awake. One of the two must see the other (both sides have a
//! sequentially consistent fence between their store and their load), so no letter is slept through, and a core that is
//! busy is never signalled. Ringing sets `awake`, so that a batch of letters rings once.

use crate::reactor::Reactor;
use crossbeam::queue::ArrayQueue;
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::task::{Context, Poll};

/// Where letters for one mailbox are posted. May be cloned and sent to any thread.
pub struct Post<T> {
    queue: Arc<ArrayQueue<T>>,
    bell: Arc<Bell>,
}

impl<T> Clone for Post<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), bell: self.bell.clone() }
    }
}

impl<T> Post<T> {
    /// Puts a letter into the mailbox. Gives it back when the mailbox is full. Never waits.
    ///
    /// A letter to a mailbox that was dropped is lost, as one to a core that ends would be.
    pub fn send(&self, letter: T) -> Result<(), T> {
        self.queue.push(letter)?;
        self.bell.letter_posted();
        Ok(())
    }
}

/// One core's end of a mailbox. One task waits at a time.
pub struct Mailbox<T> {
    queue: Arc<ArrayQueue<T>>,
    reactor: Rc<Reactor>,
    key: usize,
}

impl<T: Send + 'static> Mailbox<T> {
    pub(crate) fn new(reactor: Rc<Reactor>, capacity: usize) -> (Post<T>, Self) {
        let queue = Arc::new(ArrayQueue::new(capacity.max(1)));
        let post = Post { queue: queue.clone(), bell: reactor.bell.clone() };
        let watched = Watched { queue: queue.clone(), waker: None };
        let key = reactor.mailboxes.borrow_mut().insert(watched);
        (post, Self { queue, reactor, key })
    }
}

impl<T> Mailbox<T> {
    /// The next letter. Dropping the future loses none.
    pub async fn receive(&self) -> T {
        poll_fn(|cx| self.poll_receive(cx)).await
    }

    /// The next letter, or a promise to wake this task when one comes.
    pub fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<T> {
        if let Some(letter) = self.queue.pop() {
            return Poll::Ready(letter);
        }
        let replaced = self.reactor.mailboxes.borrow_mut()[self.key].waker.replace(cx.waker().clone());
        drop(replaced);
        Poll::Pending
    }

    /// The next letter, if one is there.
    pub fn try_receive(&self) -> Option<T> {
        self.queue.pop()
    }
}

impl<T> Drop for Mailbox<T> {
    fn drop(&mut self) {
        let watched = self.reactor.mailboxes.borrow_mut().try_remove(self.key);
        drop(watched);
    }
}

/// What the reactor looks at each turn.
pub(crate) struct Watched {
    queue: Arc<dyn Letters>,
    waker: Option<std::task::Waker>,
}

impl Watched {
    /// Who is to be woken because there are letters.
    pub(crate) fn take_waker(&mut self) -> Option<std::task::Waker> {
        if self.has_letters() { self.waker.take() } else { None }
    }

    pub(crate) fn has_letters(&self) -> bool {
        self.waker.is_some() && !self.queue.is_empty()
    }
}

trait Letters {
    fn is_empty(&self) -> bool;
}

impl<T> Letters for ArrayQueue<T> {
    fn is_empty(&self) -> bool {
        ArrayQueue::is_empty(self)
    }
}

/// Ends the sleep of one core: an eventfd, and whether it is needed.
pub(crate) struct Bell {
    awake: AtomicBool,
    eventfd: File,
}

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no memory is passed.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
        let eventfd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { awake: AtomicBool::new(true), eventfd: eventfd.into() })
    }

    fn letter_posted(&self) {
        fence(Ordering::SeqCst);
        if !self.awake.load(Ordering::Relaxed) && !self.awake.swap(true, Ordering::SeqCst) {
            // Cannot fail nor wait: the counter has room for 2^64 - 2 rings, and is ours.
            let _ = (&self.eventfd).write(&1_u64.to_ne_bytes());
        }
    }

    /// The core is about to sleep; it must look into its mailboxes after this.
    pub(crate) fn fall_asleep(&self) {
        self.awake.store(false, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// The core is awake; true when a letter woke it.
    pub(crate) fn wake_up(&self) -> bool {
        self.awake.swap(true, Ordering::SeqCst)
    }

    /// Waits for a ring, or takes one up that has come.
    pub(crate) fn hear(&self) {
        let mut count = [0; 8];
        // An error would be EINTR; then the next turn hears it.
        let _ = (&self.eventfd).read(&mut count);
    }
}

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        self.eventfd.as_raw_fd()
    }
}

//! What a reactor keeps for each socket and each listener, whichever driver runs.

use crate::buffers::Buffers;
use crate::kept::Kept;
use crate::plain::SPARING_BYTES_MAX;
use crate::send_queue::SendQueue;
use crate::stats::Counters;
use slab::Slab;
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroI32;
use std::rc::Rc;
use std::task::Waker;

/// No slot, no buffer.
pub(crate) const NONE: u32 = u32::MAX;

/// Sockets that may keep what they had because they were busy: freeing it is not worth making it anew.
const WORN_MIN: usize = 16;

/// One socket. The fields of the drivers stand side by side: they are a few flags each.
pub(crate) struct Socket {
    /// The descriptor. `None` in memory, and once the reactor has stopped.
    pub(crate) os: Option<socket2::Socket>,
    /// Tells apart the sockets that had this slot.
    pub(crate) generation: u32,

    /// Received bytes that were copied out of the driver's buffers.
    pub(crate) kept: Kept,
    /// Ring: the first and the last of this turn's buffers.
    pub(crate) chunk_first: u32,
    pub(crate) chunk_last: u32,
    /// Received bytes that wait, in `kept` and in buffers, what is lent left out.
    pub(crate) queued: usize,
    /// Bytes that the reader was shown and left entirely: it wants to see more at once.
    pub(crate) starved: usize,
    /// What comes after the queued bytes.
    pub(crate) end: Option<End>,
    pub(crate) reader: Option<Waker>,

    pub(crate) send: SendQueue,
    /// Who waits for fewer unsent bytes than this, and for a connection.
    pub(crate) writer: Option<Box<(usize, Waker)>>,
    /// Why sending or connecting failed: an errno.
    pub(crate) failed: Option<NonZeroI32>,
    pub(crate) shutdown: Shutdown,

    pub(crate) connected: bool,
    /// Lent to a reader right now.
    pub(crate) lent: bool,
    /// In the list of sockets to flush.
    pub(crate) dirty: bool,
    /// Whether it has memory that only a busy one needs.
    pub(crate) wear: Wear,
    /// Its stream is gone; the slot is free once no operation is left.
    pub(crate) closing: bool,

    /// Ring: operations that the kernel has.
    pub(crate) ops: Ops,
    /// Ring: receives plainly into the hot buffer, told by polls, because much is coming.
    pub(crate) bulk: bool,
    /// How plain receives go.
    pub(crate) plainly: Plainly,
    /// Ring: the memory of the send or connect that the kernel has.
    pub(crate) flight: u32,
    /// Epoll and bulk: a receive may find something.
    pub(crate) readable: bool,
    /// Epoll and bulk: it may also find nothing.
    pub(crate) unsure: bool,
    /// Epoll and bulk: the end is known to come, and no further edge will tell.
    pub(crate) hung_up: bool,
    /// Epoll: a send may find room.
    pub(crate) writable: bool,
    /// Memory: the other end, and the addresses of both.
    pub(crate) ends: Option<Box<Ends>>,
}

/// The two ends of a connection in memory.
pub(crate) struct Ends {
    /// The other end's slot; [`NONE`] once it is gone.
    pub(crate) peer: u32,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

/// How a stream of received bytes ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Eof,
    /// An errno.
    Error(i32),
}

/// Where a half-close stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shutdown {
    No,
    /// Once everything is sent.
    Wanted,
    Done,
}

/// How a socket receives plainly: in a byte, of which there is room for just one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plainly(u8);

impl Plainly {
    /// As much as there is.
    pub(crate) const MUCH: Self = Self(0);
    /// The same, and the last time it was little. Of the ring.
    pub(crate) const LITTLE: Self = Self(u8::MAX);

    /// As a reader wishes that may leave what is more, which is kept then: no more than so many bytes in KiB, and
    /// [`SPARING_BYTES_MAX`] at most.
    pub(crate) fn of(sparing: Option<usize>) -> Self {
        let kib = |bytes: usize| bytes.clamp(1, SPARING_BYTES_MAX).div_ceil(1024) as u8;
        sparing.map_or(Self::MUCH, |bytes| Self(kib(bytes)))
    }

    /// Whether it is to bring less than its reader may leave at most.
    pub(crate) fn is_little(self) -> bool {
        self.bytes_max().is_some_and(|bytes| bytes < SPARING_BYTES_MAX)
    }

    /// Bytes that a receive is to bring at most, if it is sparing.
    pub(crate) fn bytes_max(self) -> Option<usize> {
        match self {
            Self::MUCH | Self::LITTLE => None,
            Self(kib) => Some(usize::from(kib) * 1024),
        }
    }
}

/// What is known of the memory that a socket has because it was busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wear {
    /// It has none.
    None,
    /// It may have some, and has not sent since [`Table::trim`] looked at it.
    Resting,
    /// It may have some, and has sent since.
    Busy,
}

/// Operations of one socket that the ring has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ops {
    pub(crate) receive: bool,
    pub(crate) send: bool,
    pub(crate) connect: bool,
    pub(crate) poll: bool,
}

impl Ops {
    pub(crate) fn any(self) -> bool {
        self.receive || self.send || self.connect || self.poll
    }
}

impl Socket {
    /// Bytes not with the kernel yet, or not known to be.
    pub(crate) fn unsent(&self) -> usize {
        self.send.len() + self.send.in_flight()
    }

    /// Memory: the other end's slot.
    pub(crate) fn peer(&self) -> u32 {
        self.ends.as_ref().map_or(NONE, |ends| ends.peer)
    }

    /// Memory: the other end is gone. Says which slot it had.
    pub(crate) fn part(&mut self) -> u32 {
        self.ends.as_mut().map_or(NONE, |ends| std::mem::replace(&mut ends.peer, NONE))
    }

    /// Whether there are bytes the reader has not seen.
    pub(crate) fn has_news(&self) -> bool {
        self.queued > self.starved
    }

    /// Appends received bytes behind what is kept.
    pub(crate) fn keep(&mut self, bytes: &[u8], buffers: &Buffers) {
        if !bytes.is_empty() {
            self.kept.append(bytes, buffers);
            self.queued += bytes.len();
        }
    }

    /// Puts back what a reader left of bytes lent out of `kept` or of a driver's buffer: it goes in front.
    pub(crate) fn put_back(&mut self, rest: &[u8], buffers: &Buffers) {
        if rest.is_empty() {
            return;
        }
        let (behind, start) = self.kept.take();
        let mut kept = buffers.sized(rest.len() + behind.len() - start);
        kept.extend_from_slice(rest);
        kept.extend_from_slice(&behind[start..]);
        buffers.recycle(behind);
        self.kept.put(kept, 0);
        self.queued += rest.len();
    }

    /// Notes why sending or connecting failed.
    pub(crate) fn fail(&mut self, errno: i32) {
        self.failed = NonZeroI32::new(errno);
    }

    /// Why sending or connecting failed, as an error.
    pub(crate) fn failure(&self) -> Option<io::Error> {
        self.failed.map(|errno| io::Error::from_raw_os_error(errno.get()))
    }

    /// Takes out whom sending or connecting is to wake.
    pub(crate) fn take_writer(&mut self) -> Option<Waker> {
        self.writer.take().map(|writer| writer.1)
    }

    /// Notes how sending ended and drops what was queued.
    pub(crate) fn fail_send(&mut self, errno: i32, buffers: &Buffers) {
        self.fail(errno);
        self.send.clear(buffers);
    }
}

/// Bytes lent to a reader. They belong to it until they are given back to the driver that lent them.
pub(crate) enum Lent {
    /// Taken out of the socket; the bytes from the number on.
    Kept(Vec<u8>, usize),
    /// The hot buffer of a driver.
    Hot(Vec<u8>),
    /// A buffer of the ring.
    Ring(crate::uring::Chunk),
}

impl Lent {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Kept(buffer, start) => &buffer[*start..],
            Self::Hot(buffer) => buffer,
            Self::Ring(chunk) => chunk.bytes(),
        }
    }
}

/// One listener.
pub(crate) struct Listening {
    /// `None` in memory and after closing.
    pub(crate) os: Option<TcpListener>,
    pub(crate) address: SocketAddr,
    pub(crate) generation: u32,
    /// Accepted, and not asked for yet.
    pub(crate) queue: VecDeque<Incoming>,
    pub(crate) acceptor: Option<Waker>,
    pub(crate) state: ListenState,
    /// Descriptors or memory ran out: wait before trying again.
    pub(crate) backing_off: bool,
    /// Accepting can never work again.
    pub(crate) failed: Option<i32>,
    /// Ring: the kernel accepts for us, or is being told to stop.
    pub(crate) armed: bool,
    pub(crate) cancelled: bool,
    /// Epoll: there may be connections.
    pub(crate) readable: bool,
}

/// An accepted connection that is no stream yet.
pub(crate) enum Incoming {
    Os(socket2::Socket),
    /// In memory: its slot.
    Memory(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListenState {
    Open,
    /// The kernel is being told to stop.
    Closing,
    /// What was accepted is still handed out; then comes the end.
    Closed,
    /// Nobody listens any more: the slot is free once no operation is left.
    Dropped,
}

/// All sockets of a reactor and what the drivers share.
pub(crate) struct Table {
    pub(crate) sockets: Slab<Socket>,
    pub(crate) listeners: Slab<Listening>,
    /// Sockets to flush at the end of the turn.
    pub(crate) dirty: Vec<u32>,
    /// Sockets that may have memory which only a busy one needs.
    worn: Vec<u32>,
    /// Who is to be woken once the table is not borrowed: a foreign waker may run code of its own.
    pub(crate) wakes: Vec<Waker>,
    /// Replaced wakers, to be dropped then for the same reason.
    pub(crate) retired: Vec<Waker>,
    pub(crate) buffers: Rc<Buffers>,
    pub(crate) counters: Rc<Counters>,
    pub(crate) receive_high_bytes: usize,
    pub(crate) accept_queue_max: usize,
    pub(crate) sockets_max: usize,
    /// Somebody could not accept because `sockets_max` was reached.
    pub(crate) accept_blocked: bool,
    /// The runtime is gone; streams that outlived it only fail.
    pub(crate) stopped: bool,
    next_generation: u32,
}

impl Table {
    pub(crate) fn new(options: &crate::Options, buffers: Rc<Buffers>, counters: Rc<Counters>) -> Self {
        Self {
            sockets: Slab::with_capacity(options.tables()),
            listeners: Slab::new(),
            dirty: Vec::new(),
            worn: Vec::new(),
            wakes: Vec::new(),
            retired: Vec::new(),
            buffers,
            counters,
            receive_high_bytes: options.receive_high_bytes,
            accept_queue_max: options.accept_queue_max,
            sockets_max: options.sockets_max,
            accept_blocked: false,
            stopped: false,
            next_generation: 0,
        }
    }

    fn generation(&mut self) -> u32 {
        self.next_generation = self.next_generation.wrapping_add(1);
        // The ring's user data has 24 bits for it.
        self.next_generation & 0x00ff_ffff
    }

    /// Makes a socket; `connected` says whether it may receive at once.
    pub(crate) fn insert(&mut self, os: Option<socket2::Socket>, connected: bool) -> u32 {
        let generation = self.generation();
        let slot = self.sockets.insert(Socket {
            os,
            generation,
            kept: Kept::default(),
            chunk_first: NONE,
            chunk_last: NONE,
            queued: 0,
            starved: 0,
            end: None,
            reader: None,
            send: SendQueue::default(),
            writer: None,
            failed: None,
            shutdown: Shutdown::No,
            connected,
            lent: false,
            dirty: false,
            wear: Wear::None,
            closing: false,
            ops: Ops::default(),
            bulk: false,
            plainly: Plainly::MUCH,
            flight: NONE,
            readable: false,
            unsure: false,
            hung_up: false,
            writable: true,
            ends: None,
        });
        self.counters.sockets_open.set(self.sockets.len() as u64);
        slot as u32
    }

    /// Frees a slot and closes its descriptor.
    pub(crate) fn remove(&mut self, slot: u32) {
        let mut socket = self.sockets.remove(slot as usize);
        socket.send.clear(&self.buffers);
        self.buffers.recycle(socket.kept.take().0);
        self.wakes.extend(socket.reader.take());
        self.wakes.extend(socket.take_writer());
        self.counters.sockets_open.set(self.sockets.len() as u64);
        if std::mem::take(&mut self.accept_blocked) {
            self.wakes
                .extend(self.listeners.iter_mut().filter_map(|(_, listening)| listening.acceptor.take()));
        }
    }

    pub(crate) fn insert_listener(&mut self, os: Option<TcpListener>, address: SocketAddr) -> u32 {
        let generation = self.generation();
        self.listeners.insert(Listening {
            os,
            address,
            generation,
            queue: VecDeque::new(),
            acceptor: None,
            state: ListenState::Open,
            backing_off: false,
            failed: None,
            armed: false,
            cancelled: false,
            readable: false,
        }) as u32
    }

    /// Has a socket flushed at the end of the turn.
    pub(crate) fn mark_dirty(&mut self, slot: u32) {
        if let Some(socket) = self.sockets.get_mut(slot as usize)
            && !socket.dirty
        {
            socket.dirty = true;
            self.dirty.push(slot);
            if socket.wear != Wear::Busy {
                let known = std::mem::replace(&mut socket.wear, Wear::Busy) == Wear::Resting;
                if !known {
                    self.note_worn(slot);
                }
            }
        }
    }

    #[cold]
    fn note_worn(&mut self, slot: u32) {
        if self.worn.len() == self.worn.capacity() {
            // Those that are gone or rest make room; the list is no longer than there are sockets.
            self.trim();
        }
        self.worn.push(slot);
    }

    /// Frees what sockets have only because they were busy, of those that have not sent since this was called last. True
    /// while there may be more to free with the next call.
    pub(crate) fn trim(&mut self) -> bool {
        let Self { worn, sockets, .. } = self;
        if worn.len() <= WORN_MIN {
            return false;
        }
        worn.retain(|slot| {
            // Another may have the slot by now, and stand in the list for itself.
            let Some(socket) = sockets.get_mut(*slot as usize) else { return false };
            match socket.wear {
                Wear::None => return false,
                Wear::Busy => socket.wear = Wear::Resting,
                Wear::Resting
                    if socket.send.is_empty() && socket.kept.is_empty() && socket.writer.is_none() =>
                {
                    socket.send.rest();
                    socket.kept.rest();
                    socket.wear = Wear::None;
                    return false;
                }
                Wear::Resting => {}
            }
            true
        });
        !worn.is_empty()
    }

    pub(crate) fn wake_reader(&mut self, slot: u32) {
        if let Some(socket) = self.sockets.get_mut(slot as usize) {
            self.wakes.extend(socket.reader.take());
        }
    }

    /// Wakes who waits for fewer unsent bytes, if it has come to that or sending failed.
    pub(crate) fn wake_writer(&mut self, slot: u32) {
        if let Some(socket) = self.sockets.get_mut(slot as usize) {
            let unsent = socket.unsent();
            let failed = socket.failed.is_some();
            if let Some(writer) = socket.writer.take_if(|writer| failed || unsent < writer.0) {
                self.wakes.push(writer.1);
            }
        }
    }

    /// Notes how a socket's received bytes end, and tells the reader.
    pub(crate) fn end(&mut self, slot: u32, end: End) {
        if let Some(socket) = self.sockets.get_mut(slot as usize) {
            socket.end.get_or_insert(end);
            self.wake_reader(slot);
        }
    }

    /// Takes a waker that `by` has replaced.
    pub(crate) fn retire(&mut self, replaced: Option<Waker>, by: &Waker) {
        // One more of the same is dropped without consequence.
        self.retired.extend(replaced.filter(|waker| !waker.will_wake(by)));
    }

    pub(crate) fn wake_acceptor(&mut self, slot: u32) {
        if let Some(listening) = self.listeners.get_mut(slot as usize) {
            self.wakes.extend(listening.acceptor.take());
        }
    }

    /// Counts the most that ever waited in one receive queue.
    pub(crate) fn note_queued(&self, queued: usize) {
        let max = &self.counters.receive_queue_bytes_max;
        max.set(max.get().max(queued as u64));
    }
}

/// The error of an operation on a stream whose runtime is gone.
pub(crate) fn stopped() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the runtime of this stream has stopped")
}

// An idle connection costs this, its task and its place in the ring: keep it small.
const _: () = assert!(size_of::<Socket>() <= 112);

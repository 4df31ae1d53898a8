//! What a reactor keeps for each socket and each listener, whichever driver runs.

use crate::buffers::Buffers;
use crate::send_queue::SendQueue;
use crate::stats::Counters;
use slab::Slab;
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::task::Waker;

/// No slot, no buffer.
pub(crate) const NONE: u32 = u32::MAX;

/// One socket. The fields of the drivers stand side by side: they are a few flags each.
pub(crate) struct Socket {
    /// The descriptor. `None` in memory, and once the reactor has stopped.
    pub(crate) os: Option<socket2::Socket>,
    /// Tells apart the sockets that had this slot.
    pub(crate) generation: u32,

    /// Received bytes that were copied out of the driver's buffers. No capacity while empty.
    pub(crate) kept: Vec<u8>,
    /// Bytes of `kept` that were taken already.
    pub(crate) kept_start: usize,
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
    /// Bytes in an operation of the ring.
    pub(crate) in_flight: usize,
    /// Who waits for fewer unsent bytes than this, and for a connection.
    pub(crate) writer: Option<(usize, Waker)>,
    /// Why sending or connecting failed.
    pub(crate) failed: Option<i32>,
    pub(crate) shutdown: Shutdown,

    pub(crate) connected: bool,
    /// Lent to a reader right now.
    pub(crate) lent: bool,
    /// In the list of sockets to flush.
    pub(crate) dirty: bool,
    /// Its stream is gone; the slot is free once no operation is left.
    pub(crate) closing: bool,

    /// Ring: operations that the kernel has.
    pub(crate) ops: Ops,
    /// Ring: receives plainly into the hot buffer, told by polls, because much is coming.
    pub(crate) bulk: bool,
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
    /// Memory: the other end.
    pub(crate) peer: u32,
    /// Memory: its own address and the other end's.
    pub(crate) addresses: Option<Box<(SocketAddr, SocketAddr)>>,
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
        self.send.len() + self.in_flight
    }

    /// Whether there are bytes the reader has not seen.
    pub(crate) fn has_news(&self) -> bool {
        self.queued > self.starved
    }

    /// Appends received bytes behind what is kept.
    pub(crate) fn keep(&mut self, bytes: &[u8], buffers: &Buffers) {
        if bytes.is_empty() {
            return;
        }
        if self.kept.capacity() == 0 {
            self.kept = buffers.sized(bytes.len());
        } else if self.kept_start > self.kept.len() / 2 {
            // A reader that never quite catches up must not make this grow. Moves less than was taken since.
            self.kept.drain(..self.kept_start);
            self.kept_start = 0;
        }
        self.kept.extend_from_slice(bytes);
        self.queued += bytes.len();
    }

    /// Puts back what a reader left of bytes lent out of `kept` or of a driver's buffer: it goes in front.
    pub(crate) fn put_back(&mut self, rest: &[u8], buffers: &Buffers) {
        if rest.is_empty() {
            return;
        }
        let behind = std::mem::take(&mut self.kept);
        let mut kept = buffers.sized(rest.len() + behind.len() - self.kept_start);
        kept.extend_from_slice(rest);
        kept.extend_from_slice(&behind[self.kept_start..]);
        buffers.recycle(behind);
        self.kept = kept;
        self.kept_start = 0;
        self.queued += rest.len();
    }

    /// Notes how sending ended and drops what was queued.
    pub(crate) fn fail_send(&mut self, errno: i32, buffers: &Buffers) {
        self.failed = Some(errno);
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
            sockets: Slab::new(),
            listeners: Slab::new(),
            dirty: Vec::new(),
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
            kept: Vec::new(),
            kept_start: 0,
            chunk_first: NONE,
            chunk_last: NONE,
            queued: 0,
            starved: 0,
            end: None,
            reader: None,
            send: SendQueue::default(),
            in_flight: 0,
            writer: None,
            failed: None,
            shutdown: Shutdown::No,
            connected,
            lent: false,
            dirty: false,
            closing: false,
            ops: Ops::default(),
            bulk: false,
            flight: NONE,
            readable: false,
            unsure: false,
            hung_up: false,
            writable: true,
            peer: NONE,
            addresses: None,
        });
        self.counters.sockets_open.set(self.sockets.len() as u64);
        slot as u32
    }

    /// Frees a slot and closes its descriptor.
    pub(crate) fn remove(&mut self, slot: u32) {
        let mut socket = self.sockets.remove(slot as usize);
        socket.send.clear(&self.buffers);
        self.buffers.recycle(std::mem::take(&mut socket.kept));
        self.wakes.extend(socket.reader.take());
        self.wakes.extend(socket.writer.take().map(|(_, waker)| waker));
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
        }
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
            if let Some((_, waker)) = socket.writer.take_if(|(below, _)| failed || unsent < *below) {
                self.wakes.push(waker);
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
const _: () = assert!(size_of::<Socket>() <= 288);

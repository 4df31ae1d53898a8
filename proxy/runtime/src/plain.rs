//! Plain system calls on a socket that never wait: used by `epoll` for everything, by the ring for bulk data and for
//! the single send of a quiet turn.

use crate::buffers::Buffers;
use crate::send_queue::{SLICES_MAX, SendQueue};
use crate::socket::{End, Incoming, Lent, Listening, Shutdown, Socket, Table};
use crate::stats::{Counters, add};
use slab::Slab;
use std::io::{self, IoSlice};
use std::net::{Shutdown as How, TcpListener};

/// What a plain receive brings at most to a reader who may leave most of it, unless it wants less: the payload of a frame of
/// HTTP/2.
pub(crate) const SPARING_BYTES_MAX: usize = 16 * 1024;

const FLAGS: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
/// What the kernel takes ahead of what the peer's window and the network let it send (`TCP_NOTSENT_LOWAT`, ip-sysctl.rst). Without it a
/// client that reads nothing is given as much as a send buffer may grow to, 4 MiB by default: memory that nobody here
/// counts, and work for its backend that others wait behind. It asks for more at half of that, which lasts 50 µs at 10 Gbit/s.
const NOT_SENT_BYTES_MAX: u32 = 128 * 1024;
/// From so many bytes on what a reader leaves of the hot buffer is handed over with it, and not copied.
const HANDED_BYTES_MIN: usize = 2 * 1024;
/// Connections taken out of the kernel's queue when a listener closes.
const ACCEPT_DRAIN_MAX: usize = 4096;

/// What sending came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Everything is with the kernel, or sending failed and nothing is left.
    All,
    /// The kernel has no room.
    Blocked,
}

/// Sends what the kernel has room for.
pub(crate) fn send(socket: &mut Socket, buffers: &Buffers, counters: &Counters) -> Sent {
    while !socket.send.is_empty() {
        let Some(os) = &socket.os else {
            socket.send.clear(buffers);
            break;
        };
        add(&counters.syscalls, 1);
        let result = match socket.send.only() {
            Some(one) => os.send_with_flags(one, FLAGS),
            None => send_slices(os, &socket.send),
        };
        match result {
            Ok(sent) => {
                add(&counters.sent_bytes, sent as u64);
                socket.send.advance(sent, buffers);
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => {
                    socket.send.settle(buffers);
                    return Sent::Blocked;
                }
                io::ErrorKind::Interrupted => {}
                _ => socket.fail_send(errno(&error), buffers),
            },
        }
    }
    finish_shutdown(socket);
    Sent::All
}

/// Out of line: its slices are half a kilobyte that most sends need not touch.
#[inline(never)]
fn send_slices(os: &socket2::Socket, queue: &SendQueue) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    let filled = queue.slices(&mut slices);
    os.send_vectored_with_flags(&slices[..filled], FLAGS)
}

/// Sends what waits, and `bytes` behind it, with one call out of where they lie. Says how many of `bytes` the kernel took;
/// what it left of what waits is in the queue as before.
pub(crate) fn send_through(
    socket: &mut Socket,
    bytes: &[u8],
    buffers: &Buffers,
    counters: &Counters,
) -> usize {
    let Some(os) = &socket.os else { return 0 };
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    let filled = socket.send.slices(&mut slices);
    let Some(last) = slices.get_mut(filled) else { return 0 };
    *last = IoSlice::new(bytes);
    add(&counters.syscalls, 1);
    match os.send_vectored_with_flags(&slices[..=filled], FLAGS) {
        Ok(sent) => {
            add(&counters.sent_bytes, sent as u64);
            let waiting = socket.send.len();
            socket.send.advance(sent.min(waiting), buffers);
            sent.saturating_sub(waiting)
        }
        // Whatever it was, the send that follows at the end of the turn meets it again.
        Err(_) => 0,
    }
}

/// Sends the FIN that was asked for, if everything before it is sent.
pub(crate) fn finish_shutdown(socket: &mut Socket) {
    if socket.shutdown == Shutdown::Wanted && socket.unsent() == 0 {
        socket.shutdown = Shutdown::Done;
        // Fails only when the connection is gone, which receiving tells.
        let _ = socket.os.as_ref().map(|os| os.shutdown(How::Write));
    }
}

/// The one large buffer of a core into which is received. `None` while it is lent.
#[derive(Default)]
pub(crate) struct Hot {
    buffer: Option<Vec<u8>>,
    /// Sockets that keep the buffer with what a reader left in it, until the end of the turn.
    handed: Vec<u32>,
}

impl Hot {
    fn take(&mut self, buffers: &Buffers) -> Vec<u8> {
        // Made when first needed; a reader that receives from within a receive gets one of its own.
        self.buffer.take().unwrap_or_else(|| buffers.large())
    }

    fn put(&mut self, buffer: Vec<u8>) {
        self.buffer = Some(buffer);
    }

    /// Lends what the kernel has for a socket, behind what the reader has seen.
    pub(crate) fn lend(
        &mut self,
        socket: &mut Socket,
        buffers: &Buffers,
        counters: &Counters,
    ) -> Option<Lent> {
        if !socket.has_news() {
            if !socket.readable || socket.end.is_some() {
                return None;
            }
            let buffer = self.receive(socket, buffers, counters)?;
            if socket.queued == 0 {
                return Some(Lent::Hot(buffer));
            }
            socket.keep(&buffer, buffers);
            add(&counters.copied_bytes, buffer.len() as u64);
            self.put(buffer);
        }
        socket.queued -= socket.kept.len();
        let (kept, start) = socket.kept.take();
        Some(Lent::Kept(kept, start))
    }

    /// Takes lent bytes of the socket in `slot` back.
    pub(crate) fn give_back(
        &mut self,
        socket: &mut Socket,
        slot: u32,
        lent: Lent,
        consumed: usize,
        buffers: &Buffers,
    ) {
        match lent {
            Lent::Kept(buffer, start) => give_back_kept(socket, buffer, start + consumed, buffers),
            Lent::Hot(buffer) if buffer.len() - consumed >= HANDED_BYTES_MIN && socket.kept.is_empty() => {
                // A body is mostly read right after its head: it stays where it is until the end of the turn.
                give_back_kept(socket, buffer, consumed, buffers);
                self.handed.push(slot);
            }
            Lent::Hot(buffer) => {
                socket.put_back(&buffer[consumed..], buffers);
                self.put(buffer);
            }
            Lent::Ring(_) => debug_assert!(false, "a ring's buffer goes back to the ring"),
        }
    }

    /// Ends the turn: who still keeps little in a large buffer gets one of a smaller size.
    pub(crate) fn settle(&mut self, sockets: &mut Slab<Socket>, buffers: &Buffers, counters: &Counters) {
        for slot in self.handed.drain(..) {
            let Some(socket) = sockets.get_mut(slot as usize) else { continue };
            let left = socket.kept.len();
            if left > 0 && buffers.sized_bytes(left) < buffers.sized_bytes(socket.kept.capacity()) {
                let (large, start) = socket.kept.take();
                socket.kept.append(&large[start..], buffers);
                add(&counters.copied_bytes, left as u64);
                buffers.recycle(large);
            }
        }
    }

    /// Whether there is news, by asking the kernel if that is not certain.
    pub(crate) fn look(&mut self, socket: &mut Socket, buffers: &Buffers, counters: &Counters) -> bool {
        if socket.has_news() || socket.end.is_some() || (socket.readable && !socket.unsure) {
            return true;
        }
        if !socket.readable {
            return false;
        }
        if let Some(buffer) = self.receive(socket, buffers, counters) {
            socket.keep(&buffer, buffers);
            add(&counters.copied_bytes, buffer.len() as u64);
            self.put(buffer);
        }
        socket.has_news() || socket.end.is_some()
    }

    /// One receive. `None` when there was nothing or the end; the socket's flags say which.
    fn receive(&mut self, socket: &mut Socket, buffers: &Buffers, counters: &Counters) -> Option<Vec<u8>> {
        let mut buffer = self.take(buffers);
        buffer.clear();
        let bytes_max = socket.plainly.bytes_max().unwrap_or(usize::MAX).min(buffer.capacity());
        let result = loop {
            let Some(os) = &socket.os else { break Ok(0) };
            add(&counters.syscalls, 1);
            match os.recv_with_flags(&mut buffer.spare_capacity_mut()[..bytes_max], libc::MSG_DONTWAIT) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        match result {
            Ok(0) => socket.end = Some(End::Eof),
            Ok(n) => {
                // SAFETY: the kernel initialised the first `n` bytes of the spare capacity, which begins at 0, and
                // `n` is no more than that capacity.
                unsafe { buffer.set_len(n) };
                add(&counters.received_bytes, n as u64);
                // A short receive emptied the socket, and whatever comes now makes a new edge, but an end that was
                // told already does not.
                socket.readable = n == bytes_max || socket.hung_up;
                socket.unsure = socket.readable && !socket.hung_up;
                return Some(buffer);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                socket.readable = false;
                socket.unsure = false;
            }
            Err(error) => socket.end = Some(End::Error(errno(&error))),
        }
        self.put(buffer);
        None
    }
}

/// Takes back a buffer that was lent out of `kept`; the bytes before `start` are done with.
pub(crate) fn give_back_kept(socket: &mut Socket, buffer: Vec<u8>, start: usize, buffers: &Buffers) {
    if start == buffer.len() {
        buffers.recycle(buffer);
    } else if socket.kept.is_empty() {
        socket.queued += buffer.len() - start;
        socket.kept.put(buffer, start);
    } else {
        // More was kept while this was lent.
        socket.put_back(&buffer[start..], buffers);
        buffers.recycle(buffer);
    }
}

/// Accepts one connection. `None` when there is none now; the listener's flags say why.
pub(crate) fn accept(table: &mut Table, slot: u32) -> Option<Incoming> {
    let listening = table.listeners.get_mut(slot as usize)?;
    loop {
        let os = listening.os.as_ref()?;
        add(&table.counters.syscalls, 1);
        match os.accept() {
            Ok((stream, _)) => return Some(Incoming::Os(stream.into())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                listening.readable = false;
                return None;
            }
            Err(error) => match after_accept_error(errno(&error)) {
                Accept::Again => {}
                Accept::Later => {
                    back_off(listening, &table.counters);
                    return None;
                }
                Accept::Never(errno) => {
                    listening.failed = Some(errno);
                    return None;
                }
            },
        }
    }
}

/// What to do after an accept that failed.
pub(crate) enum Accept {
    /// That connection failed, not the listener: accept(2) asks to treat these like `EAGAIN`.
    Again,
    /// Something ran out.
    Later,
    /// The listener is none.
    Never(i32),
}

pub(crate) fn after_accept_error(errno: i32) -> Accept {
    match errno {
        libc::ECONNABORTED
        | libc::EINTR
        | libc::EPERM
        | libc::EPROTO
        | libc::ENOPROTOOPT
        | libc::ENETDOWN
        | libc::EHOSTDOWN
        | libc::ENONET
        | libc::EHOSTUNREACH
        | libc::ENETUNREACH => Accept::Again,
        libc::EBADF | libc::EINVAL | libc::ENOTSOCK | libc::EOPNOTSUPP => Accept::Never(errno),
        _ => Accept::Later,
    }
}

pub(crate) fn back_off(listening: &mut Listening, counters: &Counters) {
    listening.backing_off = true;
    add(&counters.accept_pauses, 1);
}

/// Takes over what the kernel has accepted and closes the listener.
pub(crate) fn drain_and_close(listening: &mut Listening) {
    let Some(os) = listening.os.take() else { return };
    if os.set_nonblocking(true).is_err() {
        return;
    }
    for _ in 0..ACCEPT_DRAIN_MAX {
        match os.accept() {
            Ok((stream, _)) => listening.queue.push_back(Incoming::Os(stream.into())),
            Err(error) => match after_accept_error(errno(&error)) {
                Accept::Again => {}
                Accept::Later | Accept::Never(_) => break,
            },
        }
    }
}

/// Prepares a listener: connections inherit that they send at once, and how much of it waits in the kernel.
pub(crate) fn prepare_listener(listener: &TcpListener, nonblocking: bool) -> io::Result<()> {
    let socket = socket2::SockRef::from(listener);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(NOT_SENT_BYTES_MAX)?;
    listener.set_nonblocking(nonblocking)
}

/// A new socket for connecting to `address`. What `kind` says of it costs no call of its own.
pub(crate) fn outgoing(
    table: &Table,
    address: std::net::SocketAddr,
    kind: socket2::Type,
) -> io::Result<socket2::Socket> {
    if table.sockets.len() >= table.sockets_max {
        return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "too many open sockets"));
    }
    let os = socket2::Socket::new(socket2::Domain::for_address(address), kind, Some(socket2::Protocol::TCP))?;
    os.set_tcp_nodelay(true)?;
    Ok(os)
}

/// The errno of an error of the system; `EIO` for one that has none.
pub(crate) fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

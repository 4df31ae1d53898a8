//! What a completion means: the other half of each operation that is begun here.

use super::user_data::{Op, UserData};
use super::{BULK_BUFFERS, Uring};
use crate::plain::{self, Accept};
use crate::socket::{End, Incoming, ListenState, NONE, Plainly, Table};
use crate::stats::add;
use io_uring::cqueue;
use std::os::fd::{FromRawFd, OwnedFd};

/// Results that are looked for, as the kernel gives them.
const CANCELLED: i32 = -libc::ECANCELED;
const NO_BUFFERS: i32 = -libc::ENOBUFS;
const INTERRUPTED: i32 = -libc::EINTR;
const AGAIN: i32 = -libc::EAGAIN;
const INVALID: i32 = -libc::EINVAL;

impl Uring {
    /// Takes up one completion.
    pub(super) fn complete(&mut self, table: &mut Table, completion: &cqueue::Entry) {
        let user_data = UserData::unpack(completion.user_data());
        let (result, flags) = (completion.result(), completion.flags());
        if matches!(user_data.op, Op::Cancel | Op::Unknown) {
            // What was cancelled tells by itself how it ended.
            return;
        }
        let more = cqueue::more(flags);
        if !more {
            self.in_flight -= 1;
        }
        match user_data.op {
            Op::Bell => {
                self.bell_armed = false;
                if result >= 0 {
                    self.bell.hear();
                }
            }
            Op::Receive => self.on_received(table, user_data, result, cqueue::buffer_select(flags), more),
            Op::Poll => self.on_poll(table, user_data, result),
            Op::Send => self.on_sent(table, user_data, result),
            Op::Connect => self.on_connected(table, user_data, result),
            Op::Accept => self.on_accepted(table, user_data, result, more),
            Op::Cancel | Op::Unknown => {}
        }
    }

    fn on_received(&mut self, table: &mut Table, at: UserData, result: i32, buffer: Option<u16>, more: bool) {
        let length = usize::try_from(result).unwrap_or(0);
        let high = table.receive_high_bytes;
        let Some(socket) = table.sockets.get_mut(at.slot as usize).filter(|s| at.is_of(s.generation)) else {
            self.buffers.give(buffer);
            return;
        };
        if !more {
            socket.ops.receive = false;
        }
        if socket.closing {
            self.buffers.give(buffer);
            self.free_when_done(table, at.slot);
            return;
        }
        match buffer {
            Some(buffer) if length > 0 => {
                if socket.chunk_first == NONE {
                    self.arrived.push(at.slot);
                }
                self.buffers.append(buffer, length, &mut socket.chunk_first, &mut socket.chunk_last);
                socket.queued += length;
                add(&table.counters.received_bytes, result as u64);
            }
            other => self.buffers.give(other),
        }
        let queued = socket.queued;
        let much = queued >= high || queued >= BULK_BUFFERS * self.buffers.bytes();
        match result {
            1.. if !more => {
                socket.bulk |= much;
                if queued >= high {
                    add(&table.counters.receive_pauses, 1);
                }
                self.after_multishot(table, at.slot);
            }
            1.. if much && !self.caps && !socket.bulk => {
                socket.bulk = true;
                self.cancel(at);
            }
            1.. => {}
            CANCELLED | INTERRUPTED | AGAIN => self.after_multishot(table, at.slot),
            NO_BUFFERS => {
                add(&table.counters.enobufs, 1);
                self.starving.push(at.slot);
            }
            INVALID if self.caps => {
                // Before Linux 6.17.
                self.caps = false;
                self.after_multishot(table, at.slot);
            }
            0 => table.end(at.slot, End::Eof),
            error => table.end(at.slot, End::Error(-error)),
        }
        if length > 0 {
            table.note_queued(queued);
            table.wake_reader(at.slot);
        }
    }

    /// Goes on receiving after a multishot has ended, or begins to, in the mode that the socket is in by now.
    pub(super) fn after_multishot(&mut self, table: &mut Table, slot: u32) {
        let Some(socket) = table.sockets.get_mut(slot as usize) else { return };
        if socket.bulk {
            // Nobody knows whether there is more: the reader finds out.
            socket.readable = true;
            socket.unsure = true;
            if socket.plainly == Plainly::LITTLE {
                socket.plainly = Plainly::MUCH;
            }
            table.wake_reader(slot);
        } else {
            self.arm_receive(table, slot);
        }
    }

    fn on_poll(&mut self, table: &mut Table, at: UserData, result: i32) {
        let Some(socket) = table.sockets.get_mut(at.slot as usize).filter(|s| at.is_of(s.generation)) else {
            return;
        };
        socket.ops.poll = false;
        if socket.closing {
            self.free_when_done(table, at.slot);
            return;
        }
        socket.readable = true;
        // An error of the poll itself is left to the receive to tell.
        socket.unsure = result < 0;
        let over = i32::from(libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR);
        socket.hung_up |= result > 0 && result & over != 0;
        table.wake_reader(at.slot);
    }

    fn on_sent(&mut self, table: &mut Table, at: UserData, result: i32) {
        let Some(socket) = table.sockets.get_mut(at.slot as usize).filter(|s| at.is_of(s.generation)) else {
            return;
        };
        if let Ok(sent) = usize::try_from(result) {
            add(&table.counters.sent_bytes, sent as u64);
            socket.send.set_in_flight(self.flights.advance(socket.flight, sent, &table.buffers));
        }
        let again = result >= 0 || matches!(result, INTERRUPTED | AGAIN);
        if again && socket.send.in_flight() > 0 && !socket.closing {
            self.flights.settle(socket.flight, &table.buffers);
            self.continue_send(table, at.slot);
            table.wake_writer(at.slot);
            return;
        }
        socket.ops.send = false;
        socket.send.set_in_flight(0);
        self.flights.give_back(std::mem::replace(&mut socket.flight, NONE), &table.buffers);
        if socket.closing {
            self.free_when_done(table, at.slot);
            return;
        }
        if !again {
            socket.fail_send(-result, &table.buffers);
        }
        if socket.send.is_empty() {
            plain::finish_shutdown(socket);
        } else {
            // Written while the flight was in the air; goes with this turn's flush.
            table.mark_dirty(at.slot);
        }
        table.wake_writer(at.slot);
    }

    fn on_connected(&mut self, table: &mut Table, at: UserData, result: i32) {
        let Some(socket) = table.sockets.get_mut(at.slot as usize).filter(|s| at.is_of(s.generation)) else {
            return;
        };
        socket.ops.connect = false;
        self.flights.give_back(std::mem::replace(&mut socket.flight, NONE), &table.buffers);
        if socket.closing {
            self.free_when_done(table, at.slot);
            return;
        }
        table.wakes.extend(socket.take_writer());
        if result < 0 {
            socket.fail(-result);
        } else {
            socket.connected = true;
            socket.bulk = socket.plainly.is_little();
            self.after_multishot(table, at.slot);
        }
    }

    fn on_accepted(&mut self, table: &mut Table, at: UserData, result: i32, more: bool) {
        // SAFETY: a result that is no error is a descriptor that the kernel made for us, and that nobody else knows.
        let accepted = (result >= 0).then(|| unsafe { OwnedFd::from_raw_fd(result) });
        let queue_max = table.accept_queue_max;
        let Some(listening) = table.listeners.get_mut(at.slot as usize).filter(|l| at.is_of(l.generation))
        else {
            return;
        };
        listening.armed &= more;
        if listening.state == ListenState::Dropped {
            self.free_listener_when_done(table, at.slot);
            return;
        }
        if let Some(fd) = accepted {
            listening.queue.push_back(Incoming::Os(fd.into()));
        } else {
            match -result {
                libc::ECANCELED => {}
                // It does not wait: the listener was made so, or its twin in another process was.
                libc::EAGAIN => drop(listening.os.as_ref().map(|os| os.set_nonblocking(false))),
                errno => match plain::after_accept_error(errno) {
                    Accept::Again => {}
                    Accept::Later => plain::back_off(listening, &table.counters),
                    Accept::Never(errno) => listening.failed = Some(errno),
                },
            }
        }
        let full = listening.queue.len() >= queue_max;
        if listening.state == ListenState::Closing && !listening.armed {
            plain::drain_and_close(listening);
            listening.state = ListenState::Closed;
        } else if full {
            self.cancel_accept(table, at.slot);
        } else if !listening.armed && !listening.backing_off {
            self.arm_accept(table, at.slot);
        }
        table.wake_acceptor(at.slot);
    }
}

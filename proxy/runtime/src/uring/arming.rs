//! What the driver has the kernel do for a socket or a listener until it is told to stop: each operation is begun here.
//! It does not know what becomes of a completion (`completions`).

use super::Uring;
use super::buffers;
use super::user_data::{Op, UserData};
use crate::socket::{ListenState, Table};
use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use std::os::fd::AsRawFd;
use std::ptr;

/// Buffers that one multishot fills at most, where the kernel can cap it.
const CAP_BUFFERS: usize = 8;

impl Uring {
    pub(super) fn arm_bell(&mut self) {
        if !self.bell_armed {
            self.bell_armed = true;
            let entry = opcode::PollAdd::new(Fd(self.bell.as_raw_fd()), libc::POLLIN as u32).build();
            // SAFETY: the entry points to no memory.
            unsafe { self.start_op(entry, UserData::BELL) };
        }
    }

    pub(super) fn arm_receive(&mut self, table: &mut Table, slot: u32) {
        let Some(socket) = table.sockets.get_mut(slot as usize) else { return };
        let Some(os) = &socket.os else { return };
        if socket.ops.receive || !socket.connected || socket.closing || socket.end.is_some() {
            return;
        }
        socket.ops.receive = true;
        let mut entry = opcode::RecvMulti::new(Fd(os.as_raw_fd()), buffers::GROUP).build();
        if self.caps {
            let bytes_max = socket.plainly.bytes_max().unwrap_or(CAP_BUFFERS * self.buffers.bytes());
            let bytes = bytes_max.min(table.receive_high_bytes);
            set_cap(&mut entry, u32::try_from(bytes).unwrap_or(u32::MAX));
        }
        let user_data = UserData::new(Op::Receive, socket.generation, slot);
        // SAFETY: the entry points to no memory; the kernel takes it from the provided buffers.
        unsafe { self.start_op(entry, user_data) };
    }

    /// Has the kernel tell when there is something to receive in bulk.
    pub(super) fn arm_poll(&mut self, table: &mut Table, slot: u32) {
        let Some(socket) = table.sockets.get_mut(slot as usize) else { return };
        let Some(os) = &socket.os else { return };
        if socket.ops.poll || socket.closing || socket.end.is_some() {
            return;
        }
        socket.ops.poll = true;
        let events = (libc::POLLIN | libc::POLLRDHUP) as u32;
        let entry = opcode::PollAdd::new(Fd(os.as_raw_fd()), events).build();
        let user_data = UserData::new(Op::Poll, socket.generation, slot);
        // SAFETY: the entry points to no memory.
        unsafe { self.start_op(entry, user_data) };
    }

    pub(super) fn arm_accept(&mut self, table: &mut Table, slot: u32) {
        let Some(listening) = table.listeners.get_mut(slot as usize) else { return };
        let Some(os) = &listening.os else { return };
        if listening.armed || listening.state != ListenState::Open || listening.failed.is_some() {
            return;
        }
        listening.armed = true;
        listening.cancelled = false;
        let entry = opcode::AcceptMulti::new(Fd(os.as_raw_fd())).flags(libc::SOCK_CLOEXEC).build();
        let user_data = UserData::new(Op::Accept, listening.generation, slot);
        // SAFETY: the entry points to no memory: a multishot accept reports no addresses.
        unsafe { self.start_op(entry, user_data) };
    }

    pub(super) fn cancel_accept(&mut self, table: &mut Table, slot: u32) {
        if let Some(listening) = table.listeners.get_mut(slot as usize)
            && listening.armed
            && !std::mem::replace(&mut listening.cancelled, true)
        {
            self.cancel(UserData::new(Op::Accept, listening.generation, slot));
        }
    }

    /// Has the ring send what the socket's queue holds.
    pub(super) fn start_send(&mut self, table: &mut Table, slot: u32) {
        let Some(socket) = table.sockets.get_mut(slot as usize) else { return };
        if socket.send.is_empty() || socket.os.is_none() {
            return;
        }
        let bytes = socket.send.len();
        socket.flight = self.flights.load(&mut socket.send);
        socket.send.set_in_flight(bytes);
        socket.ops.send = true;
        self.continue_send(table, slot);
    }

    /// Has the ring send what is left of the socket's flight.
    pub(super) fn continue_send(&mut self, table: &mut Table, slot: u32) {
        let Some(socket) = table.sockets.get_mut(slot as usize) else { return };
        let Some(os) = &socket.os else { return };
        let entry = self.flights.send_entry(socket.flight, Fd(os.as_raw_fd()));
        let user_data = UserData::new(Op::Send, socket.generation, slot);
        // SAFETY: the entry points to the flight, which is owned by `flights`, and which is neither changed nor given
        // back before `on_sent` has seen the completion.
        unsafe { self.start_op(entry, user_data) };
    }
}

/// Has a multishot receive end by itself after `bytes`: the field `optlen`, for which `io_uring` has no setter.
fn set_cap(entry: &mut squeue::Entry, bytes: u32) {
    const OPTLEN_OFFSET: usize = 44;
    const { assert!(size_of::<squeue::Entry>() == 64) };
    // SAFETY: an entry is the 64 bytes of the kernel's `io_uring_sqe`, all of them integers, so that four bytes at an offset
    // of 44 lie within it, are aligned, and may have any value.
    unsafe { ptr::from_mut(entry).cast::<u8>().add(OPTLEN_OFFSET).cast::<u32>().write(bytes) };
}

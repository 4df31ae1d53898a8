//! The memory that sends and connects of the ring point to: bytes, slices, headers and addresses.
//!
//! A flight is taken for one operation and given back after its completion. In between the kernel may read all of it at any
//! time, so nothing in it is changed, and it stays at its address: it is reached through a raw pointer, never moved.

use crate::buffers::Buffers;
use crate::send_queue::{SLICES_MAX, SendQueue};
use crate::socket::NONE;
use crate::spare::Spare;
use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use slab::Slab;
use std::io::IoSlice;
use std::mem;
use std::net::SocketAddr;
use std::ptr::{self, NonNull};

/// Flights kept for reuse.
const SPARE_MAX: usize = 256;
/// Of them so many stay, however little they are needed.
const SPARE_MIN: usize = 4;

#[derive(Default)]
pub(super) struct Flights {
    flights: Slab<NonNull<Flight>>,
    spare: Spare<NonNull<Flight>>,
}

struct Flight {
    queue: SendQueue,
    slices: [libc::iovec; SLICES_MAX],
    header: libc::msghdr,
    address: Option<socket2::SockAddr>,
}

impl Flights {
    /// Takes what a socket has to send. The index is good until `give_back`.
    pub(super) fn load(&mut self, queue: &mut SendQueue) -> u32 {
        let (index, flight) = self.take();
        queue.move_to(&mut flight.queue);
        index
    }

    fn take(&mut self) -> (u32, &mut Flight) {
        let mut pointer = self.spare.pop().unwrap_or_else(|| {
            let flight = Flight {
                queue: SendQueue::default(),
                slices: [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; SLICES_MAX],
                // SAFETY: a header is integers and pointers, for which all zeroes is a value: an empty message.
                header: unsafe { mem::zeroed() },
                address: None,
            };
            NonNull::from(Box::leak(Box::new(flight)))
        });
        let index = self.flights.insert(pointer) as u32;
        // SAFETY: the pointer is to a live flight that nobody else reaches: it was spare or is new.
        (index, unsafe { pointer.as_mut() })
    }

    /// The entry that sends what is left of a loaded flight. The flight must not be in the air.
    pub(super) fn send_entry(&mut self, index: u32, fd: Fd) -> squeue::Entry {
        let flight = self.grounded(index);
        if let Some(one) = flight.queue.only() {
            let length = u32::try_from(one.len()).unwrap_or(u32::MAX);
            return opcode::Send::new(fd, one.as_ptr(), length).flags(libc::MSG_NOSIGNAL).build();
        }
        Self::send_slices(flight, fd)
    }

    /// Out of line: its slices are half a kilobyte that most sends need not touch.
    #[inline(never)]
    fn send_slices(flight: &mut Flight, fd: Fd) -> squeue::Entry {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let filled = flight.queue.slices(&mut slices);
        for (slice, bytes) in flight.slices.iter_mut().zip(&slices[..filled]) {
            *slice = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        }
        flight.header.msg_iov = flight.slices.as_mut_ptr();
        flight.header.msg_iovlen = filled;
        opcode::SendMsg::new(fd, &flight.header).flags(libc::MSG_NOSIGNAL as u32).build()
    }

    /// Takes up that `sent` bytes have gone, and says how many are left. The flight must not be in the air.
    pub(super) fn advance(&mut self, index: u32, sent: usize, buffers: &Buffers) -> usize {
        let flight = self.grounded(index);
        flight.queue.advance(sent, buffers);
        flight.queue.len()
    }

    /// Keeps no more memory than what is left of a flight needs. The flight must not be in the air.
    pub(super) fn settle(&mut self, index: u32, buffers: &Buffers) {
        self.grounded(index).queue.settle(buffers);
    }

    /// The entry that connects to `address`, and its flight.
    pub(super) fn connect(&mut self, address: SocketAddr, fd: Fd) -> (u32, squeue::Entry) {
        let (index, flight) = self.take();
        let address = flight.address.insert(address.into());
        let entry = opcode::Connect::new(fd, address.as_ptr().cast(), address.len()).build();
        (index, entry)
    }

    /// Takes a flight back whose operation has ended.
    pub(super) fn give_back(&mut self, index: u32, buffers: &Buffers) {
        if index == NONE {
            return;
        }
        self.grounded(index).queue.clear(buffers);
        let pointer = self.flights.remove(index as usize);
        if self.spare.len() < SPARE_MAX {
            self.spare.push(pointer);
        } else {
            free(pointer);
        }
    }

    /// Frees those that were not needed since this was called last.
    pub(super) fn trim(&mut self) {
        self.spare.trim(SPARE_MIN).for_each(free);
    }

    /// A flight whose operation has not begun or has ended.
    fn grounded(&mut self, index: u32) -> &mut Flight {
        // SAFETY: the pointer is to a live flight, which is freed only after it has left the slab. We reach it through
        // `&mut self` alone, and the kernel has no operation that reads it.
        unsafe { self.flights[index as usize].as_mut() }
    }

    /// Gives the flights that are in the air up for good: the kernel may still read them.
    pub(super) fn leak(&mut self) {
        mem::take(&mut self.flights);
    }
}

impl Drop for Flights {
    fn drop(&mut self) {
        self.flights.drain().chain(self.spare.drain()).for_each(free);
    }
}

fn free(pointer: NonNull<Flight>) {
    // SAFETY: it came from a leaked box in `take`, and its owner has just given the only pointer up; no operation is left.
    drop(unsafe { Box::from_raw(pointer.as_ptr()) });
}

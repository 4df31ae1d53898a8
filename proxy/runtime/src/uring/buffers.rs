//! The buffers that the kernel receives into: a ring of descriptions that we share with it, and the memory they name.
//!
//! A buffer is at any time in one of three hands: the kernel's (it stands in the ring below the published tail), a
//! socket's (a completion named it, and it hangs in the socket's list), or a reader's (a [`Chunk`]). Only the kernel
//! writes into it, and only in the first case; each of the calls below moves it from one hand to the next.

use crate::buffers::Buffers;
use crate::socket::{NONE, Socket};
use crate::stats::{Counters, add};
use io_uring::IoUring;
use io_uring::types::BufRingEntry;
use std::io;
use std::mem::size_of;
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

/// The one buffer group.
pub(super) const GROUP: u16 = 0;

pub(super) struct RingBuffers {
    /// `entries` descriptions, shared with the kernel.
    ring: Mapping,
    memory: Rc<Mapping>,
    entries: u16,
    bytes: usize,
    tail: u16,
    published: u16,
    /// For each buffer: the next in its socket's list, and what of it is still to be read.
    links: Box<[Link]>,
}

#[derive(Clone, Copy)]
struct Link {
    next: u32,
    start: u32,
    length: u32,
}

impl RingBuffers {
    /// `entries` buffers, a power of two, of `bytes` each.
    pub(super) fn new(entries: u16, bytes: u32) -> io::Result<Self> {
        let count = usize::from(entries);
        let mut buffers = Self {
            ring: Mapping::new(count * size_of::<BufRingEntry>())?,
            memory: Rc::new(Mapping::new(count * bytes as usize)?),
            entries,
            bytes: bytes as usize,
            tail: 0,
            published: 0,
            links: vec![Link { next: NONE, start: 0, length: 0 }; count].into_boxed_slice(),
        };
        (0..entries).for_each(|buffer| buffers.give(Some(buffer)));
        buffers.publish();
        Ok(buffers)
    }

    /// Makes the buffers known to a ring.
    pub(super) fn register(&self, ring: &IoUring) -> io::Result<()> {
        let address = self.ring.base.as_ptr() as u64;
        // SAFETY: the mapping is page-aligned and has room for `entries` descriptions. It lives as long as `self`, which
        // stands behind the ring in the driver and is therefore dropped after it.
        unsafe { ring.submitter().register_buf_ring_with_flags(address, self.entries, GROUP, 0) }
    }

    /// Size of each buffer.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives a buffer to the kernel, with the next `publish`. The caller must have it from a completion, and only once.
    pub(super) fn give(&mut self, buffer: Option<u16>) {
        let Some(buffer) = buffer.filter(|buffer| *buffer < self.entries) else { return };
        let index = usize::from(self.tail & (self.entries - 1));
        // SAFETY: `index` is below `entries`, for which the mapping has room; the kernel does not read at or above the
        // published tail. All bytes of a description are plain integers, so that any content is valid. The tail itself
        // lies in a part of the first description that the three setters leave alone.
        unsafe {
            let entry = &mut *self.ring.base.as_ptr().cast::<BufRingEntry>().add(index);
            entry.set_addr(self.memory.base.as_ptr().add(usize::from(buffer) * self.bytes) as u64);
            entry.set_len(self.bytes as u32);
            entry.set_bid(buffer);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    /// Takes a buffer back from a reader.
    pub(super) fn give_chunk(&mut self, chunk: Chunk) {
        self.give(Some(chunk.buffer));
    }

    /// Lets the kernel see what it was given.
    pub(super) fn publish(&mut self) {
        if self.published == self.tail {
            return;
        }
        self.published = self.tail;
        // SAFETY: the base is that of the ring, so this is the address of its tail: two bytes, aligned, inside the
        // mapping, which only we write and the kernel reads atomically.
        let tail = unsafe { &*BufRingEntry::tail(self.ring.base.as_ptr().cast()).cast::<AtomicU16>() };
        // Release: the descriptions are there before the tail says so.
        tail.store(self.tail, Ordering::Release);
    }

    /// Hangs a filled buffer at the end of a socket's list.
    pub(super) fn append(&mut self, buffer: u16, length: usize, first: &mut u32, last: &mut u32) {
        let length = length.min(self.bytes) as u32;
        let Some(link) = self.links.get_mut(usize::from(buffer)) else { return };
        *link = Link { next: NONE, start: 0, length };
        match self.links.get_mut(*last as usize) {
            Some(link) => link.next = buffer.into(),
            None => *first = buffer.into(),
        }
        *last = buffer.into();
    }

    /// Takes the first buffer of a socket's list.
    pub(super) fn pop(&self, first: &mut u32, last: &mut u32) -> Option<Chunk> {
        let link = self.links.get(*first as usize)?;
        // The list holds only indices of `links`, of which there are no more than 32,768.
        let chunk = Chunk {
            memory: self.memory.clone(),
            buffer: *first as u16,
            start: *first as usize * self.bytes + link.start as usize,
            length: link.length as usize,
        };
        *first = link.next;
        if *first == NONE {
            *last = NONE;
        }
        Some(chunk)
    }

    /// Hangs what a reader left of a buffer in front of a socket's list again.
    pub(super) fn hang_back(&mut self, chunk: Chunk, consumed: usize, first: &mut u32, last: &mut u32) {
        let Some(link) = self.links.get_mut(usize::from(chunk.buffer)) else { return };
        let consumed = consumed.min(chunk.length);
        // Both are within one buffer, whose size is a `u32`.
        let start = chunk.start + consumed - usize::from(chunk.buffer) * self.bytes;
        *link = Link { next: *first, start: start as u32, length: (chunk.length - consumed) as u32 };
        *first = chunk.buffer.into();
        if *last == NONE {
            *last = *first;
        }
    }

    /// Copies what hangs in a socket's list into its own memory, and takes the buffers.
    pub(super) fn keep_all(&mut self, socket: &mut Socket, buffers: &Buffers, counters: &Counters) {
        if socket.chunk_first != NONE {
            socket.kept.reserve(socket.queued, buffers);
        }
        while let Some(chunk) = self.pop(&mut socket.chunk_first, &mut socket.chunk_last) {
            // They were counted when they came.
            let length = chunk.bytes().len();
            socket.queued -= length;
            socket.keep(chunk.bytes(), buffers);
            add(&counters.copied_bytes, length as u64);
            self.give_chunk(chunk);
        }
    }

    /// Drops what hangs in a socket's list, and takes the buffers.
    pub(super) fn give_all(&mut self, socket: &mut Socket) {
        while let Some(chunk) = self.pop(&mut socket.chunk_first, &mut socket.chunk_last) {
            socket.queued -= chunk.bytes().len();
            self.give_chunk(chunk);
        }
    }

    /// Gives the memory up for good: the kernel may still write into it.
    pub(super) fn leak(&mut self) {
        std::mem::forget(self.memory.clone());
        self.ring.length = 0;
    }
}

/// Received bytes in the hand of a reader: the only key to its buffer until it is given back.
pub(crate) struct Chunk {
    /// Keeps the memory mapped, whatever becomes of the driver.
    memory: Rc<Mapping>,
    buffer: u16,
    start: usize,
    length: usize,
}

impl Chunk {
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `start` and `length` lie within one buffer of the mapping, which `memory` keeps. The kernel wrote these
        // bytes before it posted the completion that named the buffer, and writes there no more until the buffer is
        // given back, for which this chunk has to be given up. Fresh mappings are zeroed, so all bytes are initialised.
        unsafe { std::slice::from_raw_parts(self.memory.base.as_ptr().add(self.start), self.length) }
    }
}

/// Anonymous memory of whole pages, all of which are there from the start: the kernel goes through the buffers in turn, so
/// that a few hundred receives would touch them all, and pay for each page then.
struct Mapping {
    base: NonNull<u8>,
    /// 0 when it is never to be unmapped.
    length: usize,
}

impl Mapping {
    fn new(length: usize) -> io::Result<Self> {
        let (protection, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE,
        );
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no other memory.
        let base = unsafe { libc::mmap(ptr::null_mut(), length, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, length })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.length > 0 {
            // SAFETY: this is the whole of a mapping that we made, and nobody can reach it any more. The ring of
            // descriptions is pinned by the kernel for as long as it needs it; of the buffers no operation is left.
            unsafe { libc::munmap(self.base.as_ptr().cast(), self.length) };
        }
    }
}

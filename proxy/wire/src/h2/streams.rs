//! The streams of a connection: each one's state, and how they are found by number. Does not know frames.

use std::collections::VecDeque;
use std::task::{Context, Waker};

use bytes::Bytes;
use message::Headers;

use super::Code;
use super::head::Head;

/// Buffers of bodies that are kept for other streams, and how large one may be.
const SPARES_MAX: usize = 8;
const SPARE_BYTES_MAX: usize = 16 * 1024;

/// Places for streams that a connection without any keeps.
pub(super) const IDLE_SLOTS_MAX: usize = 4;

/// Streams that are remembered after we have reset them, so that what was under way for them is read over.
const RESET_REMEMBERED_MAX: usize = 256;

/// Why a stream was over before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The peer has reset it.
    Reset(Code),
    /// We have, for a fault of the peer's.
    Fault(Code),
    /// We have, for a reason of ours.
    Own(Code),
    /// The peer's `GOAWAY` leaves it out: it was not processed.
    Refused,
    /// The connection is.
    Gone,
}

impl End {
    pub(super) fn code(self) -> Code {
        match self {
            Self::Reset(code) | Self::Fault(code) | Self::Own(code) => code,
            Self::Refused => Code::RefusedStream,
            Self::Gone => Code::Cancel,
        }
    }
}

/// One stream, from its first head until it is closed and nobody has any part of it.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) id: u32,
    /// Parts that are held of it.
    pub(super) handles: u8,
    pub(super) end: Option<End>,
    pub(super) we_ended: bool,
    pub(super) peer_ended: bool,
    /// We have sent the head of an answer, or of a request.
    pub(super) has_head: bool,
    /// The peer has sent the final head.
    pub(super) has_peers_head: bool,
    /// Its answer has no body whatever its head says (HEAD).
    pub(super) is_bodiless: bool,
    /// Somebody is there who will read what comes.
    pub(super) is_read: bool,
    /// It is no longer found by its number.
    pub(super) is_closed: bool,
    /// It waits for bytes of others to be sent.
    pub(super) is_waiting: bool,
    /// Bytes that we may send; below zero after the peer has lowered its settings.
    pub(super) window: i64,
    /// Bytes that the peer may send.
    pub(super) peers_window: i64,
    /// Bytes that were taken and not given back as credit.
    pub(super) taken_bytes: u32,
    /// Bytes of the body that the reader of a call has taken, as far as anybody wants to know.
    pub(super) read_bytes: u32,
    /// Bytes of the body that are to come by its head.
    pub(super) length_left: Option<u64>,
    pub(super) body: Body,
    /// Heads of answers that nobody has read.
    pub(super) heads: Heads,
    pub(super) trailers: Option<Box<Head>>,
    /// What is to be sent and has no room.
    pub(super) pending: Pending,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
    pub(super) gone: Option<Waker>,
}

/// What waits to be sent on a stream.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) pieces: VecDeque<Bytes>,
    /// What was given is all.
    pub(super) ends: bool,
    pub(super) trailers: Option<Box<Headers>>,
}

/// Heads of answers: mostly one.
#[derive(Debug, Default)]
pub(super) struct Heads {
    first: Option<Box<Head>>,
    more: VecDeque<Box<Head>>,
}

impl Heads {
    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.len()
    }

    pub(super) fn push(&mut self, head: Box<Head>) {
        match self.first {
            None => self.first = Some(head),
            Some(_) => self.more.push_back(head),
        }
    }

    pub(super) fn pop(&mut self) -> Option<Box<Head>> {
        std::mem::replace(&mut self.first, self.more.pop_front())
    }
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && !self.ends
    }
}

/// Bytes of a body that have come and were not taken.
#[derive(Debug, Default)]
pub(super) struct Body {
    bytes: Vec<u8>,
    taken: usize,
}

impl Body {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.taken == self.bytes.len()
    }

    pub(super) fn take(&mut self, bytes: usize) {
        self.taken += bytes;
        if self.is_empty() {
            self.bytes.clear();
            self.taken = 0;
            if self.bytes.capacity() > SPARE_BYTES_MAX {
                self.bytes = Vec::new();
            }
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        // What was taken makes room for what comes, rather than that more memory is taken.
        let is_full = self.bytes.len() + bytes.len() > self.bytes.capacity();
        if self.taken > self.bytes.len() / 2 || is_full && self.taken > 0 {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }
}

impl Stream {
    /// Whether it goes on, in both directions or in one.
    pub(super) fn is_open(&self) -> bool {
        self.end.is_none() && !(self.we_ended && self.peer_ended)
    }

    /// Whether there is something for its reader: bytes, the end, a fault.
    pub(super) fn is_readable(&self) -> bool {
        !self.body.is_empty() || self.peer_ended || self.end.is_some()
    }
}

/// Keeps a waker, unless it is there.
pub(super) fn keep(place: &mut Option<Waker>, cx: &Context<'_>) {
    match place {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *place = Some(cx.waker().clone()),
    }
}

/// All streams of a connection.
#[derive(Debug, Default)]
pub(super) struct Streams {
    slots: Vec<Stream>,
    free: Vec<u32>,
    /// Numbers and places of those that are not closed, by number, which only grow.
    open: Vec<(u32, u32)>,
    /// Numbers of those that we have reset before the peer had ended them, the last ones.
    reset: VecDeque<u32>,
    spares: Vec<Vec<u8>>,
}

impl Streams {
    /// A new stream, with a number above all others; its place.
    pub(super) fn insert(&mut self, stream: Stream) -> u32 {
        let id = stream.id;
        let key = match self.free.pop() {
            Some(key) => {
                self.slots[key as usize] = stream;
                key
            }
            None => {
                self.slots.push(stream);
                self.slots.len() as u32 - 1
            }
        };
        debug_assert!(self.open.last().is_none_or(|(last, _)| *last < id));
        self.open.push((id, key));
        key
    }

    /// The place of an open stream.
    pub(super) fn find(&self, id: u32) -> Option<u32> {
        let at = self.open.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.open.get(at).map(|(_, key)| *key)
    }

    /// The stream of a place, which whoever has a part of it may ask for.
    #[inline]
    pub(super) fn at(&mut self, key: u32) -> &mut Stream {
        &mut self.slots[key as usize]
    }

    /// The place of an open stream, if it is still that one's.
    pub(super) fn holds(&self, key: u32, id: u32) -> bool {
        self.slots.get(key as usize).is_some_and(|stream| stream.id == id && !stream.is_closed)
    }

    /// Bytes that the stream of a place may send.
    pub(super) fn window(&self, key: u32) -> i64 {
        self.slots[key as usize].window
    }

    /// The number of the stream of a place.
    pub(super) fn id(&self, key: u32) -> u32 {
        self.slots[key as usize].id
    }

    /// Places of all open streams.
    pub(super) fn keys(&self) -> impl Iterator<Item = u32> {
        self.open.iter().map(|(_, key)| *key)
    }

    /// Does something with each open stream.
    pub(super) fn each_open(&mut self, mut each: impl FnMut(&mut Stream)) {
        for (_, key) in &self.open {
            each(&mut self.slots[*key as usize]);
        }
    }

    /// How many there are that are open, or of which somebody has a part.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// How many are open.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// Bytes of a body that have come.
    pub(super) fn push(&mut self, key: u32, bytes: &[u8]) {
        let body = &mut self.slots[key as usize].body;
        if body.bytes.capacity() == 0
            && let Some(spare) = self.spares.pop()
        {
            body.bytes = spare;
        }
        body.push(bytes);
    }

    /// A stream is over: it is no longer found by its number. True if it was its place's last use.
    pub(super) fn close(&mut self, key: u32) -> bool {
        let stream = &mut self.slots[key as usize];
        if !stream.is_closed {
            stream.is_closed = true;
            if let Ok(at) = self.open.binary_search_by_key(&stream.id, |(id, _)| *id) {
                self.open.remove(at);
            }
        }
        self.slots[key as usize].handles == 0
    }

    /// Gives up the place of one that is closed and of which nobody has any part.
    pub(super) fn free(&mut self, key: u32) {
        let mut stream = std::mem::take(&mut self.slots[key as usize]);
        debug_assert!(stream.is_closed && stream.handles == 0);
        self.keep(std::mem::take(&mut stream.body.bytes));
        self.free.push(key);
        if self.free.len() == self.slots.len() && self.slots.len() > IDLE_SLOTS_MAX {
            // An idle connection holds little.
            *self = Self { reset: std::mem::take(&mut self.reset), ..Self::default() };
        }
    }

    /// What has come of a body and nobody will take, in bytes.
    pub(super) fn drop_body(&mut self, key: u32) -> usize {
        let body = std::mem::take(&mut self.slots[key as usize].body);
        let bytes = body.bytes().len();
        self.keep(body.bytes);
        bytes
    }

    /// Keeps a buffer that is empty for others.
    pub(super) fn keep(&mut self, mut spare: Vec<u8>) {
        if (1..=SPARE_BYTES_MAX).contains(&spare.capacity()) && self.spares.len() < SPARES_MAX {
            spare.clear();
            self.spares.push(spare);
        }
    }

    /// Remembers that a stream was reset by us.
    pub(super) fn remember(&mut self, id: u32) {
        if self.reset.len() == RESET_REMEMBERED_MAX {
            self.reset.pop_front();
        }
        self.reset.push_back(id);
    }

    /// Whether it was, not long ago.
    pub(super) fn was_reset(&self, id: u32) -> bool {
        self.reset.contains(&id)
    }
}

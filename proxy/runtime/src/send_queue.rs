//! What waits to be sent on one socket: gathered bytes and shared bodies, in order.

use crate::buffers::Buffers;
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::IoSlice;

/// Slices handed to the kernel at once.
pub(crate) const SLICES_MAX: usize = 32;
/// From this on bytes are sent at once and not at the end of the turn: they and the buffer are still in the CPU's cache, and
/// the buffer serves the next body.
pub(crate) const EAGER_BYTES: usize = 32 * 1024;
/// Below this a shared body is copied: cheaper than another slice and the count of its owners.
const SHARED_BYTES_MIN: usize = 2048;

/// A buffer may be so much larger than what is left in it while that waits for a receiver; beyond it, no larger than twice
/// what is left.
const SLACK_BYTES_MAX: usize = 8 * 1024;

/// What waits to be sent on one socket. Most sockets have sent everything: the place for it is made when it is needed, and
/// given up by [`SendQueue::rest`].
#[derive(Default)]
pub(crate) struct SendQueue {
    queue: Option<Box<Queue>>,
}

#[derive(Default)]
struct Queue {
    /// Closed segments, in front of what is being gathered. Seldom used: most answers are one gathered buffer.
    segments: VecDeque<Segment>,
    gather: Vec<u8>,
    /// Bytes of the first segment (or of `gather`, when there is none) that were sent already.
    front_sent: usize,
    bytes: usize,
    /// Bytes of this socket that an operation of the ring has, beside those that wait here.
    in_flight: usize,
    /// The last gathered buffer outgrew a small one: the next begins large.
    large: bool,
}

pub(crate) enum Segment {
    Owned(Vec<u8>),
    Shared(Bytes),
}

impl Segment {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl SendQueue {
    fn queue(&mut self) -> &mut Queue {
        self.queue.get_or_insert_default()
    }

    /// Bytes not sent yet.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.bytes)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes out the buffer being gathered, so that a caller may append to it without holding the queue.
    #[inline]
    pub(crate) fn take_gather(&mut self, buffers: &Buffers) -> Vec<u8> {
        self.queue().take_gather(buffers)
    }

    /// Puts the gathered buffer back; `before` is how long it was.
    #[inline]
    pub(crate) fn put_gather(&mut self, buffer: Vec<u8>, before: usize, buffers: &Buffers) {
        self.queue().put_gather(buffer, before, buffers);
    }

    /// Appends a body without copying it, unless it is short.
    pub(crate) fn push_shared(&mut self, bytes: Bytes, buffers: &Buffers) {
        self.queue().push_shared(bytes, buffers);
    }

    /// Appends what the kernel had no room for: it may wait for long.
    pub(crate) fn push_rest(&mut self, bytes: &[u8], buffers: &Buffers) {
        self.queue().push_rest(bytes, buffers);
    }

    /// Moves what has to wait for a receiver out of buffers that are much larger.
    pub(crate) fn settle(&mut self, buffers: &Buffers) {
        if let Some(queue) = &mut self.queue {
            queue.settle(buffers);
        }
    }

    /// What comes next, if all of it lies in one piece.
    #[inline]
    pub(crate) fn only(&self) -> Option<&[u8]> {
        self.queue.as_ref().map_or(Some(&[]), |queue| queue.only())
    }

    /// Fills `slices` with what comes next and says how many it filled.
    #[inline]
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES_MAX]) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.slices(slices))
    }

    /// Takes up that `sent` bytes are with the kernel.
    #[inline]
    pub(crate) fn advance(&mut self, sent: usize, buffers: &Buffers) {
        if let Some(queue) = &mut self.queue {
            queue.advance(sent, buffers);
        }
    }

    /// Moves everything to the end of `other`, which must not be moved or changed while the kernel reads from it.
    pub(crate) fn move_to(&mut self, other: &mut SendQueue) {
        self.queue().move_to(other.queue());
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self, buffers: &Buffers) {
        if let Some(queue) = &mut self.queue {
            queue.clear(buffers);
        }
    }

    /// Takes up to `max` bytes off the front and hands them to `take`.
    pub(crate) fn drain(&mut self, max: usize, buffers: &Buffers, take: impl FnMut(&[u8])) -> usize {
        self.queue.as_mut().map_or(0, |queue| queue.drain(max, buffers, take))
    }

    /// Bytes that were moved out of here and are not known to be with the kernel.
    #[inline]
    pub(crate) fn in_flight(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.in_flight)
    }

    /// Notes how many those are.
    pub(crate) fn set_in_flight(&mut self, bytes: usize) {
        self.queue().in_flight = bytes;
    }

    /// Gives the place up, if nothing waits.
    pub(crate) fn rest(&mut self) {
        if self.is_empty() && self.in_flight() == 0 {
            self.queue = None;
        }
    }
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Takes out the buffer being gathered, so that a caller may append to it without holding the queue.
    fn take_gather(&mut self, buffers: &Buffers) -> Vec<u8> {
        if self.front_sent > 0 && self.segments.is_empty() {
            // Sent in part: it has to stay in front, whatever is written meanwhile.
            self.close_gather();
        }
        match self.gather.capacity() {
            0 if self.large => buffers.large(),
            0 => buffers.small(),
            _ => std::mem::take(&mut self.gather),
        }
    }

    /// Puts the gathered buffer back; `before` is how long it was.
    fn put_gather(&mut self, mut buffer: Vec<u8>, before: usize, buffers: &Buffers) {
        // Who shortened it took back bytes that may be sent in part already: make good what is missing, lest the stream
        // lose its place.
        debug_assert!(buffer.len() >= before, "a writer may only append");
        if buffer.len() < before {
            buffer.resize(before, 0);
        }
        self.bytes += buffer.len() - before;
        self.large = !buffers.fits_small(buffer.len());
        if buffer.is_empty() {
            buffers.recycle(buffer);
        } else if self.gather.is_empty() {
            self.gather = buffer;
        } else {
            // A nested write gathered meanwhile; it stands behind.
            self.segments.push_back(Segment::Owned(buffer));
        }
    }

    /// Appends a body without copying it, unless it is short.
    fn push_shared(&mut self, bytes: Bytes, buffers: &Buffers) {
        if bytes.len() < SHARED_BYTES_MIN {
            let mut gather = self.take_gather(buffers);
            let before = gather.len();
            gather.extend_from_slice(&bytes);
            self.put_gather(gather, before, buffers);
            return;
        }
        self.close_gather();
        self.bytes += bytes.len();
        self.segments.push_back(Segment::Shared(bytes));
    }

    /// Appends what the kernel had no room for, in buffers of one size that are filled: it may wait for long, and buffers
    /// of all sizes would leave holes in the allocator's pages that nobody else fits into.
    fn push_rest(&mut self, mut bytes: &[u8], buffers: &Buffers) {
        self.bytes += bytes.len();
        self.close_gather();
        if let Some(Segment::Owned(last)) = self.segments.back_mut() {
            let room = (last.capacity() - last.len()).min(bytes.len());
            last.extend_from_slice(&bytes[..room]);
            bytes = &bytes[room..];
        }
        while !bytes.is_empty() {
            let mut buffer = buffers.waiting(bytes.len());
            let filled = buffer.capacity().min(bytes.len());
            buffer.extend_from_slice(&bytes[..filled]);
            bytes = &bytes[filled..];
            self.segments.push_back(Segment::Owned(buffer));
        }
    }

    /// Moves what has to wait for a receiver out of buffers that are much larger. Copies less than has gone from such a
    /// buffer before, or was never in it.
    fn settle(&mut self, buffers: &Buffers) {
        if self.segments.is_empty() {
            fit(&mut self.gather, &mut self.front_sent, buffers);
            return;
        }
        let mut sent = &mut self.front_sent;
        let mut none = 0;
        for segment in &mut self.segments {
            if let Segment::Owned(buffer) = segment {
                fit(buffer, sent, buffers);
            }
            sent = &mut none;
        }
        fit(&mut self.gather, &mut none, buffers);
    }

    fn close_gather(&mut self) {
        if !self.gather.is_empty() {
            self.segments.push_back(Segment::Owned(std::mem::take(&mut self.gather)));
        }
    }

    /// What comes next, if all of it lies in one piece.
    fn only(&self) -> Option<&[u8]> {
        if self.segments.is_empty() { Some(&self.gather[self.front_sent..]) } else { None }
    }

    /// Fills `slices` with what comes next and says how many it filled.
    fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES_MAX]) -> usize {
        let mut filled = 0;
        let mut skip = self.front_sent;
        let gather = Some(self.gather.as_slice()).filter(|gather| !gather.is_empty());
        for segment in self.segments.iter().map(Segment::as_slice).chain(gather).take(SLICES_MAX) {
            slices[filled] = IoSlice::new(&segment[skip..]);
            skip = 0;
            filled += 1;
        }
        filled
    }

    /// Takes up that `sent` bytes are with the kernel.
    fn advance(&mut self, sent: usize, buffers: &Buffers) {
        debug_assert!(sent <= self.bytes);
        self.bytes = self.bytes.saturating_sub(sent);
        let mut passed = self.front_sent + sent;
        while let Some(front) = self.segments.front() {
            let length = front.as_slice().len();
            if passed < length {
                self.front_sent = passed;
                return;
            }
            passed -= length;
            if let Some(Segment::Owned(buffer)) = self.segments.pop_front() {
                buffers.recycle(buffer);
            }
        }
        if passed < self.gather.len() {
            self.front_sent = passed;
            return;
        }
        self.front_sent = 0;
        if self.gather.capacity() > 0 {
            buffers.recycle(std::mem::take(&mut self.gather));
        }
    }

    /// Moves everything to the end of `other`, which must not be moved or changed while the kernel reads from it.
    fn move_to(&mut self, other: &mut Queue) {
        debug_assert!(other.is_empty());
        std::mem::swap(self, other);
        // What the socket is like stays with the socket.
        std::mem::swap(&mut self.large, &mut other.large);
        std::mem::swap(&mut self.in_flight, &mut other.in_flight);
    }

    /// Drops everything.
    fn clear(&mut self, buffers: &Buffers) {
        self.advance(self.bytes, buffers);
    }

    /// Takes up to `max` bytes off the front and hands them to `take`.
    fn drain(&mut self, max: usize, buffers: &Buffers, mut take: impl FnMut(&[u8])) -> usize {
        let mut left = max.min(self.bytes);
        let moved = left;
        while left > 0 {
            let front = self.segments.front().map_or(self.gather.as_slice(), Segment::as_slice);
            let chunk = &front[self.front_sent..];
            let n = chunk.len().min(left);
            take(&chunk[..n]);
            self.advance(n, buffers);
            left -= n;
        }
        moved
    }
}

/// Puts what is left of `buffer` behind the first `sent` bytes into a smaller one, if much room is wasted.
fn fit(buffer: &mut Vec<u8>, sent: &mut usize, buffers: &Buffers) {
    let left = buffer.len() - *sent;
    if left == 0 || buffer.capacity() - left <= left.max(SLACK_BYTES_MAX) {
        return;
    }
    let mut fitting = Vec::with_capacity(left);
    fitting.extend_from_slice(&buffer[*sent..]);
    *sent = 0;
    buffers.recycle(std::mem::replace(buffer, fitting));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::rc::Rc;

    #[derive(Debug, Clone)]
    enum Step {
        Write(usize),
        /// A write while another is gathering.
        Nested(usize, usize),
        Share(usize),
        /// What the kernel had no room for.
        Rest(usize),
        /// The receiver is waited for.
        Settle,
        /// What the kernel took, as a part of what it was offered.
        Send(f64),
        Drain(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let length = || prop_oneof![0..10_usize, 0..6000_usize];
        let step = prop_oneof![
            length().prop_map(Step::Write),
            (length(), length()).prop_map(|(outer, inner)| Step::Nested(outer, inner)),
            length().prop_map(Step::Share),
            (1..200_000_usize).prop_map(Step::Rest),
            Just(Step::Settle),
            (0.0..=1.0).prop_map(Step::Send),
            length().prop_map(Step::Drain),
        ];
        vec(step, 1..60)
    }

    proptest! {
        /// However it is written and however it is taken: the same bytes, in order.
        #[test]
        fn bytes_leave_as_they_came(steps in steps()) {
            let buffers = Buffers::new(&crate::Options::default(), Rc::default());
            let mut queue = SendQueue::default();
            let (mut written, mut left): (Vec<u8>, Vec<u8>) = Default::default();
            let mut next = 0_u8;
            let mut fresh = |n: usize| (0..n).map(|_| { next = next.wrapping_add(1); next }).collect::<Vec<_>>();
            for step in steps {
                match step {
                    Step::Write(n) => {
                        let bytes = fresh(n);
                        write(&mut queue, &bytes, &buffers);
                        written.extend(bytes);
                    }
                    Step::Nested(outer, inner) => {
                        let (outer, inner) = (fresh(outer), fresh(inner));
                        let mut gather = queue.take_gather(&buffers);
                        let before = gather.len();
                        gather.extend_from_slice(&outer);
                        write(&mut queue, &inner, &buffers);
                        queue.put_gather(gather, before, &buffers);
                        written.extend(outer);
                        written.extend(inner);
                    }
                    Step::Share(n) => {
                        let bytes = fresh(n);
                        queue.push_shared(Bytes::from(bytes.clone()), &buffers);
                        written.extend(bytes);
                    }
                    Step::Rest(n) => {
                        let bytes = fresh(n);
                        queue.push_rest(&bytes, &buffers);
                        written.extend(bytes);
                    }
                    Step::Settle => {
                        queue.settle(&buffers);
                        let most = 2 * queue.len() + (segments(&queue) + 1) * 2 * SLACK_BYTES_MAX;
                        prop_assert!(capacity(&queue) <= most, "{} for {}", capacity(&queue), queue.len());
                    }
                    Step::Send(part) => {
                        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
                        let filled = queue.slices(&mut slices);
                        let offered = slices[..filled].iter().flat_map(|slice| slice.iter().copied()).collect::<Vec<u8>>();
                        prop_assert!(queue.is_empty() || !offered.is_empty());
                        prop_assert!(queue.only().is_none_or(|only| only == offered));
                        let sent = (offered.len() as f64 * part) as usize;
                        left.extend_from_slice(&offered[..sent]);
                        queue.advance(sent, &buffers);
                    }
                    Step::Drain(max) => {
                        queue.drain(max, &buffers, |bytes| left.extend_from_slice(bytes));
                    }
                }
                prop_assert_eq!(left.len() + queue.len(), written.len());
            }
            let mut rest = SendQueue::default();
            queue.move_to(&mut rest);
            prop_assert!(queue.is_empty());
            rest.drain(usize::MAX, &buffers, |bytes| left.extend_from_slice(bytes));
            prop_assert_eq!(left, written);
        }
    }

    fn segments(queue: &SendQueue) -> usize {
        queue.queue.as_ref().map_or(0, |queue| queue.segments.len())
    }

    fn capacity(queue: &SendQueue) -> usize {
        let Some(queue) = &queue.queue else { return 0 };
        let owned = queue.segments.iter().map(|segment| match segment {
            Segment::Owned(buffer) => buffer.capacity(),
            Segment::Shared(_) => 0,
        });
        owned.sum::<usize>() + queue.gather.capacity()
    }

    /// A receiver that stops in the middle holds what it has not taken, and not the buffer in which it came.
    #[test]
    fn what_waits_for_a_receiver_lies_in_as_much_as_it_needs() {
        let buffers = Buffers::new(&crate::Options::default(), Rc::default());
        let mut queue = SendQueue::default();
        let received = vec![b'x'; 128 * 1024];
        queue.push_rest(&received[28 * 1024..], &buffers);
        assert_eq!(capacity(&queue), (3 * 32 + 4) * 1024);
        for (sent, most) in [(10, 100), (60, 36), (10, 36), (16, 4)] {
            queue.advance(sent * 1024, &buffers);
            queue.settle(&buffers);
            assert!(capacity(&queue) <= most * 1024, "{} of {} left", capacity(&queue), queue.len());
        }
        queue.push_rest(&received, &buffers);
        assert_eq!((queue.len(), capacity(&queue)), (132 * 1024, 132 * 1024));
        // What is written in pieces fills what there is before it takes more.
        let mut pieces = SendQueue::default();
        (0..8).for_each(|_| pieces.push_rest(&received[..12 * 1024], &buffers));
        assert_eq!(pieces.len(), 96 * 1024);
        assert!(capacity(&pieces) <= 104 * 1024, "{}", capacity(&pieces));
    }

    fn write(queue: &mut SendQueue, bytes: &[u8], buffers: &Buffers) {
        let mut gather = queue.take_gather(buffers);
        let before = gather.len();
        gather.extend_from_slice(bytes);
        queue.put_gather(gather, before, buffers);
    }
}

//! What is kept of a response, and how it comes to be: the head is taken when it passes, the body is gathered piece by
//! piece on its way to the client. This module does not know where entries live.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use message::{Body, Headers, Name, Now, Response};

use super::directives;
use super::flight::Ticket;
use super::validity::{Terms, Use, Validity};
use super::vary::Variant;

/// The head of a kept response as it is sent, but for what differs each time. Made and read by who sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// All that stays the same.
    pub bytes: Box<[u8]>,
    /// Where in it the rest belongs.
    pub varies_at: usize,
    /// Whether a date is among what stays the same.
    pub is_dated: bool,
}

/// A whole response that others may be answered with.
#[derive(Debug)]
pub struct Stored {
    status: u16,
    headers: Headers,
    encoded: Option<Encoded>,
    body: Bytes,
    received_ns: u64,
    expires_ns: u64,
    /// How old it was on arrival, by the caches before us.
    age_s: u64,
    /// What its backend lets be done with it, where that counts.
    validity: Option<Box<Validity>>,
    /// For a response that varies, until its owner has found its place.
    variant: Option<Box<Variant>>,
}

/// Bytes of a field beside its name and value.
const FIELD_BYTES: u64 = 24;

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

impl Stored {
    /// Bytes it takes: body, fields and their places. The owner adds what an entry takes beside them.
    pub(super) fn bytes(&self) -> u64 {
        let fields = self.headers.bytes() as u64 + self.headers.len() as u64 * FIELD_BYTES;
        let encoded = self.encoded.as_ref().map_or(0, |encoded| allocated_bytes(encoded.bytes.len() as u64));
        fields + encoded + allocated_bytes(self.body.len() as u64)
    }

    /// Takes up its head in the form in which it is sent, before it is given to its owner.
    pub fn encode(&mut self, encode: impl FnOnce(u16, &Headers, u64) -> Option<Encoded>) {
        self.encoded = encode(self.status, &self.headers, self.body.len() as u64);
    }

    /// The same for another core: with counts of its own, and the same bytes of the body.
    pub(super) fn replica(of: &Self) -> Self {
        let body = if of.body.is_empty() { Bytes::new() } else { Bytes::from_owner(Lent(of.body.clone())) };
        Self {
            status: of.status,
            headers: of.headers.clone(),
            encoded: of.encoded.clone(),
            body,
            received_ns: of.received_ns,
            expires_ns: of.expires_ns,
            age_s: of.age_s,
            validity: of.validity.clone(),
            variant: None,
        }
    }

    /// Until when it may be answered with without a word from its backend, in `mono_ns`.
    pub(super) fn expires_ns(&self) -> u64 {
        self.expires_ns
    }

    /// Whether it may still be answered with.
    pub fn is_fresh(&self, now: Now) -> bool {
        now.mono_ns < self.expires_ns
    }

    /// The response, as it came; its body shares the stored bytes.
    pub(super) fn response(&self) -> Response {
        let body = if self.body.is_empty() { Body::Empty } else { Body::Whole(self.body.clone()) };
        Response { status: self.status, headers: self.headers.clone(), body }
    }

    /// Its age in seconds (RFC 9111 §4.2.3).
    pub(super) fn age_s(&self, now: Now) -> u64 {
        let resident_s = now.mono_ns.saturating_sub(self.received_ns) / NANOSECONDS_PER_SECOND;
        self.age_s.saturating_add(resident_s)
    }

    pub(super) fn headers(&self) -> &Headers {
        &self.headers
    }

    pub(super) fn status(&self) -> u16 {
        self.status
    }

    pub(super) fn body(&self) -> &Bytes {
        &self.body
    }

    pub(super) fn take_variant(&mut self) -> Option<Box<Variant>> {
        self.variant.take()
    }

    /// Whether every request has to ask the backend before it is answered with this.
    pub(super) fn is_never_fresh(&self) -> bool {
        self.validity.as_ref().is_some_and(|validity| validity.is_never_fresh())
    }

    /// Whether it is kept on the backend's terms.
    pub(super) fn has_terms(&self) -> bool {
        self.validity.is_some()
    }

    /// Whether it is of use to nobody any more.
    pub(super) fn is_over(&self, now: Now) -> bool {
        let stale_ns = self.validity.as_ref().map_or(0, |validity| validity.stale_ns());
        now.mono_ns >= self.expires_ns.saturating_add(stale_ns)
    }

    /// What a request may do with it.
    pub(super) fn judge(&self, terms: &Terms, now: Now) -> Use {
        let (left_ns, stale_ns) =
            (self.expires_ns.saturating_sub(now.mono_ns), now.mono_ns.saturating_sub(self.expires_ns));
        match &self.validity {
            Some(validity) => {
                let resident_ns = now.mono_ns.saturating_sub(self.received_ns);
                let age_ns = validity.initial_age_ns.saturating_add(resident_ns);
                validity.judge(terms, age_ns, left_ns, stale_ns)
            }
            None if left_ns > 0 => Use::Answer,
            None => Use::Validate,
        }
    }

    /// Whether it may stand in for a backend that answers with an error, or does not answer.
    pub(super) fn stands_in(&self, answered: bool, now: Now) -> bool {
        let stale_ns = now.mono_ns.saturating_sub(self.expires_ns);
        self.validity.as_ref().is_some_and(|validity| validity.stands_in(answered, stale_ns))
    }

    /// The same response with these fields and this validity from now on.
    pub(super) fn renewed(&self, headers: Headers, validity: Validity, now: Now) -> Self {
        Self {
            status: self.status,
            headers,
            encoded: None,
            body: self.body.clone(),
            received_ns: now.mono_ns,
            expires_ns: now.mono_ns.saturating_add(validity.fresh_ns()),
            age_s: validity.initial_age_ns / NANOSECONDS_PER_SECOND,
            validity: Some(Box::new(validity)),
            variant: None,
        }
    }
}

/// Bytes of another core's entry: their count is touched when a replica comes and goes, and by no answer.
struct Lent(Bytes);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// A kept response on its way to a client.
#[derive(Debug)]
pub struct Replay {
    stored: Arc<Stored>,
    age_s: Option<u64>,
}

impl Replay {
    /// With its age at a time, or as it came.
    pub(super) fn new(stored: Arc<Stored>, now: Option<Now>) -> Self {
        let age_s = now.map(|now| stored.age_s(now));
        Self { stored, age_s }
    }

    /// Its status.
    pub fn status(&self) -> u16 {
        self.stored.status
    }

    /// Its body.
    pub fn body(&self) -> &Bytes {
        &self.stored.body
    }

    /// Its head in the form in which it is sent, and its age in seconds; `None` if it goes without either.
    pub fn encoded(&self) -> Option<(&Encoded, u64)> {
        self.stored.encoded.as_ref().zip(self.age_s)
    }

    /// Writes it in place of a response, whose memory it takes; the body shares the stored bytes.
    pub fn write(&self, response: &mut Response) {
        let Stored { status, headers, body, .. } = &*self.stored;
        response.status = *status;
        response.headers.clone_from(headers);
        response.body = if body.is_empty() { Body::Empty } else { Body::Whole(body.clone()) };
        let Some(age_s) = self.age_s else { return };
        if headers.get(Name::Age).is_some() {
            response.headers.remove("Age");
        }
        response.headers.push_known_with(Name::Age, "Age", |out| {
            // A vector takes every write.
            let _ = write!(out, "{age_s}");
        });
    }
}

/// What an allocator takes for so many bytes: it has four sizes to a doubling.
fn allocated_bytes(bytes: u64) -> u64 {
    bytes.next_multiple_of((bytes.next_power_of_two() / 8).max(16))
}

/// A response that is being kept while it passes: feed it the body, then give what it becomes to the key's owner.
#[derive(Debug)]
pub struct Keep {
    ticket: Ticket,
    stored: Stored,
    body: Vec<u8>,
    body_bytes: Option<u64>,
    body_bytes_max: u64,
    outgrew: bool,
    /// Nothing is to be gathered: the body is there.
    is_whole: bool,
}

impl Keep {
    /// Takes up the head of a response, and the body if it is at hand. The caller has seen to it that a length which is
    /// known is within the bound.
    pub(super) fn new(
        ticket: Ticket,
        response: &Response,
        freshness_ns: u64,
        body_bytes_max: u64,
        now: Now,
    ) -> Self {
        let body = match &response.body {
            Body::Whole(bytes) => bytes.to_vec(),
            Body::Empty | Body::Stream(_) => {
                Vec::with_capacity(response.body.length().unwrap_or_default().min(body_bytes_max) as usize)
            }
        };
        let stored = Stored {
            status: response.status,
            headers: response.headers.clone(),
            encoded: None,
            body: Bytes::new(),
            received_ns: now.mono_ns,
            expires_ns: now.mono_ns.saturating_add(freshness_ns),
            age_s: directives::age_s(&response.headers),
            validity: None,
            variant: None,
        };
        let body_bytes = response.body.length();
        Self { ticket, stored, body, body_bytes, body_bytes_max, outgrew: false, is_whole: false }
    }

    /// The same on the backend's terms, with the fields that are to be kept.
    pub(super) fn on_terms(
        ticket: Ticket,
        response: &Response,
        headers: Headers,
        validity: Validity,
        variant: Option<Box<Variant>>,
        body_bytes_max: u64,
        now: Now,
    ) -> Self {
        let mut keep = Self::new(ticket, response, validity.fresh_ns(), body_bytes_max, now);
        keep.stored.headers = headers;
        keep.stored.age_s = validity.initial_age_ns / NANOSECONDS_PER_SECOND;
        keep.stored.validity = Some(Box::new(validity));
        keep.stored.variant = variant;
        keep
    }

    /// A response that is whole already.
    pub(super) fn whole(ticket: Ticket, stored: Stored, variant: Option<Box<Variant>>) -> Self {
        let stored = Stored { variant, ..stored };
        let (body, body_bytes) = (Vec::new(), None);
        Self { ticket, stored, body, body_bytes, body_bytes_max: 0, outgrew: false, is_whole: true }
    }

    /// The longest body that is kept, in bytes.
    pub fn body_bytes_max(&self) -> u64 {
        self.body_bytes_max
    }

    /// The next bytes of a streamed body. `false`: it outgrew its bound and what was gathered is gone; the fill is to be
    /// declined.
    #[must_use]
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        let fits = !self.outgrew && (self.body.len() + bytes.len()) as u64 <= self.body_bytes_max;
        if fits {
            self.body.extend_from_slice(bytes);
        } else {
            self.body = Vec::new();
            self.outgrew = true;
        }
        fits
    }

    /// The body has ended as it should: what to give to `fill`. When it outgrew its bound, or fewer or more
    /// bytes came than were announced, the ticket comes back and is to be declined.
    pub fn finish(mut self) -> Result<(Ticket, Stored), Ticket> {
        if self.is_whole {
            return Ok((self.ticket, self.stored));
        }
        let is_other_length = self.body_bytes.is_some_and(|announced| announced != self.body.len() as u64);
        if self.outgrew || is_other_length {
            return Err(self.ticket);
        }
        // An entry holds no more memory than it is accounted for: what grew piece by piece is copied, since allocators
        // do not always shrink in place.
        let is_tight = self.body.capacity() == self.body.len();
        self.stored.body = if is_tight { Bytes::from(self.body) } else { Bytes::copy_from_slice(&self.body) };
        Ok((self.ticket, self.stored))
    }

    /// The ticket alone, to decline or abandon with.
    pub fn into_ticket(self) -> Ticket {
        self.ticket
    }
}

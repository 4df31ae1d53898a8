//! What requests have left for the next: a core's. And what of a request is put by for its answer.

use message::{Name, Request};
use policy::{compression, gateway_response::Asked};
use smallvec::SmallVec;
use snapshot::Found;

/// What was put by is kept in memory of so many requests in flight, each of so many bytes beyond its own.
const PUT_BY_MAX: usize = 256;
const PUT_BY_BYTES_MAX: usize = 1 << 10;

/// One value of an answer, or its body.
const VALUE_BYTES_MAX: usize = 16 << 10;

/// What requests have left for the next.
#[derive(Debug, Default)]
pub struct Spare {
    /// What integrations have left.
    pub integrations: integration::Spare,
    /// What compressors have left.
    pub(crate) coders: compression::Spare,
    /// A value that is put together.
    pub(crate) value: Vec<u8>,
    #[expect(
        clippy::vec_box,
        reason = "what moves is its address, since it must not lie in a request's future"
    )]
    put_by: Vec<Box<PutBy>>,
    /// Since [`Spare::trim`] was called last.
    is_used: bool,
}

/// What an answer wants to know of its request, which integrations rewrite.
#[derive(Debug, Default)]
pub(crate) struct PutBy {
    /// Of which origin its client's script is.
    pub(crate) origin: Option<SmallVec<[u8; 64]>>,
    /// What the stage's own answers take.
    pub(crate) asked: Asked,
}

impl Spare {
    /// Frees what has not been needed since this was called last; whether there is any left.
    pub fn trim(&mut self) -> bool {
        if !std::mem::take(&mut self.is_used) {
            (self.put_by, self.value) = Default::default();
        }
        let (coders, integrations) = (self.coders.trim(), self.integrations.trim());
        coders || integrations || !self.put_by.is_empty()
    }

    /// Puts by what the stage's answers want; nothing where they want nothing. In memory of its own: what only some stages want
    /// must not lie in every request's future.
    pub(crate) fn put_by(&mut self, found: &Found<'_>, request: &Request) -> Option<Box<PutBy>> {
        let (cors, responses) = (&found.stage.cors, &found.stage.gateway_responses);
        let origin = cors.as_ref().and_then(|_| request.headers.get(Name::Origin));
        if origin.is_none() && responses.is_none() {
            return None;
        }
        self.is_used = true;
        let mut put_by = self.put_by.pop().unwrap_or_default();
        put_by.origin = origin.map(SmallVec::from_slice);
        if let Some(responses) = responses {
            found.asked(responses, request, &mut put_by.asked);
        }
        Some(put_by)
    }

    pub(crate) fn keep(&mut self, put_by: Option<Box<PutBy>>) {
        if let Some(put_by) = put_by
            && self.put_by.len() < PUT_BY_MAX
            && put_by.asked.kept_bytes() <= PUT_BY_BYTES_MAX
        {
            self.put_by.push(put_by);
        }
        if self.value.capacity() > VALUE_BYTES_MAX {
            self.value = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_goes_when_it_rests() {
        let mut spare = Spare::default();
        for _ in 0..=PUT_BY_MAX {
            spare.keep(Some(Box::default()));
        }
        assert_eq!(spare.put_by.len(), PUT_BY_MAX);
        spare.value = vec![0; VALUE_BYTES_MAX + 1];
        spare.keep(None);
        assert_eq!(spare.value.capacity(), 0);
        spare.is_used = true;
        assert!(spare.trim(), "it was needed");
        assert!(!spare.trim());
        assert!(spare.put_by.is_empty());
    }
}

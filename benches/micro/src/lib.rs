//! What a request costs in the rooms that are asked for every one of them: codec, router, buckets, cache, balancing, templates, models, normalising.
//! Each case is one call through a room's public door with all that it needs made before, as it is on a core that has
//! been serving for a while. This crate does not know who counts: `counts` counts instructions, `messages` those of whole messages,
//! `times` nanoseconds.

mod balancing;
mod blocks;
mod caching;
mod codec;
mod routing;
mod templating;
mod throttling;
mod validating;

pub use blocks::{AGAIN, FIRST, bytes};

/// One call to measure.
pub struct Case {
    /// As in the file of limits.
    pub name: &'static str,
    call: Box<dyn FnMut() -> bool>,
}

/// How often a call is made to be measured once: what happens now and then, as a draw of tokens, has its part in it.
pub const CALLS: u32 = 100;

/// Calls before it counts: memory has grown to its size by then.
const WARM_UP_CALLS: u32 = 2 * CALLS;

impl Case {
    /// A call by name, whose outcome is right if it says true.
    pub fn new(name: &'static str, call: impl FnMut() -> bool + 'static) -> Self {
        Self { name, call: Box::new(call) }
    }

    /// Makes the call; whether its outcome was the right one.
    pub fn call(&mut self) -> bool {
        (self.call)()
    }

    /// Makes [`CALLS`] calls; how many had the right outcome.
    pub fn calls(&mut self) -> u32 {
        (0..CALLS).map(|_| u32::from(std::hint::black_box(self.call()))).sum()
    }

    /// The same case after its first calls.
    pub fn warm(mut self) -> Self {
        for _ in 0..WARM_UP_CALLS {
            self.call();
        }
        self
    }
}

/// Makes a case.
pub type Make = fn() -> Case;

/// Every case, by name and in order.
pub const CASES: &[(&str, Make)] = &[
    ("decode_request", codec::decode_request),
    ("decode_least_request", codec::decode_least_request),
    ("encode_request", codec::encode_request),
    ("decode_response", codec::decode_response),
    ("encode_response", codec::encode_response),
    ("h2_decode_block", blocks::decode_block),
    ("h2_decode_coded_block", blocks::decode_coded_block),
    ("h2_encode_block", blocks::encode_block),
    ("read_plain_target", codec::read_plain_target),
    ("read_escaped_target", codec::read_escaped_target),
    ("find_among_10", routing::find_among_10),
    ("find_among_1000", routing::find_among_1_000),
    ("find_among_10000", routing::find_among_10_000),
    ("throttle", throttling::throttle),
    ("throttle_refused", throttling::throttle_refused),
    ("balance_one", balancing::balance_one),
    ("balance_ten", balancing::balance_ten),
    ("cache_key", caching::cache_key),
    ("cache_hit", caching::cache_hit),
    ("render_template", templating::render_template),
    ("find_path", templating::find_path),
    ("validate", validating::validate),
    ("validate_invalid", validating::validate_invalid),
];

#[cfg(test)]
mod tests {
    use super::{CALLS, CASES};

    /// A case that measures something else than it says would be a figure nobody notices.
    #[test]
    fn every_call_has_the_right_outcome() {
        for (name, make) in CASES {
            let mut case = make().warm();
            assert_eq!(case.name, *name);
            assert_eq!(case.calls(), CALLS, "{name}");
        }
    }
}

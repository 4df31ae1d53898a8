//! Request ids from blocks of the system's generator, so that none can be guessed and a request costs no system call.

use aws_lc_rs::rand;
use message::RequestId;

const BLOCK_BYTES: usize = 4_096;
const ID_BYTES: usize = 16;

/// A source of ids of one core.
pub(crate) struct Ids {
    block: Box<[u8; BLOCK_BYTES]>,
    used: usize,
}

impl Ids {
    /// An empty block: the first id fills it.
    pub(crate) fn new() -> Self {
        Self { block: Box::new([0; BLOCK_BYTES]), used: BLOCK_BYTES }
    }

    /// The next id; `None` when the system's generator fails.
    pub(crate) fn next(&mut self) -> Option<RequestId> {
        if self.used + ID_BYTES > BLOCK_BYTES {
            rand::fill(&mut self.block[..]).ok()?;
            self.used = 0;
        }
        let random = self.block[self.used..].first_chunk()?;
        self.used += ID_BYTES;
        Some(RequestId::new(*random))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_ids_are_alike() {
        let mut ids = Ids::new();
        let seen: std::collections::HashSet<_> = (0..1_000).map(|_| ids.next().unwrap().text()).collect();
        assert_eq!(seen.len(), 1_000);
    }
}

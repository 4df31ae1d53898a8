//! Request ids: random UUIDs (version 4) from blocks of the system's generator, so that none can be guessed and a
//! request costs no system call.

use aws_lc_rs::rand;

const BLOCK_BYTES: usize = 4_096;
const ID_BYTES: usize = 16;

/// A source of ids of one core.
pub(crate) struct Ids {
    block: Box<[u8; BLOCK_BYTES]>,
    used: usize,
}

/// An id as text.
#[derive(Clone, Copy)]
pub(crate) struct Id([u8; 36]);

impl Ids {
    /// An empty block: the first id fills it.
    pub(crate) fn new() -> Self {
        Self { block: Box::new([0; BLOCK_BYTES]), used: BLOCK_BYTES }
    }

    /// The next id; `None` when the system's generator fails.
    pub(crate) fn next(&mut self) -> Option<Id> {
        if self.used + ID_BYTES > BLOCK_BYTES {
            rand::fill(&mut self.block[..]).ok()?;
            self.used = 0;
        }
        let at = self.used;
        self.used += ID_BYTES;
        let mut bytes = [0; ID_BYTES];
        bytes.copy_from_slice(&self.block[at..self.used]);
        Some(Id::new(bytes))
    }
}

impl Id {
    fn new(mut bytes: [u8; ID_BYTES]) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let mut text = [b'-'; 36];
        let mut at = 0;
        for (index, byte) in bytes.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                at += 1;
            }
            text[at] = HEX[usize::from(byte >> 4)];
            text[at + 1] = HEX[usize::from(byte & 15)];
            at += 2;
        }
        Self(text)
    }

    /// As text.
    pub(crate) fn as_str(&self) -> &str {
        // Written above from ASCII alone.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_of_version_4() {
        let mut ids = Ids::new();
        let seen: std::collections::HashSet<_> =
            (0..1_000).map(|_| ids.next().unwrap().as_str().to_owned()).collect();
        assert_eq!(seen.len(), 1_000);
        for id in &seen {
            let parts: Vec<_> = id.split('-').map(str::len).collect();
            assert_eq!(parts, [8, 4, 4, 4, 12], "{id}");
            assert_eq!(&id[14..15], "4", "{id}");
            assert!("89ab".contains(&id[19..20]), "{id}");
        }
    }
}

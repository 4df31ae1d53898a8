//! The id of a request: made for each, written as text only where somebody reads it.

/// A random UUID (version 4, RFC 9562 §5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId([u8; 16]);

impl RequestId {
    /// An id of 16 random bytes, six bits of which say what it is.
    pub fn new(mut random: [u8; 16]) -> Self {
        random[6] = random[6] & 0x0f | 0x40;
        random[8] = random[8] & 0x3f | 0x80;
        Self(random)
    }

    /// As text: 36 bytes of ASCII.
    pub fn text(self) -> [u8; 36] {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; 36];
        let mut at = 0;
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                at += 1;
            }
            text[at] = HEX[usize::from(byte >> 4)];
            text[at + 1] = HEX[usize::from(byte & 15)];
            at += 2;
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(byte: u8, expected: &str) {
        assert_eq!(std::str::from_utf8(&RequestId::new([byte; 16]).text()), Ok(expected));
    }

    #[test]
    fn ids_are_uuids_of_version_4() {
        check(0x00, "00000000-0000-4000-8000-000000000000");
        check(0xff, "ffffffff-ffff-4fff-bfff-ffffffffffff");
        check(0x1e, "1e1e1e1e-1e1e-4e1e-9e1e-1e1e1e1e1e1e");
    }
}

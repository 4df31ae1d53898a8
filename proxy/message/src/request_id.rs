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

    /// A number below 2³² that any is as likely as any other, always the same for one id: for a draw that costs no randomness of its
    /// own. These bits of the id are random, whatever its version.
    pub fn draw(self) -> u32 {
        let [a, b, c, d, ..] = self.0;
        u32::from_be_bytes([a, b, c, d])
    }

    /// Reads a UUID of any version, as text.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text: &[u8; 36] = text.try_into().ok()?;
        let mut id = [0; 16];
        let mut digits = 0;
        for (at, byte) in text.iter().enumerate() {
            if matches!(at, 8 | 13 | 18 | 23) {
                if *byte != b'-' {
                    return None;
                }
                continue;
            }
            let digit = char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())?;
            id[digits / 2] = id[digits / 2] << 4 | digit;
            digits += 1;
        }
        Some(Self(id))
    }

    /// Another text for the same, as `x-amz-apigw-id` and `apigw-requestid` have it: Base64 of eleven bytes.
    pub fn extended(self) -> [u8; 16] {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = [b'='; 16];
        for (place, digit) in text[..15].iter_mut().enumerate() {
            let byte = 5 + place / 4 * 3;
            let at = |byte: usize| u32::from(self.0.get(byte).copied().unwrap_or_default());
            let bits = at(byte) << 16 | at(byte + 1) << 8 | at(byte + 2);
            *digit = DIGITS[(bits >> (18 - 6 * (place % 4)) & 63) as usize];
        }
        text
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

    #[track_caller]
    fn check_read(text: &str, expected: bool) {
        let id = RequestId::parse(text.as_bytes());
        assert_eq!(id.is_some(), expected, "{text}");
        if let Some(id) = id {
            assert_eq!(id.text(), text.to_ascii_lowercase().as_bytes());
        }
    }

    #[test]
    fn uuids_of_any_version_are_read() {
        check_read("11111111-2222-3333-4444-55556666aBcD", true);
        check_read("00000000-0000-0000-0000-000000000000", true);
        for text in [
            "",
            "11111111-2222-3333-4444-55556666abc",
            "11111111-2222-3333-4444-55556666abcde",
            "11111111-2222-3333-4444-55556666abcg",
            "111111112-222-3333-4444-55556666abcd",
            "11111111222233334444555566667777abcd",
            "{1111111-2222-3333-4444-55556666abcd",
        ] {
            check_read(text, false);
        }
    }

    #[test]
    fn extended_ids_are_base64_of_the_last_eleven_bytes() {
        let text = |id: RequestId| String::from_utf8(id.extended().to_vec()).unwrap();
        assert_eq!(text(RequestId([0; 16])), "AAAAAAAAAAAAAAA=");
        assert_eq!(text(RequestId([0xff; 16])), "//////////////8=");
        let mut id = [0; 16];
        id[5..].copy_from_slice(b"hello world");
        assert_eq!(text(RequestId(id)), "aGVsbG8gd29ybGQ=");
    }

    #[test]
    fn ids_are_uuids_of_version_4() {
        check(0x00, "00000000-0000-4000-8000-000000000000");
        check(0xff, "ffffffff-ffff-4fff-bfff-ffffffffffff");
        check(0x1e, "1e1e1e1e-1e1e-4e1e-9e1e-1e1e1e1e1e1e");
    }
}

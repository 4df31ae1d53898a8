//! The Huffman code of RFC 7541, Appendix B. It is canonical: codes of one length follow each other in the order of their
//! symbols, so that the lengths are all that has to be written down.

use std::sync::OnceLock;

/// The symbol that ends a string and must never stand in one.
pub const EOS: usize = 256;

/// How many bits each symbol has: those of one length together.
#[rustfmt::skip]
const LENGTHS: &[(u8, &[u16])] = &[
    (5, &[48, 49, 50, 97, 99, 101, 105, 111, 115, 116]),
    (6, &[
        32, 37, 45, 46, 47, 51, 52, 53, 54, 55, 56, 57, 61, 65, 95, 98, 100, 102, 103, 104,
        108, 109, 110, 112, 114, 117,
    ]),
    (7, &[
        58, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84,
        85, 86, 87, 89, 106, 107, 113, 118, 119, 120, 121, 122,
    ]),
    (8, &[38, 42, 44, 59, 88, 90]),
    (10, &[33, 34, 40, 41, 63]),
    (11, &[39, 43, 124]),
    (12, &[35, 62]),
    (13, &[0, 36, 64, 91, 93, 126]),
    (14, &[94, 125]),
    (15, &[60, 96, 123]),
    (19, &[92, 195, 208]),
    (20, &[128, 130, 131, 162, 184, 194, 224, 226]),
    (21, &[153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230]),
    (22, &[
        129, 132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185, 186, 187, 189,
        190, 196, 198, 228, 232, 233,
    ]),
    (23, &[
        1, 135, 137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166, 168, 174,
        175, 180, 182, 183, 188, 191, 197, 231, 239,
    ]),
    (24, &[9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237]),
    (25, &[199, 207, 234, 235]),
    (26, &[192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255]),
    (27, &[203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250, 251, 252, 253, 254]),
    (28, &[
        2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25,
        26, 27, 28, 29, 30, 31, 127, 220, 249,
    ]),
    (30, &[10, 13, 22, 256]),
];

/// Code and its length in bits, by symbol.
fn codes() -> &'static [(u32, u8); 257] {
    static CODES: OnceLock<[(u32, u8); 257]> = OnceLock::new();
    CODES.get_or_init(|| {
        let mut codes = [(0, 0); 257];
        let (mut code, mut bits_before) = (0, 0);
        for &(bits, symbols) in LENGTHS {
            code <<= bits - bits_before;
            bits_before = bits;
            for &symbol in symbols {
                codes[usize::from(symbol)] = (code, bits);
                code += 1;
            }
        }
        codes
    })
}

/// Bits that are written one after another.
#[derive(Clone, Debug, Default)]
struct Bits {
    bytes: Vec<u8>,
    /// Bits used of the last byte; 0 where there is none to go on with.
    used: u8,
}

impl Bits {
    fn push(&mut self, code: u32, count: u8) {
        for bit in (0..count).rev() {
            if self.used == 0 {
                self.bytes.push(0);
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= u8::from(code >> bit & 1 == 1) << (7 - self.used);
            }
            self.used = (self.used + 1) % 8;
        }
    }
}

/// Encodes as it should be: padded with the first bits of [`EOS`] (RFC 7541, section 5.2).
pub fn encode(text: &[u8]) -> Vec<u8> {
    let symbols: Vec<usize> = text.iter().map(|&byte| usize::from(byte)).collect();
    encode_symbols(&symbols, true)
}

/// Encodes any symbols, [`EOS`] too; the last byte's free bits are ones or zeros.
pub fn encode_symbols(symbols: &[usize], ones: bool) -> Vec<u8> {
    let mut bits = Bits::default();
    for &symbol in symbols {
        let (code, count) = codes()[symbol];
        bits.push(code, count);
    }
    if bits.used > 0 {
        bits.push(if ones { 0xff } else { 0 }, 8 - bits.used);
    }
    bits.bytes
}

/// Decodes strictly: no [`EOS`], and at most seven bits of padding, all ones (RFC 7541, section 5.2).
pub fn decode(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let (mut code, mut bits) = (0_u32, 0_u8);
    for bit in bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)) {
        code = code << 1 | u32::from(bit);
        bits += 1;
        if let Some(symbol) = symbol_of(code, bits) {
            text.push(u8::try_from(symbol).map_err(|_| "a string holds EOS".to_owned())?);
            (code, bits) = (0, 0);
        }
    }
    match bits {
        0 => Ok(text),
        1..=7 if code == (1 << bits) - 1 => Ok(text),
        _ => Err(format!("{bits} bits of padding: {code:b}")),
    }
}

fn symbol_of(code: u32, bits: u8) -> Option<u16> {
    let (_, symbols) = LENGTHS.iter().find(|(length, _)| *length == bits)?;
    let first = codes()[usize::from(*symbols.first()?)].0;
    symbols.get(usize::try_from(code.checked_sub(first)?).ok()?).copied()
}

#[cfg(test)]
mod tests {
    use super::{EOS, codes, decode, encode, encode_symbols};

    /// RFC 7541, Appendix C.4 and C.6.
    #[test]
    fn examples_of_the_rfc() {
        for (text, code) in [
            ("www.example.com", "f1e3c2e5f23a6ba0ab90f4ff"),
            ("no-cache", "a8eb10649cbf"),
            ("custom-key", "25a849e95ba97d7f"),
            ("custom-value", "25a849e95bb8e8b4bf"),
            ("302", "6402"),
            ("private", "aec3771a4b"),
            ("Mon, 21 Oct 2013 20:13:21 GMT", "d07abe941054d444a8200595040b8166e082a62d1bff"),
            ("https://www.example.com", "9d29ad171863c78f0b97c8e9ae82ae43d3"),
            (
                "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
                "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
            ),
        ] {
            let encoded = encode(text.as_bytes());
            let hex: String = encoded.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, code);
            assert_eq!(decode(&encoded).unwrap(), text.as_bytes());
        }
    }

    #[test]
    fn every_symbol_has_its_code_of_appendix_b() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)).unwrap(), all);
        assert_eq!(codes()[0], (0x1ff8, 13));
        assert_eq!(codes()[255], (0x3ff_ffee, 26));
        assert_eq!(codes()[249], (0xfff_fffe, 28));
        assert_eq!(codes()[EOS], (0x3fff_ffff, 30));
    }

    #[test]
    fn what_ends_badly_is_noticed() {
        assert!(decode(&encode_symbols(&[usize::from(b'a'), EOS], true)).is_err());
        assert!(decode(&encode_symbols(&[usize::from(b'a')], false)).is_err());
        assert!(decode(&[0xff]).is_err(), "eight bits of padding");
        assert_eq!(decode(&[]).unwrap(), b"");
    }
}

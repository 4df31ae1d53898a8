//! Huffman's code, both ways: the way back is written here, by the RFC's own words and not by the decoder's tables.

use proptest::prelude::*;

use crate::h2::hpack::Broken;
use crate::h2::hpack::huffman::{LENGTHS, decode, decoded_bytes_max};

/// The code of each symbol and its bits: the shorter ones first, those of one length in the order of their symbols.
fn codes() -> Vec<(u32, u8)> {
    let mut symbols: Vec<_> = (0..LENGTHS.len()).collect();
    symbols.sort_by_key(|&symbol| (LENGTHS[symbol], symbol));
    let mut codes = vec![(0, 0); LENGTHS.len()];
    let (mut code, mut length) = (0u32, LENGTHS[symbols[0]]);
    for symbol in symbols {
        code <<= LENGTHS[symbol] - length;
        length = LENGTHS[symbol];
        codes[symbol] = (code, length);
        code += 1;
    }
    codes
}

/// As zeros and ones.
fn bits(symbols: &[usize]) -> String {
    let codes = codes();
    let bits = |&symbol: &usize| {
        let (code, length) = codes[symbol];
        format!("{code:0width$b}", width = length.into())
    };
    symbols.iter().map(bits).collect()
}

/// As bytes, the last one filled up with ones.
fn packed(bits: &str) -> Vec<u8> {
    let byte = |bits: &[u8]| {
        let bit = |at| bits.get(at).is_none_or(|&bit| bit == b'1');
        (0..8).fold(0, |byte, at| byte << 1 | u8::from(bit(at)))
    };
    bits.as_bytes().chunks(8).map(byte).collect()
}

fn decoded(coded: &[u8]) -> Result<Vec<u8>, Broken> {
    let mut out = vec![0; decoded_bytes_max(coded.len())];
    decode(coded, &mut out).map(|bytes| out[..bytes].to_vec())
}

/// Some of Appendix B; the shortest, the longest, and the first and last ones of their lengths.
#[test]
fn codes_are_those_of_the_rfc() {
    let codes = codes();
    for (symbol, code, length) in [
        (usize::from(b'0'), 0x0, 5),
        (usize::from(b'a'), 0x3, 5),
        (usize::from(b't'), 0x9, 5),
        (usize::from(b' '), 0x14, 6),
        (usize::from(b'u'), 0x2d, 6),
        (usize::from(b':'), 0x5c, 7),
        (usize::from(b'z'), 0x7b, 7),
        (usize::from(b'&'), 0xf8, 8),
        (usize::from(b'Z'), 0xfd, 8),
        (usize::from(b'!'), 0x3f8, 10),
        (usize::from(b'\\'), 0x7_fff0, 19),
        (0, 0x1ff8, 13),
        (9, 0xff_ffea, 24),
        (199, 0x1ff_ffec, 25),
        (249, 0xfff_fffe, 28),
        (10, 0x3fff_fffc, 30),
        (22, 0x3fff_fffe, 30),
        (256, 0x3fff_ffff, 30),
    ] {
        assert_eq!(codes[symbol], (code, length), "{symbol}");
    }
    // No code is missing: they fill all there is.
    assert_eq!(codes.iter().map(|(_, length)| 1u64 << (30 - length)).sum::<u64>(), 1 << 30);
}

/// Each symbol behind up to fifteen others, short and long ones, and before as many, so that it meets each way through.
#[test]
fn each_symbol_is_read() {
    for symbol in 0..256 {
        for others in [b"a", b"\n"] {
            for count in 0..16 {
                let mut text = vec![others[0]; count];
                text.push(symbol as u8);
                text.extend_from_within(..count);
                let symbols: Vec<_> = text.iter().map(|&byte| usize::from(byte)).collect();
                assert_eq!(decoded(&packed(&bits(&symbols))), Ok(text), "{symbol}");
            }
        }
    }
    assert_eq!(decoded(b""), Ok(Vec::new()));
}

proptest! {
    #[test]
    fn what_is_coded_is_read(text in prop::collection::vec(any::<u8>(), 0..80)) {
        let symbols: Vec<_> = text.iter().map(|&byte| usize::from(byte)).collect();
        prop_assert_eq!(decoded(&packed(&bits(&symbols))), Ok(text));
    }

    /// Bytes are either refused, or the code of what came out.
    #[test]
    fn nothing_else_is_read(coded in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(text) = decoded(&coded) {
            let symbols: Vec<_> = text.iter().map(|&byte| usize::from(byte)).collect();
            prop_assert_eq!(packed(&bits(&symbols)), coded);
        }
    }
}

/// Padding is of at most seven bits, all ones, and the end's code is nowhere (RFC 7541 §5.2).
#[test]
fn padding_is_the_beginning_of_the_end() {
    #[track_caller]
    fn check(bits: &str, expected: Result<&[u8], Broken>) {
        let expected = expected.map(<[u8]>::to_vec);
        assert_eq!(bits.len() % 8, 0, "{bits}");
        assert_eq!(decoded(&packed(bits)), expected, "{bits}");
    }
    check("00000111", Ok(b"0"));
    check("00000110", Err(Broken));
    check("00000011", Err(Broken));
    check("0000000000000001", Ok(b"000"));
    check("0000000000000000", Err(Broken));
    check("11111111", Err(Broken));
    check("0000011111111111", Err(Broken));
    check("111110001111111111111111", Err(Broken));
    // Seven bits: `&` is of eight, `!` of ten and so with six more.
    check("1111100011111000", Ok(b"&&"));
    check("1111111000111111", Ok(b"!"));
    check("1111111000111110", Err(Broken));
    // Five times `a` and seven bits, or fifteen.
    check("00011000110001100011000111111111", Ok(b"aaaaa"));
    check("0001100011000110001100011111111111111111", Err(Broken));
    // The end's code by itself, behind others, and before others.
    check(&"1".repeat(32), Err(Broken));
    check(&format!("00000{}11111", "1".repeat(30)), Err(Broken));
    check(&format!("00{}{}", "1".repeat(30), "00011".repeat(16)), Err(Broken));
    check(&"1".repeat(80), Err(Broken));
    // What is left over begins a code of many bits.
    check("000001111111111111111111", Err(Broken));
}

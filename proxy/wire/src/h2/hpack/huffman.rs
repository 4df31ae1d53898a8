//! Strings in Huffman's code (RFC 7541 §5.2 and Appendix B), read only: what we write is not compressed, since a core's time
//! is dearer than those bytes.
//!
//! The code is canonical: codes of one length follow each other in the order of their symbols, and longer ones follow
//! shorter ones. So the lengths are all there is to know. Codes of up to eight bits, which are all letters, digits and
//! most marks, are found in a table of 512 bytes by the next eight bits; the others by comparing with the first code of
//! each length. Tables of states for four bits a step, or of pairs of symbols, would be 16 KiB of the 32 or 48 that the
//! first level of a core's cache has, for the sake of strings that are mostly sent once and indexed afterwards.

use super::Broken;

/// Bits of the shortest code: no string has more symbols than its bits have of these.
const BITS_MIN: usize = 5;
/// Bits of the longest code.
const BITS_MAX: u32 = 30;
/// Short codes that are decoded at once, and the bits that they have at most.
const BURST: usize = 7;
const BURST_BITS: u32 = 56;
/// In [`SHORT`]: where the length stands.
const LENGTH: u32 = 0xff;
/// Ends every string in theory, and must not be in any.
const EOS: usize = 256;

/// The most bytes that a string of so many may decode to.
pub(super) fn decoded_bytes_max(coded: usize) -> usize {
    coded * 8 / BITS_MIN
}

/// Decodes a string into `out`, which has room for [`decoded_bytes_max`]; how many bytes it has.
pub(super) fn decode(coded: &[u8], out: &mut [u8]) -> Result<usize, Broken> {
    let mut rest = coded;
    // The next bits, from the highest one down, and how many of them count.
    let (mut window, mut bits) = (0u64, 0u32);
    let mut decoded = 0;
    loop {
        if bits < BURST_BITS && !rest.is_empty() {
            window |= first_word(rest, coded).wrapping_shr(bits);
            // Whole bytes that there is room for; what else lies in the window is seen again.
            let taken = rest.len().min(((63 - bits) / 8) as usize);
            rest = &rest[taken..];
            bits += 8 * taken as u32;
        }
        // As many short codes as there are in any case.
        if bits >= BURST_BITS
            && let Some(slots) = out.get_mut(decoded..).and_then(|out| out.first_chunk_mut::<BURST>())
        {
            let (mut shifted, mut found) = (0, 0);
            for slot in slots {
                let short = u32::from(SHORT[(window >> 56) as usize]);
                if short & LENGTH == 0 {
                    break;
                }
                // Shifts look at the lowest six bits only, and the sum of seven lengths has no more than these eight.
                window = window.wrapping_shl(short);
                shifted += short;
                *slot = (short >> 8) as u8;
                found += 1;
            }
            bits -= shifted & LENGTH;
            decoded += found;
            if found > 0 {
                continue;
            }
        }
        // A long code, or one of the last.
        let short = u32::from(SHORT[(window >> 56) as usize]);
        let (symbol, length) = match short & LENGTH {
            0 => find_long((window >> 32) as u32)?,
            length => ((short >> 8) as u8, length),
        };
        if length > bits {
            break;
        }
        window = window.wrapping_shl(length);
        bits -= length;
        *out.get_mut(decoded).ok_or(Broken)? = symbol;
        decoded += 1;
    }
    // What is left over are the first bits of the end's code, fewer than eight of them, which are ones.
    let is_padding = bits < 8 && window == !(u64::MAX >> bits);
    if is_padding { Ok(decoded) } else { Err(Broken) }
}

/// The next eight bytes; zeros stand for those behind the last one. `rest` is the end of `coded`.
#[inline(always)]
fn first_word(rest: &[u8], coded: &[u8]) -> u64 {
    if let Some(word) = rest.first_chunk() {
        return u64::from_be_bytes(*word);
    }
    let missing = 64 - 8 * rest.len() as u32;
    match coded.last_chunk() {
        Some(word) => u64::from_be_bytes(*word).wrapping_shl(missing),
        None => rest.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)).wrapping_shl(missing),
    }
}

/// The symbol of a code of more than eight bits, and how many it has.
#[inline(never)]
fn find_long(window: u32) -> Result<(u8, u32), Broken> {
    let first_greater = LONG.iter().position(|long| window < long.end);
    let Some(long) = first_greater.and_then(|at| LONG.get(at)) else {
        return Err(Broken);
    };
    let number = (window - long.begin) >> (32 - long.length);
    let symbol = SYMBOLS[usize::from(long.symbols_before) + number as usize];
    u8::try_from(symbol).map(|symbol| (symbol, long.length)).map_err(|_| Broken)
}

/// Codes of one length.
#[derive(Clone, Copy)]
struct Long {
    length: u32,
    /// The first of them, and the first code behind them, with their bits on the left.
    begin: u32,
    end: u32,
    /// Symbols with shorter codes.
    symbols_before: u16,
}

/// Lengths beyond eight bits that any code has.
const LONG_LENGTHS: usize = 17;

/// The symbols by the order of their codes.
static SYMBOLS: [u16; 257] = {
    let mut symbols = [0; 257];
    let (mut at, mut length) = (0, 0);
    while length <= BITS_MAX {
        let mut symbol = 0;
        while symbol <= EOS {
            if LENGTHS[symbol] as u32 == length {
                symbols[at] = symbol as u16;
                at += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    symbols
};

/// By the next eight bits: how many of them are the code, and above that its symbol; 0 where the code has more than eight.
static SHORT: [u16; 256] = {
    let mut short = [0; 256];
    let (mut filled, mut at) = (0, 0);
    while filled < 254 {
        let symbol = SYMBOLS[at] as usize;
        let length = LENGTHS[symbol];
        let mut same = 0;
        while same < 1 << (8 - length) {
            short[filled] = (symbol as u16) << 8 | length as u16;
            filled += 1;
            same += 1;
        }
        at += 1;
    }
    short
};

static LONG: [Long; LONG_LENGTHS] = {
    let mut long = [Long { length: 0, begin: 0, end: 0, symbols_before: 0 }; LONG_LENGTHS];
    // The next code with its bits on the left; it ends beyond 32 bits.
    let (mut code, mut at, mut found) = (0u64, 0, 0);
    while at <= EOS {
        let length = LENGTHS[SYMBOLS[at] as usize] as u32;
        let (begin, symbols_before) = (code, at);
        while at <= EOS && LENGTHS[SYMBOLS[at] as usize] as u32 == length {
            code += 1 << (32 - length);
            at += 1;
        }
        if length > 8 {
            // Of the last ones that is one too little; the bits below those of the code are none of its own.
            let end = if code > u32::MAX as u64 { u32::MAX } else { code as u32 };
            long[found] = Long { length, begin: begin as u32, end, symbols_before: symbols_before as u16 };
            found += 1;
        }
    }
    long
};

/// Bits of the code of each byte, and of the end (RFC 7541 Appendix B).
pub(super) const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, //
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, //
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, //
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, //
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, //
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, //
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, //
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, //
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, //
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, //
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, //
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, //
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, //
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, //
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, //
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, //
    30,
];

//! Stretches of bytes that mean nothing, many at a time: eight with the tricks of "Bit Twiddling Hacks" (a zero byte in a word, a byte
//! below n), and 64 as masks of bits, as in Langdale and Lemire, "Parsing Gigabytes of JSON per Second" (2019), §3.1.

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// How many bytes of a string there are before a quote, a backslash or a control character. A byte of a character beyond ASCII is none
/// of them.
#[inline]
pub(super) fn plain(bytes: &[u8]) -> usize {
    let found = |word| is(word, b'"') | is(word, b'\\') | (word.wrapping_sub(LOW * 0x20) & !word);
    stretch(bytes, found, |byte| matches!(byte, b'"' | b'\\' | 0..0x20))
}

/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// A bit for each byte of a block, the first is the lowest.
struct Masks {
    quotes: u64,
    backslashes: u64,
    opening: u64,
    closing: u64,
}

/// Where the container ends that begins with these bytes, and whether it does at all.
pub(super) fn end_of_container(bytes: &[u8]) -> Option<usize> {
    // Containers that are open; whether the block begins in a string, in all bits; whether its first byte is escaped.
    let (mut depth, mut in_text, mut escaped) = (0_u32, 0_u64, 0_u64);
    for (number, bytes) in bytes.chunks(BLOCK).enumerate() {
        let mut padded = [b' '; BLOCK];
        let block = bytes.as_array().unwrap_or_else(|| {
            padded[..bytes.len()].copy_from_slice(bytes);
            &padded
        });
        let Masks { mut quotes, backslashes, opening, closing } = Masks::of(block);
        if backslashes | escaped != 0 {
            quotes &= !escapes(backslashes, &mut escaped);
        }
        let inside = parity(quotes) ^ in_text;
        in_text = if inside >> (BLOCK - 1) == 1 { !0 } else { 0 };
        let (opening, closing) = (opening & !inside, closing & !inside);
        if closing.count_ones() < depth {
            depth = depth + opening.count_ones() - closing.count_ones();
            continue;
        }
        let mut brackets = opening | closing;
        while brackets != 0 {
            let at = brackets.trailing_zeros();
            depth = if closing >> at & 1 == 1 { depth.saturating_sub(1) } else { depth + 1 };
            if depth == 0 {
                return Some(number * BLOCK + at as usize + 1);
            }
            brackets &= brackets - 1;
        }
    }
    None
}

/// What stands behind a backslash that is not escaped itself. `first`: whether that is so of the first byte, and then of the next block's.
#[cold]
fn escapes(mut backslashes: u64, first: &mut u64) -> u64 {
    let mut escaped = std::mem::take(first);
    backslashes &= !escaped;
    while backslashes != 0 {
        let backslash = backslashes & backslashes.wrapping_neg();
        let next = backslash << 1;
        escaped |= next;
        *first |= backslash >> (BLOCK - 1);
        backslashes &= !(backslash | next);
    }
    escaped
}

/// Of each bit whether there is an odd number of bits up to it.
fn parity(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

impl Masks {
    #[inline]
    fn of(block: &[u8; BLOCK]) -> Self {
        let mut masks = Self { quotes: 0, backslashes: 0, opening: 0, closing: 0 };
        let (words, _) = block.as_chunks::<8>();
        let mut has_backslash = 0;
        for (number, word) in words.iter().enumerate() {
            let word = u64::from_le_bytes(*word);
            // Both kinds of brackets are 0x20 from each other.
            let lower = word | (LOW * 0x20);
            masks.quotes |= bits(word, b'"') << (number * 8);
            masks.opening |= bits(lower, b'{') << (number * 8);
            masks.closing |= bits(lower, b'}') << (number * 8);
            has_backslash |= is(word, b'\\') & HIGH;
        }
        if has_backslash != 0 {
            let places = words.iter().zip((0..).step_by(8));
            masks.backslashes =
                places.fold(0, |mask, (word, shift)| mask | bits(u64::from_le_bytes(*word), b'\\') << shift);
        }
        masks
    }
}

/// A bit for each byte of a word that is this one, and for no other.
#[inline]
fn bits(word: u64, byte: u8) -> u64 {
    const LOWER: u64 = !HIGH;
    let word = word ^ (LOW * u64::from(byte));
    let found = !(((word & LOWER) + LOWER) | word | LOWER);
    // The highest bits, beside each other.
    (found >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// The highest bits of the bytes that are this one; the lowest of them is right, and a borrow can make higher ones wrong only.
#[inline]
fn is(word: u64, byte: u8) -> u64 {
    let word = word ^ (LOW * u64::from(byte));
    word.wrapping_sub(LOW) & !word
}

#[inline]
fn stretch(bytes: &[u8], found: impl Fn(u64) -> u64, ends: impl Fn(u8) -> bool) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let found = found(u64::from_le_bytes(*word)) & HIGH;
        if found != 0 {
            return number * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    words.len() * 8 + rest.iter().position(|byte| ends(*byte)).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BLOCK, Masks, end_of_container, plain};

    fn bytes(of: &'static [u8], len: usize) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![1 => any::<u8>(), 3 => prop::sample::select(of)], 0..len)
    }

    /// The same, byte by byte.
    fn slowly(bytes: &[u8]) -> Option<usize> {
        let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
        for (at, byte) in bytes.iter().enumerate() {
            let is_escaped = std::mem::take(&mut escaped);
            match byte {
                b'\\' => escaped = !is_escaped,
                b'"' if !is_escaped => in_text = !in_text,
                b'{' | b'[' if !in_text => depth += 1,
                b'}' | b']' if !in_text => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }

    proptest! {
        #[test]
        fn words_say_what_bytes_say(bytes in bytes(b"\"\\\x1f\x20\x7f\x80", 40)) {
            let ends = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
            prop_assert_eq!(plain(&bytes), bytes.iter().position(ends).unwrap_or(bytes.len()));
        }

        #[test]
        fn blocks_say_what_bytes_say(bytes in bytes(b"\"\\{}[]{[{[ ,:a", 400)) {
            prop_assert_eq!(end_of_container(&bytes), slowly(&bytes));
            if let Some(block) = bytes.first_chunk::<BLOCK>() {
                let are = |wanted: &[u8]| {
                    let bits = block.iter().enumerate().map(|(at, byte)| u64::from(wanted.contains(byte)) << at);
                    bits.fold(0, |mask, bit| mask | bit)
                };
                let Masks { quotes, backslashes, opening, closing } = Masks::of(block);
                prop_assert_eq!([quotes, backslashes], [are(b"\""), are(b"\\")]);
                prop_assert_eq!([opening, closing], [are(b"{["), are(b"}]")]);
            }
        }
    }
}

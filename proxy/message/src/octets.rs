//! Which bytes may stand in the names and values of fields (RFC 9110 §5.1, §5.5, §5.6.2), and how to look for others
//! quickly: eight at a time in one plain word, since the runs of a head are so short that vector instructions spend more
//! on their preparations than they save.

/// A byte of each kind in a word.
const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGHS: u64 = ONES << 7;

/// Whether this is a token (RFC 9110 §5.6.2): a method, the name of a field.
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is_token_byte(byte))
}

/// Whether a token may have this byte.
#[inline]
pub fn is_token_byte(byte: u8) -> bool {
    TOKEN_BYTES[usize::from(byte)]
}

/// Whether this may be the value of a field (RFC 9110 §5.5): visible characters, blanks and what is left of Latin-1.
pub fn is_value(text: &[u8]) -> bool {
    let mut rest = text;
    loop {
        let control = find_control(rest);
        match rest.get(control) {
            None => return true,
            Some(b'\t') => rest = &rest[control + 1..],
            Some(_) => return false,
        }
    }
}

/// Whether a value may have this byte.
pub fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || !is_control(byte)
}

/// Where the first control byte stands, tabs among them, or the length if there is none.
#[inline]
pub fn find_control(text: &[u8]) -> usize {
    find(text, |word| below(word, b' ') | equal(word, 0x7f), is_control)
}

/// Where the first control byte or blank stands, or the length if there is none.
#[inline]
pub fn find_blank(text: &[u8]) -> usize {
    find(text, |word| below(word, b' ' + 1), |byte| byte <= b' ')
}

/// Where the first colon stands, or the length if there is none.
#[inline]
pub fn find_colon(text: &[u8]) -> usize {
    find(text, |word| equal(word, b':'), |byte| byte == b':')
}

/// Whether this byte is among them.
#[inline]
pub fn has(text: &[u8], byte: u8) -> bool {
    find(text, |word| equal(word, byte), |own| own == byte) < text.len()
}

fn is_control(byte: u8) -> bool {
    byte < b' ' || byte == 0x7f
}

/// `hits` marks the highest bit of each byte looked for; behind the first such byte it may mark others.
#[inline(always)]
fn find(text: &[u8], hits: impl Fn(u64) -> u64, is_hit: impl Fn(u8) -> bool) -> usize {
    let at = |from: usize, hits: u64| from + (hits.trailing_zeros() / 8) as usize;
    let mut rest = text;
    while let Some((word, behind)) = rest.split_first_chunk() {
        let hits = hits(u64::from_le_bytes(*word));
        if hits != 0 {
            return at(text.len() - rest.len(), hits);
        }
        rest = behind;
    }
    match text.last_chunk() {
        _ if rest.is_empty() => text.len(),
        // Bytes of it that were looked at before are no hits.
        Some(word) => match hits(u64::from_le_bytes(*word)) {
            0 => text.len(),
            hits => at(text.len() - 8, hits),
        },
        None => rest.iter().position(|&byte| is_hit(byte)).unwrap_or(text.len()),
    }
}

/// Marks bytes below `bound`, which is at most 128.
#[inline]
fn below(word: u64, bound: u8) -> u64 {
    word.wrapping_sub(ONES * u64::from(bound)) & !word & HIGHS
}

/// Marks bytes equal to `byte`.
#[inline]
fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ (ONES * u64::from(byte)), 1)
}

const TOKEN_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Each byte at each place of texts of any length up to three words, among others that are not looked for.
    #[track_caller]
    fn check(find: fn(&[u8]) -> usize, is_hit: fn(u8) -> bool) {
        for byte in 0..=255 {
            for length in 0..=24 {
                for at in 0..length {
                    let mut text = vec![b'a'; length];
                    text[at] = byte;
                    let expected = if is_hit(byte) { at } else { length };
                    assert_eq!(find(&text), expected, "{byte:#x} at {at} of {length}");
                    // What stands behind a hit, or high bits before it, changes nothing.
                    text[at..].fill(byte);
                    text[..at].fill(0xff);
                    assert_eq!(find(&text), expected, "{byte:#x} from {at} of {length}");
                }
            }
        }
    }

    #[test]
    fn controls_blanks_and_colons_are_found() {
        check(find_control, |byte| byte.is_ascii_control());
        check(find_blank, |byte| byte <= b' ');
        check(find_colon, |byte| byte == b':');
        assert!(has(b"x-a_b", b'_') && has(b"_", b'_') && !has(b"x-forwarded-for", b'_') && !has(b"", b'_'));
    }

    #[test]
    fn tokens_and_values_are_told() {
        for byte in 0..=255u8 {
            let is_token_byte = byte.is_ascii_alphanumeric()
                || (byte.is_ascii_punctuation() && !b"\"(),/:;<=>?@[\\]{}".contains(&byte));
            assert_eq!(is_token(&[b'a', byte]), is_token_byte, "{byte:#x}");
            let is_value_byte = byte == b'\t' || !byte.is_ascii_control();
            assert_eq!(super::is_value_byte(byte), is_value_byte, "{byte:#x}");
            assert_eq!(is_value(&[b'\t', byte, b' ']), is_value_byte, "{byte:#x}");
        }
        assert!(!is_token(b"") && is_value(b""));
    }
}

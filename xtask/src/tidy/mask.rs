//! Rust source with comments and literals blanked out, so that a word found in what is left is code. Lines stay where
//! they are. It knows the lexical grammar and nothing else.

/// Replaces what is not code by spaces; line breaks stay.
pub(super) fn mask(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let length = literal(&bytes[at..], at.checked_sub(1).map(|before| bytes[before]));
        if length == 0 {
            out.push(bytes[at]);
            at += 1;
        } else {
            let end = (at + length).min(bytes.len());
            out.extend(bytes[at..end].iter().map(|&byte| if byte == b'\n' { b'\n' } else { b' ' }));
            at = end;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The length of the comment or literal that begins here; 0 if none does.
fn literal(rest: &[u8], before: Option<u8>) -> usize {
    let after_word = before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match rest {
        [b'/', b'/', ..] => rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment(rest),
        [b'"', ..] => 1 + quoted(&rest[1..], b'"'),
        [b'r', b'"' | b'#', ..] if !after_word => raw_string(&rest[1..]).map_or(0, |length| 1 + length),
        [b'b', b'r', b'"' | b'#', ..] if !after_word => raw_string(&rest[2..]).map_or(0, |length| 2 + length),
        // A lifetime has no closing quote one character (or one escape) later.
        [b'\'', b'\\', ..] => 1 + quoted(&rest[1..], b'\''),
        [b'\'', _, b'\'', ..] => 3,
        [b'\'', first, ..] if !first.is_ascii() => 1 + quoted(&rest[1..], b'\''),
        _ => 0,
    }
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Bytes up to and with the closing quote.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 0;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of `#"…"#` with any number of hashes; `None` if it is `r#name`.
fn raw_string(rest: &[u8]) -> Option<usize> {
    let hashes = rest.iter().take_while(|&&byte| byte == b'#').count();
    if rest.get(hashes) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.extend(std::iter::repeat_n(b'#', hashes));
    let body = &rest[hashes + 1..];
    let end = body.windows(close.len()).position(|window| window == close);
    Some(end.map_or(rest.len(), |end| hashes + 1 + end + close.len()))
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[track_caller]
    fn check(source: &str, code: &str) {
        let masked = mask(source);
        assert_eq!(masked.split_whitespace().collect::<Vec<_>>().join(" "), code, "{masked:?}");
        assert_eq!(masked.lines().count(), source.lines().count());
    }

    #[test]
    fn comments_go() {
        check("a // unsafe\nb", "a b");
        check("a /* unsafe /* x */ unsafe */ b", "a b");
        check("//! unsafe\nfn f() {}", "fn f() {}");
    }

    #[test]
    fn literals_go() {
        check(r#"f("unsafe \" unsafe") + g"#, "f( ) + g");
        check("f(r#\"unsafe \" \"#, br\"x\") + g", "f( , ) + g");
        check("let r#unsafe = 1;", "let r#unsafe = 1;");
        check("let a = '\"'; b", "let a = ; b");
        check("let a = '\\''; b", "let a = ; b");
        check("let a = 'é'; b", "let a = ; b");
    }

    #[test]
    fn lifetimes_stay() {
        check("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}");
    }
}

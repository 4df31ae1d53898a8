//! The answer of a mock's template: JSON, read as leniently as AWS does, of which `statusCode` counts (row 57).
//! CDK writes `{ statusCode: 200 }`, without quotes.

/// How deeply values may be nested that are passed over.
const DEPTH_MAX: usize = 64;

/// The number under `statusCode` of an object, if it is a status; the last one where it stands twice.
pub(super) fn status_code(text: &str) -> Option<u16> {
    let mut rest = Rest(text.trim().strip_prefix('{')?.strip_suffix('}')?);
    let mut status = None;
    loop {
        rest.skip(|c| c.is_whitespace() || c == ',');
        if rest.0.is_empty() {
            return status;
        }
        let key = rest.word(|c| c == ':')?;
        rest.skip(char::is_whitespace);
        rest.0 = rest.0.strip_prefix(':')?;
        rest.skip(char::is_whitespace);
        let value = rest.value()?;
        if key == "statusCode" {
            status = value.parse().ok().filter(|status| (100..=599).contains(status));
        }
    }
}

struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn skip(&mut self, what: impl Fn(char) -> bool) {
        self.0 = self.0.trim_start_matches(what);
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.0.split_at(bytes);
        self.0 = rest;
        taken
    }

    /// What stands in quotes of either kind, without them; or what stands without quotes up to its end.
    fn word(&mut self, is_end: impl Fn(char) -> bool) -> Option<&'a str> {
        match self.0.chars().next()? {
            '"' | '\'' => {
                let text = self.text()?;
                text.get(1..text.len() - 1)
            }
            _ => {
                let end = self.0.find(is_end).unwrap_or(self.0.len());
                Some(self.take(end).trim_end()).filter(|word| !word.is_empty())
            }
        }
    }

    /// A text with its quotes.
    fn text(&mut self) -> Option<&'a str> {
        let bytes = self.0.as_bytes();
        let quote = *bytes.first()?;
        let mut at = 1;
        loop {
            match bytes.get(at)? {
                b'\\' => at += 2,
                byte if *byte == quote => break,
                _ => at += 1,
            }
        }
        Some(self.take(at + 1))
    }

    /// A value: a text with its quotes, an object or a list whole, or what stands there.
    fn value(&mut self) -> Option<&'a str> {
        let whole = self.0;
        match whole.as_bytes().first()? {
            b'"' | b'\'' => self.text(),
            b'{' | b'[' => {
                let mut depth = 0;
                loop {
                    match self.0.as_bytes().first()? {
                        b'"' | b'\'' => {
                            self.text()?;
                            continue;
                        }
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => depth -= 1,
                        _ => {}
                    }
                    if depth > DEPTH_MAX {
                        return None;
                    }
                    let first = self.0.chars().next()?.len_utf8();
                    self.take(first);
                    if depth == 0 {
                        return Some(&whole[..whole.len() - self.0.len()]);
                    }
                }
            }
            _ => self.word(|c| c == ','),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::status_code;

    #[track_caller]
    fn check(text: &str, expected: Option<u16>) {
        assert_eq!(status_code(text), expected, "{text}");
    }

    #[test]
    fn statuses_are_read_as_people_write_them() {
        check(r#"{"statusCode": 200}"#, Some(200));
        check("{statusCode: 200}", Some(200));
        check("{ statusCode: 200 }", Some(200));
        check("{'statusCode':404,}", Some(404));
        check("\n{\n  \"statusCode\" : 503\n}\n", Some(503));
        check(
            r#"{"message": "a, } \" b", "more": {"statusCode": 1, "x": ["}"]}, "statusCode": 201}"#,
            Some(201),
        );
        check(r#"{"statusCode": 200, "statusCode": 300}"#, Some(300));
    }

    #[test]
    fn what_has_no_status_has_none() {
        for text in [
            "",
            "{}",
            "[]",
            "200",
            "{statusCode}",
            "{statusCode: }",
            "{statusCode: 2e2}",
            "{statusCode: 20}",
            r#"{"statusCode": "200"}"#,
            "{statusCode: 600}",
            "{statusCode: 200",
            "{x: {statusCode: 200}}",
            "{\"statusCode: 200}",
            "{statusCode: 200.0}",
            "{:200}",
        ] {
            check(text, None);
        }
        check(&format!("{{x: {}{}, statusCode: 200}}", "[".repeat(100), "]".repeat(100)), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[{}\\[\\]\"':,\\\\a\u{e9} statusCode0-9]{0,64}") {
            let _ = status_code(&text);
        }
    }
}

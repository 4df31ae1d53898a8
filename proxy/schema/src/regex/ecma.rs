//! ECMA 262's way of writing patterns (Annex B of it too), in that of `regex-syntax`. What can't be said there stays as it is,
//! and is refused by who compiles it.

use std::{fmt::Write as _, iter::Peekable, str::Chars};

/// What `\s` is (ECMA 262: WhiteSpace and LineTerminator), inside a class.
const SPACE: &str = "\\t\\n\\x0B\\x0C\\r \\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}\\x{FEFF}";
const DIGIT: &str = "0-9";
const WORD: &str = "0-9A-Za-z_";

/// A pattern in the other way of writing.
pub(super) struct Written {
    pub(super) text: String,
    /// Whether it looks ahead, behind, or back to what was matched.
    pub(super) looks_around: bool,
}

pub(super) fn translate(pattern: &str) -> Result<Written, String> {
    let mut translator = Translator {
        rest: pattern.chars().peekable(),
        out: String::with_capacity(2 * pattern.len()),
        looks: false,
    };
    translator.pattern()?;
    Ok(Written { text: translator.out, looks_around: translator.looks })
}

struct Translator<'p> {
    rest: Peekable<Chars<'p>>,
    out: String,
    looks: bool,
}

/// What stands in a class.
enum Item {
    One(char),
    Many,
}

impl Translator<'_> {
    fn pattern(&mut self) -> Result<(), String> {
        while let Some(character) = self.rest.next() {
            match character {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '.' => self.out.push_str("[^\\n\\r\\x{2028}\\x{2029}]"),
                '{' if !self.is_count() => self.out.push_str("\\{"),
                '(' => {
                    self.out.push('(');
                    let ahead: String = self.rest.clone().take(3).collect();
                    self.looks |= ["?=", "?!", "?<=", "?<!"].iter().any(|sign| ahead.starts_with(sign));
                }
                _ => self.out.push(character),
            }
        }
        Ok(())
    }

    /// Whether what follows a brace makes it a count: `2}`, `2,}`, `2,3}`.
    fn is_count(&self) -> bool {
        let inside: String = self.rest.clone().take_while(|character| *character != '}').take(24).collect();
        let is_closed = self.rest.clone().nth(inside.chars().count()) == Some('}');
        let (least, most) = inside.split_once(',').unwrap_or((&inside, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        is_closed && !least.is_empty() && digits(least) && digits(most)
    }

    fn escape(&mut self) -> Result<(), String> {
        let Some(&character) = self.rest.peek() else {
            return Err("the pattern ends with a backslash".into());
        };
        let class = match character {
            'd' => ("[", DIGIT),
            'D' => ("[^", DIGIT),
            'w' => ("[", WORD),
            'W' => ("[^", WORD),
            's' => ("[", SPACE),
            'S' => ("[^", SPACE),
            'b' => {
                self.rest.next();
                self.out.push_str("(?-u:\\b)");
                return Ok(());
            }
            'B' => {
                self.rest.next();
                self.out.push_str("(?-u:\\B)");
                return Ok(());
            }
            'p' | 'P' => {
                self.property();
                return Ok(());
            }
            '1'..='9' => {
                self.rest.next();
                self.looks = true;
                self.out.push('\\');
                self.out.push(character);
                return Ok(());
            }
            _ => {
                let character = self.character()?;
                self.literal(character);
                return Ok(());
            }
        };
        self.rest.next();
        self.out.push_str(class.0);
        self.out.push_str(class.1);
        self.out.push(']');
        Ok(())
    }

    /// Behind a backslash: `p{L}`.
    fn property(&mut self) {
        self.out.push('\\');
        self.out.extend(self.rest.next());
        if self.rest.peek() == Some(&'{') {
            for character in self.rest.by_ref() {
                self.out.push(character);
                if character == '}' {
                    break;
                }
            }
        }
    }

    /// Behind a backslash: the one character that is meant.
    fn character(&mut self) -> Result<char, String> {
        let Some(character) = self.rest.next() else {
            return Err("the pattern ends with a backslash".into());
        };
        Ok(match character {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'f' => '\u{c}',
            '0' => '\0',
            'c' => match self.rest.next_if(char::is_ascii_alphabetic) {
                Some(letter) => char::from(letter as u8 & 31),
                None => 'c',
            },
            'x' => self.hexadecimal(2).and_then(char::from_u32).unwrap_or('x'),
            'u' => match self.hexadecimal(4) {
                None => 'u',
                Some(high @ 0xD800..0xDC00) => {
                    let low = (self.rest.next() == Some('\\') && self.rest.next() == Some('u'))
                        .then(|| self.hexadecimal(4))
                        .flatten();
                    let Some(low @ 0xDC00..0xE000) = low else {
                        return Err("an escape is half of a pair".into());
                    };
                    char::from_u32(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00)).unwrap_or('u')
                }
                Some(unit) => char::from_u32(unit).ok_or("an escape is half of a pair")?,
            },
            other => other,
        })
    }

    fn hexadecimal(&mut self, digits: usize) -> Option<u32> {
        let text: String = self.rest.clone().take(digits).collect();
        let is_whole = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = u32::from_str_radix(&text, 16).ok().filter(|_| is_whole)?;
        self.rest.nth(digits - 1);
        Some(value)
    }

    fn literal(&mut self, character: char) {
        // Writing to a string can't fail.
        let _ = match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' => write!(self.out, "{character}"),
            _ => write!(self.out, "\\x{{{:X}}}", character as u32),
        };
    }

    /// Behind an opening bracket.
    fn class(&mut self) -> Result<(), String> {
        let negated = self.rest.next_if_eq(&'^').is_some();
        if self.rest.next_if_eq(&']').is_some() {
            // Anything, and nothing.
            self.out.push_str(if negated { "[\\x{0}-\\x{10FFFF}]" } else { "[^\\x{0}-\\x{10FFFF}]" });
            return Ok(());
        }
        self.out.push_str(if negated { "[^" } else { "[" });
        loop {
            let first = match self.rest.next() {
                None => return Err("a class is not closed".into()),
                Some(']') => break,
                Some(character) => self.item(character)?,
            };
            let is_range =
                self.rest.peek() == Some(&'-') && self.rest.clone().nth(1).is_some_and(|next| next != ']');
            match first {
                Item::One(first) if is_range => {
                    self.rest.next();
                    self.literal(first);
                    let Some(character) = self.rest.next() else {
                        return Err("a class is not closed".into());
                    };
                    let at = self.out.len();
                    match self.item(character)? {
                        Item::One(last) => {
                            self.out.push('-');
                            self.literal(last);
                        }
                        // `a-\d` are three things.
                        Item::Many => self.out.insert_str(at, "\\-"),
                    }
                }
                Item::One(character) => self.literal(character),
                Item::Many => {}
            }
        }
        self.out.push(']');
        Ok(())
    }

    /// One character of a class, or what stands for many and is written already.
    fn item(&mut self, character: char) -> Result<Item, String> {
        if character != '\\' {
            return Ok(Item::One(character));
        }
        let many = match self.rest.peek() {
            Some('d') => DIGIT,
            Some('w') => WORD,
            Some('s') => SPACE,
            Some('D') => "[^0-9]",
            Some('W') => "[^0-9A-Za-z_]",
            Some('S') => {
                self.rest.next();
                self.out.push_str("[^");
                self.out.push_str(SPACE);
                self.out.push(']');
                return Ok(Item::Many);
            }
            Some('p' | 'P') => {
                self.property();
                return Ok(Item::Many);
            }
            Some('b') => {
                self.rest.next();
                return Ok(Item::One('\u{8}'));
            }
            _ => return self.character().map(Item::One),
        };
        self.rest.next();
        self.out.push_str(many);
        Ok(Item::Many)
    }
}

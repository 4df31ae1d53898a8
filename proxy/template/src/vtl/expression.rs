//! References and expressions: `$a.b("c")[0]`, `($x + 1) * 2 > $y && !$z`.

use super::{
    method::Method,
    parse::{Base, Parser, Result},
    program::{self, Expr, MethodCall, Operator, Prepared, Reference, Step},
};
use crate::{path::Path, regex};

/// From loosest to tightest; those of a level are read from left to right.
const LEVELS: [&[(&str, Operator)]; 6] = [
    &[("||", Operator::Or), ("or", Operator::Or)],
    &[("&&", Operator::And), ("and", Operator::And)],
    &[
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("eq", Operator::Equal),
        ("ne", Operator::NotEqual),
    ],
    &[
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
        ("le", Operator::LessOrEqual),
        ("ge", Operator::GreaterOrEqual),
        ("lt", Operator::Less),
        ("gt", Operator::Greater),
    ],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[("*", Operator::Multiply), ("/", Operator::Divide), ("%", Operator::Modulo)],
];

impl<'t> Parser<'_, '_, 't> {
    pub(super) fn expression(&mut self) -> Result<Expr> {
        self.level(0)
    }

    fn level(&mut self, level: usize) -> Result<Expr> {
        let Some(operators) = LEVELS.get(level) else {
            return self.unary();
        };
        let mut left = self.level(level + 1)?;
        let mut chain = 0;
        loop {
            self.space();
            let found = operators.iter().find(|(text, _)| match text.as_bytes()[0].is_ascii_alphabetic() {
                true => self.word(text).is_some(),
                false => self.take(text),
            });
            let Some((_, operator)) = found else {
                return Ok(left);
            };
            chain += 1;
            if chain > super::parse::NESTING_MAX {
                return self.told(self.at, format!("more than {chain} operators in a row (limit: nesting)"));
            }
            let right = self.level(level + 1)?;
            left = Expr::Binary(Box::new((*operator, left, right)));
        }
    }

    fn unary(&mut self) -> Result<Expr> {
        self.space();
        if self.take("!") || self.word("not").is_some() {
            return Ok(Expr::Not(Box::new(self.deeper(Self::unary)?)));
        }
        if self.take("(") {
            let inner = self.deeper(Self::expression)?;
            self.space();
            if !self.take(")") {
                return self.told(self.at, "a parenthesis is not closed: `)` is wanted");
            }
            return Ok(inner);
        }
        self.parameter()
    }

    /// What may stand as an argument: a literal or a reference, no operators.
    pub(super) fn parameter(&mut self) -> Result<Expr> {
        self.space();
        match self.peek() {
            Some(quote @ (b'"' | b'\'')) => self.text_literal(quote),
            Some(b'$') => {
                let start = self.at;
                match self.reference()? {
                    Some(reference) => Ok(Expr::Reference(Box::new(reference))),
                    None => self.told(start, "a `$` without a name is no value; text stands in quotes"),
                }
            }
            Some(b'0'..=b'9' | b'-' | b'.') => self.number(),
            Some(b'[') => self.deeper(Self::list),
            Some(b'{') => self.deeper(Self::map),
            _ if self.word("true").is_some() => Ok(Expr::Bool(true)),
            _ if self.word("false").is_some() => Ok(Expr::Bool(false)),
            _ => self
                .told(self.at, "a value is wanted: $name, \"text\", a number, [list], {map}, true or false"),
        }
    }

    fn number(&mut self) -> Result<Expr> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let digits = |from: usize| {
            from + bytes[from.min(bytes.len())..].iter().take_while(|b| b.is_ascii_digit()).count()
        };
        let start = usize::from(bytes[0] == b'-');
        let mut end = digits(start);
        let mut is_double = false;
        // `1..3` is a range.
        if bytes.get(end) == Some(&b'.') && bytes.get(end + 1) != Some(&b'.') {
            is_double = true;
            end = digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) && end > start {
            let signed = end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(signed);
            if exponent > signed {
                is_double = true;
                end = exponent;
            }
        }
        let text = &rest[..end];
        let parsed =
            if is_double { text.parse().ok().map(Expr::Double) } else { text.parse().ok().map(Expr::Int) };
        let Some(number) = parsed else {
            let why = if text.len() > 1 && !is_double { "is too large for a number" } else { "is no number" };
            return self.told(self.at, format!("`{text}` {why}"));
        };
        self.at += end;
        Ok(number)
    }

    /// A text: in single quotes as it stands, in double quotes with what is in it. Two quotes are one.
    fn text_literal(&mut self, quote: u8) -> Result<Expr> {
        let start = self.at;
        let bytes = self.source.as_bytes();
        let mut at = start + 1;
        let mut doubled = false;
        loop {
            match bytes.get(at) {
                None => return self.told(start, format!("the quote `{}` is not closed", char::from(quote))),
                Some(byte) if *byte == quote => {
                    if bytes.get(at + 1) != Some(&quote) {
                        break;
                    }
                    doubled = true;
                    at += 2;
                }
                Some(b'\\') if bytes.get(at + 1) == Some(&b'\\') => at += 2,
                // A quote behind a backslash ends a text only if no other could. The backslash stays, as in 1.7.
                Some(b'\\') if quote == b'"' && bytes.get(at + 1) == Some(&quote) => {
                    let closes = memchr::memchr(quote, &bytes[at + 2..]).is_some();
                    at += if closes { 2 } else { 1 };
                }
                Some(_) => at += 1,
            }
        }
        let inner = &self.source[start + 1..at];
        self.at = at + 1;
        let text = if doubled {
            let quote = char::from(quote);
            std::borrow::Cow::Owned(inner.replace(&format!("{quote}{quote}"), &quote.to_string()))
        } else {
            std::borrow::Cow::Borrowed(inner)
        };
        if quote == b'\'' || memchr::memchr2(b'$', b'#', text.as_bytes()).is_none() {
            return Ok(Expr::Text(self.builder.span(&text)));
        }
        let base = if doubled { Base::Fixed(self.place(start)) } else { self.base_at(start + 1) };
        self.deeper(|parser| {
            let depth = parser.depth;
            let mut inner = Parser { builder: &mut *parser.builder, source: &text, at: 0, base, depth };
            Ok(Expr::Interpolated(inner.whole()))
        })
    }

    fn base_at(&self, at: usize) -> Base {
        match self.base {
            Base::Source(_) => Base::Source(self.place(at)),
            fixed @ Base::Fixed(_) => fixed,
        }
    }

    fn list(&mut self) -> Result<Expr> {
        self.at += 1;
        self.space();
        let mut items = Vec::new();
        if self.take("]") {
            return Ok(Expr::List(Box::default()));
        }
        loop {
            items.push(self.parameter()?);
            self.space();
            if items.len() == 1 && self.take("..") {
                let start = items.swap_remove(0);
                let end = self.parameter()?;
                self.space();
                if !self.take("]") {
                    return self.told(self.at, "a range is written `[1..5]` or `[$from..$to]`");
                }
                return Ok(Expr::Range(Box::new((start, end))));
            }
            if self.take("]") {
                return Ok(Expr::List(items.into()));
            }
            if !self.take(",") {
                return self.told(
                    self.at,
                    "`,` or `]` is wanted: `[1, \"two\", $three]`; #set a variable to a calculation first",
                );
            }
        }
    }

    fn map(&mut self) -> Result<Expr> {
        self.at += 1;
        self.space();
        let mut entries = Vec::new();
        if self.take("}") {
            return Ok(Expr::Map(Box::default()));
        }
        loop {
            let key = self.parameter()?;
            self.space();
            if !self.take(":") {
                return self.told(self.at, "`:` is wanted: a map is written `{\"key\": $value}`");
            }
            let value = self.parameter()?;
            entries.push((key, value));
            self.space();
            if self.take("}") {
                return Ok(Expr::Map(entries.into()));
            }
            if !self.take(",") {
                return self.told(self.at, "`,` or `}` is wanted: `{\"key\": $value, \"other\": 2}`; #set a variable to a calculation first");
            }
        }
    }

    /// The reference that begins at this dollar; `None`, with nothing taken, if it is only a dollar.
    pub(super) fn reference(&mut self) -> Result<Option<Reference>> {
        let start = self.at;
        self.at += 1;
        let quiet = self.take("!");
        let formal = self.take("{");
        let Some(name) = self.identifier() else {
            self.at = start;
            return Ok(None);
        };
        let slot = self.builder.slot(name);
        let mut steps = Vec::new();
        loop {
            match self.peek() {
                Some(b'[') => steps.push(self.index()?),
                Some(b'.')
                    if self.source.as_bytes().get(self.at + 1).is_some_and(u8::is_ascii_alphabetic) =>
                {
                    let at = self.at + 1;
                    self.at = at;
                    let Some(name) = self.identifier() else { break };
                    if self.peek() == Some(b'(') {
                        let is_input = slot == program::INPUT && steps.is_empty();
                        let is_util = slot == program::UTIL && steps.is_empty();
                        let call = self.method(name, at, is_input, is_util)?;
                        steps.push(Step::Method(Box::new(call)));
                    } else {
                        steps.push(Step::Property(name.into()));
                    }
                }
                _ => break,
            }
            if steps.len() > super::parse::NESTING_MAX {
                let why = format!("more than {} steps in a row (limit: nesting)", super::parse::NESTING_MAX);
                return self.told(start, why);
            }
        }
        if formal && !self.take("}") {
            return self.told(self.at, format!("`}}` is missing: `${{{name}` was opened with a brace"));
        }
        let literal = self.builder.span(&self.source[start..self.at]);
        let at = self.place(start);
        Ok(Some(Reference { slot, steps: steps.into(), quiet, backslashes: 0, literal, at }))
    }

    fn identifier(&mut self) -> Option<&'t str> {
        let rest = self.rest();
        let first = rest.bytes().next()?;
        if !first.is_ascii_alphabetic() && first != b'_' {
            return None;
        }
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let length = rest.as_bytes().iter().take_while(|byte| is_part(byte)).count();
        self.at += length;
        Some(&rest[..length])
    }

    fn index(&mut self) -> Result<Step> {
        let start = self.at;
        self.at += 1;
        let index = self.deeper(Self::parameter)?;
        self.space();
        if !self.take("]") {
            return self.told(start, "an index is `[0]`, `[\"key\"]` or `[$name]`; as text write `${name}[`");
        }
        Ok(Step::Index(index))
    }

    fn method(&mut self, name: &str, at: usize, is_input: bool, is_util: bool) -> Result<MethodCall> {
        let place = self.here();
        self.at += 1;
        let mut arguments = Vec::new();
        self.space();
        if !self.take(")") {
            loop {
                arguments.push(self.deeper(Self::parameter)?);
                self.space();
                if self.take(")") {
                    break;
                }
                if !self.take(",") {
                    let why = format!(
                        "`,` or `)` is wanted in `{name}(…)`; #set a variable to a calculation first"
                    );
                    return self.told(self.at, why);
                }
            }
        }
        let method = Method::by_name(name);
        if is_util && method == Method::XmlToJson && !self.builder.settings.xml {
            return self
                .told(at, "`$util.xmlToJson` is an extension of this gateway and has to be switched on");
        }
        let prepared = self.prepare(method, &arguments, at, is_input)?;
        Ok(MethodCall { method, arguments: arguments.into(), prepared, at: place })
    }

    /// What can be made of a literal argument before anybody asks: paths and patterns.
    fn prepare(&mut self, method: Method, arguments: &[Expr], at: usize, is_input: bool) -> Result<Prepared> {
        let Some(Expr::Text(span)) = arguments.first() else {
            return Ok(Prepared::Nothing);
        };
        let text = self.builder.program.text(*span);
        let prepared = match method {
            Method::Json | Method::Path => match Path::compile(text) {
                Ok(path) => Ok(Prepared::Path(path)),
                Err(mistake) if is_input => Err(mistake.to_string()),
                Err(_) => Ok(Prepared::Nothing),
            },
            Method::Matches => regex::Pattern::whole(text, "").map(Prepared::Pattern),
            Method::ReplaceAll | Method::ReplaceFirst | Method::Split => {
                regex::Pattern::search(text).map(Prepared::Pattern)
            }
            _ => Ok(Prepared::Nothing),
        };
        match prepared {
            Ok(prepared) => Ok(prepared),
            Err(why) => self.told(at, why),
        }
    }
}

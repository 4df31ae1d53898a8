//! Text → path. Reads what Jayway reads, and says where it does not.

use super::{
    Filter, Function, PATH_BYTES_MAX, PATH_DEPTH_MAX, Path, PathMistake, Token,
    filter::{Compare, Operand, Operator},
    function::{Argument, Kind},
};

/// Reads a whole path.
pub(super) fn path(text: &str) -> Result<Path, PathMistake> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    if text.len() > PATH_BYTES_MAX {
        return Err(
            parser.mistake(format!("the path is longer than {PATH_BYTES_MAX} bytes (limit: path bytes)"))
        );
    }
    parser.space();
    let path = parser.path(Context::Alone)?;
    parser.space();
    match parser.peek() {
        None => Ok(path),
        Some(other) => Err(parser.mistake(format!("`{other}` can't stand here"))),
    }
}

/// Where a path stands; what ends its names depends on it.
#[derive(Clone, Copy, PartialEq)]
enum Context {
    /// By itself.
    Alone,
    /// In a filter or an argument, where operators, commas and parentheses follow.
    Inside,
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

type Result<T, E = PathMistake> = std::result::Result<T, E>;

impl<'t> Parser<'t> {
    fn mistake(&self, why: String) -> PathMistake {
        let before = self.text.get(..self.at).map_or(0, |before| before.chars().count());
        let path = if self.text.len() > PATH_BYTES_MAX { String::from("…") } else { self.text.to_owned() };
        PathMistake { path, at: before + 1, why }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    /// Takes this text if it stands here.
    fn take(&mut self, wanted: &str) -> bool {
        let taken = self.rest().starts_with(wanted);
        if taken {
            self.at += wanted.len();
        }
        taken
    }

    fn want(&mut self, wanted: &str, why: &str) -> Result<()> {
        if self.take(wanted) { Ok(()) } else { Err(self.mistake(format!("`{wanted}` is missing: {why}"))) }
    }

    fn deeper(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > PATH_DEPTH_MAX {
            return Err(self.mistake(format!("nested deeper than {PATH_DEPTH_MAX} (limit: path depth)")));
        }
        Ok(())
    }

    fn path(&mut self, context: Context) -> Result<Path> {
        let mut tokens = Vec::new();
        if !self.take("$") && !self.take("@") && self.peek().is_some_and(|next| next != '.' && next != '[') {
            // Jayway puts `$.` in front of what does not begin with `$`.
            tokens.push(self.dotted(context)?);
        }
        loop {
            if matches!(tokens.last(), Some(Token::Function(_))) {
                break;
            }
            if self.take("..") {
                tokens.push(Token::Scan);
                match self.peek() {
                    Some('[') => {}
                    Some(_) => tokens.push(self.dotted(context)?),
                    None => {
                        return Err(self.mistake(
                            "a path must not end with `..`; what is wanted at every depth?".into(),
                        ));
                    }
                }
            } else if self.take(".") {
                if self.peek() == Some('[') {
                    continue;
                }
                tokens.push(self.dotted(context)?);
            } else if self.peek() == Some('[') {
                tokens.push(self.bracket()?);
            } else {
                break;
            }
        }
        let definite = is_definite(&tokens);
        Ok(Path { tokens: tokens.into(), definite })
    }

    /// `name`, `*` or `function(…)`.
    fn dotted(&mut self, context: Context) -> Result<Token> {
        if self.take("*") {
            return Ok(Token::Wildcard);
        }
        let rest = self.rest();
        let end = |character: char| match character {
            '.' | '[' | '(' | ' ' => true,
            _ => {
                context == Context::Inside
                    && matches!(
                        character,
                        ')' | ']' | ',' | '=' | '!' | '<' | '>' | '&' | '|' | '\t' | '\n' | '\r'
                    )
            }
        };
        let name = &rest[..rest.find(end).unwrap_or(rest.len())];
        if name.is_empty() {
            return Err(self.mistake(
                "a name is missing after the `.`; put names with dots or spaces into ['…']".into(),
            ));
        }
        let start = self.at;
        self.at += name.len();
        if self.peek() == Some('(') {
            let Some(kind) = Kind::by_name(name) else {
                self.at = start;
                return Err(self
                    .mistake(format!("there is no function `{name}`; the functions are {}", Kind::names())));
            };
            self.at += 1;
            return Ok(Token::Function(Box::new(Function { kind, arguments: self.arguments()? })));
        }
        if context == Context::Alone && self.peek() == Some(' ') && !self.rest().trim().is_empty() {
            return Err(self.mistake("a space can't stand in a name here; write ['two words']".into()));
        }
        Ok(Token::Name(name.into()))
    }

    /// What stands between the parentheses of a function, and the closing one.
    fn arguments(&mut self) -> Result<Box<[Argument]>> {
        self.deeper()?;
        let mut arguments = Vec::new();
        loop {
            self.space();
            if self.take(")") {
                break;
            }
            if !arguments.is_empty() {
                self.want(",", "it stands between arguments")?;
                self.space();
            }
            arguments.push(match self.peek() {
                Some('$' | '@') => Argument::Path(self.path(Context::Inside)?),
                _ => Argument::Literal(self.literal_json()?.into()),
            });
        }
        self.depth -= 1;
        Ok(arguments.into())
    }

    /// `[…]`
    fn bracket(&mut self) -> Result<Token> {
        self.want("[", "a bracket begins with it")?;
        self.space();
        let token = match self.peek() {
            Some('\'' | '"') => self.names()?,
            Some('*') => {
                self.at += 1;
                Token::Wildcard
            }
            Some('?') => {
                self.at += 1;
                self.space();
                self.want("(", "a filter is written [?(…)]")?;
                let filter = self.any_of()?;
                self.space();
                self.want(")", "a filter is written [?(…)]")?;
                Token::Filter(Box::new(filter))
            }
            Some('(') => self.before_end()?,
            Some('-' | ':' | '0'..='9') => self.numbers()?,
            _ => return Err(self.mistake("['name'], [0], [1:3], [*] or [?(…)] is wanted".into())),
        };
        self.space();
        self.want("]", "the bracket is not closed")?;
        Ok(token)
    }

    fn names(&mut self) -> Result<Token> {
        let mut names = vec![self.quoted()?.into_boxed_str()];
        loop {
            self.space();
            if !self.take(",") {
                break;
            }
            self.space();
            names.push(self.quoted()?.into());
        }
        Ok(match names.len() {
            1 => Token::Name(names.swap_remove(0)),
            _ => Token::Names(names.into()),
        })
    }

    /// A text in single or double quotes, in which a backslash takes the next character as it is.
    fn quoted(&mut self) -> Result<String> {
        let Some(quote @ ('\'' | '"')) = self.peek() else {
            return Err(self.mistake("a name in quotes is wanted".into()));
        };
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        let mut characters = self.rest().char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => match characters.next() {
                    Some((_, escaped @ ('\\' | '\'' | '"' | '/'))) => text.push(escaped),
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, other)) => text.extend(['\\', other]),
                    None => break,
                },
                _ if character == quote => {
                    self.at += at + 1;
                    return Ok(text);
                }
                _ => text.push(character),
            }
        }
        self.at = start;
        Err(self.mistake("the quote is not closed".into()))
    }

    fn integer(&mut self) -> Result<i64> {
        let rest = self.rest();
        let digits = rest.trim_start_matches('-').trim_start_matches(|digit: char| digit.is_ascii_digit());
        let number = &rest[..rest.len() - digits.len()];
        let value = number.parse().ok().filter(|value: &i64| value.unsigned_abs() <= 1 << 53);
        let Some(value) = value else {
            return Err(self.mistake(format!("`{number}` is no index")));
        };
        self.at += number.len();
        Ok(value)
    }

    /// `0`, `0,1`, `1:3`, `:3`, `-2:`
    fn numbers(&mut self) -> Result<Token> {
        let first = if self.peek() == Some(':') { None } else { Some(self.integer()?) };
        self.space();
        if self.take(":") {
            self.space();
            let last = matches!(self.peek(), Some('-' | '0'..='9')).then(|| self.integer()).transpose()?;
            self.space();
            if self.peek() == Some(':') {
                return Err(self.mistake("a slice has no step; write [from:to]".into()));
            }
            if first.is_none() && last.is_none() {
                return Err(self.mistake("a slice needs a beginning or an end".into()));
            }
            return Ok(Token::Slice(first, last));
        }
        let mut indexes: Vec<i64> = first.into_iter().collect();
        while self.take(",") {
            self.space();
            indexes.push(self.integer()?);
            self.space();
        }
        Ok(Token::Indexes(indexes.into()))
    }

    /// `(@.length - 1)`, `(@.size()-1)`
    fn before_end(&mut self) -> Result<Token> {
        let written = "an index from the end is written [(@.length - 1)] or [-1]";
        self.want("(", written)?;
        self.space();
        self.want("@.", written)?;
        if !self.take("length") && !self.take("size") {
            return Err(self.mistake(written.into()));
        }
        if self.take("(") {
            self.want(")", written)?;
        }
        self.space();
        let before = if self.take("-") {
            self.space();
            self.integer()?
        } else {
            return Err(self.mistake(written.into()));
        };
        self.space();
        self.want(")", written)?;
        Ok(Token::FromEnd(before))
    }

    /// `a || b`
    fn any_of(&mut self) -> Result<Filter> {
        self.deeper()?;
        let mut filters = vec![self.all_of()?];
        self.space();
        while self.take("||") {
            filters.push(self.all_of()?);
            self.space();
        }
        self.depth -= 1;
        Ok(if filters.len() == 1 { filters.swap_remove(0) } else { Filter::Any(filters.into()) })
    }

    /// `a && b`
    fn all_of(&mut self) -> Result<Filter> {
        let mut filters = vec![self.one()?];
        self.space();
        while self.take("&&") {
            filters.push(self.one()?);
            self.space();
        }
        Ok(if filters.len() == 1 { filters.swap_remove(0) } else { Filter::All(filters.into()) })
    }

    fn one(&mut self) -> Result<Filter> {
        self.space();
        if self.peek() == Some('!') && !self.rest().starts_with("!=") {
            self.at += 1;
            self.deeper()?;
            let inner = self.one()?;
            self.depth -= 1;
            return Ok(Filter::Not(Box::new(inner)));
        }
        if self.take("(") {
            let inner = self.any_of()?;
            self.space();
            self.want(")", "the parenthesis is not closed")?;
            return Ok(inner);
        }
        let left = self.operand()?;
        self.space();
        let Some(operator) = self.operator() else {
            return match left {
                Operand::Path { .. } => Ok(Filter::Exists(left)),
                _ => Err(self.mistake("an operator is wanted, such as `==`".into())),
            };
        };
        self.space();
        let right = self.operand()?;
        Ok(Filter::Compare(Box::new(Compare { left, operator, right })))
    }

    fn operator(&mut self) -> Option<Operator> {
        let rest = self.rest();
        let (operator, length) = Operator::at(rest)?;
        self.at += length;
        Some(operator)
    }

    fn operand(&mut self) -> Result<Operand> {
        match self.peek() {
            Some(sign @ ('@' | '$')) => {
                self.deeper()?;
                let path = self.path(Context::Inside)?;
                self.depth -= 1;
                Ok(Operand::Path { path, root: sign == '$' })
            }
            Some('/') => self.pattern(),
            Some(_) => Ok(Operand::Literal(self.literal_json()?.into())),
            None => Err(self.mistake("a value is wanted".into())),
        }
    }

    /// `/pattern/flags`
    fn pattern(&mut self) -> Result<Operand> {
        let start = self.at;
        self.at += 1;
        let rest = self.rest();
        let mut end = None;
        let mut escaped = false;
        for (at, character) in rest.char_indices() {
            if character == '/' && !escaped {
                end = Some(at);
                break;
            }
            escaped = character == '\\' && !escaped;
        }
        let Some(end) = end else {
            self.at = start;
            return Err(self.mistake("the pattern is not closed by `/`".into()));
        };
        let pattern = rest[..end].replace("\\/", "/");
        self.at += end + 1;
        let flags = self.rest();
        let flags = &flags[..flags.find(|flag: char| !flag.is_ascii_alphabetic()).unwrap_or(flags.len())];
        self.at += flags.len();
        crate::regex::Pattern::whole(&pattern, flags).map(Operand::Pattern).map_err(|why| {
            self.at = start;
            self.mistake(why)
        })
    }

    /// A literal as JSON; texts may stand in single quotes, as Jayway's reader takes them.
    fn literal_json(&mut self) -> Result<String> {
        self.deeper()?;
        let literal = match self.peek() {
            Some('\'' | '"') => {
                let mut text = String::new();
                let Ok(()) = crate::json::write_text(&mut text, &self.quoted()?);
                text
            }
            Some(open @ ('[' | '{')) => self.literal_container(open)?,
            _ => self.literal_word()?,
        };
        self.depth -= 1;
        Ok(literal)
    }

    fn literal_container(&mut self, open: char) -> Result<String> {
        let close = if open == '[' { ']' } else { '}' };
        let mut text = String::from(open);
        self.at += 1;
        self.space();
        while self.peek() != Some(close) {
            if text.len() > 1 {
                self.want(",", "it stands between values")?;
                text.push(',');
                self.space();
            }
            if open == '{' {
                text.push_str(&self.literal_json()?);
                self.space();
                self.want(":", "it stands between a key and its value")?;
                text.push(':');
                self.space();
            }
            text.push_str(&self.literal_json()?);
            self.space();
        }
        self.at += 1;
        text.push(close);
        Ok(text)
    }

    fn literal_word(&mut self) -> Result<String> {
        let rest = self.rest();
        let end = |character: char| !character.is_ascii_alphanumeric() && !"+-.".contains(character);
        let word = &rest[..rest.find(end).unwrap_or(rest.len())];
        // Exactly what JSON allows; `check` knows it.
        if crate::json::check(word).is_err() {
            return Err(self
                .mistake("a value is wanted: a number, 'text', true, false, null, a list or a path".into()));
        }
        self.at += word.len();
        Ok(word.to_owned())
    }
}

/// Jayway's rule: every token finds one at most. Several names are one when they end the path, since they make one
/// object then.
fn is_definite(tokens: &[Token]) -> bool {
    if matches!(tokens.last(), Some(Token::Function(_))) && matches!(tokens.first(), Some(Token::Scan)) {
        return true;
    }
    tokens.iter().enumerate().all(|(index, token)| match token {
        Token::Name(_) | Token::FromEnd(_) | Token::Function(_) => true,
        Token::Names(_) => index + 1 == tokens.len(),
        Token::Indexes(indexes) => indexes.len() == 1,
        Token::Wildcard | Token::Slice(..) | Token::Filter(_) | Token::Scan => false,
    })
}

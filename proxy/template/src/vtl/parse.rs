//! Text → program. The grammar and what becomes of white space are those of Velocity 1.7's parser: a directive in
//! parentheses, `#else` and `#end` take the rest of their line if it is blank, `#set` takes the blanks in front of it, too.
//!
//! A mistake does not end the reading: it goes on a little behind it, so that all mistakes are told at once.

use hashbrown::HashMap;

use super::{
    Settings,
    error::{Mistake, Mistakes},
    program::{KNOWN, Node, Program, Slot, Span},
};

/// How deeply directives, texts and parentheses of a template may be nested.
pub const NESTING_MAX: usize = 64;

/// How many mistakes are told.
pub const MISTAKES_MAX: usize = 50;

/// Compiles a template.
pub(super) fn compile(source: &str, settings: &Settings) -> Result<Program, Mistakes> {
    compile_after(source, settings, KNOWN.iter().map(|name| (*name).into()).collect())
}

/// Compiles what `#evaluate` is given: its variables are those of the templates before it, by number.
pub(super) fn compile_after(
    source: &str,
    settings: &Settings,
    names: Vec<Box<str>>,
) -> Result<Program, Mistakes> {
    let starts =
        std::iter::once(0).chain(memchr::memchr_iter(b'\n', source.as_bytes()).map(|at| at as u32 + 1));
    let program = Program { names, lines: starts.collect(), source: source.into(), ..Program::default() };
    let slots = program.names.iter().enumerate().map(|(slot, name)| (name.clone(), slot as Slot)).collect();
    let mut builder = Builder { program, slots, mistakes: Vec::new(), settings };
    if source.len() > settings.source_bytes_max {
        let why = format!(
            "the template is longer than {} bytes (limit: template bytes); split it or move work to the backend",
            settings.source_bytes_max
        );
        builder.mistake(0, why);
    } else {
        let mut parser = Parser { builder: &mut builder, source, at: 0, base: Base::Source(0), depth: 0 };
        let body = parser.whole();
        builder.program.body = body;
    }
    builder.finish()
}

/// What parsers of a template and of the texts in it fill together.
pub(super) struct Builder<'s> {
    pub(super) program: Program,
    slots: HashMap<Box<str>, Slot>,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) settings: &'s Settings,
}

impl Builder<'_> {
    pub(super) fn slot(&mut self, name: &str) -> Slot {
        if let Some(slot) = self.slots.get(name) {
            return *slot;
        }
        let slot = self.program.names.len() as Slot;
        self.program.names.push(name.into());
        self.slots.insert(name.into(), slot);
        slot
    }

    pub(super) fn span(&mut self, text: &str) -> Span {
        let from = self.program.pool.len() as u32;
        self.program.pool.push_str(text);
        Span { from, to: self.program.pool.len() as u32 }
    }

    pub(super) fn add_block(&mut self, nodes: Vec<Node>) -> u32 {
        self.program.blocks.push(nodes.into());
        self.program.blocks.len() as u32 - 1
    }

    pub(super) fn mistake(&mut self, at: u32, why: String) {
        if self.mistakes.len() < MISTAKES_MAX {
            let (line, column) = self.program.place(at);
            self.mistakes.push(Mistake { line, column, why });
        }
    }

    /// Tells calls from text that looks like one, since macros may stand behind their use.
    fn finish(self) -> Result<Program, Mistakes> {
        let Self { mut program, mut mistakes, .. } = self;
        if !mistakes.is_empty() {
            mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
            return Err(Mistakes(mistakes));
        }
        for call in &mut program.calls {
            let target = program.macros.iter().position(|a_macro| a_macro.name == call.name);
            call.target = target.map(|target| target as u32);
        }
        Ok(program)
    }
}

/// Where the text of a parser stands in the source, for what is said about it.
#[derive(Clone, Copy)]
pub(super) enum Base {
    /// At this byte.
    Source(u32),
    /// It was changed on the way (doubled quotes): all of it at this byte.
    Fixed(u32),
}

pub(super) struct Parser<'b, 's, 't> {
    pub(super) builder: &'b mut Builder<'s>,
    pub(super) source: &'t str,
    pub(super) at: usize,
    pub(super) base: Base,
    pub(super) depth: usize,
}

/// Something is wrong; it has been told.
pub(super) struct Told;

pub(super) type Result<T, E = Told> = std::result::Result<T, E>;

/// What ends a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The text's own end.
    Text,
    /// `#end`
    Closed,
    Else,
    ElseIf,
}

/// Directives that this engine knows; what they are called is what may be escaped by a backslash.
pub(super) const DIRECTIVES: [&str; 13] = [
    "set", "if", "elseif", "else", "end", "foreach", "macro", "define", "stop", "break", "evaluate",
    "include", "parse",
];

impl<'t> Parser<'_, '_, 't> {
    pub(super) fn place(&self, at: usize) -> u32 {
        match self.base {
            Base::Source(base) => base + at as u32,
            Base::Fixed(at) => at,
        }
    }

    pub(super) fn here(&self) -> u32 {
        self.place(self.at)
    }

    /// Tells a mistake at a byte of this text.
    pub(super) fn told<T>(&mut self, at: usize, why: impl Into<String>) -> Result<T> {
        let at = self.place(at);
        self.builder.mistake(at, why.into());
        Err(Told)
    }

    pub(super) fn rest(&self) -> &'t str {
        self.source.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.source.as_bytes().get(self.at).copied()
    }

    pub(super) fn take(&mut self, wanted: &str) -> bool {
        let taken = self.rest().starts_with(wanted);
        if taken {
            self.at += wanted.len();
        }
        taken
    }

    /// Blanks and line ends, as between the words of an expression.
    pub(super) fn space(&mut self) {
        while self.peek().is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    pub(super) fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == NESTING_MAX {
            return self.told(self.at, format!("nested deeper than {NESTING_MAX} (limit: nesting)"));
        }
        self.depth += 1;
        let outcome = inner(self);
        self.depth -= 1;
        outcome
    }

    /// All of the text, which has nothing open in front of it.
    pub(super) fn whole(&mut self) -> u32 {
        self.block(None).0
    }

    /// All up to what ends the block, which is taken, or to the end of the text. `opened` is the directive that is open and where.
    pub(super) fn block(&mut self, opened: Option<(&str, usize)>) -> (u32, End) {
        let mut nodes = Vec::new();
        let end = self.statements(&mut nodes, opened);
        (self.builder.add_block(nodes), end)
    }

    fn statements(&mut self, nodes: &mut Vec<Node>, opened: Option<(&str, usize)>) -> End {
        loop {
            let start = self.at;
            let rest = self.rest();
            let Some(run) = memchr::memchr3(b'$', b'#', b'\\', rest.as_bytes()) else {
                self.text(nodes, rest);
                self.at = self.source.len();
                if let Some((name, at)) = opened {
                    let _: Result<()> = self.told(at, format!("`#{name}` has no `#end`"));
                }
                return End::Text;
            };
            self.at += run;
            let before = &rest[..run];
            let is_blank = before.bytes().all(|byte| matches!(byte, b' ' | b'\t'));
            if !(is_blank && self.is_set()) {
                self.text(nodes, before);
            }
            let outcome = match self.peek() {
                Some(b'$') => self.dollar(nodes, 0),
                Some(b'\\') => self.backslashes(nodes),
                _ => match self.hash(nodes) {
                    Ok(None) => Ok(()),
                    Ok(Some(end)) if opened.is_some() => {
                        let is_if = opened.is_some_and(|(name, _)| name == "if" || name == "elseif");
                        if end == End::Closed || is_if {
                            return end;
                        }
                        let _: Result<()> =
                            self.told(start + run, "`#else` and `#elseif` belong into `#if … #end`");
                        Ok(())
                    }
                    Ok(Some(_)) => {
                        let why = "nothing is open here that this could end or go on with";
                        let _: Result<()> = self.told(start + run, why);
                        Ok(())
                    }
                    Err(told) => Err(told),
                },
            };
            if outcome.is_err() {
                self.at = self.at.max(start + run + 1);
                self.recover();
            }
            debug_assert!(self.at > start, "each round takes something");
        }
    }

    /// Past what a mistake was found in: to behind the next `)`, to the next `#`, or to the next line, whichever comes first.
    pub(super) fn recover(&mut self) {
        let rest = self.rest();
        self.at += memchr::memchr3(b')', b'#', b'\n', rest.as_bytes())
            .map_or(rest.len(), |at| at + usize::from(rest.as_bytes()[at] != b'#'));
        self.line_end();
    }

    /// Adds text; what follows text becomes one with it.
    pub(super) fn text(&mut self, nodes: &mut Vec<Node>, text: &str) {
        if text.is_empty() {
            return;
        }
        let span = self.builder.span(text);
        match nodes.last_mut() {
            Some(Node::Text(last)) if last.to == span.from => last.to = span.to,
            _ => nodes.push(Node::Text(span)),
        }
    }

    /// Whether a `#set(` begins here.
    fn is_set(&self) -> bool {
        let rest = self.rest();
        let after = rest.strip_prefix("#set").or_else(|| rest.strip_prefix("#{set}"));
        after.is_some_and(|rest| rest.trim_start_matches(' ').starts_with('('))
    }

    /// A reference, or a dollar that is none.
    fn dollar(&mut self, nodes: &mut Vec<Node>, backslashes: u32) -> Result<()> {
        if let Some(mut reference) = self.reference()? {
            reference.backslashes = backslashes;
            nodes.push(Node::Reference(Box::new(reference)));
        } else {
            for _ in 0..backslashes {
                self.text(nodes, "\\");
            }
            self.text(nodes, "$");
            self.at += 1;
        }
        Ok(())
    }

    /// Backslashes escape a reference or a directive, and are text otherwise.
    fn backslashes(&mut self, nodes: &mut Vec<Node>) -> Result<()> {
        let rest = self.rest();
        let after = rest.trim_start_matches('\\');
        let (count, slashes) = (rest.len() - after.len(), &rest[..rest.len() - after.len()]);
        self.at += count;
        match after.as_bytes().first() {
            Some(b'$') => return self.dollar(nodes, count as u32),
            Some(b'#') => {
                let word = directive_word(after);
                let known = word.is_some_and(|(word, _)| {
                    DIRECTIVES.contains(&word)
                        || self.builder.program.macros.iter().any(|known| *known.name == *word)
                });
                if let (true, Some((_, length))) = (known, word) {
                    self.text(nodes, &slashes[..count / 2]);
                    if count % 2 == 1 {
                        self.text(nodes, &after[..length]);
                        self.at += length;
                    }
                    return Ok(());
                }
                self.text(nodes, slashes);
                // What is not known is no directive, escaped or not: its hash is text.
                if count % 2 == 1 && word.is_some() {
                    self.text(nodes, "#");
                    self.at += 1;
                }
            }
            _ => self.text(nodes, slashes),
        }
        Ok(())
    }

    /// A comment, raw text, a directive, a macro's call, or a hash that is text.
    fn hash(&mut self, nodes: &mut Vec<Node>) -> Result<Option<End>> {
        let start = self.at;
        let rest = self.rest();
        if rest.starts_with("##") {
            let end = memchr::memchr2(b'\n', b'\r', rest.as_bytes())
                .map_or(rest.len(), |at| at + if rest[at..].starts_with("\r\n") { 2 } else { 1 });
            self.at += end;
            return Ok(None);
        }
        if let Some(comment) = rest.strip_prefix("#*") {
            return match comment.find("*#") {
                Some(length) => {
                    self.at += 2 + length + 2;
                    Ok(None)
                }
                None => {
                    self.at = self.source.len();
                    self.told(start, "the comment `#*` is not closed by `*#`")
                }
            };
        }
        if let Some(raw) = rest.strip_prefix("#[[") {
            return match raw.find("]]#") {
                Some(length) => {
                    self.text(nodes, &raw[..length]);
                    self.at += 3 + length + 3;
                    Ok(None)
                }
                None => {
                    self.at = self.source.len();
                    self.told(start, "the raw text `#[[` is not closed by `]]#`")
                }
            };
        }
        let Some((word, length)) = directive_word(rest) else {
            self.text(nodes, "#");
            self.at += 1;
            return Ok(None);
        };
        self.at += length;
        match word {
            "set" => self.set(nodes, start).map(|()| None),
            "if" => self.if_(nodes, start).map(|()| None),
            "foreach" => self.foreach(nodes, start).map(|()| None),
            "macro" => self.macro_(start).map(|()| None),
            "define" => self.define(nodes, start).map(|()| None),
            "evaluate" => {
                self.open("evaluate", start)?;
                let what = self.parameter()?;
                self.close("evaluate")?;
                nodes.push(Node::Evaluate(Box::new((what, self.place(start)))));
                Ok(None)
            }
            "stop" => {
                nodes.push(Node::Stop);
                Ok(None)
            }
            "break" => {
                nodes.push(Node::Break);
                Ok(None)
            }
            "elseif" => Ok(Some(End::ElseIf)),
            "else" => {
                self.line_end();
                Ok(Some(End::Else))
            }
            "end" => {
                self.line_end();
                Ok(Some(End::Closed))
            }
            "include" | "parse" => self.told(
                start,
                format!("`#{word}` reads files, and a mapping template has none; put the text here"),
            ),
            name => self.call(nodes, name, start).map(|()| None),
        }
    }

    /// Takes blanks and a line end, if that is all that is left of the line.
    pub(super) fn line_end(&mut self) {
        let rest = self.rest();
        let after = rest.trim_start_matches([' ', '\t']);
        let end = ["\r\n", "\n", "\r"].iter().find_map(|end| after.strip_prefix(end));
        if let Some(end) = end {
            self.at += rest.len() - end.len();
        }
    }

    pub(super) fn open(&mut self, name: &str, start: usize) -> Result<()> {
        self.space();
        if self.take("(") {
            return Ok(());
        }
        self.told(start, format!("`#{name}` needs parentheses: `#{name}(…)`; as text write `#[[#{name}]]#`"))
    }

    pub(super) fn close(&mut self, name: &str) -> Result<()> {
        self.space();
        if self.take(")") {
            self.line_end();
            return Ok(());
        }
        let what =
            self.rest().chars().next().map_or("the end of the template".to_owned(), |c| format!("`{c}`"));
        self.told(self.at, format!("`#{name}(…)` is not closed: `)` is wanted, and there is {what}"))
    }

    /// A word that stands here by itself, taken.
    pub(super) fn word(&mut self, wanted: &str) -> Option<()> {
        let (found, length) = word(self.rest())?;
        (found == wanted).then(|| self.at += length)
    }
}

/// `#word` or `#{word}`: the word, and how long all of it is.
fn directive_word(text: &str) -> Option<(&str, usize)> {
    let rest = text.strip_prefix('#')?;
    if let Some(inner) = rest.strip_prefix('{') {
        let (found, length) = word(inner)?;
        return inner[length..].starts_with('}').then_some((found, length + 3));
    }
    word(rest).map(|(found, length)| (found, length + 1))
}

/// The word that a text begins with, and its length.
pub(super) fn word(text: &str) -> Option<(&str, usize)> {
    let is_first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte == b'@';
    text.bytes().next().filter(|byte| is_first(*byte))?;
    let length = text.bytes().take_while(|byte| is_first(*byte) || byte.is_ascii_digit()).count();
    Some((&text[..length], length))
}

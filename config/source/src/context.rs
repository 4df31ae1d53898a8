//! What all readers of one configuration share: the outside, the mistakes so far, and where things stand in a file.

use std::{
    cell::{Cell, RefCell},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use model::{Diagnostic, Origin, Severity};

use crate::Environment;

/// Mistakes that are reported; what comes after them is counted only.
const DIAGNOSTICS_MAX: usize = 500;
/// What all references of a configuration may grow to.
const EXPANDED_BYTES_MAX: usize = 64 << 20;
/// Characters of a value that a message shows.
const QUOTED_CHARS_MAX: usize = 80;

/// What is wrong with a value, and what to write instead. The reader adds the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Mistake {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A value as a message shows it: in backticks, without control characters, not too long.
pub(crate) fn quote(value: &str) -> String {
    let mut quoted = String::from("`");
    for (at, char) in value.chars().enumerate() {
        if at == QUOTED_CHARS_MAX {
            quoted.push('…');
            break;
        }
        if char.is_control() { quoted.extend(char.escape_default()) } else { quoted.push(char) }
    }
    quoted.push('`');
    quoted
}

/// A place as a message shows it: `floodgate.toml:3:1`.
pub(crate) fn place(origin: &Origin) -> String {
    format!("{}:{}:{}", origin.file, origin.line, origin.column)
}

/// What all readers share.
pub(crate) struct Context<'e> {
    pub(crate) environment: &'e dyn Environment,
    diagnostics: RefCell<Vec<Diagnostic>>,
    dropped: Cell<usize>,
    expanded_bytes: Cell<usize>,
    is_incomplete: Cell<bool>,
    /// What was read beside the files of the configuration itself.
    documents: RefCell<Vec<File>>,
}

impl<'e> Context<'e> {
    pub(crate) fn new(environment: &'e dyn Environment) -> Self {
        let (diagnostics, dropped, expanded_bytes, is_incomplete, documents) = Default::default();
        Self { environment, diagnostics, dropped, expanded_bytes, is_incomplete, documents }
    }

    /// Remembers that a file is not there: what is missing may stand in it.
    pub(crate) fn mark_incomplete(&self) {
        self.is_incomplete.set(true);
    }

    pub(crate) fn is_incomplete(&self) -> bool {
        self.is_incomplete.get()
    }

    /// Keeps a document that was read: what was read from is watched and kept, and excerpts are shown of it.
    pub(crate) fn add(&self, document: File) {
        let mut documents = self.documents.borrow_mut();
        if documents.iter().all(|other| other.name != document.name) {
            documents.push(document);
        }
    }

    /// The documents that were read so far.
    pub(crate) fn take_documents(&self) -> Vec<File> {
        self.documents.take()
    }

    pub(crate) fn report(&self, diagnostic: Diagnostic) {
        let mut diagnostics = self.diagnostics.borrow_mut();
        if diagnostics.len() < DIAGNOSTICS_MAX {
            diagnostics.push(diagnostic);
        } else {
            self.dropped.set(self.dropped.get() + 1);
        }
    }

    pub(crate) fn mistake(&self, origin: Option<&Origin>, key: &str, mistake: Mistake) {
        let Mistake { message, help } = mistake;
        self.report(Diagnostic { help, ..Diagnostic::error(origin, key, message) });
    }

    pub(crate) fn warn(&self, origin: Option<&Origin>, key: &str, mistake: Mistake) {
        let Mistake { message, help } = mistake;
        self.report(Diagnostic { help, ..Diagnostic::warning(origin, key, message) });
    }

    /// Whether references may grow by so many bytes more.
    pub(crate) fn grow(&self, bytes: usize) -> Result<(), Mistake> {
        let grown = self.expanded_bytes.get().saturating_add(bytes);
        self.expanded_bytes.set(grown);
        if grown <= EXPANDED_BYTES_MAX {
            return Ok(());
        }
        let message =
            format!("the references of this configuration hold more than {EXPANDED_BYTES_MAX} bytes");
        Err(Mistake::new(message).help("refer to shorter files"))
    }

    /// All mistakes in the order of `files` and of places, and whether there is none that stops us.
    pub(crate) fn finish(self, files: &[&File]) -> (Vec<Diagnostic>, bool) {
        let mut diagnostics = self.diagnostics.into_inner();
        let is_echo = |diagnostic: &Diagnostic| {
            let origin = diagnostic.origin.as_ref();
            let file = origin.and_then(|origin| files.iter().find(|file| file.name == origin.file));
            match (origin, file) {
                // Syntax errors have no key.
                (Some(origin), Some(file)) => {
                    !diagnostic.key.is_empty() && file.broken_lines.contains(&origin.line)
                }
                _ => false,
            }
        };
        diagnostics.retain(|diagnostic| !is_echo(diagnostic));
        diagnostics.sort_by_key(|diagnostic| {
            let origin = diagnostic.origin.as_ref();
            let file = origin.and_then(|origin| files.iter().position(|file| file.name == origin.file));
            (file, origin.map(|origin| origin.start))
        });
        diagnostics.dedup();
        if self.dropped.get() > 0 {
            let message = format!("{} more mistakes are not shown", self.dropped.get());
            diagnostics.push(Diagnostic::error(None, "", message));
        }
        let good = diagnostics.iter().all(|diagnostic| diagnostic.severity == Severity::Warning);
        (diagnostics, good)
    }
}

/// A text with a name.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) name: Arc<str>,
    pub(crate) text: Arc<str>,
    /// Where relative paths in it begin.
    pub(crate) directory: PathBuf,
    line_starts: Vec<usize>,
    is_ascii: bool,
    /// Lines with syntax errors: what stands there was guessed, so nothing else is said about them.
    broken_lines: Vec<u32>,
}

impl File {
    pub(crate) fn new(name: &str, text: String, directory: &Path) -> Self {
        let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(starts).collect();
        let (name, directory, is_ascii) = (name.into(), directory.to_owned(), text.is_ascii());
        Self { name, text: text.into(), directory, line_starts, is_ascii, broken_lines: Vec::new() }
    }

    /// The place of some bytes.
    pub(crate) fn origin(&self, span: Range<usize>) -> Origin {
        let start = span.start.min(self.text.len());
        let end = span.end.clamp(start, self.text.len());
        let line = self.line_starts.partition_point(|line_start| *line_start <= start);
        let line_start = self.line_starts[line - 1];
        let before = match self.text.get(line_start..start) {
            Some(text) if !self.is_ascii => text.chars().count(),
            _ => start - line_start,
        };
        let (line, column) = (line as u32, before as u32 + 1);
        Origin { file: self.name.clone(), line, column, start, end }
    }

    pub(crate) fn mark_broken(&mut self, lines: Vec<u32>) {
        self.broken_lines = lines;
    }

    /// Whether something may be missing only because it could not be read.
    pub(crate) fn is_broken(&self) -> bool {
        !self.broken_lines.is_empty()
    }
}

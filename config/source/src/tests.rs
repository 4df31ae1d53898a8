//! Whole configurations: what they mean, and what is said about their mistakes.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use model::{Diagnostic, Model};

use crate::{Environment, Outcome};

mod declared;
mod declared_mistakes;
mod files;
mod flags;
mod meaning;
mod mistakes;
mod openapi;
mod seeded;
mod written;
mod written_again;

/// An outside that is a table.
#[derive(Default)]
pub(crate) struct Table {
    variables: BTreeMap<String, String>,
    files: BTreeMap<PathBuf, String>,
}

impl Table {
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    pub(crate) fn file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.into(), text.into());
        self
    }
}

impl Environment for Table {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn read_file(&self, path: &Path, bytes_max: u64) -> io::Result<String> {
        let text =
            self.files.get(path).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))?;
        if text.len() as u64 > bytes_max {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "too long"));
        }
        Ok(text.clone())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let inside = self.files.keys().filter(|path| path.parent() == Some(directory));
        let names: Vec<_> = inside.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect();
        if names.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no such folder"));
        }
        Ok(names)
    }
}

/// Reads one text as `f.toml`.
pub(crate) fn read(text: &str) -> Outcome {
    crate::load(Path::new("f.toml"), &Table::default().file("f.toml", text).file("pets.yaml", openapi::PETS))
}

/// What a text means; it has no mistakes.
#[track_caller]
pub(crate) fn model(text: &str) -> Model {
    let outcome = read(text);
    let rendered = render_all(&outcome);
    outcome.model.unwrap_or_else(|| panic!("{rendered}"))
}

/// All that is said of a text, for a test that fails.
pub(crate) fn render_all(outcome: &Outcome) -> String {
    crate::render(&outcome.diagnostics, &outcome.sources, false)
}

/// A diagnostic on one line: `f.toml:1:2: message | help`.
pub(crate) fn line(diagnostic: &Diagnostic) -> String {
    let place = diagnostic.origin.as_ref().map(|it| format!("{}:{}:{}: ", it.file, it.line, it.column));
    let help = diagnostic.help.as_ref().map(|help| format!(" | {help}"));
    format!("{}{}{}", place.unwrap_or_default(), diagnostic.message, help.unwrap_or_default())
}

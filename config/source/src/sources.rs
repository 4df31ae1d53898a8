//! All that was read: for excerpts, and to say what a model was made from.

use std::sync::Arc;

/// The files that were read, verbatim, references unexpanded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    files: Vec<(Arc<str>, Arc<str>)>,
}

impl Sources {
    /// Names and texts in the order of reading: the operator's file first, then what it includes.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(name, text)| (&**name, &**text))
    }

    /// The text of one file.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.iter().find(|(other, _)| *other == name).map(|(_, text)| text)
    }

    pub(crate) fn push(&mut self, name: &Arc<str>, text: &Arc<str>) {
        self.files.push((name.clone(), text.clone()));
    }
}

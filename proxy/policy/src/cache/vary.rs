//! Variants of one resource (RFC 9111 §4.1): by which request fields its answers differ, and what a request says to them.
//! The rule of a key is the union of what its backend has named: an answer is never given to a request that its own
//! `Vary` tells apart. A rule that grows has another generation, and no variant under the old one is found again.

use std::sync::Arc;

use message::{Headers, Name};

use super::directives;
use super::key::Key;

/// Fields that may tell variants of one key apart. An answer that names more is not kept.
pub const VARY_NAMES_MAX: usize = 16;

/// By which request fields the answers under one key differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub(super) generation: u64,
    /// In lower case, sorted.
    pub(super) names: Box<[Box<str>]>,
}

/// A response that varies: what its owner has to know to find its place.
#[derive(Debug)]
pub struct Variant {
    /// The resource.
    pub(super) primary: Key,
    /// What the response names, as in [`Rule`].
    pub(super) names: Vec<Box<str>>,
    /// The fields of the request that it answers.
    pub(super) request: Headers,
}

impl Rule {
    /// The key of the variant that a request is after.
    pub(super) fn key(&self, primary: &Key, request: &Headers) -> Key {
        let mut selected = Vec::new();
        self.names.iter().for_each(|name| select(name, request, &mut selected));
        primary.variant(self.generation, &selected)
    }

    /// Bytes that its names take.
    pub(super) fn bytes(&self) -> u64 {
        self.names.iter().map(|name| (name.len() + size_of::<Box<str>>()) as u64).sum()
    }

    /// Whether it tells apart all that differs by these names.
    pub(super) fn covers(&self, names: &[Box<str>]) -> bool {
        names.iter().all(|name| self.names.binary_search(name).is_ok())
    }

    /// The rule for these names too; `None` when that are too many.
    pub(super) fn joined(&self, names: &[Box<str>], generation: u64) -> Option<Arc<Self>> {
        let all = self.names.iter().chain(names).cloned().collect();
        Self::new(all, generation)
    }

    pub(super) fn new(mut names: Vec<Box<str>>, generation: u64) -> Option<Arc<Self>> {
        names.sort_unstable();
        names.dedup();
        let fits = names.len() <= VARY_NAMES_MAX;
        fits.then(|| Arc::new(Self { generation, names: names.into() }))
    }
}

/// The names of a response's `Vary`, in lower case; `None` when there are too many, or one is no field's name.
pub(super) fn names(headers: &Headers) -> Option<Vec<Box<str>>> {
    let mut names = Vec::new();
    let fields = headers.iter().filter(|field| field.name == Name::Vary);
    for name in fields.flat_map(|field| directives::list(field.value)) {
        let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
        if names.len() > VARY_NAMES_MAX * 4 || name.contains([' ', '"', '*']) {
            return None;
        }
        names.push(name.into_boxed_str());
    }
    names.sort_unstable();
    names.dedup();
    (names.len() <= VARY_NAMES_MAX).then_some(names)
}

/// What a request says under a name: its values as one list, without the white space that does not count (§4.1). A field
/// that is not there is told from one that is empty.
fn select(name: &str, request: &Headers, out: &mut Vec<u8>) {
    let ignores_case = matches!(name, "accept-encoding" | "accept-language" | "accept-charset");
    let from = out.len();
    let mut is_there = false;
    for value in request.find_all(name) {
        is_there = true;
        for item in directives::quoted_list(value) {
            out.extend_from_slice(item);
            out.push(b',');
        }
    }
    if ignores_case {
        out[from..].make_ascii_lowercase();
    }
    out.push(u8::from(is_there));
    // Behind the value, so that nothing is to be moved; no two lists of values end alike, since each value's length
    // is known from its end.
    out.extend_from_slice(&((out.len() - from) as u32).to_le_bytes());
}

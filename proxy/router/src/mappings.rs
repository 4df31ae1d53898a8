//! Host and base path to what is mapped there (rows 35–37).
//!
//! The host is chosen first and finally: an exact name, else a wildcard for its one missing label, else every host.
//! Below it the longest base path of whole segments. A host that is mapped somewhere is not looked up elsewhere when its
//! base paths do not match, as on AWS and as with virtual hosts.

use message::Authority;

use crate::{Error, template::literal};

/// What is mapped at a host and base path.
#[derive(Clone, Copy, Debug)]
pub struct Mapping<'a, T> {
    /// `api.example.com`, `*.example.com`, or `None` for every host without mappings of its own.
    pub host: Option<&'a str>,
    /// Whole segments without slashes at the ends: `v1`, `shop/v2`; empty for the root.
    pub base_path: &'a str,
    /// What stands there.
    pub value: T,
}

/// The mappings of one listener.
#[derive(Clone, Debug)]
pub struct Mappings<T> {
    /// Sorted by name.
    exact: Vec<(Box<str>, Vec<Base<T>>)>,
    /// By what follows `*.`, sorted.
    wildcard: Vec<(Box<str>, Vec<Base<T>>)>,
    every: Vec<Base<T>>,
}

/// Longest first below each host.
#[derive(Clone, Debug)]
struct Base<T> {
    /// With its slash: `/v1`; empty for the root.
    path: Box<str>,
    value: T,
    index: u32,
}

impl<T> Mappings<T> {
    /// Builds a table, or says all that is wrong with its entries.
    pub fn build<'a>(entries: impl IntoIterator<Item = Mapping<'a, T>>) -> Result<Self, Vec<Error>> {
        let mut mappings = Self { exact: Vec::new(), wildcard: Vec::new(), every: Vec::new() };
        let errors: Vec<Error> =
            (0..).zip(entries).filter_map(|(index, mapping)| mappings.add(index, mapping).err()).collect();
        if errors.is_empty() { Ok(mappings) } else { Err(errors) }
    }

    /// What is mapped at a lower-case host and a normalised path, and how many bytes of the path the base path takes.
    pub fn find(&self, host: &str, path: &str) -> Option<(&T, usize)> {
        // A fully qualified name is the same name (RFC 3986 §3.2.2).
        let host = host.strip_suffix('.').unwrap_or(host);
        let bases = below(&self.exact, host)
            .or_else(|| {
                host.split_once('.')
                    .and_then(|(label, parent)| below(&self.wildcard, parent).filter(|_| !label.is_empty()))
            })
            .unwrap_or(&self.every);
        bases.iter().find(|base| base.takes(path)).map(|base| (&base.value, base.path.len()))
    }

    fn add(&mut self, index: u32, mapping: Mapping<'_, T>) -> Result<(), Error> {
        let path = base_path(index, mapping.base_path)?;
        let bases = match mapping.host {
            None => &mut self.every,
            Some(host) => match host.strip_prefix("*.") {
                Some(parent) => bases_mut(&mut self.wildcard, name(index, host, parent)?),
                None => bases_mut(&mut self.exact, name(index, host, host)?),
            },
        };
        if let Some(base) = bases.iter().find(|base| *base.path == path) {
            return Err(Error::SameMapping { index, other: base.index });
        }
        let place = bases.partition_point(|base| base.path.len() > path.len());
        bases.insert(place, Base { path: path.into(), value: mapping.value, index });
        Ok(())
    }
}

impl<T> Base<T> {
    fn takes(&self, path: &str) -> bool {
        // Most are the root's, and a comparison of no bytes is not free: libc's masked load reads at the empty string's
        // address, where nothing is mapped, and the processor takes some 500 cycles to find that it need not fault.
        let rest = if self.path.is_empty() { Some(path) } else { path.strip_prefix(&*self.path) };
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

fn below<'a, T>(hosts: &'a [(Box<str>, Vec<Base<T>>)], name: &str) -> Option<&'a Vec<Base<T>>> {
    let place = hosts.binary_search_by(|(host, _)| (**host).cmp(name)).ok()?;
    Some(&hosts[place].1)
}

fn bases_mut<T>(hosts: &mut Vec<(Box<str>, Vec<Base<T>>)>, name: String) -> &mut Vec<Base<T>> {
    let place = match hosts.binary_search_by(|(host, _)| (**host).cmp(&*name)) {
        Ok(place) => place,
        Err(place) => {
            hosts.insert(place, (name.into(), Vec::new()));
            place
        }
    };
    &mut hosts[place].1
}

/// A host as `Authority` has it: lower case, checked, without a port.
fn name(index: u32, host: &str, name: &str) -> Result<String, Error> {
    let bad = || Error::BadHost { index, host: host.to_owned() };
    let authority = Authority::parse(name.as_bytes()).map_err(|_| bad())?;
    let name = authority.host().strip_suffix('.').unwrap_or(authority.host());
    let labels_are_there = name.starts_with('[') || name.split('.').all(|label| !label.is_empty());
    if authority.port().is_none() && labels_are_there { Ok(name.to_owned()) } else { Err(bad()) }
}

fn base_path(index: u32, text: &str) -> Result<String, Error> {
    let mut path = String::new();
    if text.is_empty() {
        return Ok(path);
    }
    for segment in text.split('/') {
        if segment.is_empty() {
            return Err(Error::EmptySegment { index });
        }
        path.push('/');
        path.push_str(&literal(index, segment)?);
    }
    Ok(path)
}

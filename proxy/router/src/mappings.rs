//! Host and base path to what is mapped there (rows 35–37).
//!
//! The host is chosen first and finally: an exact name, else a wildcard for its one missing label, else every host.
//! Below it the longest base path of whole segments. A host that is mapped somewhere is not looked up elsewhere when its
//! base paths do not match, as on AWS and as with virtual hosts. A host may have rules that are asked before its mappings or
//! in place of them ([`Domain`]).

use message::{Authority, Headers};

use crate::{Domain, Error, template::literal};

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

/// Where a host, a path and a head lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a, T> {
    /// To what is mapped there.
    Mapped {
        /// What it is.
        value: &'a T,
        /// Bytes of the path that are the base path.
        base_bytes: usize,
        /// Whether they are to be taken off: a rule may leave them.
        strips: bool,
    },
    /// To the host's own answer for health checks (row 8).
    Healthy,
    /// Nowhere.
    Unmapped,
}

/// The mappings of one listener.
#[derive(Clone, Debug)]
pub struct Mappings<T> {
    /// Sorted by name.
    pub(crate) exact: Vec<(Box<str>, Host<T>)>,
    /// By what follows `*.`, sorted.
    pub(crate) wildcard: Vec<(Box<str>, Host<T>)>,
    pub(crate) every: Host<T>,
}

/// What is known of one host.
#[derive(Clone, Debug)]
pub(crate) struct Host<T> {
    /// Longest first.
    pub(crate) bases: Vec<Base<T>>,
    /// What only few have.
    pub(crate) domain: Option<Box<Domain<T>>>,
}

impl<T> Default for Host<T> {
    fn default() -> Self {
        Self { bases: Vec::new(), domain: None }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Base<T> {
    /// With its slash: `/v1`; empty for the root.
    pub(crate) path: Box<str>,
    pub(crate) value: T,
    index: u32,
}

impl<T> Mappings<T> {
    /// Builds a table, or says all that is wrong with its entries.
    pub fn build<'a>(entries: impl IntoIterator<Item = Mapping<'a, T>>) -> Result<Self, Vec<Error>> {
        let mut mappings = Self { exact: Vec::new(), wildcard: Vec::new(), every: Host::default() };
        let errors: Vec<Error> =
            (0..).zip(entries).filter_map(|(index, mapping)| mappings.add(index, mapping).err()).collect();
        if errors.is_empty() { Ok(mappings) } else { Err(errors) }
    }

    /// Says something of a host beside what is mapped there: `index` is its place among those of which something is said.
    pub fn describe(&mut self, index: u32, host: &str, domain: Domain<T>) -> Result<(), Error> {
        let entry = self.host_mut(index, Some(host))?;
        if entry.domain.is_some() {
            return Err(Error::SameDomain { index, host: host.to_owned() });
        }
        entry.domain = Some(Box::new(domain));
        Ok(())
    }

    /// Where a lower-case host, a normalised path and the fields of a head lead.
    pub fn find(&self, host: &str, path: &str, headers: &Headers) -> Place<'_, T> {
        let host = self.host(host);
        if let Some(domain) = &host.domain {
            if domain.health && matches!(path, "/ping" | "/sping") {
                return Place::Healthy;
            }
            let ruled = domain.rules.iter().find_map(|rule| Some((rule, rule.takes(path, headers)?)));
            if let Some((rule, base_bytes)) = ruled {
                return Place::Mapped { value: &rule.value, base_bytes, strips: rule.strips };
            }
            if !domain.maps {
                return Place::Unmapped;
            }
        }
        let base = host.bases.iter().find(|base| takes(&base.path, path));
        base.map_or(Place::Unmapped, |base| Place::Mapped {
            value: &base.value,
            base_bytes: base.path.len(),
            strips: true,
        })
    }

    /// What is known of a host: chosen first and finally.
    pub(crate) fn host(&self, host: &str) -> &Host<T> {
        // A fully qualified name is the same name (RFC 3986 §3.2.2).
        let host = host.strip_suffix('.').unwrap_or(host);
        below(&self.exact, host)
            .or_else(|| {
                host.split_once('.')
                    .and_then(|(label, parent)| below(&self.wildcard, parent).filter(|_| !label.is_empty()))
            })
            .unwrap_or(&self.every)
    }

    fn add(&mut self, index: u32, mapping: Mapping<'_, T>) -> Result<(), Error> {
        let path = base_path(index, mapping.base_path)?;
        let Host { bases, .. } = self.host_mut(index, mapping.host)?;
        if let Some(base) = bases.iter().find(|base| *base.path == path) {
            return Err(Error::SameMapping { index, other: base.index });
        }
        let place = bases.partition_point(|base| base.path.len() > path.len());
        bases.insert(place, Base { path: path.into(), value: mapping.value, index });
        Ok(())
    }

    fn host_mut(&mut self, index: u32, host: Option<&str>) -> Result<&mut Host<T>, Error> {
        let Some(host) = host else { return Ok(&mut self.every) };
        let (hosts, name) = match host.strip_prefix("*.") {
            Some(parent) => (&mut self.wildcard, name(index, host, parent)?),
            None => (&mut self.exact, name(index, host, host)?),
        };
        let place = hosts.binary_search_by(|(host, _)| (**host).cmp(&*name)).unwrap_or_else(|place| {
            hosts.insert(place, (name.into(), Host::default()));
            place
        });
        Ok(&mut hosts[place].1)
    }
}

/// Whether a path begins with the segments of a base path.
pub(crate) fn takes(base: &str, path: &str) -> bool {
    // Most are the root's, and a comparison of no bytes is not free: libc's masked load reads at the empty string's
    // address, where nothing is mapped, and the processor takes some 500 cycles to find that it need not fault.
    let rest = if base.is_empty() { Some(path) } else { path.strip_prefix(base) };
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn below<'a, T>(hosts: &'a [(Box<str>, Host<T>)], name: &str) -> Option<&'a Host<T>> {
    let place = hosts.binary_search_by(|(host, _)| (**host).cmp(name)).ok()?;
    Some(&hosts[place].1)
}

/// A host as `Authority` has it: lower case, checked, without a port.
fn name(index: u32, host: &str, name: &str) -> Result<String, Error> {
    let bad = || Error::BadHost { index, host: host.to_owned() };
    let authority = Authority::parse(name.as_bytes()).map_err(|_| bad())?;
    let name = authority.host().strip_suffix('.').unwrap_or(authority.host());
    let labels_are_there = name.starts_with('[') || name.split('.').all(|label| !label.is_empty());
    if authority.port().is_none() && labels_are_there { Ok(name.to_owned()) } else { Err(bad()) }
}

/// A base path with its slash; empty for the root.
pub(crate) fn base_path(index: u32, text: &str) -> Result<String, Error> {
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

//! Where a host's and base path's requests go, and why not elsewhere: all that is mapped and ruled, with what keeps it from a
//! request. As [`crate::Candidate`], for whoever wants a look-up explained.

use std::ptr;

use message::Headers;

use crate::{
    Mappings, Place,
    mappings::{Host, takes},
};

/// A mapping or a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a, T> {
    /// `api.example.com`, `*.example.com`; `None`: every host.
    pub host: Option<String>,
    /// With its slash; empty for the root, and for a rule of any path.
    pub base_path: &'a str,
    /// Which of its host's rules it is, from 1; `None`: a mapping.
    pub rule: Option<usize>,
    /// What stands there.
    pub value: &'a T,
    /// What keeps it from the request; `None`: it takes it.
    pub why: Option<Elsewhere>,
}

/// What keeps a mapping or a rule from a request; the nearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Elsewhere {
    /// It would take it, if what does were not more specific, or did not come first.
    Shadowed,
    /// Its host asks rules alone, and no mappings.
    RulesAlone,
    /// A rule asks for fields that the request has not.
    Condition,
    /// The host is the request's, the base path is not.
    BasePath,
    /// The host is another one.
    Host,
}

impl<T> Mappings<T> {
    /// All that is mapped and ruled: what takes the request, if anything does, and the rest, nearest first. Arguments as for
    /// [`Mappings::find`].
    pub fn entries(&self, host: &str, path: &str, headers: &Headers) -> Vec<Entry<'_, T>> {
        let taken = match self.find(host, path, headers) {
            Place::Mapped { value, .. } => Some(value),
            Place::Healthy | Place::Unmapped => None,
        };
        let chosen = self.host(host);
        let name = host.strip_suffix('.').unwrap_or(host);
        let parent = name.split_once('.').filter(|(label, _)| !label.is_empty()).map(|(_, parent)| parent);
        let exact = self.exact.iter().map(|(own, it)| (Some(own.to_string()), **own == *name, it));
        let wildcard =
            self.wildcard.iter().map(|(own, it)| (Some(format!("*.{own}")), Some(&**own) == parent, it));
        let every = [(None, true, &self.every)];
        let mut entries = Vec::new();
        for (host, is_its, it) in exact.chain(wildcard).chain(every) {
            // Of hosts whose names fit one is chosen, finally.
            let outside = match (is_its, ptr::eq(it, chosen)) {
                (false, _) => Some(Elsewhere::Host),
                (true, false) => Some(Elsewhere::Shadowed),
                (true, true) => None,
            };
            entries.extend(within(it, path, headers).map(|(base_path, rule, value, why)| {
                let why =
                    Some(outside.unwrap_or(why)).filter(|_| !taken.is_some_and(|it| ptr::eq(it, value)));
                Entry { host: host.clone(), base_path, rule, value, why }
            }));
        }
        entries.sort_by_key(|it| it.why);
        entries
    }
}

/// What one host has, and what keeps it from a request to that host.
fn within<'a, T>(
    host: &'a Host<T>,
    path: &str,
    headers: &Headers,
) -> impl Iterator<Item = (&'a str, Option<usize>, &'a T, Elsewhere)> {
    let rules = host.domain.iter().flat_map(|domain| &domain.rules);
    let ruled = rules.zip(1..).map(|(rule, number)| {
        let why = match (rule.base(path), rule.takes(path, headers)) {
            (None, _) => Elsewhere::BasePath,
            (Some(_), None) => Elsewhere::Condition,
            (Some(_), Some(_)) => Elsewhere::Shadowed,
        };
        (rule.base(path).unwrap_or_default(), Some(number), &rule.value, why)
    });
    let maps = host.domain.as_ref().is_none_or(|domain| domain.maps);
    let mapped = host.bases.iter().map(move |base| {
        let why = match takes(&base.path, path) {
            true if maps => Elsewhere::Shadowed,
            true => Elsewhere::RulesAlone,
            false => Elsewhere::BasePath,
        };
        (&*base.path, None, &base.value, why)
    });
    ruled.chain(mapped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::properties::map;

    #[track_caller]
    fn check(host: &str, path: &str, expected: &[(usize, Elsewhere)]) {
        let entries = [
            ("api.example.com", ""),
            ("api.example.com", "v1"),
            ("*.example.com", ""),
            ("", "v1"),
            ("other.net", ""),
        ];
        let table = map(&entries).unwrap();
        let entries = table.entries(host, path, &Headers::default());
        let found: Vec<_> = entries.iter().filter_map(|it| Some((*it.value, it.why?))).collect();
        assert_eq!(entries.len(), 5);
        assert_eq!(found, expected, "{host}{path}");
    }

    /// Rows 35 to 37.
    #[test]
    fn what_keeps_a_mapping_from_a_request_is_told_nearest_first() {
        use Elsewhere::{BasePath, Host, Shadowed};
        check("api.example.com", "/v1/x", &[(0, Shadowed), (2, Shadowed), (3, Shadowed), (4, Host)]);
        check("api.example.com", "/x", &[(2, Shadowed), (3, Shadowed), (1, BasePath), (4, Host)]);
        check("nobody.org", "/x", &[(3, BasePath), (1, Host), (0, Host), (4, Host), (2, Host)]);
    }
}

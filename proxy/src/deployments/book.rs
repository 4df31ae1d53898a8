//! What is known of deployments, in memory, and what it comes to: which stage runs what. It knows neither disk nor clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use model::{Definition, Upstream};

use super::record::{Head, Pointer};

/// Deployments of one API that are kept: the newest, and all that are in use.
pub(crate) const KEPT_MAX: usize = 100;
/// What those that are not in use may have frozen together, of one API, in bytes.
pub(crate) const KEPT_BYTES_MAX: u64 = 64 << 20;
/// APIs that are remembered though the configuration has them no more; those that were deployed last.
pub(crate) const ABSENT_MAX: usize = 100;
/// Stages of an API that are remembered though the configuration has them no more; those that were pointed somewhere last.
pub(crate) const STAGES_ABSENT_MAX: usize = 10;
/// Deployments that a stage ran before, as far back as a rollback without an id goes.
pub(crate) const PAST_MAX: usize = 20;

/// An API and one of its stages or deployments.
pub(crate) type Names = (String, String);

/// What a deployment froze.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Thawed {
    pub(crate) definition: Arc<Definition>,
    /// The groups of backends that it names, as they were: for when the configuration has them no more.
    pub(crate) upstreams: Vec<Upstream>,
}

/// Everything that is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Book {
    /// By API and id.
    pub(crate) heads: BTreeMap<Names, Head>,
    /// By API and stage.
    pub(crate) pointers: BTreeMap<Names, Pointer>,
}

impl Book {
    /// An API's deployments, oldest first.
    pub(crate) fn deployments<'a>(&'a self, api: &'a str) -> Vec<(&'a str, &'a Head)> {
        let own = self.heads.iter().filter(|((owner, _), _)| owner == api);
        let mut own: Vec<_> = own.map(|((_, id), head)| (&**id, head)).collect();
        own.sort_by_key(|(_, head)| head.number);
        own
    }

    /// What a stage runs.
    pub(crate) fn pointer(&self, api: &str, stage: &str) -> Option<&Pointer> {
        self.pointers.get(&(api.to_owned(), stage.to_owned()))
    }

    /// Whether a stage needs this deployment.
    pub(crate) fn is_in_use(&self, api: &str, id: &str) -> bool {
        let own = self.pointers.iter().filter(|((owner, _), _)| owner == api);
        own.flat_map(|(_, pointer)| pointer.uses()).any(|used| used == id)
    }

    /// An id that no deployment of the API has (row 26: six lower-case letters and digits).
    pub(crate) fn fresh_id(&self, api: &str) -> String {
        const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        loop {
            // Keys of the standard library's hashes are random; an id needs no more than to be another than those there are.
            let mut random = RandomState::new().hash_one(self.heads.len());
            let mut id = String::with_capacity(6);
            for _ in 0..6 {
                let digit = usize::try_from(random % 36).unwrap_or_default();
                id.push(char::from(DIGITS[digit]));
                random /= 36;
            }
            if !self.heads.contains_key(&(api.to_owned(), id.clone())) {
                return id;
            }
        }
    }

    /// The number of an API's next deployment.
    pub(crate) fn next_number(&self, api: &str) -> u64 {
        self.deployments(api).last().map_or(1, |(_, head)| head.number + 1)
    }

    /// Forgets what is more than is kept: deployments that nobody runs, and APIs and stages that are long gone. `present` are those
    /// of the configuration, with their stages. What goes.
    pub(crate) fn retain(&mut self, present: &BTreeMap<&str, BTreeSet<&str>>) -> Forgotten {
        let mut gone = Forgotten::default();
        let last = |book: &Self, api: &str| book.deployments(api).last().map(|(_, head)| head.created_unix_s);
        let names = self.heads.keys().chain(self.pointers.keys());
        let absent: BTreeSet<_> =
            names.map(|(api, _)| api.clone()).filter(|api| !present.contains_key(&**api)).collect();
        let mut absent: Vec<_> = absent.into_iter().map(|api| (last(self, &api), api)).collect();
        absent.sort_by(|a, b| b.cmp(a));
        for (_, api) in absent.into_iter().skip(ABSENT_MAX) {
            let of_it = |names: &&Names| names.0 == api;
            gone.pointers.extend(self.pointers.keys().filter(of_it).cloned());
            gone.deployments.extend(self.heads.keys().filter(of_it).cloned());
        }
        for (api, stages) in present {
            let of_it =
                self.pointers.iter().filter(|((own, stage), _)| own == api && !stages.contains(&**stage));
            let mut absent: Vec<_> = of_it.map(|(names, it)| (it.since_unix_s, names.clone())).collect();
            absent.sort_by(|a, b| b.cmp(a));
            gone.pointers.extend(absent.into_iter().skip(STAGES_ABSENT_MAX).map(|(_, names)| names));
        }
        self.pointers.retain(|names, _| !gone.pointers.contains(names));
        let apis: BTreeSet<_> = self.heads.keys().map(|(api, _)| api.clone()).collect();
        for api in apis {
            let (mut kept, mut bytes) = (0, 0);
            for (id, head) in self.deployments(&api).into_iter().rev() {
                kept += 1;
                if self.is_in_use(&api, id) {
                    continue;
                }
                bytes += head.bytes;
                if kept > KEPT_MAX || bytes > KEPT_BYTES_MAX {
                    gone.deployments.insert((api.clone(), id.to_owned()));
                }
            }
        }
        self.heads.retain(|names, _| !gone.deployments.contains(names));
        gone
    }
}

/// What is kept no more.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Forgotten {
    pub(crate) deployments: BTreeSet<Names>,
    pub(crate) pointers: BTreeSet<Names>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(number: u64, bytes: u64) -> Head {
        Head { number, created_unix_s: number, description: None, auto_deployed: false, bytes }
    }

    fn names(api: &str, other: &str) -> Names {
        (api.into(), other.into())
    }

    /// Deployments `1..=many` of one API, of which a stage uses some.
    #[track_caller]
    fn check(many: u64, bytes: u64, used: &[&str], kept: usize, oldest: &[&str]) {
        let mut book = Book::default();
        for number in 1..=many {
            book.heads.insert(names("a", &number.to_string()), head(number, bytes));
        }
        for (index, id) in used.iter().enumerate() {
            let pointer = Pointer { deployment: (*id).into(), seen: (*id).into(), ..Pointer::default() };
            book.pointers.insert(names("a", &index.to_string()), pointer);
        }
        let stages: Vec<_> = (0..used.len()).map(|index| index.to_string()).collect();
        let gone = book.retain(&BTreeMap::from([("a", stages.iter().map(|it| &**it).collect())]));
        assert_eq!((book.heads.len(), gone.pointers.len()), (kept, 0));
        assert_eq!(gone.deployments.len() + kept, usize::try_from(many).unwrap());
        let seen: Vec<_> = book.deployments("a").iter().take(oldest.len()).map(|(id, _)| *id).collect();
        assert_eq!(seen, oldest);
    }

    #[test]
    fn the_newest_are_kept_and_those_in_use() {
        check(5, 1, &["1"], 5, &["1"]);
        check(100, 1, &["100"], 100, &["1"]);
        check(103, 1, &["103"], 100, &["4"]);
        check(103, 1, &["1", "2"], 102, &["1", "2", "4"]);
        check(10, KEPT_BYTES_MAX / 2, &["10"], 3, &["8", "9", "10"]);
        check(10, KEPT_BYTES_MAX + 1, &["3", "10"], 2, &["3", "10"]);
    }

    #[test]
    fn apis_that_are_gone_are_remembered_for_a_while() {
        let mut book = Book::default();
        for number in 0..=ABSENT_MAX as u64 + 1 {
            let api = format!("api{number}");
            book.heads.insert(names(&api, "x"), head(number + 1, 1));
            book.pointers
                .insert(names(&api, "prod"), Pointer { deployment: "x".into(), ..Pointer::default() });
        }
        let gone = book.retain(&BTreeMap::from([("api0", BTreeSet::from(["prod"]))]));
        assert_eq!(gone.pointers, BTreeSet::from([names("api1", "prod")]));
        assert_eq!(gone.deployments, BTreeSet::from([names("api1", "x")]));
        assert_eq!((book.heads.len(), book.pointers.len()), (ABSENT_MAX + 1, ABSENT_MAX + 1));
    }

    /// Whoever gives stages other names all the time does not fill the disk with what they ran.
    #[test]
    fn stages_that_are_gone_are_remembered_for_a_while() {
        let mut book = Book::default();
        for number in 0..=STAGES_ABSENT_MAX as u64 + 1 {
            let pointer = Pointer {
                deployment: number.to_string(),
                seen: number.to_string(),
                since_unix_s: number,
                ..Pointer::default()
            };
            book.heads.insert(names("a", &number.to_string()), head(number + 1, KEPT_BYTES_MAX + 1));
            book.pointers.insert(names("a", &format!("stage{number}")), pointer);
        }
        let gone = book.retain(&BTreeMap::from([("a", BTreeSet::from(["stage0"]))]));
        assert_eq!(gone.pointers, BTreeSet::from([names("a", "stage1")]));
        assert_eq!(gone.deployments, BTreeSet::from([names("a", "1")]), "nobody needs it any more");
    }

    #[test]
    fn ids_are_six_letters_and_digits() {
        let book = Book::default();
        let ids: BTreeSet<_> = (0..1_000).map(|_| book.fresh_id("a")).collect();
        assert!(ids.len() > 990, "{}", ids.len());
        for id in ids {
            assert!(
                id.len() == 6 && id.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit()),
                "{id}"
            );
        }
    }
}

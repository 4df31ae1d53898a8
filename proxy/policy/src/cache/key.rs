//! Keys: what tells two entries of the cache apart. A recipe is compiled once for a route and makes a key from each
//! request. This module does not know what is stored under a key, nor where.
//!
//! A key is a sequence of values, each with its length before it, so that no two sequences are written alike. It begins
//! with the identity of the route and with what was declared, hence a reload that declares other parts finds none of
//! the old entries. The hash only finds a place and an owner: entries are told apart by all bytes of their keys.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use message::{Dialect, Headers, Method, Name, Request};
use smallvec::SmallVec;

use super::epochs::STRIPES;

/// A declared part of a key (row 85).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyPart {
    /// All values of a query parameter, by its decoded name.
    Query(String),
    /// All values of a request header, in any case.
    Header(String),
    /// A path variable, by its place in the route's template.
    Path(usize),
}

/// What an entry is found by. Clones share the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    hash: u64,
    /// The hash that names the owner: a variant lives where its primary key does.
    home: u64,
    bytes: Arc<[u8]>,
}

/// A key where it was put together: what an entry is found by as long as nobody has to remember the key.
#[derive(Clone, Copy, Debug)]
pub struct Sought<'a> {
    hash: u64,
    bytes: &'a [u8],
}

impl Sought<'_> {
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    /// The key, to be remembered.
    pub(super) fn to_key(self) -> Key {
        Key { hash: self.hash, home: self.hash, bytes: self.bytes.into() }
    }
}

impl Key {
    /// The same, borrowed.
    pub(super) fn sought(&self) -> Sought<'_> {
        Sought { hash: self.hash, bytes: &self.bytes }
    }

    /// Whether it is the one that is sought.
    pub(super) fn is(&self, sought: &Sought<'_>) -> bool {
        self.hash == sought.hash && *self.bytes == *sought.bytes
    }

    /// Which of `cores` owns the entry. Taken from the middle of the hash: the owner's table uses both ends.
    pub fn owner(&self, cores: NonZeroUsize) -> usize {
        let middle = u128::from((self.home >> 16) as u32);
        ((middle * cores.get() as u128) >> 32) as usize
    }

    /// Which of its owner's epochs it lives in: a variant in that of its resource. Taken from an end of the hash that
    /// does not name the owner.
    pub(super) fn stripe(&self) -> usize {
        self.home as usize % STRIPES
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The identity of the route it was made for.
    pub(super) fn identity(&self) -> &[u8] {
        let (length, rest) = self.bytes.split_at(LENGTH_BYTES);
        let length = length.iter().rev().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
        &rest[..length]
    }

    /// The key of one variant under this one (RFC 9111 §4.1): the `generation` of the rule by which its variants are told
    /// apart, and what the request says to that rule. No other key is written alike, since no key begins with another.
    pub(super) fn variant(&self, generation: u64, selected: &[u8]) -> Self {
        let mut draft = Draft::default();
        draft.bytes.extend_from_slice(&self.bytes);
        draft.bytes.extend_from_slice(&generation.to_le_bytes());
        draft.bytes.extend_from_slice(selected);
        Self { home: self.home, ..draft.sought().to_key() }
    }
}

#[cfg(test)]
impl Key {
    /// The same key, as if it had the hash of the other.
    pub(super) fn colliding_with(self, other: &Self) -> Self {
        Self { hash: other.hash, home: other.home, ..self }
    }
}

#[cfg(test)]
impl Recipe {
    /// The key of a request.
    pub(super) fn key(&self, request: &Request, params: &[(u32, u32)]) -> Option<Key> {
        let mut draft = Draft::default();
        self.draft(request, params, &mut draft)?;
        Some(draft.sought().to_key())
    }
}

/// How the keys of one route are made.
#[derive(Debug)]
pub(super) struct Recipe {
    /// Identity, dialect and declaration, as every key begins.
    prefix: Box<[u8]>,
    dialect: Dialect,
    parts: Option<Vec<KeyPart>>,
}

impl Recipe {
    pub(super) fn new(identity: &str, dialect: Dialect, parts: Option<Vec<KeyPart>>) -> Self {
        let mut prefix = Draft::default();
        prefix.value(identity.as_bytes());
        prefix.bytes.push(match dialect {
            Dialect::Proxy => 0,
            Dialect::Http => 1,
            Dialect::Rest => 2,
        });
        prefix.list(parts.iter().flatten(), |prefix, part| match part {
            KeyPart::Query(name) => prefix.tagged(0, name.as_bytes()),
            KeyPart::Header(name) => prefix.tagged(1, name.to_ascii_lowercase().as_bytes()),
            KeyPart::Path(at) => prefix.tagged(2, &at.to_le_bytes()),
        });
        prefix.bytes.push(u8::from(parts.is_some()));
        Self { prefix: prefix.bytes.as_slice().into(), dialect, parts }
    }

    /// What tells two entries of a route apart, for people.
    pub(super) fn describe(&self) -> String {
        let Some(parts) = &self.parts else {
            let usual = "host, path, query and the headers that backends look at";
            return if self.dialect == Dialect::Rest { "nothing".into() } else { usual.into() };
        };
        let part = |part: &KeyPart| match part {
            KeyPart::Query(name) => format!("query parameter `{name}`"),
            KeyPart::Header(name) => format!("header `{name}`"),
            KeyPart::Path(at) => format!("path variable {}", at + 1),
        };
        if parts.is_empty() {
            "nothing".into()
        } else {
            parts.iter().map(part).collect::<Vec<_>>().join(", ")
        }
    }

    /// Whether the values of this header are in the key.
    pub(super) fn has_header(&self, name: &str) -> bool {
        match &self.parts {
            Some(parts) => parts
                .iter()
                .any(|part| matches!(part, KeyPart::Header(own) if own.eq_ignore_ascii_case(name))),
            None => self.dialect != Dialect::Rest && IMPLIED_HEADERS.contains(&Name::of(name.as_bytes())),
        }
    }

    /// Whether the operator said what is in the key.
    pub(super) fn is_declared(&self) -> bool {
        self.parts.is_some()
    }

    /// Puts together the key of a request; `None` when a declared path variable is not among `params`.
    /// `HEAD` shares the entries of `GET`.
    pub(super) fn draft(&self, request: &Request, params: &[(u32, u32)], draft: &mut Draft) -> Option<()> {
        draft.bytes.extend_from_slice(&self.prefix);
        let method = if request.method == Method::Head { &Method::Get } else { &request.method };
        draft.value(method.as_str().as_bytes());
        // Even a declared key never lets one host answer for another; only REST APIs have AWS's own rule.
        if self.dialect != Dialect::Rest {
            draft.value(request.scheme.as_str().as_bytes());
            draft.value(request.authority.as_str().as_bytes());
        }
        match &self.parts {
            Some(parts) => parts.iter().try_for_each(|part| draft.part(part, request, params))?,
            None if self.dialect == Dialect::Rest => {}
            None => {
                let Request { target, headers, .. } = request;
                let is_implied = |name| IMPLIED_HEADERS.contains(&name);
                draft.implied(target.path(), target.query(), headers, is_implied);
            }
        }
        Some(())
    }

    /// Puts together the key under which a `GET` of a resource is kept, for a recipe without declared parts. `headers` are those of the
    /// request that is answered: what trusted proxies say of the outside tells entries apart here too.
    pub(super) fn draft_resource(
        &self,
        scheme: &str,
        authority: &str,
        path: &str,
        query: Option<&str>,
        headers: &Headers,
        draft: &mut Draft,
    ) {
        draft.bytes.extend_from_slice(&self.prefix);
        draft.value(Method::Get.as_str().as_bytes());
        draft.value(scheme.as_bytes());
        draft.value(authority.as_bytes());
        draft.implied(path, query, headers, |name| {
            name != Name::AcceptEncoding && IMPLIED_HEADERS.contains(&name)
        });
    }
}

/// Headers that backends commonly look at without being asked for: the encoding (`Vary: accept-encoding` is the
/// commonest of all), and what a front proxy says of the outside, which backends put into links.
const IMPLIED_HEADERS: [Name; 4] =
    [Name::AcceptEncoding, Name::XForwardedHost, Name::XForwardedPort, Name::XForwardedProto];

const LENGTH_BYTES: usize = size_of::<u32>();

/// Longest key that is put together without an allocation of its own.
const DRAFT_BYTES: usize = 512;

/// A key in the making.
#[derive(Default)]
pub(super) struct Draft {
    bytes: SmallVec<[u8; DRAFT_BYTES]>,
}

impl Draft {
    /// What it has come to.
    pub(super) fn sought(&self) -> Sought<'_> {
        let (seed, shared) = seeds();
        let mut hasher = FoldHasher::with_seed(*seed, shared);
        hasher.write(&self.bytes);
        Sought { hash: hasher.finish(), bytes: &self.bytes }
    }

    /// One value with its length. Heads are bounded far below 4 GiB.
    fn value(&mut self, value: &[u8]) {
        // Four bytes one by one: a copy of a slice is a call, and two of them, and so may `extend` be.
        (value.len() as u32).to_le_bytes().into_iter().for_each(|byte| self.bytes.push(byte));
        self.bytes.extend_from_slice(value);
    }

    fn tagged(&mut self, tag: u8, value: &[u8]) {
        self.bytes.push(tag);
        self.value(value);
    }

    /// Any number of values: a one before each, a zero at the end.
    fn list<T>(&mut self, values: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        for value in values {
            self.bytes.push(1);
            write(self, value);
        }
        self.bytes.push(0);
    }

    fn part(&mut self, part: &KeyPart, request: &Request, params: &[(u32, u32)]) -> Option<()> {
        match part {
            KeyPart::Query(name) => {
                let pairs = request.target.query().into_iter().flat_map(|query| query.split('&'));
                let values = pairs.map(split_pair).filter(|(own, _)| is_decoded(own, name));
                self.list(values, |draft, (_, value)| draft.value(value.as_bytes()));
            }
            KeyPart::Header(name) => {
                self.list(request.headers.find_all(name), |draft, value| draft.value(value));
            }
            KeyPart::Path(at) => {
                let (from, to) = *params.get(*at)?;
                self.value(request.target.path().as_bytes().get(from as usize..to as usize)?);
            }
        }
        Some(())
    }

    /// What is in a key when nothing is declared.
    fn implied(
        &mut self,
        path: &str,
        query: Option<&str>,
        headers: &Headers,
        is_implied: impl Fn(Name) -> bool,
    ) {
        self.value(path.as_bytes());
        let mut pairs: SmallVec<[&str; 16]> = query.into_iter().flat_map(|query| query.split('&')).collect();
        if query.is_some_and(order_is_free) {
            // Stable: the order of the values of one name is part of what is asked.
            pairs.sort_by(|one, other| {
                let names = (split_pair(one).0.bytes(), split_pair(other).0.bytes());
                names
                    .0
                    .map(|byte| byte.to_ascii_lowercase())
                    .cmp(names.1.map(|byte| byte.to_ascii_lowercase()))
            });
        }
        self.list(pairs, |draft, pair| draft.value(pair.as_bytes()));
        let implied = headers.iter().filter(|field| is_implied(field.name));
        self.list(implied, |draft, field| draft.tagged(field.name as u8, field.value));
    }
}

/// Whether sorting the pairs by name keeps their meaning for any backend. Some fold names (`%61` and `a`, `a.b` and
/// `a_b`, `a[0]` and `a[]`) or split at `;`, and for them a value might change its place among those of one name; such
/// queries are kept as they are.
fn order_is_free(query: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !query.contains(';') && query.split('&').all(|pair| split_pair(pair).0.bytes().all(is_plain))
}

fn split_pair(pair: &str) -> (&str, &str) {
    pair.split_once('=').unwrap_or((pair, ""))
}

/// Whether `raw`, once its escapes are decoded, is `name`: were `%78` not seen to be `x`, what a client says under that
/// name would be answered to those who say nothing.
fn is_decoded(raw: &str, name: &str) -> bool {
    let mut rest = raw.as_bytes();
    let decoded = std::iter::from_fn(|| match rest {
        [b'%', high, low, tail @ ..] => {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    rest = tail;
                    Some((high * 16 + low) as u8)
                }
                _ => {
                    rest = &rest[1..];
                    Some(b'%')
                }
            }
        }
        [byte, tail @ ..] => {
            rest = tail;
            Some(if *byte == b'+' { b' ' } else { *byte })
        }
        [] => None,
    });
    decoded.eq(name.bytes())
}

/// Drawn once for the process, since all cores must agree on the owner, and from the system's randomness, since what
/// clients can foresee they can make collide.
fn seeds() -> &'static (u64, SharedSeed) {
    static SEEDS: OnceLock<(u64, SharedSeed)> = OnceLock::new();
    SEEDS.get_or_init(|| {
        let random = RandomState::new();
        (random.hash_one(0u8), SharedSeed::from_u64(random.hash_one(1u8)))
    })
}

//! Method and path to a route: a tree of segments, walked from the most to the least specific with a way back.
//!
//! | | REST (row 23) | HTTP (row 25) | proxy |
//! |--|--|--|--|
//! | first | per segment literal, `{x}`, `{x+}` | all routes without `{x+}`, then those with; literal before `{x}` | as HTTP |
//! | `ANY` | the seven methods of row 22 | the same | any token |
//! | `HEAD` | its own route or `ANY` | the same | also a `GET` route |
//! | `/` at the end | ignored | matters [U] | matters |
//! | `{x+}` | one byte or more | one byte or more | also nothing behind the slash |
//!
//! A specific method beats `ANY` on the same resource and on no other: `ANY /pets/dog` beats `GET /pets/{id}`, since
//! `ANY` stands for all methods that *its* resource lacks. A resource that lacks the method is passed by.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use message::Method;
use smallvec::SmallVec;

use crate::{
    Error,
    template::{self, Segment},
};

/// Whose order of precedence a table follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precedence {
    /// REST APIs (row 23).
    Rest,
    /// HTTP APIs (row 25).
    Http,
    /// Dialect `proxy`: as HTTP APIs, without their surprises for users of reverse proxies.
    Proxy,
}

/// A route to be: what it takes and the number by which it is known.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    /// Which requests.
    pub key: Key<'a>,
    /// Given back by [`Router::find`] and in errors.
    pub index: u32,
}

/// Which requests a route takes.
#[derive(Clone, Copy, Debug)]
pub enum Key<'a> {
    /// `$default`: those that no other takes, of any method.
    Default,
    /// A method and a path template.
    Path {
        /// `None`: `ANY`.
        method: Option<&'a str>,
        /// `/pets/{id}`, `/{proxy+}`.
        template: &'a str,
    },
}

/// The route of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Its number.
    pub route: u32,
    /// The values of its variables in the template's order: byte ranges of the path that was looked up.
    pub params: Params,
}

/// Byte ranges. Up to four cost no allocation.
type Params = SmallVec<[(u32, u32); 4]>;

/// Why no route takes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// No route has the path.
    Path,
    /// Routes have the path, none of them the method.
    Method,
}

/// The routes of one API.
#[derive(Clone, Debug)]
pub struct Router {
    precedence: Precedence,
    /// The first is `/`.
    pub(crate) nodes: Vec<Node>,
    /// What [`Literals::Many`] stands for, of all nodes in one table: a step costs the same however many stand beside it.
    edges: HashTable<Edge>,
    pub(crate) default: Option<u32>,
}

/// A step from a node over a literal segment.
#[derive(Clone, Debug)]
struct Edge {
    from: u32,
    to: u32,
    segment: Box<str>,
}

/// What follows one segment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    literals: Literals,
    pub(crate) variable: Option<u32>,
    /// The routes that end here.
    pub(crate) exact: Methods,
    /// The routes that end here with `{x+}`.
    pub(crate) greedy: Methods,
}

/// The literal segments that may follow, and the nodes that they lead to.
#[derive(Clone, Debug, Default)]
enum Literals {
    #[default]
    None,
    /// Most nodes have no other, and who compares needs no hash.
    One(Box<str>, u32),
    /// In the table.
    Many,
}

/// The routes of one resource.
#[derive(Clone, Debug, Default)]
pub(crate) struct Methods {
    pub(crate) specific: Vec<(Method, u32)>,
    pub(crate) any: Option<u32>,
}

/// What a walk looks for.
#[derive(Clone, Copy, Debug)]
struct Wanted<'a> {
    method: &'a Method,
    path: &'a str,
    exact: bool,
    greedy: bool,
}

/// What a walk came by.
#[derive(Debug)]
struct Met {
    miss: Miss,
    /// Routes that end with `{x+}` and were not wanted.
    greedy: bool,
}

impl Router {
    /// Builds a table, or says all that is wrong with its routes.
    pub fn build<'a>(
        precedence: Precedence,
        routes: impl IntoIterator<Item = Route<'a>>,
    ) -> Result<Self, Vec<Error>> {
        let mut router =
            Self { precedence, nodes: vec![Node::default()], edges: HashTable::new(), default: None };
        let errors: Vec<Error> = routes.into_iter().filter_map(|route| router.add(route).err()).collect();
        if errors.is_empty() { Ok(router) } else { Err(errors) }
    }

    /// The route that takes a request. `path` is normalised and begins with a slash, or is empty, which is `/`.
    pub fn find(&self, method: &Method, path: &str) -> Result<Match, Miss> {
        let mut params = Params::new();
        let mut met = Met { miss: Miss::Path, greedy: false };
        let path = self.trim(path);
        let mut walk = |exact, greedy, met: &mut Met| {
            let wanted = Wanted { method, path, exact, greedy };
            self.walk(0, 1, wanted, &mut params, met)
        };
        // Whoever sends four gigabytes of path has no route.
        let route = match self.precedence {
            _ if u32::try_from(path.len()).is_err() => None,
            Precedence::Rest => walk(true, true, &mut met),
            Precedence::Http | Precedence::Proxy => match walk(true, false, &mut met) {
                // In vain it has met every node that a second walk would.
                None if met.greedy => walk(false, true, &mut met),
                found => found,
            },
        };
        match route.or(self.default) {
            Some(route) => Ok(Match { route, params }),
            None => Err(met.miss),
        }
    }

    /// Whether a slash at the end matters is settled here and nowhere else. For HTTP APIs it is unconfirmed.
    pub(crate) fn trim<'a>(&self, path: &'a str) -> &'a str {
        match self.precedence {
            Precedence::Rest => path.strip_suffix('/').unwrap_or(path),
            // The root has no segments, not an empty one.
            Precedence::Http | Precedence::Proxy if path == "/" => "",
            Precedence::Http | Precedence::Proxy => path,
        }
    }

    /// The best route below a node for what stands in the path from `at` on; `at` lies behind a slash, or one byte
    /// behind the end when the path is used up. Every node has one place in any path, so a walk sees each at most once.
    fn walk(
        &self,
        node: u32,
        at: usize,
        wanted: Wanted<'_>,
        params: &mut Params,
        met: &mut Met,
    ) -> Option<u32> {
        let (number, node) = (node, &self.nodes[node as usize]);
        let rest = wanted.path.get(at..);
        if let Some(rest) = rest {
            let segment = &rest[..segment_bytes(rest.as_bytes())];
            let end = at + segment.len();
            if let Some(child) = self.literal(number, segment)
                && let Some(route) = self.walk(child, end + 1, wanted, params, met)
            {
                return Some(route);
            }
            if let Some(child) = node.variable.filter(|_| !segment.is_empty()) {
                params.push((at as u32, end as u32));
                if let Some(route) = self.walk(child, end + 1, wanted, params, met) {
                    return Some(route);
                }
                params.pop();
            }
        } else if wanted.exact
            && let Some(route) = self.choose(&node.exact, wanted.method, met)
        {
            return Some(route);
        }
        if node.greedy.is_empty() || !wanted.greedy {
            met.greedy |= !node.greedy.is_empty();
            return None;
        }
        let range = self.greedy_range(at, rest)?;
        let route = self.choose(&node.greedy, wanted.method, met)?;
        params.push((range.0 as u32, range.1 as u32));
        Some(route)
    }

    /// The literal segments behind each node, and the nodes that they lead to: the whole table, for whoever reads all of it.
    pub(crate) fn literals(&self) -> Vec<Vec<(&str, u32)>> {
        let mut literals: Vec<Vec<_>> = vec![Vec::new(); self.nodes.len()];
        for (from, node) in self.nodes.iter().enumerate() {
            if let Literals::One(segment, to) = &node.literals {
                literals[from].push((&**segment, *to));
            }
        }
        for Edge { from, to, segment } in &self.edges {
            literals[*from as usize].push((&**segment, *to));
        }
        literals
    }

    /// What `{x+}` takes, if it takes this.
    pub(crate) fn greedy_range(&self, at: usize, rest: Option<&str>) -> Option<(usize, usize)> {
        let takes_nothing = self.precedence == Precedence::Proxy;
        match rest {
            Some(rest) => (takes_nothing || !rest.is_empty()).then(|| (at, at + rest.len())),
            // `/{x+}` takes `/` there, but `/a/{x+}` does not take `/a`.
            None => (takes_nothing && at == 1).then_some((0, 0)),
        }
    }

    fn choose(&self, methods: &Methods, method: &Method, met: &mut Met) -> Option<u32> {
        let route = self.chosen(methods, method);
        if route.is_none() && !methods.is_empty() {
            met.miss = Miss::Method;
        }
        route
    }

    /// The route of a resource that takes a method.
    pub(crate) fn chosen(&self, methods: &Methods, method: &Method) -> Option<u32> {
        let specific = |wanted: &Method| methods.specific.iter().find(|(method, _)| method == wanted);
        let is_proxy = self.precedence == Precedence::Proxy;
        specific(method)
            .or_else(|| specific(&Method::Get).filter(|_| is_proxy && *method == Method::Head))
            .map(|(_, route)| *route)
            .or_else(|| methods.any.filter(|_| is_proxy || is_of_any(method)))
    }

    fn add(&mut self, route: Route<'_>) -> Result<(), Error> {
        let index = route.index;
        match route.key {
            Key::Default if self.precedence == Precedence::Rest => Err(Error::DefaultInRest { index }),
            Key::Default => match self.default {
                Some(other) => Err(Error::SameRoute { index, other }),
                None => {
                    self.default = Some(index);
                    Ok(())
                }
            },
            Key::Path { method, template } => {
                let method = method.map(|token| self.method(index, token)).transpose()?;
                let segments = template::parse(index, template, self.precedence != Precedence::Rest)?;
                self.resource(&segments).add(method, index)
            }
        }
    }

    fn method(&self, index: u32, token: &str) -> Result<Method, Error> {
        let method = Method::from_token(token);
        let is_known = match self.precedence {
            Precedence::Rest | Precedence::Http => is_of_any(&method),
            Precedence::Proxy => is_token(token),
        };
        if is_known { Ok(method) } else { Err(Error::BadMethod { index, method: token.to_owned() }) }
    }

    fn resource(&mut self, segments: &[Segment<'_>]) -> &mut Methods {
        let mut node = 0;
        for segment in segments {
            node = match segment {
                Segment::Literal(text) => match self.literal(node, text) {
                    Some(child) => child,
                    None => {
                        let child = self.push_node();
                        self.lead(node, text.as_str().into(), child);
                        child
                    }
                },
                Segment::Variable(_) => match self.nodes[node as usize].variable {
                    Some(child) => child,
                    None => {
                        let child = self.push_node();
                        self.nodes[node as usize].variable = Some(child);
                        child
                    }
                },
                // The last one: `template::parse` has seen to it.
                Segment::Greedy(_) => return &mut self.nodes[node as usize].greedy,
            };
        }
        &mut self.nodes[node as usize].exact
    }

    /// Where a literal segment leads from a node.
    fn literal(&self, from: u32, segment: &str) -> Option<u32> {
        match &self.nodes[from as usize].literals {
            Literals::None => None,
            Literals::One(only, to) => (**only == *segment).then_some(*to),
            Literals::Many => {
                let is_it = |edge: &Edge| edge.from == from && *edge.segment == *segment;
                self.edges.find(hash(from, segment), is_it).map(|edge| edge.to)
            }
        }
    }

    /// Leads on over a literal segment that did not before.
    fn lead(&mut self, from: u32, segment: Box<str>, to: u32) {
        let literals = &mut self.nodes[from as usize].literals;
        *literals = match std::mem::replace(literals, Literals::Many) {
            Literals::None => Literals::One(segment, to),
            Literals::One(first, of_first) => {
                for (segment, to) in [(first, of_first), (segment, to)] {
                    let edge = Edge { from, to, segment };
                    self.edges.insert_unique(edge.hash(), edge, Edge::hash);
                }
                Literals::Many
            }
            Literals::Many => {
                let edge = Edge { from, to, segment };
                self.edges.insert_unique(edge.hash(), edge, Edge::hash);
                Literals::Many
            }
        };
    }

    fn push_node(&mut self) -> u32 {
        self.nodes.push(Node::default());
        (self.nodes.len() - 1) as u32
    }
}

impl Edge {
    fn hash(&self) -> u64 {
        hash(self.from, &self.segment)
    }
}

/// How many bytes there are before a slash: eight at a time, as segments are too short for a search that is called. A zero byte in a
/// word is found as in "Bit Twiddling Hacks"; the lowest bit that is set is right.
fn segment_bytes(rest: &[u8]) -> usize {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let (words, tail) = rest.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word) ^ (LOW * b'/' as u64);
        let slashes = word.wrapping_sub(LOW) & !word & HIGH;
        if slashes != 0 {
            return number * 8 + slashes.trailing_zeros() as usize / 8;
        }
    }
    words.len() * 8 + tail.iter().position(|byte| *byte == b'/').unwrap_or(tail.len())
}

/// What is hashed into a table is the operator's: who asks can only meet what stands there, and a fixed seed will do.
fn hash(from: u32, segment: &str) -> u64 {
    let mut hasher = FixedState::with_seed(u64::from(from)).build_hasher();
    hasher.write(segment.as_bytes());
    hasher.finish()
}

impl Methods {
    fn is_empty(&self) -> bool {
        self.specific.is_empty() && self.any.is_none()
    }

    fn add(&mut self, method: Option<Method>, index: u32) -> Result<(), Error> {
        let taken = match &method {
            Some(method) => self.specific.iter().find(|(own, _)| own == method).map(|(_, other)| *other),
            None => self.any,
        };
        if let Some(other) = taken {
            return Err(Error::SameRoute { index, other });
        }
        match method {
            Some(method) => self.specific.push((method, index)),
            None => self.any = Some(index),
        }
        Ok(())
    }
}

/// The methods that AWS's `ANY` stands for (row 22), which are those that a route may have.
fn is_of_any(method: &Method) -> bool {
    match method {
        Method::Get
        | Method::Put
        | Method::Post
        | Method::Delete
        | Method::Patch
        | Method::Options
        | Method::Head => true,
        Method::Connect | Method::Trace | Method::Other(_) => false,
    }
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

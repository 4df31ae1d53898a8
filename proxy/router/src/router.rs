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
    nodes: Vec<Node>,
    default: Option<u32>,
}

/// What follows one segment.
#[derive(Clone, Debug, Default)]
struct Node {
    /// Sorted by text.
    literals: Vec<(Box<str>, u32)>,
    variable: Option<u32>,
    /// The routes that end here.
    exact: Methods,
    /// The routes that end here with `{x+}`.
    greedy: Methods,
}

/// The routes of one resource.
#[derive(Clone, Debug, Default)]
struct Methods {
    specific: Vec<(Method, u32)>,
    any: Option<u32>,
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
        let mut router = Self { precedence, nodes: vec![Node::default()], default: None };
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
    fn trim<'a>(&self, path: &'a str) -> &'a str {
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
        let node = &self.nodes[node as usize];
        let rest = wanted.path.get(at..);
        if let Some(rest) = rest {
            let segment = rest.split_once('/').map_or(rest, |(segment, _)| segment);
            let end = at + segment.len();
            if let Some(child) = node.literal(segment)
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

    /// What `{x+}` takes, if it takes this.
    fn greedy_range(&self, at: usize, rest: Option<&str>) -> Option<(usize, usize)> {
        let takes_nothing = self.precedence == Precedence::Proxy;
        match rest {
            Some(rest) => (takes_nothing || !rest.is_empty()).then(|| (at, at + rest.len())),
            // `/{x+}` takes `/` there, but `/a/{x+}` does not take `/a`.
            None => (takes_nothing && at == 1).then_some((0, 0)),
        }
    }

    fn choose(&self, methods: &Methods, method: &Method, met: &mut Met) -> Option<u32> {
        let specific = |wanted: &Method| methods.specific.iter().find(|(method, _)| method == wanted);
        let is_proxy = self.precedence == Precedence::Proxy;
        let route = specific(method)
            .or_else(|| specific(&Method::Get).filter(|_| is_proxy && *method == Method::Head))
            .map(|(_, route)| *route)
            .or_else(|| methods.any.filter(|_| is_proxy || is_of_any(method)));
        if route.is_none() && !methods.is_empty() {
            met.miss = Miss::Method;
        }
        route
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
                Segment::Literal(text) => {
                    let literals = &self.nodes[node].literals;
                    match literals.binary_search_by(|(literal, _)| (**literal).cmp(text)) {
                        Ok(place) => literals[place].1 as usize,
                        Err(place) => {
                            let child = self.push_node();
                            self.nodes[node].literals.insert(place, (text.as_str().into(), child as u32));
                            child
                        }
                    }
                }
                Segment::Variable(_) => match self.nodes[node].variable {
                    Some(child) => child as usize,
                    None => {
                        let child = self.push_node();
                        self.nodes[node].variable = Some(child as u32);
                        child
                    }
                },
                // The last one: `template::parse` has seen to it.
                Segment::Greedy(_) => return &mut self.nodes[node].greedy,
            };
        }
        &mut self.nodes[node].exact
    }

    fn push_node(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }
}

impl Node {
    fn literal(&self, segment: &str) -> Option<u32> {
        let place = self.literals.binary_search_by(|(literal, _)| (**literal).cmp(segment)).ok()?;
        Some(self.literals[place].1)
    }
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

//! Why a request did not go elsewhere: every other route of a table, and what keeps it from a request. The same tables that
//! serve, read as a whole, for whoever wants a look-up explained; no request that is served comes here.

use std::cmp::Reverse;

use message::Method;

use crate::router::{Methods, Router};

/// A route that a request did not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its number.
    pub route: u32,
    /// What keeps it from the request.
    pub why: WhyNot,
}

/// What keeps a route from a request. Segments are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyNot {
    /// It would take it, if the one that does were not more specific.
    Outranked,
    /// Its path is that of the request, its method is not.
    Method,
    /// The path has something else there.
    Segment(usize),
    /// The path ends before that segment.
    Ends(usize),
    /// The path goes on with that segment, where the route ends.
    GoesOn(usize),
}

impl WhyNot {
    /// What would take it goes before what has another method, and that before what has another path: the later, the nearer.
    fn distance(self) -> (u8, Reverse<usize>) {
        match self {
            Self::Outranked => (0, Reverse(0)),
            Self::Method => (1, Reverse(0)),
            Self::Segment(at) | Self::Ends(at) | Self::GoesOn(at) => (2, Reverse(at)),
        }
    }
}

/// Where a walk over the whole table is.
#[derive(Clone, Copy)]
struct Place {
    /// Segments of the template so far.
    depth: usize,
    /// Where the path begins that is not compared yet, as in a look-up.
    at: usize,
    /// The first thing in which they differ.
    differs: Option<WhyNot>,
    /// How many segments do.
    differences: usize,
}

/// What is asked for, and the literal segments of the table.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    method: &'a Method,
    path: &'a str,
    literals: &'a [Vec<(&'a str, u32)>],
}

/// All that is gathered: in how many segments it is another, what keeps it, which it is.
type Found = Vec<(usize, WhyNot, u32)>;

impl Router {
    /// All routes but the one that takes the request, nearest first. `path` as for [`Router::find`].
    pub fn candidates(&self, method: &Method, path: &str) -> Vec<Candidate> {
        let taken = self.find(method, path).ok().map(|found| found.route);
        let mut found = Found::new();
        let path = self.trim(path);
        let wanted = Wanted { method, path, literals: &self.literals() };
        self.gather(0, Place { depth: 0, at: 1, differs: None, differences: 0 }, wanted, &mut found);
        found.extend(self.default.map(|route| (0, WhyNot::Outranked, route)));
        found.retain(|(_, _, route)| Some(*route) != taken);
        found.sort_by_key(|(differences, why, route)| (*differences, why.distance(), *route));
        found.into_iter().map(|(_, why, route)| Candidate { route, why }).collect()
    }

    /// The routes below a node, which lies as deep as a template may be long.
    fn gather(&self, node: u32, place: Place, wanted: Wanted<'_>, found: &mut Found) {
        let Wanted { method, path, literals } = wanted;
        let own = &self.nodes[node as usize];
        let rest = path.get(place.at..);
        let segment = rest.map(|rest| rest.split_once('/').map_or(rest, |(segment, _)| segment));
        let next = |fits: bool| {
            let depth = place.depth + 1;
            let differs = match segment {
                _ if fits => None,
                Some(_) => Some(WhyNot::Segment(depth)),
                None => Some(WhyNot::Ends(depth)),
            };
            Place {
                depth,
                at: segment.map_or(place.at, |segment| place.at + segment.len() + 1),
                differs: place.differs.or(differs),
                differences: place.differences + usize::from(!fits),
            }
        };
        for (literal, child) in &literals[node as usize] {
            self.gather(*child, next(segment == Some(*literal)), wanted, found);
        }
        if let Some(child) = own.variable {
            self.gather(child, next(segment.is_some_and(|segment| !segment.is_empty())), wanted, found);
        }
        let ends = Place {
            differs: place.differs.or(rest.map(|_| WhyNot::GoesOn(place.depth + 1))),
            differences: place.differences + rest.map_or(0, |rest| rest.split('/').count()),
            ..place
        };
        self.judge(&own.exact, ends, method, found);
        let takes = self.greedy_range(place.at, rest).is_some();
        self.judge(&own.greedy, next(takes), method, found);
    }

    /// The routes of one resource.
    fn judge(&self, methods: &Methods, place: Place, method: &Method, found: &mut Found) {
        let alone = |specific, any| Methods { specific, any };
        let specific = methods.specific.iter().map(|own| (own.1, alone(vec![own.clone()], None)));
        let any = methods.any.map(|route| (route, alone(Vec::new(), Some(route))));
        for (route, only) in specific.chain(any) {
            let why = place.differs.unwrap_or(match self.chosen(&only, method) {
                Some(_) => WhyNot::Outranked,
                None => WhyNot::Method,
            });
            found.push((place.differences, why, route));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Precedence, properties::build};

    /// Routes in lines, a request, and all that does not take it with its reason.
    #[track_caller]
    fn check(precedence: Precedence, keys: &[&str], request: &str, expected: &[(&str, WhyNot)]) {
        let (method, path) = request.split_once(' ').unwrap();
        let router = build(precedence, keys).unwrap();
        let found = router.candidates(&Method::from_token(method), path);
        let found: Vec<_> = found.iter().map(|it| (keys[it.route as usize], it.why)).collect();
        assert_eq!(found, expected, "{precedence:?} {request}");
    }

    /// Rows 23 to 25.
    #[test]
    fn what_keeps_a_route_from_a_request_is_told_nearest_first() {
        use WhyNot::{Ends, GoesOn, Method, Outranked, Segment};
        let rest = ["GET /pets", "GET /pets/{id}", "POST /pets/{id}", "ANY /pets/{rest+}", "GET /shop/{id}"];
        check(
            Precedence::Rest,
            &rest,
            "GET /pets/7/",
            &[
                ("ANY /pets/{rest+}", Outranked),
                ("POST /pets/{id}", Method),
                ("GET /pets", GoesOn(2)),
                ("GET /shop/{id}", Segment(1)),
            ],
        );
        check(
            Precedence::Rest,
            &rest,
            "GET /pets",
            &[
                ("GET /pets/{id}", Ends(2)),
                ("POST /pets/{id}", Ends(2)),
                ("ANY /pets/{rest+}", Ends(2)),
                ("GET /shop/{id}", Segment(1)),
            ],
        );
        let http = ["$default", "ANY /{proxy+}", "GET /pets/dog", "GET /a/b/c"];
        check(
            Precedence::Http,
            &http,
            "GET /pets/dog",
            &[("$default", Outranked), ("ANY /{proxy+}", Outranked), ("GET /a/b/c", Segment(1))],
        );
        check(
            Precedence::Http,
            &http,
            "TRACE /pets/dog",
            &[("ANY /{proxy+}", Method), ("GET /pets/dog", Method), ("GET /a/b/c", Segment(1))],
        );
        check(Precedence::Proxy, &["GET /", "GET /{rest+}"], "HEAD /", &[("GET /{rest+}", Outranked)]);
    }
}

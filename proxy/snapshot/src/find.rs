//! From a request to its route: host and base path → API, stage → method and path → route (rows 24, 25, 36, 37).

use message::{Dialect, Reason, Request};
use router::Match;

use crate::{Api, Route, Snapshot, Stage};

/// The way to a route.
#[derive(Debug)]
pub struct Found<'a> {
    /// The API.
    pub api: &'a Api,
    /// The stage.
    pub stage: &'a Stage,
    /// The route, unless the API answers a preflight by itself or there is none.
    pub route: Result<(&'a Route, Match), Reason>,
}

/// No API was found, or no stage: whose rules the answer follows, and why.
#[derive(Debug, PartialEq, Eq)]
pub struct Missed {
    /// Whose error answers apply.
    pub dialect: Dialect,
    /// Why.
    pub reason: Reason,
}

impl Snapshot {
    /// Finds the API and the route; takes base path and stage off the request's path, so that what is matched is
    /// what is authorised, cached and forwarded.
    pub fn find<'a>(&'a self, request: &mut Request) -> Result<Found<'a>, Missed> {
        let path = request.target.path();
        let Some((mapped, taken)) = self.mappings.find(request.authority.host(), path) else {
            return Err(Missed { dialect: self.stranger_dialect(), reason: Reason::NoApi });
        };
        let api = &self.apis[mapped.api];
        let (stage, taken) = match mapped.stage {
            Some(stage) => (&api.stages[stage], taken),
            None => {
                let missed = Missed { dialect: api.dialect, reason: Reason::NoStage };
                stage(api, &path[taken..]).map(|(stage, more)| (stage, taken + more)).ok_or(missed)?
            }
        };
        if taken > 0 {
            request.target.strip(taken);
        }
        let found = stage.router.find(&request.method, request.target.path());
        let route =
            found.map(|found| (&stage.routes[found.route as usize], found)).map_err(|_| Reason::NoRoute);
        Ok(Found { api, stage, route })
    }

    /// How to answer when no API was chosen: as the only dialect there is, else as AWS's front does.
    fn stranger_dialect(&self) -> Dialect {
        match self.apis.first() {
            Some(first) if self.apis.iter().all(|api| api.dialect == first.dialect) => first.dialect,
            _ => Dialect::Rest,
        }
    }
}

/// The stage that the path begins with, and how many bytes of the path name it; else `$default` (row 25).
fn stage<'a>(api: &'a Api, path: &str) -> Option<(&'a Stage, usize)> {
    let segment = path.strip_prefix('/').and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let named = api.stages.iter().find(|stage| stage.name == segment).map(|stage| (stage, segment.len() + 1));
    named.or_else(|| api.stages.iter().find(|stage| stage.name == "$default").map(|stage| (stage, 0)))
}

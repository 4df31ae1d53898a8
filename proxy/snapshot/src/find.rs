//! From a request to its route: host and base path → API, stage → method and path → route (rows 24, 25, 36, 37).

use message::{Dialect, Headers, Reason, Request, RequestId};
use policy::gateway_response::{Asked, GatewayResponses};
use router::{Match, Place};

use crate::{Api, OfDomain, Route, Snapshot, Stage};

/// The way to a route.
#[derive(Debug)]
pub struct Found<'a> {
    /// The API.
    pub api: &'a Api,
    /// The stage.
    pub stage: &'a Stage,
    /// The route, unless the API answers a preflight by itself or there is none.
    pub route: Result<(&'a Route, Match), Reason>,
    /// Bytes of the request's path that are the mapping's base path; `None`: it came by the default endpoint.
    pub base_bytes: Option<u32>,
    /// Whether the client's TLS name has to be the host: the API or the domain is strict (row 13).
    pub is_strict: bool,
}

impl Found<'_> {
    /// Puts by what the stage's own answers take from a request, in place of what was put by of another.
    pub fn asked(&self, responses: &GatewayResponses, request: &Request, asked: &mut Asked) {
        match &self.route {
            Ok((route, found)) => responses.ask(request, &route.names, &found.params, asked),
            Err(_) => responses.ask(request, &[], &[], asked),
        }
    }
}

/// The way to a stage.
struct Reached<'a> {
    api: &'a Api,
    stage: &'a Stage,
    base_bytes: Option<u32>,
    /// Bytes of the path that say where it is.
    bytes: usize,
    domain: OfDomain,
}

/// No stage was found.
#[derive(Debug)]
pub enum Missed<'a> {
    /// The host answers a health check by itself (row 8).
    Healthy,
    /// There is none.
    Refused {
        /// The API, if that was found.
        api: Option<&'a Api>,
        /// Whose error answers apply.
        dialect: Dialect,
        /// Why.
        reason: Reason,
    },
}

impl Snapshot {
    /// Finds the API and the route; takes base path and stage off the request's path, so that what is matched is
    /// what is authorised, cached and forwarded. Where the stage has a canary, the request's id draws which of both it is.
    pub fn find<'a>(&'a self, request: &mut Request, id: RequestId) -> Result<Found<'a>, Missed<'a>> {
        let (host, path) = (request.authority.host(), request.target.path());
        let reached = match self.endpoints.find(host, path, &request.headers) {
            Some(reached) => self.by_default(&reached, path),
            None => self.by_mapping(host, path, &request.headers),
        }?;
        let Reached { api, stage, base_bytes, bytes, domain } = reached;
        let stage = stage.drawn(id);
        if stage.is_strict && domain.is_elsewhere {
            let (dialect, reason) = (api.dialect, Reason::EndpointAccess);
            return Err(Missed::Refused { api: Some(api), dialect, reason });
        }
        let is_strict = stage.is_strict || domain.is_strict;
        if bytes > 0 {
            request.target.strip(bytes);
        }
        let found = stage.router.find(&request.method, request.target.path());
        let route =
            found.map(|found| (&stage.routes[found.route as usize], found)).map_err(|_| Reason::NoRoute);
        Ok(Found { api, stage, route, base_bytes, is_strict })
    }

    /// What stands at an API's default endpoint (rows 10, 11).
    fn by_default<'a>(
        &'a self,
        reached: &router::Reached<'_, '_, usize>,
        path: &str,
    ) -> Result<Reached<'a>, Missed<'a>> {
        let api = &self.apis[*reached.value];
        let refused = |reason| Missed::Refused { api: Some(api), dialect: api.dialect, reason };
        let named = match reached.stage {
            Some(name) => api.stages.iter().find(|stage| stage.name == name).map(|stage| (stage, 0)),
            None => stage(api, path),
        };
        let (stage, more) = named.ok_or_else(|| refused(Reason::NoStage))?;
        if stage.disables_default_endpoint {
            return Err(refused(Reason::EndpointDisabled));
        }
        let bytes = reached.bytes + more;
        // Its default endpoint is of its own type.
        Ok(Reached { api, stage, base_bytes: None, bytes, domain: OfDomain::default() })
    }

    /// What is mapped at a host and base path.
    fn by_mapping(&self, host: &str, path: &str, headers: &Headers) -> Result<Reached<'_>, Missed<'_>> {
        let (mapped, base_bytes, taken) = match self.mappings.find(host, path, headers) {
            Place::Mapped { value, base_bytes, strips } => {
                (value, base_bytes, if strips { base_bytes } else { 0 })
            }
            Place::Healthy => return Err(Missed::Healthy),
            Place::Unmapped => {
                let dialect = self.stranger_dialect();
                return Err(Missed::Refused { api: None, dialect, reason: Reason::NoApi });
            }
        };
        let api = &self.apis[mapped.api];
        let (stage, more) = match mapped.stage {
            Some(stage) => (&api.stages[stage], 0),
            None => stage(api, &path[taken..]).ok_or(Missed::Refused {
                api: Some(api),
                dialect: api.dialect,
                reason: Reason::NoStage,
            })?,
        };
        let bytes = taken + more;
        Ok(Reached { api, stage, base_bytes: u32::try_from(base_bytes).ok(), bytes, domain: mapped.domain })
    }

    /// How to answer when no API was chosen: as the only dialect there is, else as AWS's front does.
    pub fn stranger_dialect(&self) -> Dialect {
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

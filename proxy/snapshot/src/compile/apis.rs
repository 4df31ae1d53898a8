//! APIs: stages, routers, and each route's list of policies.

use bytes::Bytes;
use integration::{Integration, http::Http, mock::Mock};
use message::{Dialect, Headers, Method};
use model::{CacheMode, Diagnostic, Kind, Model, RouteKey, ThrottlePer};
use policy::{
    Policy,
    cache::{Cache, KeyPart, Respect, RespectSettings},
    cors::Cors,
    limits::Limits,
    throttle::{LevelSettings, Throttle},
};
use router::{Key, Mapping, Mappings, Precedence, Router};
use telemetry::RouteLabels;

use super::{Names, path_rules, upstreams::Upstreams};
use crate::{Api, Mapped, Route, Slots, Stage};

/// What compiling one route needs to know of where it stands.
struct Place<'a> {
    model: &'a Model,
    api: &'a model::Api,
    stage: &'a model::Stage,
    dialect: Dialect,
    upstreams: &'a Upstreams,
}

pub(super) fn compile(
    model: &Model,
    upstreams: &Upstreams,
    slots: &mut Slots,
    names: &mut Names,
    found: &mut Vec<Diagnostic>,
) -> (Vec<Api>, Option<Mappings<Mapped>>) {
    let mut apis = Vec::with_capacity(model.apis.len());
    let mut entries = Vec::new();
    for (number, api) in model.apis.iter().enumerate() {
        let dialect = dialect(api.kind);
        let mut stages = Vec::with_capacity(api.stages.len());
        for stage in &api.stages {
            let place = Place { model, api, stage, dialect, upstreams };
            stages.extend(place.stage(slots, names, found));
        }
        entries.extend(map(api, number, found));
        let cors = api.cors.as_ref().and_then(|cors| match Cors::new(&settings_of_cors(cors)) {
            Ok(cors) => Some(cors),
            Err(error) => {
                found.push(Diagnostic::error(cors.origin.as_ref(), "cors", error.to_string()));
                None
            }
        });
        apis.push(Api { name: api.name.clone(), dialect, cors, stages });
    }
    let mappings = match Mappings::build(entries) {
        Ok(mappings) => Some(mappings),
        Err(errors) => {
            let origin = model.apis.first().and_then(|api| api.origin.as_ref());
            found.extend(
                errors.iter().map(|error| Diagnostic::error(origin, "api.mapping", error.to_string())),
            );
            None
        }
    };
    (apis, mappings)
}

fn dialect(kind: Kind) -> Dialect {
    match kind {
        Kind::Proxy => Dialect::Proxy,
        Kind::Http => Dialect::Http,
        Kind::Rest => Dialect::Rest,
    }
}

/// The mappings of one API; without any it is reached at every host.
fn map<'a>(api: &'a model::Api, number: usize, found: &mut Vec<Diagnostic>) -> Vec<Mapping<'a, Mapped>> {
    let only = (api.kind == Kind::Proxy).then_some(0);
    if api.mappings.is_empty() {
        return vec![Mapping { host: None, base_path: "", value: Mapped { api: number, stage: only } }];
    }
    let mut entries = Vec::with_capacity(api.mappings.len());
    for mapping in &api.mappings {
        let named = mapping
            .stage
            .as_ref()
            .map(|name| (name, api.stages.iter().position(|stage| stage.name == *name)));
        if let Some((name, None)) = named {
            let message = format!("API `{}` has no stage `{name}`", api.name);
            found.push(Diagnostic::error(mapping.origin.as_ref(), "mapping.stage", message));
        }
        let value = Mapped { api: number, stage: named.and_then(|(_, stage)| stage).or(only) };
        entries.push(Mapping { host: mapping.host.as_deref(), base_path: &mapping.base_path, value });
    }
    entries
}

impl Place<'_> {
    fn stage(&self, slots: &mut Slots, names: &mut Names, found: &mut Vec<Diagnostic>) -> Option<Stage> {
        let precedence = match self.dialect {
            Dialect::Proxy => Precedence::Proxy,
            Dialect::Http => Precedence::Http,
            Dialect::Rest => Precedence::Rest,
        };
        let mut routes = Vec::with_capacity(self.api.routes.len());
        for route in &self.api.routes {
            routes.extend(self.route(route, slots, names, found));
        }
        let keys = self.api.routes.iter().zip(0..).map(|(route, index)| match &route.key {
            RouteKey::Default => router::Route { key: Key::Default, index },
            RouteKey::Path { method, path } => {
                router::Route { key: Key::Path { method: method.as_deref(), template: path }, index }
            }
        });
        let router = match Router::build(precedence, keys) {
            Ok(router) => router,
            Err(errors) => {
                for error in errors {
                    let route = self.api.routes.get(error.index() as usize);
                    let origin = route.and_then(|route| route.origin.as_ref());
                    let key = route.map_or_else(String::new, |route| route.key.to_string());
                    found.push(Diagnostic::error(origin, key, error.to_string()));
                }
                return None;
            }
        };
        // One route was refused: the others' places would not fit the router's.
        (routes.len() == self.api.routes.len()).then(|| Stage {
            name: self.stage.name.clone(),
            router,
            routes,
        })
    }

    fn route(
        &self,
        route: &model::Route,
        slots: &mut Slots,
        names: &mut Names,
        found: &mut Vec<Diagnostic>,
    ) -> Option<Route> {
        let key = route.key.to_string();
        let slot = slots.route(&self.api.name, &self.stage.name, &key);
        let (api, stage) = (self.api.name.clone(), self.stage.name.clone());
        let kind = match self.dialect {
            Dialect::Proxy => "proxy",
            Dialect::Http => "http",
            Dialect::Rest => "rest",
        };
        names.routes.insert(slot, RouteLabels { api, stage, route: key.clone(), kind });
        let variables: Vec<String> = match &route.key {
            RouteKey::Default => Vec::new(),
            RouteKey::Path { path, .. } => router::variables(path).into_iter().map(str::to_owned).collect(),
        };
        let mut refuse = |part: &str, message: String| {
            found.push(Diagnostic::error(route.origin.as_ref(), format!("{key}: {part}"), message));
        };
        let limits = route.limits.as_ref().unwrap_or(&self.model.node.limits);
        let mut policies: Vec<Box<dyn Policy>> = vec![Box::new(limits_of(limits, self.dialect))];
        match Throttle::new(&policy::throttle::Settings { levels: self.levels(route, &key) }) {
            Ok(throttle) if throttle.is_empty() => {}
            Ok(throttle) => policies.push(Box::new(throttle)),
            Err(error) => refuse("throttle", error.to_string()),
        }
        match self.cache(route, &key, &variables).transpose() {
            Ok(Some(cache)) => policies.push(cache),
            Ok(None) => {}
            Err(message) => refuse("cache", message),
        }
        let is_plain = self.dialect == Dialect::Proxy && self.api.cors.is_none();
        let replays = is_plain && !policies.iter().rev().skip(1).any(|policy| policy.reads_responses());
        match self.integration(route, variables) {
            Ok(integration) => Some(Route {
                slot,
                key,
                policies,
                replays,
                integration,
                body_bytes_max: limits.body_bytes_max,
                origin: route.origin.clone(),
            }),
            Err(message) => {
                refuse("integration", message);
                None
            }
        }
    }

    /// Buckets in the order in which they are asked (row 71): the client's, the route's, the stage's, the account's.
    fn levels(&self, route: &model::Route, key: &str) -> Vec<LevelSettings> {
        let (api, stage) = (&self.api.name, &self.stage.name);
        let level = |identity: String, throttle: &model::Throttle| LevelSettings {
            identity,
            rate: throttle.rate,
            burst: throttle.burst,
            per_client: throttle.per == ThrottlePer::Client,
        };
        let mut own: Vec<_> = route.throttles.iter().collect();
        own.sort_by_key(|throttle| throttle.per != ThrottlePer::Client);
        let has_own = own.iter().any(|throttle| throttle.per == ThrottlePer::All);
        let inherited = self.stage.route_throttle.as_ref().filter(|_| !has_own);
        let per = |throttle: &model::Throttle| match throttle.per {
            ThrottlePer::Client => "client",
            ThrottlePer::All => "route",
        };
        let mut levels: Vec<_> = own
            .into_iter()
            .chain(inherited)
            .map(|throttle| level(identity(&[api, stage, key, per(throttle)]), throttle))
            .collect();
        levels.extend(
            self.stage.throttle.as_ref().map(|throttle| level(identity(&[api, stage, "stage"]), throttle)),
        );
        levels.extend(
            self.model.node.throttle.as_ref().map(|throttle| level(identity(&["account"]), throttle)),
        );
        levels
    }

    /// The route's own cache, else the stage's for GET (row 84).
    fn cache(
        &self,
        route: &model::Route,
        key: &str,
        variables: &[String],
    ) -> Option<Result<Box<dyn Policy>, String>> {
        let is_get = matches!(&route.key, RouteKey::Path { method: Some(method), .. } if method == "GET");
        let own = route.cache.as_ref().or(self.stage.cache.as_ref().filter(|_| is_get));
        let Some(cache) = own else { return self.invalidation(route) };
        if cache.mode == CacheMode::RespectOrigin {
            return Some(self.respect(cache, true));
        }
        let parts = cache.key.as_ref().map(|parts| {
            let part = |part: &model::CacheKey| match part {
                model::CacheKey::Query(name) => Ok(KeyPart::Query(name.clone())),
                model::CacheKey::Header(name) => Ok(KeyPart::Header(name.clone())),
                model::CacheKey::Path(name) => match variables.iter().position(|variable| variable == name) {
                    Some(index) => Ok(KeyPart::Path(index)),
                    None => {
                        Err(format!("the cache key names `path.{name}`, which is no variable of the route"))
                    }
                },
            };
            parts.iter().map(part).collect::<Result<Vec<_>, _>>()
        });
        let settings = parts.transpose().map(|key_parts| policy::cache::Settings {
            dialect: self.dialect,
            identity: identity(&[&self.api.name, &self.stage.name, key]) + "\u{1f}",
            ttl: cache.ttl,
            key: key_parts,
            methods: cache.methods.iter().map(Method::from_token).collect(),
            client_invalidation: cache.client_invalidation,
            body_bytes_max: cache.body_bytes_max,
        });
        let cache = settings.and_then(|settings| Cache::new(&settings).map_err(|error| error.to_string()));
        Some(cache.map(|cache| Box::new(cache) as _))
    }

    /// What a route changes, others of its API may keep on the backend's terms (RFC 9111 §4.4).
    fn invalidation(&self, route: &model::Route) -> Option<Result<Box<dyn Policy>, String>> {
        let is_safe = |method: &str| matches!(method, "GET" | "HEAD" | "OPTIONS");
        if matches!(&route.key, RouteKey::Path { method: Some(method), .. } if is_safe(method)) {
            return None;
        }
        let caches = self.api.routes.iter().filter_map(|route| route.cache.as_ref());
        let cache = caches.into_iter().find(|cache| cache.mode == CacheMode::RespectOrigin)?;
        Some(self.respect(cache, false))
    }

    /// The cache on the backend's terms. Its keys name the API and not the route.
    fn respect(&self, cache: &model::Cache, keeps: bool) -> Result<Box<dyn Policy>, String> {
        let settings = RespectSettings {
            dialect: self.dialect,
            identity: identity(&[&self.api.name, &self.stage.name, "respect-origin"]) + "\u{1f}",
            client_invalidation: cache.client_invalidation,
            body_bytes_max: cache.body_bytes_max,
            path_rules: path_rules(self.model),
            keeps,
        };
        match Respect::new(&settings) {
            Ok(respect) => Ok(Box::new(respect)),
            Err(error) => Err(error.to_string()),
        }
    }

    fn integration(
        &self,
        route: &model::Route,
        variables: Vec<String>,
    ) -> Result<Box<dyn Integration>, String> {
        match &route.integration {
            model::Integration::Mock(mock) => {
                let fields = mock.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
                let headers: Headers = fields.collect();
                Ok(Box::new(Mock::new(mock.status, headers, Bytes::from(mock.body.clone()))))
            }
            model::Integration::Http { upstream, path, strip_prefix } => {
                let slot = self.upstreams.slots.get(upstream);
                let settings = integration::http::Settings {
                    upstream: *slot.ok_or_else(|| format!("there is no upstream `{upstream}`"))?,
                    path: path.clone(),
                    strip_prefix: strip_prefix.clone(),
                    variables,
                    dialect: self.dialect,
                    api: self.api.name.clone(),
                };
                Ok(Box::new(Http::new(settings).map_err(|error| error.to_string())?))
            }
        }
    }
}

/// Names of buckets and cache entries: parts that can't run into each other.
fn identity(parts: &[&str]) -> String {
    parts.join("\u{1f}")
}

fn limits_of(limits: &model::Limits, dialect: Dialect) -> Limits {
    Limits {
        dialect,
        header_bytes_max: limits.header_bytes_max,
        headers_max: limits.headers_max,
        target_bytes_max: limits.target_bytes_max,
        body_bytes_max: limits.body_bytes_max,
    }
}

fn settings_of_cors(cors: &model::Cors) -> policy::cors::Settings {
    policy::cors::Settings {
        allow_origins: cors.allow_origins.clone(),
        allow_methods: cors.allow_methods.clone(),
        allow_headers: cors.allow_headers.clone(),
        expose_headers: cors.expose_headers.clone(),
        max_age_s: cors.max_age_s,
        allow_credentials: cors.allow_credentials,
    }
}

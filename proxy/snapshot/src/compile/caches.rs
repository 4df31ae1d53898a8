//! What routes keep of answers: the stage's word, the route's own, or the backend's (rows 82 to 89).

use message::Method;
use model::{CacheMode, RouteKey};
use policy::{
    Policy,
    cache::{Cache, KeyPart, Respect, RespectSettings},
};

use super::{
    apis::{Place, identity},
    declared, path_rules,
};

impl Place<'_> {
    fn own_cache<'s>(&'s self, route: &'s model::Route) -> Option<&'s model::Cache> {
        self.settings(route).and_then(|settings| settings.cache.as_ref()).or(route.cache.as_ref())
    }

    /// The stage's word on the route's cache or the route's own, else the stage's for GET (row 84).
    pub(super) fn cache(
        &self,
        route: &model::Route,
        key: &str,
        variables: &[String],
        forgetting: Option<&model::Cache>,
    ) -> Option<Result<Box<dyn Policy>, String>> {
        let Some(cache) = self.cache_of(route) else { return self.invalidation(route, forgetting) };
        if cache.mode == CacheMode::RespectOrigin {
            return Some(self.respect(cache, true));
        }
        let declared = match declared::cache_key(route) {
            Ok(declared) => declared,
            Err(message) => return Some(Err(message)),
        };
        let parts = cache.key.as_ref().or(declared.as_ref()).map(|parts| {
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
            identity: self.cached_as(&declared::cache_name(route).unwrap_or_else(|| key.to_owned())),
            ttl: cache.ttl,
            key: key_parts,
            methods: cache.methods.iter().map(Method::from_token).collect(),
            client_invalidation: cache.client_invalidation,
            body_bytes_max: cache.body_bytes_max,
        });
        let cache = settings.and_then(|settings| Cache::new(&settings).map_err(|error| error.to_string()));
        Some(cache.map(|cache| Box::new(cache) as _))
    }

    pub(super) fn cache_of<'r>(&'r self, route: &'r model::Route) -> Option<&'r model::Cache> {
        let is_get = matches!(&route.key, RouteKey::Path { method: Some(method), .. } if method == "GET");
        let own = self.own_cache(route).or(self.stage.cache.as_ref().filter(|_| is_get));
        // What is streamed is never kept (row 89).
        own.filter(|_| !streams(route))
    }

    /// What begins the keys of what is cached under a name.
    fn cached_as(&self, name: &str) -> String {
        let parts = [&*self.api.name, &self.stage.name, self.cache_id, name];
        identity(&parts[..]) + "\u{1f}"
    }

    /// What a route changes, others of its API may keep on the backend's terms (RFC 9111 §4.4).
    fn invalidation(
        &self,
        route: &model::Route,
        forgetting: Option<&model::Cache>,
    ) -> Option<Result<Box<dyn Policy>, String>> {
        let is_safe = |method: &str| matches!(method, "GET" | "HEAD" | "OPTIONS");
        if matches!(&route.key, RouteKey::Path { method: Some(method), .. } if is_safe(method)) {
            return None;
        }
        Some(self.respect(forgetting?, false))
    }

    /// The cache of a route from which others may have something forgotten. Looks at all routes: once for all of them.
    pub(super) fn forgetting(&self) -> Option<&model::Cache> {
        let mut caches = self.definition.routes.iter().filter_map(|route| self.own_cache(route));
        caches.find(|cache| cache.mode == CacheMode::RespectOrigin)
    }

    /// The cache on the backend's terms. Its keys name the API and not the route.
    fn respect(&self, cache: &model::Cache, keeps: bool) -> Result<Box<dyn Policy>, String> {
        let settings = RespectSettings {
            dialect: self.dialect,
            identity: self.cached_as("respect-origin"),
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
}

/// Whether a route's answers are streamed (row 63): they may be of any length, and none is kept.
pub(super) fn streams(route: &model::Route) -> bool {
    matches!(&route.integration, model::Integration::Declared(declared) if declared.streams)
}

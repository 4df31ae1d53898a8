//! Routes and what they ask of requests, as TOML.

use model::{
    Authorization, Cache, CacheKey, CacheMode, Integration, Kind, Limits, RequestParameter, Route, Throttle,
    ThrottlePer,
};

use super::{integration, tree::Tree};
use crate::{api::implied, policy, reader::JSON, units, upstream};

/// A `[[route]]` for these hosts.
pub(super) fn plain(route: &Route, hosts: &[&str]) -> Tree {
    let mut tree = Tree::default();
    tree.text("match", &route.key.to_string());
    tree.texts("hosts", hosts);
    match &route.integration {
        Integration::Http { upstream, path, strip_prefix } => {
            match upstream::made_of(upstream) {
                Some((base, http2)) => {
                    tree.text("url", base);
                    tree.flag("http2", http2);
                }
                None => tree.text("upstream", upstream),
            }
            tree.opt_text("path", path.as_deref());
            tree.opt_text("strip_prefix", strip_prefix.as_deref());
        }
        Integration::Mock(answer) => {
            let mut mock = Tree::default();
            integration::mock(&mut mock, answer);
            tree.table("mock", mock);
        }
        // No dialect of our own has one.
        Integration::Declared(_) => {
            tree.table("integration", integration::tree(&route.integration, Kind::Proxy))
        }
    }
    policies(&mut tree, route, Kind::Proxy);
    tree
}

/// An `[[api.route]]`.
pub(super) fn tree(route: &Route, kind: Kind) -> Tree {
    let mut tree = Tree::default();
    tree.text("key", &route.key.to_string());
    tree.opt_text("operation_name", route.operation_name.as_deref());
    match &route.authorization {
        Authorization::None => {}
        Authorization::AwsIam => tree.text("authorization", "aws_iam"),
        Authorization::Authorizer { name, scopes } => {
            let mut authorization = Tree::default();
            authorization.text("authorizer", name);
            authorization.texts("scopes", scopes);
            tree.table("authorization", authorization);
        }
    }
    tree.flag("api_key_required", route.api_key_required);
    tree.texts("unenforced_security", &route.unenforced_security);
    tree.opt_text("validator", route.request.validator.as_deref());
    let declared = match &route.integration {
        Integration::Declared(declared) if kind == Kind::Rest => Some(&**declared),
        _ => None,
    };
    let implied_parameters = declared.map(implied::parameters).unwrap_or_default();
    if route.request.parameters != implied_parameters {
        tree.table("parameters", parameters(&route.request.parameters));
    }
    models(&mut tree, "request_models", &route.request.models);
    policies(&mut tree, route, kind);
    tree.table("integration", integration::tree(&route.integration, kind));
    if route.responses != declared.map(implied::responses).unwrap_or_default() {
        if route.responses.is_empty() {
            tree.raw("response", "[]");
        }
        for response in &route.responses {
            let mut one = Tree::default();
            one.raw("status", response.status);
            if !response.headers.is_empty() {
                let headers = response.headers.iter().map(|(name, is)| (name.as_str(), required(*is)));
                one.table("headers", headers.collect());
            }
            models(&mut one, "models", &response.models);
            tree.item("response", one);
        }
    }
    tree
}

fn parameters(parameters: &[RequestParameter]) -> Tree {
    let names: Vec<_> = parameters.iter().map(|it| format!("{}.{}", it.place.as_str(), it.name)).collect();
    names.iter().zip(parameters).map(|(name, it)| (name.as_str(), required(it.required))).collect()
}

fn required(is_required: bool) -> String {
    if is_required { "required" } else { "optional" }.to_owned()
}

/// Names of models by media type; one of application/json is a string alone.
fn models(tree: &mut Tree, name: &str, models: &[(String, String)]) {
    match models {
        [(kind, model)] if kind == JSON => tree.text(name, model),
        _ => tree.pairs(name, models),
    }
}

fn policies(tree: &mut Tree, route: &Route, kind: Kind) {
    match &route.throttles[..] {
        [one] => tree.table("throttle", throttle(one)),
        all => all.iter().for_each(|it| tree.item("throttle", throttle(it))),
    }
    if let Some(it) = &route.cache {
        cache(tree, it, kind);
    }
    tree.opt_table("limits", route.limits.as_ref().map(limits));
}

pub(super) fn throttle(throttle: &Throttle) -> Tree {
    let mut tree = Tree::default();
    tree.text("rate", &units::show_rate(throttle.rate));
    if let Some(burst) = throttle.burst {
        tree.raw("burst", burst);
    }
    if throttle.per == ThrottlePer::Client {
        tree.text("per", "client");
    }
    tree
}

/// The cache of a route.
pub(super) fn cache(tree: &mut Tree, cache: &Cache, kind: Kind) {
    let default = match cache.mode {
        CacheMode::Fixed => policy::default_cache(kind),
        CacheMode::RespectOrigin => policy::respecting(kind),
    };
    let said = Cache { ttl: default.ttl, origin: None, ..cache.clone() };
    match cache.mode {
        _ if said != default => {
            let mut table = Tree::default();
            match cache.mode {
                CacheMode::Fixed => table.text("ttl", &units::show_duration(cache.ttl)),
                CacheMode::RespectOrigin => table.text("mode", policy::RESPECT_ORIGIN),
            }
            if let Some(keys) = cache.key.as_ref().filter(|_| cache.mode == CacheMode::Fixed) {
                let keys: Vec<_> = keys.iter().map(cache_key).collect();
                if keys.is_empty() { table.raw("key", "[]") } else { table.texts("key", &keys) }
            }
            if cache.methods != default.methods {
                if cache.methods.is_empty() {
                    table.raw("methods", "[]");
                }
                table.texts("methods", &cache.methods);
            }
            cache_rest(&mut table, cache, &default);
            tree.table("cache", table);
        }
        CacheMode::Fixed => tree.text("cache", &units::show_duration(cache.ttl)),
        CacheMode::RespectOrigin => tree.text("cache", policy::RESPECT_ORIGIN),
    }
}

/// The cache of a stage.
pub(super) fn stage_cache(cache: &Cache, kind: Kind) -> Tree {
    let mut tree = Tree::default();
    tree.text("ttl", &units::show_duration(cache.ttl));
    cache_rest(&mut tree, cache, &policy::default_cache(kind));
    tree
}

fn cache_rest(tree: &mut Tree, cache: &Cache, default: &Cache) {
    if cache.client_invalidation != default.client_invalidation {
        tree.raw("client_invalidation", cache.client_invalidation);
    }
    if cache.body_bytes_max != default.body_bytes_max {
        tree.text("body_max", &units::show_size(cache.body_bytes_max));
    }
}

fn cache_key(key: &CacheKey) -> String {
    match key {
        CacheKey::Query(name) => format!("querystring.{name}"),
        CacheKey::Header(name) => format!("header.{name}"),
        CacheKey::Path(name) => format!("path.{name}"),
    }
}

fn limits(limits: &Limits) -> Tree {
    let mut tree = Tree::default();
    tree.text("body", &units::show_size(limits.body_bytes_max));
    tree.text("headers", &units::show_size(limits.header_bytes_max));
    tree.raw("header_count", limits.headers_max);
    tree.text("target", &units::show_size(limits.target_bytes_max));
    tree
}

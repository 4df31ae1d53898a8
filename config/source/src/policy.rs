//! What a route, a stage or the node asks of requests: `throttle`, `cache`, `limits`.

use std::time::Duration;

use model::{Cache, CacheKey, CacheMode, Kind, Limits, RouteKey, Throttle, ThrottlePer};

use crate::{
    Form, Key, Section,
    context::{Mistake, place, quote},
    names,
    reader::{Table, Value},
    route_key, suggest, units,
};

/// Row 83.
const TTL: Duration = Duration::from_secs(300);
const TTL_MAX: Duration = Duration::from_secs(3_600);
/// Row 87.
const CACHED_BODY_BYTES: u64 = 1 << 20;
const BURST_MAX: u64 = 1_000_000_000;

/// The cache on the backend's terms, as it is written.
pub(crate) const RESPECT_ORIGIN: &str = "respect-origin";

/// What does not go with it.
pub(crate) const FIXED_ALONE: [&str; 3] = ["ttl", "key", "methods"];

const RATE: Key =
    Key::new("rate", Form::Rate, "Requests by time, on average; any decimal, `0/s` refuses all.").required();
const BURST: Key = Key::new(
    "burst",
    Form::Count(0, BURST_MAX),
    "Requests at once. Left out: as many as a second's, at least 1.",
);
const CACHE_TTL: Key = Key::new(
    "ttl",
    Form::Duration(Duration::ZERO, TTL_MAX),
    "How long a response is kept; `0s`: not at all.",
)
.or(r#""300s""#);
const CACHE_BODY_MAX: Key =
    Key::new("body_max", Form::Size(1, 1 << 30), "The longest body that is kept.").or(r#""1MiB""#);
const CLIENT_INVALIDATION: Key = Key::new(
    "client_invalidation",
    Form::Boolean,
    "Whether `Cache-Control: max-age=0` of a client refetches; with `respect-origin`, whether a client's `Cache-Control` \
     counts. Left out: `true` in a REST API and with `respect-origin`, else `false`.",
);

pub(crate) static THROTTLE: Section = Section {
    name: "throttle",
    doc: "A token bucket: over it, requests are answered 429.",
    keys: &[RATE, BURST],
};

pub(crate) static ROUTE_THROTTLE: Section = Section {
    name: "route.throttle",
    doc: "A route's token bucket; an array of two for one of each kind.",
    keys: &[
        RATE,
        BURST,
        Key::new(
            "per",
            Form::Choice(&["all", "client"]),
            "Whose bucket: all clients' together, or each client's (an IPv4 address, an IPv6 /64).",
        )
        .or(r#""all""#),
    ],
};

pub(crate) static ROUTE_CACHE: Section = Section {
    name: "route.cache",
    doc: "Keeps responses of 200; `cache = \"60s\"` is `cache = { ttl = \"60s\" }`, `cache = \"respect-origin\"` is \
          `cache = { mode = \"respect-origin\" }`.",
    keys: &[
        CACHE_TTL,
        Key::new(
            "mode",
            Form::Choice(&["fixed", RESPECT_ORIGIN]),
            "Who says what is kept: `fixed`, the keys here; `respect-origin`, the backend by `Cache-Control`, `Vary` \
             and the like (RFC 9111), and `ttl`, `key` and `methods` do not go with it.",
        )
        .or(r#""fixed""#),
        Key::new(
            "key",
            Form::Texts(r#"["querystring.page", "header.accept"]"#),
            "What tells entries apart: `querystring.x`, `header.x`, `path.x`. Left out: host, path and \
             query of a `[[route]]`; nothing in an API in AWS's shape.",
        ),
        Key::new("methods", Form::Texts(r#"["GET"]"#), "Methods whose responses are kept.").or(r#"["GET"]"#),
        CLIENT_INVALIDATION,
        CACHE_BODY_MAX,
    ],
};

pub(crate) static STAGE_CACHE: Section = Section {
    name: "stage.cache",
    doc: "Keeps responses to GET of all routes that have no `cache` of their own.",
    keys: &[CACHE_TTL, CLIENT_INVALIDATION, CACHE_BODY_MAX],
};

pub(crate) static LIMITS: Section = Section {
    name: "limits",
    doc: "What a request may be at most. A route's take the place of the node's.",
    keys: &[
        Key::new("body", Form::Size(0, 1 << 40), "The request's body; then 413.").or(r#""10MiB""#),
        Key::new("headers", Form::Size(256, 48 << 10), "All names and values of the head; then 431.")
            .or(r#""10KiB""#),
        Key::new("header_count", Form::Count(1, 128), "Fields of the head; then 431.").or("100"),
        Key::new("target", Form::Size(16, 32 << 10), "Path and query; then 414.").or(r#""10KiB""#),
    ],
};

/// A bucket of `[throttle]` or of a stage.
pub(crate) fn throttle(table: &Table<'_>) -> Option<Throttle> {
    let burst = table.opt("burst", Value::count);
    let rate = table.opt("rate", Value::rate)?;
    Some(Throttle { rate, burst, per: ThrottlePer::All, origin: Some(table.origin()) })
}

/// A route's buckets.
pub(crate) fn throttles(value: &Value<'_>) -> Vec<Throttle> {
    let (mut throttles, mut seen) = (Vec::new(), Vec::new());
    for table in value.tables() {
        let said = table.opt("per", Value::choice);
        let (per, name) = match said {
            Some("client") => (ThrottlePer::Client, "client"),
            _ => (ThrottlePer::All, "all"),
        };
        // What could not be read may have been the other kind.
        if said.is_some() == table.get("per").is_some() && !table.is_misspelled("per") {
            match seen.iter().find(|(other, _)| *other == per) {
                Some((_, first)) => {
                    let help = format!("the first is at {}: keep the stricter one", place(first));
                    table.mistake(Mistake::new(format!("two throttles are per `{name}`")).help(help));
                }
                None => seen.push((per, table.origin())),
            }
        }
        throttles.extend(throttle(&table).map(|throttle| Throttle { per, ..throttle }));
    }
    throttles
}

/// What a cache has to know of where it stands.
pub(crate) struct CacheScope<'a> {
    pub(crate) kind: Kind,
    /// The route's key; `None` for a stage, or where it could not be read.
    pub(crate) route: Option<&'a RouteKey>,
    /// What all cached responses may take.
    pub(crate) node_bytes: u64,
}

/// A route's cache: a duration or a table.
pub(crate) fn route_cache(value: &Value<'_>, scope: &CacheScope<'_>) -> Option<Cache> {
    if !value.is_table() {
        if value.string() == Some(RESPECT_ORIGIN) {
            let cache = Cache { origin: Some(value.origin()), ..respecting(scope.kind) };
            refuse_rest(value, scope);
            return Some(cache);
        }
        let ttl = value.duration()?;
        let cache = Cache { ttl, origin: Some(value.origin()), ..default_cache(scope.kind) };
        warn_of_useless(value, &cache, scope);
        return Some(cache);
    }
    let table = value.table()?;
    if table.opt("mode", Value::choice) == Some(RESPECT_ORIGIN) {
        return Some(respecting_table(&table, scope));
    }
    let is_aws = scope.kind != Kind::Proxy;
    let cache = Cache {
        key: table.opt("key", |value| value.list(|text| cache_key(text, scope))),
        methods: table.or(
            "methods",
            |value| value.list(|text| names::method(text, is_aws)),
            vec!["GET".into()],
        ),
        ..stage_cache(&table, scope)
    };
    warn_of_useless(value, &cache, scope);
    Some(cache)
}

/// A route's cache on the backend's terms, as a table.
fn respecting_table(table: &Table<'_>, scope: &CacheScope<'_>) -> Cache {
    for key in FIXED_ALONE {
        if let Some(value) = table.get(key) {
            let mistake = Mistake::new(format!("`{key}` does not go with `mode = \"{RESPECT_ORIGIN}\"`"));
            value.mistake(mistake.help(format!("leave `{key}` out: the backend says it of each response")));
        }
    }
    table.get("mode").into_iter().for_each(|value| refuse_rest(&value, scope));
    let default = respecting(scope.kind);
    Cache {
        mode: default.mode,
        client_invalidation: table.or("client_invalidation", Value::boolean, default.client_invalidation),
        ..stage_cache(table, scope)
    }
}

/// On AWS what the backend says of caching does not count (row 83).
fn refuse_rest(value: &Value<'_>, scope: &CacheScope<'_>) {
    if scope.kind == Kind::Rest {
        let mistake = Mistake::new("a REST API's cache does not heed the backend");
        value.mistake(
            mistake.help("write a `ttl`, or make it a `[[route]]` or an API with `kind = \"http\"`"),
        );
    }
}

/// The cache on the backend's terms that says nothing else.
pub(crate) fn respecting(kind: Kind) -> Cache {
    Cache { mode: CacheMode::RespectOrigin, client_invalidation: true, ..default_cache(kind) }
}

/// A stage's cache, and what a route's has in common with it.
pub(crate) fn stage_cache(table: &Table<'_>, scope: &CacheScope<'_>) -> Cache {
    let default = default_cache(scope.kind);
    let cache = Cache {
        ttl: table.or("ttl", Value::duration, default.ttl),
        client_invalidation: table.or("client_invalidation", Value::boolean, default.client_invalidation),
        body_bytes_max: table.or("body_max", Value::size, default.body_bytes_max),
        origin: Some(table.origin()),
        ..default
    };
    if let Some(value) = table.get("body_max").filter(|_| cache.body_bytes_max > scope.node_bytes) {
        let size = units::show_size(scope.node_bytes);
        let mistake = Mistake::new(format!("a body may be longer than the node's whole cache of `{size}`"));
        value.mistake(mistake.help(format!("write at most `{size}`, or raise `size` of `[cache]`")));
    }
    cache
}

/// The cache of a kind of API that says nothing else.
pub(crate) fn default_cache(kind: Kind) -> Cache {
    Cache {
        mode: CacheMode::Fixed,
        ttl: TTL,
        key: None,
        methods: vec!["GET".into()],
        client_invalidation: kind == Kind::Rest,
        body_bytes_max: CACHED_BODY_BYTES,
        origin: None,
    }
}

/// How long a response may be kept at most.
pub(crate) fn check_ttl(ttl: Duration) -> Result<Duration, Mistake> {
    if ttl <= TTL_MAX {
        return Ok(ttl);
    }
    let mistake = Mistake::new(format!("`{}` is out of range", units::show_duration(ttl)));
    Err(mistake.help(format!("write something from `0s` to `{}`", units::show_duration(TTL_MAX))))
}

/// Limits, those that are not said taken from elsewhere.
pub(crate) fn limits(table: &Table<'_>, default: &Limits) -> Limits {
    Limits {
        body_bytes_max: table.or("body", Value::size, default.body_bytes_max),
        header_bytes_max: table.or("headers", Value::size, default.header_bytes_max),
        headers_max: table.or("header_count", Value::count, default.headers_max),
        target_bytes_max: table.or("target", Value::size, default.target_bytes_max),
    }
}

fn cache_key(text: &str, scope: &CacheScope<'_>) -> Result<CacheKey, Mistake> {
    // As OpenAPI says it: `method.request.querystring.x`.
    let short = text.strip_prefix("method.request.").unwrap_or(text);
    let wrong = || Mistake::new(format!("{} can't be part of a cache key", quote(text)));
    match short.split_once('.') {
        Some(("querystring", name)) if !name.is_empty() => Ok(CacheKey::Query(name.to_owned())),
        Some(("header", name)) => names::header(name).map(|name| CacheKey::Header(name.to_ascii_lowercase())),
        Some(("path", name)) => {
            let Some(route) = scope.route else { return Ok(CacheKey::Path(name.to_owned())) };
            if route_key::variables(route).any(|variable| variable == name) {
                return Ok(CacheKey::Path(name.to_owned()));
            }
            let mistake = Mistake::new(format!("`{route}` has no variable {}", quote(name)));
            Err(match suggest::nearest(name, route_key::variables(route)) {
                Some(near) => mistake.help(format!("did you mean `path.{near}`?")),
                None => mistake,
            })
        }
        Some((part, name)) => Err(match suggest::nearest(part, ["querystring", "header", "path"]) {
            Some(near) => wrong().help(format!("did you mean `{near}.{}`?", quote(name).trim_matches('`'))),
            None => wrong().help("write `querystring.x`, `header.x` or `path.x`"),
        }),
        None => Err(wrong().help("write `querystring.x`, `header.x` or `path.x`")),
    }
}

fn warn_of_useless(value: &Value<'_>, cache: &Cache, scope: &CacheScope<'_>) {
    let Some(RouteKey::Path { method: Some(method), .. }) = scope.route else { return };
    if !cache.methods.contains(method) {
        let mistake = Mistake::new(format!("nothing is cached: the route takes {method} alone"));
        value.warn(mistake.help(format!("add `methods = [{method:?}]`, or leave `cache` out")));
    }
}

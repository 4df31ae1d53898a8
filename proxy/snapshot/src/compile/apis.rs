//! APIs: stages, routers, and each route's list of policies.

use bytes::Bytes;
use integration::{Integration, declared::Selections, http::Http, mock::Mock};
use message::{Dialect, Headers};
use model::{
    Diagnostic, EndpointAccessMode, EndpointType, IntegrationType, Kind, Model, RouteKey, Severity,
    ThrottlePer,
};
use policy::{
    Policy,
    compression::{Compression, Decompress},
    cors::Cors,
    limits::Limits,
    throttle::{LevelSettings, Scope, Throttle},
};
use progress::{Phase, Progress};
use router::{Key, Precedence, Router};
use telemetry::RouteLabels;

use super::{
    Names,
    caches::streams,
    declared, gateway_responses, refusals,
    upstreams::{Make, Upstreams},
    validate::Models,
};
use crate::{Api, CANARY_SUFFIX, Canary, Origins, Route, Slots, Stage};

/// The payload of REST and HTTP APIs (row 174).
const PAYLOAD_BYTES: u64 = 10 << 20;

/// What compiling one route needs to know of where it stands.
pub(super) struct Place<'a> {
    pub(super) model: &'a Model,
    pub(super) api: &'a model::Api,
    pub(super) stage: &'a model::Stage,
    /// What the stage runs.
    pub(super) definition: &'a model::Definition,
    /// What it runs of that, as metrics call it: the stage's name, or that with the canary's suffix.
    label: &'a str,
    /// What tells what is cached from what others have cached of the same route; empty where there is but one.
    pub(super) cache_id: &'a str,
    pub(super) dialect: Dialect,
    /// Whether the stage has a canary, and whether this is it.
    pub(super) has_canary: bool,
    pub(super) is_canary: bool,
}

/// What grows while APIs are compiled.
struct Growing<'a> {
    upstreams: &'a mut Upstreams,
    /// Makes a group for a slot.
    make: &'a Make<'a>,
    slots: &'a mut Slots,
    names: &'a mut Names,
    progress: &'a Progress,
    selections: Selections,
}

pub(super) fn compile(
    model: &Model,
    upstreams: &mut Upstreams,
    make: &Make<'_>,
    slots: &mut Slots,
    names: &mut Names,
    progress: &Progress,
    found: &mut Vec<Diagnostic>,
) -> Vec<Api> {
    let served =
        model.apis.iter().flat_map(|api| api.stages.iter().flat_map(move |stage| served(api, stage)));
    progress.begin(Phase::Compile, served.map(|definition| definition.routes.len()).sum());
    let mut growing = Growing { upstreams, make, slots, names, progress, selections: Selections::default() };
    let mut apis = Vec::with_capacity(model.apis.len());
    for api in &model.apis {
        let dialect = dialect(api.kind);
        let mut stages = Vec::with_capacity(api.stages.len());
        let before_api = found.len();
        for stage in &api.stages {
            let deployment = stage.deployment.as_ref();
            let definition = run(api, deployment);
            let cache_id = deployment.map_or("", |it| &it.cache_id);
            let place = Place {
                model,
                api,
                stage,
                definition,
                label: &stage.name,
                cache_id,
                dialect,
                has_canary: stage.canary.is_some(),
                is_canary: false,
            };
            let before = found.len();
            let canary = stage.canary.as_ref().map(|canary| place.canary(canary, &mut growing, found));
            let of_canary = stage.canary.as_ref().and_then(|canary| canary.deployment.as_ref());
            say_where(&mut found[before..], api, stage, of_canary);
            let before = found.len();
            let built = place.stage(&mut growing, found);
            say_where(&mut found[before..], api, stage, deployment);
            let Some(mut built) = built else { continue };
            match canary {
                Some(Some(canary)) => built.canary = Some(Box::new(canary)),
                // It was refused.
                Some(None) => continue,
                None => {}
            }
            stages.push(built);
        }
        if api.fail_on_warnings {
            found[before_api..].iter_mut().for_each(|it| it.severity = Severity::Error);
        }
        apis.push(Api { name: api.name.clone(), id: api.id.clone(), dialect, stages });
    }
    apis
}

/// What runs of an API where this deployment does; where none does, what the file says.
fn run<'m>(api: &'m model::Api, deployment: Option<&'m model::Deployment>) -> &'m model::Definition {
    deployment.map_or(&api.definition, |it| &*it.definition)
}

/// What is compiled for a stage: what it runs, and what its canary does.
fn served<'m>(api: &'m model::Api, stage: &'m model::Stage) -> impl Iterator<Item = &'m model::Definition> {
    let deployment = stage.deployment.as_ref();
    let of_canary = stage.canary.as_ref().map(|canary| run(api, canary.deployment.as_ref().or(deployment)));
    [run(api, deployment)].into_iter().chain(of_canary)
}

/// What is wrong with a definition that was frozen is in no file: says in which deployment.
fn say_where(
    found: &mut [Diagnostic],
    api: &model::Api,
    stage: &model::Stage,
    deployment: Option<&model::Deployment>,
) {
    let Some(deployment) = deployment else { return };
    for diagnostic in found.iter_mut().filter(|it| it.origin.is_none() && it.help.is_none()) {
        diagnostic.help = Some(format!(
            "that is in deployment `{}`, which stage `{}` of API `{}` runs: deploy what the file says, or another one",
            deployment.id, stage.name, api.name
        ));
    }
}

fn dialect(kind: Kind) -> Dialect {
    match kind {
        Kind::Proxy => Dialect::Proxy,
        Kind::Http => Dialect::Http,
        Kind::Rest => Dialect::Rest,
    }
}

impl Place<'_> {
    fn stage(&self, growing: &mut Growing<'_>, found: &mut Vec<Diagnostic>) -> Option<Stage> {
        let precedence = match self.dialect {
            Dialect::Proxy => Precedence::Proxy,
            Dialect::Http => Precedence::Http,
            Dialect::Rest => Precedence::Rest,
        };
        found.extend(refusals::of_definition(self.api, self.definition));
        self.warn_of_settings(found);
        let cors = self.cors(found);
        let gateway_responses = gateway_responses::compile(self.definition, self.api.kind, found);
        let models = Models::compile(self.definition, found);
        let forgetting = self.forgetting();
        let mut routes = Vec::with_capacity(self.definition.routes.len());
        for route in &self.definition.routes {
            routes.extend(self.route(route, &models, forgetting, growing, found));
            growing.progress.advance(1);
        }
        let keys = self.definition.routes.iter().zip(0..).map(|(route, index)| match &route.key {
            RouteKey::Default => router::Route { key: Key::Default, index },
            RouteKey::Path { method, path } => {
                router::Route { key: Key::Path { method: method.as_deref(), template: path }, index }
            }
        });
        let router = match Router::build(precedence, keys) {
            Ok(router) => router,
            Err(errors) => {
                for error in errors {
                    let route = self.definition.routes.get(error.index() as usize);
                    let origin = route.and_then(|route| route.origin.as_ref());
                    let key = route.map_or_else(String::new, |route| route.key.to_string());
                    found.push(Diagnostic::error(origin, key, error.to_string()));
                }
                return None;
            }
        };
        let cors = cors.ok()?;
        // One route was refused: the others' places would not fit the router's.
        (routes.len() == self.definition.routes.len()).then(|| Stage {
            name: self.stage.name.clone(),
            router,
            routes,
            compression: self.compression(),
            cors,
            gateway_responses,
            variables: self.stage.variables.clone(),
            disables_default_endpoint: self.definition.disable_default_endpoint,
            is_strict: self.definition.endpoint_access_mode == EndpointAccessMode::Strict,
            deployment: self.stage.deployment.as_ref().map(|it| it.id.clone()).unwrap_or_default(),
            is_canary: false,
            canary: None,
        })
    }

    /// CORS is an HTTP API's own (row 137), and a word of a REST API's stage; it was refused where this is an error.
    fn cors(&self, found: &mut Vec<Diagnostic>) -> Result<Option<Cors>, ()> {
        let (own, other) = match self.dialect {
            Dialect::Rest => (&self.stage.cors, &self.definition.cors),
            Dialect::Proxy | Dialect::Http => (&self.definition.cors, &self.stage.cors),
        };
        if let Some(other) = other {
            let message = "CORS is said in `[api.cors]` of an HTTP API, and in a stage of a REST API";
            found.push(Diagnostic::error(other.origin.as_ref(), "cors", message));
        }
        let Some(cors) = own else { return Ok(None) };
        Cors::new(&settings_of_cors(cors)).map(Some).map_err(|error| {
            found.push(Diagnostic::error(cors.origin.as_ref(), "cors", error.to_string()));
        })
    }

    /// What serves a part of the stage's requests: another deployment, other variables, or both (rows 30, 31). Settings, limits
    /// and the stage's cache are the stage's.
    fn canary(
        &self,
        canary: &model::Canary,
        growing: &mut Growing<'_>,
        found: &mut Vec<Diagnostic>,
    ) -> Option<Canary> {
        let mut stage = model::Stage { canary: None, ..self.stage.clone() };
        for (name, value) in &canary.variables {
            match stage.variables.iter_mut().find(|(own, _)| own == name) {
                Some((_, own)) => own.clone_from(value),
                None => stage.variables.push((name.clone(), value.clone())),
            }
        }
        let is_other =
            |own: &model::Deployment| stage.deployment.as_ref().is_none_or(|of_stage| of_stage.id != own.id);
        let other = canary.deployment.as_ref().filter(|own| is_other(own)).cloned();
        // Entries are apart if the deployments are, and shared if they are the same one and the operator says so (row 31).
        let cache_id = match &other {
            Some(other) => other.cache_id.clone(),
            None if canary.use_stage_cache => self.cache_id.to_owned(),
            None => identity(&[self.cache_id, "canary"]),
        };
        stage.deployment = other.or(stage.deployment);
        let definition = run(self.api, stage.deployment.as_ref());
        let label = format!("{}{CANARY_SUFFIX}", stage.name);
        let place =
            Place { stage: &stage, definition, label: &label, cache_id: &cache_id, is_canary: true, ..*self };
        let stage = Stage { is_canary: true, ..place.stage(growing, found)? };
        Some(Canary { threshold: Canary::threshold(canary.percent), stage })
    }

    fn route(
        &self,
        route: &model::Route,
        models: &Models<'_>,
        forgetting: Option<&model::Cache>,
        growing: &mut Growing<'_>,
        found: &mut Vec<Diagnostic>,
    ) -> Option<Route> {
        let key = route.key.to_string();
        let slot = growing.slots.route(&self.api.name, self.label, &key);
        let (api, stage) = (self.api.name.clone(), self.label.to_owned());
        let kind = match self.dialect {
            Dialect::Proxy => "proxy",
            Dialect::Http => "http",
            Dialect::Rest => "rest",
        };
        growing.names.routes.insert(slot, RouteLabels { api, stage, route: key.clone(), kind });
        let variables: Vec<String> = match &route.key {
            RouteKey::Default => Vec::new(),
            RouteKey::Path { path, .. } => router::variables(path).into_iter().map(str::to_owned).collect(),
        };
        let integration = self.integration(route, &key, &variables, growing, found);
        let mut refuse = |part: &str, message: String| {
            found.push(Diagnostic::error(route.origin.as_ref(), format!("{key}: {part}"), message));
        };
        for what in refusals::of_route(route) {
            refuse("authorization", what);
        }
        let limits = route.limits.as_ref().unwrap_or(&self.model.node.limits);
        let mut policies: Vec<Box<dyn Policy>> = vec![Box::new(self.limits(route, limits))];
        let mut origins = Origins::of(route);
        let (levels, written) = self.levels(route, &key).into_iter().unzip();
        match Throttle::new(&policy::throttle::Settings { levels }) {
            Ok(throttle) if throttle.is_empty() => {}
            Ok(throttle) => {
                policies.push(Box::new(throttle));
                origins.policies.push(written);
            }
            Err(error) => refuse("throttle", error.to_string()),
        }
        if self.compression().is_some() {
            policies.push(Box::new(Decompress));
            origins.policies.push(vec![self.api.origin.clone()]);
        }
        // Behind the throttle and before the cache (row 91).
        match models.policy(route, &variables, limits.body_bytes_max) {
            Ok(Some(validate)) => {
                policies.push(Box::new(validate));
                origins.policies.push(vec![route.origin.clone()]);
            }
            Ok(None) => {}
            Err(mistakes) => mistakes.into_iter().for_each(|why| refuse("request", why)),
        }
        match self.cache(route, &key, &variables, forgetting).transpose() {
            Ok(Some(cache)) => {
                policies.push(cache);
                let own = self.cache_of(route).or(forgetting);
                origins.policies.push(vec![own.and_then(|cache| cache.origin.clone())]);
            }
            Ok(None) => {}
            Err(message) => refuse("cache", message),
        }
        let is_plain =
            self.dialect == Dialect::Proxy && self.definition.cors.is_none() && self.compression().is_none();
        let replays = is_plain && !policies.iter().rev().skip(1).any(|policy| policy.reads_responses());
        let is_declared =
            |kind| matches!(kind, IntegrationType::Aws | IntegrationType::AwsProxy | IntegrationType::Http);
        let traces = self.dialect == Dialect::Rest
            && matches!(&route.integration, model::Integration::Declared(declared) if is_declared(declared.kind));
        match integration {
            Ok(integration) => Some(Route {
                slot,
                key,
                names: variables,
                traces,
                streams: streams(route),
                policies,
                replays,
                integration,
                body_bytes_max: limits.body_bytes_max,
                response_bytes_max: self.response_bytes_max(route, limits),
                origin: route.origin.clone(),
                origins: Box::new(origins),
            }),
            Err(message) => {
                if let Some(message) = message {
                    refuse("integration", message);
                }
                None
            }
        }
    }

    /// Row 174: what AWS calls the payload, in both directions. Who lets longer requests in wants longer responses too.
    fn response_bytes_max(&self, route: &model::Route, limits: &model::Limits) -> u64 {
        match self.dialect {
            _ if streams(route) => u64::MAX,
            Dialect::Proxy => u64::MAX,
            Dialect::Http | Dialect::Rest => limits.body_bytes_max.max(PAYLOAD_BYTES),
        }
    }

    /// What answers a route; or why not, where that was not told already.
    fn integration(
        &self,
        route: &model::Route,
        key: &str,
        variables: &[String],
        growing: &mut Growing<'_>,
        found: &mut Vec<Diagnostic>,
    ) -> Result<Box<dyn Integration>, Option<String>> {
        match &route.integration {
            model::Integration::Declared(declared) => {
                let Growing { upstreams, make, slots, selections, .. } = growing;
                let around =
                    declared::Around { route, key, variables, upstreams, make: *make, slots, selections };
                let compiled = declared::compile(self, declared, around, found);
                compiled.ok_or(None)
            }
            model::Integration::Mock(mock) => Ok(Box::new(mock_of(mock))),
            model::Integration::Http { upstream, path, strip_prefix } => {
                let slot = growing.upstreams.slots.get(upstream).copied();
                let settings = integration::http::Settings {
                    upstream: slot.ok_or_else(|| format!("there is no upstream `{upstream}`"))?,
                    path: path.clone(),
                    strip_prefix: strip_prefix.clone(),
                    variables: variables.to_vec(),
                    dialect: self.dialect,
                    api_id: self.api.id.clone(),
                };
                Ok(Box::new(Http::new(settings).map_err(|error| error.to_string())?))
            }
        }
    }

    /// Row 125.
    fn compression(&self) -> Option<Compression> {
        let minimum_bytes = self.definition.minimum_compression_bytes?;
        Some(Compression { minimum_bytes: minimum_bytes.into() })
    }

    /// A route's limits; where it has none of its own, the endpoint bounds URLs beside the node (row 177).
    fn limits(&self, route: &model::Route, limits: &model::Limits) -> Limits {
        let of_endpoint = match self.api.endpoint {
            EndpointType::Edge | EndpointType::Private => 8_192,
            EndpointType::Regional => u64::MAX,
        };
        let target_bytes_max = match &route.limits {
            Some(own) => own.target_bytes_max,
            None => limits.target_bytes_max.min(of_endpoint),
        };
        Limits {
            dialect: self.dialect,
            header_bytes_max: limits.header_bytes_max,
            headers_max: limits.headers_max,
            target_bytes_max,
            body_bytes_max: limits.body_bytes_max,
        }
    }

    /// Buckets in the order in which they are asked (row 71): the client's, the route's, the stage's, the account's.
    fn levels(&self, route: &model::Route, key: &str) -> Vec<(LevelSettings, Option<model::Origin>)> {
        let (api, stage) = (&self.api.name, &self.stage.name);
        let level = |identity: String, scope, throttle: &model::Throttle| {
            let per_client = throttle.per == ThrottlePer::Client;
            let (rate, burst) = (throttle.rate, throttle.burst);
            (LevelSettings { identity, rate, burst, per_client, scope }, throttle.origin.clone())
        };
        let mut own: Vec<_> = route.throttles.iter().collect();
        own.sort_by_key(|throttle| throttle.per != ThrottlePer::Client);
        let of_stage = self.settings(route).and_then(|settings| settings.throttle.as_ref());
        if of_stage.is_some() {
            own.retain(|throttle| throttle.per != ThrottlePer::All);
        }
        let has_own = own.iter().any(|throttle| throttle.per == ThrottlePer::All);
        let inherited = of_stage.or(self.stage.route_throttle.as_ref()).filter(|_| !has_own);
        let per = |throttle: &model::Throttle| match throttle.per {
            ThrottlePer::Client => "client",
            ThrottlePer::All => "route",
        };
        let mut levels: Vec<_> = own
            .into_iter()
            .chain(inherited)
            .map(|throttle| level(identity(&[api, stage, key, per(throttle)]), Scope::Route, throttle))
            .collect();
        levels.extend(
            self.stage
                .throttle
                .as_ref()
                .map(|throttle| level(identity(&[api, stage, "stage"]), Scope::Stage, throttle)),
        );
        levels.extend(
            self.model
                .node
                .throttle
                .as_ref()
                .map(|throttle| level(identity(&["account"]), Scope::Account, throttle)),
        );
        levels
    }

    /// What the stage says of one route, which goes before what the route says of itself (rows 68, 69, 84).
    pub(super) fn settings(&self, route: &model::Route) -> Option<&model::MethodSettings> {
        self.stage.method_settings.iter().find(|settings| settings.key == route.key)
    }

    /// Says which of the stage's settings are of no route that it runs; of its canary that says nothing.
    fn warn_of_settings(&self, found: &mut Vec<Diagnostic>) {
        let has_none = |settings: &&model::MethodSettings| {
            !self.is_canary && !self.definition.routes.iter().any(|route| route.key == settings.key)
        };
        for settings in self.stage.method_settings.iter().filter(has_none) {
            let message = format!("it has no effect: stage `{}` runs no such route", self.stage.name);
            found.push(Diagnostic::warning(settings.origin.as_ref(), settings.key.to_string(), message));
        }
    }
}

impl Origins {
    /// Those of a route's limits and of what answers it; its other policies' are added as they are made.
    fn of(route: &model::Route) -> Self {
        let limits = route.limits.as_ref().and_then(|_| route.origin.clone());
        let (integration, responses) = match &route.integration {
            model::Integration::Declared(declared) => {
                let responses = declared.responses.iter().map(|response| response.origin.clone());
                (declared.origin.clone(), responses.collect())
            }
            model::Integration::Mock(_) | model::Integration::Http { .. } => (None, Vec::new()),
        };
        let integration = integration.or_else(|| route.origin.clone());
        Self { policies: vec![vec![limits]], integration, responses }
    }
}

fn mock_of(mock: &model::Mock) -> Mock {
    let fields = mock.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let headers: Headers = fields.collect();
    Mock::new(mock.status, headers, Bytes::from(mock.body.clone()))
}

/// Names of buckets and cache entries: parts that can't run into each other.
pub(super) fn identity(parts: &[&str]) -> String {
    parts.join("\u{1f}")
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

//! Stages, deployments, domain names and mappings of templates.

use std::time::Duration;

use model::{
    Cache, CacheMode, Canary, Domain, EndpointAccessMode, EndpointType, IpAddressType, Kind, Mapping,
    MethodSettings, RouteKey, RoutingMode, Stage, Throttle, ThrottlePer,
};
use openapi::tree::{Node, Value, quote};

use crate::{
    build::{self, Span},
    intrinsics::entries,
    known,
    resources::{Assembly, Resource},
    rest::list,
};

/// Row 83.
const TTL_S: u64 = 300;
/// Row 87.
const CACHED_BODY_BYTES: u64 = 1 << 20;

/// `AWS::ApiGateway::Stage`, `AWS::ApiGatewayV2::Stage`, and deployments that name a stage.
pub(crate) fn stages(assembly: &mut Assembly<'_>, resources: &[Resource]) {
    for resource in resources {
        let (api, name) = match &*resource.kind {
            "AWS::ApiGateway::Stage" => ("RestApiId", "StageName"),
            "AWS::ApiGatewayV2::Stage" => ("ApiId", "StageName"),
            "AWS::ApiGateway::Deployment" if resource.get("StageName").is_some() => {
                ("RestApiId", "StageName")
            }
            _ => continue,
        };
        let (Some(api), Some(name)) = (resource.text(api), resource.text(name)) else {
            assembly.resolver.fail(&resource.span, format!("`{api}` or `{name}` is missing"));
            continue;
        };
        if !assembly.drafts.iter().any(|draft| draft.logical == api) {
            assembly.left(resource.title(), "it belongs to an API that was left out", &resource.span);
            continue;
        }
        let description = resource.get("StageDescription").filter(|_| resource.kind.ends_with("Deployment"));
        let properties = description.unwrap_or(&resource.properties);
        let kind = if resource.kind.contains("V2") { Kind::Http } else { Kind::Rest };
        let stage = of(assembly, properties, name.clone(), kind, resource);
        if let Some(draft) = assembly.draft(&api, &resource.span) {
            draft.stages.retain(|other| other.name != stage.name);
            draft.stages.push(stage);
        }
        assembly.mapped(resource.title(), format!("[[api.stage]] {name}"), &resource.span);
    }
}

/// What a stage says, here and in SAM.
pub(crate) fn of(
    assembly: &mut Assembly<'_>,
    properties: &Node,
    name: String,
    kind: Kind,
    resource: &Resource,
) -> Stage {
    let origin = Some(assembly.resolver.origin(&resource.span));
    let text = |key: &str| properties.get(key).and_then(build::scalar);
    let variables = properties.get("Variables").or_else(|| properties.get("StageVariables"));
    let mut stage = Stage {
        name,
        description: text("Description"),
        variables: pairs(variables),
        auto_deploy: true,
        documentation_version: text("DocumentationVersion"),
        origin: origin.clone(),
        ..Stage::default()
    };
    let caches = text("CacheClusterEnabled").is_some_and(|it| it.eq_ignore_ascii_case("true"));
    for settings in list(properties.get("MethodSettings")) {
        let text = |key: &str| settings.get(key).and_then(build::scalar);
        let throttle = limits(assembly, Some(settings), origin.clone());
        let is_cached = caches && text("CachingEnabled").is_none_or(|it| it.eq_ignore_ascii_case("true"));
        let ttl = number(assembly, settings.get("CacheTtlInSeconds")).map_or(TTL_S, |seconds| seconds as u64);
        let cache = is_cached.then(|| cache(ttl, origin.clone()));
        let path = text("ResourcePath").unwrap_or_else(|| "/*".into()).replace("~1", "/");
        let path = format!("/{}", path.trim_start_matches('/'));
        let method = text("HttpMethod").unwrap_or_else(|| "*".into());
        if path == "/*" && method == "*" {
            (stage.route_throttle, stage.cache) = (throttle, cache);
        } else if throttle.is_some() || cache.is_some() {
            let key = RouteKey::Path { method: (method != "*" && method != "ANY").then_some(method), path };
            stage.method_settings.push(MethodSettings { key, throttle, cache, origin: origin.clone() });
        }
        let known = [
            "CacheTtlInSeconds",
            "CachingEnabled",
            "DataTraceEnabled",
            "HttpMethod",
            "LoggingLevel",
            "MetricsEnabled",
            "ResourcePath",
            "ThrottlingBurstLimit",
            "ThrottlingRateLimit",
        ];
        known::others_of(assembly, &format!("{} MethodSettings", resource.title()), settings, &known);
        let logs = ["LoggingLevel", "DataTraceEnabled", "MetricsEnabled"];
        let given: Vec<_> = logs.into_iter().filter(|key| settings.get(key).is_some()).collect();
        if !given.is_empty() {
            let why = "logs and metrics are the node's own: see [access_log] and /metrics";
            let what = format!("{} MethodSettings {}", resource.title(), given.join(", "));
            assembly.left(what, why, &settings.span);
        }
    }
    if caches && stage.cache.is_none() && stage.method_settings.is_empty() {
        stage.cache = Some(cache(TTL_S, origin.clone()));
    }
    if kind == Kind::Http {
        let default = properties.get("DefaultRouteSettings");
        stage.route_throttle = limits(assembly, default, origin.clone());
        let of_routes = entries(properties.get("RouteSettings")).iter();
        for (name, settings) in of_routes.map(|it| (&*it.key, &it.value)).chain(default.map(|it| ("", it))) {
            let title = format!("{} route settings {name}", resource.title());
            let known = ["ThrottlingBurstLimit", "ThrottlingRateLimit"];
            known::others_of(assembly, title.trim_end(), settings, &known);
            if !name.is_empty() {
                let (key, throttle) = (key(name), limits(assembly, Some(settings), origin.clone()));
                let made = MethodSettings { key, throttle, cache: None, origin: origin.clone() };
                stage.method_settings.push(made);
            }
        }
    }
    if let Some(canary) = properties.get("CanarySetting") {
        let text = |key: &str| canary.get(key).and_then(build::scalar);
        stage.canary = Some(Canary {
            percent: number(assembly, canary.get("PercentTraffic")).unwrap_or(0.0),
            deployment: None,
            variables: pairs(canary.get("StageVariableOverrides")),
            use_stage_cache: text("UseStageCache").is_some_and(|it| it.eq_ignore_ascii_case("true")),
            judge: None,
        });
    }
    let left = [
        ("AccessLogSetting", "access logs are the node's own: see [access_log]"),
        ("AccessLogSettings", "access logs are the node's own: see [access_log]"),
        ("CacheClusterSize", "the cache is the node's own: see [cache] size"),
        ("TracingEnabled", "tracing is not built yet"),
        ("ClientCertificateId", "client certificates for backends are not built yet"),
    ];
    for (key, why) in left {
        if let Some(given) = properties.get(key) {
            assembly.left(format!("{} {key}", resource.title()), why, &given.span);
        }
    }
    if let Some(given) =
        properties.get("AutoDeploy").filter(|_| text("AutoDeploy").as_deref() == Some("false"))
    {
        let why = "what a template says is deployed with it; in TOML a stage may have `auto_deploy = false`";
        assembly.left(format!("{} AutoDeploy", resource.title()), why, &given.span);
    }
    stage
}

/// `GET /pets`, `$default`.
pub(crate) fn key(text: &str) -> RouteKey {
    match text.split_once(' ') {
        Some((method, path)) => {
            RouteKey::Path { method: (method != "ANY").then(|| method.to_owned()), path: path.to_owned() }
        }
        None => RouteKey::Default,
    }
}

/// What settings of methods and routes say of how fast.
pub(crate) fn limits(
    assembly: &Assembly<'_>,
    settings: Option<&Node>,
    origin: Option<model::Origin>,
) -> Option<Throttle> {
    let of = |key: &str| number(assembly, settings.and_then(|it| it.get(key)));
    let (rate, burst) = (of("ThrottlingRateLimit"), of("ThrottlingBurstLimit").map(|burst| burst as u32));
    (rate.is_some() || burst.is_some()).then(|| Throttle {
        // AWS's own limit of an account (row 67).
        rate: rate.unwrap_or(10_000.0),
        burst,
        per: ThrottlePer::All,
        origin,
    })
}

/// A number from 0 on, if there is one; what is none is told.
fn number(assembly: &Assembly<'_>, given: Option<&Node>) -> Option<f64> {
    let given = given.filter(|it| !matches!(it.value, Value::Null))?;
    let text = build::scalar(given).unwrap_or_default();
    let number = text.trim().parse::<f64>().ok().filter(|it| it.is_finite() && *it >= 0.0);
    if number.is_none() {
        assembly.resolver.fail(&given.span, format!("{} is no number from 0 on", quote(&text)));
    }
    number
}

fn cache(ttl_s: u64, origin: Option<model::Origin>) -> Cache {
    Cache {
        mode: CacheMode::Fixed,
        ttl: Duration::from_secs(ttl_s.min(3_600)),
        key: None,
        methods: vec!["GET".into()],
        client_invalidation: true,
        body_bytes_max: CACHED_BODY_BYTES,
        origin,
    }
}

/// Names and strings.
pub(crate) fn pairs(map: Option<&Node>) -> Vec<(String, String)> {
    let entries = entries(map).iter();
    entries.map(|entry| (entry.key.to_string(), build::scalar(&entry.value).unwrap_or_default())).collect()
}

/// Domain names, and what is mapped to them.
pub(crate) fn domains(assembly: &mut Assembly<'_>, resources: &[Resource]) {
    for resource in resources {
        if matches!(&*resource.kind, "AWS::ApiGateway::DomainName" | "AWS::ApiGatewayV2::DomainName") {
            let Some(name) = resource.text("DomainName") else {
                assembly.resolver.fail(&resource.span, "`DomainName` is missing");
                continue;
            };
            assembly.mapped(resource.title(), format!("[[domain]] {name}"), &resource.span);
            let why = "certificates are the node's own: name files in [[certificate]]";
            assembly.left(format!("certificate of {name}"), why, &resource.span);
            let configurations = resource.get("DomainNameConfigurations");
            let types = list(configurations).first().or_else(|| resource.get("EndpointConfiguration"));
            let domain = domain(assembly, &name, &resource.properties, types, &resource.span);
            assembly.domains.push(domain);
        }
    }
    for resource in resources {
        let (api, key) = match &*resource.kind {
            "AWS::ApiGateway::BasePathMapping" => ("RestApiId", "BasePath"),
            "AWS::ApiGatewayV2::ApiMapping" => ("ApiId", "ApiMappingKey"),
            _ => continue,
        };
        let host = resource.text("DomainName").map(|name| host(resources, &name));
        let id = resource.text(api).unwrap_or_default();
        let stage = resource.text("Stage").map(|name| named(assembly, resources, &id, &name));
        let base_path = resource.text(key).filter(|key| key != "(none)").unwrap_or_default();
        let origin = Some(assembly.resolver.origin(&resource.span));
        let mapping = Mapping { host, base_path, stage, origin };
        if let Some(draft) = assembly.draft(&id, &resource.span) {
            draft.mappings.push(mapping);
            assembly.mapped(resource.title(), "[[api.mapping]]", &resource.span);
        }
    }
}

/// The host of what `DomainName` names: a resource, or the name itself.
pub(crate) fn host(resources: &[Resource], name: &str) -> String {
    let named = resources.iter().find(|it| it.logical == name && it.kind.ends_with("::DomainName"));
    named.and_then(|it| it.text("DomainName")).unwrap_or_else(|| name.to_owned())
}

/// The stage of what `Stage` names: a resource, what SAM makes by itself (`PetsprodStage`, `Pets.Stage`), or the name itself.
pub(crate) fn named(assembly: &Assembly<'_>, resources: &[Resource], api: &str, name: &str) -> String {
    let resource = resources.iter().find(|it| it.logical == name && it.kind.ends_with("::Stage"));
    if let Some(written) = resource.and_then(|it| it.text("StageName")) {
        return written;
    }
    let is_made = name.strip_prefix(api).is_some_and(|rest| rest.ends_with("Stage"));
    let draft = assembly.drafts.iter().find(|draft| draft.logical == api && is_made);
    draft.and_then(|draft| draft.stages.first()).map_or_else(|| name.to_owned(), |stage| stage.name.clone())
}

/// What a domain says of itself; `types` is where its endpoint is told.
pub(crate) fn domain(
    assembly: &Assembly<'_>,
    name: &str,
    given: &Node,
    types: Option<&Node>,
    span: &Span,
) -> Domain {
    if let Some(mutual) = given.get("MutualTlsAuthentication") {
        let message =
            "certificates of clients can't be asked for yet, and without them everybody would be let in";
        assembly.resolver.fail(&mutual.span, message);
    }
    let within = |key: &str| types.and_then(|it| it.get(key)).map(|it| list(Some(it)).first().unwrap_or(it));
    let kind =
        types.filter(|it| build::scalar(it).is_some()).or_else(|| within("Types")).or_else(|| within("Type"));
    const MODES: [(&str, RoutingMode); 5] = [
        ("BASE_PATH_MAPPING_ONLY", RoutingMode::MappingOnly),
        ("API_MAPPING_ONLY", RoutingMode::MappingOnly),
        ("ROUTING_RULE_ONLY", RoutingMode::RuleOnly),
        ("ROUTING_RULE_THEN_BASE_PATH_MAPPING", RoutingMode::RuleThenMapping),
        ("ROUTING_RULE_THEN_API_MAPPING", RoutingMode::RuleThenMapping),
    ];
    const TYPES: [(&str, EndpointType); 3] = [
        ("REGIONAL", EndpointType::Regional),
        ("EDGE", EndpointType::Edge),
        ("PRIVATE", EndpointType::Private),
    ];
    const ADDRESSES: [(&str, IpAddressType); 2] =
        [("ipv4", IpAddressType::Ipv4), ("dualstack", IpAddressType::Dualstack)];
    const ACCESS: [(&str, EndpointAccessMode); 2] =
        [("BASIC", EndpointAccessMode::Basic), ("STRICT", EndpointAccessMode::Strict)];
    Domain {
        name: name.to_ascii_lowercase(),
        routing_mode: choice(assembly, given.get("RoutingMode"), &MODES),
        rules: Vec::new(),
        endpoint: choice(assembly, kind.or_else(|| within("EndpointType")), &TYPES),
        ip_address_type: choice(assembly, within("IpAddressType"), &ADDRESSES),
        endpoint_access_mode: choice(assembly, given.get("EndpointAccessMode"), &ACCESS),
        health: true,
        origin: Some(assembly.resolver.origin(span)),
    }
}

/// One of a few words; what is none of them is told.
fn choice<T: Copy + Default>(assembly: &Assembly<'_>, given: Option<&Node>, choices: &[(&str, T)]) -> T {
    let Some(given) = given else { return T::default() };
    let text = build::scalar(given).unwrap_or_default();
    let found = choices.iter().find(|(name, _)| *name == text);
    if found.is_none() {
        let names: Vec<_> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
        let message = format!("`{text}` is not known here: write {}", names.join(" or "));
        assembly.resolver.fail(&given.span, message);
    }
    found.map(|(_, choice)| *choice).unwrap_or_default()
}

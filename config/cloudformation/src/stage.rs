//! Stages, deployments, domain names and mappings of templates.

use std::time::Duration;

use model::{
    Cache, CacheMode, Canary, Domain, Kind, Mapping, MethodSettings, RouteKey, Stage, Throttle, ThrottlePer,
};
use openapi::tree::Node;

use crate::{
    build,
    intrinsics::entries,
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
        let throttle = throttle(text("ThrottlingRateLimit"), text("ThrottlingBurstLimit"), origin.clone());
        let is_cached = caches && text("CachingEnabled").is_none_or(|it| it.eq_ignore_ascii_case("true"));
        let ttl = text("CacheTtlInSeconds").and_then(|it| it.parse().ok()).unwrap_or(TTL_S);
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
        let logs = ["LoggingLevel", "DataTraceEnabled", "MetricsEnabled"];
        if logs.iter().any(|key| settings.get(key).is_some()) {
            let why = "logs and metrics are the node's own: see [access_log] and /metrics";
            assembly.left(format!("{} MethodSettings", resource.title()), why, &settings.span);
        }
    }
    if caches && stage.cache.is_none() && stage.method_settings.is_empty() {
        stage.cache = Some(cache(TTL_S, origin.clone()));
    }
    let limits = |settings: Option<&Node>| {
        let text = |key: &str| settings.and_then(|it| it.get(key)).and_then(build::scalar);
        throttle(text("ThrottlingRateLimit"), text("ThrottlingBurstLimit"), origin.clone())
    };
    if kind == Kind::Http {
        stage.route_throttle = limits(properties.get("DefaultRouteSettings"));
        for entry in entries(properties.get("RouteSettings")) {
            let key = match entry.key.split_once(' ') {
                Some((method, path)) => RouteKey::Path {
                    method: (method != "ANY").then(|| method.to_owned()),
                    path: path.to_owned(),
                },
                None => RouteKey::Default,
            };
            let throttle = limits(Some(&entry.value));
            stage.method_settings.push(MethodSettings { key, throttle, cache: None, origin: origin.clone() });
        }
    }
    if let Some(canary) = properties.get("CanarySetting") {
        let text = |key: &str| canary.get(key).and_then(build::scalar);
        stage.canary = Some(Canary {
            percent: text("PercentTraffic").and_then(|it| it.parse().ok()).unwrap_or(0.0),
            deployment: None,
            variables: pairs(canary.get("StageVariableOverrides")),
            use_stage_cache: text("UseStageCache").is_some_and(|it| it.eq_ignore_ascii_case("true")),
            judge: None,
        });
    }
    let left = [
        ("AccessLogSetting", "access logs are the node's own: see [access_log]"),
        ("AccessLogSettings", "access logs are the node's own: see [access_log]"),
        ("TracingEnabled", "tracing is not built yet"),
        ("ClientCertificateId", "client certificates for backends are not built yet"),
    ];
    for (key, why) in left {
        if let Some(given) = properties.get(key) {
            assembly.left(format!("{} {key}", resource.title()), why, &given.span);
        }
    }
    stage
}

fn throttle(rate: Option<String>, burst: Option<String>, origin: Option<model::Origin>) -> Option<Throttle> {
    let rate = rate.and_then(|it| it.parse::<f64>().ok()).filter(|rate| rate.is_finite() && *rate >= 0.0);
    let burst = burst.and_then(|it| it.parse::<f64>().ok()).map(|burst| burst as u32);
    (rate.is_some() || burst.is_some()).then(|| Throttle {
        // AWS's own limit of an account (row 67).
        rate: rate.unwrap_or(10_000.0),
        burst,
        per: ThrottlePer::All,
        origin,
    })
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
            let domain = domain(assembly, &name, resource);
            assembly.domains.push(domain);
        }
    }
    for resource in resources {
        let (api, key) = match &*resource.kind {
            "AWS::ApiGateway::BasePathMapping" => ("RestApiId", "BasePath"),
            "AWS::ApiGatewayV2::ApiMapping" => ("ApiId", "ApiMappingKey"),
            _ => continue,
        };
        let host = resource.text("DomainName").map(|name| {
            let named = resources.iter().find(|it| it.logical == name && it.kind.ends_with("::DomainName"));
            named.and_then(|it| it.text("DomainName")).unwrap_or(name)
        });
        let stage = resource.text("Stage").map(|name| {
            let named = resources.iter().find(|it| it.logical == name && it.kind.ends_with("::Stage"));
            named.and_then(|it| it.text("StageName")).unwrap_or(name)
        });
        let base_path = resource.text(key).filter(|key| key != "(none)").unwrap_or_default();
        let origin = Some(assembly.resolver.origin(&resource.span));
        let mapping = Mapping { host, base_path, stage, origin };
        let api = resource.text(api).unwrap_or_default();
        if let Some(draft) = assembly.draft(&api, &resource.span) {
            draft.mappings.push(mapping);
            assembly.mapped(resource.title(), "[[api.mapping]]", &resource.span);
        }
    }
}

/// A domain that says no more than its name.
pub(crate) fn domain(assembly: &Assembly<'_>, name: &str, resource: &Resource) -> Domain {
    Domain {
        name: name.to_ascii_lowercase(),
        routing_mode: model::RoutingMode::default(),
        rules: Vec::new(),
        endpoint: model::EndpointType::default(),
        ip_address_type: model::IpAddressType::default(),
        health: true,
        origin: Some(assembly.resolver.origin(&resource.span)),
    }
}

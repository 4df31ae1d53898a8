//! APIs with all that they may say, valid in themselves.

use std::time::Duration;

use model::{
    Api, ApiKeySource, Authorization, Authorizer, AuthorizerKind, BodyModel, Cache, CacheKey, CacheMode,
    Canary, CanaryJudge, ContentHandling, Cors, Declared, Definition, DocumentationPart, Domain,
    EndpointAccessMode, EndpointType, GatewayResponse, GatewayResponseType, Integration, IntegrationResponse,
    IntegrationType, IpAddressType, Kind, Limits, Mapping, MethodResponse, MethodSettings, Mock,
    ParameterPlace, Passthrough, RequestParameter, RequestRules, RequestValidator, Route, RouteKey,
    RoutingMode, RoutingRule, Stage, Throttle, ThrottlePer,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

const ROUTES_MAX: usize = 5;

/// Texts with all that is awkward in TOML, in references and in templates.
fn text() -> impl Strategy<Value = String> {
    "\\PC{0,12}|([a-z'\"\\\\\\n\\r\\t #\\{}$.]|\\$\\{|'''|file:|HOME|stageVariables\\.x|\\$input\\.json\\('\\$'\\)){0,16}"
}

fn word() -> impl Strategy<Value = String> {
    "[A-Za-z][A-Za-z0-9]{0,7}"
}

fn line() -> impl Strategy<Value = String> {
    "[a-z${}\"'\\\\][a-zA-Z0-9 ${}\"'\\\\:/-]{0,12}[a-z}]".prop_map(|text| text.trim().to_owned())
}

/// Pairs with names that are there once.
fn pairs(
    name: impl Strategy<Value = String>,
    value: impl Strategy<Value = String>,
) -> impl Strategy<Value = Vec<(String, String)>> {
    vec((name, value), 0..4).prop_map(|pairs| once(pairs, |pair| pair.0.clone()))
}

fn once<T, K: PartialEq>(all: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    for it in all {
        if !kept.iter().any(|other| key(other) == key(&it)) {
            kept.push(it);
        }
    }
    kept
}

fn media_type() -> impl Strategy<Value = String> {
    select(vec!["application/json", "text/plain", "$default", "*/*", "application/x-www-form-urlencoded"])
        .prop_map(str::to_owned)
}

fn templates() -> impl Strategy<Value = Vec<(String, String)>> {
    pairs(media_type(), text())
}

fn mappings(destination: &'static str) -> impl Strategy<Value = Vec<(String, String)>> {
    let source = select(vec![
        "method.request.path.id",
        "method.request.multivaluequerystring.q",
        "method.request.header.X-a",
        "'${x} $${HOME}'",
        "context.requestId",
    ]);
    pairs(word().prop_map(move |name| format!("{destination}{name}")), source.prop_map(str::to_owned))
}

fn duration(min_ms: u64, max_ms: u64) -> impl Strategy<Value = Duration> {
    (min_ms..=max_ms).prop_map(Duration::from_millis)
}

fn throttle(per: bool) -> impl Strategy<Value = Throttle> {
    let rate = (0u32..100_000, select(vec![1.0, 7.0, 60.0, 3_600.0]));
    (rate, option::of(0u32..1_000), any::<bool>()).prop_map(move |((number, by), burst, client)| Throttle {
        rate: f64::from(number) / by,
        burst,
        per: if client && per { ThrottlePer::Client } else { ThrottlePer::All },
        origin: None,
    })
}

fn fixed(is_stage: bool) -> impl Strategy<Value = Cache> {
    let key = prop_oneof![
        word().prop_map(CacheKey::Query),
        "[a-z-]{1,6}".prop_map(CacheKey::Header),
        Just(CacheKey::Path("id".into())),
    ];
    let methods = select(vec![vec!["GET"], vec!["GET", "POST"], vec![]]);
    let parts = (duration(0, 3_600_000), option::of(vec(key, 0..3)), methods, any::<bool>(), 1u64..1 << 20);
    parts.prop_map(move |(ttl, key, methods, client_invalidation, body_bytes_max)| Cache {
        mode: CacheMode::Fixed,
        ttl,
        key: key.filter(|_| !is_stage),
        methods: if is_stage { vec!["GET".into()] } else { methods.into_iter().map(str::to_owned).collect() },
        client_invalidation,
        body_bytes_max,
        origin: None,
    })
}

/// The cache of a route, which may be as short as a duration.
fn cache(kind: Kind) -> impl Strategy<Value = Cache> {
    let default = crate::policy::default_cache(kind);
    let short = duration(0, 3_600_000).prop_map(move |ttl| Cache { ttl, ..default.clone() });
    let respecting = any::<bool>().prop_map(move |client_invalidation| Cache {
        client_invalidation,
        ..crate::policy::respecting(kind)
    });
    // A REST API's cache does not heed the backend.
    let last = if kind == Kind::Rest { fixed(false).boxed() } else { respecting.boxed() };
    prop_oneof![fixed(false), short, last]
}

fn cors() -> impl Strategy<Value = Cors> {
    let list = |items: &'static [&'static str]| {
        proptest::sample::subsequence(items, 0..=items.len())
            .prop_map(|items| items.into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    let said = (
        list(&["https://a.example", "http://*", "https://b:81"]),
        list(&["GET", "POST", "*"]),
        list(&["x-a", "*"]),
        list(&["x-b"]),
        option::of(-1i32..=86_400),
        any::<bool>(),
    )
        .prop_map(
            |(allow_origins, allow_methods, allow_headers, expose_headers, max_age_s, allow_credentials)| {
                let origin = None;
                Cors {
                    allow_origins,
                    allow_methods,
                    allow_headers,
                    expose_headers,
                    max_age_s,
                    allow_credentials,
                    origin,
                }
            },
        );
    prop_oneof![said, Just(crate::cors::everybody())]
}

fn integration_response() -> impl Strategy<Value = IntegrationResponse> {
    (option::of(line()), 100u16..600, mappings("method.response.header."), templates(), handling()).prop_map(
        |(selection_pattern, status, parameters, templates, content_handling)| {
            let origin = None;
            IntegrationResponse { selection_pattern, status, parameters, templates, content_handling, origin }
        },
    )
}

fn handling() -> impl Strategy<Value = Option<ContentHandling>> {
    option::of(select(vec![ContentHandling::ConvertToBinary, ContentHandling::ConvertToText]))
}

fn declared(kind: Kind) -> impl Strategy<Value = Declared> {
    let types: &[_] = match kind {
        Kind::Rest => &IntegrationType::ALL,
        _ => &[IntegrationType::AwsProxy, IntegrationType::HttpProxy],
    };
    let http = select(vec!["http://b/{p}?a=b", "https://${stageVariables.host}/x", "http://[::1]:8080"]);
    let aws = select(vec!["arn:aws:lambda:x", "arn:aws:apigateway:${stageVariables.f}/invocations"]);
    let own = || option::of(text());
    let uris = (select(types), http, aws, option::of(select(vec!["GET", "ANY"])), own(), own());
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let names =
        (option::of("[a-z]{1,8}"), option::of(duration(50, 30_000)), option::of(line()), option::of(word()));
    let passthrough =
        select(vec![Passthrough::WhenNoMatch, Passthrough::WhenNoTemplates, Passthrough::Never]);
    let rest = (templates(), passthrough, handling(), vec(text(), 0..3), vec(integration_response(), 0..3));
    let by_status = vec((200u16..600, mappings("overwrite:header.")), 0..3);
    let all = (uris, flags, names, rest, mappings("integration.request.header."), by_status);
    all.prop_map(move |(uris, flags, names, rest, request_parameters, by_status)| {
        let (integration_type, http, aws, method, connection_id, credentials) = uris;
        let (server_name, timeout, cache_namespace, subtype) = names;
        let (request_templates, passthrough, content_handling, cache_key_parameters, responses) = rest;
        let is_http = matches!(integration_type, IntegrationType::Http | IntegrationType::HttpProxy);
        let uri = if is_http { Some(http) } else { Some(aws) };
        let declared = Declared {
            http_method: method.map(str::to_owned),
            uri: uri.filter(|_| integration_type != IntegrationType::Mock).map(str::to_owned),
            connection_id,
            credentials,
            timeout,
            insecure_skip_verification: flags.0,
            server_name,
            http2: flags.1,
            request_parameters,
            ..Declared::new(integration_type)
        };
        if kind == Kind::Rest {
            let responses = once(responses, |it| it.selection_pattern.clone());
            Declared {
                request_templates,
                passthrough,
                content_handling,
                cache_key_parameters,
                cache_namespace,
                responses: if integration_type.is_proxy() { Vec::new() } else { responses },
                streams: flags.2 && integration_type.is_proxy(),
                ..declared
            }
        } else {
            Declared {
                subtype,
                payload_format_version: flags.2.then(|| "2.0".into()),
                response_parameters: once(by_status, |it| it.0),
                ..declared
            }
        }
    })
}

fn integration(kind: Kind) -> impl Strategy<Value = Integration> {
    let path = || select(vec!["/", "/a/{id}", "/%20/{id}.x"]).prop_map(str::to_owned);
    let (own, made) = ("u", select(vec!["http://b", "https://b:8443", "http://[::1] (HTTP/2)"]));
    let named = (option::of(path()), any::<bool>()).prop_map(move |(path, strips)| Integration::Http {
        upstream: own.into(),
        strip_prefix: (strips && path.is_none()).then(|| "/p".into()),
        path,
    });
    let by_url = (made, path()).prop_map(move |(upstream, path)| Integration::Http {
        upstream: upstream.into(),
        path: Some(path),
        strip_prefix: None,
    });
    let mock = (200u16..600, pairs("x-[a-z]{1,4}", line()), text())
        .prop_map(|(status, headers, body)| Integration::Mock(Mock { status, headers, body }));
    let full = declared(kind).prop_map(|it| Integration::Declared(Box::new(it)));
    if kind == Kind::Proxy {
        prop_oneof![named, by_url, mock].boxed()
    } else {
        prop_oneof![1 => named, 1 => by_url, 1 => mock, 4 => full].boxed()
    }
}

/// A route whose key is put right by who has many of them.
fn route(kind: Kind) -> impl Strategy<Value = Route> {
    let parameter =
        (select(vec![ParameterPlace::QueryString, ParameterPlace::Header]), word(), any::<bool>());
    let parameter = parameter.prop_map(|(place, name, required)| RequestParameter { place, name, required });
    let authorization = prop_oneof![
        Just(Authorization::None),
        Just(Authorization::AwsIam),
        vec(line(), 0..3).prop_map(|scopes| Authorization::Authorizer { name: "a0".into(), scopes }),
    ];
    let models = || pairs(media_type(), select(vec!["M0", "Empty"]).prop_map(str::to_owned));
    let response =
        (200u16..600, vec((word(), any::<bool>()), 0..3), models()).prop_map(|(status, headers, models)| {
            MethodResponse { status, headers: once(headers, |it| it.0.clone()), models }
        });
    let request = (vec(parameter, 0..4), models(), option::of(Just("v0".to_owned())));
    let limits = (0u64..1 << 30, 256u64..48 << 10, 1usize..128, 16u64..32 << 10).prop_map(
        |(body_bytes_max, header_bytes_max, headers_max, target_bytes_max)| Limits {
            body_bytes_max,
            header_bytes_max,
            headers_max,
            target_bytes_max,
        },
    );
    let asks = (vec(throttle(true), 0..3), option::of(cache(kind)), option::of(limits));
    let unenforced = proptest::sample::subsequence(vec!["u0", "${HOME} u"], 0..=2);
    let authorization = (authorization, unenforced);
    let said = (option::of(text()), authorization, any::<bool>(), request, vec(response, 0..3));
    (integration(kind), said, asks).prop_map(move |(integration, said, (throttles, cache, limits))| {
        let (operation_name, (authorization, unenforced), api_key_required, request, responses) = said;
        let unenforced_security = unenforced.into_iter().map(str::to_owned).collect();
        let key = RouteKey::Path { method: None, path: "/p/{id}".into() };
        let route =
            Route { throttles: once(throttles, |it| it.per), cache, limits, ..Route::new(key, integration) };
        let (parameters, models, validator) = request;
        let parameters = once(parameters, |it| (it.place, it.name.clone()));
        match kind {
            Kind::Proxy => route,
            Kind::Http => Route { operation_name, authorization, unenforced_security, ..route },
            Kind::Rest => Route {
                operation_name,
                authorization,
                api_key_required,
                unenforced_security,
                request: RequestRules { parameters, models, validator },
                responses: once(responses, |it| it.status),
                ..route
            },
        }
    })
}

fn routes(kind: Kind) -> impl Strategy<Value = Vec<Route>> {
    vec((route(kind), select(vec![None, Some("GET"), Some("POST")])), 1..ROUTES_MAX).prop_map(|routes| {
        let keyed = |(number, (route, method)): (usize, (Route, Option<&str>))| Route {
            key: RouteKey::Path { method: method.map(str::to_owned), path: format!("/p/{number}/{{id}}") },
            ..route
        };
        routes.into_iter().enumerate().map(keyed).collect()
    })
}

fn json() -> impl Strategy<Value = String> {
    text().prop_map(|text| serde_json::json!({ "a": text }).to_string())
}

fn authorizer(kind: Kind) -> impl Strategy<Value = Authorizer> {
    let kinds = match kind {
        Kind::Rest => vec![AuthorizerKind::Token, AuthorizerKind::Request, AuthorizerKind::CognitoUserPools],
        _ => vec![AuthorizerKind::Request, AuthorizerKind::Jwt],
    };
    let texts = || vec(text(), 1..3);
    let all = (select(kinds), text(), option::of(text()), texts(), option::of(0u32..=3_600), any::<bool>());
    all.prop_map(|(kind, uri, credentials, many, result_ttl_s, enable_simple_responses)| Authorizer {
        name: String::new(),
        kind,
        auth_type: credentials.clone(),
        uri: Some(uri),
        credentials: credentials.clone(),
        identity_sources: many.clone(),
        identity_validation_expression: credentials.clone(),
        result_ttl_s,
        provider_arns: many.clone(),
        payload_format_version: enable_simple_responses.then(|| "1.0".into()),
        enable_simple_responses,
        issuer: credentials.or(Some("i".into())),
        audiences: many,
        origin: None,
    })
}

pub(super) fn definition(kind: Kind) -> impl Strategy<Value = Definition> {
    let named = (option::of(text()), media_type(), json(), any::<bool>(), any::<bool>());
    let gateway_response = (
        select(GatewayResponseType::ALL),
        option::of(100u16..600),
        mappings("gatewayresponse.header."),
        templates(),
    )
        .prop_map(|(kind, status, parameters, templates)| GatewayResponse {
            kind,
            status,
            parameters,
            templates,
            origin: None,
        });
    let part = (select(vec!["API", "METHOD"]), option::of(text()), json());
    let part = part.prop_map(|(location, name, properties)| DocumentationPart {
        location: location.into(),
        path: name.clone(),
        method: name.clone(),
        status_code: name.clone(),
        name,
        properties,
    });
    let head =
        (option::of(text()), option::of(text()), any::<bool>(), option::of(cors()), pairs(word(), text()));
    let rest = (
        (vec(gateway_response, 0..4), vec(part, 0..3)),
        (
            vec(media_type(), 0..3),
            option::of(0u32..=10 << 20),
            any::<bool>(),
            option::of(json()),
            access_mode(),
        ),
        proptest::sample::subsequence(vec!["/r", "/r/s_-.,:t"], 0..=2),
    );
    (routes(kind), head, vec(named, 1..3), vec(authorizer(kind), 1..3), rest).prop_map(
        move |(routes, (description, version, disabled, cors, tags), named, authorizers, rest)| {
            let (
                (gateway_responses, documentation),
                (binary, compression, by_authorizer, policy, access),
                resources,
            ) = rest;
            let definition = Definition { routes, cors, ..Definition::default() };
            if kind == Kind::Proxy {
                return definition;
            }
            let authorizers = authorizers.into_iter().enumerate();
            let authorizers =
                authorizers.map(|(at, it)| Authorizer { name: format!("a{at}"), ..it }).collect();
            let definition = Definition {
                description,
                version,
                disable_default_endpoint: disabled,
                tags,
                authorizers,
                ..definition
            };
            if kind == Kind::Http {
                return definition;
            }
            let validator = |(at, it): (usize, &(_, _, _, bool, bool))| RequestValidator {
                name: format!("v{at}"),
                body: it.3,
                parameters: it.4,
                origin: None,
            };
            let validators = named.iter().enumerate().map(validator).collect();
            let model = |(at, (description, content_type, schema, ..)): (usize, (_, _, _, bool, bool))| {
                BodyModel { name: format!("M{at}"), description, content_type, schema, origin: None }
            };
            Definition {
                models: named.into_iter().enumerate().map(model).collect(),
                validators,
                gateway_responses: once(gateway_responses, |it| it.kind),
                documentation,
                binary_media_types: binary,
                endpoint_access_mode: access,
                minimum_compression_bytes: compression,
                api_key_source: if by_authorizer { ApiKeySource::Authorizer } else { ApiKeySource::Header },
                policy,
                resources: resources.into_iter().map(str::to_owned).collect(),
                ..definition
            }
        },
    )
}

fn stage(kind: Kind) -> impl Strategy<Value = Stage> {
    let variables = || pairs("[a-zA-Z0-9_]{1,8}", "[A-Za-z0-9._~:/?#&=,-]{1,12}");
    let key = RouteKey::Path { method: Some("GET".into()), path: "/p/0/{id}".into() };
    let method = (option::of(throttle(false)), option::of(cache(kind))).prop_map(move |(throttle, cache)| {
        MethodSettings { key: key.clone(), throttle, cache, origin: None }
    });
    let judge = (duration(1, 86_400_000), 1u64..1_000_000_000, 0.0f64..=1.0, option::of(duration(1, 60_000)))
        .prop_map(|(promote_after, requests_min, rate, latency_p99_max)| CanaryJudge {
            promote_after,
            requests_min,
            error_rate_max: Some(rate),
            latency_p99_max,
        });
    let canary = (0.0f64..=100.0, variables(), any::<bool>(), option::of(judge)).prop_map(
        |(percent, variables, use_stage_cache, judge)| Canary {
            percent,
            deployment: None,
            variables,
            use_stage_cache,
            judge,
        },
    );
    let limits = (option::of(throttle(false)), option::of(throttle(false)), option::of(fixed(true)));
    let rest = (option::of(canary), option::of(cors()), option::of(text()), vec(method, 0..2));
    (option::of(text()), variables(), any::<bool>(), limits, rest).prop_map(
        move |(description, variables, auto_deploy, (throttle, route_throttle, cache), rest)| {
            let (canary, cors, documentation_version, method_settings) = rest;
            Stage {
                name: String::new(),
                description,
                variables,
                throttle,
                route_throttle,
                cache,
                method_settings,
                cors: cors.filter(|_| kind == Kind::Rest),
                auto_deploy,
                deployment: None,
                canary,
                documentation_version: documentation_version.filter(|_| kind == Kind::Rest),
                origin: None,
            }
        },
    )
}

pub(super) fn api(kind: Kind) -> impl Strategy<Value = Api> {
    let names = if kind == Kind::Http { vec!["$default", "s1", "s2"] } else { vec!["s0", "s1", "s2"] };
    let stages = vec(stage(kind), 1..=names.len()).prop_map(move |stages| {
        let named = stages.into_iter().zip(&names);
        named.map(|(stage, name)| Stage { name: (*name).into(), ..stage }).collect::<Vec<_>>()
    });
    let mapping = (
        select(vec![None, Some("a.example"), Some("*.b.example")]),
        select(vec!["", "v1", "v1/x"]),
        any::<bool>(),
    );
    let mappings = vec(mapping, 0..4).prop_map(|all| once(all, |it| (it.0, it.1)));
    let place = select(vec![
        (EndpointType::Regional, IpAddressType::Ipv4),
        (EndpointType::Edge, IpAddressType::Dualstack),
        (EndpointType::Private, IpAddressType::Dualstack),
    ]);
    (option::of("[a-z0-9]{10}"), stages, mappings, definition(kind), place, vec(text(), 0..2)).prop_map(
        move |(id, stages, mappings, definition, place, vpc_endpoint_ids)| {
            let is_default_alone = stages.len() == 1 && kind == Kind::Http;
            let mapping = |(host, base_path, names): (Option<&str>, &str, bool)| Mapping {
                host: host.map(str::to_owned),
                base_path: base_path.into(),
                stage: (names || is_default_alone).then(|| stages[0].name.clone()),
                origin: None,
            };
            let (endpoint, ip_address_type) =
                if kind == Kind::Rest { place } else { (EndpointType::Regional, place.1) };
            let api = Api::new("an API", kind);
            Api {
                id: id.unwrap_or(api.id),
                name: api.name,
                kind,
                mappings: mappings.into_iter().map(mapping).collect(),
                stages,
                definition,
                endpoint,
                ip_address_type,
                vpc_endpoint_ids: if kind == Kind::Rest { vpc_endpoint_ids } else { Vec::new() },
                fail_on_warnings: false,
                origin: None,
            }
        },
    )
}

fn access_mode() -> impl Strategy<Value = EndpointAccessMode> {
    select(vec![EndpointAccessMode::Basic, EndpointAccessMode::Strict])
}

pub(super) fn domain() -> impl Strategy<Value = Domain> {
    let rule = (1u32..=1_000_000, pairs("x-[a-z]{1,4}", "[a-z*]{1,5}"), any::<bool>()).prop_map(
        |(priority, mut headers, strip_base_path)| {
            headers.truncate(2);
            let base_paths = if strip_base_path { vec!["v1".into(), "v2/x".into()] } else { Vec::new() };
            let (api, stage, origin) = ("an API".into(), "s0".into(), None);
            RoutingRule { priority, headers, base_paths, api, stage, strip_base_path, origin }
        },
    );
    let mode = select(vec![RoutingMode::MappingOnly, RoutingMode::RuleOnly, RoutingMode::RuleThenMapping]);
    (mode, vec(rule, 0..3), any::<bool>(), access_mode()).prop_map(|(routing_mode, rules, health, access)| {
        Domain {
            name: "*.b.example".into(),
            routing_mode,
            rules: once(rules, |it| it.priority),
            endpoint: EndpointType::Regional,
            ip_address_type: IpAddressType::Dualstack,
            endpoint_access_mode: access,
            health,
            origin: None,
        }
    })
}

//! What a document says of the whole API.

use model::{
    ApiKeySource, Cors, Definition, EndpointAccessMode, EndpointType, GatewayResponse, GatewayResponseType,
    IpAddressType, Kind, RequestValidator, Severity,
};

use super::{Document, Imported, Version};
use crate::tree::{Cursor, Value, quote};

/// The longest resource policy in characters (row 95).
const POLICY_CHARS_MAX: usize = 8_192;
/// Above which nothing is compressed (row 125).
const COMPRESSION_BYTES_MAX: i64 = 10_485_760;

const ENDPOINT: &str = "x-amazon-apigateway-endpoint-configuration";

/// Extensions of the whole document, for REST APIs, for HTTP APIs, for both.
const OF_REST: [&str; 10] = [
    "x-amazon-apigateway-api-key-source",
    "x-amazon-apigateway-binary-media-types",
    "x-amazon-apigateway-documentation",
    "x-amazon-apigateway-endpoint-access-mode",
    "x-amazon-apigateway-gateway-responses",
    "x-amazon-apigateway-minimum-compression-size",
    "x-amazon-apigateway-policy",
    "x-amazon-apigateway-request-validator",
    "x-amazon-apigateway-request-validators",
    "x-amazon-apigateway-auth",
];
const OF_HTTP: [&str; 1] = ["x-amazon-apigateway-cors"];
const OF_BOTH: [&str; 4] = [
    ENDPOINT,
    "x-amazon-apigateway-importexport-version",
    "x-amazon-apigateway-integrations",
    "x-amazon-apigateway-tag-value",
];

impl<'t> Document<'t> {
    /// The whole.
    pub(super) fn read(&self, name: String) -> Imported {
        self.warn_extensions();
        let mut models = self.models();
        let schemes = self.schemes();
        let paths = self.paths(&schemes, &mut models);
        models.warn(&self.root);
        let info = self.root.get("info");
        let told = |key: &str| info.as_ref().and_then(|info| info.get(key)).and_then(|it| it.text());
        let mut definition = Definition {
            routes: paths.routes,
            resources: paths.resources,
            description: told("description"),
            version: told("version"),
            models: models.all,
            authorizers: schemes.authorizers,
            tags: self.tags(),
            ..Definition::default()
        };
        match self.kind {
            Kind::Rest => self.rest_only(&mut definition),
            _ => definition.cors = self.root.get("x-amazon-apigateway-cors").and_then(|at| cors(&at)),
        }
        if self.options.allow_unenforced_security
            && let Some(model::Unenforced { what, origin }) = definition.unenforced_security()
        {
            let message = format!("everybody may call what asks for security that nothing enforces: {what}");
            self.root.cx().report(model::Diagnostic::warning(origin.as_ref(), "security", message));
            definition.allow_unenforced_security();
        }
        let mut imported = Imported {
            name,
            kind: self.kind,
            definition,
            endpoint: None,
            ip_address_type: None,
            vpc_endpoint_ids: Vec::new(),
            fail_on_warnings: self.options.fail_on_warnings,
        };
        // 2.0 has it at the top, 3.0 in its server.
        let server = self.root.get("servers").and_then(|servers| servers.items().next());
        if let Some(at) = self.root.get(ENDPOINT).or_else(|| server?.get(ENDPOINT)) {
            endpoint(&at, &mut imported);
        }
        imported
    }

    fn rest_only(&self, definition: &mut Definition) {
        let extension = |name: &str| self.root.get(&format!("x-amazon-apigateway-{name}"));
        definition.binary_media_types =
            extension("binary-media-types").map(|it| it.texts()).unwrap_or_default();
        let size = extension("minimum-compression-size");
        definition.minimum_compression_bytes = size.and_then(|it| it.whole(0, COMPRESSION_BYTES_MAX));
        let source = extension("api-key-source");
        let sources = [("HEADER", ApiKeySource::Header), ("AUTHORIZER", ApiKeySource::Authorizer)];
        definition.api_key_source = source.and_then(|it| it.one_of(&sources)).unwrap_or_default();
        let mode = extension("endpoint-access-mode");
        let modes = [("BASIC", EndpointAccessMode::Basic), ("STRICT", EndpointAccessMode::Strict)];
        definition.endpoint_access_mode = mode.and_then(|it| it.one_of(&modes)).unwrap_or_default();
        definition.policy = extension("policy").and_then(|at| policy(&at));
        for (name, at) in extension("request-validators").iter().flat_map(Cursor::entries) {
            let truth = |key: &str| at.get(key).and_then(|it| it.truth()).unwrap_or_default();
            at.warn_unknown(&["validateRequestBody", "validateRequestParameters"]);
            let (body, parameters) = (truth("validateRequestBody"), truth("validateRequestParameters"));
            let origin = Some(at.origin());
            definition.validators.push(RequestValidator { name: name.to_owned(), body, parameters, origin });
        }
        if let Some(all) = extension("gateway-responses") {
            let responses = all.entries().filter_map(|(name, at)| gateway_response(&all, name, &at));
            definition.gateway_responses = responses.collect();
        }
        if !self.options.ignore_documentation {
            definition.documentation = self.documentation();
        }
    }

    fn tags(&self) -> Vec<(String, String)> {
        let tags = self.root.get("tags");
        let tag = |tag: Cursor<'t>| {
            Some((tag.get("name")?.text()?, tag.get("x-amazon-apigateway-tag-value")?.text()?))
        };
        let mut seen = std::collections::HashSet::new();
        let tags = tags.iter().flat_map(Cursor::items).filter_map(tag);
        tags.filter(|(name, _)| seen.insert(name.clone())).collect()
    }

    fn warn_extensions(&self) {
        let (own, other) = match self.kind {
            Kind::Rest => (&OF_REST[..], &OF_HTTP[..]),
            _ => (&OF_HTTP[..], &OF_REST[..]),
        };
        for (key, _) in self.root.entries().filter(|(key, _)| key.starts_with("x-amazon-apigateway-")) {
            if other.contains(&key) {
                let kinds = if self.kind == Kind::Rest { ["HTTP", "REST"] } else { ["REST", "HTTP"] };
                let message = format!(
                    "{} is for {} APIs: it has no effect in a {} API",
                    quote(key),
                    kinds[0],
                    kinds[1]
                );
                self.root.report_key(Severity::Warning, key, message);
            } else if !own.contains(&key) && !OF_BOTH.contains(&key) {
                self.root.report_key(Severity::Warning, key, format!("{} has no effect here", quote(key)));
            }
        }
        let servers = self.root.get("servers").map_or(0, |servers| servers.items().count());
        if servers > 1 && self.version == Version::V3 && self.options.base_path != super::BasePath::Ignore {
            self.root.report_key(
                Severity::Warning,
                "servers",
                "the first server's path is the one that counts",
            );
        }
    }
}

fn endpoint(at: &Cursor<'_>, imported: &mut Imported) {
    const TYPES: [(&str, EndpointType); 3] = [
        ("REGIONAL", EndpointType::Regional),
        ("EDGE", EndpointType::Edge),
        ("PRIVATE", EndpointType::Private),
    ];
    const ADDRESSES: [(&str, IpAddressType); 2] =
        [("ipv4", IpAddressType::Ipv4), ("dualstack", IpAddressType::Dualstack)];
    at.warn_unknown(&["disableExecuteApiEndpoint", "vpcEndpointIds", "types", "ipAddressType"]);
    let disabled = at.get("disableExecuteApiEndpoint").and_then(|it| it.truth());
    imported.definition.disable_default_endpoint = disabled.unwrap_or_default();
    imported.vpc_endpoint_ids = at.get("vpcEndpointIds").map(|it| it.texts()).unwrap_or_default();
    // One alone may stand for a list of it, as SAM's `Type` does.
    let one = at.get("types").and_then(|it| match it.node().value {
        Value::List(_) => it.items().next(),
        _ => Some(it),
    });
    imported.endpoint = one.and_then(|it| it.one_of(&TYPES));
    imported.ip_address_type = at.get("ipAddressType").and_then(|it| it.one_of(&ADDRESSES));
}

fn policy(at: &Cursor<'_>) -> Option<String> {
    let policy = match at.node().as_str() {
        // A document in a string, as some write it.
        Some(_) => match serde_json::from_str::<serde_json::Value>(&at.text()?) {
            Ok(policy) => policy,
            Err(error) => {
                at.error(format!("the policy is no JSON: {error}"));
                return None;
            }
        },
        None if at.expect_map() => at.to_json(),
        None => return None,
    };
    let text = policy.to_string();
    if text.chars().count() > POLICY_CHARS_MAX {
        at.error(format!("the policy is longer than {POLICY_CHARS_MAX} characters"));
    }
    Some(text)
}

fn gateway_response(all: &Cursor<'_>, name: &str, at: &Cursor<'_>) -> Option<GatewayResponse> {
    let Some(kind) = GatewayResponseType::named(name) else {
        let names: Vec<_> = GatewayResponseType::ALL.iter().map(|kind| kind.as_str()).collect();
        all.report_key(
            Severity::Error,
            name,
            format!("{} is no gateway response: there are {}", quote(name), names.join(", ")),
        );
        return None;
    };
    if !at.expect_map() {
        return None;
    }
    at.warn_unknown(&["statusCode", "responseParameters", "responseTemplates"]);
    let pairs = |key: &str| at.get(key).map(|it| it.pairs()).unwrap_or_default();
    Some(GatewayResponse {
        kind,
        status: at.get("statusCode").and_then(|it| it.whole(100, 599)),
        parameters: pairs("responseParameters"),
        templates: pairs("responseTemplates"),
        origin: Some(at.origin()),
    })
}

fn cors(at: &Cursor<'_>) -> Option<Cors> {
    if !at.expect_map() {
        return None;
    }
    at.warn_unknown(&[
        "allowOrigins",
        "allowMethods",
        "allowHeaders",
        "exposeHeaders",
        "maxAge",
        "allowCredentials",
    ]);
    let texts = |key: &str| at.get(key).map(|it| it.texts()).unwrap_or_default();
    let cors = Cors {
        allow_origins: texts("allowOrigins"),
        allow_methods: texts("allowMethods"),
        allow_headers: texts("allowHeaders"),
        expose_headers: texts("exposeHeaders"),
        max_age_s: at.get("maxAge").and_then(|it| it.whole(-1, 86_400)),
        allow_credentials: at.get("allowCredentials").and_then(|it| it.truth()).unwrap_or_default(),
        origin: Some(at.origin()),
    };
    if cors.allow_credentials && cors.allow_origins.iter().any(|origin| origin == "*") {
        at.error_with(
            "`allowCredentials` does not go with the origin `*`",
            "name the origins that may send credentials",
        );
    }
    Some(cors)
}

//! Integrations as API Gateway describes them: translated into the room's plain settings, with the backends that their URIs
//! name. What a definition asks for and the node can't do is refused by name (`refusals`).

use std::time::Duration;

use integration::{
    Integration,
    declared::{
        self, Handling, Kind, Part, Passthrough, ResponseSettings, Selections, Settings, Uri,
        parameters::Parameters,
    },
};
use message::Dialect;
use model::{CacheKey, ContentHandling, Declared, Diagnostic, IntegrationType, ParameterPlace};

use super::{
    apis::Place,
    refusals,
    upstreams::{Make, Upstreams},
};
use crate::{Slots, nanoseconds};

/// The longest body that is looked at, either way (row 174).
const BODY_BYTES_MAX: u64 = 10 << 20;

/// The least time for a call, and the most: AWS raises 29 s on request, and lets what streams take longer (row 60).
const TIMEOUT_MIN: Duration = Duration::from_millis(50);
const TIMEOUT_MAX: Duration = Duration::from_mins(5);
const STREAM_TIMEOUT_MAX: Duration = Duration::from_mins(15);
const HTTP_API_TIMEOUT_MAX: Duration = Duration::from_secs(30);

/// What compiling one needs to know beside where it stands.
pub(super) struct Around<'a> {
    pub(super) route: &'a model::Route,
    pub(super) key: &'a str,
    pub(super) variables: &'a [String],
    pub(super) upstreams: &'a mut Upstreams,
    pub(super) make: &'a Make<'a>,
    pub(super) slots: &'a mut Slots,
    pub(super) selections: &'a mut Selections,
}

/// The integration, ready to run, or nothing where there are mistakes.
pub(super) fn compile(
    place: &Place<'_>,
    declared: &Declared,
    around: Around<'_>,
    found: &mut Vec<Diagnostic>,
) -> Option<Box<dyn Integration>> {
    let (key, origin) = (around.key, declared.origin.as_ref().or(around.route.origin.as_ref()));
    let of = |part: &str| format!("{key}: integration.{part}");
    let before = found.len();
    for (part, message) in refusals::of_declared(declared, place.dialect) {
        found.push(Diagnostic::error(origin, of(part), message));
    }
    let timeout = declared.timeout.unwrap_or(match place.dialect {
        Dialect::Http => Duration::from_secs(30),
        Dialect::Proxy | Dialect::Rest => Duration::from_secs(29),
    });
    let timeout_max = match place.dialect {
        Dialect::Http => HTTP_API_TIMEOUT_MAX,
        Dialect::Proxy | Dialect::Rest if declared.streams => STREAM_TIMEOUT_MAX,
        Dialect::Proxy | Dialect::Rest => TIMEOUT_MAX,
    };
    if !(TIMEOUT_MIN..=timeout_max).contains(&timeout) {
        let (least, most) = (TIMEOUT_MIN.as_millis(), timeout_max.as_millis());
        let message = format!("a call may take {least} to {most} ms, not {} ms", timeout.as_millis());
        found.push(Diagnostic::error(origin, of("timeout"), message));
    }
    if found.len() > before {
        return None;
    }
    for (part, message) in refusals::ignored(declared, place.dialect) {
        found.push(Diagnostic::warning(origin, of(part), message));
    }
    let kind = match declared.kind {
        IntegrationType::Http => Kind::Http,
        IntegrationType::HttpProxy => Kind::HttpProxy,
        // The others were refused.
        IntegrationType::Mock | IntegrationType::Aws | IntegrationType::AwsProxy => Kind::Mock,
    };
    let uri = match (kind, &declared.uri) {
        (Kind::Mock, _) => None,
        (_, None) => {
            found.push(Diagnostic::error(origin, of("uri"), "there is no URI to call"));
            return None;
        }
        (_, Some(uri)) => match Uri::parse(uri, &place.stage.variables) {
            Ok(uri) => Some(uri),
            Err(message) => {
                found.push(Diagnostic::error(origin, of("uri"), message));
                return None;
            }
        },
    };
    if declared.server_name.is_some() && uri.as_ref().is_some_and(|uri| !uri.tls) {
        let message = "it has no effect: a call of `http://` has no certificate";
        found.push(Diagnostic::warning(origin, of("server_name"), message));
    }
    let settings = settings(place, declared, &around, kind, timeout, uri.as_ref());
    let Around { upstreams, make, slots, selections, .. } = around;
    let upstream = match uri.filter(|uri| !uri.host.is_empty()) {
        Some(uri) => Some(upstreams.made(group(&uri, declared, timeout, place), make, slots, found)?),
        None if kind == Kind::Mock => None,
        None => {
            // Row 61.
            let message = format!(
                "the URI `{}` has no host, since a stage variable in it is missing: requests are answered with 500",
                declared.uri.as_deref().unwrap_or_default()
            );
            found.push(Diagnostic::warning(origin, of("uri"), message));
            None
        }
    };
    let compiled = match declared::Declared::new(Settings { upstream, ..settings }, selections) {
        Ok((compiled, warnings)) => {
            found.extend(
                warnings
                    .into_iter()
                    .map(|warning| Diagnostic::warning(origin, of(&warning.key), warning.why)),
            );
            let is_mapped =
                !(declared.request_parameters.is_empty() && declared.response_parameters.is_empty());
            if place.dialect != Dialect::Http || !is_mapped {
                return Some(Box::new(compiled));
            }
            let (request, responses) = (&declared.request_parameters, &declared.response_parameters);
            Parameters::new(compiled, request, responses).map(|mapped| Box::new(mapped) as _)
        }
        Err(mistakes) => Err(mistakes),
    };
    let refused = |mistakes: Vec<declared::Mistake>| {
        found.extend(
            mistakes.into_iter().map(|mistake| Diagnostic::error(origin, of(&mistake.key), mistake.why)),
        );
    };
    compiled.map_err(refused).ok()
}

/// Under which name a route's answers are kept, if its integration says one: all methods and resources that say the same share
/// what is kept under the same method and the same parameters (row 85). No route's key is written so.
pub(super) fn cache_name(route: &model::Route) -> Option<String> {
    let model::Integration::Declared(declared) = &route.integration else { return None };
    declared.cache_namespace.as_ref().map(|namespace| format!("namespace\u{1f}{namespace}"))
}

/// What an integration says tells answers in the cache apart (row 85); `None`: it says nothing.
pub(super) fn cache_key(route: &model::Route) -> Result<Option<Vec<CacheKey>>, String> {
    let model::Integration::Declared(declared) = &route.integration else { return Ok(None) };
    let part = |text: &String| {
        let parameter = text.strip_prefix("method.request.").and_then(|rest| rest.split_once('.'));
        match parameter {
            Some(("querystring" | "multivaluequerystring", name)) => Ok(CacheKey::Query(name.to_owned())),
            Some(("header" | "multivalueheader", name)) => Ok(CacheKey::Header(name.to_owned())),
            Some(("path", name)) => Ok(CacheKey::Path(name.to_owned())),
            _ => Err(format!(
                "the cache key parameter `{text}` can't tell answers apart: write method.request.header.X, method.request.querystring.X or method.request.path.X"
            )),
        }
    };
    let parts = declared.cache_key_parameters.iter().map(part).collect::<Result<Vec<_>, _>>()?;
    Ok((!parts.is_empty()).then_some(parts))
}

fn settings(
    place: &Place<'_>,
    declared: &Declared,
    around: &Around<'_>,
    kind: Kind,
    timeout: Duration,
    uri: Option<&Uri>,
) -> Settings {
    let route = around.route;
    let part = |place| match place {
        ParameterPlace::Path => Part::Path,
        ParameterPlace::QueryString => Part::Query,
        ParameterPlace::Header => Part::Header,
    };
    let parameters = route.request.parameters.iter();
    Settings {
        kind,
        is_http_api: place.dialect == Dialect::Http,
        upstream: None,
        target: uri.map_or_else(|| "/".to_owned(), |uri| uri.target.clone()),
        http_method: declared.http_method.clone(),
        // Those of an HTTP API go around it.
        request_parameters: match place.dialect {
            Dialect::Http => Vec::new(),
            Dialect::Proxy | Dialect::Rest => declared.request_parameters.clone(),
        },
        declared: parameters.map(|parameter| (part(parameter.place), parameter.name.clone())).collect(),
        variables: around.variables.to_vec(),
        request_templates: declared.request_templates.clone(),
        passthrough: match declared.passthrough {
            model::Passthrough::WhenNoMatch => Passthrough::WhenNoMatch,
            model::Passthrough::WhenNoTemplates => Passthrough::WhenNoTemplates,
            model::Passthrough::Never => Passthrough::Never,
        },
        handling: handling(declared.content_handling),
        binary_media_types: place.definition.binary_media_types.clone(),
        responses: declared.responses.iter().map(|response| self::response(response, route)).collect(),
        stage_variables: place.stage.variables.clone(),
        place: self::place(place, around.key),
        timeout_ns: nanoseconds(timeout),
        xml: place.model.node.templates.xml_to_json,
        body_bytes_max: BODY_BYTES_MAX,
    }
}

fn handling(handling: Option<ContentHandling>) -> Option<Handling> {
    handling.map(|handling| match handling {
        ContentHandling::ConvertToBinary => Handling::ToBinary,
        ContentHandling::ConvertToText => Handling::ToText,
    })
}

fn response(response: &model::IntegrationResponse, route: &model::Route) -> ResponseSettings {
    let of_method = route.responses.iter().find(|of_method| of_method.status == response.status);
    let headers = of_method.into_iter().flat_map(|of_method| &of_method.headers);
    ResponseSettings {
        pattern: response.selection_pattern.clone(),
        status: response.status,
        parameters: response.parameters.clone(),
        declared: headers.map(|(name, _)| name.clone()).collect(),
        templates: response.templates.clone(),
        handling: handling(response.content_handling),
    }
}

fn place(place: &Place<'_>, key: &str) -> declared::Place {
    let path = key.split_once(' ').map_or(key, |(_, path)| path);
    declared::Place {
        account_id: place.model.node.endpoint.account_id.clone(),
        api_id: place.api.id.clone(),
        stage: place.stage.name.clone(),
        route_key: key.to_owned(),
        resource_path: path.to_owned(),
        resource_id: resource_id(&place.api.id, path),
        deployment_id: place.stage.deployment.as_ref().map(|it| it.id.clone()).unwrap_or_default(),
        is_canary: place.has_canary.then_some(place.is_canary),
    }
}

/// The id of a resource: six letters and digits, always the same (row 21).
fn resource_id(api_id: &str, path: &str) -> String {
    let mut id = model::Api::id_of(&format!("{api_id} {path}"));
    id.truncate(6);
    id
}

/// The group of backends that a URI names: one for all routes that name the same scheme, host and port and call it alike.
/// Its name is the one that the short form makes.
fn group(uri: &Uri, declared: &Declared, timeout: Duration, place: &Place<'_>) -> model::Upstream {
    let (scheme, usual) = if uri.tls { ("https", 443) } else { ("http", 80) };
    let host = if uri.host.contains(':') { format!("[{}]", uri.host) } else { uri.host.clone() };
    let mut name = format!("{scheme}://{host}");
    if uri.port != usual {
        name += &format!(":{}", uri.port);
    }
    if declared.http2 {
        name += " (HTTP/2)";
    }
    if let Some(server_name) = &declared.server_name {
        name += &format!(" (certificate of {server_name})");
    }
    let host = mapped_host(declared, place);
    if let Some(host) = &host {
        name += &format!(" (host {host})");
    }
    let default = model::Upstream::default();
    let first_byte_timeout = default.first_byte_timeout.max(timeout);
    if first_byte_timeout > default.first_byte_timeout {
        name += &format!(" ({} ms)", first_byte_timeout.as_millis());
    }
    let target = model::Target {
        tls: uri.tls,
        host: uri.host.clone(),
        port: uri.port,
        origin: declared.origin.clone(),
    };
    model::Upstream {
        name,
        targets: vec![target],
        http2: declared.http2,
        server_name: declared.server_name.clone().filter(|_| uri.tls),
        host,
        first_byte_timeout,
        origin: declared.origin.clone(),
        ..default
    }
}

/// What `Host` says, if that is mapped: a literal, or a stage variable.
fn mapped_host(declared: &Declared, place: &Place<'_>) -> Option<String> {
    const HOST: &str = "integration.request.header.host";
    let mapped = declared.request_parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case(HOST));
    let (_, source) = mapped?;
    if let Some(name) = source.strip_prefix("stageVariables.") {
        let variable = place.stage.variables.iter().find(|(known, _)| known == name);
        return variable.map(|(_, value)| value.clone());
    }
    source.strip_prefix('\'').and_then(|source| source.strip_suffix('\'')).map(Into::into)
}

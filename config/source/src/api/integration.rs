//! `integration` of a route: the short forms, a backend that is called or an answer of one's own; and the full form, as
//! API Gateway describes integrations (rows 43, 44, 57, 60, 63, 117 to 124).

mod keys;

use std::time::Duration;

use model::{
    ContentHandling, Declared, Integration, IntegrationResponse, IntegrationType, Kind, Passthrough, RouteKey,
};

pub(super) use self::keys::INTEGRATION;
use self::keys::{FULL, FULL_HTTP, FULL_REST, SHORT_HTTP, SHORT_MOCK, TIMEOUT_MAX_STREAM};
use super::{
    grammar::{self, Pairs},
    refuse,
};
use crate::{
    context::{Mistake, place, quote},
    integration::{self, UrlPath},
    names,
    reader::{Table, Value},
    route_key,
    upstream::Upstreams,
};

/// Row 60.
const TIMEOUT_MAX_HTTP: Duration = Duration::from_secs(30);
const TIMEOUT_MAX_REST: Duration = Duration::from_secs(300);
/// What makes a URI depend on the stage (row 33).
const STAGE_VARIABLES: &str = "${stageVariables.";

const PASSTHROUGH: [(&str, Passthrough); 3] = [
    ("when_no_match", Passthrough::WhenNoMatch),
    ("when_no_templates", Passthrough::WhenNoTemplates),
    ("never", Passthrough::Never),
];
/// Whether a table is the full form.
pub(crate) fn is_full(table: &Table<'_>) -> bool {
    let of_stage =
        table.get("url").and_then(|value| value.string()).is_some_and(|it| it.contains(STAGE_VARIABLES));
    let is_other = table.get("type").is_some_and(|value| value.is_one_of(&["http", "aws", "aws_proxy"]));
    of_stage
        || is_other
        || FULL.iter().chain(&FULL_REST).chain(&FULL_HTTP).any(|key| table.get(key).is_some())
}

pub(super) fn read(
    table: &Table<'_>,
    kind: Kind,
    key: Option<&RouteKey>,
    upstreams: &mut Upstreams,
) -> Option<Integration> {
    if is_full(table) {
        return full(table, kind, key);
    }
    if table.opt("type", Value::choice)? == "mock" {
        let help = "leave it out, or change `type`";
        refuse(table, &["url", "http2"], "`mock` calls no backend", help);
        refuse(table, &SHORT_HTTP, "`mock` calls no backend", help);
        return Some(Integration::Mock(integration::mock(table)));
    }
    refuse(table, &SHORT_MOCK, "`http_proxy` returns the backend's answer", "leave it out, or change `type`");
    let answers = ["url", "upstream"].iter().filter(|key| table.get(key).is_some()).count();
    if answers != 1 && !table.file.is_broken() {
        let message = if answers == 0 { "no backend is named" } else { "two backends are named" };
        let help = "write one of `url = \"http://…\"` and `upstream = \"NAME\"`";
        table.mistake(Mistake::new(message).help(help));
    }
    integration::forward(table, key, upstreams, UrlPath::Template)
}

fn full(table: &Table<'_>, kind: Kind, key: Option<&RouteKey>) -> Option<Integration> {
    let named = table.opt("type", Value::choice);
    let integration_type = match named {
        Some("aws") => IntegrationType::Aws,
        Some("aws_proxy") => IntegrationType::AwsProxy,
        Some("http") => IntegrationType::Http,
        Some("mock") => IntegrationType::Mock,
        _ => IntegrationType::HttpProxy,
    };
    refuse(
        table,
        &SHORT_HTTP,
        "the full form of an integration names no upstream",
        "write a `url` or a `uri`",
    );
    let help =
        "write `[[api.route.integration.response]]`, or leave out what is not `status`, `headers` or `body`";
    refuse(table, &SHORT_MOCK, "the full form of an integration has templates of its answers", help);
    match kind {
        Kind::Rest => refuse(table, &FULL_HTTP, "a REST API has none", "leave it out"),
        _ => refuse(
            table,
            &FULL_REST,
            "an HTTP API has none",
            "leave it out, or make the API `kind = \"rest\"`",
        ),
    }
    let mut declared = Declared {
        http_method: table.opt("http_method", |value| value.parse(method)),
        connection_id: table.opt("connection_id", Value::own_text),
        credentials: table.opt("credentials", Value::own_text),
        timeout: table.opt("timeout", Value::duration),
        insecure_skip_verification: table.or("insecure_skip_verification", Value::boolean, false),
        server_name: table.opt("server_name", |value| value.parse(names::host)),
        http2: table.or("http2", Value::boolean, false),
        request_parameters: table.opt("request_parameters", grammar::own_pairs).unwrap_or_default(),
        request_templates: table.opt("request_templates", grammar::templates).unwrap_or_default(),
        passthrough: table.opt("passthrough", Value::choice).map(passthrough).unwrap_or_default(),
        content_handling: content_handling(table),
        cache_key_parameters: table.or("cache_key_parameters", grammar::own_list, Vec::new()),
        cache_namespace: table.opt("cache_namespace", Value::text),
        responses: responses(table, integration_type),
        streams: table.or("streams", Value::boolean, false),
        subtype: table.opt("subtype", Value::text),
        payload_format_version: table.opt("payload_format_version", Value::choice).map(str::to_owned),
        response_parameters: table.opt("response_parameters", response_parameters).unwrap_or_default(),
        origin: Some(table.origin()),
        ..Declared::new(integration_type)
    };
    check_timeout(table, kind, &declared);
    place_of(table, kind, key, &mut declared);
    named.map(|_| Integration::Declared(Box::new(declared)))
}

/// Where the backend is: `uri`, or `url` with the variables of the route's key.
fn place_of(table: &Table<'_>, kind: Kind, key: Option<&RouteKey>, declared: &mut Declared) {
    declared.uri = table.opt("uri", |value| value.own_parse(|text| uri(text, declared.kind)));
    if let Some(value) = table.get("url") {
        let is_http = matches!(declared.kind, IntegrationType::Http | IntegrationType::HttpProxy);
        if table.get("uri").is_some() || !is_http {
            let (why, help) = if is_http {
                ("two backends are named", "write one of `url` and `uri`")
            } else {
                ("`url` is for `http` and `http_proxy`", "leave it out, or write `uri`")
            };
            value.mistake(Mistake::new(why).help(help));
            return;
        }
        let Some(url) = value.own_parse(|text| uri(text, declared.kind)) else { return };
        if let Err(mistake) = variables(&url, kind, key, declared) {
            value.mistake(mistake);
        }
        declared.uri = Some(url);
    }
    let is_named = ["uri", "url"].iter().any(|key| table.get(key).is_some() || table.is_misspelled(key));
    let is_needed = declared.kind != IntegrationType::Mock && declared.subtype.is_none();
    if is_needed && !is_named && !table.file.is_broken() {
        table.mistake(Mistake::new("no backend is named").help("write `url = \"http://…\"` or `uri`"));
    }
}

/// The variables of a URL are the route's, which in a REST API takes a mapping.
fn variables(url: &str, kind: Kind, key: Option<&RouteKey>, declared: &mut Declared) -> Result<(), Mistake> {
    // What stage variables stand for has no variables.
    let mut rest = url.to_owned();
    while let Some(at) = rest.find(STAGE_VARIABLES) {
        let end = rest[at..].find('}').map_or(rest.len(), |end| at + end + 1);
        rest.replace_range(at..end, "");
    }
    let path = rest.split_once("://").map_or(&*rest, |(_, rest)| rest);
    let path = path.find('/').map_or("/", |at| &path[at..]);
    let path = path.split('?').next().unwrap_or_default();
    let path = route_key::rewrite(path, key)?;
    if kind != Kind::Rest {
        return Ok(());
    }
    for name in path.split('{').skip(1).filter_map(|part| part.split_once('}')).map(|(name, _)| name) {
        let destination = format!("integration.request.path.{name}");
        if !declared.request_parameters.iter().any(|(other, _)| *other == destination) {
            declared.request_parameters.push((destination, format!("method.request.path.{name}")));
        }
    }
    Ok(())
}

/// A URL or an ARN; what stage variables make of it is known only where it is called.
fn uri(text: &str, kind: IntegrationType) -> Result<String, Mistake> {
    let wrong = |why: &str| Mistake::new(format!("{} {why}", quote(text)));
    if text.is_empty() || text.contains(|char: char| char.is_control() || char == ' ') {
        return Err(wrong("is no URI").help("write it without blanks"));
    }
    let is_known = !text.contains(STAGE_VARIABLES);
    match kind {
        IntegrationType::Http | IntegrationType::HttpProxy if is_known => {
            names::url(text.split('?').next().unwrap_or_default())?;
        }
        IntegrationType::Aws | IntegrationType::AwsProxy if is_known && !text.starts_with("arn:") => {
            return Err(wrong("is no ARN").help("write `arn:aws:apigateway:REGION:SERVICE:path/…`"));
        }
        _ => {}
    }
    Ok(text.to_owned())
}

fn method(text: &str) -> Result<String, Mistake> {
    if text == "ANY" { Ok(text.to_owned()) } else { names::method(text, true) }
}

/// A passthrough behaviour as it is written.
pub(crate) fn passthrough_name(passthrough: Passthrough) -> &'static str {
    PASSTHROUGH.iter().find(|(_, it)| *it == passthrough).map_or(PASSTHROUGH[0].0, |(name, _)| name)
}

fn passthrough(name: &str) -> Passthrough {
    PASSTHROUGH.iter().find(|(it, _)| *it == name).map(|(_, it)| *it).unwrap_or_default()
}

fn content_handling(table: &Table<'_>) -> Option<ContentHandling> {
    table.opt("content_handling", Value::choice).map(|name| match name {
        "convert_to_binary" => ContentHandling::ConvertToBinary,
        _ => ContentHandling::ConvertToText,
    })
}

/// Row 60.
fn check_timeout(table: &Table<'_>, kind: Kind, declared: &Declared) {
    let (max, of) = match kind {
        _ if declared.streams => (TIMEOUT_MAX_STREAM, "an answer that is streamed"),
        Kind::Rest => (TIMEOUT_MAX_REST, "a REST API"),
        _ => (TIMEOUT_MAX_HTTP, "an HTTP API"),
    };
    if let Some(value) =
        table.get("timeout").filter(|_| declared.timeout.is_some_and(|timeout| timeout > max))
    {
        let max = crate::units::show_duration(max);
        let mistake = Mistake::new(format!("{of} has {max} for a call at most"));
        value.mistake(mistake.help(format!("write something from `50ms` to `{max}`")));
    }
    if let Some(value) = table.get("streams").filter(|_| declared.streams && !declared.kind.is_proxy()) {
        let mistake = Mistake::new("only a proxy's answer is streamed");
        value.mistake(mistake.help("write `type = \"http_proxy\"` or `\"aws_proxy\"`, or leave it out"));
    }
}

fn responses(table: &Table<'_>, kind: IntegrationType) -> Vec<IntegrationResponse> {
    if let Some(value) = table.get("response").filter(|_| kind.is_proxy()) {
        let mistake = Mistake::new("a proxy returns the backend's answer as it is");
        value.mistake(mistake.help("leave it out, or change `type`"));
    }
    let mut responses: Vec<IntegrationResponse> = Vec::new();
    for table in table.tables("response") {
        let response = IntegrationResponse {
            selection_pattern: table.opt("pattern", Value::own_text),
            status: table.or("status", Value::count, 0),
            parameters: table.opt("parameters", grammar::own_pairs).unwrap_or_default(),
            templates: table.opt("templates", grammar::templates).unwrap_or_default(),
            content_handling: content_handling(&table),
            origin: Some(table.origin()),
        };
        let pattern = |it: &IntegrationResponse| it.selection_pattern.clone().filter(|it| !it.is_empty());
        if let Some(other) = responses.iter().find(|other| pattern(other) == pattern(&response)) {
            let what = match pattern(&response) {
                Some(pattern) => format!("two responses take {}", quote(&pattern)),
                None => "two responses take what no other takes".into(),
            };
            let first = other.origin.as_ref().map(place).unwrap_or_default();
            table.mistake(Mistake::new(what).help(format!("the first is at {first}: give each a `pattern`")));
        }
        responses.push(response);
    }
    responses
}

/// Destinations and sources by status (row 123).
fn response_parameters(value: &Value<'_>) -> Option<Vec<(u16, Pairs)>> {
    let one = |(name, value): (String, Value<'_>)| {
        let status =
            name.parse::<u16>().ok().filter(|status| (200..=599).contains(status) && name.len() == 3);
        if status.is_none() {
            let mistake = Mistake::new(format!("{} is no status", quote(&name)));
            value.mistake(mistake.help("write one from 200 to 599: `response_parameters.200 = { … }`"));
        }
        status.zip(grammar::own_pairs(&value))
    };
    // All of them are read, so that all mistakes are found.
    let all: Vec<_> = value.pairs()?.into_iter().map(one).collect();
    all.into_iter().collect()
}

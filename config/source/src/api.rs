//! `[[api]]`: APIs in AWS's shape, with what belongs to them.

pub(crate) mod authorizer;
mod check;
mod grammar;
pub(crate) mod implied;
pub(crate) mod integration;
pub(crate) mod mapping;
mod parts;
mod route;
pub(crate) mod stage;

pub(crate) use check::check;
use model::{Api, ApiKeySource, Definition, EndpointAccessMode, EndpointType, IpAddressType, Kind, Node};
use progress::Phase;

use self::route::Known;
use crate::{
    Form, Key, Section,
    context::{Mistake, quote},
    cors,
    document::Document,
    names,
    openapi::{self, OfDocument},
    quotas,
    reader::{Table, Value},
    route_key, suggest,
    upstream::Upstreams,
};

const TAG_NAME_BYTES_MAX: usize = 128;
const TAG_VALUE_BYTES_MAX: usize = 256;
/// Row 125.
const COMPRESSION_BYTES_MAX: u64 = 10_485_760;
/// What an HTTP API does not have (row 2).
pub(crate) const REST_ONLY: [&str; 12] = [
    "model",
    "validator",
    "gateway_response",
    "documentation",
    "resources",
    "binary_media_types",
    "minimum_compression",
    "api_key_source",
    "policy",
    "endpoint",
    "vpc_endpoint_ids",
    "endpoint_access_mode",
];

pub(crate) const ENDPOINT: Key = Key::new(
    "endpoint",
    Form::Choice(&["regional", "edge", "private"]),
    "Where it says that it stands. Here it is said back, and bounds URLs.",
)
.or(r#""regional""#);
pub(crate) const IP_ADDRESS_TYPE: Key = Key::new(
    "ip_address_type",
    Form::Choice(&["ipv4", "dualstack"]),
    "Which addresses it says that it has. Left out: `ipv4`; `dualstack` with the endpoint `private`.",
);

pub(crate) const ENDPOINT_ACCESS_MODE: Key = Key::new(
    "endpoint_access_mode",
    Form::Choice(&["basic", "strict"]),
    "Whether a client's TLS name must be the host that it asks for, and its endpoint of the API's own type.",
)
.or(r#""basic""#);

pub(crate) static API: Section = Section {
    name: "api",
    doc: "An API in AWS's shape.",
    keys: &[
        Key::new("name", Form::Text(r#""shop""#), "Its name, in metrics and logs.").required(),
        Key::new("kind", Form::Choice(&["rest", "http"]), "A REST API (v1) or an HTTP API (v2).").required(),
        Key::new(
            "id",
            Form::Text(r#""a1b2c3d4e5""#),
            "Ten lower-case letters and digits: in its default host. Left out: made from its name.",
        ),
        Key::new(
            "openapi",
            Form::PathOrTable(&openapi::OPENAPI),
            "An OpenAPI document, JSON or YAML, that says what the API is; what stands here as well goes before it.",
        ),
        Key::new(
            "allow_unenforced_security",
            Form::Boolean,
            "Whether everybody may call routes that ask for security which nothing enforces. Otherwise they are refused.",
        )
        .or("false"),
        Key::new(
            "clone_from",
            Form::Text(r#""shop""#),
            "The API whose definition it has: routes and all that belongs to them, not its stages.",
        ),
        parts::DESCRIPTION,
        Key::new("version", Form::Text(r#""1.0""#), "A label."),
        Key::new(
            "hosts",
            Form::Texts(r#"["api.example.com"]"#),
            "Host names, `*.example.com` too. Left out: every host that no other API names.",
        ),
        mapping::BASE_PATH,
        ENDPOINT,
        IP_ADDRESS_TYPE,
        Key::new("vpc_endpoint_ids", Form::Texts(r#"["vpce-0abc"]"#), "VPC endpoints of a private API.")
            .or("[]"),
        Key::new(
            "disable_default_endpoint",
            Form::Boolean,
            "Whether only its hosts reach it, and not its default host.",
        )
        .or("false"),
        ENDPOINT_ACCESS_MODE,
        Key::new(
            "binary_media_types",
            Form::Texts(r#"["image/png"]"#),
            "Media types whose bodies are no text: `image/png`, `*/*`.",
        )
        .or("[]"),
        Key::new(
            "minimum_compression",
            Form::Size(0, u64::MAX),
            "Answers of so many bytes are compressed, up to 10MiB. Left out: none is.",
        ),
        Key::new(
            "api_key_source",
            Form::Choice(&["header", "authorizer"]),
            "Where an API key is looked for.",
        )
        .or(r#""header""#),
        Key::new(
            "policy",
            Form::Text(r#""${file:policy.json}""#),
            "The resource policy, a document in JSON.",
        ),
        Key::new("tags", Form::Pairs, "Keys and values without a meaning of their own.").or("{}"),
        Key::new("resources", Form::Texts(r#"["/pets"]"#), "Paths of resources that have no method.")
            .or("[]"),
        Key::new(
            "mapping",
            Form::Tables(&mapping::MAPPING),
            "Where it is reached, one by one, in place of `hosts` and `base_path`.",
        ),
        Key::new(
            "stage",
            Form::Tables(&stage::STAGE),
            "Its stages; an HTTP API that names none has `$default`.",
        ),
        Key::new("model", Form::Tables(&parts::MODEL), "Schemas of bodies."),
        Key::new("validator", Form::Tables(&parts::VALIDATOR), "What may be checked of a request."),
        Key::new("authorizer", Form::Tables(&authorizer::AUTHORIZER), "Who is asked whether a client may."),
        Key::new(
            "gateway_response",
            Form::Tables(&parts::GATEWAY_RESPONSE),
            "What the gateway's own answers look like.",
        ),
        Key::new("documentation", Form::Tables(&parts::DOCUMENTATION), "What it says of itself to readers."),
        Key::new("route", Form::Tables(&route::ROUTE), "Its routes or methods."),
        Key::new(
            "cors",
            cors::FORM,
            "Answers preflights, and sets CORS headers; `\"*\"`: everybody may call.",
        ),
    ],
};

/// All `[[api]]`s.
pub(crate) fn read(document: &Document<'_>, node: &Node, upstreams: &mut Upstreams) -> Vec<Api> {
    let tables = document.tables("api");
    let routes = tables.iter().map(|table| table.len_of("route")).sum();
    document.cx.environment.progress().begin(Phase::Routes, routes);
    let mut apis: Vec<_> = tables.iter().filter_map(|table| api(table, node, upstreams)).collect();
    let clones =
        tables.iter().filter_map(|table| Some((table.opt("name", Value::text)?, table.get("clone_from")?)));
    for (name, from) in clones {
        clone(&mut apis, &name, &from, document.is_broken());
    }
    apis
}

/// Gives an API the definition of another (row 42); what it says of itself stays.
fn clone(apis: &mut [Api], name: &str, from: &Value<'_>, is_broken: bool) {
    let Some(asked) = from.text() else { return };
    let names = || apis.iter().map(|api| &*api.name);
    let place = |name: &str| names().position(|own| own == name);
    let Some(own) = place(name) else { return };
    let mistake = match place(&asked) {
        // It may be what could not be read.
        None if is_broken => return,
        None => {
            let mistake = Mistake::new(format!("there is no API {}", quote(&asked)));
            match suggest::nearest(&asked, names()) {
                Some(near) => mistake.help(format!("did you mean `{near}`?")),
                None => mistake.help("name another `[[api]]`"),
            }
        }
        Some(other) if apis[other].definition.routes.is_empty() => {
            let mistake = Mistake::new(format!("the API {} has no routes of its own", quote(&asked)));
            mistake.help("name the one that has them")
        }
        Some(other) if apis[other].kind != apis[own].kind => {
            let mistake = Mistake::new(format!("the API {} is of another kind", quote(&asked)));
            mistake.help("write the same `kind`")
        }
        Some(other) => {
            let cloned = apis[other].definition.clone();
            let own = &mut apis[own].definition;
            let (description, version) = (own.description.take(), own.version.take());
            let tags = std::mem::take(&mut own.tags);
            *own = Definition {
                description: description.or(cloned.description),
                version: version.or(cloned.version),
                tags: if tags.is_empty() { cloned.tags } else { tags },
                ..cloned
            };
            return;
        }
    };
    from.mistake(mistake);
}

/// What a clone does not say, since it has that of the other; what is as if it were not said may be.
fn refuse_of_clone(table: &Table<'_>, own: &Definition) {
    let (why, help) = ("a clone has that of the API that it is made from", "leave it out, or `clone_from`");
    let keys = [
        "openapi",
        "route",
        "model",
        "validator",
        "authorizer",
        "gateway_response",
        "documentation",
        "minimum_compression",
        "policy",
        "cors",
    ];
    refuse(table, &keys, why, help);
    let told = [
        ("resources", !own.resources.is_empty()),
        ("binary_media_types", !own.binary_media_types.is_empty()),
        ("api_key_source", own.api_key_source != ApiKeySource::default()),
        ("disable_default_endpoint", own.disable_default_endpoint),
        ("endpoint_access_mode", own.endpoint_access_mode != EndpointAccessMode::default()),
    ];
    told.into_iter().filter(|(_, told)| *told).for_each(|(key, _)| refuse(table, &[key], why, help));
}

fn api(table: &Table<'_>, node: &Node, upstreams: &mut Upstreams) -> Option<Api> {
    let kind = kind(table);
    let name = table.opt("name", |value| value.parse(names::api));
    let id = table.opt("id", |value| value.parse(id));
    let stages = stage::stages(table, kind, node);
    let mappings = mapping::mappings(table, &stages);
    let (mut endpoint, mut ip_address_type) = endpoint(table);
    let mut vpc_endpoint_ids =
        table.or("vpc_endpoint_ids", |value| value.list(|text| Ok(text.to_owned())), Vec::new());
    let mut fail_on_warnings = false;
    let document = openapi::of(table, kind, table.cx);
    let mut definition = definition(table, kind, node, &document, upstreams);
    if let OfDocument::Read(imported) = document {
        let imported = *imported;
        definition = ::openapi::merge(imported.definition, definition, ::openapi::Mode::Merge);
        if table.get("endpoint").is_none() {
            endpoint = imported.endpoint.unwrap_or(endpoint);
        }
        if table.get("ip_address_type").is_none() {
            ip_address_type = imported.ip_address_type.unwrap_or(ip_address_type);
        }
        if table.get("vpc_endpoint_ids").is_none() {
            vpc_endpoint_ids = imported.vpc_endpoint_ids;
        }
        fail_on_warnings = imported.fail_on_warnings;
    }
    if table.or("allow_unenforced_security", Value::boolean, false) {
        definition.allow_unenforced_security();
    }
    if table.get("clone_from").is_some() {
        refuse_of_clone(table, &definition);
    } else if table.get("route").is_none() && table.get("openapi").is_none() && !table.file.is_broken() {
        let help = "add `[[api.route]]` with `key` and `integration`, or `openapi = \"FILE\"`";
        table.mistake(Mistake::new("the API has no routes").help(help));
    }
    let api = Api::new(name?, kind);
    Some(Api {
        id: id.unwrap_or(api.id),
        name: api.name,
        kind,
        mappings,
        stages,
        definition,
        endpoint,
        ip_address_type,
        vpc_endpoint_ids,
        fail_on_warnings,
        origin: Some(table.origin()),
    })
}

pub(crate) fn kind(table: &Table<'_>) -> Kind {
    match table.opt("kind", Value::choice) {
        Some("rest") => Kind::Rest,
        _ => Kind::Http,
    }
}

/// What a deployment freezes of an API, without what its document says; that is known to what refers to it.
pub(crate) fn definition(
    table: &Table<'_>,
    kind: Kind,
    node: &Node,
    document: &OfDocument,
    upstreams: &mut Upstreams,
) -> Definition {
    if kind == Kind::Http {
        refuse(table, &REST_ONLY, "an HTTP API has none", "leave it out, or write `kind = \"rest\"`");
    }
    let quotas = &node.quotas;
    let (models, authorizers) = (parts::models(table), authorizer::read(table, kind, quotas));
    let mut validators = parts::validators(table);
    let known = Known { kind, node, models: &models, authorizers: &authorizers, document };
    let routes = table.tables("route");
    let mut read = Vec::with_capacity(routes.len());
    for table in &routes {
        read.extend(route::read(table, &known, &mut validators, upstreams));
        table.cx.environment.progress().advance(1);
    }
    Definition {
        routes: read,
        resources: table.or("resources", |value| value.list(|text| resource(text, kind)), Vec::new()),
        description: table.opt("description", |value| value.parse(grammar::description)),
        version: table.opt("version", Value::text),
        validators,
        gateway_responses: parts::gateway_responses(table),
        binary_media_types: table.or(
            "binary_media_types",
            |value| value.list(grammar::media_type),
            Vec::new(),
        ),
        minimum_compression_bytes: table.opt("minimum_compression", minimum_compression),
        api_key_source: match table.opt("api_key_source", Value::choice) {
            Some("authorizer") => ApiKeySource::Authorizer,
            _ => ApiKeySource::Header,
        },
        policy: table.opt("policy", |value| value.own_parse(grammar::json_object)),
        documentation: parts::documentation(table),
        disable_default_endpoint: table.or("disable_default_endpoint", Value::boolean, false),
        endpoint_access_mode: access_mode(table),
        cors: table.opt("cors", cors::read_value),
        tags: tags(table, quotas.tags),
        models,
        authorizers,
    }
}

/// Says of each of these keys that is there why it may not be.
fn refuse(table: &Table<'_>, keys: &[&str], why: &str, help: &str) {
    for extra in keys.iter().filter_map(|key| table.get(key)) {
        extra.mistake(Mistake::new(why).help(help));
    }
}

/// Where an API or a domain says that it stands (rows 6, 7, 9, 15).
pub(crate) fn endpoint(table: &Table<'_>) -> (EndpointType, IpAddressType) {
    let endpoint = match table.opt("endpoint", Value::choice) {
        Some("edge") => EndpointType::Edge,
        Some("private") => EndpointType::Private,
        _ => EndpointType::Regional,
    };
    let said = table.opt("ip_address_type", Value::choice);
    if let Some(value) = table.get("ip_address_type").filter(|_| said == Some("ipv4"))
        && endpoint == EndpointType::Private
    {
        let mistake = Mistake::new("Only dualstack ipAddressType is supported for Private APIs.");
        value.mistake(mistake.help("write `dualstack`, or leave it out"));
    }
    let ip_address_type = match said {
        Some("dualstack") => IpAddressType::Dualstack,
        None if endpoint == EndpointType::Private => IpAddressType::Dualstack,
        _ => IpAddressType::Ipv4,
    };
    (endpoint, ip_address_type)
}

/// What requests have to show of where they belong (row 13).
pub(crate) fn access_mode(table: &Table<'_>) -> EndpointAccessMode {
    match table.opt("endpoint_access_mode", Value::choice) {
        Some("strict") => EndpointAccessMode::Strict,
        _ => EndpointAccessMode::Basic,
    }
}

/// Row 10.
fn id(text: &str) -> Result<String, Mistake> {
    let is_char = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if text.len() == 10 && text.bytes().all(is_char) {
        return Ok(text.to_owned());
    }
    Err(Mistake::new(format!("{} can't be the id of an API", quote(text)))
        .help("ten lower-case letters and digits"))
}

fn resource(text: &str, kind: Kind) -> Result<String, Mistake> {
    let key = route_key::parse(&format!("ANY {text}"), kind)?;
    Ok(key.to_string().trim_start_matches("ANY ").to_owned())
}

fn minimum_compression(value: &Value<'_>) -> Option<u32> {
    let bytes = value.size()?;
    if bytes > COMPRESSION_BYTES_MAX {
        let message = "Invalid minimum compression size, must be between 0 and 10485760";
        value.mistake(Mistake::new(message).help("write something from `0B` to `10MiB`"));
    }
    u32::try_from(bytes).ok()
}

fn tags(table: &Table<'_>, max: usize) -> Vec<(String, String)> {
    let Some(value) = table.get("tags") else { return Vec::new() };
    let pairs = value.pairs().unwrap_or_default();
    quotas::exceeded("tags", pairs.len(), "tags", max).into_iter().for_each(|mistake| value.mistake(mistake));
    let tag = |(name, value): (String, Value<'_>)| {
        let text = value.text()?;
        if name.is_empty() || name.len() > TAG_NAME_BYTES_MAX || text.len() > TAG_VALUE_BYTES_MAX {
            let mistake = Mistake::new(format!("the tag {} is too long", quote(&name)));
            value.mistake(mistake.help(format!(
                "1 to {TAG_NAME_BYTES_MAX} bytes of its name, at most {TAG_VALUE_BYTES_MAX} of its value"
            )));
        }
        Some((name, text))
    };
    pairs.into_iter().filter_map(tag).collect()
}

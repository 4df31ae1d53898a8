//! What an API has beside its routes: models, validators, gateway responses, documentation (rows 112, 113, 126, 146).

use model::{BodyModel, DocumentationPart, GatewayResponse, GatewayResponseType, Origin, RequestValidator};

use super::grammar;
use crate::{
    Form, Key, Section,
    context::{Mistake, place, quote},
    reader::{JSON, Table, Value},
};

const NAME_BYTES_MAX: usize = 128;

pub(super) const DESCRIPTION: Key =
    Key::new("description", Form::Text(r#""What it is for.""#), "For people.");

pub(super) static MODEL: Section = Section {
    name: "api.model",
    doc: "The schema of a body.",
    keys: &[
        Key::new("name", Form::Text(r#""Pet""#), "Its name: letters and digits.").required(),
        DESCRIPTION,
        Key::new("content_type", Form::Text(r#""application/json""#), "What it is the schema of.")
            .or(r#""application/json""#),
        Key::new("schema", Form::Text(r#""${file:pet.json}""#), "JSON Schema, draft 4, as text.").required(),
    ],
};

pub(super) static VALIDATOR: Section = Section {
    name: "api.validator",
    doc: "What may be checked of a request; `validate` of a route is short for the usual three.",
    keys: &[
        Key::new("name", Form::Text(r#""everything""#), "Its name.").required(),
        Key::new("body", Form::Boolean, "The body against the model of its content type.").or("false"),
        Key::new("parameters", Form::Boolean, "Whether required parameters are there.").or("false"),
    ],
};

const TYPES: [&str; 21] = [
    "access_denied",
    "api_configuration_error",
    "authorizer_configuration_error",
    "authorizer_failure",
    "bad_request_body",
    "bad_request_parameters",
    "default_4xx",
    "default_5xx",
    "expired_token",
    "integration_failure",
    "integration_timeout",
    "invalid_api_key",
    "invalid_signature",
    "missing_authentication_token",
    "quota_exceeded",
    "request_too_large",
    "resource_not_found",
    "throttled",
    "unauthorized",
    "unsupported_media_type",
    "waf_filtered",
];

pub(super) static GATEWAY_RESPONSE: Section = Section {
    name: "api.gateway_response",
    doc: "What one kind of the gateway's own answers looks like.",
    keys: &[
        Key::new("type", Form::Choice(&TYPES), "Which; `default_4xx` and `default_5xx`: those that have none.")
            .required(),
        Key::new("status", Form::Count(100, 599), "The status. Left out: that of the kind."),
        Key::new(
            "parameters",
            Form::Pairs,
            "`gatewayresponse.header.NAME` and what it is taken from: `'text'`, `context.x`, `method.request.header.x`.",
        )
        .or("{}"),
        Key::new(
            "templates",
            Form::TextOrPairs(r#"'{"message":$context.error.messageString}'"#),
            "Bodies by media type, with `$context` variables that are replaced; a string alone: of application/json. Left \
             out: the message.",
        ),
    ],
};

const LOCATIONS: [&str; 12] = [
    "api",
    "authorizer",
    "model",
    "resource",
    "method",
    "path_parameter",
    "query_parameter",
    "request_header",
    "request_body",
    "response",
    "response_header",
    "response_body",
];

pub(super) static DOCUMENTATION: Section = Section {
    name: "api.documentation",
    doc: "A part of the API's documentation.",
    keys: &[
        Key::new("location", Form::Choice(&LOCATIONS), "What it is about.").required(),
        Key::new("path", Form::Text(r#""/pets""#), "The resource's path."),
        Key::new("method", Form::Text(r#""GET""#), "The method."),
        Key::new("status_code", Form::Text(r#""200""#), "The status."),
        Key::new("name", Form::Text(r#""id""#), "The thing's name."),
        Key::new("properties", Form::Text(r#"'{"description":"…"}'"#), "A JSON object, as text.").required(),
    ],
};

pub(super) fn models(table: &Table<'_>) -> Vec<BodyModel> {
    let read = |table: &Table<'_>| BodyModel {
        name: table.or("name", |value| value.parse(model_name), String::new()),
        description: table.opt("description", |value| value.parse(grammar::description)),
        content_type: table.or("content_type", |value| value.parse(grammar::media_type), JSON.into()),
        schema: table.or("schema", |value| value.own_parse(grammar::json_object), String::new()),
        origin: Some(table.origin()),
    };
    once(table, "model", "models", read, |model| (&model.name, model.origin.as_ref()))
}

pub(super) fn validators(table: &Table<'_>) -> Vec<RequestValidator> {
    let read = |table: &Table<'_>| RequestValidator {
        name: table.or("name", |value| value.parse(name), String::new()),
        body: table.or("body", Value::boolean, false),
        parameters: table.or("parameters", Value::boolean, false),
        origin: Some(table.origin()),
    };
    once(table, "validator", "validators", read, |it| (&it.name, it.origin.as_ref()))
}

pub(super) fn gateway_responses(table: &Table<'_>) -> Vec<GatewayResponse> {
    let tables = table.tables("gateway_response");
    let mut responses: Vec<GatewayResponse> = Vec::new();
    for table in &tables {
        let kind = table
            .opt("type", Value::choice)
            .and_then(|name| GatewayResponseType::named(&name.to_ascii_uppercase()));
        let status = table.opt("status", Value::count);
        let parameters = table.opt("parameters", grammar::own_pairs).unwrap_or_default();
        let templates = table.opt("templates", grammar::templates).unwrap_or_default();
        let Some(kind) = kind else { continue };
        if kind == GatewayResponseType::RequestTooLarge
            && let Some(value) = table.get("type")
        {
            let mistake =
                Mistake::new("AWS does not heed it: a body that is too large is refused before the API");
            value.warn(mistake.help("leave it out, or customise `default_4xx`"));
        }
        if let Some(other) = responses.iter().find(|other| other.kind == kind) {
            let first = other.origin.as_ref().map(place).unwrap_or_default();
            let message = format!("two gateway responses are `{}`", kind.as_str().to_ascii_lowercase());
            table.mistake(Mistake::new(message).help(format!("the first is at {first}")));
        }
        responses.push(GatewayResponse { kind, status, parameters, templates, origin: Some(table.origin()) });
    }
    responses
}

pub(super) fn documentation(table: &Table<'_>) -> Vec<DocumentationPart> {
    let text = |table: &Table<'_>, key| table.opt(key, Value::text);
    let read = |table: &Table<'_>| DocumentationPart {
        location: table.opt("location", Value::choice).unwrap_or_default().to_ascii_uppercase(),
        path: text(table, "path"),
        method: text(table, "method"),
        status_code: text(table, "status_code"),
        name: text(table, "name"),
        properties: table.or("properties", |value| value.own_parse(grammar::json_object), String::new()),
    };
    table.tables("documentation").iter().map(read).collect()
}

/// The tables of an array, each of which has a name of its own. An empty one could not be read.
pub(super) fn once<T>(
    table: &Table<'_>,
    key: &'static str,
    plural: &str,
    read: impl Fn(&Table<'_>) -> T,
    name: impl Fn(&T) -> (&str, Option<&Origin>),
) -> Vec<T> {
    let mut all: Vec<T> = Vec::new();
    for table in table.tables(key) {
        let new = read(&table);
        let same = |other: &&T| !name(other).0.is_empty() && name(other).0 == name(&new).0;
        if let Some(other) = all.iter().find(same) {
            let first = name(other).1.map(place).unwrap_or_default();
            let mistake = Mistake::new(format!("two {plural} are {}", quote(name(&new).0)));
            table.mistake(mistake.help(format!("the first is at {first}")));
        }
        all.push(new);
    }
    all
}

/// Row 112.
fn model_name(text: &str) -> Result<String, Mistake> {
    let is_char = |byte: u8| byte.is_ascii_alphanumeric();
    if !text.is_empty() && text.len() <= NAME_BYTES_MAX && text.bytes().all(is_char) {
        return Ok(text.to_owned());
    }
    let mistake = Mistake::new(format!("{} can't be the name of a model", quote(text)));
    let letters: String = text.chars().filter(char::is_ascii_alphanumeric).take(NAME_BYTES_MAX).collect();
    Err(if letters.is_empty() {
        mistake.help(format!("1 to {NAME_BYTES_MAX} letters and digits"))
    } else {
        mistake.help(format!("write `{letters}`: letters and digits alone"))
    })
}

/// The name of a validator or an authorizer.
pub(super) fn name(text: &str) -> Result<String, Mistake> {
    if !text.trim().is_empty() && text.len() <= NAME_BYTES_MAX && !text.contains(char::is_control) {
        return Ok(text.to_owned());
    }
    let mistake = Mistake::new(format!("{} can't be a name", quote(text)));
    Err(mistake.help(format!("1 to {NAME_BYTES_MAX} bytes on one line")))
}

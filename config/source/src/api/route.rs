//! `[[api.route]]`: a route of an HTTP API, or a method of a REST API (rows 22, 113, 118, 121).

use model::{
    Authorization, Authorizer, BodyModel, Integration, Kind, MethodResponse, Node, ParameterPlace,
    RequestParameter, RequestRules, RequestValidator, Route, RouteKey,
};

use super::{grammar, implied, integration, refuse};
use crate::{
    Form, Key, Section,
    context::{Mistake, quote},
    names,
    openapi::OfDocument,
    policy, quotas,
    reader::{Table, Value},
    route, route_key, suggest,
    upstream::Upstreams,
};

/// What AWS gives to each API by itself.
const GIVEN_MODELS: [&str; 2] = ["Empty", "Error"];

pub(super) static ROUTE: Section = Section {
    name: "api.route",
    doc: "A route of an HTTP API, or a method of a REST API.",
    keys: &[
        Key::new(
            "key",
            Form::Text(r#""GET /pets/{id}""#),
            "Method and path: `GET /pets/{id}`, `ANY /{proxy+}`; `$default` in an HTTP API.",
        )
        .required(),
        Key::new("operation_name", Form::Text(r#""getPet""#), "Its name in OpenAPI (`operationId`)."),
        Key::new(
            "authorization",
            Form::WordOrTable(&["none", "aws_iam"], &AUTHORIZATION),
            "Who may call: anybody, who signs as an AWS identity, or whom an authorizer lets in.",
        )
        .or(r#""none""#),
        Key::new("api_key_required", Form::Boolean, "Whether an API key is asked for.").or("false"),
        Key::new(
            "unenforced_security",
            Form::Texts(r#"["oauth2"]"#),
            "Security schemes of the document that it was imported from, which nothing enforces: it is refused unless \
             `allow_unenforced_security` of the API opens it.",
        )
        .or("[]"),
        Key::new(
            "parameters",
            Form::Pairs,
            "`path.x`, `querystring.x` and `header.x` of a request: \"required\" or \"optional\". Left out: optional, those \
             that `integration` takes.",
        ),
        Key::new(
            "request_models",
            Form::TextOrPairs(r#""Pet""#),
            "`[[api.model]]`s of a request's body by media type; a string alone: of application/json.",
        ),
        Key::new("validator", Form::Text(r#""everything""#), "The `[[api.validator]]` that checks requests."),
        Key::new(
            "validate",
            Form::Choice(&["body", "params", "all"]),
            "The same in short: the body, required parameters, or both. Left out: nothing is checked.",
        ),
        Key::new("integration", Form::Table(&integration::INTEGRATION), "What answers.").required(),
        Key::new(
            "response",
            Form::Tables(&RESPONSE),
            "Answers that it may give. Left out: those that the responses of `integration` come to.",
        ),
        route::THROTTLES,
        Key::new(
            "cache",
            Form::DurationOrTable(&policy::ROUTE_CACHE, &[policy::RESPECT_ORIGIN]),
            "Keeps responses; `\"60s\"` or a table. Left out: the stage's for GET.",
        ),
        route::LIMITS,
    ],
};

static AUTHORIZATION: Section = Section {
    name: "api.route.authorization",
    doc: "Whom an authorizer lets in.",
    keys: &[
        Key::new("authorizer", Form::Text(r#""users""#), "The `[[api.authorizer]]` that is asked.")
            .required(),
        Key::new("scopes", Form::Texts(r#"["pets.read"]"#), "Scopes of which a token has to have one.")
            .or("[]"),
    ],
};

static RESPONSE: Section = Section {
    name: "api.route.response",
    doc: "An answer that a method may give.",
    keys: &[
        Key::new("status", Form::Count(100, 599), "Its status.").required(),
        Key::new("headers", Form::Pairs, "Fields that it has: \"required\" or \"optional\".").or("{}"),
        Key::new(
            "models",
            Form::TextOrPairs(r#""Pet""#),
            "`[[api.model]]`s of its body by media type; a string alone: of application/json.",
        ),
    ],
};

/// What a route may refer to.
pub(super) struct Known<'a> {
    pub(super) kind: Kind,
    pub(super) node: &'a Node,
    pub(super) models: &'a [BodyModel],
    pub(super) authorizers: &'a [Authorizer],
    pub(super) document: &'a OfDocument,
}

pub(super) fn read(
    table: &Table<'_>,
    known: &Known<'_>,
    validators: &mut Vec<RequestValidator>,
    upstreams: &mut Upstreams,
) -> Option<Route> {
    let kind = known.kind;
    if kind == Kind::Http {
        let keys = ["parameters", "request_models", "validator", "validate", "response"];
        refuse(table, &keys, "an HTTP API has none", "leave it out, or make the API `kind = \"rest\"`");
    }
    let key = table.get("key").and_then(|value| value.parse(|text| route_key::parse(text, kind)));
    let integration = table
        .opt("integration", Value::table)
        .and_then(|table| integration::read(&table, kind, key.as_ref(), upstreams));
    let declared = match &integration {
        Some(Integration::Declared(declared)) if kind == Kind::Rest => Some(&**declared),
        _ => None,
    };
    let parameters = match table.get("parameters") {
        Some(value) => parameters(&value, key.as_ref()),
        None => declared.map(implied::parameters).unwrap_or_default(),
    };
    let request = RequestRules {
        parameters,
        models: table.opt("request_models", |value| models(value, known)).unwrap_or_default(),
        validator: validator(table, validators, known.document),
    };
    let responses = match table.get("response") {
        Some(value) => responses(&value, known),
        None => declared.map(implied::responses).unwrap_or_default(),
    };
    let operation_name = table.opt("operation_name", Value::text);
    let authorization = table.opt("authorization", |value| authorization(value, known)).unwrap_or_default();
    let api_key_required = table.or("api_key_required", Value::boolean, false);
    if let Some(value) = table.get("api_key_required").filter(|_| api_key_required && kind == Kind::Http) {
        let mistake = Mistake::new("an HTTP API asks for no keys");
        value.mistake(mistake.help("leave it out, or make the API `kind = \"rest\"`"));
    }
    let unenforced_security =
        table.or("unenforced_security", |value| value.list(|text| Ok(text.to_owned())), Vec::new());
    let route = route::policies(table, kind, key, integration, known.node)?;
    Some(Route {
        operation_name,
        authorization,
        api_key_required,
        unenforced_security,
        request,
        responses,
        ..route
    })
}

fn authorization(value: &Value<'_>, known: &Known<'_>) -> Option<Authorization> {
    if !value.is_table() {
        return value.choice().map(|word| match word {
            "aws_iam" => Authorization::AwsIam,
            _ => Authorization::None,
        });
    }
    let table = value.table()?;
    let scopes = table.or("scopes", |value| value.list(|text| Ok(text.to_owned())), Vec::new());
    let exceeded = quotas::exceeded("scopes", scopes.len(), "scopes", known.node.quotas.scopes);
    if let (Some(mistake), Some(value)) = (exceeded, table.get("scopes")) {
        value.mistake(mistake);
    }
    let names = known.document.names(known.authorizers, |it| &it.authorizers, |it| &it.name);
    let name = table.opt("authorizer", |value| {
        value.parse(|text| reference(text, names, "authorizer", "[[api.authorizer]]"))
    })?;
    Some(Authorization::Authorizer { name, scopes })
}

/// Whatever the name refers to; an empty one among those known could not be read, and may be this.
fn reference<'n>(
    name: &str,
    known: impl Iterator<Item = &'n str> + Clone,
    what: &str,
    section: &str,
) -> Result<String, Mistake> {
    if known.clone().any(|other| other == name || other.is_empty()) {
        return Ok(name.to_owned());
    }
    let mistake = Mistake::new(format!("the API has no {what} {}", quote(name)));
    Err(match suggest::nearest(name, known) {
        Some(near) => mistake.help(format!("did you mean `{near}`?")),
        None => mistake.help(format!("add `{section}` with `name = {name:?}`")),
    })
}

/// Names of models by media type.
fn models(value: &Value<'_>, known: &Known<'_>) -> Option<Vec<(String, String)>> {
    let names = known.document.names(known.models, |it| &it.models, |it| &it.name).chain(GIVEN_MODELS);
    let pairs: Vec<_> = value
        .text_or_pairs()?
        .into_iter()
        .map(|(kind, value)| {
            grammar::media_type(&kind).map_err(|mistake| value.mistake(mistake)).ok();
            Some((kind, value.parse(|text| reference(text, names.clone(), "model", "[[api.model]]"))?))
        })
        .collect();
    pairs.into_iter().collect()
}

/// Whether something that is named may be missing.
fn is_required(value: &Value<'_>) -> Option<bool> {
    value.parse(|text| match text {
        "required" => Ok(true),
        "optional" => Ok(false),
        _ => {
            let mistake = Mistake::new(format!("{} is not known here", quote(text)));
            Err(match suggest::nearest(text, ["required", "optional"]) {
                Some(near) => mistake.help(format!("did you mean `{near}`?")),
                None => mistake.help("write `required` or `optional`"),
            })
        }
    })
}

fn parameters(value: &Value<'_>, key: Option<&RouteKey>) -> Vec<RequestParameter> {
    let pairs = value.pairs().unwrap_or_default();
    let parameter = |(name, value): (String, Value<'_>)| {
        let required = is_required(&value);
        if value.is_table() {
            return None;
        }
        let parameter = parameter(&name, key).map_err(|mistake| value.mistake(mistake)).ok();
        let (place, name) = parameter?;
        Some(RequestParameter { place, name, required: required? })
    };
    pairs.into_iter().filter_map(parameter).collect()
}

/// `path.id`, `querystring.page`, `header.x`; as OpenAPI says it with `method.request.` before it.
fn parameter(text: &str, key: Option<&RouteKey>) -> Result<(ParameterPlace, String), Mistake> {
    const PLACES: [ParameterPlace; 3] =
        [ParameterPlace::Path, ParameterPlace::QueryString, ParameterPlace::Header];
    let short = text.strip_prefix("method.request.").unwrap_or(text);
    let wrong = || Mistake::new(format!("{} is no parameter of a request", quote(text)));
    let (place, name) = short
        .split_once('.')
        .filter(|(_, name)| !name.is_empty())
        .ok_or_else(|| wrong().help("write `path.x`, `querystring.x` or `header.x`"))?;
    let Some(place) = PLACES.into_iter().find(|it| it.as_str() == place) else {
        return Err(match suggest::nearest(place, PLACES.map(ParameterPlace::as_str)) {
            Some(near) => wrong().help(format!("did you mean `{near}.{}`?", quote(name).trim_matches('`'))),
            None => wrong().help("write `path.x`, `querystring.x` or `header.x`"),
        });
    };
    if place == ParameterPlace::Header {
        names::header(name)?;
    }
    if let (ParameterPlace::Path, Some(key)) = (place, key)
        && !route_key::variables(key).any(|variable| variable == name)
    {
        let mistake = Mistake::new(format!("`{key}` has no variable {}", quote(name)));
        return Err(match suggest::nearest(name, route_key::variables(key)) {
            Some(near) => mistake.help(format!("did you mean `path.{near}`?")),
            None => mistake.help("leave it out"),
        });
    }
    Ok((place, name.to_owned()))
}

/// The validator that a route names, or the usual one that it is short for.
fn validator(
    table: &Table<'_>,
    validators: &mut Vec<RequestValidator>,
    document: &OfDocument,
) -> Option<String> {
    let named = table.opt("validator", |value| {
        let names = document.names(validators, |it| &it.validators, |it| &it.name);
        value.parse(|text| reference(text, names, "validator", "[[api.validator]]"))
    });
    let short = table.opt("validate", |value| value.choice().map(|word| (value.clone(), word)));
    let Some((value, word)) = short else { return named };
    if let Some(other) = table.get("validator") {
        let mistake = Mistake::new("`validate` says what is checked");
        other.mistake(mistake.help("leave out `validator` or `validate`"));
    }
    let usual = implied::validator(word);
    // Its own stand before those of the document.
    match validators.iter().chain(document.all(|it| &it.validators)).find(|it| it.name == usual.name) {
        None => validators.push(RequestValidator { origin: Some(value.origin()), ..usual.clone() }),
        Some(it) if (it.body, it.parameters) == (usual.body, usual.parameters) => {}
        Some(_) => {
            let mistake = Mistake::new(format!("the API has another validator {}", quote(&usual.name)));
            value.mistake(mistake.help(format!("write `validator = {:?}`, or rename that one", usual.name)));
        }
    }
    Some(usual.name)
}

fn responses(value: &Value<'_>, known: &Known<'_>) -> Vec<MethodResponse> {
    let mut responses: Vec<MethodResponse> = Vec::new();
    for table in value.tables() {
        let headers = table.opt("headers", headers).unwrap_or_default();
        let models = table.opt("models", |value| models(value, known)).unwrap_or_default();
        let Some(status) = table.opt("status", Value::count) else { continue };
        if responses.iter().any(|other| other.status == status) {
            let mistake = Mistake::new(format!("two responses have the status {status}"));
            table.mistake(mistake.help("keep one of them"));
        }
        responses.push(MethodResponse { status, headers, models });
    }
    responses
}

fn headers(value: &Value<'_>) -> Option<Vec<(String, bool)>> {
    let header = |(name, value): (String, Value<'_>)| {
        let name = names::header(&name).map_err(|mistake| value.mistake(mistake)).ok();
        name.zip(is_required(&value))
    };
    Some(value.pairs()?.into_iter().filter_map(header).collect())
}

//! `[[api.authorizer]]`: who is asked whether a client may (rows 97 to 103).

use std::time::Duration;

use model::{Authorizer, AuthorizerKind, Kind, Quotas};

use super::{grammar, parts};
use crate::{
    Form, Key, Section,
    context::{Mistake, quote},
    quotas,
    reader::{Table, Value},
    units,
};

const TTL_MAX: Duration = Duration::from_hours(1);

pub(super) static AUTHORIZER: Section = Section {
    name: "api.authorizer",
    doc: "Who is asked whether a client may.",
    keys: &[
        Key::new("name", Form::Text(r#""users""#), "Its name.").required(),
        Key::new(
            "type",
            Form::Choice(&["token", "request", "cognito_user_pools", "jwt"]),
            "A function is given a token (REST), a function is given the request, tokens of user pools (REST), tokens of \
             an issuer (HTTP).",
        )
        .required(),
        Key::new("auth_type", Form::Text(r#""oauth2""#), "`x-amazon-apigateway-authtype`, where it says more."),
        Key::new("uri", Form::Text(r#""arn:aws:apigateway:…""#), "The function's invocation URI."),
        Key::new("credentials", Form::Text(r#""arn:aws:iam::…""#), "The role for the call."),
        Key::new(
            "identity_sources",
            Form::Texts(r#"["method.request.header.Authorization"]"#),
            "Where a client says who it is: `method.request.header.x`, in an HTTP API `$request.header.x`.",
        )
        .or("[]"),
        Key::new(
            "identity_validation_expression",
            Form::Text(r"'Bearer .+'"),
            "What a token has to look like before anybody is asked.",
        ),
        Key::new(
            "ttl",
            Form::Duration(Duration::ZERO, TTL_MAX),
            "How long an answer is kept, whole seconds; `0s`: not at all. Left out: AWS's default of 300 s.",
        ),
        Key::new("provider_arns", Form::Texts(r#"["arn:aws:cognito-idp:…"]"#), "User pools.").or("[]"),
        Key::new(
            "payload_format_version",
            Form::Choice(&["1.0", "2.0"]),
            "What a function is given (HTTP APIs).",
        ),
        Key::new(
            "enable_simple_responses",
            Form::Boolean,
            "Whether a plain yes or no is an answer (HTTP APIs).",
        )
        .or("false"),
        Key::new("issuer", Form::Text(r#""https://id.example.com""#), "`iss` of tokens (`jwt`)."),
        Key::new("audiences", Form::Texts(r#"["client"]"#), "`aud` of tokens (`jwt`).").or("[]"),
    ],
};

pub(super) fn read(table: &Table<'_>, kind: Kind, quotas: &Quotas) -> Vec<Authorizer> {
    let read = |table: &Table<'_>| authorizer(table, kind, quotas);
    let authorizers =
        parts::once(table, "authorizer", "authorizers", read, |it| (&it.name, it.origin.as_ref()));
    if let Some(mistake) =
        quotas::exceeded("authorizers", authorizers.len(), "authorizers", quotas.authorizers)
    {
        table.mistake(mistake);
    }
    authorizers
}

fn authorizer(table: &Table<'_>, kind: Kind, quotas: &Quotas) -> Authorizer {
    let named = table.opt("type", Value::choice);
    let own = |key| table.opt(key, Value::own_text);
    let list = |key| table.or(key, grammar::own_list, Vec::new());
    let authorizer = Authorizer {
        name: table.or("name", |value| value.parse(parts::name), String::new()),
        kind: match named {
            Some("token") => AuthorizerKind::Token,
            Some("cognito_user_pools") => AuthorizerKind::CognitoUserPools,
            Some("jwt") => AuthorizerKind::Jwt,
            _ => AuthorizerKind::Request,
        },
        auth_type: table.opt("auth_type", Value::text),
        uri: own("uri"),
        credentials: own("credentials"),
        identity_sources: list("identity_sources"),
        identity_validation_expression: own("identity_validation_expression"),
        result_ttl_s: table.opt("ttl", ttl),
        provider_arns: list("provider_arns"),
        payload_format_version: table.opt("payload_format_version", Value::choice).map(str::to_owned),
        enable_simple_responses: table.or("enable_simple_responses", Value::boolean, false),
        issuer: table.opt("issuer", Value::text),
        audiences: list("audiences"),
        origin: Some(table.origin()),
    };
    if let Some(named) = named {
        belongs(table, kind, authorizer.kind, named);
    }
    let exceeded = quotas::exceeded("audiences", authorizer.audiences.len(), "audiences", quotas.audiences);
    if let (Some(mistake), Some(value)) = (exceeded, table.get("audiences")) {
        value.mistake(mistake);
    }
    authorizer
}

/// Which kind of API has which authorizers, and what each can't do without.
fn belongs(table: &Table<'_>, api: Kind, kind: AuthorizerKind, named: &str) {
    let is_other = match kind {
        AuthorizerKind::Token | AuthorizerKind::CognitoUserPools => api == Kind::Http,
        AuthorizerKind::Jwt => api == Kind::Rest,
        AuthorizerKind::Request => false,
    };
    if let Some(value) = table.get("type").filter(|_| is_other) {
        let (which, help) = match api {
            Kind::Rest => ("a REST API", "`token`, `request` or `cognito_user_pools`"),
            _ => ("an HTTP API", "`request` or `jwt`"),
        };
        let mistake = Mistake::new(format!("{which} has no authorizers of type `{named}`"));
        value.mistake(mistake.help(format!("write {help}")));
        return;
    }
    let needed: &[&str] = match kind {
        AuthorizerKind::Token | AuthorizerKind::Request => &["uri"],
        AuthorizerKind::CognitoUserPools => &["provider_arns"],
        AuthorizerKind::Jwt => &["issuer", "audiences"],
    };
    for key in needed.iter().filter(|key| table.get(key).is_none() && !table.is_misspelled(key)) {
        if !table.file.is_broken() {
            let mistake = Mistake::new(format!("an authorizer of type {} needs `{key}`", quote(named)));
            table.mistake(mistake.help(format!("add `{key}`")));
        }
    }
}

fn ttl(value: &Value<'_>) -> Option<u32> {
    let ttl = value.duration()?;
    if ttl.subsec_nanos() > 0 {
        let mistake = Mistake::new(format!("`{}` has a fraction of a second", units::show_duration(ttl)));
        value.mistake(mistake.help("write whole seconds"));
    }
    u32::try_from(ttl.as_secs()).ok()
}

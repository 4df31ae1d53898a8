//! The keys of `integration`: what the short forms say, and what makes it the full one.

use std::time::Duration;

use crate::{Form, Key, Section, integration, route};

/// Row 60.
const TIMEOUT_MIN: Duration = Duration::from_millis(50);
pub(super) const TIMEOUT_MAX_STREAM: Duration = Duration::from_mins(15);

pub(super) const SHORT_HTTP: [&str; 3] = ["upstream", "path", "strip_prefix"];
pub(super) const SHORT_MOCK: [&str; 3] = ["status", "headers", "body"];
/// Keys of the full form alone, in a REST API alone.
pub(super) const FULL_REST: [&str; 7] = [
    "request_templates",
    "passthrough",
    "content_handling",
    "cache_key_parameters",
    "cache_namespace",
    "response",
    "streams",
];
/// In an HTTP API alone.
pub(super) const FULL_HTTP: [&str; 3] = ["subtype", "payload_format_version", "response_parameters"];
/// In both.
pub(super) const FULL: [&str; 8] = [
    "uri",
    "http_method",
    "timeout",
    "request_parameters",
    "credentials",
    "connection_id",
    "server_name",
    "insecure_skip_verification",
];

const CONTENT_HANDLING: Key = Key::new(
    "content_handling",
    Form::Choice(&["convert_to_binary", "convert_to_text"]),
    "Whether the body is decoded from Base64, or encoded. Left out: as it is.",
);

pub(crate) static INTEGRATION: Section = Section {
    name: "api.route.integration",
    doc: "What answers a route. In short a backend (`url` or `upstream`) or an answer (`mock` with `status`, `headers`, \
          `body`); any other key makes it an integration as API Gateway describes them.",
    keys: &[
        Key::new(
            "type",
            Form::Choice(&["http_proxy", "mock", "http", "aws_proxy", "aws"]),
            "A backend that sees requests whole, the gateway by itself, a backend with mappings, a function, a service.",
        )
        .required(),
        Key::new(
            "url",
            Form::Text(r#""http://127.0.0.1:8080/pets/{id}""#),
            "`http_proxy` and `http`: the backend and the whole path sent, with the variables of `key`.",
        ),
        integration::HTTP2,
        route::UPSTREAM,
        Key::new(
            "path",
            Form::Text(r#""/v2/pets/{id}""#),
            "With `upstream`: the path sent, with the variables of `key`. Left out: the request's.",
        ),
        route::STRIP_PREFIX,
        integration::STATUS,
        integration::HEADERS,
        integration::BODY,
        Key::new(
            "uri",
            Form::Text(r#""https://${stageVariables.host}/pets""#),
            "The backend's URL or ARN as on AWS: `{name}` stands for what `request_parameters` map to \
             `integration.request.path.name`.",
        ),
        Key::new(
            "http_method",
            Form::Text(r#""POST""#),
            "The backend's method. Left out, or `ANY` with a proxy: the client's.",
        ),
        Key::new(
            "timeout",
            Form::Duration(TIMEOUT_MIN, TIMEOUT_MAX_STREAM),
            "For the whole call: at most `300s` in a REST API, `30s` in an HTTP API. Left out: 29 s, 30 s in an HTTP API.",
        ),
        Key::new(
            "request_parameters",
            Form::Pairs,
            "Destination and source: `integration.request.header.x` = \"method.request.path.id\"; in an HTTP API \
             `append:header.x` = \"$request.path.id\".",
        ),
        Key::new(
            "request_templates",
            Form::TextOrPairs(r#"'{"id":"$input.params("id")"}'"#),
            "Templates of the body by media type; a string alone: of application/json. At most 300 KB each.",
        ),
        Key::new(
            "passthrough",
            Form::Choice(&["when_no_match", "when_no_templates", "never"]),
            "What becomes of a body without a template: it passes, it passes if there are no templates at all, or 415. \
             Left out: when_no_match.",
        ),
        CONTENT_HANDLING,
        Key::new("credentials", Form::Text(r#""arn:aws:iam::…""#), "The role for the call."),
        Key::new("connection_id", Form::Text(r#""${stageVariables.link}""#), "A VPC link."),
        Key::new(
            "cache_key_parameters",
            Form::Texts(r#"["method.request.querystring.page"]"#),
            "What tells answers in the cache apart.",
        ),
        Key::new("cache_namespace", Form::Text(r#""pets""#), "Whose cache entries it shares."),
        Key::new(
            "response",
            Form::Tables(&RESPONSE),
            "What becomes of the backend's answers; not with a proxy.",
        ),
        Key::new(
            "streams",
            Form::Boolean,
            "Whether the answer is streamed: of any length, as the backend coded it, never kept. Left out: `false`.",
        ),
        Key::new("subtype", Form::Text(r#""SQS-SendMessage""#), "An action of a service (HTTP APIs)."),
        Key::new(
            "payload_format_version",
            Form::Choice(&["1.0", "2.0"]),
            "What a function is given (HTTP APIs).",
        ),
        Key::new(
            "response_parameters",
            Form::NamedPairs,
            "By the backend's status: destination and source (HTTP APIs).",
        ),
        Key::new("server_name", Form::Text(r#""backend.internal""#), "The name that its certificate must have."),
        Key::new(
            "insecure_skip_verification",
            Form::Boolean,
            "Whether the backend's certificate may be anybody's. Left out: `false`.",
        ),
    ],
};

static RESPONSE: Section = Section {
    name: "api.route.integration.response",
    doc: "What becomes of one kind of a backend's answers.",
    keys: &[
        Key::new(
            "pattern",
            Form::Text(r#""5\\d\\d""#),
            "A regular expression over the backend's status or a function's error. Left out: what no other takes.",
        ),
        Key::new("status", Form::Count(100, 599), "The status that the client is told.").required(),
        Key::new(
            "parameters",
            Form::Pairs,
            "`method.response.header.NAME` and its source: `integration.response.header.x`, `'text'`, …",
        )
        .or("{}"),
        Key::new(
            "templates",
            Form::TextOrPairs(r#"'{"id":$input.json("$.id")}'"#),
            "Templates of the body by media type; a string alone: of application/json.",
        ),
        CONTENT_HANDLING,
    ],
};

//! `x-amazon-apigateway-integration` → an integration. What its mappings and templates say is text here.

use std::time::Duration;

use model::{ContentHandling, Declared, IntegrationResponse, IntegrationType, Kind, Passthrough, Severity};

use super::Document;
use crate::tree::{Cursor, quote};

/// The shortest time that a call may be given (row 60).
const TIMEOUT_MS_MIN: i64 = 50;
/// The longest, of an answer that is streamed (row 60).
const TIMEOUT_MS_MAX: i64 = 900_000;

/// What may stand in an integration of either kind.
const COMMON: [&str; 14] = [
    "type",
    "httpMethod",
    "uri",
    "connectionId",
    "connectionType",
    "credentials",
    "timeoutInMillis",
    "tlsConfig",
    "requestParameters",
    "description",
    "payloadFormatVersion",
    "$ref",
    "integrationTarget",
    "passthroughBehavior",
];
const OF_REST: [&str; 7] = [
    "requestTemplates",
    "responses",
    "contentHandling",
    "cacheKeyParameters",
    "cacheNamespace",
    "responseTransferMode",
    "response",
];
const OF_HTTP: [&str; 2] = ["integrationSubtype", "responseParameters"];

pub(super) const CONTENT_HANDLING: [(&str, ContentHandling); 2] = [
    ("CONVERT_TO_BINARY", ContentHandling::ConvertToBinary),
    ("CONVERT_TO_TEXT", ContentHandling::ConvertToText),
];

const PASSTHROUGH: [(&str, Passthrough); 3] = [
    ("when_no_match", Passthrough::WhenNoMatch),
    ("when_no_templates", Passthrough::WhenNoTemplates),
    ("never", Passthrough::Never),
];

impl<'t> Document<'t> {
    /// An integration, of the operation itself or one that several share; `None` if what it is can't be told.
    pub(super) fn integration(&self, at: &Cursor<'t>) -> Option<Declared> {
        let at = self.resolve(at).filter(|at| at.expect_map())?;
        let Some(kind_at) = at.get("type") else {
            at.error("the integration has no `type`");
            return None;
        };
        let types = IntegrationType::ALL.map(|kind| (lower(kind), kind));
        let choices: Vec<_> = types.iter().map(|(name, kind)| (&**name, *kind)).collect();
        let kind = kind_at.one_of(&choices)?;
        if self.kind == Kind::Http && !kind.is_proxy() {
            let help = "write `http_proxy` or `aws_proxy`, or make it a REST API";
            kind_at.error_with(format!("an HTTP API has no integrations of type `{}`", lower(kind)), help);
        }
        let (own, other) = match self.kind {
            Kind::Rest => (&OF_REST[..], &OF_HTTP[..]),
            _ => (&OF_HTTP[..], &OF_REST[..]),
        };
        self.warn_keys(&at, own, other);
        let text = |name: &str| at.get(name).and_then(|it| it.text());
        let mut declared = Declared::new(kind);
        declared.origin = Some(at.origin());
        declared.http_method = text("httpMethod").map(|method| match &*method.to_ascii_uppercase() {
            "X-AMAZON-APIGATEWAY-ANY-METHOD" => "ANY".into(),
            upper => upper.to_owned(),
        });
        declared.uri = text("uri");
        declared.credentials = text("credentials");
        declared.connection_id = self.connection(&at);
        let timeout = at.get("timeoutInMillis");
        let timeout = timeout.and_then(|it| it.whole::<u64>(TIMEOUT_MS_MIN, TIMEOUT_MS_MAX));
        declared.timeout = timeout.map(Duration::from_millis);
        if let Some(tls) = at.get("tlsConfig") {
            let insecure = tls.get("insecureSkipVerification").and_then(|it| it.truth());
            declared.insecure_skip_verification = insecure.unwrap_or_default();
            declared.server_name = tls.get("serverNameToVerify").and_then(|it| it.text());
        }
        declared.request_parameters = at.get("requestParameters").map(|it| it.pairs()).unwrap_or_default();
        match self.kind {
            Kind::Rest => self.of_rest(&at, &mut declared),
            _ => self.of_http(&at, &mut declared),
        }
        self.check_integration(&at, &declared);
        Some(declared)
    }

    fn warn_keys(&self, at: &Cursor<'t>, own: &[&str], other: &[&str]) {
        for (name, _) in at.entries() {
            if other.contains(&name) {
                let kinds = if self.kind == Kind::Rest { ["HTTP", "REST"] } else { ["REST", "HTTP"] };
                let message = format!(
                    "{} is for {} APIs: it has no effect in a {} API",
                    quote(name),
                    kinds[0],
                    kinds[1]
                );
                at.report_key(Severity::Warning, name, message);
            } else if !COMMON.contains(&name) && !own.contains(&name) && !name.starts_with("x-") {
                at.report_key(Severity::Warning, name, format!("{} has no effect here", quote(name)));
            }
        }
    }

    /// A VPC link's id, where one is used.
    fn connection(&self, at: &Cursor<'t>) -> Option<String> {
        let is_link =
            at.get("connectionType").and_then(|it| it.one_of(&[("INTERNET", false), ("VPC_LINK", true)]));
        let id = at.get("connectionId").and_then(|it| it.text());
        match (is_link, id) {
            (Some(true), None) => {
                at.error_with("the VPC link is not named", "add `connectionId`");
                None
            }
            (Some(false) | None, Some(_)) if is_link == Some(false) => {
                at.report_key(
                    Severity::Warning,
                    "connectionId",
                    "`connectionType: INTERNET` uses no connection",
                );
                None
            }
            (_, id) => id,
        }
    }

    fn of_rest(&self, at: &Cursor<'t>, declared: &mut Declared) {
        declared.request_templates = at.get("requestTemplates").map(|it| it.pairs()).unwrap_or_default();
        let passthrough = at.get("passthroughBehavior").and_then(|it| it.one_of(&PASSTHROUGH));
        declared.passthrough = passthrough.unwrap_or_default();
        declared.content_handling = at.get("contentHandling").and_then(|it| it.one_of(&CONTENT_HANDLING));
        declared.cache_key_parameters = at.get("cacheKeyParameters").map(|it| it.texts()).unwrap_or_default();
        declared.cache_namespace = at.get("cacheNamespace").and_then(|it| it.text());
        let streams = at.get("responseTransferMode");
        let streams = streams.and_then(|it| it.one_of(&[("BUFFERED", false), ("STREAM", true)]));
        declared.streams = streams.unwrap_or_default();
        let Some(responses) = at.get("responses").filter(|it| it.expect_map()) else { return };
        for (pattern, response) in responses.entries() {
            let Some(status) = response.get("statusCode") else {
                response.error("the response has no `statusCode`");
                continue;
            };
            let pairs = |name: &str| response.get(name).map(|it| it.pairs()).unwrap_or_default();
            response.warn_unknown(&[
                "statusCode",
                "responseParameters",
                "responseTemplates",
                "contentHandling",
            ]);
            declared.responses.push(IntegrationResponse {
                selection_pattern: (pattern != "default").then(|| pattern.to_owned()),
                status: status.whole(100, 599).unwrap_or(200),
                parameters: pairs("responseParameters"),
                templates: pairs("responseTemplates"),
                content_handling: response.get("contentHandling").and_then(|it| it.one_of(&CONTENT_HANDLING)),
                origin: Some(response.origin()),
            });
        }
    }

    fn of_http(&self, at: &Cursor<'t>, declared: &mut Declared) {
        declared.subtype = at.get("integrationSubtype").and_then(|it| it.text());
        declared.payload_format_version = at.get("payloadFormatVersion").and_then(|it| it.text());
        let Some(responses) = at.get("responseParameters").filter(|it| it.expect_map()) else { return };
        for (status, mappings) in responses.entries() {
            match status.parse::<u16>() {
                Ok(status @ 200..=599) => declared.response_parameters.push((status, mappings.pairs())),
                _ => responses.report_key(Severity::Error, status, format!("{} is no status", quote(status))),
            }
        }
    }

    fn check_integration(&self, at: &Cursor<'t>, declared: &Declared) {
        let is_mock = declared.kind == IntegrationType::Mock;
        if declared.uri.is_none() && !is_mock && declared.subtype.is_none() {
            at.error_with(
                format!("an integration of type `{}` has to say where it goes", lower(declared.kind)),
                "add `uri`",
            );
        }
        let is_http = matches!(declared.kind, IntegrationType::Http | IntegrationType::HttpProxy);
        if let Some(uri) = declared.uri.as_deref().filter(|_| is_http && declared.connection_id.is_none()) {
            let known = ["http://", "https://", "${stageVariables."];
            if !known.iter().any(|start| uri.starts_with(start)) {
                let message = format!("{} is no URL of a backend", quote(uri));
                at.error_with(message, "it begins with `http://` or `https://`, or with a stage variable");
            }
        }
        if self.kind == Kind::Rest && !is_mock && declared.http_method.is_none() {
            at.error_with("the integration says no method", "add `httpMethod`; `ANY` is the client's");
        }
    }
}

/// `http_proxy` and the like, as documents write it.
pub(crate) fn lower(kind: IntegrationType) -> String {
    kind.as_str().to_ascii_lowercase()
}

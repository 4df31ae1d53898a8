//! What answers a route → `x-amazon-apigateway-integration`. The short forms of our own configuration become what they do.

use model::{Declared, Integration, IntegrationResponse, IntegrationType, Mock, Route, RouteKey};
use serde_json::{Map, Value as Json, json};

use super::{Export, insert_pairs, put};
use crate::import::{lower, path_variables};

impl Export<'_> {
    pub(super) fn integration(&mut self, route: &Route) -> Json {
        match &route.integration {
            Integration::Declared(declared) => self.declared(declared, route),
            Integration::Mock(mock) => {
                if !self.is_rest() {
                    self.notes.push(format!("`{}`: on AWS an HTTP API has no mock", route.key));
                }
                self.declared(&declared_mock(mock), route)
            }
            Integration::Http { upstream, path, strip_prefix } => {
                let declared = self.forwarded(route, upstream, path.as_deref(), strip_prefix.as_deref());
                self.declared(&declared, route)
            }
        }
    }

    /// A group of backends is a URL here: that of its first.
    fn forwarded(
        &mut self,
        route: &Route,
        upstream: &str,
        path: Option<&str>,
        strip: Option<&str>,
    ) -> Declared {
        let taken = match &route.key {
            RouteKey::Default => "",
            RouteKey::Path { path, .. } => path,
        };
        let rest = strip.and_then(|prefix| taken.strip_prefix(prefix)).unwrap_or(taken);
        let path = path.map_or_else(|| rest.replace("+}", "}"), str::to_owned);
        let base = (self.options.upstream)(upstream);
        let base = base.unwrap_or_else(|| {
            self.notes
                .push(format!("`{}` goes to the upstream {upstream}: put a URL in its place", route.key));
            format!("http://{upstream}")
        });
        let mut declared = Declared::new(IntegrationType::HttpProxy);
        declared.uri = Some(format!("{}{path}", base.trim_end_matches('/')));
        declared.http_method = Some("ANY".into());
        if self.is_rest() {
            let mapped =
                |name| (format!("integration.request.path.{name}"), format!("method.request.path.{name}"));
            declared.request_parameters = path_variables(taken).map(mapped).collect();
        }
        declared
    }

    fn declared(&mut self, declared: &Declared, route: &Route) -> Json {
        let mut object = Map::new();
        let mut text = |key: &str, value: Option<&str>| {
            if let Some(value) = value {
                object.insert(key.to_owned(), value.into());
            }
        };
        text("type", Some(&lower(declared.kind)));
        // A REST API has to say it.
        let needs_method = self.is_rest() && declared.kind != model::IntegrationType::Mock;
        text("httpMethod", declared.http_method.as_deref().or(needs_method.then_some("ANY")));
        text("uri", declared.uri.as_deref());
        text("integrationSubtype", declared.subtype.as_deref());
        text("credentials", declared.credentials.as_deref());
        text("connectionType", declared.connection_id.as_ref().map(|_| "VPC_LINK"));
        text("connectionId", declared.connection_id.as_deref());
        text("payloadFormatVersion", declared.payload_format_version.as_deref());
        text("cacheNamespace", declared.cache_namespace.as_deref());
        let handling = declared.content_handling.map(model::ContentHandling::as_str);
        text("contentHandling", handling);
        text("responseTransferMode", declared.streams.then_some("STREAM"));
        if self.is_rest() {
            text("passthroughBehavior", Some(&declared.passthrough.as_str().to_ascii_lowercase()));
        }
        if let Some(timeout) = declared.timeout {
            // At most a quarter of an hour.
            object.insert(
                "timeoutInMillis".into(),
                u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).into(),
            );
        }
        let mut tls = Map::new();
        put(&mut tls, "insecureSkipVerification", declared.insecure_skip_verification, true);
        put(&mut tls, "serverNameToVerify", declared.server_name.is_some(), json!(declared.server_name));
        put(&mut object, "tlsConfig", !tls.is_empty(), tls);
        let keys = &declared.cache_key_parameters;
        put(&mut object, "cacheKeyParameters", !keys.is_empty(), keys.clone());
        insert_pairs(&mut object, "requestParameters", &declared.request_parameters);
        insert_pairs(&mut object, "requestTemplates", &declared.request_templates);
        let by_status = declared.response_parameters.iter().map(|(status, pairs)| {
            let pairs = pairs.iter().map(|(name, value)| (name.clone(), Json::from(value.clone())));
            (status.to_string(), Json::Object(pairs.collect()))
        });
        let by_status: Map<_, _> = by_status.collect();
        put(&mut object, "responseParameters", !by_status.is_empty(), by_status);
        let responses: Map<_, _> = declared.responses.iter().map(response).collect();
        put(&mut object, "responses", !responses.is_empty(), responses);
        if declared.http2 {
            self.notes.push(format!("`{}`: that its backend speaks HTTP/2 can't be said", route.key));
        }
        Json::Object(object)
    }
}

fn response(response: &IntegrationResponse) -> (String, Json) {
    let mut object = Map::new();
    object.insert("statusCode".into(), response.status.to_string().into());
    insert_pairs(&mut object, "responseParameters", &response.parameters);
    insert_pairs(&mut object, "responseTemplates", &response.templates);
    let handling = response.content_handling.map(model::ContentHandling::as_str);
    put(&mut object, "contentHandling", handling.is_some(), json!(handling));
    (response.selection_pattern.clone().unwrap_or_else(|| "default".into()), Json::Object(object))
}

/// A mock as API Gateway says it.
fn declared_mock(mock: &Mock) -> Declared {
    let mut declared = Declared::new(IntegrationType::Mock);
    declared.request_templates =
        vec![("application/json".into(), format!("{{\"statusCode\": {}}}", mock.status))];
    let is_type = |name: &str| name.eq_ignore_ascii_case("content-type");
    let kind =
        mock.headers.iter().find(|(name, _)| is_type(name)).map_or("application/json", |(_, value)| value);
    let headers = mock.headers.iter().filter(|(name, _)| !is_type(name));
    declared.responses.push(IntegrationResponse {
        selection_pattern: None,
        status: mock.status,
        parameters: headers
            .map(|(name, value)| (format!("method.response.header.{name}"), format!("'{value}'")))
            .collect(),
        // A template prints what stands between these as it is.
        templates: vec![(kind.to_owned(), format!("#[[{}]]#", mock.body))],
        content_handling: None,
        origin: None,
    });
    declared
}

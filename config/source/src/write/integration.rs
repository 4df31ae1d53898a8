//! What answers a route, as TOML.

use model::{
    ContentHandling, Declared, Integration, IntegrationResponse, IntegrationType, Kind, Mock, Passthrough,
};

use super::tree::{Tree, own_pairs};
use crate::{api::integration as source, reader::JSON, units, upstream};

/// `integration` of a route in AWS's shape.
pub(super) fn tree(integration: &Integration, kind: Kind) -> Tree {
    let mut tree = Tree::default();
    match integration {
        Integration::Http { upstream, path, strip_prefix } => {
            tree.raw("type", r#""http_proxy""#);
            match upstream::made_of(upstream) {
                Some((base, http2)) => {
                    tree.text("url", &format!("{base}{}", path.as_deref().unwrap_or_default()));
                    tree.flag("http2", http2);
                }
                None => {
                    tree.text("upstream", upstream);
                    tree.opt_text("path", path.as_deref());
                    tree.opt_text("strip_prefix", strip_prefix.as_deref());
                }
            }
        }
        Integration::Mock(answer) => {
            tree.raw("type", r#""mock""#);
            mock(&mut tree, answer);
        }
        Integration::Declared(declared) => full(&mut tree, declared, kind),
    }
    tree
}

/// An answer of one's own.
pub(super) fn mock(tree: &mut Tree, mock: &Mock) {
    if mock.status != 200 {
        tree.raw("status", mock.status);
    }
    if !mock.body.is_empty() {
        tree.text("body", &mock.body);
    }
    tree.pairs("headers", &mock.headers);
}

fn full(tree: &mut Tree, declared: &Declared, kind: Kind) {
    let name = match declared.kind {
        IntegrationType::Aws => "aws",
        IntegrationType::AwsProxy => "aws_proxy",
        IntegrationType::Http => "http",
        IntegrationType::HttpProxy => "http_proxy",
        IntegrationType::Mock => "mock",
    };
    tree.text("type", name);
    tree.opt_text("subtype", declared.subtype.as_deref());
    tree.opt_own("uri", declared.uri.as_deref());
    tree.opt_text("http_method", declared.http_method.as_deref());
    tree.flag("http2", declared.http2);
    tree.opt_own("connection_id", declared.connection_id.as_deref());
    tree.opt_own("credentials", declared.credentials.as_deref());
    tree.opt_text("server_name", declared.server_name.as_deref());
    tree.flag("insecure_skip_verification", declared.insecure_skip_verification);
    if let Some(timeout) = declared.timeout {
        tree.text("timeout", &units::show_duration(timeout));
    }
    tree.opt_text("payload_format_version", declared.payload_format_version.as_deref());
    // The short form of a mock says nothing of templates.
    let is_mock = kind == Kind::Rest && declared.kind == IntegrationType::Mock;
    let is_bare = declared.request_templates.is_empty() && declared.responses.is_empty();
    if declared.passthrough != Passthrough::default() || (is_mock && is_bare) {
        tree.text("passthrough", source::passthrough_name(declared.passthrough));
    }
    content_handling(tree, declared.content_handling);
    tree.flag("streams", declared.streams);
    tree.owns("cache_key_parameters", &declared.cache_key_parameters);
    tree.opt_text("cache_namespace", declared.cache_namespace.as_deref());
    tree.own_pairs("request_parameters", &declared.request_parameters);
    templates(tree, "request_templates", &declared.request_templates);
    if !declared.response_parameters.is_empty() {
        let mut statuses = Tree::default();
        for (status, parameters) in &declared.response_parameters {
            statuses.table(&status.to_string(), own_pairs(parameters));
        }
        tree.table("response_parameters", statuses);
    }
    declared.responses.iter().for_each(|it| tree.item("response", response(it)));
}

fn response(response: &IntegrationResponse) -> Tree {
    let mut tree = Tree::default();
    tree.opt_own("pattern", response.selection_pattern.as_deref());
    tree.raw("status", response.status);
    content_handling(&mut tree, response.content_handling);
    tree.own_pairs("parameters", &response.parameters);
    templates(&mut tree, "templates", &response.templates);
    tree
}

fn content_handling(tree: &mut Tree, handling: Option<ContentHandling>) {
    if let Some(handling) = handling {
        tree.text("content_handling", &handling.as_str().to_ascii_lowercase());
    }
}

/// Templates by media type; one of application/json is a string alone.
pub(super) fn templates(tree: &mut Tree, name: &str, templates: &[(String, String)]) {
    match templates {
        [(kind, template)] if kind == JSON => tree.own(name, template),
        _ => tree.own_pairs(name, templates),
    }
}

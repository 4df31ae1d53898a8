//! What an API is, as TOML: what a deployment freezes.

use model::{
    ApiKeySource, Authorizer, AuthorizerKind, BodyModel, Cors, Definition, DocumentationPart,
    EndpointAccessMode, GatewayResponse, Kind,
};

use super::{integration, route, tree::Tree};
use crate::{cors as source, reader::JSON, units};

/// The keys of an `[[api]]` that are its definition's, up to its arrays of tables.
pub(super) fn keys(tree: &mut Tree, definition: &Definition) {
    tree.opt_text("description", definition.description.as_deref());
    tree.opt_text("version", definition.version.as_deref());
    tree.flag("disable_default_endpoint", definition.disable_default_endpoint);
    access_mode(tree, definition.endpoint_access_mode);
    tree.texts("binary_media_types", &definition.binary_media_types);
    if let Some(bytes) = definition.minimum_compression_bytes {
        tree.text("minimum_compression", &units::show_size(bytes.into()));
    }
    if definition.api_key_source == ApiKeySource::Authorizer {
        tree.text("api_key_source", "authorizer");
    }
    tree.opt_own("policy", definition.policy.as_deref());
    tree.texts("resources", &definition.resources);
    tree.pairs("tags", &definition.tags);
    if let Some(it) = &definition.cors {
        cors_value(tree, it);
    }
}

/// `endpoint_access_mode`, of an API or a domain.
pub(super) fn access_mode(tree: &mut Tree, mode: EndpointAccessMode) {
    if mode == EndpointAccessMode::Strict {
        tree.text("endpoint_access_mode", "strict");
    }
}

/// Its arrays of tables.
pub(super) fn tables(tree: &mut Tree, definition: &Definition, kind: Kind) {
    definition.models.iter().for_each(|it| tree.item("model", model(it)));
    for it in &definition.validators {
        let mut validator = Tree::default();
        validator.text("name", &it.name);
        validator.flag("body", it.body);
        validator.flag("parameters", it.parameters);
        tree.item("validator", validator);
    }
    definition.authorizers.iter().for_each(|it| tree.item("authorizer", authorizer(it)));
    definition.gateway_responses.iter().for_each(|it| tree.item("gateway_response", gateway_response(it)));
    definition.documentation.iter().for_each(|it| tree.item("documentation", documentation(it)));
    definition.routes.iter().for_each(|it| tree.item("route", route::tree(it, kind)));
}

/// `cors`, as a word where it may be one.
pub(super) fn cors_value(tree: &mut Tree, it: &Cors) {
    if (Cors { origin: None, ..it.clone() }) == source::everybody() {
        tree.text("cors", "*");
    } else {
        tree.table("cors", cors(it));
    }
}

pub(super) fn cors(cors: &Cors) -> Tree {
    let mut tree = Tree::default();
    match cors.allow_origins.is_empty() {
        true => tree.raw("allow_origins", "[]"),
        false => tree.texts("allow_origins", &cors.allow_origins),
    }
    tree.texts("allow_methods", &cors.allow_methods);
    tree.texts("allow_headers", &cors.allow_headers);
    tree.texts("expose_headers", &cors.expose_headers);
    if let Some(seconds) = cors.max_age_s {
        tree.text("max_age", &format!("{seconds}s"));
    }
    tree.flag("allow_credentials", cors.allow_credentials);
    tree
}

fn model(model: &BodyModel) -> Tree {
    let mut tree = Tree::default();
    tree.text("name", &model.name);
    tree.opt_text("description", model.description.as_deref());
    if model.content_type != JSON {
        tree.text("content_type", &model.content_type);
    }
    tree.own("schema", &model.schema);
    tree
}

fn authorizer(authorizer: &Authorizer) -> Tree {
    let mut tree = Tree::default();
    tree.text("name", &authorizer.name);
    tree.text(
        "type",
        match authorizer.kind {
            AuthorizerKind::Token => "token",
            AuthorizerKind::Request => "request",
            AuthorizerKind::CognitoUserPools => "cognito_user_pools",
            AuthorizerKind::Jwt => "jwt",
        },
    );
    tree.opt_text("auth_type", authorizer.auth_type.as_deref());
    tree.opt_own("uri", authorizer.uri.as_deref());
    tree.opt_own("credentials", authorizer.credentials.as_deref());
    tree.owns("identity_sources", &authorizer.identity_sources);
    tree.opt_own("identity_validation_expression", authorizer.identity_validation_expression.as_deref());
    if let Some(seconds) = authorizer.result_ttl_s {
        tree.text("ttl", &format!("{seconds}s"));
    }
    tree.owns("provider_arns", &authorizer.provider_arns);
    tree.opt_text("payload_format_version", authorizer.payload_format_version.as_deref());
    tree.flag("enable_simple_responses", authorizer.enable_simple_responses);
    tree.opt_text("issuer", authorizer.issuer.as_deref());
    tree.owns("audiences", &authorizer.audiences);
    tree
}

fn gateway_response(response: &GatewayResponse) -> Tree {
    let mut tree = Tree::default();
    tree.text("type", &response.kind.as_str().to_ascii_lowercase());
    if let Some(status) = response.status {
        tree.raw("status", status);
    }
    tree.own_pairs("parameters", &response.parameters);
    integration::templates(&mut tree, "templates", &response.templates);
    tree
}

fn documentation(part: &DocumentationPart) -> Tree {
    let mut tree = Tree::default();
    tree.text("location", &part.location.to_ascii_lowercase());
    tree.opt_text("path", part.path.as_deref());
    tree.opt_text("method", part.method.as_deref());
    tree.opt_text("status_code", part.status_code.as_deref());
    tree.opt_text("name", part.name.as_deref());
    tree.own("properties", &part.properties);
    tree
}

//! A definition → an OpenAPI document (row 143): REST APIs as 3.0 or 2.0, HTTP APIs as 3.0, with as many of API Gateway's
//! extensions as are asked for. What OpenAPI has no words for is said beside the document, in notes.
//!
//! What is exported with all extensions is imported as the same definition, but for this:
//! * limits, throttles and caches of routes, CORS of a REST API, that a backend speaks HTTP/2, methods that OpenAPI does not
//!   know, a mock in an HTTP API, and a model's media type are left out, each with a note;
//! * short forms of our own (`upstream`, mocks with a body) come back as what they do, and a backend that is called with the client's
//!   method as one that is called with `ANY`;
//! * a version that is not said is `1.0`; a model has no description of its own; `Empty` and `Error`, which each API of AWS's has,
//!   come back as its own where they are used;
//! * variables of paths are parameters of requests; parameters, answers and documentation come in order, each part of it once;
//!   routes of one path stand together, and space around identity sources and commas in them are gone;
//! * schemes that nothing enforces keep their names alone, and one that has the name of an authorizer is that, with a note;
//! * 2.0 says no more of media types than one list of them and one model, and of headers that they must be there, with a note;
//! * `${AWS::Region}` and the like are replaced whenever a document is read.

mod integration;
mod operation;
mod security;

use std::{cell::RefCell, collections::BTreeSet};

use model::{Api, ApiKeySource, Definition, EndpointAccessMode, EndpointType, IpAddressType, Kind};
use serde_json::{Map, Value as Json, json};

use crate::{Variables, import::MODELS_URL};

/// Which OpenAPI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// OpenAPI 3.0.
    #[default]
    Oas30,
    /// Swagger 2.0 (REST APIs).
    Swagger,
}

/// Which extensions are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// What answers.
    pub integrations: bool,
    /// Who is asked whether a client may.
    pub authorizers: bool,
    /// All of them: what `integrations` and `authorizers` are, and what is said of the whole API.
    pub apigateway: bool,
    /// For Postman: the stage stands in the server's URL as it is. What AWS does beyond that isn't documented (row 143, U).
    pub postman: bool,
}

impl Extensions {
    /// All of API Gateway's.
    pub const ALL: Self = Self { integrations: true, authorizers: true, apigateway: true, postman: false };

    fn has_integrations(self) -> bool {
        self.integrations || self.apigateway
    }

    fn has_authorizers(self) -> bool {
        self.authorizers || self.apigateway
    }
}

/// How it is written.
pub struct Options<'a> {
    /// Which OpenAPI.
    pub format: Format,
    /// Which extensions.
    pub extensions: Extensions,
    /// The stage that its URL names.
    pub stage: &'a str,
    /// The region in its URL.
    pub variables: &'a Variables,
    /// The URL of a group of backends, for integrations that name one.
    pub upstream: &'a dyn Fn(&str) -> Option<String>,
}

/// A document, and what could not be said in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Exported {
    /// The document.
    pub document: Json,
    /// One line each.
    pub notes: Vec<String>,
}

/// What a document is of, and what could not be said in it so far.
struct Export<'a> {
    api: &'a Api,
    definition: &'a Definition,
    options: &'a Options<'a>,
    schemes: security::Names,
    /// Models that each API of AWS's has, so far as they are used.
    given: RefCell<BTreeSet<&'static str>>,
    notes: Vec<String>,
}

/// The document of an API's definition: its own, or one that was deployed.
pub fn export(api: &Api, definition: &Definition, options: &Options<'_>) -> Exported {
    let schemes = security::Names::of(definition);
    let mut export =
        Export { api, definition, options, schemes, given: RefCell::default(), notes: Vec::new() };
    if api.kind != Kind::Rest && options.format == Format::Swagger {
        export.notes.push("an HTTP API is written as OpenAPI 3.0: Swagger 2.0 is for REST APIs".into());
    }
    let document = export.document();
    Exported { document, notes: export.notes }
}

impl Export<'_> {
    fn is_rest(&self) -> bool {
        self.api.kind == Kind::Rest
    }

    fn is_2(&self) -> bool {
        self.is_rest() && self.options.format == Format::Swagger
    }

    fn all(&self) -> bool {
        self.options.extensions.apigateway
    }

    fn document(&mut self) -> Json {
        let mut document = Map::new();
        let (key, version) = if self.is_2() { ("swagger", "2.0") } else { ("openapi", "3.0.1") };
        document.insert(key.into(), version.into());
        document.insert("info".into(), self.info());
        self.server(&mut document);
        let tags = self.definition.tags.iter().filter(|_| self.all());
        let tags: Vec<_> = tags
            .map(|(name, value)| json!({ "name": name, "x-amazon-apigateway-tag-value": value }))
            .collect();
        put(&mut document, "tags", !tags.is_empty(), tags);
        let paths = self.paths();
        document.insert("paths".into(), paths);
        let (models, schemes) = (self.models(), self.schemes());
        if self.is_2() {
            put(&mut document, "securityDefinitions", !schemes.is_empty(), schemes);
            put(&mut document, "definitions", !models.is_empty(), models);
        } else {
            let mut components = Map::new();
            put(&mut components, "schemas", !models.is_empty(), models);
            put(&mut components, "securitySchemes", !schemes.is_empty(), schemes);
            put(&mut document, "components", !components.is_empty(), components);
        }
        if self.all() {
            self.extensions(&mut document);
        }
        Json::Object(document)
    }

    fn info(&self) -> Json {
        let mut info = Map::new();
        info.insert("title".into(), self.api.name.clone().into());
        if let Some(description) = &self.definition.description {
            info.insert("description".into(), description.clone().into());
        }
        let version = self.definition.version.clone().unwrap_or_else(|| "1.0".into());
        info.insert("version".into(), version.into());
        Json::Object(info)
    }

    fn server(&self, document: &mut Map<String, Json>) {
        let host = format!("{}.execute-api.{}.amazonaws.com", self.api.id, self.options.variables.region);
        let base = if self.options.stage == "$default" { "" } else { self.options.stage };
        if self.is_2() {
            document.insert("host".into(), host.into());
            document.insert("basePath".into(), format!("/{base}").into());
            document.insert("schemes".into(), json!(["https"]));
            if let Some(endpoint) = self.endpoint() {
                document.insert("x-amazon-apigateway-endpoint-configuration".into(), endpoint);
            }
            return;
        }
        let mut server = Map::new();
        if self.options.extensions.postman {
            server.insert("url".into(), format!("https://{host}/{base}").into());
        } else {
            server.insert("url".into(), format!("https://{host}/{{basePath}}").into());
            server.insert("variables".into(), json!({ "basePath": { "default": base } }));
        }
        if let Some(endpoint) = self.endpoint() {
            server.insert("x-amazon-apigateway-endpoint-configuration".into(), endpoint);
        }
        document.insert("servers".into(), json!([server]));
    }

    /// What is said of the endpoint, if it is all but what is usual.
    fn endpoint(&self) -> Option<Json> {
        let mut endpoint = Map::new();
        let (api, definition) = (self.api, self.definition);
        put(&mut endpoint, "disableExecuteApiEndpoint", definition.disable_default_endpoint, true);
        let ids = &api.vpc_endpoint_ids;
        put(&mut endpoint, "vpcEndpointIds", !ids.is_empty(), ids.clone());
        put(&mut endpoint, "types", api.endpoint != EndpointType::default(), vec![api.endpoint.as_str()]);
        put(&mut endpoint, "ipAddressType", api.ip_address_type == IpAddressType::Dualstack, "dualstack");
        (self.all() && !endpoint.is_empty()).then_some(Json::Object(endpoint))
    }

    fn models(&mut self) -> Map<String, Json> {
        let mut models = Map::new();
        for model in &self.definition.models {
            match serde_json::from_str::<Json>(&model.schema) {
                Ok(mut schema) => {
                    self.localize(&mut schema);
                    if let Json::Object(keys) = &mut schema {
                        // Models are of draft 4, all of them, and documents have no such key.
                        keys.shift_remove("$schema");
                    }
                    models.insert(model.name.clone(), schema);
                }
                Err(error) => {
                    self.notes.push(format!("the model {} is no JSON and was left out: {error}", model.name))
                }
            }
            if model.content_type != "application/json" {
                self.notes.push(format!(
                    "that the model {} is of {} can't be said",
                    model.name, model.content_type
                ));
            }
        }
        for name in self.given.take() {
            let schema = match name {
                "Empty" => json!({ "title": "Empty Schema", "type": "object" }),
                _ => json!({
                    "title": "Error Schema", "type": "object", "properties": { "message": { "type": "string" } },
                }),
            };
            models.entry(name).or_insert(schema);
        }
        models
    }

    /// References to the API's models become the document's own.
    fn localize(&self, schema: &mut Json) {
        match schema {
            Json::Object(keys) => {
                if let Some(Json::String(reference)) = keys.get_mut("$ref")
                    && let Some((_, name)) =
                        reference.strip_prefix(MODELS_URL).and_then(|it| it.split_once("/models/"))
                {
                    *reference = self.model_reference(name);
                }
                keys.values_mut().for_each(|value| self.localize(value));
            }
            Json::Array(items) => items.iter_mut().for_each(|item| self.localize(item)),
            _ => {}
        }
    }

    fn model_reference(&self, name: &str) -> String {
        if let Some(given) = ["Empty", "Error"].into_iter().find(|given| *given == name) {
            self.given.borrow_mut().insert(given);
        }
        if self.is_2() { format!("#/definitions/{name}") } else { format!("#/components/schemas/{name}") }
    }

    fn extensions(&mut self, document: &mut Map<String, Json>) {
        let definition = self.definition;
        if self.is_rest() && definition.cors.is_some() {
            self.notes.push("CORS was left out: in a REST API OpenAPI has no word for it".into());
        }
        let mut put = |name: &str, is_there: bool, value: Json| {
            put(document, &format!("x-amazon-apigateway-{name}"), is_there, value);
        };
        if !self.is_rest() {
            put("cors", definition.cors.is_some(), definition.cors.as_ref().map_or(Json::Null, cors));
            put("importexport-version", true, "1.0".into());
            return;
        }
        let source = definition.api_key_source;
        put("api-key-source", source == ApiKeySource::Authorizer, "AUTHORIZER".into());
        let is_strict = definition.endpoint_access_mode == EndpointAccessMode::Strict;
        put("endpoint-access-mode", is_strict, "STRICT".into());
        put(
            "binary-media-types",
            !definition.binary_media_types.is_empty(),
            json!(definition.binary_media_types),
        );
        let size = definition.minimum_compression_bytes;
        put("minimum-compression-size", size.is_some(), json!(size));
        let policy = definition.policy.as_deref();
        // What is no JSON stays the string that it is.
        let policy = policy.map(|text| serde_json::from_str(text).unwrap_or_else(|_| text.into()));
        put("policy", policy.is_some(), policy.unwrap_or_default());
        let validators = definition.validators.iter().map(|it| {
            (
                it.name.clone(),
                json!({ "validateRequestBody": it.body, "validateRequestParameters": it.parameters }),
            )
        });
        put("request-validators", !definition.validators.is_empty(), Json::Object(validators.collect()));
        let responses = definition.gateway_responses.iter().map(|it| {
            let mut response = Map::new();
            if let Some(status) = it.status {
                response.insert("statusCode".into(), status.into());
            }
            insert_pairs(&mut response, "responseParameters", &it.parameters);
            insert_pairs(&mut response, "responseTemplates", &it.templates);
            (it.kind.as_str().to_owned(), Json::Object(response))
        });
        put("gateway-responses", !definition.gateway_responses.is_empty(), Json::Object(responses.collect()));
        let parts: Vec<_> = definition.documentation.iter().map(part).collect();
        let stage = self.api.stages.iter().find(|stage| stage.name == self.options.stage);
        let version = stage.and_then(|stage| stage.documentation_version.as_deref());
        let mut documentation = json!({ "documentationParts": parts });
        if let Some(version) = version {
            documentation["version"] = version.into();
        }
        put("documentation", !parts.is_empty(), documentation);
    }
}

fn part(part: &model::DocumentationPart) -> Json {
    let mut location = Map::new();
    location.insert("type".into(), part.location.clone().into());
    let keys = [
        ("path", &part.path),
        ("method", &part.method),
        ("statusCode", &part.status_code),
        ("name", &part.name),
    ];
    for (key, value) in keys {
        if let Some(value) = value {
            location.insert(key.into(), value.clone().into());
        }
    }
    let properties = serde_json::from_str(&part.properties).ok().filter(Json::is_object);
    json!({ "location": location, "properties": properties.unwrap_or_else(|| part.properties.clone().into()) })
}

fn cors(cors: &model::Cors) -> Json {
    let mut object = Map::new();
    let lists = [
        ("allowOrigins", &cors.allow_origins),
        ("allowMethods", &cors.allow_methods),
        ("allowHeaders", &cors.allow_headers),
        ("exposeHeaders", &cors.expose_headers),
    ];
    for (key, list) in lists {
        put(&mut object, key, !list.is_empty(), list.clone());
    }
    put(&mut object, "maxAge", cors.max_age_s.is_some(), json!(cors.max_age_s));
    put(&mut object, "allowCredentials", cors.allow_credentials, true);
    Json::Object(object)
}

/// A value under a name, if it is there.
fn put(object: &mut Map<String, Json>, key: &str, is_there: bool, value: impl Into<Json>) {
    if is_there {
        object.insert(key.to_owned(), value.into());
    }
}

/// Pairs as an object, if there are any.
fn insert_pairs(object: &mut Map<String, Json>, key: &str, pairs: &[(String, String)]) {
    let pairs_of = pairs.iter().map(|(name, value)| (name.clone(), Json::from(value.clone())));
    put(object, key, !pairs.is_empty(), pairs_of.collect::<Map<_, _>>());
}

/// The description that OpenAPI asks an answer for, where nobody wrote one.
fn filler(status: u16) -> String {
    format!("{status} response")
}

/// The same, where there is no status.
const FILLER: &str = "Default response";

/// Whether a description is one that nobody wrote: ours, or API Gateway's.
pub(crate) fn is_filler(text: &str) -> bool {
    let status = text.strip_suffix(" response").is_some_and(|it| it.len() == 3 && it.parse::<u16>().is_ok());
    status || text.starts_with(FILLER)
}

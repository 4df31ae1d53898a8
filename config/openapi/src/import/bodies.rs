//! Schemas → models (rows 112, 140): those of the document under their names, those that stand in a body under a name
//! that is made of what they say. References among them become those that models have.

use std::collections::BTreeMap;

use model::{BodyModel, Kind, RequestRules};
use serde_json::Value as Json;

use super::{Document, Version};
use crate::tree::{Cursor, Value, quote};

/// What references to models of an API begin with; its id, `/models/` and a name follow.
pub(crate) const MODELS_URL: &str = "https://apigateway.amazonaws.com/restapis/";

/// What a body is taken to be where nothing says it.
const JSON: &str = "application/json";

/// What models have no use for, and don't take: it describes to readers.
const LEFT_OUT: [&str; 9] = [
    "deprecated",
    "discriminator",
    "example",
    "externalDocs",
    "nullable",
    "readOnly",
    "writeOnly",
    "xml",
    "examples",
];

/// What stands under free names in a schema: none of them is a keyword.
const OF_NAMES: [&str; 4] = ["properties", "patternProperties", "definitions", "dependencies"];

/// What is no schema in a schema, and stays as it is.
const OF_VALUES: [&str; 3] = ["enum", "default", "required"];

/// The models of a document.
#[derive(Default)]
pub(super) struct Models {
    pub(super) all: Vec<BodyModel>,
    /// What was left out of schemas: how often, and where it stood first.
    left_out: BTreeMap<&'static str, (usize, Option<model::Diagnostic>)>,
}

impl<'t> Document<'t> {
    /// The schemas that the document names.
    pub(super) fn models(&self) -> Models {
        let mut models = Models::default();
        if self.kind != Kind::Rest {
            return models;
        }
        for (name, at) in self.schemas().iter().flat_map(Cursor::entries) {
            if name.is_empty() || !name.chars().all(|char| char.is_ascii_alphanumeric()) {
                at.error_with(
                    format!("Model name must be alphanumeric: {}", quote(name)),
                    format!(
                        "rename it to `{}`",
                        name.replace(|char: char| !char.is_ascii_alphanumeric(), "")
                    ),
                );
                continue;
            }
            models.add(self, name.to_owned(), &at);
        }
        models
    }

    fn schemas(&self) -> Option<Cursor<'t>> {
        match self.version {
            Version::V2 => self.root.get("definitions"),
            Version::V3 => self.root.get("components")?.get("schemas"),
        }
    }

    /// Content types and models of a body of 3.0.
    pub(super) fn content(&self, at: &Cursor<'t>, models: &mut Models) -> Vec<(String, String)> {
        let media = at.get("content");
        let model = |(content_type, media): (&str, Cursor<'t>)| {
            Some((content_type.to_owned(), self.model(&media.get("schema")?, models)?))
        };
        media.iter().flat_map(Cursor::entries).filter_map(model).collect()
    }

    /// The body parameter of 2.0.
    pub(super) fn body_of_2(
        &self,
        operation: &Cursor<'t>,
        parameter: &Cursor<'t>,
        rules: &mut RequestRules,
        models: &mut Models,
    ) {
        let Some(model) = parameter.get("schema").and_then(|schema| self.model(&schema, models)) else {
            return;
        };
        rules.models = self.types_of_2(operation, "consumes").map(|kind| (kind, model.clone())).collect();
    }

    /// The body of a response of 2.0.
    pub(super) fn response_of_2(
        &self,
        operation: &Cursor<'t>,
        response: &Cursor<'t>,
        models: &mut Models,
    ) -> Vec<(String, String)> {
        let Some(model) = response.get("schema").and_then(|schema| self.model(&schema, models)) else {
            return Vec::new();
        };
        self.types_of_2(operation, "produces").map(|kind| (kind, model.clone())).collect()
    }

    fn types_of_2(&self, operation: &Cursor<'t>, key: &str) -> impl Iterator<Item = String> + use<> {
        let types = operation.get(key).or_else(|| self.root.get(key));
        let mut types = types.map(|types| types.texts()).unwrap_or_default();
        let mut seen = std::collections::HashSet::new();
        types.retain(|kind| seen.insert(kind.clone()));
        if types.is_empty() { vec![JSON.to_owned()].into_iter() } else { types.into_iter() }
    }

    /// The name of the model that a schema is; one is made of what stands in a body by itself.
    fn model(&self, schema: &Cursor<'t>, models: &mut Models) -> Option<String> {
        if let Some(reference) = schema.get("$ref") {
            return self.model_name(&reference);
        }
        let Value::Map(entries) = &schema.node().value else {
            schema.expect_map();
            return None;
        };
        // Nothing is asked of the body.
        if entries.is_empty() {
            return None;
        }
        let kind = schema.get("type").and_then(|kind| kind.node().as_str());
        if let Some(kind @ ("string" | "number" | "integer" | "boolean")) = kind {
            schema.warn(format!("a body that is a {kind} has no model: its schema is left out"));
            return None;
        }
        let text = schema.to_json().to_string();
        let hash = model::Api::id_of(&text);
        let name = format!("MODEL{}", hash.get(..6).unwrap_or(&hash));
        if models.all.iter().all(|model| model.name != name) {
            models.add(self, name.clone(), schema);
        }
        Some(name)
    }

    /// The model that a reference names, if there is one.
    fn model_name(&self, reference: &Cursor<'t>) -> Option<String> {
        let text = reference.text()?;
        let local = match self.version {
            Version::V2 => text.strip_prefix("#/definitions/"),
            Version::V3 => text.strip_prefix("#/components/schemas/"),
        };
        let known = |name: &&str| self.schemas().is_some_and(|schemas| schemas.get(name).is_some());
        let canonical = || text.strip_prefix(MODELS_URL)?.split_once("/models/").map(|(_, name)| name);
        match local.or_else(canonical).filter(known) {
            Some(name) => Some(name.to_owned()),
            None => {
                let help = match self.version {
                    Version::V2 => "models stand in the document's `definitions`: `#/definitions/Name`",
                    Version::V3 => "models stand in the document's components: `#/components/schemas/Name`",
                };
                reference.error_with(format!("{} names no model", quote(&text)), help);
                None
            }
        }
    }

    /// A schema as a model has it.
    fn schema(&self, at: &Cursor<'t>, models: &mut Models) -> Json {
        if let Some(reference) = at.get("$ref") {
            let name = self.model_name(&reference).unwrap_or_default();
            return serde_json::json!({ "$ref": format!("{MODELS_URL}{}/models/{name}", self.id) });
        }
        match &at.node().value {
            Value::List(_) => at.items().map(|item| self.schema(&item, models)).collect(),
            Value::Map(_) => {
                let mut schema = serde_json::Map::new();
                for (key, value) in at.entries() {
                    if let Some(word) = LEFT_OUT.iter().find(|word| **word == key) {
                        models.left_out(word, &value);
                        continue;
                    }
                    // All models are of draft 4.
                    if key.starts_with("x-") || key == "$schema" {
                        continue;
                    }
                    let value = match key {
                        _ if OF_NAMES.contains(&key) => Json::Object(
                            value
                                .entries()
                                .map(|(key, value)| (key.to_owned(), self.schema(&value, models)))
                                .collect(),
                        ),
                        _ if OF_VALUES.contains(&key) => value.to_json(),
                        _ => self.schema(&value, models),
                    };
                    schema.insert(key.to_owned(), value);
                }
                Json::Object(schema)
            }
            _ => at.to_json(),
        }
    }
}

impl Models {
    fn add<'t>(&mut self, document: &Document<'t>, name: String, at: &Cursor<'t>) {
        if !at.expect_map() {
            return;
        }
        let schema = document.schema(at, self).to_string();
        let origin = Some(at.origin());
        self.all.push(BodyModel { name, description: None, content_type: JSON.to_owned(), schema, origin });
    }

    fn left_out(&mut self, word: &'static str, at: &Cursor<'_>) {
        let (count, first) = self.left_out.entry(word).or_default();
        *count += 1;
        if first.is_none() {
            *first = Some(model::Diagnostic::warning(Some(&at.origin()), at.pointer(), ""));
        }
    }

    /// Says what was left out of schemas, each word once.
    pub(super) fn warn(&mut self, root: &Cursor<'_>) {
        for (word, (count, first)) in std::mem::take(&mut self.left_out) {
            let Some(first) = first else { continue };
            let places =
                if count == 1 { String::new() } else { format!(", here and at {} other places", count - 1) };
            let message = format!("a model has no `{word}`: it is left out{places}");
            root.cx().report(model::Diagnostic { message, ..first });
        }
    }
}

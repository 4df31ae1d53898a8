//! From the text of models to nodes. Every schema that something leads to is compiled once; `$ref` is gone afterwards.

mod keywords;
mod references;

use std::{fmt, sync::Arc};

use hashbrown::HashMap;

use crate::{
    aws,
    json::{Document, Unread, Value, read},
    node::{Node, NodeId},
    validate::Validator,
};

/// The text of a model, in bytes.
pub const MODEL_BYTES_MAX: usize = 400 << 10;

/// Schemas in the models of an API, those in schemas counted.
pub const SCHEMAS_MAX: usize = 20_000;

/// Regular expressions in the models of an API.
pub const PATTERNS_MAX: usize = 1_000;

/// References that lead to each other before something else comes.
pub const REFERENCES_MAX: usize = 32;

/// Schemas in each other that are asked about the same value: `allOf`, `anyOf`, `oneOf`, `not`, `dependencies`.
pub const IN_PLACE_MAX: usize = 32;

/// Mistakes that are told of the models of an API.
pub const MISTAKES_MAX: usize = 20;

/// What is wrong with a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Its name.
    pub model: String,
    /// Where in it, as a JSON pointer: `/properties/a/type`. Empty for the whole.
    pub pointer: String,
    /// What is wrong, one line.
    pub why: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}#{}: {}", self.model, self.pointer, self.why)
    }
}

/// The compiled models of an API.
#[derive(Clone, Debug)]
pub struct Schemas {
    nodes: Arc<[Node]>,
    roots: Vec<(Box<str>, NodeId)>,
}

impl Schemas {
    /// Compiles models by name, which may refer to each other. Tells every mistake, up to [`MISTAKES_MAX`].
    pub fn compile(models: &[(&str, &str)]) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let mut documents = Vec::with_capacity(models.len());
        for (number, (name, text)) in models.iter().enumerate() {
            let mut refuse = |why: String| {
                mistakes.push(Mistake { model: (*name).to_owned(), pointer: String::new(), why });
            };
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                refuse("a model's name has letters and digits only".into());
            }
            if models[..number].iter().any(|(other, _)| other == name) {
                refuse("there are two models of this name".into());
            }
            match document(text) {
                Ok(document) => documents.push((*name, document)),
                Err(why) => refuse(why),
            }
        }
        let mut compiler = Compiler::new(&documents, mistakes);
        let roots: Vec<_> = (0..documents.len()).map(|model| compiler.root(model)).collect();
        compiler.compile();
        if compiler.mistakes.is_empty() {
            compiler.refuse_loops();
        }
        if !compiler.mistakes.is_empty() {
            compiler.mistakes.truncate(MISTAKES_MAX);
            return Err(compiler.mistakes);
        }
        let names = documents.iter().map(|(name, _)| Box::from(*name));
        Ok(Self { nodes: compiler.nodes.into(), roots: names.zip(roots).collect() })
    }

    /// What holds bodies against the model of that name.
    pub fn validator(&self, model: &str) -> Option<Validator> {
        let (_, root) = self.roots.iter().find(|(name, _)| **name == *model)?;
        Some(Validator { nodes: Arc::clone(&self.nodes), root: *root })
    }
}

fn document(text: &str) -> Result<Document<'_>, String> {
    if text.len() > MODEL_BYTES_MAX {
        return Err(format!("the schema is longer than {MODEL_BYTES_MAX} bytes (limit: model bytes)"));
    }
    if text.trim().is_empty() {
        return Err(aws::EMPTY_MODEL.into());
    }
    let document = read(text.as_bytes()).map_err(|unread| match unread {
        Unread::Malformed(at, why) => {
            let before = text.get(..at).unwrap_or(text);
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            format!("the schema is no JSON: line {line}, column {column}: {why}")
        }
        Unread::Depth => "the schema is nested too deeply (limit: depth)".into(),
        Unread::Values => "the schema has too many values (limit: values)".into(),
    })?;
    if document.root().is_object() && document.root().members().next().is_none() {
        return Err(aws::EMPTY_MODEL.into());
    }
    Ok(document)
}

/// A schema that is to be compiled.
struct Wanted<'d> {
    node: NodeId,
    place: Place<'d>,
}

/// A value in a model, and the pointer to it.
#[derive(Clone)]
struct Place<'d> {
    model: usize,
    value: Value<'d>,
    pointer: String,
}

impl<'d> Place<'d> {
    /// What stands in it under that name or number.
    fn at(&self, token: &str, value: Value<'d>) -> Self {
        let token = token.replace('~', "~0").replace('/', "~1");
        Self { model: self.model, value, pointer: format!("{}/{token}", self.pointer) }
    }
}

struct Compiler<'d> {
    documents: &'d [(&'d str, Document<'d>)],
    nodes: Vec<Node>,
    /// Where each node was written.
    places: Vec<(usize, String)>,
    /// By model and value.
    known: HashMap<(usize, u32), NodeId>,
    wanted: Vec<Wanted<'d>>,
    patterns: usize,
    mistakes: Vec<Mistake>,
}

impl<'d> Compiler<'d> {
    fn new(documents: &'d [(&'d str, Document<'d>)], mistakes: Vec<Mistake>) -> Self {
        let (nodes, places, wanted) = (Vec::new(), Vec::new(), Vec::new());
        Self { documents, nodes, places, known: HashMap::new(), wanted, patterns: 0, mistakes }
    }

    fn root(&mut self, model: usize) -> NodeId {
        let value = self.documents[model].1.root();
        self.schema(&Place { model, value, pointer: String::new() })
    }

    fn mistake(&mut self, model: usize, pointer: &str, why: impl Into<String>) {
        // One more than is told, so that nothing is quadratic.
        if self.mistakes.len() <= MISTAKES_MAX {
            let model = self.documents[model].0.to_owned();
            self.mistakes.push(Mistake { model, pointer: pointer.to_owned(), why: why.into() });
        }
    }

    fn refuse(&mut self, place: &Place<'d>, why: impl Into<String>) {
        self.mistake(place.model, &place.pointer, why);
    }

    /// The node of a schema, or of what it refers to; it is compiled later.
    fn schema(&mut self, place: &Place<'d>) -> NodeId {
        let Some(place) = self.followed(place) else { return 0 };
        if !place.value.is_object() {
            self.refuse(&place, "a schema has to be an object");
            return 0;
        }
        let key = (place.model, place.value.number());
        if let Some(node) = self.known.get(&key) {
            return *node;
        }
        if self.nodes.len() >= SCHEMAS_MAX {
            self.refuse(&place, format!("there are more than {SCHEMAS_MAX} schemas (limit: schemas)"));
            self.wanted.clear();
            return 0;
        }
        let node = self.nodes.len() as NodeId;
        self.nodes.push(Node::default());
        self.places.push((place.model, place.pointer.clone()));
        self.known.insert(key, node);
        self.wanted.push(Wanted { node, place });
        node
    }

    fn compile(&mut self) {
        while let Some(Wanted { node, place }) = self.wanted.pop() {
            if self.mistakes.len() > MISTAKES_MAX {
                return;
            }
            self.nodes[node as usize] = self.keywords(&place);
        }
    }

    /// Refuses schemas that lead to themselves without a step into the value: they would never come to an end.
    fn refuse_loops(&mut self) {
        let mut heights = vec![0; self.nodes.len()];
        for node in 0..self.nodes.len() as NodeId {
            if self.height(node, 0, &mut heights).is_none() {
                let (model, pointer) = self.places[node as usize].clone();
                let why = format!(
                    "it leads to itself, or through more than {IN_PLACE_MAX} schemas, without a step into the value (limit: schemas in place)"
                );
                self.mistake(model, &pointer, why);
                return;
            }
        }
    }

    /// Schemas that lie in each other from here on; `None` if they are too many.
    fn height(&self, node: NodeId, above: usize, heights: &mut [usize]) -> Option<usize> {
        if above > IN_PLACE_MAX {
            return None;
        }
        if heights[node as usize] == 0 {
            let mut highest = 0;
            for below in self.nodes[node as usize].in_place() {
                highest = highest.max(self.height(below, above + 1, heights)?);
            }
            heights[node as usize] = highest + 1;
        }
        let height = heights[node as usize];
        (above + height <= IN_PLACE_MAX + 1).then_some(height)
    }
}

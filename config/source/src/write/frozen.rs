//! Definitions that a deployment keeps, as TOML.

use std::{
    io::{self, ErrorKind},
    path::Path,
};

use model::{Api, Definition, Kind, Limits, Node, NodeCache, Quotas, Upstream};
use progress::Progress;

use super::{api, definition, tree::Tree};
use crate::{
    Environment, ROOT, Refused, Sources,
    api::definition as read_api,
    context::{Context, File},
    cors, document,
    openapi::OfDocument,
    reader::Table,
    route,
    upstream::Upstreams,
};

/// Stands in messages.
const NAME: &str = "definition";

/// A definition that was kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Frozen {
    /// Whose rules it follows.
    pub kind: Kind,
    /// As it was, of nowhere.
    pub definition: Definition,
    /// The groups of backends that its routes make by naming a URL. Those that they name by `upstream` are the node's.
    pub upstreams: Vec<Upstream>,
}

/// A definition as TOML, to be kept. Not laid out, since programs read it: that took a fifth of a deployment of 10,000 routes.
pub fn write_definition(definition: &Definition, kind: Kind) -> String {
    let mut root = Tree::default();
    if kind == Kind::Proxy {
        let api = Api { definition: definition.clone(), ..Api::new(NAME, kind) };
        super::proxy(&mut root, &api);
    } else {
        let mut tree = Tree::default();
        api::head(&mut tree, NAME, kind);
        definition::keys(&mut tree, definition);
        definition::tables(&mut tree, definition, kind);
        root.item("api", tree);
    }
    root.to_text()
}

/// What a definition says, key by key as a file has it: `route[0].integration.type` and `"mock"`.
pub fn definition_values(definition: &Definition, kind: Kind) -> Vec<(String, String)> {
    let mut tree = Tree::default();
    if kind == Kind::Proxy {
        let api = Api { definition: definition.clone(), ..Api::new(NAME, kind) };
        super::proxy(&mut tree, &api);
    } else {
        definition::keys(&mut tree, definition);
        definition::tables(&mut tree, definition, kind);
    }
    let mut values = Vec::new();
    tree.values("", &mut values);
    values
}

/// What [`write_definition`] wrote. Neither quotas nor what else the node says counts, since it was taken once.
pub fn read_definition(text: &str) -> Result<Frozen, Refused> {
    read_telling(text, Progress::silent())
}

/// The same; each route is one thing more that is done.
pub(crate) fn read_telling(text: &str, progress: &Progress) -> Result<Frozen, Refused> {
    let nothing = Nothing { progress };
    let cx = Context::new(&nothing);
    let mut file = File::new(NAME, text.to_owned(), Path::new(""));
    let mut sources = Sources::default();
    sources.push(&file.name, &file.text);
    let tree = document::parse(text, &mut file, &cx);
    let root = Table::open(&cx, &file, &ROOT, String::new(), 0..0, tree.get_ref());
    let node = Node {
        cache: NodeCache { size_bytes: u64::MAX },
        limits: Limits::default(),
        quotas: unbounded(),
        ..Node::default()
    };
    let mut upstreams = Upstreams::trusting();
    let (kind, definition) = match root.tables("api").first() {
        Some(table) => {
            let kind = crate::api::kind(table);
            (kind, read_api(table, kind, &node, &OfDocument::None, &mut upstreams))
        }
        None => {
            let routes = root.tables("route");
            let routes =
                routes.iter().filter_map(|table| route::route(table, &node, &mut upstreams)).collect();
            let cors = root.get("cors").and_then(|value| value.table()).map(|table| cors::read(&table));
            (Kind::Proxy, Definition { routes, cors, ..Definition::default() })
        }
    };
    drop(root);
    let (diagnostics, good) = cx.finish(&[&file]);
    if !good {
        return Err(Refused { diagnostics, sources });
    }
    let mut upstreams = upstreams.into_groups();
    for upstream in &mut upstreams {
        upstream.origin = None;
        upstream.targets.iter_mut().for_each(|target| target.origin = None);
    }
    Ok(Frozen { kind, definition: definition.without_origins(), upstreams })
}

fn unbounded() -> Quotas {
    Quotas {
        regional_apis: usize::MAX,
        edge_apis: usize::MAX,
        private_apis: usize::MAX,
        domains: usize::MAX,
        mappings: usize::MAX,
        resources: usize::MAX,
        routes: usize::MAX,
        integrations: usize::MAX,
        stages: usize::MAX,
        authorizers: usize::MAX,
        stage_variables: usize::MAX,
        documentation_parts: usize::MAX,
        audiences: usize::MAX,
        scopes: usize::MAX,
        tags: usize::MAX,
        routing_rules: usize::MAX,
    }
}

/// An outside without anything: what is kept refers to nothing.
struct Nothing<'p> {
    progress: &'p Progress,
}

impl Environment for Nothing<'_> {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn read_file(&self, _: &Path, _: u64) -> io::Result<String> {
        Err(ErrorKind::NotFound.into())
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Err(ErrorKind::NotFound.into())
    }

    fn progress(&self) -> &Progress {
        self.progress
    }
}

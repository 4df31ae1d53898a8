//! APIs as TOML, from the model: what `import` prints, and what a deployment keeps of a definition. What is written is
//! read again as the same model, places left out; it says no more than it has to. What is not said in TOML, such as the
//! deployments of stages, is not written.

mod api;
mod definition;
mod frozen;
mod integration;
mod route;
mod tree;

use model::{Api, Domain, Kind};

pub(crate) use self::frozen::read_telling;
pub use self::frozen::{Frozen, definition_values, read_definition, write_definition};
use self::tree::Tree;
use crate::format;

/// APIs and domains as they could stand in a file. Groups of backends that they name by `upstream` are not among them.
pub fn write(apis: &[Api], domains: &[Domain]) -> String {
    let mut root = Tree::default();
    for api in apis {
        match api.kind {
            Kind::Proxy => proxy(&mut root, api),
            _ => root.item("api", api::tree(api)),
        }
    }
    domains.iter().for_each(|domain| root.item("domain", api::domain(domain)));
    format::pretty(&root.to_text())
}

/// `[[route]]`s, and `[cors]`, which is one for all of them.
fn proxy(root: &mut Tree, api: &Api) {
    if let Some(cors) = &api.definition.cors
        && !root.has("cors")
    {
        root.table("cors", definition::cors(cors));
    }
    let hosts: Vec<_> = api.mappings.iter().filter_map(|mapping| mapping.host.as_deref()).collect();
    api.definition.routes.iter().for_each(|it| root.item("route", route::plain(it, &hosts)));
}

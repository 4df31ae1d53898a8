//! An OpenAPI document → a definition (rows 138 to 142). Taken whole, or refused with everything that is wrong with it.
//! What API Gateway leaves out of a document is left out here, and said.

mod bodies;
mod documentation;
mod integration;
mod kind;
mod merge;
mod operation;
mod path;
mod root;
mod security;

use model::{Definition, Diagnostic, EndpointType, IpAddressType, Kind, Severity};
use progress::Progress;

pub(crate) use bodies::MODELS_URL;
pub(crate) use integration::lower;
pub use merge::{Mode, merge};
pub(crate) use path::variables as path_variables;
pub(crate) use security::default_auth_type;

use crate::{
    Variables,
    tree::{Context, Cursor, Tree},
};

/// How a document is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Which kind of API it is to become; `None`: what the document tells.
    pub kind: Option<Kind>,
    /// What becomes of the path of its server.
    pub base_path: BasePath,
    /// Whether what it says to readers is left out (`ignore=documentation`).
    pub ignore_documentation: bool,
    /// Whether a warning refuses it.
    pub fail_on_warnings: bool,
    /// Where operations go that say nothing of an integration: `https://example.com/v1`. Not AWS's.
    pub backend: Option<String>,
    /// Whether operations whose security nothing enforces are open to everybody, as API Gateway has them. Otherwise what
    /// they ask for stays with them, and who runs them refuses them. Not AWS's.
    pub allow_unenforced_security: bool,
    /// What stands for AWS's variables.
    pub variables: Variables,
}

/// What becomes of the path of a document's server: `/a/b` of `https://example.com/a/b`, or `basePath`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BasePath {
    /// Nothing.
    #[default]
    Ignore,
    /// It is put before all paths.
    Prepend,
    /// All but its first segment, which may be a stage's name or a mapping's, is put before all paths.
    Split,
}

/// What a document says.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// `info.title`.
    pub name: String,
    /// REST or HTTP.
    pub kind: Kind,
    /// What it is.
    pub definition: Definition,
    /// Where it says that it stands, if it does.
    pub endpoint: Option<EndpointType>,
    /// Which addresses it says that it has, if it does.
    pub ip_address_type: Option<IpAddressType>,
    /// The VPC endpoints of a private API.
    pub vpc_endpoint_ids: Vec<String>,
    /// Whether what is warned of later refuses it as well: as it was asked for.
    pub fail_on_warnings: bool,
}

/// Which OpenAPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// Swagger 2.0.
    V2,
    /// OpenAPI 3.0.
    V3,
}

/// What is known of the whole document while its parts are read.
struct Document<'t> {
    root: Cursor<'t>,
    version: Version,
    kind: Kind,
    /// The id that references to models have.
    id: String,
    options: &'t Options,
    progress: &'t Progress,
}

/// Whether a tree is an OpenAPI document, of whichever version.
pub fn is_openapi(tree: &Tree) -> bool {
    ["openapi", "swagger"].iter().any(|key| tree.root().get(key).is_some())
}

/// Reads a document. All mistakes and warnings, in the order of the text; nothing else if there is a mistake.
pub fn import(tree: &Tree, options: &Options, progress: &Progress) -> (Option<Imported>, Vec<Diagnostic>) {
    let cx = Context::new(tree, &options.variables);
    let imported = read(&cx, options, progress);
    let mut diagnostics = cx.finish();
    if options.fail_on_warnings {
        diagnostics.iter_mut().for_each(|diagnostic| diagnostic.severity = Severity::Error);
    }
    let good = diagnostics.iter().all(|diagnostic| diagnostic.severity == Severity::Warning);
    (imported.filter(|_| good), diagnostics)
}

/// What can be read of a document that is refused for its mistakes: to be looked into for more of them.
pub fn draft(tree: &Tree, options: &Options) -> Option<Imported> {
    read(&Context::new(tree, &options.variables), options, Progress::silent())
}

fn read<'t>(cx: &'t Context<'t>, options: &'t Options, progress: &'t Progress) -> Option<Imported> {
    let root = cx.root();
    let version = version(&root)?;
    let kind = kind::of(&root, version, options.kind, options.backend.is_some())?;
    let info = root.get("info");
    let name = info.as_ref().and_then(|info| info.get("title")).and_then(|title| title.text());
    let name = name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| {
        root.error_with("the document has no title", "add `info` with `title`: it is the API's name");
        String::new()
    });
    let id = model::Api::id_of(&name);
    let document = Document { root, version, kind, id, options, progress };
    Some(document.read(name))
}

fn version(root: &Cursor<'_>) -> Option<Version> {
    let help = "API Gateway takes `swagger: \"2.0\"` and `openapi: 3.0.x`";
    let Some((key, value)) = ["openapi", "swagger"].iter().find_map(|key| Some((*key, root.get(key)?)))
    else {
        root.error_with(
            "this is no OpenAPI document: neither `openapi` nor `swagger` says its version",
            help,
        );
        return None;
    };
    let text = value.text()?;
    match (key, &*text) {
        ("swagger", "2.0" | "2") => Some(Version::V2),
        ("openapi", text) if text == "3.0" || text.starts_with("3.0.") => Some(Version::V3),
        _ => {
            value.error_with(format!("`{key}: {text}` is a version that can't be imported"), help);
            None
        }
    }
}

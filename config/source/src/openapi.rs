//! OpenAPI documents: a whole gateway from one (`floodgate run FILE`), and the definition of an `[[api]]` that names one.
//! What a document says the room `openapi` reads; here it gets a stage, a listener, and a place among the files.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use model::{Api, Diagnostic, Domain, EndpointType, IpAddressType, Mapping, Model, Node, Severity, Stage};
use openapi::{Imported, Options, Syntax, Tree};

use crate::{
    Environment, FILE_BYTES_MAX, Outcome, Sources,
    context::{Context, File, Mistake, quote},
    listener, names,
    reader::{Table, Value},
    template::{Template, import_template, is_template},
};

/// Where a gateway without TLS listens that was told nothing.
const PLAIN_PORT: u16 = 8080;
/// The stage of a document that is served by itself: at `/`, and at `/default`.
const STAGE: &str = "default";

/// A document to serve by itself, and what the command line says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenApi {
    /// The document.
    pub path: PathBuf,
    /// How it is read.
    pub options: Options,
    /// What a template asks for, if it is none of OpenAPI: parameters of a stack, options of a service.
    pub parameters: BTreeMap<String, String>,
    /// Address and port; 127.0.0.1:8443, or 127.0.0.1:8080 without TLS.
    pub listen: Option<SocketAddr>,
    /// Without TLS.
    pub plain: bool,
    /// A TCP address of the admin listener, loopback only.
    pub admin: Option<String>,
    /// The state folder.
    pub state: Option<PathBuf>,
}

impl OpenApi {
    /// The same file, if it is a template.
    fn template(&self) -> Template {
        let (parameters, variables) = (self.parameters.clone(), self.options.variables.clone());
        Template { path: self.path.clone(), options: cloudformation::Options { parameters, variables } }
    }
}

/// Whether a text is JSON or YAML and no TOML, told by its first line.
pub fn is_document(text: &str) -> bool {
    Syntax::of(text).is_some()
}

/// The gateway that serves a document.
pub fn from_openapi(what: &OpenApi, environment: &impl Environment) -> Outcome {
    let mut sources = Sources::default();
    let is_template = environment.read_file(&what.path, FILE_BYTES_MAX).is_ok_and(|text| is_template(&text));
    let (apis, domains, mut diagnostics);
    if is_template {
        let (imported, found, read) = import_template(&what.template(), environment);
        (sources, diagnostics) = (read, found);
        (apis, domains) = imported.map(|it| (it.apis, it.domains)).unzip();
    } else {
        let (imported, found) = read(what, environment, &mut sources);
        diagnostics = found;
        (apis, domains) = imported.map(|imported| (vec![api(imported)], Vec::new())).unzip();
    }
    let mut node = Node { state: what.state.clone(), ..Node::default() };
    match what.admin.as_deref().map(names::loopback).transpose() {
        Ok(admin) => node.admin.listen = admin,
        Err(Mistake { message, help }) => {
            diagnostics.push(Diagnostic { help, ..Diagnostic::error(None, "--admin", message) });
        }
    }
    let good = diagnostics.iter().all(|it| it.severity == Severity::Warning);
    let said = apis.zip(domains).filter(|_| good);
    let model = said.map(|(apis, domains)| model(what, node, apis, domains));
    Outcome { model, diagnostics, sources, state: what.state.clone() }
}

/// What a document says, whatever it is made of it; it is put among the files that were read.
pub fn import(
    what: &OpenApi,
    environment: &impl Environment,
) -> (Option<Imported>, Vec<Diagnostic>, Sources) {
    let mut sources = Sources::default();
    let (imported, diagnostics) = read(what, environment, &mut sources);
    (imported, diagnostics, sources)
}

fn read(
    what: &OpenApi,
    environment: &impl Environment,
    sources: &mut Sources,
) -> (Option<Imported>, Vec<Diagnostic>) {
    let name = what.path.to_string_lossy();
    match environment.read_file(&what.path, FILE_BYTES_MAX) {
        Ok(text) => {
            sources.push(&(*name).into(), &(*text).into());
            parse(&name, &text, &what.options)
        }
        Err(error) => {
            let message = format!("can't read {}: {error}", quote(&name));
            (None, vec![Diagnostic::error(None, "", message)])
        }
    }
}

fn parse(name: &str, text: &str, options: &Options) -> (Option<Imported>, Vec<Diagnostic>) {
    match Tree::parse(name, text) {
        Ok(tree) => openapi::import(&tree, options),
        Err(diagnostic) => (None, vec![*diagnostic]),
    }
}

fn model(what: &OpenApi, node: Node, apis: Vec<Api>, domains: Vec<Domain>) -> Model {
    let mut listener = listener::default();
    listener.plain = what.plain;
    if what.plain {
        listener.address.set_port(PLAIN_PORT);
    }
    listener.address = what.listen.unwrap_or(listener.address);
    Model { node, listeners: vec![listener], apis, domains, ..Model::default() }
}

/// The API of a document: one stage, which every host reaches at `/` and at `/default`.
pub fn api(imported: Imported) -> Api {
    let mut api = Api::new(name(&imported.name), imported.kind);
    // Their own id follows from the title as it is.
    api.id = Api::id_of(&imported.name);
    let at = |base_path: &str| Mapping {
        host: None,
        base_path: base_path.to_owned(),
        stage: Some(STAGE.to_owned()),
        origin: None,
    };
    api.mappings = vec![at(""), at(STAGE)];
    api.stages = vec![Stage { name: STAGE.to_owned(), auto_deploy: true, ..Stage::default() }];
    api.definition = imported.definition;
    api.endpoint = imported.endpoint.unwrap_or_default();
    api.ip_address_type = imported.ip_address_type.unwrap_or(match api.endpoint {
        EndpointType::Private => IpAddressType::Dualstack,
        _ => IpAddressType::Ipv4,
    });
    api.vpc_endpoint_ids = imported.vpc_endpoint_ids;
    api
}

/// A title as the name of an API: what can't stand in one is a dash.
pub(crate) fn name(title: &str) -> String {
    let is_char = |char: char| char.is_ascii_alphanumeric() || "-_. ".contains(char);
    let name: String = title.trim().chars().map(|char| if is_char(char) { char } else { '-' }).collect();
    names::api(&name).unwrap_or_else(|_| "api".to_owned())
}

/// `openapi` of an `[[api]]`: what its document says. What is wrong with the document is said where it stands.
pub(crate) fn of(table: &Table<'_>, kind: model::Kind, cx: &Context<'_>) -> Option<Imported> {
    let value = table.get("openapi")?;
    let path = value.path()?;
    let file = document(&path, &value, cx)?;
    let options = Options { kind: Some(kind), ..Options::default() };
    let (imported, diagnostics) = parse(&file.name, &file.text, &options);
    diagnostics.into_iter().for_each(|diagnostic| cx.report(diagnostic));
    cx.add(file);
    imported
}

fn document(path: &std::path::Path, value: &Value<'_>, cx: &Context<'_>) -> Option<File> {
    let name = path.to_string_lossy();
    match cx.environment.read_file(path, FILE_BYTES_MAX) {
        Ok(text) => Some(File::new(&name, text, path.parent().unwrap_or(std::path::Path::new("")))),
        Err(error) => {
            let mistake = Mistake::new(format!("can't read {}: {error}", quote(&name)));
            value.mistake(mistake.help("paths are relative to the file that says them"));
            None
        }
    }
}

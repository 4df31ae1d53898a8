//! OpenAPI documents: a whole gateway from one (`floodgate run FILE`), and the definition of an `[[api]]` that names one.
//! What a document says the room `openapi` reads; here it gets a stage, a listener, and a place among the files.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use model::{
    Api, Definition, Diagnostic, Domain, EndpointType, IpAddressType, Mapping, Model, Node, Origin, Severity,
    Stage,
};
use openapi::{BasePath, Imported, Options, Syntax, Tree, Variables};
use progress::{Phase, Progress};

use crate::{
    Environment, FILE_BYTES_MAX, Form, Key, Outcome, Section, Sources,
    context::{Context, File, Mistake, quote},
    listener, names,
    reader::{Table, Value},
    template::{Template, import_template, is_template},
    write::{read_telling, write_definition},
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
    /// Whether it is read again when it changes.
    pub watch: bool,
}

impl OpenApi {
    /// The same file, if it is a template.
    fn template(&self) -> Template {
        let options = cloudformation::Options {
            parameters: self.parameters.clone(),
            variables: self.options.variables.clone(),
            fail_on_warnings: self.options.fail_on_warnings,
            allow_unenforced_security: self.options.allow_unenforced_security,
        };
        Template { path: self.path.clone(), options }
    }
}

/// Whether a text is JSON or YAML and no TOML, told by its first line.
pub fn is_document(text: &str) -> bool {
    Syntax::of(text).is_some()
}

/// The gateway that serves a document.
pub fn from_openapi(what: &OpenApi, environment: &impl Environment) -> Outcome {
    let mut sources = Sources::default();
    environment.progress().begin(Phase::Read, 0);
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
    let mut node = Node { state: what.state.clone(), watch: what.watch, ..Node::default() };
    match what.admin.as_deref().map(names::loopback).transpose() {
        Ok(admin) => node.admin.listen = admin,
        Err(Mistake { message, help }) => {
            diagnostics.push(Diagnostic { help, ..Diagnostic::error(None, "--admin", message) });
        }
    }
    let good = diagnostics.iter().all(|it| it.severity == Severity::Warning);
    let said = apis.zip(domains).filter(|_| good);
    let draft = if good || is_template { None } else { draft(what, environment) };
    let draft = draft.map(|api| model(what, node.clone(), vec![api], Vec::new()));
    let model = said.map(|(apis, domains)| model(what, node, apis, domains));
    Outcome { model, draft, diagnostics, sources, state: what.state.clone() }
}

/// What could be read of a document that has mistakes.
fn draft(what: &OpenApi, environment: &impl Environment) -> Option<Api> {
    let text = environment.read_file(&what.path, FILE_BYTES_MAX).ok()?;
    let tree = Tree::parse(&what.path.to_string_lossy(), &text).ok()?;
    openapi::draft(&tree, &what.options).map(api)
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
            parse(&name, &text, &what.options, environment.progress())
        }
        Err(error) => {
            let message = format!("can't read {}: {error}", quote(&name));
            (None, vec![Diagnostic::error(None, "", message)])
        }
    }
}

fn parse(
    name: &str,
    text: &str,
    options: &Options,
    progress: &Progress,
) -> (Option<Imported>, Vec<Diagnostic>) {
    progress.begin(Phase::Read, 0);
    match Tree::parse(name, text) {
        Ok(tree) => {
            let (imported, mut found) = openapi::import(&tree, options, progress);
            let wrong = imported.as_ref().map(|imported| {
                unkept(&imported.definition, imported.kind, Some(&tree.origin(&tree.root().span)), progress)
            });
            found.extend(wrong.into_iter().flatten());
            let good = found.iter().all(|it| it.severity == Severity::Warning);
            (imported.filter(|_| good), found)
        }
        Err(diagnostic) => (None, vec![*diagnostic]),
    }
}

/// What keeps a definition from being deployed: a deployment is kept as TOML, and read again by its rules.
pub(crate) fn unkept(
    definition: &Definition,
    kind: model::Kind,
    origin: Option<&Origin>,
    progress: &Progress,
) -> Vec<Diagnostic> {
    progress.begin(Phase::Judge, definition.routes.len());
    let written = write_definition(definition, kind);
    let Err(refused) = read_telling(&written, progress) else { return Vec::new() };
    let mut refused = refused.diagnostics;
    refused.retain(|it| it.severity == Severity::Error);
    refused.into_iter().map(|it| Diagnostic { origin: origin.cloned(), ..it }).collect()
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
    api.fail_on_warnings = imported.fail_on_warnings;
    api
}

/// A title as the name of an API: what can't stand in one is a dash.
pub(crate) fn name(title: &str) -> String {
    let is_char = |char: char| char.is_ascii_alphanumeric() || "-_. ".contains(char);
    let name: String = title.trim().chars().map(|char| if is_char(char) { char } else { '-' }).collect();
    names::api(&name).unwrap_or_else(|_| "api".to_owned())
}

pub(crate) static OPENAPI: Section = Section {
    name: "api.openapi",
    doc: "An OpenAPI document, and how it is read.",
    keys: &[
        Key::new("file", Form::Path, "The document.").required(),
        Key::new(
            "base_path",
            Form::Choice(&["ignore", "prepend", "split"]),
            "What becomes of the path of its server: nothing, or it stands before all paths, whole or without its first \
             segment.",
        )
        .or(r#""ignore""#),
        Key::new(
            "backend",
            Form::Text(r#""https://backend.example.com/v1""#),
            "Where operations go that have no integration of their own, with their path behind it. Left out: they are refused.",
        ),
        Key::new("ignore_documentation", Form::Boolean, "Whether what it says to readers is left out.")
            .or("false"),
        Key::new("fail_on_warnings", Form::Boolean, "Whether a warning about it refuses it.").or("false"),
        Key::new("account_id", Form::Text(r#""123456789012""#), "What stands for `${AWS::AccountId}`.")
            .or(r#""000000000000""#),
        Key::new("region", Form::Text(r#""eu-central-1""#), "What stands for `${AWS::Region}`.")
            .or(r#""us-east-1""#),
        Key::new("partition", Form::Text(r#""aws""#), "What stands for `${AWS::Partition}`.").or(r#""aws""#),
    ],
};

/// What the document of an `[[api]]` came to.
pub(crate) enum OfDocument {
    /// There is none.
    None,
    /// It was refused: what it has nobody knows.
    Refused,
    /// What it says.
    Read(Box<Imported>),
}

impl OfDocument {
    /// Its things of one sort.
    pub(crate) fn all<T>(&self, of: impl Fn(&Definition) -> &Vec<T>) -> &[T] {
        match self {
            Self::Read(imported) => of(&imported.definition),
            Self::None | Self::Refused => &[],
        }
    }

    /// The names of an API's own things of one sort, and of the document's; among them an empty one, which may be any, if it was refused.
    pub(crate) fn names<'n, T>(
        &'n self,
        own: &'n [T],
        of: impl Fn(&Definition) -> &Vec<T>,
        name: impl Fn(&T) -> &str + Clone,
    ) -> impl Iterator<Item = &'n str> + Clone {
        let any = matches!(self, Self::Refused).then_some("");
        own.iter().chain(self.all(of)).map(name).chain(any)
    }
}

/// `openapi` of an `[[api]]`: what its document says. What is wrong with the document is said where it stands.
pub(crate) fn of(table: &Table<'_>, kind: model::Kind, cx: &Context<'_>) -> OfDocument {
    let Some(value) = table.get("openapi") else { return OfDocument::None };
    let asked = if value.is_table() { value.table().map(|table| asked(&table, kind)) } else { None };
    let (file, options) = match asked {
        Some((file, options)) => (file, options),
        None => (Some(value), Options { kind: Some(kind), ..Options::default() }),
    };
    let read = file.and_then(|value| document(&value.path()?, &value, cx));
    let Some(file) = read else { return OfDocument::Refused };
    let (imported, diagnostics) = parse(&file.name, &file.text, &options, cx.environment.progress());
    diagnostics.into_iter().for_each(|diagnostic| cx.report(diagnostic));
    cx.add(file);
    imported.map_or(OfDocument::Refused, |imported| OfDocument::Read(Box::new(imported)))
}

/// The file that a table names, and how it is read.
fn asked<'a>(table: &Table<'a>, kind: model::Kind) -> (Option<Value<'a>>, Options) {
    let default = Variables::default();
    let text = |key, default| table.or(key, |value| value.parse(variable), default);
    let options = Options {
        kind: Some(kind),
        base_path: match table.opt("base_path", Value::choice) {
            Some("prepend") => BasePath::Prepend,
            Some("split") => BasePath::Split,
            _ => BasePath::Ignore,
        },
        ignore_documentation: table.or("ignore_documentation", Value::boolean, false),
        fail_on_warnings: table.or("fail_on_warnings", Value::boolean, false),
        // One that is wrong is one all the same: operations are not without any.
        backend: table
            .get("backend")
            .map(|value| value.parse(backend).unwrap_or_else(|| "http://backend.invalid".into())),
        // The API says it, of its own routes as well.
        allow_unenforced_security: false,
        variables: Variables {
            account_id: table.or("account_id", |value| value.parse(account_id), default.account_id),
            region: text("region", default.region),
            partition: text("partition", default.partition),
        },
    };
    (table.get("file"), options)
}

fn backend(text: &str) -> Result<String, Mistake> {
    if text.starts_with("http://") || text.starts_with("https://") {
        return Ok(text.to_owned());
    }
    let mistake = Mistake::new(format!("{} is no URL of a backend", quote(text)));
    Err(mistake.help("it begins with `http://` or `https://`"))
}

fn account_id(text: &str) -> Result<String, Mistake> {
    if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    Err(Mistake::new(format!("{} is no account of AWS", quote(text))).help("twelve digits"))
}

/// A region or a partition: what may stand in an ARN.
fn variable(text: &str) -> Result<String, Mistake> {
    if !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    {
        return Ok(text.to_owned());
    }
    Err(Mistake::new(format!("{} can't stand in an ARN", quote(text)))
        .help("write something like `eu-central-1` or `aws`"))
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

//! One configuration out of all its files: what may stand once stands once, lists are joined.

use std::path::Path;

use model::{Diagnostic, Model};
use progress::Phase;
use toml::{Spanned, de::DeTable};

use crate::{
    Environment, Outcome, ROOT, Sources, api,
    context::{Context, File, Mistake, place},
    cors, domain, include, listener, node, quotas,
    reader::{Table, Value},
    route, upstream,
};

/// The roots of all files.
pub(crate) struct Document<'a> {
    pub(crate) cx: &'a Context<'a>,
    roots: Vec<Table<'a>>,
}

/// Reads a file and what it includes.
pub fn load(path: &Path, environment: &impl Environment) -> Outcome {
    let (mut state, mut said) = (None, None);
    let (good, diagnostics, sources) = read(path, environment, |document| {
        let model = document.model();
        state.clone_from(&model.node.state);
        said = Some(model);
    });
    let (model, draft) = if good.is_some() { (said, None) } else { (None, said) };
    Outcome { model, draft, diagnostics, sources, state }
}

/// What is made of a file and what it includes, if there is no mistake; all that was said; all that was read.
pub(crate) fn read<T>(
    path: &Path,
    environment: &impl Environment,
    make: impl FnOnce(&Document<'_>) -> T,
) -> (Option<T>, Vec<Diagnostic>, Sources) {
    let cx = Context::new(environment);
    environment.progress().begin(Phase::Read, 0);
    let mut sources = Sources::default();
    let Some(mut main) = include::read(path, None, &cx, &mut sources) else {
        let (diagnostics, _) = cx.finish(&[]);
        return (None, diagnostics, sources);
    };
    let text = main.text.clone();
    let tree = parse(&text, &mut main, &cx);
    let root = open(&tree, &main, &cx);
    let mut included = include::files(path, &root, &cx, &mut sources);
    let texts: Vec<_> = included.iter().map(|file| file.text.clone()).collect();
    let trees: Vec<_> = included.iter_mut().zip(&texts).map(|(file, text)| parse(text, file, &cx)).collect();
    let mut document = Document { cx: &cx, roots: vec![root] };
    for (tree, file) in trees.iter().zip(&included) {
        let root = open(tree, file, &cx);
        include::refuse_nested(&root);
        document.roots.push(root);
    }
    let made = make(&document);
    drop(document);
    let documents = cx.take_documents();
    documents.iter().for_each(|file| sources.push(&file.name, &file.text));
    let files: Vec<_> = std::iter::once(&main).chain(&included).chain(&documents).collect();
    let (diagnostics, good) = cx.finish(&files);
    (good.then_some(made), diagnostics, sources)
}

impl<'a> Document<'a> {
    /// The one table that may stand once in all files.
    pub(crate) fn single(&self, name: &str) -> Option<Table<'a>> {
        let mut values = self.roots.iter().filter_map(|root| root.get(name));
        let first = values.next()?;
        for other in values {
            let message = format!("`[{name}]` stands in two files");
            let first = place(&first.origin());
            other.mistake(
                Mistake::new(message).help(format!("it stands at {first} as well: keep one of them")),
            );
        }
        first.table()
    }

    /// The values of a key in all files.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = Value<'a>> {
        self.roots.iter().filter_map(move |root| root.get(name))
    }

    /// The tables of an array of tables in all files.
    pub(crate) fn tables(&self, name: &str) -> Vec<Table<'a>> {
        self.roots.iter().flat_map(|root| root.tables(name)).collect()
    }

    /// Whether something may be missing only because it could not be read.
    pub(crate) fn is_broken(&self) -> bool {
        self.cx.is_incomplete() || self.roots.iter().any(|root| root.file.is_broken())
    }

    /// What all files mean together.
    pub(crate) fn model(&self) -> Model {
        let node = node::read(self);
        let listeners = listener::listeners(self);
        let certificates = listener::certificates(self);
        let mut upstreams = upstream::read(self);
        let cors = self.single("cors").map(|table| cors::read(&table));
        let mut apis = route::read(self, &node, &mut upstreams, cors);
        apis.extend(api::read(self, &node, &mut upstreams));
        api::check(self, &apis, &node.quotas);
        let domains = domain::read(self, &apis, &node.quotas);
        quotas::check(self, &apis, &domains, &node.quotas);
        let upstreams = upstreams.finish(self.cx);
        Model { node, listeners, certificates, upstreams, apis, domains }
    }
}

/// The tree of a text, as much as could be read. The text is the file's own, borrowed from elsewhere since the file
/// is told which of its lines are broken.
pub(crate) fn parse<'t>(text: &'t str, file: &mut File, cx: &Context<'_>) -> Spanned<DeTable<'t>> {
    let (tree, errors) = DeTable::parse_recoverable(text);
    let mut lines = Vec::new();
    for error in errors {
        let origin = file.origin(error.span().unwrap_or(text.len()..text.len()));
        lines.push(origin.line);
        let rest = text.get(origin.start..).unwrap_or_default().trim_start_matches([' ', '\t', '\r']);
        let (message, help) = match error.message().split_once(", expected ") {
            Some(("string values must be quoted", _)) if rest.is_empty() || rest.starts_with(['\n', '#']) => {
                ("the value is missing", None)
            }
            Some((message @ "string values must be quoted", _)) => (message, None),
            Some((message, "nothing")) => (message, None),
            Some((message, expected)) => (message, Some(format!("expected {expected}"))),
            None => (error.message(), None),
        };
        cx.report(Diagnostic { help, ..Diagnostic::error(Some(&origin), "", message) });
    }
    lines.sort_unstable();
    lines.dedup();
    file.mark_broken(lines);
    tree
}

fn open<'a>(tree: &'a Spanned<DeTable<'a>>, file: &'a File, cx: &'a Context<'a>) -> Table<'a> {
    Table::open(cx, file, &ROOT, String::new(), 0..0, tree.get_ref())
}

//! Templates of AWS's tools: what the room `cloudformation` makes of them gets names and places that our own files would take.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
};

use cloudformation::{File, Imported, Options, World};
use model::{Api, Diagnostic, EndpointType, IpAddressType, Kind, Mapping, Severity};
use openapi::Tree;
use progress::{Phase, Progress};

use crate::{
    Environment, FILE_BYTES_MAX, Sources,
    openapi::{name, unkept},
};

/// A template to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    /// The file.
    pub path: PathBuf,
    /// How it is read.
    pub options: Options,
}

/// What a template may ask for, beside the file that it is.
struct Around<'e, E> {
    environment: &'e E,
    folder: &'e Path,
    /// What was read, so that mistakes show their lines.
    sources: RefCell<&'e mut Sources>,
}

impl<E: Environment> World for Around<'_, E> {
    fn file(&self, path: &str) -> Result<File, String> {
        let path = self.folder.join(path);
        let text = self.environment.read_file(&path, FILE_BYTES_MAX).map_err(|error| error.to_string())?;
        let name = path.to_string_lossy().into_owned();
        self.sources.borrow_mut().push(&name.as_str().into(), &text.as_str().into());
        Ok(File { name, text })
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.environment.variable(name)
    }

    fn progress(&self) -> &Progress {
        self.environment.progress()
    }
}

/// Whether a text is a template: of CloudFormation, of SAM, or a `serverless.yml`.
pub fn is_template(text: &str) -> bool {
    Tree::parse("", text).is_ok_and(|tree| cloudformation::is_template(&tree))
}

/// What a template says, its APIs as our own files may have them; it is put among the files that were read.
pub fn import_template(
    what: &Template,
    environment: &impl Environment,
) -> (Option<Imported>, Vec<Diagnostic>, Sources) {
    let mut sources = Sources::default();
    let file = what.path.to_string_lossy();
    environment.progress().begin(Phase::Read, 0);
    let text = match environment.read_file(&what.path, FILE_BYTES_MAX) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("can't read `{file}`: {error}");
            return (None, vec![Diagnostic::error(None, "", message)], sources);
        }
    };
    sources.push(&(*file).into(), &(*text).into());
    let folder = what.path.parent().unwrap_or(Path::new(""));
    let (imported, mut found) = match Tree::parse(&file, &text) {
        Ok(tree) => {
            let around = Around { environment, folder, sources: RefCell::new(&mut sources) };
            cloudformation::import(&tree, &what.options, &around)
        }
        Err(broken) => (None, vec![*broken]),
    };
    for api in imported.iter().flat_map(|imported| &imported.apis) {
        found.extend(unkept(&api.definition, api.kind, api.origin.as_ref(), environment.progress()));
    }
    let good = found.iter().all(|it| it.severity == Severity::Warning);
    let imported = imported.filter(|_| good).map(|imported| {
        let is_alone = imported.apis.len() == 1;
        let apis = imported.apis.into_iter().map(|api| placed(api, is_alone)).collect();
        let mut domains = imported.domains;
        // Rules name APIs, which have just got names that a file may have.
        for rule in domains.iter_mut().flat_map(|domain| &mut domain.rules) {
            rule.api = name(&rule.api);
        }
        Imported { apis, domains, ..imported }
    });
    (imported, found, sources)
}

/// An API whose template says nothing of where it is reached is reached at `/`, or below its name if it is one of several. The stages
/// of a REST API are the first segment behind that, as at its default host.
fn placed(api: Api, is_alone: bool) -> Api {
    let id = api.id.clone();
    let mut api = Api { name: name(&api.name), id, ..api };
    if api.endpoint == EndpointType::Private {
        api.ip_address_type = IpAddressType::Dualstack;
    }
    if api.mappings.is_empty() {
        let base_path = if is_alone { String::new() } else { api.name.clone() };
        let stage = (api.kind == Kind::Http && api.stages.iter().all(|stage| stage.name == "$default"))
            .then(|| "$default".to_owned());
        api.mappings.push(Mapping { host: None, base_path, stage, origin: api.origin.clone() });
    }
    api
}

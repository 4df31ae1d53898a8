//! What must hold of any text. Each property panics when it does not, called by unit tests, by fuzz targets and by the
//! replay of what those came upon.

use std::{
    io::{self, ErrorKind},
    path::Path,
};

use model::{Api, Diagnostic, Kind, Severity};

use crate::{
    Environment, OpenApi, Sources, api_of, dump, format, import, load, read_definition, render, write,
    write_definition,
};

const NAME: &str = "f.toml";

/// Reads bytes as a configuration, alone in its folder: it is taken or refused with a place and a reason for it, what
/// is said can be shown on a terminal, and what is taken means the same when it is laid out or dumped.
pub fn any_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let outcome = load(Path::new(NAME), &Alone(text));
    let errors = outcome.diagnostics.iter().filter(|it| it.severity == Severity::Error).count();
    assert_eq!(outcome.model.is_some(), errors == 0, "{:?}", outcome.diagnostics);
    can_be_shown(&outcome.diagnostics, &outcome.sources);

    match format(NAME, text) {
        Ok(formatted) => {
            assert_eq!(format(NAME, &formatted).ok().as_ref(), Some(&formatted), "laid out twice");
            assert_eq!(dumped(&formatted), dumped(text), "laid out: {formatted}");
        }
        Err(refused) => {
            can_be_shown(&refused.diagnostics, &refused.sources);
            assert!(outcome.model.is_none(), "taken, but not laid out: {:?}", refused.diagnostics);
        }
    }
    outcome.model.iter().flat_map(|model| &model.apis).for_each(can_be_deployed);
    let dumped_text = dumped(text);
    assert_eq!(dumped_text.is_some(), outcome.model.is_some());
    if let Some(dumped_text) = dumped_text {
        assert_eq!(dumped(&dumped_text).as_ref(), Some(&dumped_text), "dumped twice");
    }
}

/// Reads bytes as an OpenAPI document: what is taken comes back from an export ([`openapi::properties`]), can be deployed, and means
/// the same when it is written as a configuration.
pub fn any_document(bytes: &[u8]) {
    openapi::properties::any_document(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for kind in [Kind::Rest, Kind::Http] {
        let options = openapi::Options { kind: Some(kind), ..openapi::Options::default() };
        let what = OpenApi { path: NAME.into(), options, ..OpenApi::default() };
        let (imported, found, sources) = import(&what, &Alone(text));
        can_be_shown(&found, &sources);
        let Some(imported) = imported else { continue };
        let api = api_of(imported);
        can_be_deployed(&api);
        let written = write(std::slice::from_ref(&api), &[]);
        let outcome = load(Path::new(NAME), &Alone(&written));
        // Rules between routes, of which configurations know more than documents.
        let Some(model) = outcome.model else { continue };
        let definitions = [&model.apis[0], &api].map(|api| api.definition.clone().without_origins());
        assert_eq!(definitions[0], definitions[1], "{written}");
    }
}

/// What a deployment keeps of it is what it is.
fn can_be_deployed(api: &Api) {
    let kept = write_definition(&api.definition, api.kind);
    let read = read_definition(&kept).map(|frozen| (frozen.kind, frozen.definition));
    let read = read.unwrap_or_else(|refused| panic!("{:?}\n{kept}", refused.diagnostics));
    assert_eq!(read, (api.kind, api.definition.clone().without_origins()), "{kept}");
}

fn dumped(text: &str) -> Option<String> {
    dump(Path::new(NAME), &Alone(text), false).ok()
}

/// Every place lies in its file, and no word of it, nor of the file's, tells the terminal anything.
fn can_be_shown(diagnostics: &[Diagnostic], sources: &Sources) {
    for diagnostic in diagnostics {
        assert!(!diagnostic.message.is_empty(), "{diagnostic:?}");
        let Some(origin) = &diagnostic.origin else { continue };
        let text = sources.text(&origin.file).unwrap_or_else(|| panic!("of no file: {diagnostic:?}"));
        assert!(text.get(origin.start..origin.end).is_some(), "{diagnostic:?}");
        assert!(origin.line >= 1 && origin.column >= 1, "{diagnostic:?}");
        assert!(origin.line as usize <= 1 + text.matches('\n').count(), "{diagnostic:?}");
    }
    let shown = render(diagnostics, sources, false);
    assert!(!shown.contains(|char: char| char.is_control() && char != '\n'), "{shown:?}");
}

/// An outside that has this file, and a value for every variable.
struct Alone<'a>(&'a str);

impl Environment for Alone<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        Some(name.to_lowercase())
    }

    fn read_file(&self, path: &Path, _: u64) -> io::Result<String> {
        if path == Path::new(NAME) { Ok(self.0.to_owned()) } else { Err(ErrorKind::NotFound.into()) }
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Ok(vec![NAME.to_owned()])
    }
}

//! What must hold for any bytes whatever: called by unit tests, by the fuzz target, and for each file of its corpus.

use model::{Api, Kind, Severity};
use progress::Progress;

use crate::{
    BasePath, Extensions, Format, Imported, Options, Tree, Variables,
    export::{self, export},
    import, tree,
};

/// A document is refused with a reason, or it is read; and what is read is written in every form and read again as the same, unless
/// the export says what it left out.
pub fn any_document(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(tree) = Tree::parse("any.yaml", &text) else { return };
    for kind in [None, Some(Kind::Rest), Some(Kind::Http)] {
        let options = Options { kind, base_path: BasePath::Split, ..Options::default() };
        let (imported, found) = import(&tree, &options, Progress::silent());
        let is_refused = found.iter().any(|it| it.severity == Severity::Error);
        assert_eq!(imported.is_none(), is_refused, "it is refused with a reason: {found:?}");
        for diagnostic in &found {
            assert!(!diagnostic.message.is_empty(), "{diagnostic:?}");
            let Some(origin) = &diagnostic.origin else { continue };
            assert!(text.get(origin.start..origin.end).is_some(), "{diagnostic:?}");
        }
        let Some(first) = imported else { continue };
        comes_back(&first, Format::Oas30);
        if first.kind == Kind::Rest {
            comes_back(&first, Format::Swagger);
        }
    }
}

fn comes_back(first: &Imported, format: Format) {
    let mut api = Api::new(first.name.clone(), first.kind);
    api.definition = first.definition.clone();
    api.endpoint = first.endpoint.unwrap_or_default();
    api.ip_address_type = first.ip_address_type.unwrap_or_default();
    api.vpc_endpoint_ids.clone_from(&first.vpc_endpoint_ids);
    let variables = Variables::default();
    let how = export::Options {
        format,
        extensions: Extensions::ALL,
        stage: "prod",
        variables: &variables,
        upstream: &|_| None,
    };
    let exported = export(&api, &api.definition, &how);
    let again = Options { kind: Some(first.kind), ..Options::default() };
    for text in [tree::json(&exported.document), tree::yaml(&exported.document)] {
        let tree = Tree::parse("again.yaml", &text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
        let (second, found) = import(&tree, &again, Progress::silent());
        let second = second.unwrap_or_else(|| panic!("{found:?}\n{text}"));
        if exported.notes.is_empty() {
            assert_eq!(plain(&second), plain(first), "{text}");
        }
    }
}

/// Without places, and with what is not said as it is read where nobody says it.
fn plain(imported: &Imported) -> Imported {
    let mut plain = imported.clone();
    plain.definition = plain.definition.without_origins();
    plain.definition.version.get_or_insert("1.0".into());
    plain.endpoint.get_or_insert_default();
    plain.ip_address_type.get_or_insert_default();
    plain
}

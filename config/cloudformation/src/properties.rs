//! What must hold for any bytes whatever: called by unit tests, by the fuzz target, and for each file of its corpus.

use model::Severity;
use openapi::tree::Tree;

use crate::{File, Options, World, import};

/// Every file is the template itself, and every variable of the environment its own name.
struct Mirror<'t>(&'t str);

impl World for Mirror<'_> {
    fn file(&self, path: &str) -> Result<File, String> {
        Ok(File { name: path.to_owned(), text: self.0.to_owned() })
    }

    fn environment(&self, name: &str) -> Option<String> {
        Some(name.to_owned())
    }
}

/// A template is read or refused: with a reason that has a place, or with APIs that have names, stages and places.
pub fn any_template(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(tree) = Tree::parse("any.yaml", &text) else { return };
    let (imported, found) = import(&tree, &Options::default(), &Mirror(&text));
    let is_refused = found.iter().any(|it| it.severity == Severity::Error);
    assert_eq!(imported.is_none(), is_refused, "it is refused with a reason");
    for diagnostic in &found {
        assert!(!diagnostic.message.is_empty());
    }
    for api in imported.into_iter().flat_map(|it| it.apis) {
        assert!(!api.name.is_empty() && !api.stages.is_empty() && api.origin.is_some());
    }
}

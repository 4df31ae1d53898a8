//! What must hold for any bytes whatever. Each property is a function that panics when it does not, called by unit
//! tests with generated texts, by fuzz targets with whatever they come upon, and for each file of their corpora.

use std::borrow::Cow;

use crate::{
    Fields, Inputs, Output, Overrides, Path, Settings, Template,
    json::{check, write_compact, write_text},
};

/// Between a template or a path and the document that it is put to.
const BETWEEN: &[u8] = b"\n====\n";

/// Bounds that are reached soon.
fn small() -> Settings {
    Settings {
        xml: true,
        source_bytes_max: 64 << 10,
        output_bytes_max: 4 << 10,
        iterations_max: 100,
        steps_max: 20_000,
        depth_max: 40,
        memory_bytes_max: 256 << 10,
    }
}

/// A request with the same text in each of its parts.
struct Request<'b> {
    body: &'b [u8],
    text: String,
}

impl Inputs for Request<'_> {
    fn body(&self) -> &[u8] {
        self.body
    }

    fn field(&self, _: Fields, name: &str) -> Option<&str> {
        (name != "none").then_some(&*self.text)
    }

    fn each_field<'s>(&'s self, _: Fields, visit: &mut dyn FnMut(&'s str, &'s str)) {
        visit("a", &self.text);
        visit(&self.text, "b");
    }

    fn context(&self, name: &str, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(self.text.as_bytes());
        name != "stage"
    }
}

fn parts(bytes: &[u8]) -> (Cow<'_, str>, &[u8]) {
    let at = bytes.windows(BETWEEN.len()).position(|part| part == BETWEEN);
    let (first, second) = match at {
        Some(at) => (&bytes[..at], &bytes[at + BETWEEN.len()..]),
        None => (bytes, &b"{\"a\": [1, {\"b\": \"c\"}]}"[..]),
    };
    (String::from_utf8_lossy(first), second)
}

/// All that must hold for a template and a body: it is refused with places that it has, or renders the same each time, within its
/// bounds.
pub fn any_template(bytes: &[u8]) {
    let (source, body) = parts(bytes);
    let settings = small();
    let template = match Template::compile(&source, &settings) {
        Ok(template) => template,
        Err(mistakes) => {
            assert!(!mistakes.0.is_empty());
            let lines: Vec<&str> = source.split('\n').collect();
            for mistake in mistakes.0 {
                let line = lines.get(mistake.line as usize - 1).expect("a line of the template");
                assert!(mistake.column as usize <= line.chars().count() + 1, "{mistake}");
                assert!(mistake.column > 0 && !mistake.why.is_empty(), "{mistake}");
            }
            return;
        }
    };
    let request =
        Request { body, text: String::from_utf8_lossy(body.get(..16).unwrap_or(body)).into_owned() };
    let mut output = Output::default();
    let mut render = || {
        let mut overrides = Overrides::default();
        let outcome = template.render(&request, &mut output, &mut overrides);
        assert!(output.as_str().len() <= settings.output_bytes_max);
        (outcome, output.as_str().to_owned(), overrides)
    };
    let first = render();
    assert_eq!(render(), first, "{source}");
    if !source.contains(['$', '#', '\\']) {
        assert!(first.1 == source || first.0.is_err());
    }
}

/// All that must hold for a path and a document: it is refused, or what it finds is JSON, and the same as before the document's
/// space was taken away.
pub fn any_path(bytes: &[u8]) {
    let (path, document) = parts(bytes);
    let found = match Path::compile(&path) {
        Ok(path) => path.find(document).map(|found| (path.is_definite(), found)),
        Err(mistake) => {
            assert!(mistake.at > 0 && mistake.at <= path.chars().count() + 1, "{mistake}");
            return;
        }
    };
    let Ok((definite, found)) = found else { return };
    let text = std::str::from_utf8(document).expect("found in a text");
    for value in found.values() {
        check(value).unwrap_or_else(|error| panic!("{path} found {value}: {error}"));
    }
    assert!(!definite || found.values().count() <= 1);
    let compact = compacted(text);
    let again = Path::compile(&path).expect("as before").find(compact.as_bytes());
    // Steps are paid by length too: what was found before is found again, with less.
    let again = again.expect("shorter, and the same");
    let (before, after) = (found.into_json(), again.into_json());
    assert_eq!(before.as_deref().map(compacted), after.as_deref().map(compacted), "{path}");
}

/// All that must hold for a document: what is written without space is the same document, and stays so when it is written again.
pub fn any_document(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut quoted = String::new();
    let Ok(()) = write_text(&mut quoted, text);
    assert_eq!(check(&quoted), Ok(&*quoted));
    assert_eq!(crate::json::text(&quoted), text);
    if check(text).is_err() {
        return;
    }
    let compact = compacted(text);
    assert_eq!(check(&compact), Ok(&*compact), "{text}");
    assert_eq!(compacted(&compact), compact);
}

fn compacted(text: &str) -> String {
    let mut compact = String::new();
    let Ok(()) = write_compact(&mut compact, text);
    compact
}

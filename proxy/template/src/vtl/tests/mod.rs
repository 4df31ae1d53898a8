//! Templates and what they render, as tables.

mod errors;
mod language;
mod methods;
mod objects;

use super::*;

/// A request that tests fill.
#[derive(Default)]
pub(crate) struct Request {
    pub(crate) body: Vec<u8>,
    pub(crate) fields: Vec<(Fields, &'static str, &'static str)>,
    pub(crate) context: Vec<(&'static str, &'static str)>,
}

impl Inputs for Request {
    fn body(&self) -> &[u8] {
        &self.body
    }

    fn field(&self, fields: Fields, name: &str) -> Option<&str> {
        self.fields.iter().find(|(kind, known, _)| *kind == fields && *known == name).map(|field| field.2)
    }

    fn each_field<'s>(&'s self, fields: Fields, visit: &mut dyn FnMut(&'s str, &'s str)) {
        for (_, name, value) in self.fields.iter().filter(|(kind, ..)| *kind == fields) {
            visit(name, value);
        }
    }

    fn context(&self, name: &str, out: &mut Vec<u8>) -> bool {
        let found = self.context.iter().find(|(known, _)| *known == name);
        found.into_iter().for_each(|(_, value)| out.extend_from_slice(value.as_bytes()));
        found.is_some()
    }
}

/// The request that most tests have.
pub(crate) fn request(body: &str) -> Request {
    Request {
        body: body.as_bytes().to_vec(),
        fields: vec![
            (Fields::Path, "id", "42"),
            (Fields::Query, "id", "from the query"),
            (Fields::Query, "q", "a b"),
            (Fields::Header, "q", "from the header"),
            (Fields::Header, "X-One", "1"),
            (Fields::StageVariables, "table", "pets"),
            (Fields::Authorizer, "principalId", "me"),
            (Fields::Authorizer, "level", "7"),
            (Fields::Claims, "sub", "s-1"),
        ],
        context: vec![
            ("requestId", "r-1"),
            ("stage", "test"),
            ("identity.sourceIp", "192.0.2.1"),
            ("identity.clientCert.validity.notAfter", "never"),
        ],
    }
}

/// Renders with what may be overridden; an error as its text.
#[track_caller]
pub(crate) fn render_with(source: &str, settings: &Settings, request: &Request) -> (String, Overrides) {
    let mut overrides = Overrides::default();
    let mut output = Output::default();
    let template = match Template::compile(source, settings) {
        Ok(template) => template,
        Err(mistakes) => return (format!("mistakes: {mistakes}"), overrides),
    };
    let outcome = template.render(request, &mut output, &mut overrides);
    let text = match outcome {
        Ok(()) => output.as_str().to_owned(),
        Err(error) => format!("error: {error}"),
    };
    (text, overrides)
}

/// A template and what it renders for a request with this body.
#[track_caller]
fn check_body(body: &str, source: &str, expected: &str) {
    let settings = Settings { xml: true, ..Settings::default() };
    let (text, _) = render_with(source, &settings, &request(body));
    assert_eq!(text, expected, "{source}");
}

/// The same without a body.
#[track_caller]
fn check(source: &str, expected: &str) {
    check_body("", source, expected);
}

//! Templates by content type: compiled when they are deployed, chosen for each message (rows 117, 122).

use bytes::Bytes;
use message::{Bodies, Reason};
use template::{Inputs, Output, Overrides, Template};

use super::{Mistake, content::JSON, settings::Found};

/// Templates by their content types.
#[derive(Clone, Debug, Default)]
pub(super) struct Templates(Vec<(Box<str>, Template)>);

/// A template, and the content type that it is for.
pub(super) type Chosen<'a> = (&'a str, &'a Template);

/// The key that stands for every content type.
const DEFAULT: &str = "$default";

/// What is wrong with templates in themselves; `key` is what they stand under.
pub fn template_mistakes(key: &str, sources: &[(String, String)], xml: bool) -> Vec<Mistake> {
    let mut found = Found::default();
    Templates::compile(
        sources,
        key,
        &template::Settings { xml, ..template::Settings::default() },
        &mut found,
    );
    found.mistakes
}

impl Templates {
    /// Compiles them; mistakes are told with their lines.
    pub(super) fn compile(
        sources: &[(String, String)],
        key: &str,
        settings: &template::Settings,
        found: &mut Found,
    ) -> Self {
        let mut templates = Vec::with_capacity(sources.len());
        for (content_type, source) in sources {
            match Template::compile(source, settings) {
                Ok(template) => templates.push((content_type.as_str().into(), template)),
                Err(mistakes) => {
                    for mistake in mistakes.0 {
                        let at = format!("{key}.{content_type}:{}:{}", mistake.line, mistake.column);
                        found.mistake(at, mistake.why);
                    }
                }
            }
        }
        Self(templates)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The request's: by the media type of its body, without parameters (unconfirmed, row 117), else `$default`.
    pub(super) fn for_request(&self, media_type: &str) -> Option<Chosen<'_>> {
        self.find(media_type).or_else(|| self.find(DEFAULT).map(|(_, template)| (JSON, template)))
    }

    /// The response's: by what the client accepts, else that for JSON, else the first.
    pub(super) fn for_response(&self, accept: Option<&str>) -> Option<Chosen<'_>> {
        let first = || self.0.first().map(|(content_type, template)| (&**content_type, template));
        let (content_type, template) =
            accept.and_then(|accept| self.find(accept)).or_else(|| self.find(JSON)).or_else(first)?;
        Some((if content_type == DEFAULT { JSON } else { content_type }, template))
    }

    /// The content type that a template is for, as it was written.
    pub(super) fn key(&self, template: &Template) -> &str {
        let mut known = self.0.iter();
        known.find(|(_, own)| std::ptr::eq(own, template)).map_or(DEFAULT, |(key, _)| key)
    }

    fn find(&self, media_type: &str) -> Option<Chosen<'_>> {
        let mut known = self.0.iter();
        let found = known.find(|(content_type, _)| content_type.eq_ignore_ascii_case(media_type))?;
        Some((&found.0, &found.1))
    }
}

/// Renders a template into a body. A request's body that is no JSON is the client's fault, a response's is not (row 129).
pub(super) fn render(
    template: &Template,
    inputs: &dyn Inputs,
    overrides: &mut Overrides,
    is_request: bool,
    (output, bodies): (&mut Output, &mut Bodies),
) -> Result<Bytes, Reason> {
    match template.render(inputs, output, overrides) {
        Ok(()) => Ok(bodies.body(output.as_str().as_bytes())),
        Err(error) => match error.reason {
            template::Reason::Body(_) if is_request => Err(Reason::InvalidJson),
            _ => Err(Reason::ApiConfiguration),
        },
    }
}

//! What becomes of bodies, told before it happens: the same choices and the same templates as in serving, with what is lost there,
//! the line of a template that fails.

use message::{Reason, Request, Response};
use template::{Inputs, Output, Overrides, Template};

use super::{
    Declared,
    answers::{self, Answers, Memory},
    lenient::status_code,
    request::{Chosen, whole},
    settings::{Kind, Settings},
    templates::Templates,
    view::Rendered,
};
use crate::{Context, Fate, Preview, Whose};

impl Declared {
    /// Of a request; of the answer too, if it is a mock's.
    pub(super) fn preview_request(&self, request: &Request, cx: &Context<'_>) -> Vec<Preview> {
        let mut request = request.clone();
        self.drop_headers(&mut request);
        let mut memory = Memory::default();
        memory.fill(&request, &self.settings.variables, cx);
        let Settings { place, stage_variables, request_templates, .. } = &self.settings;
        let of_request = |fate| Preview { whose: Whose::Request, fate };
        let (fate, text) = match self.choose(&request, &whole(&request.body)) {
            Err(reason) => (Fate::Refused(reason), None),
            Ok(Chosen::AsItComes(why)) => (Fate::Passes(why), Some(String::new())),
            Ok(Chosen::Converted(body, why)) => {
                (Fate::Passes(why), Some(String::from_utf8_lossy(&body).into_owned()))
            }
            Ok(Chosen::Template { template, body, .. }) => {
                let inputs = Rendered { view: &memory.view, body: &body, place, stage_variables };
                let from = (&self.templates, &request_templates[..]);
                let fate = rendered(from, template, &inputs, &mut memory.overrides);
                let text = match &fate {
                    Fate::Rendered { text, .. } => Some(text.clone()),
                    Fate::Passes(_) | Fate::Failed { .. } | Fate::Refused(_) => None,
                };
                (fate, text)
            }
        };
        let mut previews = vec![of_request(fate)];
        if let Some(status) =
            text.filter(|_| self.settings.kind == Kind::Mock).as_deref().and_then(status_code)
        {
            let answer = Response::new(status);
            previews.push(self.answers.preview(&answer, Some(&memory), &self.settings));
        }
        previews
    }
}

impl Answers {
    /// Of a backend's answer.
    pub(super) fn preview(
        &self,
        response: &Response,
        memory: Option<&Memory>,
        settings: &Settings,
    ) -> Preview {
        let status = response.status;
        let Some((place, entry)) = self.taker(status) else {
            let whose = Whose::Response { place: None, pattern: None, status };
            return Preview { whose, fate: Fate::Refused(Reason::ApiConfiguration) };
        };
        let of_entry = settings.responses.get(place);
        let pattern = of_entry.and_then(|it| it.pattern.clone()).filter(|pattern| !pattern.is_empty());
        let accepts = memory.map_or((None, None), Memory::accepts);
        let content_type = response.headers.get(message::Name::ContentType);
        let fate = match answers::whole(&response.body) {
            None => Fate::Passes("it is not looked at"),
            Some(body) => match (self.choose(entry, body, content_type, accepts), memory) {
                (Err(reason), _) => Fate::Refused(reason),
                (Ok((body, Some((_, template)))), Some(memory)) => {
                    let Settings { place, stage_variables, .. } = settings;
                    let inputs = Rendered { view: &memory.view, body: &body, place, stage_variables };
                    // What it overrides is not to be seen by who reads the answer in earnest.
                    let mut overrides = memory.overrides.clone();
                    let sources = of_entry.map_or(&[][..], |it| &it.templates);
                    rendered((&entry.templates, sources), template, &inputs, &mut overrides)
                }
                (Ok(_), _) => Fate::Passes("there are no templates: it passes"),
            },
        };
        Preview { whose: Whose::Response { place: Some(place), pattern, status }, fate }
    }
}

/// What a template comes to. `from`: where it is one of, and what they were compiled from.
fn rendered(
    (templates, sources): (&Templates, &[(String, String)]),
    template: &Template,
    inputs: &dyn Inputs,
    overrides: &mut Overrides,
) -> Fate {
    let content_type = templates.key(template).to_owned();
    let mut output = Output::default();
    match template.render(inputs, &mut output, overrides) {
        Ok(()) => Fate::Rendered { content_type, text: output.as_str().to_owned() },
        Err(error) => {
            let source = sources.iter().find(|(key, _)| *key == content_type);
            let lines = source.and_then(|(_, text)| text.lines().nth(error.line.saturating_sub(1) as usize));
            Fate::Failed {
                content_type,
                line: error.line,
                column: error.column,
                source: lines.unwrap_or_default().to_owned(),
                why: error.reason.to_string(),
            }
        }
    }
}

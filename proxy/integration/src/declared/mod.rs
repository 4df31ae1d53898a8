//! Integrations as API Gateway describes them: HTTP, HTTP_PROXY and MOCK, with parameter mappings, templates, passthrough
//! behaviours, selection patterns and content handling (rows 33, 43, 44, 57, 64, 65, 117 to 122, 124). Compiled for a stage,
//! with its variables; every mistake is told then. It knows neither how an API was written nor where its backend is.
//!
//! An `HTTP_PROXY` without mappings looks at no body and keeps nothing of a request: it costs what the short form does.

mod answers;
pub mod content;
mod lenient;
mod mapping;
pub mod parameters;
mod preview;
mod request;
mod selections;
mod settings;
mod source;
mod spare;
mod templates;
#[cfg(test)]
mod tests;
mod uri;
mod view;

use message::{Reason, Request, Response};

pub use selections::Selections;
pub use settings::{Handling, Kind, Part, Passthrough, Place, Response as ResponseSettings, Settings};
pub use spare::Spare;
pub use templates::template_mistakes;
pub use uri::Uri;

use crate::{
    Context, Integration, Outbound, Preview, ReadContext,
    headers::{RestHeaders, remap},
};
use answers::{Answers, Memory};
use mapping::Mappings;
use settings::Found;
use templates::Templates;
use uri::Piece;

/// Something wrong with an integration's settings, or something to know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {why}")]
pub struct Mistake {
    /// Where: `request_templates.application/json:3:7`, the line and the column of a template behind its content type.
    pub key: String,
    /// What is wrong and what to do.
    pub why: String,
}

/// An integration, ready to run.
#[derive(Clone, Debug)]
pub struct Declared {
    settings: Settings,
    rest: RestHeaders,
    target: Vec<Piece>,
    mappings: Mappings,
    templates: Templates,
    answers: Answers,
    /// Nothing is mapped, rendered or converted.
    is_plain: bool,
    /// The request's body must be whole.
    reads_body: bool,
    /// The answer's body must be whole.
    reads_answer: bool,
    /// The answer is made of what is known of the request.
    remembers: bool,
}

impl Declared {
    /// Compiles settings; with what there is to know about them.
    ///
    /// # Errors
    /// Every mistake.
    pub fn new(
        settings: Settings,
        selections: &mut Selections,
    ) -> Result<(Self, Vec<Mistake>), Vec<Mistake>> {
        let mut found = Found::default();
        let for_templates = template::Settings { xml: settings.xml, ..template::Settings::default() };
        let mappings = Mappings::compile(&settings, &mut found);
        let target = uri::pieces(&settings.target, |name| request::piece(name, &settings, &mappings));
        let target = target.unwrap_or_else(|why| {
            found.mistake("uri", why);
            Vec::new()
        });
        let is_proxy = settings.kind == Kind::HttpProxy;
        // A proxy has neither.
        let (no_templates, no_responses) =
            (Vec::new(), Settings { responses: Vec::new(), ..settings.clone() });
        let sources = if is_proxy { &no_templates } else { &settings.request_templates };
        let templates = Templates::compile(sources, "request_templates", &for_templates, &mut found);
        let responses = if is_proxy { &no_responses } else { &settings };
        let answers = Answers::compile(responses, &for_templates, selections, &mut found);
        if !found.mistakes.is_empty() {
            return Err(found.mistakes);
        }
        let converts = settings.handling.is_some() || !is_proxy && !settings.binary_media_types.is_empty();
        let is_mock = settings.kind == Kind::Mock;
        let declared = Self {
            rest: RestHeaders::new(&settings.place.api_id),
            is_plain: is_proxy && mappings.is_empty_but_path() && settings.handling.is_none(),
            reads_body: is_mock || converts || mappings.reads_body() || !templates.is_empty(),
            reads_answer: !is_proxy && answers.reads_body(),
            remembers: !is_proxy && (answers.remembers() || !templates.is_empty()),
            settings,
            target,
            mappings,
            templates,
            answers,
        };
        Ok((declared, found.warnings))
    }
}

impl Integration for Declared {
    fn prepare(&self, request: &mut Request, cx: &mut Context<'_>) -> Outbound {
        match self.put(request, cx) {
            Ok(outbound) => outbound,
            Err(reason) => Outbound::Refuse(reason),
        }
    }

    fn read(&self, response: &mut Response, cx: &mut ReadContext<'_>) -> Result<(), Reason> {
        match self.settings.kind {
            Kind::HttpProxy => {
                if !self.settings.is_http_api {
                    remap(response);
                }
                Ok(())
            }
            Kind::Http | Kind::Mock => {
                let memory = cx.state.as_mut().and_then(|state| state.downcast_mut::<Memory>());
                let mut bench = cx.spare.take();
                let working = (&mut *bench, &mut cx.spare.bodies);
                let outcome = self.answers.write(response, memory, &self.settings, working);
                cx.spare.put(bench);
                outcome
            }
        }
    }

    fn kind(&self) -> &'static str {
        match self.settings.kind {
            Kind::Http => "HTTP",
            Kind::HttpProxy => "HTTP_PROXY",
            Kind::Mock => "MOCK",
        }
    }

    fn preview(&self, request: &Request, cx: &Context<'_>) -> Vec<Preview> {
        self.preview_request(request, cx)
    }

    fn preview_reply(&self, response: &Response, cx: &ReadContext<'_>) -> Option<Preview> {
        let memory = cx.state.as_ref().and_then(|state| state.downcast_ref::<Memory>());
        let is_proxy = self.settings.kind == Kind::HttpProxy;
        (!is_proxy).then(|| self.answers.preview(response, memory, &self.settings))
    }

    fn request_body_max(&self) -> Option<u64> {
        self.reads_body.then_some(self.settings.body_bytes_max)
    }

    fn response_body_max(&self) -> Option<u64> {
        self.reads_answer.then_some(self.settings.body_bytes_max)
    }

    fn timeout_ns(&self) -> Option<u64> {
        Some(self.settings.timeout_ns)
    }
}

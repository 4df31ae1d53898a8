//! Request validators (row 113): required parameters first, then the body against the model of its content type.

use bytes::Bytes;
use message::{Body, Name, Reason, Request, Version};
use schema::{BODY_BYTES_MAX, Validator};

use crate::{Answer, Context, Description, Policy, Question, Verdict};

/// The policy: refuses what lacks a parameter, or whose body is not what its model says.
#[derive(Debug)]
pub struct Validate {
    parameters: Vec<Parameter>,
    models: Vec<(Box<str>, Validator)>,
    /// A body that is longer is refused before it is read.
    body_bytes_max: u64,
}

/// What a validator is made of.
#[derive(Debug, Default)]
pub struct Settings {
    /// Parameters without which a request is refused.
    pub required: Vec<Parameter>,
    /// Media types, and what holds bodies of that type against a model; `$default`: of any other.
    pub models: Vec<(String, Validator)>,
    /// The longest body that the route takes, in bytes.
    pub body_bytes_max: u64,
}

/// A parameter of a request. They sort as their keys in API Gateway do: `method.request.header.…`, `….path.…`,
/// `….querystring.…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Parameter {
    /// A field of the head.
    Header(Box<str>),
    /// A variable of the path, and its place among the route's.
    Path(Box<str>, usize),
    /// In the query.
    Query(Box<str>),
}

impl Parameter {
    fn name(&self) -> &str {
        match self {
            Self::Header(name) | Self::Path(name, _) | Self::Query(name) => name,
        }
    }

    /// Whether the request has it, with something in it that is no blank.
    fn is_in(&self, request: &Request, params: &[(u32, u32)]) -> bool {
        match self {
            Self::Header(name) => request.headers.iter().any(|field| {
                // Row 113: names as they are written. In HTTP/2 there is but one way to write them.
                let is_it = match request.version {
                    Version::Http2 => field.text.eq_ignore_ascii_case(name.as_bytes()),
                    Version::Http10 | Version::Http11 => field.text == name.as_bytes(),
                };
                is_it && !field.value.trim_ascii().is_empty()
            }),
            Self::Path(_, place) => params.get(*place).is_some_and(|(start, end)| {
                let value = request.target.path().get(*start as usize..*end as usize);
                value.is_some_and(|value| !is_blank(value, b" "))
            }),
            Self::Query(name) => request.target.query_values(name).any(|value| !is_blank(value, b" +")),
        }
    }
}

/// Whether a part of a target is made of these and of blanks that are escaped.
fn is_blank(value: &str, blanks: &[u8]) -> bool {
    value.split("%20").all(|part| part.bytes().all(|byte| blanks.contains(&byte)))
}

impl Validate {
    /// `None`: there is nothing to look at.
    pub fn new(settings: Settings) -> Option<Self> {
        let Settings { required: mut parameters, models, body_bytes_max } = settings;
        parameters.sort();
        parameters.dedup();
        let models: Vec<_> = models.into_iter().map(|(name, model)| (name.into_boxed_str(), model)).collect();
        let body_bytes_max = body_bytes_max.min(BODY_BYTES_MAX as u64);
        let is_empty = parameters.is_empty() && models.is_empty();
        (!is_empty).then_some(Self { parameters, models, body_bytes_max })
    }

    fn missing(&self, request: &Request, params: &[(u32, u32)]) -> Option<Reason> {
        let mut missing = self.parameters.iter().filter(|parameter| !parameter.is_in(request, params));
        let mut names = missing.next()?.name().to_owned();
        for parameter in missing {
            names.push_str(", ");
            names.push_str(parameter.name());
        }
        Some(Reason::MissingParameters(names.into()))
    }

    /// The model of the request's content type. Its parameters, as a charset, are not part of it (row 117, U).
    fn model(&self, request: &Request) -> Option<&Validator> {
        if self.models.is_empty() {
            return None;
        }
        let content_type = request.headers.get(Name::ContentType).unwrap_or(b"application/json");
        let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let named = |wanted: &[u8]| {
            let is_it = |(name, _): &&(Box<str>, Validator)| name.as_bytes().eq_ignore_ascii_case(wanted);
            self.models.iter().find(is_it).map(|(_, model)| model)
        };
        named(essence).or_else(|| named(b"$default"))
    }

    fn check(model: &Validator, body: &Bytes) -> Verdict {
        match model.validate(body) {
            Ok(()) => Verdict::Continue,
            Err(invalid) => Verdict::Refuse(Reason::InvalidBody { errors: invalid.message().into() }),
        }
    }
}

impl Policy for Validate {
    fn on_request(&self, request: &mut Request, cx: &mut Context<'_>) -> Verdict {
        if let Some(reason) = self.missing(request, cx.params) {
            return Verdict::Refuse(reason);
        }
        let Some(model) = self.model(request) else { return Verdict::Continue };
        match &request.body {
            Body::Empty => Self::check(model, &Bytes::new()),
            Body::Whole(bytes) => Self::check(model, bytes),
            Body::Stream(_) => Verdict::Ask(Question::Body { bytes_max: self.body_bytes_max }),
        }
    }

    fn on_answer(&self, request: &mut Request, _: Answer, _: &mut Context<'_>) -> Verdict {
        match (self.model(request), &request.body) {
            (None, _) => Verdict::Continue,
            (Some(model), Body::Empty) => Self::check(model, &Bytes::new()),
            (Some(model), Body::Whole(bytes)) => Self::check(model, bytes),
            // It was asked for as a whole.
            (Some(_), Body::Stream(_)) => Verdict::Refuse(Reason::Internal),
        }
    }

    fn reads_responses(&self) -> bool {
        false
    }

    fn describe(&self) -> Description {
        let needs = self.parameters.iter().map(|parameter| match parameter {
            Parameter::Header(name) => format!("there is a header `{name}`"),
            Parameter::Path(name, _) => format!("the variable `{name}` is not empty"),
            Parameter::Query(name) => format!("there is a query parameter `{name}`"),
        });
        let models = self.models.iter().map(|(name, _)| format!("the body is what the model of {name} says"));
        Description { kind: "validation", asks: needs.chain(models).collect() }
    }
}

#[cfg(test)]
mod tests;

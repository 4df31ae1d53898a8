//! What a backend is asked: target, method, headers, body (rows 43, 44, 64, 65, 117 to 119, 124).

use bytes::Bytes;
use message::{Bodies, Body, Headers, Method, Name, PathRules, Reason, Request, octets};
use smallvec::SmallVec;
use template::{Output, Template};

use super::{
    Declared,
    answers::Memory,
    content::{self, JSON, is_binary, media_type},
    lenient::status_code,
    mapping::{Mapped, Mappings},
    settings::{Kind, Passthrough, Settings},
    source::{Known, Source},
    spare::Bench,
    templates::render,
    uri::{Piece, escape, unescaped},
    view::{Rendered, values},
};
use crate::{
    Context, Outbound,
    headers::{forward_as_http_api, is_dropped, is_signature},
};

/// By which a client asks for another method than that of its request (row 65).
const METHOD_OVERRIDE: &str = "X-HTTP-Method-Override";

/// What a variable of the URI is: the route's own where it is mapped as it came, else what a mapping says of it.
pub(super) fn piece(name: &str, settings: &Settings, mappings: &Mappings) -> Result<Piece, String> {
    if let Some((_, source)) = mappings.path.iter().find(|(known, _)| **known == *name) {
        return Ok(match source {
            Source::Path(place) => Piece::Variable(*place, name.into()),
            _ => Piece::Mapped(name.into()),
        });
    }
    let own = settings.variables.iter().position(|variable| variable == name);
    match own {
        Some(place) if settings.is_http_api => Ok(Piece::Variable(place, name.into())),
        _ if settings.is_http_api => {
            Err(format!("the URI names `{{{name}}}`, which is no variable of the route"))
        }
        _ => Err(format!(
            "the URI names `{{{name}}}`, which nothing is mapped to: map `integration.request.path.{name}`"
        )),
    }
}

impl Mappings {
    /// Whether nothing is mapped but variables of the URI from those of the route, which need no mapping.
    pub(super) fn is_empty_but_path(&self) -> bool {
        let is_own = |(_, source): &(Box<str>, Source)| matches!(source, Source::Path(_));
        self.maps_only_path() && self.path.iter().all(is_own)
    }
}

impl Declared {
    /// Makes the request the backend's, or answers it.
    pub(super) fn put(&self, request: &mut Request, cx: &mut Context<'_>) -> Result<Outbound, Reason> {
        let settings = &self.settings;
        if self.is_plain {
            let upstream = settings.upstream.ok_or(Reason::ApiConfiguration)?;
            self.set_method(request);
            self.set_target(request, cx.params, &Mapped::default())?;
            self.forward(request, cx);
            return Ok(Outbound::Call(upstream));
        }
        self.drop_headers(request);
        let mut bench = cx.spare.take();
        let mut memory = self.remembers.then(|| bench.memory());
        memory.iter_mut().for_each(|memory| memory.fill(request, &settings.variables, cx));
        let outcome = self.put_worked_on(request, memory.as_deref_mut(), &mut bench, cx);
        match (memory, &outcome) {
            (Some(memory), Ok(Outbound::Call(_))) => *cx.state = Some(memory),
            (Some(memory), _) => bench.keep(memory),
            (None, _) => {}
        }
        cx.spare.put(bench);
        outcome
    }

    fn put_worked_on(
        &self,
        request: &mut Request,
        mut memory: Option<&mut Memory>,
        bench: &mut Bench,
        cx: &mut Context<'_>,
    ) -> Result<Outbound, Reason> {
        let settings = &self.settings;
        let body = whole(&request.body);
        let working = (&mut bench.output, &mut cx.spare.bodies);
        let sent = self.body(request, &body, memory.as_deref_mut(), working)?;
        if settings.kind == Kind::Mock {
            return self.mock(&sent, memory, bench, cx);
        }
        let upstream = settings.upstream.ok_or(Reason::ApiConfiguration)?;
        {
            let values = values(request, &settings.place, cx);
            let known = Known {
                target: Some(&request.target),
                params: cx.params,
                headers: &request.headers,
                host: request.authority.as_str(),
                body: &body,
                values: Some(&values),
            };
            let overrides = memory.map(|memory| &memory.overrides);
            self.mappings.apply(&known, overrides, &mut bench.mapped, &mut bench.value)?;
        }
        self.set_method(request);
        self.set_target(request, cx.params, &bench.mapped)?;
        // A name that an attacker chose would end up in the backend's links and logs: what is no host is not told to anybody.
        request.tell_host(bench.mapped.host()?).map_err(|_| Reason::BadRequest)?;
        match settings.kind {
            Kind::HttpProxy => self.forward(request, cx),
            Kind::Http | Kind::Mock => {
                let content_type = self.content_type(&request.headers, &request.body, &sent);
                request.headers.clear();
                if let Some(content_type) = content_type {
                    request.headers.push_known(Name::ContentType, "Content-Type", &content_type);
                }
            }
        }
        bench.mapped.set_headers(&mut request.headers);
        if settings.kind == Kind::Http {
            self.rest.introduce(&mut request.headers, cx);
        }
        if let Sent::Whole { body, .. } = sent {
            request.body = if body.is_empty() { Body::Empty } else { Body::Whole(body) };
        }
        Ok(Outbound::Call(upstream))
    }

    /// Takes away what no template or mapping is to see (row 64).
    pub(super) fn drop_headers(&self, request: &mut Request) {
        if !self.settings.is_http_api {
            request.headers.retain(|field| match field.name {
                Name::Server => false,
                Name::Authorization => !is_signature(field.value),
                Name::Other => !is_dropped(field.text),
                _ => true,
            });
        }
    }

    /// The body that is sent: converted, rendered, passed through, or refused.
    fn body<'a>(
        &'a self,
        request: &Request,
        body: &Bytes,
        memory: Option<&mut Memory>,
        working: (&mut Output, &mut Bodies),
    ) -> Result<Sent<'a>, Reason> {
        Ok(match self.choose(request, body)? {
            Chosen::AsItComes(_) => Sent::AsItComes,
            Chosen::Converted(body, _) => Sent::Whole { body, content_type: None },
            Chosen::Template { content_type, template, body } => {
                let memory = memory.ok_or(Reason::ApiConfiguration)?;
                let Settings { place, stage_variables, .. } = &self.settings;
                let inputs = Rendered { view: &memory.view, body: &body, place, stage_variables };
                let body = render(template, &inputs, &mut memory.overrides, true, working)?;
                Sent::Whole { body, content_type: Some(content_type) }
            }
        })
    }

    /// What becomes of a request's body (row 117).
    pub(super) fn choose(&self, request: &Request, body: &Bytes) -> Result<Chosen<'_>, Reason> {
        let settings = &self.settings;
        // What a proxy is sent passes whatever is said of bodies without a template.
        let passes = settings.kind == Kind::HttpProxy || settings.passthrough != Passthrough::Never;
        if !self.reads_body && self.templates.is_empty() && passes {
            return Ok(Chosen::AsItComes(NO_TEMPLATES));
        }
        let media_type = media_type(request.headers.get(Name::ContentType));
        let conversion =
            content::of_request(is_binary(&settings.binary_media_types, media_type), settings.handling);
        let (body, is_text) = conversion.apply(body.clone()).map_err(|_| Reason::ApiConfiguration)?;
        if settings.kind == Kind::HttpProxy {
            return Ok(Chosen::Converted(body, "a proxy has no templates"));
        }
        if let Some((content_type, template)) = self.templates.for_request(media_type) {
            let chosen = Chosen::Template { content_type, template, body };
            return if is_text { Ok(chosen) } else { Err(Reason::ApiConfiguration) };
        }
        let why = match settings.passthrough {
            _ if self.templates.is_empty() && settings.passthrough != Passthrough::Never => NO_TEMPLATES,
            Passthrough::WhenNoMatch => "no template is for its content type: it passes, WHEN_NO_MATCH",
            Passthrough::WhenNoTemplates | Passthrough::Never => return Err(Reason::UnsupportedMediaType),
        };
        Ok(if self.reads_body { Chosen::Converted(body, why) } else { Chosen::AsItComes(why) })
    }

    /// A mock's status is what its template says (row 57); its body is nobody's.
    fn mock(
        &self,
        sent: &Sent<'_>,
        memory: Option<&mut Memory>,
        bench: &mut Bench,
        cx: &mut Context<'_>,
    ) -> Result<Outbound, Reason> {
        let text = match sent {
            Sent::Whole { body, .. } => std::str::from_utf8(body).unwrap_or_default(),
            Sent::AsItComes => "",
        };
        cx.response.status = status_code(text).ok_or(Reason::ApiConfiguration)?;
        self.answers.write(cx.response, memory, &self.settings, (bench, &mut cx.spare.bodies))?;
        Ok(Outbound::Answer)
    }

    /// The client's own header asks for another method (row 65), the integration for one of its own (row 43).
    fn set_method(&self, request: &mut Request) {
        let settings = &self.settings;
        let asked = if settings.is_http_api { None } else { request.headers.find(METHOD_OVERRIDE) };
        if let Some(asked) = asked {
            let method = octets::is_token(asked).then(|| Method::from_token(asked.to_ascii_uppercase()));
            request.headers.remove(METHOD_OVERRIDE);
            if let Some(method) = method {
                request.method = method;
                return;
            }
        }
        if let Some(own) = settings.http_method.as_deref().filter(|own| *own != "ANY") {
            request.method = Method::from_token(own);
        }
    }

    /// Path and query of the URI, filled; what a proxy's client asks behind that, and what is mapped behind all.
    fn set_target(
        &self,
        request: &mut Request,
        params: &[(u32, u32)],
        mapped: &Mapped,
    ) -> Result<(), Reason> {
        let passes_query = self.settings.kind == Kind::HttpProxy;
        let mut climbs = false;
        // What a variable holds was checked once; an escaped slash that was let in stays as it is.
        let rules = PathRules { merge_slashes: false, encoded_slashes: true };
        let done = request.target.rewrite(rules, |path, query, out| {
            let mut has_query = false;
            for piece in &self.target {
                match piece {
                    Piece::Text(text) => {
                        out.push_str(text);
                        has_query |= text.contains('?');
                    }
                    Piece::Variable(place, name) if mapped.of_path(name).is_none() => {
                        let range = params.get(*place).map(|(from, to)| *from as usize..*to as usize);
                        let value = range.and_then(|range| path.get(range)).unwrap_or_default();
                        if has_query {
                            unescaped(value, false, |value| escape(out, value));
                        } else {
                            out.push_str(value);
                        }
                    }
                    Piece::Variable(_, name) | Piece::Mapped(name) => {
                        for (number, value) in mapped.of_path(name).into_iter().flatten().enumerate() {
                            if number > 0 {
                                escape(out, ",");
                            }
                            escape(out, value);
                        }
                    }
                }
            }
            let written = out.split('?').next().unwrap_or_default();
            climbs = written.split('/').any(|segment| matches!(segment, "." | ".."));
            let mut add = |out: &mut String| {
                out.push(if has_query { '&' } else { '?' });
                has_query = true;
            };
            if let Some(query) = query.filter(|query| passes_query && !query.is_empty()) {
                add(out);
                out.push_str(query);
            }
            for (name, values) in mapped.query.iter() {
                for value in values {
                    add(out);
                    escape(out, name);
                    out.push('=');
                    escape(out, value);
                }
            }
        });
        if climbs || done.is_err() { Err(Reason::BadRequest) } else { Ok(()) }
    }

    /// A proxy's headers.
    fn forward(&self, request: &mut Request, cx: &Context<'_>) {
        if self.settings.is_http_api {
            forward_as_http_api(request, cx);
        } else {
            self.rest.forward(request, cx);
        }
    }

    /// The type of a body that is sent, if there is one.
    fn content_type(&self, headers: &Headers, own: &Body, sent: &Sent<'_>) -> Option<SmallVec<[u8; 128]>> {
        let (is_empty, of_template) = match sent {
            Sent::Whole { body, content_type } => (body.is_empty(), *content_type),
            Sent::AsItComes => (*own == Body::Empty, None),
        };
        let own = || headers.get(Name::ContentType).unwrap_or(JSON.as_bytes());
        (!is_empty).then(|| SmallVec::from_slice(of_template.map_or_else(own, str::as_bytes)))
    }
}

/// A body that is at hand.
pub(super) fn whole(body: &Body) -> Bytes {
    match body {
        Body::Whole(bytes) => bytes.clone(),
        Body::Empty | Body::Stream(_) => Bytes::new(),
    }
}

const NO_TEMPLATES: &str = "there are no templates: it passes";

/// What becomes of a request's body; where it passes, why.
pub(super) enum Chosen<'a> {
    /// It goes on unread.
    AsItComes(&'static str),
    /// It goes on, converted if it is to be.
    Converted(Bytes, &'static str),
    /// A template takes its place.
    Template { content_type: &'a str, template: &'a Template, body: Bytes },
}

/// What is sent behind the head.
enum Sent<'a> {
    /// The client's body, unread.
    AsItComes,
    /// A body, and the content type of the template that made it.
    Whole { body: Bytes, content_type: Option<&'a str> },
}

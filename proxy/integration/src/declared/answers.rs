//! Integration responses: which one takes a backend's answer, and what it makes of it (rows 120 to 122, 124).

use bytes::Bytes;
use message::{Bodies, Body, Name, Reason, Request, Response, octets};
use smallvec::SmallVec;
use template::{NamedValues, Overrides};

use super::{
    content::{self, JSON, is_binary, media_type},
    mapping::{field_value, put_over, read},
    selections::{STATUSES, Selections},
    settings::{self, Found, Handling, Settings},
    source::{Known, Scope, Source},
    spare::Bench,
    templates::{Chosen, Templates, render},
    view::{Rendered, View},
};
use crate::Context;

/// What becomes of answers, by status.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    /// Of each status from 100 to 599 the place of what takes it in `entries`; [`NONE`] where nothing does. Patterns are
    /// tried when they are compiled, so that no request waits for one.
    by_status: Box<[u8]>,
    entries: Vec<Entry>,
    binary_media_types: Vec<String>,
}

/// One integration response.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    status: u16,
    headers: Vec<(Box<str>, Source)>,
    pub(super) templates: Templates,
    handling: Option<Handling>,
}

/// What is remembered of a request for its answer. Its memory is used for one request after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// The last `Accept`, without parameters: templates are chosen by it.
    accept: Option<Text>,
    /// The first media type that the client accepts.
    accepts_first: Option<Text>,
    pub(super) overrides: Overrides,
    pub(super) view: View,
}

/// The usual ones need no memory of their own.
type Text = SmallVec<[u8; 128]>;

impl Memory {
    /// Remembers a request, in place of another.
    pub(super) fn fill(&mut self, request: &Request, variables: &[String], cx: &Context<'_>) {
        let first = |value: &[u8], is_end: fn(&u8) -> bool| {
            Text::from_slice(value.split(is_end).next().unwrap_or_default().trim_ascii())
        };
        let last_accept = request.headers.find_all("accept").last();
        self.accept = last_accept.map(|accept| first(accept, |byte| *byte == b';'));
        let accepts = request.headers.get(Name::Accept);
        self.accepts_first = accepts.map(|accept| first(accept, |byte| matches!(byte, b',' | b';')));
        self.overrides.clear();
        self.view.fill(request, variables, cx);
    }

    /// What the client accepts, last and first.
    pub(super) fn accepts(&self) -> (Option<&str>, Option<&str>) {
        fn text(text: &Option<Text>) -> Option<&str> {
            text.as_deref().map(|text| std::str::from_utf8(text).unwrap_or_default())
        }
        (text(&self.accept), text(&self.accepts_first))
    }

    /// The memory that it keeps, in bytes.
    pub(super) fn kept_bytes(&self) -> usize {
        size_of::<Self>() + self.overrides.kept_bytes() + self.view.kept_bytes()
    }
}

const NONE: u8 = u8::MAX;

/// Names under which a backend's answer may say nothing in ours (row 64).
const REMAPPED: [&str; 14] = [
    "authorization",
    "connection",
    "content-length",
    "content-md5",
    "date",
    "expect",
    "host",
    "max-forwards",
    "proxy-authenticate",
    "server",
    "trailer",
    "upgrade",
    "user-agent",
    "www-authenticate",
];

/// Names that frame a message.
const FRAMING: [&str; 4] = ["keep-alive", "proxy-connection", "te", "transfer-encoding"];

impl Answers {
    pub(super) fn compile(
        settings: &Settings,
        templates: &template::Settings,
        selections: &mut Selections,
        found: &mut Found,
    ) -> Self {
        let mut by_status = vec![NONE; STATUSES.len()].into_boxed_slice();
        let mut default = NONE;
        let mut entries = Vec::with_capacity(settings.responses.len());
        for (response, place) in settings.responses.iter().zip(0..NONE) {
            let key = format!("responses[{place}]");
            match response.pattern.as_deref().filter(|pattern| !pattern.is_empty()) {
                None if default == NONE => default = place,
                None => {
                    found.mistake(&key, "another response has no selection pattern: one takes what is left")
                }
                Some(pattern) => match selections.taken_by(pattern) {
                    Ok(selected) => take(&mut by_status, &selected, place),
                    Err(why) => found.mistake(format!("{key}.selection_pattern"), why),
                },
            }
            entries.push(Entry::compile(response, settings, templates, &key, found));
        }
        if settings.responses.len() > usize::from(NONE) {
            found.mistake("responses", format!("an integration has at most {NONE} responses"));
        }
        by_status.iter_mut().filter(|place| **place == NONE).for_each(|place| *place = default);
        Self { by_status, entries, binary_media_types: settings.binary_media_types.clone() }
    }

    /// Whether an answer's body must be whole.
    pub(super) fn reads_body(&self) -> bool {
        !self.binary_media_types.is_empty()
            || self.entries.iter().any(|entry| {
                let reads_body = entry.headers.iter().any(|(_, source)| source.reads_body());
                reads_body || entry.handling.is_some() || !entry.templates.is_empty()
            })
    }

    /// Whether what is known of the request is asked for.
    pub(super) fn remembers(&self) -> bool {
        !self.binary_media_types.is_empty()
            || self.entries.iter().any(|entry| {
                let asks = entry.headers.iter().any(|(_, source)| matches!(source, Source::Context(_)));
                asks || !entry.templates.is_empty()
            })
    }

    /// Makes a backend's answer the client's.
    pub(super) fn write(
        &self,
        response: &mut Response,
        mut memory: Option<&mut Memory>,
        settings: &Settings,
        (bench, bodies): (&mut Bench, &mut Bodies),
    ) -> Result<(), Reason> {
        let (_, entry) = self.taker(response.status).ok_or(Reason::ApiConfiguration)?;
        let Bench { output, taken, text, value, .. } = bench;
        let whole = whole(&response.body);
        entry.take(
            response,
            whole.as_ref(),
            memory.as_deref().map(|it| &it.view),
            settings,
            (taken, value),
        )?;
        // It is made of what this reads, and takes its place.
        let own_type = response.headers.get(Name::ContentType).map(SmallVec::<[u8; 128]>::from_slice);
        let mut content_type = None;
        if let Some(body) = whole {
            let accepts = memory.as_deref().map_or((None, None), Memory::accepts);
            let (mut body, template) = self.choose(entry, body, own_type.as_deref(), accepts)?;
            if let (Some((chosen, template)), Some(Memory { view, overrides, .. })) =
                (template, memory.as_deref_mut())
            {
                let Settings { place, stage_variables, .. } = settings;
                let inputs = Rendered { view, body: &body, place, stage_variables };
                body = render(template, &inputs, overrides, false, (output, bodies))?;
                content_type = Some(chosen.as_bytes());
            }
            response.body = if body.is_empty() { Body::Empty } else { Body::Whole(body) };
        }
        let overrides = memory.map(|memory| &memory.overrides);
        if let Some(overrides) = overrides {
            put_over(taken, &overrides.response_headers, str::eq_ignore_ascii_case);
        }
        // A head that is to be followed by another one is no answer.
        let status = overrides.and_then(|it| it.response_status).filter(|status| *status >= 200);
        response.status = status.unwrap_or(entry.status);
        if matches!(response.status, 204 | 205 | 304) {
            response.body = Body::Empty;
        }
        response.headers.clear();
        push(response, taken, text);
        if response.headers.get(Name::ContentType).is_none() {
            let content_type = content_type.or(own_type.as_deref()).unwrap_or(JSON.as_bytes());
            response.headers.push_known(Name::ContentType, "Content-Type", content_type);
        }
        Ok(())
    }
}

impl Answers {
    /// What takes an answer with this status, and its place.
    pub(super) fn taker(&self, status: u16) -> Option<(usize, &Entry)> {
        let at = STATUSES.contains(&status).then(|| usize::from(status - STATUSES.start))?;
        let place = usize::from(*self.by_status.get(at)?);
        Some((place, self.entries.get(place)?))
    }

    /// A body as it is to be, and the template that takes its place, if one does (rows 122, 124). `accepts`: what the client does,
    /// last and first.
    pub(super) fn choose<'a>(
        &self,
        entry: &'a Entry,
        body: Bytes,
        content_type: Option<&[u8]>,
        (accept, accepts_first): (Option<&str>, Option<&str>),
    ) -> Result<(Bytes, Option<Chosen<'a>>), Reason> {
        let is_binary = |media_type| is_binary(&self.binary_media_types, media_type);
        let of_backend = is_binary(media_type(content_type));
        let accepts_binary = accepts_first.is_some_and(is_binary);
        let conversion = content::of_response(of_backend, accepts_binary, entry.handling);
        let (body, is_text) = conversion.apply(body).map_err(|_| Reason::ApiConfiguration)?;
        match entry.templates.for_response(accept) {
            Some(_) if !is_text => Err(Reason::ApiConfiguration),
            template => Ok((body, template)),
        }
    }
}

/// A body, if it is at hand.
pub(super) fn whole(body: &Body) -> Option<Bytes> {
    match body {
        Body::Whole(bytes) => Some(bytes.clone()),
        Body::Empty => Some(Bytes::new()),
        Body::Stream(_) => None,
    }
}

fn take(by_status: &mut [u8], selected: &[bool], place: u8) {
    for (taken, _) in by_status.iter_mut().zip(selected).filter(|(taken, is)| **is && **taken == NONE) {
        *taken = place;
    }
}

fn push(response: &mut Response, headers: &NamedValues, renamed: &mut String) {
    for (name, values) in headers.iter() {
        let is_one_of = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        if is_one_of(&FRAMING) || !octets::is_token(name.as_bytes()) {
            continue;
        }
        renamed.clear();
        if is_one_of(&REMAPPED) {
            renamed.push_str("x-amzn-Remapped-");
        }
        renamed.push_str(name);
        for value in values {
            response.headers.push_with(renamed, |out| out.extend(field_value(value)));
        }
    }
}

impl Entry {
    fn compile(
        response: &settings::Response,
        settings: &Settings,
        templates: &template::Settings,
        key: &str,
        found: &mut Found,
    ) -> Self {
        let scope = Scope { stage_variables: &settings.stage_variables, request: None };
        let mut headers = Vec::with_capacity(response.parameters.len());
        for (destination, source) in &response.parameters {
            let key = format!("{key}.parameters.{destination}");
            let name = destination.strip_prefix("method.response.header.");
            let Some(name) = name.filter(|name| octets::is_token(name.as_bytes())) else {
                found.mistake(key, "the destination of a mapping of answers is method.response.header.X");
                continue;
            };
            if !response.declared.iter().any(|declared| declared.eq_ignore_ascii_case(name)) {
                let status = response.status;
                found.mistake(
                    key,
                    format!("`{name}` is no header of the method's response {status}: declare it there"),
                );
                continue;
            }
            match Source::parse(source, &scope) {
                Ok(source) => headers.push((name.into(), source)),
                Err(why) => found.mistake(key, why),
            }
        }
        let templates =
            Templates::compile(&response.templates, &format!("{key}.templates"), templates, found);
        Self { status: response.status, headers, templates, handling: response.handling }
    }

    /// Looks up what the answer's fields are mapped from, in place of what was taken before. `value` is memory to work in.
    fn take(
        &self,
        response: &Response,
        body: Option<&Bytes>,
        view: Option<&View>,
        settings: &Settings,
        (taken, value): (&mut NamedValues, &mut Vec<u8>),
    ) -> Result<(), Reason> {
        let (empty, values) = (Bytes::new(), view.map(|view| view.values(&settings.place)));
        let known = Known {
            target: None,
            params: &[],
            headers: &response.headers,
            host: "",
            body: body.unwrap_or(&empty),
            values: values.as_ref(),
        };
        taken.clear();
        // What a backend says is not the client's fault.
        read(&self.headers, &known, taken, value).map_err(|_| Reason::ApiConfiguration)
    }
}

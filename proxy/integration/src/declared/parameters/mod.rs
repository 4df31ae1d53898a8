//! Parameter mapping of HTTP APIs (row 123): `append`, `overwrite` and `remove` of headers and query parameters, the path, the
//! status; before the backend sees a request, and by its status before the client sees its answer. It goes around an
//! integration and knows nothing of what that does.

mod step;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use message::{Body, PathRules, Reason, Request, Response};

use super::{
    Declared, Mistake,
    answers::Memory,
    mapping::field_value,
    settings::Settings,
    source::Known,
    spare::Bench,
    uri::{escape, unescaped},
    view::values,
};
use crate::{Context, Integration, Outbound, Preview, ReadContext};
use step::{Action, Place, Side, Step};

/// How much of a body a JSONPath looks at (row 123).
const LOOKED_AT_BYTES: usize = 100 << 10;

/// An integration of an HTTP API and what is mapped around it.
#[derive(Clone, Debug)]
pub struct Parameters {
    declared: Declared,
    settings: Settings,
    request: Vec<Step>,
    /// By the backend's status.
    responses: Vec<(u16, Vec<Step>)>,
    /// An answer is told something of its request.
    remembers: bool,
}

impl Parameters {
    /// Compiles the mappings around an integration: destination and value, those of answers by the backend's status.
    ///
    /// # Errors
    /// Every mistake.
    pub fn new(
        declared: Declared,
        request: &[(String, String)],
        responses: &[(u16, Vec<(String, String)>)],
    ) -> Result<Self, Vec<Mistake>> {
        let (settings, mut mistakes) = (declared.settings.clone(), Vec::new());
        let mut steps = |pairs: &[(String, String)], side: Side, key: &str| -> Vec<Step> {
            let step = |(to, value): &(String, String)| {
                let step = Step::parse(to, value, side, &settings);
                step.map_err(|why| mistakes.push(Mistake { key: format!("{key}.{to}"), why })).ok()
            };
            pairs.iter().filter_map(step).collect()
        };
        let request = steps(request, Side::Request, "request_parameters");
        let responses: Vec<_> = responses
            .iter()
            .map(|(status, pairs)| {
                (*status, steps(pairs, Side::Response, &format!("response_parameters.{status}")))
            })
            .collect();
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let remembers = responses.iter().flat_map(|(_, steps)| steps).any(Step::asks_for_context);
        Ok(Self { declared, settings, request, responses, remembers })
    }
}

impl Integration for Parameters {
    fn prepare(&self, request: &mut Request, cx: &mut Context<'_>) -> Outbound {
        // What a mapping takes is what the client sent.
        let mut bench = cx.spare.take();
        {
            let values = values(request, &self.settings.place, cx);
            let body = whole(&request.body);
            let known = Known {
                target: Some(&request.target),
                params: cx.params,
                headers: &request.headers,
                host: request.authority.as_str(),
                body: &body,
                values: Some(&values),
            };
            take(&self.request, &known, &mut bench);
        }
        let mut memory = self.remembers.then(|| bench.memory());
        memory.iter_mut().for_each(|memory| memory.fill(request, &self.settings.variables, cx));
        let taken = std::mem::take(&mut bench.taken);
        cx.spare.put(bench);
        let mut outbound = self.declared.prepare(request, cx);
        if let Outbound::Call(_) = outbound {
            for (step, (_, mut values)) in self.request.iter().zip(taken.iter()) {
                if let Err(reason) = put(request, step, values.next()) {
                    outbound = Outbound::Refuse(reason);
                    break;
                }
            }
        }
        let mut bench = cx.spare.take();
        bench.taken = taken;
        match (memory, &outbound) {
            (Some(memory), Outbound::Call(_)) => *cx.state = Some(memory),
            (Some(memory), _) => bench.keep(memory),
            (None, _) => {}
        }
        cx.spare.put(bench);
        outbound
    }

    fn kind(&self) -> &'static str {
        self.declared.kind()
    }

    fn preview(&self, request: &Request, cx: &Context<'_>) -> Vec<Preview> {
        self.declared.preview(request, cx)
    }

    fn read(&self, response: &mut Response, cx: &mut ReadContext<'_>) -> Result<(), Reason> {
        self.declared.read(response, cx)?;
        let steps = self.responses.iter().find(|(status, _)| *status == response.status);
        let Some((_, steps)) = steps else { return Ok(()) };
        let mut bench = cx.spare.take();
        {
            let memory = cx.state.as_ref().and_then(|state| state.downcast_ref::<Memory>());
            let values = memory.map(|memory| memory.view.values(&self.settings.place));
            let body = whole(&response.body);
            let known = Known {
                target: None,
                params: &[],
                headers: &response.headers,
                host: "",
                body: &body,
                values: values.as_ref(),
            };
            take(steps, &known, &mut bench);
        }
        for (step, (_, mut values)) in steps.iter().zip(bench.taken.iter()) {
            let value = values.next();
            match (&step.place, step.action, value) {
                (Place::Header(name), Action::Remove, _) => {
                    response.headers.remove(name);
                }
                (Place::Header(name), Action::Append, Some(value)) => {
                    response.headers.push_with(name, |out| out.extend(field_value(value)));
                }
                (Place::Header(name), Action::Overwrite, Some(value)) => {
                    response.headers.remove(name);
                    response.headers.push_with(name, |out| out.extend(field_value(value)));
                }
                (Place::StatusCode, _, Some(value)) => {
                    let status = value.parse::<u16>().ok().filter(|status| (200..600).contains(status));
                    response.status = status.unwrap_or(response.status);
                }
                // The compiler lets nothing else into an answer.
                _ => {}
            }
        }
        cx.spare.put(bench);
        Ok(())
    }

    fn request_body_max(&self) -> Option<u64> {
        let reads = self.request.iter().any(Step::reads_body);
        self.declared.request_body_max().or_else(|| reads.then_some(self.settings.body_bytes_max))
    }

    fn response_body_max(&self) -> Option<u64> {
        let reads = self.responses.iter().flat_map(|(_, steps)| steps).any(Step::reads_body);
        self.declared.response_body_max().or_else(|| reads.then_some(self.settings.body_bytes_max))
    }

    fn timeout_ns(&self) -> Option<u64> {
        self.declared.timeout_ns()
    }
}

/// What of a body is looked at; nothing of one that streams, since no mapping asked for it.
fn whole(body: &Body) -> Bytes {
    match body {
        Body::Whole(bytes) => bytes.slice(..bytes.len().min(LOOKED_AT_BYTES)),
        Body::Empty | Body::Stream(_) => Bytes::new(),
    }
}

/// What the steps come to, each of them: one value or none.
fn take(steps: &[Step], known: &Known<'_>, bench: &mut Bench) {
    let Bench { taken, text, value, .. } = bench;
    taken.clear();
    for step in steps {
        let mut written = taken.add("");
        if step.value(known, value, text) {
            written.value(text);
        }
    }
}

fn put(request: &mut Request, step: &Step, value: Option<&str>) -> Result<(), Reason> {
    match (&step.place, step.action, value) {
        (Place::Header(name), Action::Remove, _) => {
            request.headers.remove(name);
        }
        (Place::Header(name), Action::Append, Some(value)) => {
            request.headers.push_with(name, |out| out.extend(field_value(value)));
        }
        (Place::Header(name), Action::Overwrite, Some(value)) => {
            request.headers.remove(name);
            request.headers.push_with(name, |out| out.extend(field_value(value)));
        }
        (Place::Query(name), action, value) => return query(request, name, action, value),
        (Place::Path, _, Some(value)) => return path(request, value),
        // What is not there is not mapped.
        (Place::Header(_) | Place::Path | Place::StatusCode, ..) => {}
    }
    Ok(())
}

/// What a client escaped stays so.
const AS_IT_IS: PathRules = PathRules { merge_slashes: false, encoded_slashes: true };

fn query(request: &mut Request, name: &str, action: Action, value: Option<&str>) -> Result<(), Reason> {
    if value.is_none() && action != Action::Remove {
        return Ok(());
    }
    let done = request.target.rewrite(AS_IT_IS, |path, query, out| {
        out.push_str(path);
        let mut separator = '?';
        let is_own =
            |pair: &str| unescaped(pair.split('=').next().unwrap_or_default(), true, |own| own == name);
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        for pair in pairs.filter(|pair| action == Action::Append || !is_own(pair)) {
            out.push(std::mem::replace(&mut separator, '&'));
            out.push_str(pair);
        }
        if let Some(value) = value.filter(|_| action != Action::Remove) {
            out.push(separator);
            escape(out, name);
            out.push('=');
            escape(out, value);
        }
    });
    done.map_err(|_| Reason::BadRequest)
}

/// A path that a mapping makes: what may stand in one stays, all else is escaped. One that climbs is refused.
fn path(request: &mut Request, value: &str) -> Result<(), Reason> {
    let path = value.split('?').next().unwrap_or_default();
    if path.split('/').any(|segment| unescaped(segment, false, |it| matches!(it, "." | ".."))) {
        return Err(Reason::BadRequest);
    }
    let done = request.target.rewrite(AS_IT_IS, |_, query, out| {
        if !path.starts_with('/') {
            out.push('/');
        }
        for (at, segment) in path.split('/').enumerate() {
            if at > 0 {
                out.push('/');
            }
            unescaped(segment, false, |segment| escape(out, segment));
        }
        if let Some(query) = query {
            out.push('?');
            out.push_str(query);
        }
    });
    done.map_err(|_| Reason::BadRequest)
}

//! What is told of a request: from the snapshot that would serve it, from the model for where things were written, and from what was
//! said while the request passed.

use integration::{Fate, Preview, Whose};
use message::{Body, Dialect, Reason, Request, RequestId, Response, ResponseType};
use model::{Model, Origin};
use router::{Elsewhere, WhyNot};
use snapshot::{Api, Canary, Missed, Route, Snapshot, Stage};

use super::{
    offline::{Outcome, Sent, Trace},
    sample::Sample,
};

/// Everything that is told of one request.
#[derive(Debug, Default)]
pub(super) struct Explanation {
    pub(super) asked: String,
    pub(super) notes: Vec<String>,
    pub(super) listener: String,
    /// Where the host and the base path lead.
    pub(super) place: Option<Said>,
    pub(super) api: Option<Said>,
    pub(super) stage: Option<Said>,
    pub(super) deployment: Option<String>,
    pub(super) is_canary: bool,
    pub(super) variables: Vec<(String, String)>,
    /// What is matched, authorised, cached and forwarded.
    pub(super) target: Option<String>,
    pub(super) route: Option<Said>,
    /// The values of the route's variables.
    pub(super) params: Vec<(String, String)>,
    /// Nearest first.
    pub(super) others: Vec<(Said, String)>,
    /// How many more there are.
    pub(super) others_left: usize,
    pub(super) steps: Vec<Step>,
    pub(super) integration: Option<Integration>,
    pub(super) bodies: Vec<(Preview, Option<Origin>)>,
    pub(super) sent: Option<Forwarded>,
    pub(super) answer: Option<Answer>,
}

/// Something, and where it was written.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) what: String,
    pub(super) origin: Option<Origin>,
}

/// Something that is asked on the way, and what it says.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) kind: &'static str,
    pub(super) asks: Vec<Said>,
    /// Empty: it was not asked.
    pub(super) says: Vec<String>,
}

/// What answers the route.
#[derive(Debug)]
pub(super) struct Integration {
    pub(super) kind: &'static str,
    pub(super) origin: Option<Origin>,
    pub(super) timeout_ms: Option<u64>,
}

/// What a backend would have been sent.
#[derive(Debug)]
pub(super) struct Forwarded {
    pub(super) upstream: String,
    /// Scheme, host and port of each of its backends.
    pub(super) backends: Vec<String>,
    pub(super) http2: bool,
    pub(super) head: String,
    pub(super) body: String,
    pub(super) connect_timeout_ms: u64,
    pub(super) first_byte_timeout_ms: u64,
}

/// What the client is told.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Why the gateway answers, by its names in metrics and in gateway responses; `None`: it does not, or was configured to.
    pub(super) reason: Option<(&'static str, &'static str)>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

/// Whom it is told of.
#[derive(Clone, Copy)]
pub(super) struct Of<'a> {
    pub(super) model: &'a Model,
    pub(super) sample: &'a Sample,
    pub(super) id: RequestId,
    /// How many others are told.
    pub(super) others_max: usize,
}

/// What is told with.
pub(super) struct Teller<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) of: Of<'a>,
}

impl Teller<'_> {
    /// What is known before anything is asked.
    pub(super) fn begin(&self) -> Explanation {
        let Sample { listener, note, method, url, .. } = self.of.sample;
        let (at, of_model) = (&self.snapshot.listeners[*listener], self.of.model.listeners.get(*listener));
        let tls = if at.tls.is_some() { "TLS" } else { "no TLS" };
        let place = of_model.and_then(|it| it.origin.as_ref()).map(|it| format!(", {}", written(it)));
        Explanation {
            asked: format!("{method} {url}"),
            notes: note.iter().cloned().collect(),
            listener: format!("`{}`, {}, {tls}{}", at.name, at.address, place.unwrap_or_default()),
            ..Explanation::default()
        }
    }

    /// Where a request goes; the slot of its route.
    pub(super) fn way(&self, request: &Request, told: &mut Explanation) -> Option<u32> {
        let (host, path) = (request.authority.host(), request.target.path());
        let place = self.place(request, told);
        told.place = Some(place);
        let mut stripped = request.clone();
        let found = match self.snapshot.find(&mut stripped, self.of.id) {
            Ok(found) => found,
            Err(Missed::Healthy) => {
                told.notes.push(format!("`{host}` answers health checks by itself (row 8)"));
                return None;
            }
            Err(Missed::Refused { api, reason, .. }) => {
                told.api = api.map(|api| self.api(api));
                match (api, &reason) {
                    (Some(api), Reason::NoStage) => {
                        let names: Vec<_> =
                            api.stages.iter().map(|stage| format!("`{}`", stage.name)).collect();
                        let names = names.join(", ");
                        told.notes.push(format!("`{path}` names no stage of the API: it has {names}"));
                    }
                    (Some(_), Reason::EndpointDisabled) => {
                        told.notes.push("the API's default endpoint is disabled".to_owned());
                    }
                    (Some(api), Reason::EndpointAccess) => told.notes.push(format!(
                        "`{}` is strict, and the domain's endpoint is of another type (row 13)",
                        api.name
                    )),
                    _ => {}
                }
                return None;
            }
        };
        told.api = Some(self.api(found.api));
        self.stage(found.api, found.stage, told);
        if found.is_strict {
            let what = "the API or the domain is strict: the client's TLS name has to be";
            told.notes.push(format!("{what} `{host}` (row 13)"));
        }
        let target = &stripped.target;
        let query = target.query().map_or_else(String::new, |query| format!("?{query}"));
        let path = if target.path().is_empty() { "/" } else { target.path() };
        told.target = Some(format!("{path}{query}"));
        let candidates = found.stage.router.candidates(&request.method, target.path());
        told.others_left = candidates.len().saturating_sub(self.of.others_max);
        let candidates = candidates.iter().take(self.of.others_max);
        told.others.extend(candidates.map(|candidate| {
            let route = &found.stage.routes[candidate.route as usize];
            (self.route(route), why_not(candidate.why, &route.key, target.path()))
        }));
        let (route, matched) = found.route.ok()?;
        let value = |(from, to): &(u32, u32)| target.path().get(*from as usize..*to as usize);
        let values = matched.params.iter().map(|range| value(range).unwrap_or_default().to_owned());
        told.params = route.names.iter().cloned().zip(values).collect();
        told.route = Some(self.route(route));
        Some(route.slot)
    }

    /// What was said and what came of it.
    pub(super) fn end(
        &self,
        outcome: &Outcome<'_>,
        trace: &Trace,
        slot: Option<u32>,
        told: &mut Explanation,
    ) {
        let Outcome { served, response, sent } = outcome;
        let routed = slot.and_then(|slot| routes(self.snapshot).find(|(_, _, route)| route.slot == slot));
        let reached = served.as_ref().and_then(|served| served.api.zip(served.stage));
        if let Some((api, stage)) = reached.or(routed.map(|(api, stage, _)| (api, stage))) {
            told.steps.extend(self.cors(api, stage, outcome));
        }
        if let Some((_, stage, route)) = routed {
            steps(stage, route, trace, told);
            let responses = &route.origins.responses;
            told.bodies.extend(trace.previews().into_iter().map(|preview| {
                let origin = match &preview.whose {
                    Whose::Response { place: Some(place), .. } => responses.get(*place).cloned().flatten(),
                    Whose::Response { place: None, .. } | Whose::Request => None,
                };
                (preview, origin.or_else(|| route.origins.integration.clone()))
            }));
            told.integration = Some(Integration {
                kind: route.integration.kind(),
                origin: route.origins.integration.clone(),
                timeout_ms: route.integration.timeout_ns().map(milliseconds),
            });
        }
        told.sent = sent.as_ref().and_then(|sent| self.forwarded(sent));
        told.answer = served.as_ref().map(|served| {
            let reason = served.reason.as_ref();
            answer(response, reason.map(|it| (it.as_str(), ResponseType::of(it).as_str())))
        });
    }

    /// What a stage's CORS does before a route is asked and behind all of it.
    fn cors(&self, api: &Api, stage: &Stage, outcome: &Outcome<'_>) -> Option<Step> {
        stage.cors.as_ref()?;
        let of_model = self.of.model.apis.iter().find(|own| own.name == api.name);
        let of_stage = of_model.and_then(|own| own.stages.iter().find(|it| it.name == stage.name));
        let own = of_stage.and_then(|it| it.cors.as_ref());
        let own = own.or_else(|| of_model.and_then(|own| own.definition.cors.as_ref()));
        let what =
            "preflights that no route takes are answered, answers to other origins get headers".to_owned();
        let is_preflight =
            outcome.served.as_ref().is_some_and(|it| it.route.is_none() && it.reason.is_none());
        let says = if is_preflight { "answers the preflight" } else { "passes" };
        let asks = vec![Said { what, origin: own.and_then(|it| it.origin.clone()) }];
        Some(Step { kind: "cors", asks, says: vec![says.to_owned()] })
    }

    /// Which mapping, rule or default endpoint leads to an API; why not another, where none does.
    fn place(&self, request: &Request, told: &mut Explanation) -> Said {
        let (host, path) = (request.authority.host(), request.target.path());
        if let Some(reached) = self.snapshot.endpoints.find(host, path, &request.headers) {
            let by = if reached.bytes > 0 { "path" } else { "host" };
            return Said { what: format!("`{host}`: a default endpoint, by its {by}"), origin: None };
        }
        let entries = self.snapshot.mappings.entries(host, path, &request.headers);
        let named = |own: &Option<String>| own.clone().unwrap_or_else(|| "every host".to_owned());
        let shown = |entry: &router::Entry<'_, snapshot::Mapped>| {
            let base = if entry.base_path.is_empty() { "/" } else { entry.base_path };
            match entry.rule {
                Some(number) => format!("rule {number} of {}, `{base}`", named(&entry.host)),
                None => format!("the mapping of {}, `{base}`", named(&entry.host)),
            }
        };
        let mut taken = None;
        for entry in &entries {
            let Some(why) = entry.why else {
                taken =
                    Some(Said { what: format!("`{host}`: {}", shown(entry)), origin: self.written(entry) });
                continue;
            };
            // Where an API was found, the routes are what one wants to know of.
            if taken.is_some() || told.others.len() == self.of.others_max {
                told.others_left += usize::from(taken.is_none());
                continue;
            }
            let api = &self.snapshot.apis[entry.value.api].name;
            let said = Said { what: format!("API `{api}`: {}", shown(entry)), origin: self.written(entry) };
            told.others.push((said, elsewhere(why).to_owned()));
        }
        taken.unwrap_or_else(|| Said { what: format!("`{host}`: nothing is mapped there"), origin: None })
    }

    /// Where a mapping or a rule was written.
    fn written(&self, entry: &router::Entry<'_, snapshot::Mapped>) -> Option<Origin> {
        let api = self.of.model.apis.get(entry.value.api)?;
        if let Some(number) = entry.rule {
            let is_its = |domain: &&model::Domain| Some(domain.name.to_ascii_lowercase()) == entry.host;
            let mut rules: Vec<_> = self.of.model.domains.iter().find(is_its)?.rules.iter().collect();
            rules.sort_by_key(|rule| rule.priority);
            return rules.get(number.checked_sub(1)?)?.origin.clone();
        }
        let base = entry.base_path.strip_prefix('/').unwrap_or_default();
        let is_it = |it: &&model::Mapping| {
            it.host.as_ref().map(|host| host.to_ascii_lowercase()) == entry.host && it.base_path == base
        };
        api.mappings.iter().find(is_it).and_then(|mapping| mapping.origin.clone())
    }

    fn api(&self, api: &Api) -> Said {
        let kind = match api.dialect {
            Dialect::Rest => "REST API",
            Dialect::Http => "HTTP API",
            Dialect::Proxy => "plain routes",
        };
        let of_model = self.of.model.apis.iter().find(|own| own.name == api.name);
        let origin = of_model.and_then(|own| own.origin.clone());
        Said { what: format!("`{}`, {kind}, id {}", api.name, api.id), origin }
    }

    fn stage(&self, api: &Api, stage: &Stage, told: &mut Explanation) {
        let of_model = self.of.model.apis.iter().find(|own| own.name == api.name);
        let own = of_model.and_then(|own| own.stages.iter().find(|it| it.name == stage.name));
        told.stage = Some(Said { what: stage.name.clone(), origin: own.and_then(|it| it.origin.clone()) });
        told.deployment = Some(stage.deployment.clone()).filter(|id| !id.is_empty());
        told.variables.clone_from(&stage.variables);
        told.is_canary = stage.is_canary;
        let named = api.stages.iter().find(|own| own.name == stage.name);
        if let Some(canary) = named.and_then(|base| base.canary.as_ref()) {
            let share = share(canary);
            told.notes.push(if stage.is_canary {
                format!("the stage's canary, which has {share} % of its requests")
            } else {
                format!("{share} % of the stage's requests are its canary's: explain those with --canary")
            });
        }
    }

    fn route(&self, route: &Route) -> Said {
        Said { what: route.key.clone(), origin: route.origin.clone() }
    }

    fn forwarded(&self, sent: &Sent) -> Option<Forwarded> {
        let upstream = self.snapshot.upstream(sent.upstream)?;
        let backends = upstream.targets.iter().map(|target| {
            let scheme = if target.tls { "https" } else { "http" };
            let is_bare = target.host.contains(':') && !target.host.starts_with('[');
            let host = if is_bare { format!("[{}]", target.host) } else { target.host.clone() };
            format!("{scheme}://{host}:{}", target.port)
        });
        Some(Forwarded {
            upstream: upstream.name.clone(),
            backends: backends.collect(),
            http2: upstream.http2,
            head: String::from_utf8_lossy(&sent.head).replace("\r\n", "\n").trim_end().to_owned(),
            body: String::from_utf8_lossy(&sent.body).into_owned(),
            connect_timeout_ms: milliseconds(upstream.connect_timeout_ns),
            first_byte_timeout_ms: milliseconds(upstream.first_byte_timeout_ns),
        })
    }
}

/// What a route's policies ask and said, and what is done behind them.
fn steps(stage: &Stage, route: &Route, trace: &Trace, told: &mut Explanation) {
    let verdicts = trace.verdicts();
    for (place, policy) in route.policies.iter().enumerate() {
        let description = policy.describe();
        let origins = route.origins.policies.get(place).map(Vec::as_slice).unwrap_or_default();
        let asks = description.asks.into_iter().enumerate().map(|(line, what)| {
            let origin = origins.get(line).or_else(|| origins.first().filter(|_| origins.len() == 1));
            Said { what, origin: origin.cloned().flatten() }
        });
        let says = verdicts.get(place).cloned().unwrap_or_default();
        told.steps.push(Step { kind: description.kind, asks: asks.collect(), says });
    }
    if let Some(compression) = &stage.compression {
        let what = format!("answers of {} bytes and more are compressed", compression.minimum_bytes);
        told.steps.push(Step {
            kind: "compression",
            asks: vec![Said { what, origin: None }],
            says: Vec::new(),
        });
    }
}

/// An answer as its client gets it, but for what the codec adds.
pub(super) fn answer(response: &Response, reason: Option<(&'static str, &'static str)>) -> Answer {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Answer {
        status: response.status,
        reason,
        headers: response.headers.iter().map(|field| (text(field.text), text(field.value))).collect(),
        body: match &response.body {
            Body::Whole(bytes) => text(bytes),
            Body::Empty | Body::Stream(_) => String::new(),
        },
    }
}

/// `file:line`.
pub(super) fn written(origin: &Origin) -> String {
    format!("{}:{}", origin.file, origin.line)
}

fn routes(snapshot: &Snapshot) -> impl Iterator<Item = (&Api, &Stage, &Route)> {
    let stages = snapshot.apis.iter().flat_map(|api| api.stages.iter().map(move |stage| (api, stage)));
    let stages = stages.flat_map(|(api, stage)| {
        let canary = stage.canary.iter().map(move |canary| (api, &canary.stage));
        [(api, stage)].into_iter().chain(canary)
    });
    stages.flat_map(|(api, stage)| stage.routes.iter().map(move |route| (api, stage, route)))
}

/// Of how many of a hundred requests, to a millionth.
fn share(canary: &Canary) -> f64 {
    let percent = canary.threshold as f64 * 100.0 / (1_u64 << 32) as f64;
    (percent * 1e6).round() / 1e6
}

fn milliseconds(ns: u64) -> u64 {
    ns / 1_000_000
}

/// Why a route is not that of a path.
fn why_not(why: WhyNot, key: &str, path: &str) -> String {
    let template = key.split_once(' ').map_or("", |(_, template)| template);
    let segment = |text: &str, at: usize| text.split('/').nth(at).unwrap_or_default().to_owned();
    match why {
        WhyNot::Outranked if key == "$default" => "takes what no other does".to_owned(),
        WhyNot::Outranked => "would take it too, and is less specific".to_owned(),
        WhyNot::Method => "takes the path, with another method".to_owned(),
        WhyNot::Segment(at) => {
            format!("segment {at} is `{}`, not `{}`", segment(path, at), segment(template, at))
        }
        WhyNot::Ends(at) => format!("the path ends before segment {at}, `{}`", segment(template, at)),
        WhyNot::GoesOn(at) => format!("the path goes on with segment {at}, `{}`", segment(path, at)),
    }
}

fn elsewhere(why: Elsewhere) -> &'static str {
    match why {
        Elsewhere::Shadowed => "would take it too, and something goes before it",
        Elsewhere::RulesAlone => "its domain asks rules alone",
        Elsewhere::Condition => "asks for headers that the request has not",
        Elsewhere::BasePath => "another base path",
        Elsewhere::Host => "another host",
    }
}

/// What became of a body, in words; and what it came to, or where it failed.
pub(super) fn fate(fate: &Fate) -> (String, Option<&str>) {
    match fate {
        Fate::Passes(why) => ((*why).to_owned(), None),
        Fate::Rendered { content_type, text } => {
            (format!("the template for {content_type} renders"), Some(text))
        }
        Fate::Failed { content_type, line, column, source, why } => {
            (format!("the template for {content_type} fails at {line}:{column}: {why}"), Some(source))
        }
        Fate::Refused(reason) => (format!("refused: {}", reason.as_str()), None),
    }
}

//! What is told of a request when its last byte has been handed over: events for the metrics, a line for the log.

use exchange::{
    CacheResult, Facts, Served,
    answers::{self, Told},
    validation, values,
};
use message::{
    Dialect, Method, Name, Now, Reason, Request, ResponseType,
    context::{Ended, Failure, Integrated, Values, Variable},
};
use snapshot::Snapshot;
use telemetry::Event;

use crate::{conduct::Deed, core::Core};

/// Statuses of gRPC that are its words for 403 and 401.
const PERMISSION_DENIED: u8 = 7;
const UNAUTHENTICATED: u8 = 16;

/// What the access log and the metrics want to know in the end.
pub(crate) struct Account<'a> {
    pub(crate) request: &'a Request,
    pub(crate) asked: &'a Wanted,
    pub(crate) facts: &'a Facts,
    pub(crate) served: &'a Served<'a>,
    pub(crate) begun: Now,
    pub(crate) ended: Now,
    pub(crate) status: u16,
    /// Of a call of gRPC, how it has ended; `Some(None)`: cut off before that was said.
    pub(crate) grpc_status: Option<Option<u8>>,
    pub(crate) response_bytes: u64,
    pub(crate) request_bytes: u64,
}

/// What a client asked, where its line is to be written: what an integration makes of it is the backend's to know.
#[derive(Default)]
pub(crate) struct Wanted {
    method: Method,
    /// The path, and the client's name for itself behind it.
    text: Vec<u8>,
    path_bytes: usize,
}

impl Wanted {
    pub(crate) fn of(request: &Request) -> Self {
        let path = request.target.path();
        let text = [path.as_bytes(), request.headers.get(Name::UserAgent).unwrap_or_default()].concat();
        Self { method: request.method.clone(), text, path_bytes: path.len() }
    }

    fn path(&self) -> &str {
        // It was text.
        std::str::from_utf8(&self.text[..self.path_bytes]).unwrap_or_default()
    }
}

/// What is told of a request whose client left before there was an answer, in place of a status that nobody was sent:
/// nginx's number, which those who read logs know. Calls of gRPC have a status of their own for it.
pub(crate) const CLIENT_GONE: u16 = 499;

/// Counts a request and writes its line.
pub(crate) fn record(core: &Core, snapshot: &Snapshot, account: &Account<'_>) {
    let route = account.served.route.map(|route| route.slot);
    if let Some(reason) = &account.served.reason {
        core.record(&Event::Refuse { route, reason: reason.as_str() });
    }
    if let (Some(cached), Some(route)) = (account.served.cached, route) {
        core.record(&match cached {
            CacheResult::Hit => Event::CacheHit { route },
            CacheResult::Miss => Event::CacheMiss { route },
        });
    }
    if let Some(grpc_status) = account.grpc_status {
        core.record(&Event::EndCall { route, grpc_status });
    }
    core.record(&Event::Answer {
        route,
        status: account.status,
        protocol: account.request.version.as_str(),
        latency_us: account.latency_ns() / 1_000,
        integration_us: account.integration_ns().map(|ns| ns / 1_000),
        request_bytes: account.request_bytes,
        response_bytes: account.response_bytes,
    });
    if core.takes_notes()
        && let Some(deed) = account.deed()
    {
        core.note(account.facts.peer, account.facts.trusted, deed);
    }
    if let Some(template) = &snapshot.access_log {
        let mut log = core.log.borrow_mut();
        let told = account.told();
        let values = account.values(snapshot, told.as_ref());
        log.line(|line| {
            template.render(line, &|variable, out| match variable {
                Variable::RequestId => account.served.ids.write_logged(out),
                // What has no value is written as a dash.
                _ => {
                    let _has_value = values.write(variable, out);
                }
            });
        });
        // Lines that wait longer go with the next sweep.
        let _waiting = log.turn(account.ended.mono_ns);
    }
}

impl Account<'_> {
    fn latency_ns(&self) -> u64 {
        self.ended.mono_ns.saturating_sub(self.begun.mono_ns)
    }

    /// What it says of the client; nothing where we did not answer for a reason of our own.
    fn deed(&self) -> Option<Deed> {
        match (&self.served.reason, self.status, self.grpc_status.flatten()) {
            (Some(Reason::Throttled { .. }), ..) | (_, 401 | 403 | 429, _) => Some(Deed::Refused),
            (Some(Reason::BodyMalformed), ..) => Some(Deed::Malformed),
            (None, _, Some(PERMISSION_DENIED | UNAUTHENTICATED)) => Some(Deed::Refused),
            (None, ..) => Some(Deed::Good),
            (Some(_), ..) => None,
        }
    }

    fn integration_ns(&self) -> Option<u64> {
        self.served.called.map(|(from, to)| to.saturating_sub(from))
    }
}

impl<'a> Account<'a> {
    /// `$context` (section O).
    fn values<'t>(&self, snapshot: &'t Snapshot, told: Option<&'t Told<'_>>) -> Values<'t>
    where
        'a: 't,
    {
        let Self { request, asked, facts, served, .. } = *self;
        let path = asked.path();
        let error = served.reason.as_ref().map(Reason::as_str);
        let integrated = self.integration_ns().map(|latency_ns| Integrated {
            latency_ns,
            status: error.is_none().then_some(self.status),
            error: error.unwrap_or_default(),
        });
        Values {
            base_path: served.base_bytes.and_then(|bytes| path.get(1..bytes as usize)),
            method: asked.method.as_str(),
            path,
            user_agent: &asked.text[asked.path_bytes..],
            failure: self.failure(told),
            ended: Some(Ended {
                status: self.status,
                latency_ns: self.latency_ns(),
                response_bytes: self.response_bytes,
                request_bytes: self.request_bytes,
                grpc_status: self.grpc_status.flatten(),
                integrated,
            }),
            ..values(snapshot, served, request, facts, self.begun.unix_ns)
        }
    }

    /// What a client was told that was refused, if it was.
    fn told(&self) -> Option<Told<'a>> {
        let dialect = self.served.api.map_or(Dialect::Proxy, |api| api.dialect);
        self.served.reason.as_ref().map(|reason| answers::told(reason, dialect))
    }

    /// Why the gateway answered: in AWS's words for APIs of its shape, in ours for plain ones.
    fn failure<'t>(&self, told: Option<&'t Told<'_>>) -> Option<Failure<'t>>
    where
        'a: 't,
    {
        let (served, told) = (self.served, told?);
        let reason = served.reason.as_ref()?;
        let is_plain = served.api.is_none_or(|api| api.dialect == Dialect::Proxy);
        let message = match reason {
            // What it names is what a client authorises itself with.
            Reason::IncompleteSignature { .. } => reason.as_str(),
            _ if is_plain => reason.as_str(),
            _ => &told.message,
        };
        let response_type = if is_plain { reason.as_str() } else { ResponseType::of(reason).as_str() };
        Some(Failure { message, response_type, validation: validation(reason) })
    }
}

//! What is told of a request when its last byte has been handed over: events for the metrics, a line for the log.

use std::io::Write as _;

use exchange::{CacheResult, Facts, Served};
use message::{Name, Now, Reason, Request};
use snapshot::Snapshot;
use telemetry::{Event, access::Variable};

use crate::{conduct::Deed, core::Core};

/// Statuses of gRPC that are its words for 403 and 401.
const PERMISSION_DENIED: u8 = 7;
const UNAUTHENTICATED: u8 = 16;

/// What the access log and the metrics want to know in the end.
pub(crate) struct Account<'a> {
    pub(crate) request: &'a Request,
    pub(crate) path: &'a str,
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
        log.line(|line| template.render(line, &|variable, out| account.write(variable, out)));
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

impl Account<'_> {
    /// Writes a `$context` value (section O); nothing where there is none.
    fn write(&self, variable: Variable, out: &mut Vec<u8>) {
        let served = self.served;
        let reason = served.reason.as_ref();
        let api = served.api.map_or("", |api| &api.name);
        let route = served.route.map_or("", |route| &route.key);
        match variable {
            Variable::ApiId => out.extend_from_slice(api.as_bytes()),
            Variable::Stage => out.extend_from_slice(served.stage.map_or("", |stage| &stage.name).as_bytes()),
            Variable::RouteKey => out.extend_from_slice(route.as_bytes()),
            Variable::ResourcePath => {
                out.extend_from_slice(route.split_once(' ').map_or(route, |(_, path)| path).as_bytes());
            }
            Variable::DomainName => out.extend_from_slice(self.request.authority.host().as_bytes()),
            Variable::DomainPrefix => {
                out.extend_from_slice(
                    self.request.authority.host().split('.').next().unwrap_or_default().as_bytes(),
                );
            }
            Variable::HttpMethod => out.extend_from_slice(self.request.method.as_str().as_bytes()),
            Variable::Path => out.extend_from_slice(self.path.as_bytes()),
            Variable::Protocol => out.extend_from_slice(self.request.version.as_str().as_bytes()),
            Variable::RequestId | Variable::ExtendedRequestId => {
                out.extend_from_slice(&self.facts.request_id.text());
            }
            Variable::IdentitySourceIp => put(out, self.facts.client),
            Variable::IdentityUserAgent => {
                out.extend_from_slice(self.request.headers.get(Name::UserAgent).unwrap_or_default());
            }
            Variable::Status => put(out, self.status),
            Variable::GrpcStatus => {
                self.grpc_status.flatten().into_iter().for_each(|status| put(out, status))
            }
            Variable::RequestTime => put_common_time(out, self.begun.unix_ns / 1_000_000_000),
            Variable::RequestTimeEpoch => put(out, self.begun.unix_ns / 1_000_000),
            Variable::ResponseLatency => put(out, self.latency_ns() / 1_000_000),
            Variable::ResponseLength => put(out, self.response_bytes),
            Variable::DataProcessed => put(out, self.request_bytes.saturating_add(self.response_bytes)),
            Variable::IntegrationLatency => {
                if let Some(ns) = self.integration_ns() {
                    put(out, ns / 1_000_000);
                }
            }
            Variable::IntegrationStatus => {
                if served.called.is_some() && reason.is_none() {
                    put(out, self.status);
                }
            }
            Variable::IntegrationError => {
                if let Some(reason) = reason.filter(|_| served.called.is_some()) {
                    out.extend_from_slice(reason.as_str().as_bytes());
                }
            }
            Variable::ErrorMessage | Variable::ErrorMessageString | Variable::ErrorResponseType => {
                if let Some(reason) = reason {
                    out.extend_from_slice(reason.as_str().as_bytes());
                }
            }
            // Accounts, resource ids and custom domains come with the management API.
            Variable::AccountId | Variable::ResourceId | Variable::BasePathMatched => {}
        }
    }
}

fn put(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    // A vector takes every write.
    let _ = write!(out, "{value}");
}

/// `21/Nov/2026:10:11:12 +0000`, as `$context.requestTime` has it.
fn put_common_time(out: &mut Vec<u8>, unix_s: u64) {
    // `Sat, 21 Nov 2026 10:11:12 GMT`, of which the parts stand at known places.
    let date = wire::h1::imf_fixdate(unix_s);
    for part in [&date[5..7], b"/", &date[8..11], b"/", &date[12..16], b":", &date[17..25], b" +0000"] {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_times_are_in_the_common_form() {
        let mut out = Vec::new();
        put_common_time(&mut out, 1_795_255_872);
        assert_eq!(String::from_utf8(out).unwrap(), "21/Nov/2026:10:11:12 +0000");
    }
}

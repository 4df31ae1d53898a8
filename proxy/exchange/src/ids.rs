//! The ids of a request, as its client and its logs are told (row 128).

use std::io::Write as _;

use message::{Dialect, Request, RequestId, Response};

/// What is logged where a REST API's client has sent an id that is no UUID.
const REPLACED: &[u8] = b"UUID_REPLACED_INVALID_REQUEST_ID";

/// The ids of one request.
#[derive(Clone, Copy, Debug)]
pub struct Ids {
    dialect: Dialect,
    /// Ours, or what a REST API's client has chosen.
    request: RequestId,
    /// Its client has chosen something else than a UUID.
    is_replaced: bool,
    extended: [u8; 16],
}

impl Ids {
    /// Those of a request that has this id of ours.
    pub fn of(request: &Request, dialect: Dialect, own: RequestId) -> Self {
        let chosen = (dialect == Dialect::Rest).then(|| request.headers.find("x-amzn-requestid")).flatten();
        let parsed = chosen.map(RequestId::parse);
        Self {
            dialect,
            request: parsed.flatten().unwrap_or(own),
            is_replaced: parsed == Some(None),
            extended: own.extended(),
        }
    }

    /// `$context.requestId` of messages.
    pub fn request(&self) -> RequestId {
        self.request
    }

    /// `$context.extendedRequestId`.
    pub fn extended(&self) -> &[u8] {
        &self.extended
    }

    /// Appends `$context.requestId` as logs have it.
    pub fn write_logged(&self, out: &mut Vec<u8>) {
        match self.dialect {
            Dialect::Rest if self.is_replaced => out.extend_from_slice(REPLACED),
            Dialect::Rest | Dialect::Proxy => out.extend_from_slice(&self.request.text()),
            // An HTTP API has this one alone.
            Dialect::Http => out.extend_from_slice(&self.extended),
        }
    }

    /// Sets the fields that tell them.
    pub(crate) fn tell(&self, response: &mut Response) {
        match self.dialect {
            Dialect::Rest => {
                response.headers.set("x-amzn-RequestId", &self.request.text());
                response.headers.set("x-amz-apigw-id", &self.extended);
            }
            Dialect::Http => response.headers.set("apigw-requestid", &self.extended),
            Dialect::Proxy => {}
        }
    }

    /// Sets `X-Amzn-Trace-Id`: a trace of its own, of which nobody takes samples.
    pub(crate) fn trace(&self, unix_s: u64, response: &mut Response) {
        const TRACE_ID: &str = "X-Amzn-Trace-Id";
        response.headers.remove(TRACE_ID);
        response.headers.push_with(TRACE_ID, |out| {
            let text = self.request.text();
            // A vector takes every write.
            let _ = write!(out, "Root=1-{:08x}-", unix_s & 0xffff_ffff);
            out.extend(text.iter().rev().filter(|byte| **byte != b'-').take(24));
        });
    }
}

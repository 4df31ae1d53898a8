//! The mock integration: an answer without a backend.

use bytes::Bytes;
use message::{Body, Headers, Request, Response};

use crate::{Context, Integration, Outbound};

/// Answers every request alike.
#[derive(Clone, Debug)]
pub struct Mock {
    response: Response,
}

impl Mock {
    /// The compiler of snapshots has checked that names are tokens and values have no control characters.
    pub fn new(status: u16, headers: Headers, body: Bytes) -> Self {
        let body = if body.is_empty() { Body::Empty } else { Body::Whole(body) };
        Self { response: Response { status, headers, body } }
    }
}

impl Integration for Mock {
    fn prepare(&self, _: &mut Request, cx: &mut Context<'_>) -> Outbound {
        let Response { status, headers, body } = &self.response;
        cx.response.status = *status;
        cx.response.headers.clone_from(headers);
        cx.response.body = body.clone();
        Outbound::Answer
    }

    fn kind(&self) -> &'static str {
        "MOCK"
    }
}

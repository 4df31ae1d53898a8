//! The head of a backend's reply, read as it comes. It is polled, not awaited: who waits for it also waits for the client to
//! go and for a deadline, and one look at all three costs less than futures in one another. It knows nothing of
//! deadlines, attempts and clients that go.

use std::{
    io,
    task::{Context, Poll},
};

use message::{Reason, Request, Response, Version};
use runtime::Received;
use wire::{
    h1::{self, ResponseFraming, ResponseKind},
    h2::AnswerFault,
};

use crate::{backend::Line, client::Client, core::Core, h2::Call, head, transport::Transport};

/// What received bytes come to: a whole head, or nothing yet.
type Decoded = Result<Option<ResponseFraming>, wire::Error>;

/// A head that is being waited for.
pub(crate) struct ReplyHead<'a> {
    core: &'a Core,
    /// Gets interim replies.
    client: Option<Client<'a>>,
    request: &'a Request,
    from: &'a Line,
    response: &'a mut Response,
    /// What has come of a head in pieces.
    buffer: Vec<u8>,
    interim: u8,
    nothing_came: bool,
}

/// Why there is none.
pub(crate) struct NoHead {
    pub(crate) reason: Reason,
    /// The backend said nothing at all.
    pub(crate) nothing_came: bool,
    /// The backend said that it has not looked at the request.
    pub(crate) is_unseen: bool,
}

impl NoHead {
    /// Who knows what the backend has seen.
    pub(crate) fn because(reason: Reason) -> Self {
        Self { reason, nothing_came: false, is_unseen: false }
    }
}

impl<'a> ReplyHead<'a> {
    /// Reads into `response` what comes from `from` in reply to `request`.
    pub(crate) fn new(
        core: &'a Core,
        client: Option<Client<'a>>,
        request: &'a Request,
        from: &'a Line,
        response: &'a mut Response,
    ) -> Self {
        Self { core, client, request, from, response, buffer: Vec::new(), interim: 0, nothing_came: true }
    }

    /// The head of the final reply. Interim ones but `100 Continue` are passed on.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseFraming, NoHead>> {
        match self.from {
            Line::Http1 { transport, .. } => self.poll_connection(transport, cx),
            Line::Http2(call) => self.poll_stream(call, cx),
        }
    }

    fn poll_connection(
        &mut self,
        from: &Transport,
        cx: &mut Context<'_>,
    ) -> Poll<Result<ResponseFraming, NoHead>> {
        loop {
            let ended = match from.poll_readable(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => Err(Reason::BackendFailed),
                Poll::Ready(Ok(())) => match self.receive(from) {
                    Ok(None | Some(Received::Bytes(Ok(None)))) => continue,
                    Ok(Some(Received::Bytes(Ok(Some(framing))))) => match self.take_up(framing) {
                        Ok(None) => continue,
                        Ok(Some(framing)) => Ok(framing),
                        Err(reason) => Err(reason),
                    },
                    Ok(Some(Received::Bytes(Err(_)))) => Err(Reason::BackendMalformed),
                    Ok(Some(Received::End)) | Err(_) => Err(Reason::BackendFailed),
                },
            };
            return Poll::Ready(ended.map_err(|reason| self.no_head(reason)));
        }
    }

    /// Whether interim replies have come, which belong to the answer that follows them.
    pub(crate) fn has_hinted(&self) -> bool {
        self.interim > 0
    }

    /// That there will be none, for this reason.
    pub(crate) fn no_head(&self, reason: Reason) -> NoHead {
        NoHead { reason, nothing_came: self.nothing_came, is_unseen: false }
    }

    fn poll_stream(&mut self, from: &Call, cx: &mut Context<'_>) -> Poll<Result<ResponseFraming, NoHead>> {
        let core = self.core;
        loop {
            let limits = &core.codec_limits;
            let framing = match from.poll_head(limits, &self.request.method, self.response, cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(framing)) => framing,
                Poll::Ready(Err(fault)) => return Poll::Ready(Err(self.stream_fault(fault))),
            };
            self.nothing_came = false;
            match self.take_up(framing) {
                Ok(None) => {}
                Ok(Some(framing)) => return Poll::Ready(Ok(framing)),
                Err(reason) => return Poll::Ready(Err(self.no_head(reason))),
            }
        }
    }

    fn stream_fault(&self, fault: AnswerFault) -> NoHead {
        match fault {
            AnswerFault::Malformed(_) => self.no_head(Reason::BackendMalformed),
            AnswerFault::Refused => NoHead { is_unseen: true, ..self.no_head(Reason::BackendFailed) },
            AnswerFault::Reset(_) | AnswerFault::Gone => self.no_head(Reason::BackendFailed),
        }
    }

    fn receive(&mut self, from: &Transport) -> io::Result<Option<Received<Decoded>>> {
        let Self { core, request, response, buffer, nothing_came, .. } = self;
        let limits = &core.codec_limits;
        from.try_receive(|received| {
            *nothing_came = false;
            let memory = || core.handle.buffer();
            head::gather(received, buffer, memory, limits.head_bytes_max, |input| {
                h1::decode_response(input, limits, &request.method, response)
            })
        })
    }

    /// A whole head: the final one, or nothing yet.
    fn take_up(&mut self, framing: ResponseFraming) -> Result<Option<ResponseFraming>, Reason> {
        self.buffer.clear();
        match framing.kind {
            ResponseKind::Final => Ok(Some(framing)),
            // Only to what was asked for.
            ResponseKind::SwitchingProtocols if self.is_asked(&framing) => Ok(Some(framing)),
            ResponseKind::SwitchingProtocols => Err(Reason::BackendMalformed),
            ResponseKind::Interim => {
                if self.interim >= self.core.codec_limits.interim_max {
                    return Err(Reason::BackendMalformed);
                }
                self.interim += 1;
                let client = self.client.filter(|_| self.request.version != Version::Http10);
                if let Some(client) = client.filter(|_| self.response.status != 100) {
                    let Response { status, headers, .. } = &self.response;
                    client.interim(*status, headers);
                }
                Ok(None)
            }
        }
    }

    fn is_asked(&self, framing: &ResponseFraming) -> bool {
        match (self.request.upgrade.as_deref(), framing.upgrade.as_deref()) {
            (Some(asked), Some(given)) => asked.eq_ignore_ascii_case(given),
            _ => false,
        }
    }
}

impl Drop for ReplyHead<'_> {
    fn drop(&mut self) {
        self.core.handle.recycle(std::mem::take(&mut self.buffer));
    }
}

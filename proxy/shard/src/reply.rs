//! The head of a backend's reply, read as it comes. It is polled, not awaited: who waits for it also waits for the client to
//! go and for a deadline, and one look at all three costs less than futures in one another. It knows nothing of
//! deadlines, attempts and clients that go.
//!
//! Who announces how long a body is has it at hand, mostly, but may send it a moment after its head (nginx does, over
//! HTTP/2). Such a head is held until the body begins: the answer then goes out in one piece, and a backend that dies in
//! between has said nothing that anybody has seen.

use std::{
    io,
    task::{Context, Poll, ready},
};

use message::{Reason, Request, Response, Version};
use runtime::{News, Received};
use wire::{
    h1::{self, BodyLength, ResponseFraming, ResponseKind},
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
    /// The final head, while its body has not begun.
    held: Option<ResponseFraming>,
}

/// Why there is none.
pub(crate) struct NoHead {
    pub(crate) reason: Reason,
    pub(crate) came: Came,
}

/// How far the backend is known to have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// It said that it has not looked at the request.
    Unseen,
    /// It said nothing at all.
    Nothing,
    /// It said something that was held, and no more.
    Held,
    /// It said something, or nobody knows.
    Something,
}

impl NoHead {
    /// Who knows what the backend has seen.
    pub(crate) fn because(reason: Reason) -> Self {
        Self { reason, came: Came::Something }
    }

    /// The backend has not looked at the request.
    pub(crate) fn unseen(reason: Reason) -> Self {
        Self { reason, came: Came::Unseen }
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
        let (interim, nothing_came, held) = (0, true, None);
        Self { core, client, request, from, response, buffer: Vec::new(), interim, nothing_came, held }
    }

    /// The head of the final reply. Interim ones but `100 Continue` are passed on.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseFraming, NoHead>> {
        match self.from {
            Line::Http1 { transport, .. } => self.poll_connection(transport, cx),
            Line::Http2(call) => self.poll_stream(call, cx),
        }
    }

    /// The same, and the beginning of the body whose length it tells. Meanwhile it can be had by [`Self::take_held`].
    pub(crate) fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseFraming, NoHead>> {
        let framing = match self.held.take() {
            Some(framing) => framing,
            None => match ready!(self.poll(cx)) {
                Ok(framing) if matches!(framing.body, BodyLength::Known(1..)) => framing,
                answered => return Poll::Ready(answered),
            },
        };
        match self.from.side().poll_news(cx) {
            Poll::Pending => {
                self.held = Some(framing);
                Poll::Pending
            }
            Poll::Ready(News::Bytes) => Poll::Ready(Ok(framing)),
            Poll::Ready(News::End) => {
                let came = if self.has_hinted() { Came::Something } else { Came::Held };
                Poll::Ready(Err(NoHead { reason: Reason::BackendFailed, came }))
            }
        }
    }

    /// Whether there is a head whose body is waited for.
    pub(crate) fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// The head whose body has not begun.
    pub(crate) fn take_held(&mut self) -> Option<ResponseFraming> {
        self.held.take()
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
        let came = if self.nothing_came { Came::Nothing } else { Came::Something };
        NoHead { reason, came }
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
            AnswerFault::Refused => NoHead::unseen(Reason::BackendFailed),
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
        match (self.request.upgrade(), framing.upgrade.as_deref()) {
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

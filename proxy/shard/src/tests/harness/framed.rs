//! The other end of an HTTP/2 connection: a client or a backend of which a test says what it does and what it must see.
//! A task of its own reads frames as they come, answers what must be answered, and sends what there is room for. It
//! shares no code with the gateway's codec, and keeps account of whatever the gateway may not do ([`Framed::wrong`]).

mod state;

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    task::{Poll, Waker},
};

use ::harness::h2::Frame;
use runtime::{Handle, Received};

use self::state::State;
pub(in crate::tests) use self::state::{as_reset, code_number};
use super::{Peer, http::End};
use crate::transport::Transport;

/// A field.
pub(in crate::tests) type Field = (String, String);

/// What a peer says of itself.
#[derive(Clone, Copy, Debug)]
pub(in crate::tests) struct Terms {
    /// Bytes that each stream may send ahead.
    pub(in crate::tests) window_bytes: u32,
    /// Streams that may be open at once; `None`: nothing is said of it.
    pub(in crate::tests) streams_max: Option<u32>,
    /// Credit is given only when the test says so.
    pub(in crate::tests) holds: bool,
    /// Bytes with which it begins before it hesitates.
    pub(in crate::tests) cut: Option<usize>,
    /// It does not go on.
    pub(in crate::tests) stays: bool,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            window_bytes: ::harness::h2::WINDOW_BYTES,
            streams_max: None,
            holds: false,
            cut: None,
            stays: false,
        }
    }
}

/// A client or a backend.
pub(in crate::tests) struct Framed {
    shared: Rc<Shared>,
}

/// What it has in common with its task.
struct Shared {
    transport: RefCell<Option<Transport>>,
    state: RefCell<State>,
    /// Wakes the task.
    driver: Cell<Option<Waker>>,
    waiting: RefCell<Vec<Waker>>,
    /// It does not read.
    deaf: Cell<bool>,
    /// It does not write.
    hesitates: Cell<bool>,
}

impl Framed {
    /// A client, which begins.
    pub(in crate::tests) fn client(handle: &Handle, peer: Peer, terms: Terms) -> Self {
        Self::new(handle, peer, State::new(true, terms))
    }

    /// A backend, which says its settings.
    pub(in crate::tests) fn backend(handle: &Handle, peer: Peer, terms: Terms) -> Self {
        Self::new(handle, peer, State::new(false, terms))
    }

    fn new(handle: &Handle, peer: Peer, mut state: State) -> Self {
        let (transport, unread, end) = peer.into_parts();
        state.received(&unread);
        state.end = end;
        let cut = state.terms.cut;
        let shared = Rc::new(Shared {
            transport: RefCell::new(Some(transport)),
            state: RefCell::new(state),
            driver: Cell::new(None),
            waiting: RefCell::default(),
            deaf: Cell::new(false),
            hesitates: Cell::new(false),
        });
        if let Some(cut) = cut {
            let first: Vec<u8> = shared.state.borrow_mut().out.drain(..cut).collect();
            shared.write(&first);
            shared.hesitates.set(true);
        }
        shared.flush();
        handle.spawn(drive(shared.clone()));
        Self { shared }
    }

    /// Goes on where it has hesitated.
    pub(in crate::tests) fn go_on(&self) {
        self.shared.hesitates.set(false);
        self.shared.flush();
    }

    /// Reads no more, or again.
    pub(in crate::tests) fn deafen(&self, deaf: bool) {
        self.shared.deaf.set(deaf);
        self.shared.driver.take().into_iter().for_each(Waker::wake);
    }

    /// What the gateway has let new streams send ahead, from time to time.
    pub(in crate::tests) fn windows(&self) -> Vec<u32> {
        self.shared.state.borrow().windows.clone()
    }

    /// Changes what is to be sent, and sends it.
    fn act<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        let result = act(&mut self.shared.state.borrow_mut());
        self.shared.flush();
        result
    }

    /// Waits until there is something to see.
    async fn see<R>(&self, mut see: impl FnMut(&mut State) -> Option<R>) -> R {
        poll_fn(|cx| match see(&mut self.shared.state.borrow_mut()) {
            Some(seen) => Poll::Ready(seen),
            None => {
                self.shared.waiting.borrow_mut().push(cx.waker().clone());
                Poll::Pending
            }
        })
        .await
    }

    /// Bytes as they are.
    pub(in crate::tests) fn raw(&self, bytes: &[u8]) {
        self.act(|state| state.out.extend_from_slice(bytes));
    }

    /// Any frame.
    pub(in crate::tests) fn frame(&self, frame: &Frame) {
        self.raw(&frame.bytes());
    }

    /// The number of the next request.
    pub(in crate::tests) fn next(&self) -> u32 {
        self.shared.state.borrow_mut().next()
    }

    /// The head of a request or an answer, by its pseudo-fields and fields.
    pub(in crate::tests) fn head(&self, stream: u32, fields: &[Field], ends: bool) {
        self.act(|state| state.head(stream, fields, ends));
    }

    /// More of a body, as the gateway makes room for it.
    pub(in crate::tests) fn send(&self, stream: u32, bytes: &[u8], ends: bool) {
        self.act(|state| state.send(stream, bytes, ends));
    }

    /// The end of a body, with trailers.
    pub(in crate::tests) fn trail(&self, stream: u32, fields: &[Field]) {
        self.act(|state| state.trail(stream, fields));
    }

    /// Ends a stream.
    pub(in crate::tests) fn reset(&self, stream: u32, code: u32) {
        self.act(|state| state.reset(stream, code));
    }

    /// Gives credit; to the connection as stream 0.
    pub(in crate::tests) fn give(&self, stream: u32, bytes: u32) {
        self.act(|state| state.give(stream, bytes));
    }

    /// Says other settings.
    pub(in crate::tests) fn set(&self, terms: Terms) {
        self.act(|state| state.set(terms));
    }

    /// Says that the connection ends.
    pub(in crate::tests) fn go_away(&self, last_stream: u32, code: u32) {
        self.frame(&Frame::go_away(last_stream, code, b""));
    }

    /// What was said last with [`Framed::set`], or at first.
    pub(in crate::tests) fn terms(&self) -> Terms {
        self.shared.state.borrow().terms
    }

    /// Sends FIN.
    pub(in crate::tests) fn finish(&self) {
        self.shared.transport.borrow().iter().for_each(Transport::finish);
    }

    /// Sends RST.
    pub(in crate::tests) fn abort(self) {
        if let Some(transport) = self.shared.transport.take() {
            transport.abort();
        }
    }

    /// The next message of a stream in one line ([`super::streams`]), or its head alone.
    pub(in crate::tests) async fn message(&self, stream: u32, head_only: bool) -> String {
        self.see(|state| state.message(stream, head_only)).await
    }

    /// So many bytes of a body, or what there is before its end.
    pub(in crate::tests) async fn body(&self, stream: u32, bytes: usize) -> Vec<u8> {
        self.see(|state| state.body(stream, bytes)).await
    }

    /// What is left of a stream, and how it ended.
    pub(in crate::tests) async fn rest(&self, stream: u32) -> String {
        self.see(|state| state.rest(stream)).await
    }

    /// With what code a stream was reset, behind its end if it has come to one.
    pub(in crate::tests) async fn code(&self, stream: u32) -> String {
        self.see(|state| state.code(stream)).await
    }

    /// The next stream that the gateway opens, or `None` when there will be none.
    pub(in crate::tests) async fn opened(&self) -> Option<u32> {
        self.see(State::next_opened).await
    }

    /// Streams that the gateway has opened since this was asked last.
    pub(in crate::tests) fn asked(&self) -> Vec<u32> {
        self.shared.state.borrow_mut().opened.drain(..).collect()
    }

    /// Last stream and code of the next GOAWAY, or the end.
    pub(in crate::tests) async fn sent_away(&self) -> String {
        self.see(State::sent_away).await
    }

    /// How the connection ended.
    pub(in crate::tests) async fn end(&self) -> &'static str {
        self.see(|state| state.end.map(End::as_str)).await
    }

    /// Whether it has ended, or is about to.
    pub(in crate::tests) fn is_ending(&self) -> bool {
        let state = self.shared.state.borrow();
        state.end.is_some() || state.is_sent_away()
    }

    /// What of a stream, or of all for 0, has come and was not read.
    pub(in crate::tests) fn now(&self, stream: u32) -> String {
        self.shared.state.borrow().now(stream)
    }

    /// The fields of the head or trailers that were read last.
    pub(in crate::tests) fn fields(&self) -> Vec<Field> {
        self.shared.state.borrow().fields.clone()
    }

    /// Whether a stream has come to no end yet.
    pub(in crate::tests) fn is_open(&self, stream: u32) -> bool {
        self.shared.state.borrow().is_open(stream)
    }

    /// What the gateway has done that it may not.
    pub(in crate::tests) fn wrong(&self) -> Vec<String> {
        self.shared.state.borrow().wrong.clone()
    }
}

impl Drop for Framed {
    fn drop(&mut self) {
        self.shared.transport.take();
        self.shared.driver.take().into_iter().for_each(Waker::wake);
    }
}

impl Shared {
    /// Sends what lies ready, and wakes who may see something new.
    fn flush(&self) {
        if !self.hesitates.get() {
            let out = self.state.borrow_mut().outgoing();
            self.write(&out);
        }
    }

    fn write(&self, bytes: &[u8]) {
        if let Some(transport) = &*self.transport.borrow()
            && !bytes.is_empty()
        {
            transport.write(|into| into.extend_from_slice(bytes));
        }
    }
}

/// Reads until there is nothing to read any more.
async fn drive(shared: Rc<Shared>) {
    loop {
        let received = poll_fn(|cx| {
            shared.driver.set(Some(cx.waker().clone()));
            let transport = shared.transport.borrow();
            let Some(transport) = &*transport else { return Poll::Ready(None) };
            if shared.deaf.get() {
                return Poll::Pending;
            }
            loop {
                match transport.poll_readable(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(_)) => return Poll::Ready(Some(Err(End::Reset))),
                    Poll::Ready(Ok(())) => {}
                }
                match transport.try_receive(|bytes| (bytes.len(), bytes.to_vec())) {
                    Ok(None) => {}
                    Ok(Some(Received::Bytes(bytes))) => return Poll::Ready(Some(Ok(bytes))),
                    Ok(Some(Received::End)) => return Poll::Ready(Some(Err(End::Fin))),
                    Err(_) => return Poll::Ready(Some(Err(End::Reset))),
                }
            }
        })
        .await;
        let over = match received {
            None => return,
            Some(Ok(bytes)) => {
                shared.state.borrow_mut().received(&bytes);
                false
            }
            Some(Err(end)) => {
                shared.state.borrow_mut().end = Some(end);
                true
            }
        };
        shared.flush();
        let waiting = std::mem::take(&mut *shared.waiting.borrow_mut());
        waiting.into_iter().for_each(Waker::wake);
        if over {
            return;
        }
    }
}

//! What a client and a backend of the swarm need to speak HTTP/2: `wire`'s doors on a plain connection of their own.

use std::{
    cell::Cell,
    future::poll_fn,
    io,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use message::{Authority, Body, Length, Method, Request, Response, Target, Version};
use runtime::{Handle, Received};
use wire::{
    Limits,
    h2::{AnswerHead, Caller, Client, Code, Link, Receiver, Sender, Settings},
};

use super::{Random, World, asked::Asked, asked::Kind};
use crate::transport::Transport;

/// Unsent bytes with which no more are written.
const UNSENT_BYTES_MAX: usize = 32 << 10;

/// Bytes of a body that are sent at once at most.
const PIECE_BYTES_MAX: u64 = 4_000;

/// A connection's bytes.
pub(super) struct Wire(pub(super) Rc<Transport>);

impl Link for Wire {
    fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        take: &mut dyn FnMut(&[u8]) -> usize,
    ) -> Poll<io::Result<bool>> {
        loop {
            match self.0.poll_readable(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => {}
            }
            match self.0.try_receive(|bytes| (take(bytes), ())) {
                Ok(None) => {}
                Ok(Some(Received::Bytes(()))) => return Poll::Ready(Ok(true)),
                Ok(Some(Received::End)) => return Poll::Ready(Ok(false)),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn write(&self, bytes: &[u8]) {
        self.0.write_through(bytes);
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_sent_below(cx, UNSENT_BYTES_MAX)
    }

    fn finish(&self) {}
}

/// That its owner wants a connection gone at once.
#[derive(Default)]
struct Gone {
    is_wanted: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

/// A client's connection. Dropped it ends when its calls have.
pub(super) struct Connection {
    caller: Caller,
    gone: Rc<Gone>,
    over: Rc<Cell<bool>>,
}

/// What a call came to: status and body in one line, as those of HTTP/1 are told; `!reset` at the end of what was cut.
pub(super) type Told = String;

impl Connection {
    pub(super) fn new(handle: &Handle, transport: Transport) -> Self {
        let transport = Rc::new(transport);
        let (client, caller) = Client::new(Wire(transport.clone()), &Settings::BACKENDS).unwrap();
        let (gone, over) = (Rc::<Gone>::default(), Rc::<Cell<bool>>::default());
        handle.spawn(drive(client, transport, gone.clone(), over.clone()));
        Self { caller, gone, over }
    }

    /// Whether it can be used no more.
    pub(super) fn is_over(&self) -> bool {
        self.over.get()
    }

    /// Gone without a word, and all calls with it.
    pub(super) fn abort(self) {
        self.gone.is_wanted.set(true);
        self.gone.waker.take().into_iter().for_each(Waker::wake);
    }

    /// Asks for something. `leaves`: before the answer is whole.
    pub(super) async fn call(&self, world: &World, asked: &Asked, random: Random, leaves: bool) -> Told {
        let mut caller = self.caller.clone();
        if poll_fn(|cx| caller.poll_ready(cx)).await.is_err() {
            return "reset".into();
        }
        let upload = asked.upload();
        let ends = upload.is_empty();
        let length = (!ends && asked.kind != Kind::PostChunked).then_some(upload.len() as u64);
        let request = Request {
            method: Method::from_token(asked.method()),
            target: Target::parse(asked.path.as_bytes(), message::PathRules::default()).unwrap(),
            authority: Authority::parse(b"h").unwrap(),
            version: Version::Http2,
            body: if ends {
                Body::Empty
            } else {
                Body::Stream(length.map_or(Length::Unknown, Length::Known))
            },
            ..Request::default()
        };
        let called = caller.call(&request, &request.authority, false, length, ends);
        drop(caller);
        let Ok((mut awaited, sender)) = called else { return "reset".into() };
        if leaves && random.one_in(2) {
            random.pause(&world.handle).await;
            return "left!reset".into();
        }
        let mut kept = None;
        if ends {
            kept = Some(sender);
        } else {
            let (handle, random) = (world.handle.clone(), Random::new(random.below(1 << 40), 1));
            // Whoever answers before it has all may not want the rest.
            world.handle.spawn(async move {
                let _unwanted = send(&handle, sender, upload.into_bytes().into(), &random).await;
            });
        }
        let mut response = Response::default();
        let head = async {
            loop {
                let head =
                    poll_fn(|cx| awaited.poll_head(cx, &Limits::UPSTREAM, &request.method, &mut response));
                match head.await {
                    Ok(AnswerHead::Interim) => {}
                    Ok(AnswerHead::Final(receiver)) => return Some(receiver),
                    Err(_) => return None,
                }
            }
        };
        let Some(mut receiver) = head.await else { return "reset".into() };
        if leaves {
            return "left!reset".into();
        }
        let (body, end) = receive(&mut receiver).await;
        drop(kept);
        let body = String::from_utf8_lossy(&body);
        // Our own errors are told by their message.
        let message = body.strip_prefix("{\"message\":\"").and_then(|rest| rest.strip_suffix("\"}"));
        let said = format!("{} {}", response.status, message.unwrap_or(&body));
        if end.is_err() { format!("{said}!reset") } else { said }
    }
}

/// Reads and writes a connection's frames, until it has ended.
async fn drive(mut client: Client<Wire>, transport: Rc<Transport>, gone: Rc<Gone>, over: Rc<Cell<bool>>) {
    poll_fn(|cx| {
        if gone.is_wanted.get() {
            return Poll::Ready(());
        }
        gone.waker.set(Some(cx.waker().clone()));
        client.poll(cx).map(drop)
    })
    .await;
    over.set(true);
    drop(client);
    if let Ok(transport) = Rc::try_unwrap(transport) {
        if gone.is_wanted.get() {
            return transport.abort();
        }
        transport.finish();
        let _gone = transport.sent_below(1).await;
    }
}

/// All of a body that comes, and how it ended.
pub(super) async fn receive(receiver: &mut Receiver) -> (Vec<u8>, Result<(), Code>) {
    let mut body = Vec::new();
    loop {
        let received =
            poll_fn(|cx| receiver.poll_receive(cx, |bytes| (bytes.len(), body.extend_from_slice(bytes))));
        match received.await {
            Ok(Some(())) => {}
            Ok(None) => return (body, Ok(())),
            Err(code) => return (body, Err(code)),
        }
    }
}

/// Sends a body in pieces, as there is room for them.
pub(super) async fn send(
    handle: &Handle,
    mut sender: Sender,
    mut body: Bytes,
    random: &Random,
) -> Result<(), Code> {
    while !body.is_empty() {
        let piece = 1 + usize::try_from(random.below(PIECE_BYTES_MAX)).unwrap();
        sender.room(piece.min(body.len()));
        let room = poll_fn(|cx| sender.poll_room(cx)).await?;
        let piece = body.split_to(room.min(piece).min(body.len()));
        sender.send(piece, body.is_empty())?;
        if random.one_in(8) {
            random.pause(handle).await;
        }
    }
    Ok(())
}

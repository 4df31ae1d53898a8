//! A backend that speaks HTTP/2: it answers many at once, late or in pieces, ends a connection now and then as RFC 9113
//! §6.8 has it, and sees to it that what it gets is whole or cut.

use std::{future::poll_fn, rc::Rc};

use bytes::Bytes;
use message::{Headers, PathRules, Request, Response};
use runtime::Listener;
use wire::{
    Limits,
    h2::{Fault, Incoming, Reply, Server, Settings},
};

use super::{
    Random, World,
    asked::{Asked, Kind},
    http2::{Wire, receive, send},
};
use crate::transport::Transport;

const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

/// After one request in so many a connection takes no more.
const GOES_ONE_IN: u64 = 12;

/// Serves whoever connects.
pub(super) async fn backend(world: Rc<World>, listener: Listener, random: Random) {
    while let Ok((stream, _)) = listener.accept().await {
        let random = Random::new(random.below(1 << 40), 0);
        let (world, transport) = (world.clone(), Rc::new(Transport::plain(stream)));
        world.handle.clone().spawn(serve(world, transport, random));
    }
}

/// Serves a connection to its end.
async fn serve(world: Rc<World>, transport: Rc<Transport>, random: Random) {
    let mut server = Server::new(Wire(transport.clone()), &Settings::CLIENTS);
    loop {
        match poll_fn(|cx| server.poll(cx)).await {
            None => break,
            Some(Err(Fault::Link(_))) => break,
            Some(Err(fault)) => {
                world.wrong(format!("a backend's connection ended with {fault:?}"));
                break;
            }
            Some(Ok(incoming)) => {
                world.handle.spawn(answer(world.clone(), incoming, Random::new(random.below(1 << 40), 4)));
                if random.one_in(GOES_ONE_IN) {
                    server.go_away();
                }
            }
        }
    }
    drop(server);
    transport.finish();
    let _gone = transport.sent_below(1).await;
}

async fn answer(world: Rc<World>, mut incoming: Incoming, random: Random) {
    let mut request = Request::default();
    let read = incoming.read(&Limits::CLIENT, PathRules::default(), &mut request);
    let asked = Asked::of(request.target.path());
    let (Ok(_), Some(asked)) = (read, asked) else {
        return world.wrong(format!("a backend was asked {request:?}"));
    };
    if request.method.as_str() != asked.method() {
        world.wrong(format!("a backend was asked {} {}", request.method.as_str(), asked.path));
    }
    *world.got.borrow_mut().entry(asked.path.clone()).or_default() += 1;
    let (mut receiver, mut reply) = incoming.split();
    let upload = asked.upload();
    if asked.kind == Kind::Early {
        reply_with(&world, &asked, &mut reply, &random).await;
        let (got, _) = receive(&mut receiver).await;
        if !upload.as_bytes().starts_with(&got) {
            world.wrong(format!("a backend got another's body with {}", asked.path));
        }
        return;
    }
    let (got, end) = receive(&mut receiver).await;
    if end.is_err() && upload.as_bytes().starts_with(&got) {
        return;
    }
    if got != upload.as_bytes() {
        world.wrong(format!("a backend got {} with {}", String::from_utf8_lossy(&got), asked.path));
    }
    if random.one_in(3) {
        random.pause(&world.handle).await;
    }
    reply_with(&world, &asked, &mut reply, &random).await;
}

/// Says what is asked for. Who is gone has no use for it.
async fn reply_with(world: &World, asked: &Asked, reply: &mut Reply, random: &Random) {
    if asked.kind == Kind::Hints {
        let mut hint = Headers::default();
        hint.push("Link", b"</a>");
        let _gone = reply.interim(103, &hint);
    }
    let response = Response::new(asked.status().parse().unwrap());
    let body = Bytes::from(asked.body());
    let length = match asked.kind {
        Kind::Chunked | Kind::Old | Kind::UntilClose | Kind::Hints => None,
        _ => Some(body.len() as u64),
    };
    let ends = asked.kind == Kind::Head || body.is_empty();
    if let Ok(sender) = reply.answer(&response, length, DATE, ends)
        && !ends
    {
        let _gone = send(&world.handle, sender, body, random).await;
    }
}

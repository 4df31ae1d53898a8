//! A backend that speaks HTTP/2: answers what it is asked, late or in pieces, refuses some of it, ends connections as one
//! should, and, where not all is well, breaks off.

use std::{
    cell::Cell,
    rc::{Rc, Weak},
    time::Duration,
};

use ::harness::h2::{WINDOW_BYTES_MAX, code};
use runtime::Listener;

use super::{
    Random, World,
    asked::{Asked, Kind},
    calls::terms,
};
use crate::tests::harness::{Framed, Peer, Terms};

/// What crosses the first word of an end has arrived by then.
const CROSSING: Duration = Duration::from_secs(5);

/// A connection, and the last of its streams that is served, if it ends.
struct Connection {
    framed: Framed,
    last: Cell<u32>,
}

/// Serves whoever connects.
pub(super) async fn backend(world: Rc<World>, listener: Listener, random: Random) {
    while let Ok((stream, _)) = listener.accept().await {
        let random = Random::new(random.below(1 << 40), 0);
        world.handle.clone().spawn(connection(world.clone(), Peer::plain(stream), random));
    }
}

async fn connection(world: Rc<World>, peer: Peer, random: Random) {
    let streams_max = random.one_in(4).then(|| 2 + u32::try_from(random.below(6)).unwrap());
    let framed = Framed::backend(&world.handle, peer, Terms { streams_max, ..terms(&random) });
    let connection = Rc::new(Connection { framed, last: Cell::new(u32::MAX) });
    let mut left = random.one_in(3).then(|| random.below(6));
    while let Some(stream) = connection.framed.opened().await {
        if stream > connection.last.get() {
            continue;
        }
        let random = Random::new(random.below(1 << 40), 0);
        world.handle.spawn(serve(world.clone(), connection.clone(), stream, random));
        left = match left {
            Some(0) => {
                world.handle.spawn(end(world.clone(), Rc::downgrade(&connection)));
                None
            }
            left => left.map(|left| left - 1),
        };
        if !world.lossless && left == Some(1) {
            // Without a first word: what comes behind was not looked at.
            connection.last.set(stream);
            connection.framed.go_away(stream, code::NO_ERROR);
        }
    }
    let wrong = connection.framed.wrong();
    if !wrong.is_empty() {
        world.wrong(format!("to a backend: {wrong:?}"));
    }
}

/// In two steps (RFC 9113 §6.8).
async fn end(world: Rc<World>, connection: Weak<Connection>) {
    let is_going_on = |connection: &Rc<Connection>| connection.last.get() == u32::MAX;
    if let Some(connection) = connection.upgrade().filter(is_going_on) {
        connection.framed.go_away(WINDOW_BYTES_MAX, code::NO_ERROR);
    }
    world.handle.sleep(CROSSING).await;
    if let Some(connection) = connection.upgrade().filter(is_going_on) {
        connection.last.set(connection.framed.next() - 2);
        connection.framed.go_away(connection.last.get(), code::NO_ERROR);
    }
}

/// Serves one request.
async fn serve(world: Rc<World>, connection: Rc<Connection>, stream: u32, random: Random) {
    let Connection { framed, .. } = &*connection;
    let head = framed.message(stream, true).await;
    let Some(asked) = head.split(' ').nth(1).and_then(Asked::of) else {
        if head.contains(' ') {
            world.wrong(format!("a backend was asked {head}"));
        }
        return;
    };
    // Once; and nothing of which a part may be gone, where all must go well.
    if random.one_in(16)
        && (asked.upload().is_empty() || !world.lossless)
        && world.refused.borrow_mut().insert(asked.path.clone())
    {
        return framed.reset(stream, code::REFUSED_STREAM);
    }
    *world.got.borrow_mut().entry(asked.path.clone()).or_default() += 1;
    if asked.kind != Kind::Early && !uploaded(&world, framed, stream, &asked).await {
        return;
    }
    if random.one_in(3) {
        random.pause(&world.handle).await;
    }
    answer(&world, framed, stream, &asked, &random).await;
    if asked.kind == Kind::Early {
        uploaded(&world, framed, stream, &asked).await;
    }
}

/// Whether the request's body has come whole; what has come of it is looked at in any case.
async fn uploaded(world: &World, framed: &Framed, stream: u32, asked: &Asked) -> bool {
    let rest = framed.rest(stream).await;
    let (body, how) = rest.rsplit_once('!').unwrap_or(("", &rest));
    let (whole, upload) = (how == "end", asked.upload());
    if !upload.starts_with(body) || whole && upload != body {
        world.wrong(format!("a backend got {rest} with {}", asked.path));
    }
    whole
}

async fn answer(world: &World, framed: &Framed, stream: u32, asked: &Asked, random: &Random) {
    if asked.kind == Kind::Hints {
        let hints = [(":status", "103"), ("link", "</a>")];
        framed.head(stream, &hints.map(|(name, value)| (name.to_owned(), value.to_owned())), false);
    }
    let body = if asked.kind == Kind::Head { String::new() } else { asked.body() };
    let breaks_off = !world.lossless && random.one_in(12);
    framed.head(stream, &asked.answer_fields(), body.is_empty() && !breaks_off);
    let mut rest = &body[..];
    for _ in 0..2 {
        if random.one_in(4) {
            let (part, more) = rest.split_at(usize::try_from(random.below(rest.len() as u64 + 1)).unwrap());
            framed.send(stream, part.as_bytes(), false);
            rest = more;
            random.pause(&world.handle).await;
        }
    }
    match asked.trailers() {
        _ if breaks_off => framed.reset(stream, code::INTERNAL_ERROR),
        _ if body.is_empty() => {}
        Some(trailers) => {
            framed.send(stream, rest.as_bytes(), false);
            framed.trail(stream, &[trailers]);
        }
        None => framed.send(stream, rest.as_bytes(), true),
    }
}

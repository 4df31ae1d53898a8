//! A client of HTTP/2: asks for several things at once on one connection, gives some of them up at any moment, and looks
//! whether what comes back is its own.

use std::{rc::Rc, time::Duration};

use ::harness::h2::code;

use super::{
    ROUNDS, Random, Stage, World,
    asked::{Asked, Kind},
    client::{ANSWER_MAX, Call, Left, PIPELINED_MAX, draw},
    count,
};
use crate::tests::harness::{Framed, Peer, Terms, as_reset};

/// Windows of both sides. Smaller ones make crumbs, for which connections are ended.
const WINDOWS: [u32; 4] = [4_000, 16_384, 65_535, 1 << 20];

/// Asks, connection after connection if need be.
pub(super) async fn client(world: Rc<World>, number: u64, random: Random) {
    let _left = Left::new(&world);
    let mut kept: Option<Framed> = None;
    random.pause(&world.handle).await;
    for round in 0..ROUNDS {
        // Who was told that the connection ends opens no more streams on it.
        let framed = match kept.take().filter(|framed| !framed.is_ending()) {
            Some(framed) => framed,
            None => match Peer::connect(&world.handle, usize::from(random.one_in(2))).await {
                Ok(peer) => Framed::client(&world.handle, peer, terms(&random)),
                Err(_) if world.stage.get() == Stage::Ending => return,
                Err(error) => {
                    if world.lossless {
                        world.wrong(format!("client {number} can't connect: {error}"));
                    }
                    count(&world.failed);
                    continue;
                }
            },
        };
        let asked: Vec<_> = (0..=random.below(PIPELINED_MAX))
            .map(|index| draw(&world, &random, number, round * PIPELINED_MAX + index))
            .collect();
        let begun = world.stage.get();
        kept = ask(&Call { world: &world, random: &random, begun }, framed, &asked).await;
        if random.one_in(3) {
            random.pause(&world.handle).await;
        }
        if random.one_in(8) {
            kept = None;
        }
    }
}

pub(super) fn terms(random: &Random) -> Terms {
    let window_bytes = WINDOWS[usize::try_from(random.below(WINDOWS.len() as u64)).unwrap()];
    Terms { window_bytes, ..Terms::default() }
}

/// Asks for all of it, and looks at the answers; gives the connection back if it is still good.
async fn ask(call: &Call<'_>, framed: Framed, asked: &[Asked]) -> Option<Framed> {
    let Call { world, random, .. } = call;
    let mut streams = Vec::new();
    for one in asked {
        if framed.is_ending() {
            break;
        }
        let stream = framed.next();
        let upload = one.upload();
        framed.head(stream, &one.sent_fields(), upload.is_empty());
        let mut rest = if one.kind == Kind::Expecting { "" } else { &upload[..] };
        if random.one_in(3) {
            let (part, more) = rest.split_at(usize::try_from(random.below(rest.len() as u64 + 1)).unwrap());
            framed.send(stream, part.as_bytes(), false);
            rest = more;
        }
        streams.push((one, stream, rest.to_owned()));
        if random.one_in(6) {
            random.pause(&world.handle).await;
        }
    }
    if random.one_in(12) {
        if random.one_in(2) {
            random.pause(&world.handle).await;
        }
        if random.one_in(2) {
            framed.abort();
        }
        return None;
    }
    for (one, stream, rest) in &streams {
        if one.kind != Kind::Expecting && !one.upload().is_empty() {
            framed.send(*stream, rest.as_bytes(), true);
        }
    }
    for (one, stream, _) in streams {
        if random.one_in(8) {
            give_up(call, &framed, stream).await;
            continue;
        }
        let mut told = answer(call, &framed, one, stream).await;
        if told == "100" && one.kind == Kind::Expecting {
            framed.send(stream, one.upload().as_bytes(), true);
            told = answer(call, &framed, one, stream).await;
        }
        if one.kind == Kind::Head && told == "200" {
            let length = one.body().len().to_string();
            if !framed.fields().contains(&("content-length".to_owned(), length)) {
                world.wrong(format!("{} says another length: {:?}", one.path, framed.fields()));
            }
        }
        let told = without_trailers(call, one, told);
        call.judge(one, &told, true);
    }
    let wrong = framed.wrong();
    if !wrong.is_empty() {
        world.wrong(format!("to a client: {wrong:?}"));
        return None;
    }
    Some(framed)
}

/// At any moment until it has ended.
async fn give_up(call: &Call<'_>, framed: &Framed, stream: u32) {
    let Call { world, random, .. } = call;
    match random.below(3) {
        0 => {}
        1 => random.pause(&world.handle).await,
        _ => drop(framed.message(stream, true).await),
    }
    framed.reset(stream, code::CANCEL);
}

/// The next answer that is not an early hint.
async fn answer(call: &Call<'_>, framed: &Framed, asked: &Asked, stream: u32) -> String {
    let world = call.world;
    let begun_ns = world.handle.now().mono_ns;
    loop {
        let told = framed.message(stream, false).await;
        if told != "103" {
            let took = Duration::from_nanos(world.handle.now().mono_ns - begun_ns);
            if took > ANSWER_MAX {
                world.wrong(format!("{}: after {took:?}: {told}", asked.path));
            }
            return as_reset(told);
        }
    }
}

/// What came is told without its trailers, which come if the backend has sent them over HTTP/2 too.
fn without_trailers(call: &Call<'_>, asked: &Asked, told: String) -> String {
    let world = call.world;
    let Some((name, value)) = asked.trailers().filter(|_| world.speaks.backends && told.starts_with("200 "))
    else {
        return told;
    };
    match told.strip_suffix(&format!(" +{name}: {value}")) {
        Some(told) => told.to_owned(),
        None => {
            if !told.ends_with("!reset") && !told.ends_with("!fin") {
                world.wrong(format!("{}: lacks its trailers: {told}", asked.path));
            }
            told
        }
    }
}

//! A backend that answers what it is asked, late or in pieces, and sees to it that what it gets is whole or cut.

use std::rc::Rc;

use runtime::Listener;

use super::{
    Random, World,
    asked::{Asked, Kind},
};
use crate::tests::harness::Peer;

/// Serves whoever connects.
pub(super) async fn backend(world: Rc<World>, listener: Listener, random: Random) {
    while let Ok((stream, _)) = listener.accept().await {
        let random = Random::new(random.below(1 << 40), 0);
        let (world, peer) = (world.clone(), Peer::plain(stream));
        world.handle.clone().spawn(async move {
            let mut peer = peer;
            while serve(&world, &mut peer, &random).await {}
        });
    }
}

/// Serves one request; false when there can be no other.
async fn serve(world: &World, peer: &mut Peer, random: &Random) -> bool {
    let head = peer.head().await;
    if is_cut(&head) {
        return false;
    }
    let Some(asked) = head.split(' ').nth(1).and_then(Asked::of) else {
        world.wrong(format!("a backend was asked {head}"));
        return false;
    };
    *world.got.borrow_mut().entry(asked.path.clone()).or_default() += 1;
    if asked.kind == Kind::Early {
        peer.message(true).await;
        peer.send(asked.answer(false).as_bytes());
        let (upload, got) = (asked.upload(), peer.raw(asked.upload().len()).await);
        if !upload.as_bytes().starts_with(&got) {
            world.wrong(format!("a backend got another's body with {head}"));
        }
        return got.len() == upload.len();
    }
    let got = peer.message(false).await;
    if is_cut(&got) {
        let before = got.rsplit_once('!').map_or("", |(before, _)| before);
        if !asked.got().starts_with(before) {
            world.wrong(format!("a backend got {before} with {head}"));
        }
        return false;
    }
    if got != asked.got() {
        world.wrong(format!("a backend got {got} with {head}"));
    }
    if random.one_in(3) {
        random.pause(&world.handle).await;
    }
    let close = asked.kind == Kind::UntilClose || asked.kind != Kind::Upgrade && random.one_in(8);
    send(world, peer, asked.answer(close).as_bytes(), random).await;
    if asked.kind == Kind::Upgrade {
        tunnel(world, peer, &asked).await;
        return false;
    }
    if close {
        peer.finish();
        let (rest, _) = peer.rest().await;
        if !rest.is_empty() {
            world.wrong(format!("{} came behind the end", String::from_utf8_lossy(&rest)));
        }
    }
    !close
}

/// Says back what comes, and ends when the other side has.
async fn tunnel(world: &World, peer: &mut Peer, asked: &Asked) {
    let ping = asked.ping();
    let got = peer.raw(ping.len()).await;
    if !ping.as_bytes().starts_with(&got) {
        world.wrong(format!("{} passed through {}", String::from_utf8_lossy(&got), asked.path));
    }
    peer.send(&got);
    let (rest, _) = peer.rest().await;
    if !rest.is_empty() {
        world.wrong(format!("{} passed through {}", String::from_utf8_lossy(&rest), asked.path));
    }
    peer.finish();
    peer.sent().await;
}

/// Whether a line of a test is that of something cut.
pub(super) fn is_cut(line: &str) -> bool {
    ["fin", "reset"]
        .iter()
        .any(|end| line.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('!')))
}

/// Sends it in up to three pieces.
pub(super) async fn send(world: &World, peer: &Peer, bytes: &[u8], random: &Random) {
    let mut rest = bytes;
    for _ in 0..2 {
        if !random.one_in(4) {
            break;
        }
        let at = usize::try_from(random.below(rest.len() as u64 + 1)).unwrap();
        peer.send(&rest[..at]);
        rest = &rest[at..];
        random.pause(&world.handle).await;
    }
    peer.send(rest);
}

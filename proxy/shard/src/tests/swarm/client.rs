//! A client who asks for this and that, and looks whether what comes back is its own.

use std::{rc::Rc, time::Duration};

use super::{
    FIRST, ROUNDS, Random, SECOND, Stage, World,
    asked::{Asked, Kind},
    backend::{is_cut, send},
    count,
};
use crate::tests::harness::Peer;

/// Kinds of requests to choose from.
const DRAWN: u64 = 1 << 32;

/// The longest that an answer may take: slow links, pauses of backends and listeners, and others that are waited for.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Requests that are sent at once.
pub(super) const PIPELINED_MAX: u64 = 4;

/// Counts a client off, also one that panics.
pub(super) struct Left(Rc<World>);

impl Left {
    pub(super) fn new(world: &Rc<World>) -> Self {
        Self(world.clone())
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        self.0.clients.set(self.0.clients.get() - 1);
    }
}

/// Asks, connection after connection if need be.
pub(super) async fn client(world: Rc<World>, number: u64, random: Random) {
    let _left = Left::new(&world);
    let mut kept = None;
    random.pause(&world.handle).await;
    for round in 0..ROUNDS {
        let peer = match kept.take() {
            Some(peer) => peer,
            None => match Peer::connect(&world.handle, usize::from(random.one_in(2))).await {
                Ok(peer) => peer,
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
        let first = draw(&world, &random, number, round * PIPELINED_MAX);
        let mut asked = vec![first];
        while asked.last().is_some_and(Asked::may_be_followed)
            && (asked.len() as u64) < PIPELINED_MAX
            && random.one_in(4)
        {
            asked.push(draw(&world, &random, number, round * PIPELINED_MAX + asked.len() as u64));
        }
        kept = Call { world: &world, random: &random, begun: world.stage.get() }.ask(peer, &asked).await;
        if random.one_in(3) {
            random.pause(&world.handle).await;
        }
        if random.one_in(8) {
            kept = None;
        }
    }
}

/// Something that client and backends have words for.
pub(super) fn draw(world: &World, random: &Random, client: u64, number: u64) -> Asked {
    loop {
        let asked = Asked::new(random.below(DRAWN), client, number);
        if world.speaks.can_say(asked.kind) {
            return asked;
        }
    }
}

/// Requests that are sent on a connection, one behind the other.
pub(super) struct Call<'a> {
    pub(super) world: &'a World,
    pub(super) random: &'a Random,
    /// When the first was begun.
    pub(super) begun: Stage,
}

impl Call<'_> {
    /// Asks, and looks at the answers; gives the connection back if it is still good.
    async fn ask(&self, mut peer: Peer, asked: &[Asked]) -> Option<Peer> {
        let Self { world, random, .. } = self;
        let mut bytes = String::new();
        for one in asked {
            let (head, body) = one.sent();
            bytes.push_str(&head);
            if one.kind != Kind::Expecting {
                bytes.push_str(&body);
            }
        }
        if random.one_in(10) {
            return self.leave(peer, bytes.as_bytes()).await;
        }
        send(world, &peer, bytes.as_bytes(), random).await;
        for (index, one) in asked.iter().enumerate() {
            let mut told = self.answer(&mut peer, one).await;
            if told == "100" && one.kind == Kind::Expecting {
                send(world, &peer, one.sent().1.as_bytes(), random).await;
                told = self.answer(&mut peer, one).await;
            }
            if !self.judge(one, &told, index == 0) {
                return None;
            }
            if one.kind == Kind::Head && told.starts_with("200") {
                let length = one.body().len().to_string();
                if !peer.fields().iter().any(|(name, value)| name == "content-length" && *value == length) {
                    world.wrong(format!("{} says another length: {:?}", one.path, peer.fields()));
                }
            }
            if one.kind == Kind::Upgrade && told.starts_with("101") {
                self.tunnel(&mut peer, one).await;
                return None;
            }
            if told.split(' ').any(|word| word == "close") {
                return None;
            }
        }
        Some(peer)
    }

    /// The next answer that is not an early hint.
    async fn answer(&self, peer: &mut Peer, asked: &Asked) -> String {
        let begun_ns = self.world.handle.now().mono_ns;
        loop {
            let told = peer.message(asked.kind == Kind::Head).await;
            if told != "103" {
                let took = Duration::from_nanos(self.world.handle.now().mono_ns - begun_ns);
                if took > ANSWER_MAX {
                    self.world.wrong(format!("{}: after {took:?}: {told}", asked.path));
                }
                return told;
            }
        }
    }

    /// Sends a part of it, and goes without an answer.
    async fn leave(&self, peer: Peer, bytes: &[u8]) -> Option<Peer> {
        let part = usize::try_from(self.random.below(bytes.len() as u64 + 1)).unwrap();
        send(self.world, &peer, &bytes[..part], self.random).await;
        if self.random.one_in(2) {
            self.random.pause(&self.world.handle).await;
        }
        if self.random.one_in(2) {
            peer.abort();
        }
        None
    }

    /// Whether it is a whole answer; notes what is wrong with it.
    pub(super) fn judge(&self, asked: &Asked, told: &str, is_first: bool) -> bool {
        let world = self.world;
        let wrong = |why: &str| world.wrong(format!("{}: {why}: {told}", asked.path));
        if is_cut(told) {
            count(&world.failed);
            // Who asks while the node ends may find the door closed; who was asking before is answered.
            let closed = matches!(told, "fin" | "reset")
                && world.stage.get() == Stage::Ending
                && (self.begun == Stage::Ending || !is_first);
            if world.lossless && !closed {
                wrong("cut");
            }
            let (said, _) = told.rsplit_once('!').unwrap_or_default();
            let (status, _, body) = parts(said);
            // What the node says by itself is of a configuration; that it is of its time is looked at when it is whole.
            let is_own = match asked.kind {
                Kind::Mock => [FIRST, SECOND].iter().any(|says| says.starts_with(body)),
                _ => asked.body().starts_with(body),
            };
            if !said.is_empty() && !said.starts_with("HTTP/") && status == asked.status() && !is_own {
                wrong("cut from another's");
            }
            return false;
        }
        let (status, words, body) = parts(told);
        let right = match (asked.kind, status) {
            (Kind::Mock, "200") => self.is_of_its_time(body),
            (Kind::Once, "429") => body == "Too Many Requests",
            (Kind::Upgrade, "101") => body.is_empty(),
            (Kind::Head, _) if status == asked.status() => body.is_empty(),
            _ if status == asked.status() => body == asked.body(),
            (_, "502" | "504") => !world.lossless,
            _ => false,
        };
        if !right {
            wrong("not its own");
        }
        if asked.kind == Kind::Once && status == "200" {
            world.granted.set(world.granted.get() + 1);
        }
        let closes = words.contains(&"close");
        if closes && world.lossless && asked.kind != Kind::Old && world.stage.get() != Stage::Ending {
            wrong("closes");
        }
        count(if matches!(status, "502" | "504") { &world.failed } else { &world.whole });
        true
    }

    /// Whether an answer of the node itself is of a configuration that was there meanwhile.
    fn is_of_its_time(&self, body: &str) -> bool {
        match body {
            FIRST => self.begun <= Stage::Swapping,
            SECOND => self.world.stage.get() >= Stage::Swapping,
            _ => false,
        }
    }

    async fn tunnel(&self, peer: &mut Peer, asked: &Asked) {
        let ping = asked.ping();
        send(self.world, peer, ping.as_bytes(), self.random).await;
        let mut got = peer.raw(ping.len()).await;
        peer.finish();
        let (rest, end) = peer.rest().await;
        got.extend_from_slice(&rest);
        let whole = got == ping.as_bytes() && end == "fin";
        if whole {
            count(&self.world.tunnels);
        } else if self.world.lossless || !ping.as_bytes().starts_with(&got) {
            self.world.wrong(format!("{}: came back: {}!{end}", asked.path, String::from_utf8_lossy(&got)));
        }
    }
}

/// Status, what is said of framing and connection, and the body.
fn parts(line: &str) -> (&str, Vec<&str>, &str) {
    let (status, mut rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut words = Vec::new();
    loop {
        let (word, behind) = rest.split_once(' ').unwrap_or((rest, ""));
        if !matches!(word, "chunked" | "until-close" | "close" | "keep-alive" | "upgrade=x") {
            return (status, words, rest);
        }
        words.push(word);
        rest = behind;
    }
}

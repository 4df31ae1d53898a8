//! Floods: what costs a client nothing and a server something, over and over. Each is ended within a thousand frames (row H2),
//! and what each holds while it lasts is bounded; nobody else notices.

use std::time::{Duration, Instant};

use harness::{
    Act, Broken, Gate, Gateway, Origin, PATIENCE, eventually,
    h2::{self, Block, Frame, Options, code, flag, setting},
};

use crate::everything;

/// A flood: its name, and what it sends next.
pub(crate) struct Flood {
    pub(crate) name: &'static str,
    /// Sent once.
    begin: fn(&mut Attack),
    /// Sent again and again.
    step: fn(&mut Attack),
}

/// A flood on its way.
pub(crate) struct Attack {
    bytes: Vec<u8>,
    /// Frames so far.
    pub(crate) frames: usize,
    /// Bytes so far.
    wire: u64,
    /// The newest stream.
    stream: u32,
    /// `:method GET`, `:scheme http`, `:path /`, `:authority a`.
    get: Vec<u8>,
    post: Vec<u8>,
    post_to_hold: Vec<u8>,
}

/// Row H2.
pub(crate) const FRAMES_MAX: usize = 1_000;

/// Frames that are sent before the answers are looked at.
const BATCH: usize = 50;

/// Connections of one flood beside each other, to see what each holds.
pub(crate) const BESIDE: usize = 40;

/// Row H2: what a connection of a flood may add.
const FLOOD_BYTES_MAX: u64 = 1 << 20;

const HEAD: u8 = flag::END_HEADERS;
const WHOLE: u8 = flag::END_HEADERS | flag::END_STREAM;

fn nothing(_: &mut Attack) {}

/// Eleven kinds, some of which have several shapes.
#[rustfmt::skip]
pub(crate) const FLOODS: &[Flood] = &[
    // CVE-2023-44487.
    Flood { name: "rapid reset", begin: nothing, step: |a| { a.get(); a.reset(code::CANCEL); } },
    // CVE-2025-8671: the server is made to reset, each time in another way.
    Flood { name: "made to reset by an update of nothing", begin: nothing, step: |a| { a.post(); a.update(0); } },
    Flood { name: "made to reset by a window that overflows", begin: nothing, step: |a| { a.post(); a.update(h2::WINDOW_BYTES_MAX); } },
    Flood { name: "made to reset by a priority of itself", begin: nothing, step: |a| { a.post(); let stream = a.stream; a.frame(&Frame::priority(stream, stream, 1)); } },
    Flood { name: "made to reset by a short priority", begin: nothing, step: |a| { a.post(); let stream = a.stream; a.frame(&Frame::priority(stream, 0, 1).saying([0])); } },
    Flood { name: "made to reset by data behind the end", begin: nothing, step: |a| { a.get(); let stream = a.stream; a.frame(&Frame::data(stream, 0, "a")); } },
    Flood { name: "made to reset by a head behind the end", begin: nothing, step: |a| { a.get(); let get = a.get.clone(); a.head_on(WHOLE, get); } },
    Flood { name: "made to reset by trailers that do not end", begin: nothing, step: |a| { a.post(); a.head_on(HEAD, Block::of(&[("x-a", "b")]).into()); } },
    Flood { name: "made to reset by a wrong length", begin: nothing, step: |a| {
        let head = [&a.post[..], &Block::of(&[("content-length", "1")]).bytes()].concat();
        a.open(HEAD, head);
        let stream = a.stream;
        a.frame(&Frame::data(stream, flag::END_STREAM, "ab"));
    } },
    Flood { name: "made to refuse heads", begin: nothing, step: |a| {
        let head = [&a.get[..], &Block::of(&[("te", "gzip")]).bytes()].concat();
        a.open(WHOLE, head);
    } },
    Flood { name: "made to refuse streams", begin: |a| (0..100).for_each(|_| a.hold()), step: |a| a.get() },
    // CVE-2024-27316 and its kin.
    Flood { name: "continuations", begin: |a| { let get = a.get.clone(); a.open(0, get); }, step: |a| { let stream = a.stream; a.frame(&Frame::continuation(stream, 0, Block::of(&[("x-a", "b")]))); } },
    Flood { name: "empty continuations", begin: |a| { let get = a.get.clone(); a.open(0, get); }, step: |a| { let stream = a.stream; a.frame(&Frame::continuation(stream, 0, "")); } },
    // As long as one may be that is refused with an answer.
    Flood { name: "heads that are far too long", begin: nothing, step: Attack::long_head },
    // CVE-2019-9512.
    Flood { name: "pings", begin: nothing, step: |a| a.frame(&Frame::ping([0; 8])) },
    Flood { name: "answers to no ping", begin: nothing, step: |a| a.frame(&Frame::ping_ack([0; 8])) },
    // CVE-2019-9515.
    Flood { name: "settings", begin: nothing, step: |a| a.frame(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 1 << 16)])) },
    Flood { name: "empty settings", begin: nothing, step: |a| a.frame(&Frame::settings(&[])) },
    // CVE-2019-9518.
    Flood { name: "empty data", begin: Attack::hold, step: |a| { let stream = a.stream; a.frame(&Frame::data(stream, 0, "")); } },
    Flood { name: "only padding", begin: Attack::hold, step: |a| { let stream = a.stream; a.frame(&Frame::data(stream, 0, "").padded(0)); } },
    // CVE-2019-9513.
    Flood { name: "priorities", begin: nothing, step: |a| { let of = (a.frames as u32 % 100) * 2 + 1; a.frame(&Frame::priority(of, of + 2, 1)); } },
    // CVE-2019-9511 from the other side, CVE-2019-9517.
    Flood { name: "updates of a byte", begin: nothing, step: |a| a.frame(&Frame::window_update(0, 1)) },
    Flood { name: "updates of a byte on a stream", begin: Attack::hold, step: |a| a.update(1) },
    Flood { name: "promises", begin: nothing, step: |a| a.frame(&Frame::push_promise(1, HEAD, 2, [0x82])) },
    Flood { name: "resets behind the end", begin: nothing, step: |a| {
        a.post();
        let stream = a.stream;
        a.frame(&Frame::data(stream, flag::END_STREAM, "a"));
        a.reset(code::CANCEL);
    } },
    // CVE-2019-9516.
    Flood { name: "fields without names", begin: nothing, step: |a| { let head = [&a.get[..], &Block::of(&[("", ""); 50]).bytes()].concat(); a.open(WHOLE, head); } },
    Flood { name: "fields without values", begin: nothing, step: |a| { let head = [&a.get[..], &Block::of(&[("x", ""); 200]).bytes()].concat(); a.open(WHOLE, head); } },
    Flood { name: "heads of nothing", begin: nothing, step: |a| a.open(WHOLE, Vec::new()) },
    Flood { name: "last words", begin: nothing, step: |a| a.frame(&Frame::go_away(0, 0, b"")) },
    Flood { name: "frames that nobody knows", begin: nothing, step: |a| a.frame(&Frame::new(0x2a, 0, 0, "")) },
];

impl Attack {
    pub(crate) fn new() -> Self {
        let block = |method, path| {
            Block::of(&[(":method", method), (":scheme", "http"), (":path", path), (":authority", "a")])
                .bytes()
        };
        Self {
            bytes: Vec::new(),
            frames: 0,
            wire: 0,
            stream: 0,
            get: block("GET", "/"),
            post: block("POST", "/"),
            post_to_hold: block("POST", "/hold"),
        }
    }

    /// As many frames as go into a batch, or a few more.
    pub(crate) fn batch(&mut self, flood: &Flood) -> Vec<u8> {
        let begun = self.frames;
        if begun == 0 {
            (flood.begin)(self);
        }
        while self.frames < begun + BATCH {
            (flood.step)(self);
        }
        std::mem::take(&mut self.bytes)
    }

    fn frame(&mut self, frame: &Frame) {
        self.frames += 1;
        let bytes = frame.bytes();
        self.wire += bytes.len() as u64;
        self.bytes.extend(bytes);
    }

    fn open(&mut self, flags: u8, block: Vec<u8>) {
        self.stream = if self.stream == 0 { 1 } else { self.stream + 2 };
        self.head_on(flags, block);
    }

    fn head_on(&mut self, flags: u8, block: Vec<u8>) {
        let stream = self.stream;
        self.frame(&Frame::headers(stream, flags, block));
    }

    fn get(&mut self) {
        let get = self.get.clone();
        self.open(WHOLE, get);
    }

    fn long_head(&mut self) {
        let (get, part) = (self.get.clone(), Block::of(&[("x-a", &"a".repeat(16_000))]).bytes());
        self.open(flag::END_STREAM, get);
        for number in 1..=16 {
            let flags = if number == 16 { flag::END_HEADERS } else { 0 };
            let frame = Frame::continuation(self.stream, flags, part.clone());
            self.frame(&frame);
        }
    }

    fn post(&mut self) {
        let post = self.post.clone();
        self.open(HEAD, post);
    }

    fn hold(&mut self) {
        let post = self.post_to_hold.clone();
        self.open(HEAD, post);
    }

    fn update(&mut self, bytes: u32) {
        let stream = self.stream;
        self.frame(&Frame::window_update(stream, bytes));
    }

    fn reset(&mut self, code: u32) {
        let stream = self.stream;
        self.frame(&Frame::reset(stream, code));
    }
}

/// Sends a flood until it is ended or `frames_max` are out; what was sent, and whether it was ended by then, as far as one can see
/// without waiting.
fn flood(connection: &mut h2::Connection, flood: &Flood, frames_max: usize) -> (Attack, bool) {
    let mut attack = Attack::new();
    while attack.frames < frames_max {
        let batch = attack.batch(flood);
        if !connection.try_send(batch) {
            return (attack, true);
        }
        loop {
            match connection.next_frame_within(Duration::from_millis(1)) {
                Ok(_) => {}
                Err(Broken::Silent(_)) => break,
                Err(Broken::Ended(_)) => return (attack, true),
                Err(Broken::Wrong(problem)) => panic!("{}: {problem}", flood.name),
            }
        }
    }
    (attack, false)
}

fn backend() -> Origin {
    Origin::start(|request| match request.target() {
        "/hold" => vec![Act::Stall],
        _ => vec![Act::ReadBody, Act::answer(200, &[], "ok")],
    })
}

#[test]
fn every_flood_is_ended() {
    let origin = backend();
    let gateway = Gateway::start(&everything(&origin.url()));
    let mut wrong = Vec::new();
    for attack in FLOODS {
        let mut connection = gateway.connect_h2();
        let ended =
            flood(&mut connection, attack, FRAMES_MAX).1 || connection.ends_within(PATIENCE).is_some();
        let told = connection.gone().last().map(|gone| gone.code);
        // Without an error is the end of who was asked to go before it was made to.
        if !ended || told.is_none() {
            wrong.push(format!("{}: ended {ended}, {told:?}", attack.name));
        }
        assert_eq!(gateway.ask("GET /").text(), "ok", "{}", attack.name);
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), FLOODS.len(), wrong.join("\n"));
}

/// What a flood holds, that has been ended or not: row H3 to the letter. A hundred requests that are held, as one of them begins, are
/// among the bombs below.
#[test]
fn no_flood_holds_much() {
    const FRAMES: usize = 400;
    let origin = backend();
    let mut wrong = Vec::new();
    for attack in FLOODS {
        let gateway = Gateway::start(&everything(&origin.url()));
        // What is there once.
        assert_eq!(gateway.connect_h2().ask("GET /").response().text(), "ok");
        let before = gateway.rss_bytes();
        let mut held: Vec<_> = (0..BESIDE).map(|_| gateway.connect_h2()).collect();
        let mut sent = Attack::new();
        for connection in &mut held {
            sent = flood(connection, attack, FRAMES).0;
        }
        let each = gateway.rss_bytes().saturating_sub(before) / BESIDE as u64;
        let max = FLOOD_BYTES_MAX.min(sent.wire * BOMB_BYTES_A_BYTE);
        let said = format!("{}, {} may be", shown(attack.name, each, sent.wire), max >> 10);
        println!("{said}");
        if each > max {
            wrong.push(said);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Row H3: heads of few bytes that become many, with windows of nothing, so that what they ask for stays.
pub(crate) const BOMB_STREAMS: usize = 100;
pub(crate) const BOMB_BYTES_MAX: u64 = 4 << 20;
/// Row H3: what may be held for each byte that was sent, by heads, bodies and tables.
pub(crate) const BOMB_BYTES_A_BYTE: u64 = 10;
/// What a connection takes by itself, with the heads that it may hold for nothing.
const CONNECTION_BYTES: u64 = 64 << 10;
/// What a request in flight takes by itself, whatever it cost its sender: its task, its messages and its backend's
/// connection, 2 KiB of its head, 1 KiB of its answer. There are as many as a connection may have streams.
const REQUEST_BYTES: u64 = 8 << 10;

/// What the streams of a bomb begin with, and what each adds.
pub(crate) struct Bomb {
    pub(crate) name: &'static str,
    /// Put into the table by the first stream.
    pub(crate) entry: Block,
    /// Refers to it.
    pub(crate) references: usize,
    pub(crate) path: &'static str,
}

/// What may be held of a connection whose streams are all in flight and that has sent so many bytes.
fn with_requests(wire: u64) -> u64 {
    CONNECTION_BYTES + BOMB_STREAMS as u64 * REQUEST_BYTES + wire * BOMB_BYTES_A_BYTE
}

/// What is held of each connection, and how much that is for each byte that it has sent.
fn shown(name: &str, each: u64, wire: u64) -> String {
    format!(
        "{name}: {} KiB each for {:.1} KiB on the wire, {:.2} a byte",
        each >> 10,
        wire as f64 / 1024.0,
        each as f64 / wire as f64
    )
}

#[test]
fn bombs_do_not_go_off() {
    let origin = large_backend();
    let entry = |name: &str, bytes: usize| {
        Block::new().field(h2::hpack::Indexing::Incremental, name, "x".repeat(bytes), false)
    };
    // Row H3 to the letter: nothing beside what was sent.
    let literal = [
        Bomb {
            name: "32 k references to 4 KiB",
            entry: entry("x-bomb", 4_000),
            references: 32 << 10,
            path: "/",
        },
        Bomb { name: "32 k references to nothing", entry: entry("x", 0), references: 32 << 10, path: "/" },
        Bomb { name: "32 k crumbs", entry: entry("cookie", 1), references: 32 << 10, path: "/" },
    ];
    let others = [
        Bomb { name: "as many crumbs as are allowed", entry: entry("cookie", 60), references: 90, path: "/" },
        Bomb {
            name: "as many bytes as are allowed",
            entry: entry("x-bomb", 3_900),
            references: 1,
            path: "/",
        },
        Bomb {
            name: "as many as count for nothing",
            entry: entry("x-bomb", 1_850),
            references: 1,
            path: "/",
        },
        Bomb { name: "cookies that are held", entry: entry("cookie", 3_900), references: 1, path: "/hold" },
        Bomb { name: "crumbs that are held", entry: entry("cookie", 60), references: 90, path: "/hold" },
        Bomb { name: "requests that are held", entry: Block::new(), references: 0, path: "/hold" },
        Bomb { name: "a hundred requests", entry: Block::new(), references: 0, path: "/" },
        Bomb { name: "a hundred large answers", entry: Block::new(), references: 0, path: "/large" },
    ];
    let by_wire: fn(u64) -> u64 = |wire| wire * BOMB_BYTES_A_BYTE;
    let of_literal = literal.iter().map(|bomb| (bomb, by_wire));
    let mut wrong = Vec::new();
    for (bomb, bytes_max) in
        of_literal.chain(others.iter().map(|bomb| (bomb, with_requests as fn(u64) -> u64)))
    {
        let gateway = Gateway::start(&everything(&origin.url()));
        let before = used(&gateway);
        wrong.extend(held(&gateway, bomb, before, bytes_max).err());
        assert_eq!(gateway.ask("GET /").status, 200, "{}", bomb.name);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a gateway takes that has been used: pools, and all buffers of the ring, of which each receive touches the next.
pub(crate) fn used(gateway: &Gateway) -> u64 {
    const REQUESTS: usize = 1_200;
    let mut connection = gateway.connect_h2();
    for _ in 0..REQUESTS {
        assert_eq!(connection.ask("GET /").response().text(), "ok");
    }
    gateway.rss_bytes()
}

/// The same on connections to the backend that were kept, and would bring more by themselves.
#[test]
fn kept_connections_bring_no_more() {
    let gate = Gate::default();
    let origin = gated_backend(&gate);
    let gateway = Gateway::start(&everything(&origin.url()));
    let before = used(&gateway);
    let asked = origin.requests().len();
    let mut friends: Vec<_> = (0..BESIDE).map(|_| gateway.connect_h2()).collect();
    for friend in &mut friends {
        for _ in 0..BOMB_STREAMS {
            friend.begin("GET /gate", true);
        }
    }
    // Each of them has a connection of its own by then.
    let all = asked + BESIDE * BOMB_STREAMS;
    eventually("all are with the backend", || (origin.requests().len() == all).then_some(()));
    gate.open();
    for friend in &mut friends {
        let last = friend.next_stream() - 2;
        friend.wait_until(|it| (1..=last).step_by(2).all(|stream| it.is_over(stream))).unwrap();
    }
    let bomb = Bomb { name: "a hundred large answers", entry: Block::new(), references: 0, path: "/large" };
    assert_eq!(held(&gateway, &bomb, before, with_requests), Ok(()));
}

/// Sets off some bombs of a kind beside each other; whether they hold more than they may, once pools have given up what nobody
/// needs. `before`: what the gateway took without them.
fn held(gateway: &Gateway, bomb: &Bomb, before: u64, bytes_max: fn(u64) -> u64) -> Result<(), String> {
    /// Less than any of them is waited for before it is ended.
    const LOOKS: usize = 20;
    const LOOK: Duration = Duration::from_millis(100);
    let mut held: Vec<_> = (0..BESIDE).map(|_| set_off(gateway, bomb)).collect();
    let wire = held.iter().map(|(_, wire)| *wire as u64).sum::<u64>() / BESIDE as u64;
    let (mut least, max) = (u64::MAX, BOMB_BYTES_MAX.min(bytes_max(wire)));
    for _ in 0..LOOKS {
        least = least.min(gateway.rss_bytes().saturating_sub(before) / BESIDE as u64);
        if least <= max {
            break;
        }
        drop(held[0].0.next_frame_within(LOOK));
    }
    let said = format!("{}, {} may be", shown(bomb.name, least, wire), max >> 10);
    println!("{said}");
    if least <= max { Ok(()) } else { Err(said) }
}

/// A browser with large cookies that asks for very much at once: what would be too much waits, and all is served.
#[test]
fn who_has_large_cookies_is_served() {
    const COOKIE_BYTES: usize = 3_900;
    const AT_ONCE_MIN: usize = 30;
    let gate = Gate::default();
    let origin = gated_backend(&gate);
    let gateway = Gateway::start(&everything(&origin.url()));
    let mut connection = gateway.connect_h2();
    let get = Block::of(&[(":method", "GET"), (":scheme", "http"), (":path", "/gate"), (":authority", "a")]);
    let cookie =
        Block::new().field(h2::hpack::Indexing::Incremental, "cookie", "x".repeat(COOKIE_BYTES), false);
    let mut bytes = Vec::new();
    for number in 0..BOMB_STREAMS as u32 {
        let block =
            if number == 0 { get.clone().then(&cookie) } else { get.clone().then(&Block::new().indexed(62)) };
        bytes.extend(Frame::headers(2 * number + 1, WHOLE, block).bytes());
    }
    connection.send(bytes);
    eventually("many are with the backend", || (origin.requests().len() >= AT_ONCE_MIN).then_some(()));
    assert!(origin.requests().len() < BOMB_STREAMS);
    gate.open();
    let streams = || (0..BOMB_STREAMS as u32).map(|number| 2 * number + 1);
    connection.wait_until(|it| streams().all(|stream| it.is_over(stream))).unwrap();
    for stream in streams() {
        let response = connection.outcome(stream).unwrap();
        assert_eq!((response.status, response.text()), (200, COOKIE_BYTES.to_string()), "{stream}");
    }
}

/// Opens the streams of a bomb as far as they are let; the connection and what it has sent.
pub(crate) fn set_off(gateway: &Gateway, bomb: &Bomb) -> (h2::Connection, usize) {
    let settings = vec![(setting::INITIAL_WINDOW_SIZE, 0)];
    set_off_with(gateway, bomb, Options { settings, answers: false, ..Options::default() })
}

/// The same with other windows, for which no more credit is given.
pub(crate) fn set_off_with(gateway: &Gateway, bomb: &Bomb, options: Options) -> (h2::Connection, usize) {
    let mut connection = gateway.connect_h2_with(options);
    connection.frame(&Frame::settings_ack());
    let get =
        Block::of(&[(":method", "GET"), (":scheme", "http"), (":path", bomb.path), (":authority", "a")]);
    let mut wire = 0;
    for number in 0..BOMB_STREAMS {
        let stream = u32::try_from(number).unwrap() * 2 + 1;
        let begun = if number == 0 { get.clone().then(&bomb.entry) } else { get.clone() };
        let mut block = begun.bytes();
        block.extend(Block::new().indexed(62).times(bomb.references).bytes());
        let parts: Vec<&[u8]> = block.chunks(h2::FRAME_BYTES).collect();
        let mut bytes = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            let last = if at + 1 == parts.len() { flag::END_HEADERS } else { 0 };
            bytes.extend(match at {
                0 => Frame::headers(stream, flag::END_STREAM | last, *part).bytes(),
                _ => Frame::continuation(stream, last, *part).bytes(),
            });
        }
        wire += bytes.len();
        if !connection.try_send(bytes) {
            break;
        }
    }
    // Everything it has to say has been said when it is silent.
    while connection.next_frame_within(Duration::from_millis(100)).is_ok() {}
    (connection, wire)
}

/// Row H3 and bug 29: streams whose windows are opened a byte at a time are ended all the same; how long that took.
pub(crate) fn stall(gateway: &Gateway, time_max: Duration) -> Duration {
    /// So few and so seldom that they are no flood of drips.
    const STREAMS: usize = 3;
    const DRIP: Duration = Duration::from_secs(1);
    let settings = vec![(setting::INITIAL_WINDOW_SIZE, 1)];
    let mut connection = gateway.connect_h2_with(Options { settings, ..Options::default() });
    let streams: Vec<u32> = (0..STREAMS).map(|_| connection.begin("GET /large", true)).collect();
    for &stream in &streams {
        assert_eq!(connection.response_head(stream).status, 200);
    }
    let (begun, mut dripped) = (Instant::now(), Instant::now());
    loop {
        let open: Vec<u32> = streams.iter().copied().filter(|&stream| !connection.is_over(stream)).collect();
        if open.is_empty() {
            break;
        }
        assert!(begun.elapsed() <= time_max, "{open:?} are held for longer than {time_max:?}");
        if dripped.elapsed() >= DRIP {
            dripped = Instant::now();
            for stream in open {
                connection.try_frame(&Frame::window_update(stream, 1));
            }
        }
        if let Err(Broken::Ended(_)) = connection.next_frame_within(Duration::from_millis(100)) {
            break;
        }
    }
    begun.elapsed()
}

/// A backend with a large answer, and one that never comes.
pub(crate) fn large_backend() -> Origin {
    gated_backend(&Gate::default())
}

/// The same, and with one that comes when it is let, and tells how long the cookies were.
fn gated_backend(gate: &Gate) -> Origin {
    let (large, gate) = ("x".repeat(1 << 20), gate.clone());
    Origin::start(move |request| match request.target() {
        "/large" => vec![Act::ReadBody, Act::answer(200, &[], &large)],
        "/gate" => {
            let cookie = request.field("cookie").unwrap_or_default().len().to_string();
            vec![Act::ReadBody, Act::Wait(gate.clone()), Act::answer(200, &[], &cookie)]
        }
        "/hold" => vec![Act::Stall],
        _ => vec![Act::ReadBody, Act::answer(200, &[], "ok")],
    })
}

#[test]
fn who_takes_a_byte_at_a_time_is_ended() {
    let origin = large_backend();
    let timeouts = "[timeouts]\nrate_grace = \"1s\"\nbody_idle = \"2s\"\n";
    let gateway = Gateway::start(&format!("{timeouts}{}", everything(&origin.url())));
    stall(&gateway, PATIENCE);
    assert_eq!(gateway.connect_h2().ask("GET /").response().text(), "ok");
}

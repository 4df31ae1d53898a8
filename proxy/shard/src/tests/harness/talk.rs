//! Scripts: who does what, and who sees what, one step a line. Steps follow one another; all that follows from one has
//! happened before the next.
//!
//! Lower-case letters are clients, numbers the connections that backend `A` got, in order; `B1` is the first one that `B`
//! got. `|` stands for CRLF, `{123}` for so many `x`.
//!
//! ```text
//! c> GET / HTTP/1.1|Host: h||      sends this; `c` connects first
//! 1< GET /                         reads a whole message and finds this (see `http`)
//! 1^ POST / chunked                reads a head, and leaves its body
//! 1= bytes                         reads exactly these bytes
//! c has age: 0                     the message it read last has this field; `lacks age`: has none of that name
//! c sees nothing                   or `fin`, or `reset`, or `last words!fin`
//! c ends                           sends FIN; `aborts` sends RST; `leaves` closes
//! c connects 1                     to core 1 in place of core 0
//! A* HTTP/1.1 204 No Content||     answers all requests that have come or come then, on whichever connection
//! A refuses                        from now on
//! wait 5s                          and `took 5s`: since somebody did something, to 30 ms
//! drain 30s                        begins the end of the node
//! ```
//!
//! Who speaks HTTP/2 has steps of their own: see `streams`.

use std::time::Duration;

use super::{Backend, Lab, Peer, http};

/// The wheel's tick: so much later may the step before have begun.
const TICK: Duration = Duration::from_millis(10);

/// The wheel's tick, and what a turn or two add.
const LATE_MAX: Duration = Duration::from_millis(30);

impl Lab {
    /// Plays a script.
    pub(in crate::tests) async fn talk(&mut self, script: &str) {
        for (number, line) in script.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                let place = format!("{}, line {}: {line}", self.caller, number + 1);
                self.step(line, &place).await;
            }
        }
    }

    async fn step(&mut self, line: &str, place: &str) {
        match line.split_once(' ') {
            Some(("wait", time)) => {
                self.handle.sleep(duration(time)).await;
                self.settle().await;
            }
            Some(("took", time)) => {
                let took = Duration::from_nanos(self.handle.now().mono_ns - self.since_ns);
                let asked = duration(time);
                assert!(took + TICK >= asked && took <= asked + LATE_MAX, "{place}: took {took:?}");
            }
            Some(("drain", limit)) => {
                self.drain(duration(limit));
                self.acted().await;
            }
            Some(("A*", said)) => {
                assert!(self.answer_all('A', said).await > 0, "{place}: nobody asked");
            }
            Some((who, "refuses")) => {
                self.silence(who.parse().unwrap());
                self.acted().await;
            }
            Some((who, "connects" | "connects 1")) => {
                let core = usize::from(line.ends_with('1'));
                let client = self.connect(core).await;
                self.clients.insert(who.parse().unwrap(), client);
                self.acted().await;
            }
            _ if self.step_of_stream(line, place).await => {}
            _ => self.step_of_peer(line, place).await,
        }
    }

    async fn step_of_peer(&mut self, line: &str, place: &str) {
        let at =
            line.find(['>', '<', '^', '=', ' ']).unwrap_or_else(|| panic!("{place}: what is to be done?"));
        let (who, rest) = line.split_at(at);
        let (op, what) = (&rest[..1], rest[1..].trim_start());
        let mut peer = self.take(who, place).await;
        match (op, what) {
            (">", text) => peer.send(&bytes(text)),
            ("<" | "^", expected) => {
                let line = self.expect(&mut peer, place, async |peer| peer.message(op == "^").await).await;
                assert_eq!(line, expected, "{place}");
                return self.put_back(who, Some(peer));
            }
            ("=", expected) => {
                let wanted = bytes(expected);
                let raw = self.expect(&mut peer, place, async |peer| peer.raw(wanted.len()).await).await;
                assert_eq!(http::describe_body(&raw), http::describe_body(&wanted), "{place}");
                return self.put_back(who, Some(peer));
            }
            (" ", "ends") => peer.finish(),
            (" ", "aborts") => {
                peer.abort();
                self.put_back(who, None);
                return self.acted().await;
            }
            (" ", "leaves") => {
                drop(peer);
                self.put_back(who, None);
                return self.acted().await;
            }
            (" ", "sees nothing") => {
                self.settle().await;
                assert_eq!(peer.now(), "", "{place}");
                return self.put_back(who, Some(peer));
            }
            (" ", end) if end.starts_with("sees ") => {
                let (rest, ended) = self.expect(&mut peer, place, async |peer| peer.rest().await).await;
                let rest = http::describe_body(&rest);
                let seen = if rest.is_empty() { ended.to_owned() } else { format!("{rest}!{ended}") };
                assert_eq!(seen, end["sees ".len()..], "{place}");
                return self.put_back(who, Some(peer));
            }
            (" ", fields) => {
                check_fields(&peer.fields, fields, place);
                return self.put_back(who, Some(peer));
            }
            _ => panic!("{place}: no such step"),
        }
        self.put_back(who, Some(peer));
        self.acted().await;
    }

    pub(super) async fn acted(&mut self) {
        self.since_ns = self.handle.now().mono_ns;
        self.settle().await;
    }

    /// Waits for what a peer must see.
    async fn expect<T>(&self, peer: &mut Peer, place: &str, see: impl AsyncFnOnce(&mut Peer) -> T) -> T {
        let alarm = self.handle.alarm();
        alarm.set(self.handle.now().mono_ns + u64::try_from(super::PATIENCE.as_nanos()).unwrap());
        match alarm.guard(see(peer)).await {
            Ok(seen) => seen,
            Err(_) => panic!("{place}: in vain; there is {:?}", peer.now()),
        }
    }

    pub(super) async fn take(&mut self, who: &str, place: &str) -> Peer {
        let first = who.chars().next().unwrap_or_else(|| panic!("{place}: who?"));
        if first.is_ascii_lowercase() {
            return match self.clients.remove(&first) {
                Some(client) => client,
                None => self.connect(0).await,
            };
        }
        let (letter, number) = split(who);
        let mut backend = self.backends.remove(&letter).unwrap_or_else(|| panic!("{place}: no such backend"));
        while backend.connections.len() < number {
            self.within(place, backend.accept(&self.handle)).await.unwrap();
        }
        let peer = backend.connections[number - 1].take();
        self.backends.insert(letter, backend);
        peer.unwrap_or_else(|| panic!("{place}: it has left"))
    }

    fn put_back(&mut self, who: &str, peer: Option<Peer>) {
        let first = who.chars().next().unwrap();
        if first.is_ascii_lowercase() {
            if let Some(peer) = peer {
                self.clients.insert(first, peer);
            }
            return;
        }
        let (letter, number) = split(who);
        if let Some(Backend { connections, .. }) = self.backends.get_mut(&letter) {
            connections[number - 1] = peer;
        }
    }

    /// Connections that a backend got in all, those that nobody looked at too.
    pub(in crate::tests) async fn connections(&mut self, letter: char) -> usize {
        self.settle().await;
        let backend = self.backends.get_mut(&letter).unwrap();
        let alarm = self.handle.alarm();
        alarm.set(0);
        while let Ok(accepted) = alarm.guard(backend.accept(&self.handle)).await {
            accepted.unwrap();
        }
        backend.connections.len()
    }

    /// The first of a backend's connections on which a whole request waits.
    pub(in crate::tests) fn asked(&mut self, letter: char) -> Option<&mut Peer> {
        let backend = self.backends.get_mut(&letter)?;
        backend.connections.iter_mut().flatten().filter_map(|peer| peer.is_asked().then_some(peer)).next()
    }

    /// A backend's youngest connection.
    pub(in crate::tests) fn last(&mut self, letter: char) -> Option<&mut Peer> {
        self.backends.get_mut(&letter)?.connections.last_mut()?.as_mut()
    }

    /// Has a backend answer all requests that have come, on whichever connection; says how many there were.
    pub(in crate::tests) async fn answer_all(&mut self, letter: char, said: &str) -> usize {
        let mut answered = 0;
        loop {
            self.connections(letter).await;
            let Some(peer) = self.asked(letter) else { return answered };
            peer.message(false).await;
            peer.send(&bytes(said));
            answered += 1;
            self.acted().await;
        }
    }

    /// Has a client send something in this turn, whatever else happens in it.
    pub(in crate::tests) fn send(&self, client: char, text: &str) {
        self.clients[&client].send(&bytes(text));
    }
}

/// `2` is `A`'s second connection, `B1` `B`'s first.
fn split(who: &str) -> (char, usize) {
    match who.chars().next() {
        Some(letter) if letter.is_ascii_uppercase() => (letter, who[1..].parse().unwrap()),
        _ => ('A', who.parse().unwrap()),
    }
}

pub(super) fn check_fields(fields: &[(String, String)], what: &str, place: &str) {
    let of = |name: &str| -> Vec<&str> {
        fields.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str()).collect()
    };
    match what.split_once(' ') {
        Some(("has", field)) => {
            let (name, value) = field.split_once(": ").unwrap();
            assert_eq!(of(name), [value], "{place}: {fields:?}");
        }
        Some(("lacks", name)) => assert!(of(name).is_empty(), "{place}: {fields:?}"),
        _ => panic!("{place}: no such step"),
    }
}

fn duration(text: &str) -> Duration {
    match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(ms), _) => Duration::from_millis(ms.parse().unwrap()),
        (None, Some(s)) => Duration::from_secs(s.parse().unwrap()),
        (None, None) => panic!("no time: {text}"),
    }
}

/// The bytes that a text of a script stands for.
pub(in crate::tests) fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['|', '{']) {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let many = rest[at + 1..].split_once('}').and_then(|(count, _)| count.parse::<usize>().ok());
        match many.filter(|_| rest[at..].starts_with('{')) {
            Some(count) => {
                out.resize(out.len() + count, b'x');
                rest = &rest[at + rest[at..].find('}').unwrap() + 1..];
            }
            None if rest[at..].starts_with('|') => {
                out.extend_from_slice(b"\r\n");
                rest = &rest[at + 1..];
            }
            None => {
                out.push(b'{');
                rest = &rest[at + 1..];
            }
        }
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

//! Steps of scripts that are HTTP/2's. `c.1` is stream 1 of client `c`; a message is told in one line as those of
//! HTTP/1.1 are, with trailers behind it as ` +name: value`, and a code if it was reset.
//!
//! ```text
//! c speaks h2                      begins; also a backend's connection. `window=5`, `streams=1`, `holding` as in `sets`; `cut=7`: hesitates there, or is `staying`
//! c.1> POST /path|a: b||body       a head, and all of a body
//! c.1+ POST /path|a: b||body       a head, and a part of a body
//! c.1+ body                        more of it; `c.1> body`: the rest
//! c.1 trails a: b                  its end, with trailers
//! c.1< 200 hello                   reads a whole message and finds this; `^` a head, and leaves the body
//! c.1= hello                       reads exactly these bytes of a body
//! c.1 sees hello!CANCEL            what is left, and how it ended: `end`, a code, `fin` or `reset`; or `nothing`
//! c.1 then NO_ERROR                was reset with this, be it behind its end
//! c.1 resets CANCEL
//! c.1 gives 100                    credit; `c gives 100`: for all
//! c sets window=5 streams=1        what it says of itself; `holding`: from now on it gives no credit by itself
//! c hears nothing                  reads no more; `c hears` does again
//! c goes away 3 NO_ERROR           last stream and code; `c is sent away 3 NO_ERROR` sees the same
//! c ends                           as in HTTP/1.1, and `aborts`, `leaves`, `sees fin`
//! ```

use super::{
    Lab,
    framed::{Field, Framed, Terms, code_number},
    http,
    talk::bytes,
};

impl Lab {
    /// Plays the step if it is one of HTTP/2's.
    pub(super) async fn step_of_stream(&mut self, line: &str, place: &str) -> bool {
        let at = line.find(['>', '<', '^', '=', '+', ' ']).unwrap_or(line.len());
        let (who, rest) = line.split_at(at);
        let (op, what) = (rest.get(..1).unwrap_or_default(), rest.get(1..).unwrap_or_default().trim_start());
        if let Some(said) = what.strip_prefix("speaks h2").filter(|_| op == " ") {
            let peer = self.take(who, place).await;
            let terms = terms(Terms::default(), said, place);
            let is_client = who.starts_with(|first: char| first.is_ascii_lowercase());
            let begin = if is_client { Framed::client } else { Framed::backend };
            self.framed.insert(who.to_owned(), begin(&self.handle, peer, terms));
            self.acted().await;
            if terms.cut.is_some() && !terms.stays {
                self.framed[who].go_on();
                self.acted().await;
            }
            return true;
        }
        let (name, stream) = who.split_once('.').unwrap_or((who, "0"));
        let Some(framed) = self.framed.remove(name) else {
            assert!(!who.contains('.'), "{place}: it does not speak HTTP/2");
            return false;
        };
        let stream: u32 = stream.parse().unwrap_or_else(|_| panic!("{place}: no number"));
        match (op, what) {
            (" ", "aborts") => {
                self.complain(&framed);
                framed.abort();
                self.acted().await;
                return true;
            }
            (" ", "leaves") => {
                self.complain(&framed);
                drop(framed);
                self.acted().await;
                return true;
            }
            _ => {}
        }
        let acts = match op {
            ">" | "+" => {
                send(&framed, stream, what, op == ">");
                true
            }
            "<" | "^" => {
                let seen = self.look(&framed, place, framed.message(stream, op == "^")).await;
                assert_eq!(seen, what, "{place}: {}", framed.now(0));
                false
            }
            "=" => {
                let wanted = bytes(what);
                let seen = self.look(&framed, place, framed.body(stream, wanted.len())).await;
                assert_eq!(http::describe_body(&seen), http::describe_body(&wanted), "{place}");
                false
            }
            _ => self.verb(&framed, stream, what, place).await,
        };
        self.framed.insert(name.to_owned(), framed);
        if acts {
            self.acted().await;
        }
        true
    }

    /// A step in words; whether it does something.
    async fn verb(&mut self, framed: &Framed, stream: u32, what: &str, place: &str) -> bool {
        let (verb, rest) = what.split_once(' ').unwrap_or((what, ""));
        match (verb, rest) {
            ("ends", "") => framed.finish(),
            ("trails", fields) => framed.trail(stream, &fields.split('|').map(field).collect::<Vec<_>>()),
            ("hears", "" | "nothing") => framed.deafen(!rest.is_empty()),
            ("resets", code) => framed.reset(stream, code_number(code)),
            ("gives", bytes) => framed.give(stream, bytes.parse().unwrap()),
            ("sets", said) => framed.set(terms(framed.terms(), said, place)),
            ("goes", away) => {
                let (last, code) = away["away ".len()..].split_once(' ').unwrap();
                framed.go_away(last.parse().unwrap(), code_number(code));
            }
            ("is", away) => {
                let seen = self.look(framed, place, framed.sent_away()).await;
                assert_eq!(format!("sent away {seen}"), away, "{place}: {}", framed.now(0));
                return false;
            }
            ("then", code) => {
                let seen = self.look(framed, place, framed.code(stream)).await;
                assert_eq!(seen, code, "{place}: {}", framed.now(0));
                return false;
            }
            ("sees", "nothing") => {
                self.settle().await;
                if stream == 0 {
                    assert!(!framed.is_ending(), "{place}: {}", framed.now(0));
                } else {
                    assert_eq!(framed.now(stream), "", "{place}");
                }
                return false;
            }
            ("sees", end) if stream == 0 => {
                let seen = self.look(framed, place, framed.end()).await;
                assert_eq!(seen, end, "{place}: {}", framed.now(0));
                return false;
            }
            ("sees", rest) => {
                let seen = self.look(framed, place, framed.rest(stream)).await;
                assert_eq!(seen, rest, "{place}: {}", framed.now(0));
                return false;
            }
            ("has" | "lacks", _) => {
                super::talk::check_fields(&framed.fields(), what, place);
                return false;
            }
            _ => panic!("{place}: no such step"),
        }
        true
    }

    /// Waits for what a peer must see.
    async fn look<T>(&self, framed: &Framed, place: &str, seen: impl Future<Output = T>) -> T {
        let alarm = self.handle.alarm();
        alarm.set(self.handle.now().mono_ns + u64::try_from(super::PATIENCE.as_nanos()).unwrap());
        match alarm.guard(seen).await {
            Ok(seen) => seen,
            Err(_) => panic!("{place}: in vain; there is {}", framed.now(0)),
        }
    }

    /// Has a peer send any frame.
    pub(in crate::tests) fn frame(&self, who: &str, frame: &::harness::h2::Frame) {
        self.framed[who].frame(frame);
    }

    /// Has a peer send bytes as they are.
    pub(in crate::tests) fn raw(&self, who: &str, bytes: &[u8]) {
        self.framed[who].raw(bytes);
    }

    /// Whether a stream has not ended yet.
    pub(in crate::tests) fn is_open(&self, who: &str, stream: u32) -> bool {
        self.framed[who].is_open(stream)
    }

    /// What the gateway has let new streams of this client send ahead, from time to time.
    pub(in crate::tests) fn windows(&self, client: &str) -> Vec<u32> {
        self.framed[client].windows()
    }

    /// What backends that speak HTTP/2 were asked is somebody else's to answer.
    pub(in crate::tests) fn forget_streams(&self) {
        self.framed.values().for_each(|framed| drop(framed.asked()));
    }

    /// Has the backends that speak HTTP/2 answer all that has come and is not answered yet; says how many there were.
    pub(in crate::tests) async fn answer_streams(&mut self, said: &str) -> usize {
        let mut answered = 0;
        loop {
            let asked: Vec<_> = self.framed.values().map(Framed::asked).collect();
            let count: usize = asked.iter().map(Vec::len).sum();
            if count == 0 {
                return answered;
            }
            for (framed, streams) in self.framed.values().zip(asked) {
                streams.into_iter().for_each(|stream| send(framed, stream, said, true));
            }
            answered += count;
            self.acted().await;
        }
    }

    /// Nothing that a peer has to complain of is forgotten with it.
    pub(super) fn complain(&self, framed: &Framed) {
        assert_eq!(framed.wrong(), Vec::<String>::new(), "{}", self.caller);
    }
}

/// A head with a body behind it, or more of a body.
fn send(framed: &Framed, stream: u32, text: &str, ends: bool) {
    let head = text.split('|').next().unwrap_or_default();
    let mut words = head.split(' ');
    let pseudo = match (words.next(), words.next(), words.next()) {
        (Some(method), Some(path), None) if path.starts_with(['/', '*']) => {
            vec![(":method", method), (":scheme", "http"), (":authority", "h"), (":path", path)]
        }
        (Some(status), None, None) if status.len() == 3 && status.parse::<u16>().is_ok() => {
            vec![(":status", status)]
        }
        _ => return framed.send(stream, &bytes(text), ends),
    };
    let (lines, body) = text.split_once("||").unwrap_or((text, ""));
    let mut fields: Vec<Field> =
        pseudo.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    for (name, value) in lines.split('|').skip(1).filter(|line| !line.is_empty()).map(field) {
        match fields.iter_mut().find(|(own, _)| name.starts_with(':') && *own == name) {
            Some(pseudo) => pseudo.1 = value,
            None => fields.push((name, value)),
        }
    }
    framed.head(stream, &fields, ends && body.is_empty());
    if !body.is_empty() {
        framed.send(stream, &bytes(body), ends);
    }
}

fn field(line: &str) -> Field {
    let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no field: {line}"));
    (name.to_owned(), value.to_owned())
}

fn terms(mut terms: Terms, said: &str, place: &str) -> Terms {
    for word in said.split_whitespace() {
        match word.split_once('=') {
            Some(("window", bytes)) => terms.window_bytes = bytes.parse().unwrap(),
            Some(("cut", bytes)) => terms.cut = Some(bytes.parse().unwrap()),
            Some(("streams", streams)) => terms.streams_max = Some(streams.parse().unwrap()),
            None if word == "holding" => terms.holds = true,
            None if word == "staying" => terms.stays = true,
            _ => panic!("{place}: {word}?"),
        }
    }
    terms
}

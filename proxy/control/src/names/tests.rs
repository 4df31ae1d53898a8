use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, UdpSocket},
    sync::mpsc as std_mpsc,
    thread,
};

use super::*;
use crate::{Readiness, Reloaded, Stop};

const LONG: Duration = Duration::from_secs(20);

/// What the name server knows of a name.
#[derive(Clone, Copy)]
enum Entry {
    Addresses(&'static [[u8; 4]], u32),
    /// So many addresses, `10.0.x.y`; over UDP just that there are more than fit.
    Many(u16),
    /// It is called otherwise.
    Alias(&'static str),
    /// An answer of somebody else, one to another question, and then the right one.
    Forged([u8; 4]),
    NoName,
    Failure,
    Silence,
}

/// A name server on loopback that answers questions for IPv4 addresses, and keeps to what it is told.
#[derive(Clone)]
struct NameServer {
    address: SocketAddr,
    entries: Arc<Mutex<HashMap<String, Entry>>>,
    /// Questions for IPv4 addresses, by name.
    asked: Arc<Mutex<HashMap<String, usize>>>,
}

impl NameServer {
    fn start(entries: &[(&str, Entry)]) -> Self {
        // Both transports on one port.
        let (socket, listener) = loop {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            if let Ok(listener) = TcpListener::bind(socket.local_addr().unwrap()) {
                break (socket, listener);
            }
        };
        let entries = entries.iter().map(|(name, entry)| ((*name).to_owned(), *entry)).collect();
        let entries = Arc::new(Mutex::new(entries));
        let server = Self { address: socket.local_addr().unwrap(), entries, asked: Arc::default() };
        // They end with the test's process; they wait for questions and do nothing else.
        let of_thread = server.clone();
        thread::spawn(move || of_thread.over_udp(&socket));
        let of_thread = server.clone();
        thread::spawn(move || of_thread.over_tcp(&listener));
        server
    }

    fn over_udp(&self, socket: &UdpSocket) {
        let mut buffer = [0; 1500];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            let question = Question::read(&buffer[..length]);
            let Some(answer) = self.answer(&question, true) else { continue };
            if let Some(Entry::Forged(_)) = self.entry(&question) {
                let forged = question.answer(0, &[question.record(1, 300, &[6, 6, 6, 6])]);
                // From the wrong place, and with the wrong number from the right one.
                UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&forged, from).unwrap();
                let mut wrong = forged;
                wrong[0] ^= 0x55;
                socket.send_to(&wrong, from).unwrap();
            }
            socket.send_to(&answer, from).unwrap();
        }
    }

    fn over_tcp(&self, listener: &TcpListener) {
        for stream in listener.incoming() {
            let (mut stream, mut length) = (stream.unwrap(), [0; 2]);
            while stream.read_exact(&mut length).is_ok() {
                let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
                stream.read_exact(&mut question).unwrap();
                if let Some(answer) = self.answer(&Question::read(&question), false) {
                    stream.write_all(&u16::try_from(answer.len()).unwrap().to_be_bytes()).unwrap();
                    stream.write_all(&answer).unwrap();
                }
            }
        }
    }

    fn set(&self, name: &str, entry: Entry) {
        self.entries.lock().unwrap().insert(name.into(), entry);
    }

    fn asked(&self, name: &str) -> usize {
        self.asked.lock().unwrap().get(name).copied().unwrap_or(0)
    }

    fn entry(&self, question: &Question) -> Option<Entry> {
        self.entries.lock().unwrap().get(&question.name).copied()
    }

    fn answer(&self, question: &Question, is_udp: bool) -> Option<Vec<u8>> {
        if question.is_ipv4() {
            *self.asked.lock().unwrap().entry(question.name.clone()).or_default() += 1;
        }
        let entry = match self.entry(question) {
            // They have no IPv6 addresses.
            Some(Entry::Addresses(..) | Entry::Many(_) | Entry::Forged(_)) if !question.is_ipv4() => {
                return Some(question.answer(0, &[]));
            }
            entry => entry,
        };
        let address = |address: &[u8; 4], ttl| question.record(1, ttl, address);
        match entry {
            Some(Entry::Silence) => None,
            Some(Entry::Failure) => Some(question.answer(2, &[])),
            Some(Entry::NoName) | None => Some(question.answer(3, &[])),
            Some(Entry::Addresses(addresses, ttl)) => {
                let records: Vec<_> = addresses.iter().map(|bytes| address(bytes, ttl)).collect();
                Some(question.answer(0, &records))
            }
            Some(Entry::Forged(bytes)) => Some(question.answer(0, &[address(&bytes, 300)])),
            Some(Entry::Alias(to)) => {
                let mut name: Vec<u8> = Vec::new();
                for label in to.split('.') {
                    name.push(u8::try_from(label.len()).unwrap());
                    name.extend(label.bytes());
                }
                name.push(0);
                Some(question.answer(0, &[question.record(5, 300, &name)]))
            }
            Some(Entry::Many(_)) if is_udp => {
                let mut truncated = question.answer(0, &[]);
                truncated[2] |= 0x02;
                Some(truncated)
            }
            Some(Entry::Many(count)) => {
                let bytes = |index: u16| [10, 0, index.to_be_bytes()[0], index.to_be_bytes()[1]];
                let records: Vec<_> = (0..count).map(|index| address(&bytes(index), 300)).collect();
                Some(question.answer(0, &records))
            }
        }
    }
}

/// A question (RFC 1035 §4).
struct Question {
    number: [u8; 2],
    name: String,
    kind: u8,
    /// As it was asked.
    bytes: Vec<u8>,
}

impl Question {
    fn read(message: &[u8]) -> Self {
        let mut labels = Vec::new();
        let mut at = 12;
        while message[at] != 0 {
            let end = at + 1 + usize::from(message[at]);
            labels.push(String::from_utf8(message[at + 1..end].to_vec()).unwrap());
            at = end;
        }
        let bytes = message[12..at + 5].to_vec();
        Self { number: [message[0], message[1]], name: labels.join("."), kind: message[at + 2], bytes }
    }

    fn is_ipv4(&self) -> bool {
        self.kind == 1
    }

    /// Header, the question once more, the records.
    fn answer(&self, code: u8, records: &[Vec<u8>]) -> Vec<u8> {
        let count = u16::try_from(records.len()).unwrap().to_be_bytes();
        let mut out = self.number.to_vec();
        out.extend([0x81, 0x80 | code, 0, 1, count[0], count[1], 0, 0, 0, 0]);
        out.extend(&self.bytes);
        out.extend(records.concat());
        out
    }

    /// A record of the name that was asked for.
    fn record(&self, kind: u8, ttl: u32, data: &[u8]) -> Vec<u8> {
        let mut out = vec![0xc0, 0x0c, 0, kind, 0, 1];
        out.extend(ttl.to_be_bytes());
        out.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        out.extend(data);
        out
    }
}

/// Hears what is said.
struct Ear(Mutex<std_mpsc::Sender<String>>);

impl Doors for Ear {
    fn scrape(&self) -> String {
        String::new()
    }
    fn ready(&self) -> Readiness {
        Readiness::Ready
    }
    fn reload(&self) -> Result<Reloaded, String> {
        Err("not asked for here".into())
    }
    fn deployments(&self, _: &str) -> Result<String, String> {
        Err("not asked for here".into())
    }
    fn progress(&self) -> String {
        "null".into()
    }
    fn flush_cache(&self) {}
    fn reopen_logs(&self) {}
    fn stop(&self, _: Stop) {}
    fn beat(&self) {}
    fn say(&self, text: &str) {
        self.0.lock().unwrap().send(text.into()).unwrap();
    }
}

type News = (u32, Vec<(usize, SocketAddr)>);

struct Fixture {
    server: NameServer,
    resolver: Resolver,
    said: std_mpsc::Receiver<String>,
    publish: Publish,
    news: std_mpsc::Receiver<News>,
}

fn fixture(entries: &[(&str, Entry)]) -> Fixture {
    let server = NameServer::start(entries);
    let (say, said) = std_mpsc::channel();
    let (resolver, keeper) = resolver(vec![server.address], Arc::new(Ear(Mutex::new(say))));
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(keeper.run());
    });
    let (send, news) = std_mpsc::channel();
    let publish = Arc::new(move |slot, addresses| send.send((slot, addresses)).unwrap());
    Fixture { server, resolver, said, publish, news }
}

impl Fixture {
    /// `groups` are a slot and its targets, `host:port` each.
    fn watch(&self, groups: &[(u32, &[&str])]) -> FirstAnswers {
        let target = |text: &&str| {
            let (host, port) = text.rsplit_once(':').unwrap();
            Target { host: host.into(), port: port.parse().unwrap() }
        };
        let watch = |(upstream, targets): &(u32, &[&str])| Watch {
            upstream: *upstream,
            targets: targets.iter().map(target).collect(),
        };
        self.resolver.watch(groups.iter().map(watch).collect(), Arc::clone(&self.publish))
    }

    /// The next news is about `slot` and says `expected`, `index=address` each.
    #[track_caller]
    fn expect(&self, slot: u32, expected: &str) {
        let (seen, addresses) = self.news.recv_timeout(LONG).expect("there is news");
        let text: Vec<_> = addresses.iter().map(|(index, address)| format!("{index}={address}")).collect();
        assert_eq!((seen, text.join(" ").as_str()), (slot, expected));
    }

    #[track_caller]
    fn expect_said(&self, expected: &str) {
        assert_eq!(self.said.recv_timeout(LONG).expect("something is said"), expected);
    }
}

const ONE: Entry = Entry::Addresses(&[[127, 0, 0, 1]], 0);
const TWO: Entry = Entry::Addresses(&[[127, 0, 0, 2]], 0);

#[test]
fn addresses_need_no_name_server() {
    let f = fixture(&[]);
    let first = f.watch(&[(7, &["127.0.0.9:80", "[::1]:81", "::1:82"])]);
    f.expect(7, "0=127.0.0.9:80 1=[::1]:81 2=[::1]:82");
    assert_eq!(first.wait(LONG), []);
    assert_eq!(f.resolver.failures(), 0);
}

#[test]
fn localhost_works_without_being_asked_for() {
    let f = fixture(&[("localhost", Entry::Silence)]);
    let first = f.watch(&[(0, &["LOCALHOST:80"])]);
    f.expect(0, "0=127.0.0.1:80");
    assert_eq!(first.wait(LONG), []);
}

#[test]
fn all_addresses_of_a_name_are_told_in_a_steady_order() {
    let f =
        fixture(&[("many.test", Entry::Addresses(&[[127, 0, 0, 3], [127, 0, 0, 2], [127, 0, 0, 3]], 60))]);
    let first = f.watch(&[(1, &["many.test:80", "127.0.0.1:81"])]);
    f.expect(1, "1=127.0.0.1:81");
    f.expect(1, "0=127.0.0.2:80 0=127.0.0.3:80 1=127.0.0.1:81");
    assert_eq!(first.wait(LONG), []);
}

#[test]
fn a_name_is_asked_again_when_its_time_is_over() {
    let f = fixture(&[("moving.test", ONE)]);
    let _first = f.watch(&[(0, &["moving.test:80"]), (1, &["moving.test:81"])]);
    f.expect(0, "0=127.0.0.1:80");
    f.expect(1, "0=127.0.0.1:81");
    f.server.set("moving.test", TWO);
    f.expect(0, "0=127.0.0.2:80");
    f.expect(1, "0=127.0.0.2:81");
}

#[test]
fn what_was_known_stays_when_name_servers_fail() {
    let f = fixture(&[("shaky.test", ONE)]);
    let _first = f.watch(&[(0, &["shaky.test:80"])]);
    f.expect(0, "0=127.0.0.1:80");
    f.server.set("shaky.test", Entry::NoName);
    f.expect_said("cannot resolve shaky.test: there is no such name; its last known addresses stay in use");
    assert!(f.resolver.failures() >= 1);
    f.server.set("shaky.test", TWO);
    f.expect_said("shaky.test is resolved again");
    // Nothing was told between the two.
    f.expect(0, "0=127.0.0.2:80");
}

#[test]
fn a_failure_at_the_first_time_is_an_answer() {
    let f = fixture(&[("good.test", ONE)]);
    let first = f.watch(&[(4, &["nowhere.test:80"]), (5, &["good.test:80", "nowhere.test:80"])]);
    let unresolved = first.wait(LONG);
    let expected = Unresolved { host: "nowhere.test".into(), why: "there is no such name".into() };
    assert_eq!(unresolved, [expected]);
    f.expect_said("cannot resolve nowhere.test: there is no such name; it has no address");
    let mut news = [f.news.recv_timeout(LONG).unwrap(), f.news.recv_timeout(LONG).unwrap()];
    news.sort();
    assert_eq!(news[0], (4, vec![]), "that there is none is told, too");
    assert_eq!(news[1], (5, vec![(0, SocketAddr::from((Ipv4Addr::LOCALHOST, 80)))]));
}

#[test]
fn a_new_set_keeps_what_is_known() {
    let f = fixture(&[("kept.test", Entry::Addresses(&[[127, 0, 0, 1]], 300)), ("gone.test", ONE)]);
    assert_eq!(f.watch(&[(0, &["kept.test:80"])]).wait(LONG), []);
    f.expect(0, "0=127.0.0.1:80");
    f.server.set("kept.test", Entry::Silence);
    assert_eq!(f.watch(&[(3, &["Kept.test:90"])]).wait(LONG), [], "without asking again");
    f.expect(3, "0=127.0.0.1:90");
}

#[test]
fn nobody_waits_for_a_name_server_that_is_silent() {
    let f = fixture(&[("silent.test", Entry::Silence)]);
    let unresolved = f.watch(&[(0, &["silent.test:80"])]).wait(Duration::from_millis(20));
    assert_eq!(unresolved, [Unresolved { host: "silent.test".into(), why: "no answer yet".into() }]);
}

#[test]
fn what_is_no_name_is_said_and_does_no_harm() {
    let f = fixture(&[]);
    let unresolved = f.watch(&[(0, &["a..b:80"])]).wait(LONG);
    assert_eq!(unresolved.len(), 1, "{unresolved:?}");
    assert!(f.said.recv_timeout(LONG).unwrap().starts_with("cannot resolve a..b: "));
}

/// Seconds that an answer holds yet, or `-` for a failure, and the seconds until the name is asked for again.
#[track_caller]
fn check_cadence(answers: &str, expected: &[u64]) {
    let mut cadence = Cadence::default();
    let pauses =
        answers.split(' ').map(|left| cadence.pause(left.parse().ok().map(Duration::from_secs)).as_secs());
    assert_eq!(pauses.collect::<Vec<_>>(), expected, "{answers}");
}

#[test]
fn a_name_is_asked_for_by_its_time_to_live_and_after_failures_ever_later() {
    check_cadence("0 1 60 300 301 86400", &[1, 1, 60, 300, 300, 300]);
    check_cadence("- - - - - - -", &[1, 2, 4, 8, 16, 30, 30]);
    check_cadence("- - - 60 - -", &[1, 2, 4, 60, 1, 2]);
}

/// While one name is asked for again and again, one that holds is asked for once, and one that there is not hardly more.
#[test]
fn nothing_is_asked_for_before_its_time() {
    let f = fixture(&[("short.test", ONE), ("long.test", Entry::Addresses(&[[127, 0, 0, 9]], 300))]);
    let first = f.watch(&[(0, &["long.test:80"]), (1, &["short.test:80"]), (2, &["none.test:80"])]);
    assert_eq!(first.wait(LONG).len(), 1);
    let mut news: Vec<_> = (0..3).map(|_| f.news.recv_timeout(LONG).unwrap().0).collect();
    news.sort_unstable();
    assert_eq!(news, [0, 1, 2]);
    for (entry, address) in [(TWO, "127.0.0.2"), (ONE, "127.0.0.1"), (TWO, "127.0.0.2")] {
        f.server.set("short.test", entry);
        f.expect(1, &format!("0={address}:80"));
    }
    // Three seconds at least have passed, and failures are asked for again after one, two and four.
    assert!(f.server.asked("short.test") >= 4);
    assert_eq!(f.server.asked("long.test"), 1);
    assert!((2..=4).contains(&f.server.asked("none.test")), "{}", f.server.asked("none.test"));
}

/// What a name server may do wrong: the name has no address, or keeps what it had (rule U7).
#[test]
fn a_name_server_that_fails_changes_nothing() {
    for (entry, why) in [
        (Entry::Failure, None),
        (Entry::Alias("loop.test"), None),
        (Entry::Alias("nowhere.test"), None),
        (Entry::NoName, Some("there is no such name")),
        (Entry::Addresses(&[], 60), Some(NO_ADDRESS)),
    ] {
        let f = fixture(&[("loop.test", entry), ("kept.test", ONE)]);
        let unresolved = f.watch(&[(0, &["loop.test:80"]), (1, &["kept.test:80"])]).wait(LONG);
        let [Unresolved { host, why: said }] = &unresolved[..] else { panic!("{unresolved:?}") };
        assert_eq!(host, "loop.test");
        assert!(why.is_none_or(|why| why == said) && said != "no answer yet", "{said}");
        let mut news = [f.news.recv_timeout(LONG).unwrap(), f.news.recv_timeout(LONG).unwrap()];
        news.sort();
        assert_eq!(news[0], (0, vec![]));
        // The same to a name that had an address.
        f.server.set("kept.test", entry);
        let heard = |text: &str| text.starts_with("cannot resolve kept.test: ");
        while !heard(&f.said.recv_timeout(LONG).expect("something is said")) {}
        assert!(f.news.try_recv().is_err(), "its address is kept");
    }
}

#[test]
fn a_name_may_stand_for_another() {
    let f = fixture(&[("www.test", Entry::Alias("real.test")), ("real.test", ONE)]);
    let first = f.watch(&[(0, &["www.test:80"])]);
    f.expect(0, "0=127.0.0.1:80");
    assert_eq!(first.wait(LONG), []);
}

/// A thousand addresses do not fit: they are asked for once more, over TCP, and so many are used as may be.
#[test]
fn of_very_many_addresses_some_are_used() {
    let f = fixture(&[("many.test", Entry::Many(1_000))]);
    assert_eq!(f.watch(&[(0, &["many.test:80"])]).wait(LONG), []);
    let (_, addresses) = f.news.recv_timeout(LONG).unwrap();
    assert_eq!(addresses.len(), ADDRESSES_MAX);
}

#[test]
fn an_answer_of_somebody_else_is_none() {
    let f = fixture(&[("forged.test", Entry::Forged([127, 0, 0, 7]))]);
    let first = f.watch(&[(0, &["forged.test:80"])]);
    f.expect(0, "0=127.0.0.7:80");
    assert_eq!(first.wait(LONG), []);
}

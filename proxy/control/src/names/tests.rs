use std::{
    net::{Ipv4Addr, UdpSocket},
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
    NoName,
    Silence,
}

/// A name server on loopback that answers questions for IPv4 addresses, and keeps to what it is told.
#[derive(Clone)]
struct NameServer {
    address: SocketAddr,
    entries: Arc<Mutex<HashMap<String, Entry>>>,
}

impl NameServer {
    fn start(entries: &[(&str, Entry)]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let entries = entries.iter().map(|(name, entry)| ((*name).to_owned(), *entry)).collect();
        let server = Self { address: socket.local_addr().unwrap(), entries: Arc::new(Mutex::new(entries)) };
        let known = Arc::clone(&server.entries);
        // Ends with the test's process; it waits for questions and does nothing else.
        thread::spawn(move || {
            let mut buffer = [0; 1500];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).unwrap();
                if let Some(answer) = answer(&buffer[..length], &known.lock().unwrap()) {
                    socket.send_to(&answer, from).unwrap();
                }
            }
        });
        server
    }

    fn set(&self, name: &str, entry: Entry) {
        self.entries.lock().unwrap().insert(name.into(), entry);
    }
}

/// RFC 1035 §4: header, the question once more, the answers.
fn answer(question: &[u8], known: &HashMap<String, Entry>) -> Option<Vec<u8>> {
    let mut labels = Vec::new();
    let mut at = 12;
    while question[at] != 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(String::from_utf8(question[at + 1..end].to_vec()).unwrap());
        at = end;
    }
    let kind = question[at + 2];
    let question_end = at + 5;
    let (code, addresses, ttl): (u8, &[[u8; 4]], u32) = match known.get(&labels.join(".")) {
        Some(Entry::Silence) => return None,
        Some(Entry::Addresses(addresses, ttl)) if kind == 1 => (0, addresses, *ttl),
        Some(Entry::Addresses(..)) => (0, &[], 0),
        Some(Entry::NoName) | None => (3, &[], 0),
    };
    let mut out = question[..2].to_vec();
    out.extend([0x81, 0x80 | code, 0, 1, 0, addresses.len() as u8, 0, 0, 0, 0]);
    out.extend(&question[12..question_end]);
    for address in addresses {
        out.extend([0xc0, 0x0c, 0, 1, 0, 1]);
        out.extend(ttl.to_be_bytes());
        out.extend([0, 4]);
        out.extend(address);
    }
    Some(out)
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

//! Nobody gets what was meant for another (rule U6): many clients at once, each request with a number that the backend
//! says back, and everything on the way that can go wrong at random. The seed is in the message of a failure.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use runtime::{Handle, Listener};

use super::harness::{Peer, Setup, run};

const SEEDS: u64 = 12;
const CLIENTS: u64 = 12;
const REQUESTS: u64 = 60;

/// A generator of the kind `splitmix64`: good enough to choose, and the same everywhere.
struct Random(Cell<u64>);

impl Random {
    fn below(&self, bound: u64) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut mixed = self.0.get();
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// One time in so many.
    fn one_in(&self, times: u64) -> bool {
        self.below(times) == 0
    }

    async fn pause(&self, handle: &Handle) {
        handle.sleep(Duration::from_millis(self.below(40))).await;
    }
}

/// What clients saw.
#[derive(Default)]
struct Seen {
    whole: Cell<u64>,
    cut: Cell<u64>,
    refused: Cell<u64>,
    wrong: RefCell<Vec<String>>,
    left: Cell<u64>,
}

/// Answers requests with their own paths, mostly.
async fn backend(handle: Handle, listener: Listener, random: Rc<Random>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (handle, random) = (handle.clone(), random.clone());
        let own = handle.clone();
        handle.spawn(async move {
            let mut peer = Peer::plain(stream);
            serve(&own, &mut peer, &random).await;
        });
    }
}

async fn serve(handle: &Handle, peer: &mut Peer, random: &Random) {
    loop {
        let request = peer.message(false).await;
        let Some(path) = request.split(' ').nth(1) else { return };
        random.pause(handle).await;
        let length = path.len();
        let (whole, cut) = match random.below(4) {
            0 => (format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{path}"), length / 2),
            1 => (
                format!(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{path}\r\n0\r\n\r\n"
                ),
                3,
            ),
            2 => (
                format!(
                    "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{path}"
                ),
                1,
            ),
            _ => {
                (format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{path}"), 0)
            }
        };
        match random.below(12) {
            // Cut, in the head or in the body.
            0 => {
                peer.send(&whole.as_bytes()[..whole.len() - cut.min(whole.len())]);
                random.pause(handle).await;
                if cut > 0 {
                    return;
                }
            }
            1 => return,
            // More than was asked for.
            2 => {
                peer.send(whole.as_bytes());
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
            }
            // Closed a while after it was whole.
            3 => {
                peer.send(whole.as_bytes());
                random.pause(handle).await;
                return;
            }
            4 => peer.send(b"what is this\r\n\r\n"),
            // In pieces.
            5 => {
                for byte in whole.as_bytes().chunks(7) {
                    peer.send(byte);
                    handle.sleep(Duration::from_millis(1)).await;
                }
            }
            _ => peer.send(whole.as_bytes()),
        }
    }
}

/// Asks, several requests at once at times, and looks whether what comes back is its own.
async fn client(handle: Handle, number: u64, random: Rc<Random>, seen: Rc<Seen>) {
    let mut peer = None;
    for request in 0..REQUESTS {
        let connected = match peer.take() {
            Some(connected) => connected,
            None => Peer::connect(&handle, (number % 2) as usize).await.unwrap(),
        };
        peer = talk(&handle, connected, &format!("/{number}/{request}"), &random, &seen).await;
        if random.one_in(8) {
            random.pause(&handle).await;
        }
    }
    seen.left.set(seen.left.get() - 1);
}

/// One request, or three; gives the connection back if it is still good.
async fn talk(handle: &Handle, mut peer: Peer, path: &str, random: &Random, seen: &Seen) -> Option<Peer> {
    let paths: Vec<String> = match random.one_in(6) {
        true => ["a", "b", "c"].iter().map(|part| format!("{path}/{part}")).collect(),
        false => vec![path.to_owned()],
    };
    for path in &paths {
        let cached = if random.one_in(5) { "/cached" } else { "" };
        let body = "GET /poison HTTP/1.1\r\nHost: h\r\n\r\n";
        let head = match random.below(4) {
            0 => format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
            1 => format!(
                "PUT {path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
                body.len()
            ),
            _ => format!("GET {cached}{path} HTTP/1.1\r\nHost: h\r\n\r\n"),
        };
        peer.send(head.as_bytes());
    }
    if random.one_in(15) {
        random.pause(handle).await;
        return None;
    }
    for path in paths {
        let told = loop {
            let told = peer.message(false).await;
            if told != "103" {
                break told;
            }
        };
        let count = |cell: &Cell<u64>| cell.set(cell.get() + 1);
        let (status, rest) = told.split_once(' ').unwrap_or((&told, ""));
        if told.ends_with("!reset") || told.ends_with("!fin") || told == "fin" || told == "reset" {
            count(&seen.cut);
            return None;
        }
        match status {
            "200" if rest.ends_with(&path) => count(&seen.whole),
            "502" | "504" => count(&seen.refused),
            _ => seen.wrong.borrow_mut().push(format!("{path}: {told}")),
        }
        if rest.starts_with("close") || rest.starts_with("chunked close") {
            return None;
        }
    }
    Some(peer)
}

#[test]
fn every_answer_is_for_the_request_it_follows() {
    for seed in 0..SEEDS {
        run(Setup { cores: 2, ..Setup::default() }, async |lab| {
            let random = Rc::new(Random(Cell::new(seed)));
            let seen = Rc::new(Seen::default());
            seen.left.set(CLIENTS);
            let listener = lab.take_listener('A');
            lab.handle.spawn(backend(lab.handle.clone(), listener, random.clone()));
            for number in 0..CLIENTS {
                lab.handle.spawn(client(lab.handle.clone(), number, random.clone(), seen.clone()));
            }
            while seen.left.get() > 0 {
                lab.handle.sleep(Duration::from_secs(1)).await;
                let minutes = lab.handle.now().mono_ns / 60_000_000_000;
                assert!(minutes < 600, "seed {seed}: {} clients wait for ever", seen.left.get());
            }
            assert_eq!(*seen.wrong.borrow(), Vec::<String>::new(), "seed {seed}");
            let Seen { whole, cut, refused, .. } = &*seen;
            assert!(whole.get() > REQUESTS * CLIENTS / 2, "seed {seed}: {} whole answers", whole.get());
            assert!(cut.get() > 0 && refused.get() > 0, "seed {seed}: nothing went wrong");
        });
    }
}

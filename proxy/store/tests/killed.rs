//! What was acknowledged is there, whenever the process is killed: one that writes is killed with SIGKILL again and again at
//! moments drawn from a seed, and each time what it had acknowledged is looked for.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use store::{Change, Deployment, Store};

/// How often it is killed.
const ROUNDS: u64 = 25;
/// It is left alone for at most so long, microseconds.
const ALONE_US_MAX: u64 = 30_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("write"), Some(path)) => write(Path::new(&path)),
        _ => kill_again_and_again(),
    }
}

fn change(number: u64) -> Change {
    let body = number.to_string().repeat(usize::try_from(number % 700).unwrap_or_default()).into();
    Change {
        deployments: vec![Deployment { api: "a".into(), id: number.to_string(), head: Vec::new(), body }],
        pointers: vec![("a".into(), "s".into(), Some(number.to_string().into()))],
        history: vec![number.to_string().into()],
        dropped: number.checked_sub(50).map(|old| ("a".into(), old.to_string())).into_iter().collect(),
    }
}

/// Changes one after the other, each told once it is taken.
fn write(path: &Path) {
    let store = Store::open(path).expect("it opens after any end");
    let mut out = std::io::stdout();
    for number in pointed(&store) + 1.. {
        store.commit(&change(number)).expect("the disk takes it");
        let told = writeln!(out, "{number}").and_then(|()| out.flush());
        if told.is_err() {
            return;
        }
    }
}

fn pointed(store: &Store) -> u64 {
    let pointers = store.pointers().expect("pointers are read");
    pointers.first().map_or(0, |(_, value)| String::from_utf8_lossy(value).parse().expect("a number"))
}

fn kill_again_and_again() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = folder.path().join("store");
    let own = std::env::current_exe().expect("this file");
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let (mut acknowledged, mut unfinished) = (0, 0);
    for round in 0..ROUNDS {
        let mut writer =
            Command::new(&own).arg("write").arg(&path).stdout(Stdio::piped()).spawn().expect("a process");
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut lines = BufReader::new(writer.stdout.take().expect("its output")).lines();
        // Most rounds from its first word on, some from its start: it may be killed while it opens.
        if round % 4 != 0 {
            acknowledged = number(lines.next().expect("it writes"));
        }
        thread::sleep(Duration::from_micros((seed >> 33) % ALONE_US_MAX));
        writer.kill().expect("it is killed");
        acknowledged = lines.map(number).last().unwrap_or(acknowledged);
        let _ended = writer.wait().expect("it ends");
        let store = Store::open(&path).expect("it opens");
        let pointed = pointed(&store);
        assert!(pointed >= acknowledged, "{acknowledged} was acknowledged, {pointed} is there");
        assert!(pointed <= acknowledged + 1, "{pointed} is there, {acknowledged} was acknowledged");
        unfinished += pointed - acknowledged;
        acknowledged = pointed;
        // The change was taken whole.
        if let Some(Deployment { id, body, .. }) = change(pointed).deployments.first().filter(|_| pointed > 0)
        {
            assert_eq!(store.body("a", id).expect("it is read").as_ref(), Some(body), "{pointed}");
        }
        assert_eq!(store.deployments().expect("they are read").len() as u64, pointed.min(50));
        let last = store.history().expect("it is read").last().map_or(0, |(number, _)| *number);
        assert_eq!(last, pointed);
    }
    assert!(acknowledged > ROUNDS, "it hardly wrote: {acknowledged}");
    println!(
        "killed {ROUNDS} times: {acknowledged} changes acknowledged and there, {unfinished} there unacknowledged"
    );
}

fn number(line: std::io::Result<String>) -> u64 {
    line.expect("a line").parse().expect("a number")
}

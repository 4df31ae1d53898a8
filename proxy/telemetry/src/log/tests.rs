use std::{fs, process::Command, sync::mpsc::Receiver};

use super::*;

const LONG: Duration = Duration::from_secs(20);

/// A log in a folder of its own, and what it says to the operator.
struct Fixture {
    dir: tempfile::TempDir,
    writer: Writer,
    senders: Vec<LogSender>,
    said: Receiver<String>,
}

fn fixture(cores: usize) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let (say, said) = mpsc::channel();
    let notify = Box::new(move |text: &str| drop(say.send(text.to_owned())));
    let (writer, senders) = start(Target::File(dir.path().join("access.log")), cores, notify).unwrap();
    Fixture { dir, writer, senders, said }
}

impl Fixture {
    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).unwrap()
    }
}

fn put(sender: &mut LogSender, line: &str) {
    sender.line(|out| out.extend_from_slice(line.as_bytes()));
}

/// Waits for the log thread to have got somewhere, without guessing how long that takes.
fn wait(what: &str, done: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !done() {
        assert!(start.elapsed() < LONG, "waited in vain for {what}");
        thread::yield_now();
    }
}

#[test]
fn every_line_is_written_and_ends_are_clean() {
    let mut f = fixture(2);
    for n in 0..10_000 {
        put(&mut f.senders[n % 2], &format!("line {n}"));
    }
    f.senders.clear();
    let (dir, writer) = (f.dir, f.writer);
    assert!(writer.stop(LONG));
    let text = fs::read_to_string(dir.path().join("access.log")).unwrap();
    let mut seen: Vec<u32> =
        text.lines().map(|line| line.strip_prefix("line ").unwrap().parse().unwrap()).collect();
    assert!(seen.iter().filter(|n| *n % 2 == 0).is_sorted(), "one core's lines stay in order");
    seen.sort_unstable();
    assert_eq!(seen, (0..10_000).collect::<Vec<_>>());
}

#[test]
fn a_line_is_held_for_its_time_and_no_longer() {
    let mut f = fixture(1);
    let sender = &mut f.senders[0];
    assert!(!sender.turn(0), "nothing waits");
    put(sender, "one");
    assert!(sender.turn(1_000), "it waits");
    assert!(sender.turn(1_000 + HELD_MAX_NS - 1));
    assert_eq!(sender.lines, 1);
    assert!(!sender.turn(1_000 + HELD_MAX_NS));
    wait("the line", || f.writer.stats().written_lines == 1);
    assert_eq!(f.read("access.log"), "one\n");
    assert_eq!(f.writer.stats(), Stats { written_lines: 1, written_bytes: 4, ..Stats::default() });
}

#[test]
fn buffers_come_back_and_are_bounded() {
    let mut f = fixture(1);
    let line = "x".repeat(1000);
    for round in 0..20 {
        for _ in 0..100 {
            put(&mut f.senders[0], &line);
        }
        f.senders[0].flush();
        wait("a round", || f.writer.stats().written_lines == (round + 1) * 100);
    }
    assert!(f.senders[0].made <= 5, "{} buffers were made for four batches a round", f.senders[0].made);
    assert_eq!(f.writer.stats().dropped_lines, 0);
}

#[test]
fn a_huge_line_does_not_stay_in_memory() {
    let mut f = fixture(1);
    put(&mut f.senders[0], &"x".repeat(10 * BATCH_BYTES));
    wait("the line", || f.writer.stats().written_lines == 1);
    wait("the buffer", || !f.writer.shared.rings[0].empty.is_empty());
    put(&mut f.senders[0], "small");
    assert!(f.senders[0].batch.capacity() <= KEPT_BYTES_MAX);
}

#[test]
fn rotation_loses_nothing() {
    let mut f = fixture(1);
    put(&mut f.senders[0], "old");
    f.senders[0].flush();
    wait("the first line", || f.writer.stats().written_lines == 1);
    fs::rename(f.dir.path().join("access.log"), f.dir.path().join("access.log.1")).unwrap();
    f.writer.reopen();
    wait("the new file", || f.dir.path().join("access.log").exists());
    put(&mut f.senders[0], "new");
    f.senders[0].flush();
    wait("the second line", || f.writer.stats().written_lines == 2);
    assert_eq!((f.read("access.log.1").as_str(), f.read("access.log").as_str()), ("old\n", "new\n"));
}

#[test]
fn a_target_can_be_changed_and_a_bad_one_changes_nothing() {
    let mut f = fixture(1);
    let bad = f.writer.retarget(Target::File(f.dir.path().join("no/such/folder.log"))).unwrap_err();
    assert!(bad.to_string().contains("no/such/folder.log: No such file"), "{bad}");
    put(&mut f.senders[0], "one");
    f.senders[0].flush();
    wait("the first line", || f.writer.stats().written_lines == 1);
    f.writer.retarget(Target::File(f.dir.path().join("second.log"))).unwrap();
    wait("the second file", || !f.writer.shared.commanded.load(Relaxed));
    put(&mut f.senders[0], "two");
    f.senders[0].flush();
    wait("the second line", || f.writer.stats().written_lines == 2);
    assert_eq!((f.read("access.log").as_str(), f.read("second.log").as_str()), ("one\n", "two\n"));
}

#[test]
fn a_file_that_cannot_be_opened_is_refused_at_start() {
    let target = Target::File("/proc/no-such-file".into());
    let error = start(target, 1, Box::new(|_| {})).err().expect("must be refused");
    assert!(error.to_string().starts_with("cannot open the access log /proc/no-such-file: "), "{error}");
}

/// `/dev/full` is a disk without room.
#[test]
fn a_full_disk_is_said_once_counted_and_survived() {
    let mut f = fixture(1);
    f.writer.retarget(Target::File("/dev/full".into())).unwrap();
    wait("the change", || !f.writer.shared.commanded.load(Relaxed));
    let line = "x".repeat(BATCH_BYTES);
    let held = BATCHES_MAX as u64;
    put(&mut f.senders[0], &line);
    let said = f.said.recv_timeout(LONG).unwrap();
    assert!(said.starts_with("cannot write the access log /dev/full: No space left"), "{said}");
    for _ in 1..held + 5 {
        put(&mut f.senders[0], &line);
    }
    assert_eq!(f.writer.stats().dropped_lines, 5, "a core never waits; what finds no buffer is dropped");
    wait("a second try", || f.writer.stats().errors >= 2);
    assert!(f.said.try_recv().is_err(), "said once");
    f.writer.retarget(Target::File(f.dir.path().join("access.log"))).unwrap();
    let said = f.said.recv_timeout(LONG).unwrap();
    assert!(said.ends_with("access.log is written again; 5 lines were lost"), "{said}");
    wait("what was held", || f.writer.stats().written_lines == held);
    put(&mut f.senders[0], "after");
    f.senders.clear();
    let (dir, writer) = (f.dir, f.writer);
    assert!(writer.stop(LONG));
    let text = fs::read_to_string(dir.path().join("access.log")).unwrap();
    assert_eq!(text.lines().count() as u64, held + 1);
    assert!(text.ends_with("after\n"));
}

#[test]
fn a_stop_does_not_wait_for_a_full_disk() {
    let mut f = fixture(1);
    f.writer.retarget(Target::File("/dev/full".into())).unwrap();
    wait("the change", || !f.writer.shared.commanded.load(Relaxed));
    put(&mut f.senders[0], "lost");
    f.senders.clear();
    let shared = Arc::clone(&f.writer.shared);
    assert!(f.writer.stop(LONG));
    assert_eq!((shared.stats().dropped_lines, shared.stats().written_lines), (1, 0));
}

/// A pipe that nobody reads blocks the thread, not the one who stops it.
#[test]
fn a_stop_does_not_wait_for_a_reader_that_sleeps() {
    let f = fixture(1);
    let fifo = f.dir.path().join("pipe");
    if !Command::new("mkfifo").arg(&fifo).status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: no mkfifo");
        return;
    }
    // Open for both, so that neither side waits for the other to open.
    let _reader = OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
    f.writer.retarget(Target::File(fifo)).unwrap();
    let mut senders = f.senders;
    for _ in 0..8 {
        put(&mut senders[0], &"x".repeat(BATCH_BYTES));
    }
    wait("a full pipe", || f.writer.stats().written_bytes >= BATCH_BYTES as u64);
    assert!(!f.writer.stop(Duration::from_millis(50)));
}

#[test]
fn without_a_log_lines_vanish_uncounted() {
    let (writer, mut senders) = start(Target::Discard, 1, Box::new(|_| {})).unwrap();
    put(&mut senders[0], "gone");
    senders.clear();
    let shared = Arc::clone(&writer.shared);
    assert!(writer.stop(LONG));
    assert_eq!(shared.stats(), Stats::default());
}

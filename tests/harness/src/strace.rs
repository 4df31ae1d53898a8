//! Counts the system calls of one thread of a process, with strace.

use std::{collections::BTreeMap, fs, process::Command};

use rustix::process::Signal;
use tempfile::NamedTempFile;

use crate::{
    PATIENCE,
    process::{Process, thread_id},
    tools::program,
};

/// strace at a thread. Dropping it lets the thread go.
#[derive(Debug)]
pub struct Strace {
    process: Process,
    /// The table that it writes at the end.
    table: NamedTempFile,
}

/// How often each system call was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls(BTreeMap<String, u64>);

impl Strace {
    /// Begins to count what the thread of this name calls. `Err`: this machine lets nobody trace, in strace's words.
    #[track_caller]
    pub fn attach(pid: u32, thread: &str) -> Result<Self, String> {
        let table = NamedTempFile::new().unwrap_or_else(|error| panic!("no file: {error}"));
        let mut command = Command::new(program("strace"));
        command.args(["-c", "-U", "calls,name", "-p", &thread_id(pid, thread).to_string(), "-o"]);
        command.arg(table.path());
        let mut process = Process::start(&mut command);
        let attached = |lines: &[String]| lines.iter().any(|line| line.ends_with(" attached")).then_some(());
        if process.wait_for_stderr(attached).is_some() {
            return Ok(Self { process, table });
        }
        let said = process.wait(PATIENCE).stderr;
        assert!(said.contains("Operation not permitted"), "strace: {said}");
        Err(said.trim().to_owned())
    }

    /// Lets the thread go. What it called since.
    #[track_caller]
    pub fn finish(mut self) -> Calls {
        self.process.signal(Signal::INT);
        let ended = self.process.wait(PATIENCE);
        let table = fs::read_to_string(self.table.path()).unwrap_or_else(|error| panic!("{error}"));
        Calls::parse(&table).unwrap_or_else(|| panic!("strace wrote something else: {table}{ended:?}"))
    }
}

impl Calls {
    /// Reads a table of counts and names with its total below. A thread that called nothing has none.
    fn parse(table: &str) -> Option<Self> {
        let rows = table.lines().filter_map(|line| {
            let (count, name) = line.trim().split_once(' ')?;
            Some((name.trim().to_owned(), count.parse().ok()?))
        });
        let mut calls: BTreeMap<String, u64> = rows.collect();
        match calls.remove("total") {
            Some(total) => (calls.values().sum::<u64>() == total).then_some(Self(calls)),
            None => table.trim().is_empty().then(Self::default),
        }
    }

    /// How often any of these was called.
    pub fn of(&self, names: &[&str]) -> u64 {
        names.iter().filter_map(|name| self.0.get(*name)).sum()
    }

    /// How often anything was called.
    pub fn all(&self) -> u64 {
        self.0.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::Calls;

    #[test]
    fn a_table_is_read() {
        let table = "    calls syscall\n--------- ----------------\n      120 sendto\n        7 recvfrom\n--------- ----------------\n      127 total\n";
        let calls = Calls::parse(table).unwrap_or_default();
        assert_eq!((calls.of(&["sendto", "recvfrom"]), calls.of(&["close"]), calls.all()), (127, 0, 127));
        assert_eq!(Calls::parse(&table.replace("127", "128")), None, "rows are missing");
        assert_eq!(Calls::parse(""), Some(Calls::default()));
        assert_eq!(Calls::parse("strace: something else"), None);
    }
}

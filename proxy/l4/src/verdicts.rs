//! Who is held back for a while and who is let in by hand, where no table of the kernel's keeps it: at nftables and at accept. One small
//! file beside the state, which gateway and commands change in turn, under its lock. It outlives rules and restarts but no boot, by
//! whose clock its times are. Knows no kernel and no rule.

use crate::contents::keys;
use crate::state::as_folder;
use crate::{Blocked, Error};
use gate::table::Limiter;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// Prefixes that are held back at once, as many as a limiter at accept has room for.
pub(crate) const HELD_MAX: usize = 4_096;
/// Prefixes that are let in by hand at once: each is looked at for every accept.
pub(crate) const ALLOWED_MAX: usize = 256;
/// First line of the file: its version.
const VERSION: &str = "1";
/// Longest file that is read: all of them, a hundred bytes each.
const FILE_BYTES_MAX: u64 = 100 * (HELD_MAX + ALLOWED_MAX) as u64;

/// How a prefix is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// When it ends, by `CLOCK_MONOTONIC` in ns.
    pub expires_ns: u64,
    /// A SYN takes the time of so many; 0: none is let in.
    pub cost: u32,
    /// Why, by the caller's numbers.
    pub reason: u32,
}

/// What holds beside the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    held: BTreeMap<IpNet, Held>,
    allowed: BTreeSet<IpNet>,
}

/// Holds a prefix back where connections are accepted. `now_ns` and `expires_ns` are of the clock by which the limiter is asked; one that
/// ends now is let go. False: it holds too many others.
pub fn hold_at_accept(limiter: &Limiter, prefix: IpNet, expires_ns: u64, cost: u32, now_ns: u64) -> bool {
    let cost = u16::try_from(cost).unwrap_or(u16::MAX);
    keys(prefix).all(|key| limiter.hold(key, expires_ns, cost, now_ns))
}

/// By what a file is known to be another one: each is written beside the old and then takes its place.
pub(crate) type Stamp = (u64, i64, u64);

/// A file's stamp; `None`: there is none.
pub(crate) fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    let changed_ns = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
    Some((metadata.ino(), changed_ns, metadata.len()))
}

impl Verdicts {
    /// Its file in a state folder.
    pub(crate) const FILE: &str = "ebpf.verdicts";

    /// What is stored; nothing if there is no file, one of another boot, or one that is not ours to understand.
    pub(crate) fn load(folder: &Path, boot: &str) -> Result<Self, Error> {
        let path = folder.join(Self::FILE);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.len() > FILE_BYTES_MAX => return Ok(Self::default()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Error::File { path, error }),
        }
        let bytes = fs::read(&path).map_err(|error| Error::File { path, error })?;
        Ok(Self::parse(&String::from_utf8_lossy(&bytes), boot))
    }

    /// Replaces what is stored, whole. What holds nobody leaves no file.
    pub(crate) fn store(&self, folder: &Path, boot: &str) -> Result<(), Error> {
        let path = folder.join(Self::FILE);
        let new = folder.join("ebpf.verdicts.new");
        let stored = if *self == Self::default() {
            fs::remove_file(&path)
        } else {
            let written = fs::write(&new, self.text(boot));
            as_folder(folder, &new);
            written.and_then(|()| fs::rename(&new, &path))
        };
        match stored {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::File { path, error }),
            _ => Ok(()),
        }
    }

    fn parse(text: &str, boot: &str) -> Self {
        let mut verdicts = Self::default();
        let mut lines = text.lines();
        if lines.next() != Some(VERSION) || lines.next() != Some(&format!("boot {boot}")) {
            return verdicts;
        }
        for line in lines {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["hold", prefix, expires_ns, cost, reason] => {
                    if let (Ok(prefix), Ok(expires_ns), Ok(cost), Ok(reason)) =
                        (prefix.parse(), expires_ns.parse(), cost.parse(), reason.parse())
                        && verdicts.held.len() < HELD_MAX
                    {
                        verdicts.held.insert(prefix, Held { expires_ns, cost, reason });
                    }
                }
                ["allow", prefix] if verdicts.allowed.len() < ALLOWED_MAX => {
                    verdicts.allowed.extend(prefix.parse::<IpNet>());
                }
                _ => {}
            }
        }
        verdicts
    }

    fn text(&self, boot: &str) -> String {
        let mut text = format!("{VERSION}\nboot {boot}\n");
        for (prefix, Held { expires_ns, cost, reason }) in &self.held {
            let _ = writeln!(text, "hold {prefix} {expires_ns} {cost} {reason}");
        }
        for prefix in &self.allowed {
            let _ = writeln!(text, "allow {prefix}");
        }
        text
    }

    /// Holds a prefix back; what it was held back by before is forgotten, and what has ended makes room.
    pub(crate) fn hold(&mut self, prefix: IpNet, held: Held, now_ns: u64) -> Result<(), Error> {
        self.held.remove(&prefix.trunc());
        if held.expires_ns <= now_ns {
            return Ok(());
        }
        if self.held.len() >= HELD_MAX {
            self.sweep(now_ns);
        }
        if self.held.len() >= HELD_MAX {
            return Err(Error::TooManyVerdicts { max: HELD_MAX });
        }
        self.held.insert(prefix.trunc(), held);
        Ok(())
    }

    /// Whether this very prefix is shut out, until then or later.
    pub(crate) fn is_shut_out(&self, prefix: IpNet, until_ns: u64) -> bool {
        self.held.get(&prefix.trunc()).is_some_and(|held| held.cost == 0 && held.expires_ns >= until_ns)
    }

    /// Lets a prefix in, and ends what held it back.
    pub(crate) fn allow(&mut self, prefix: IpNet) -> Result<(), Error> {
        self.held.remove(&prefix.trunc());
        if self.allowed.len() >= ALLOWED_MAX && !self.allowed.contains(&prefix.trunc()) {
            return Err(Error::TooManyVerdicts { max: ALLOWED_MAX });
        }
        self.allowed.insert(prefix.trunc());
        Ok(())
    }

    /// Other rules hold from now on: who was let in by hand was let in under the old ones.
    pub(crate) fn forget_allowed(&mut self) {
        self.allowed.clear();
    }

    /// Takes out what has ended.
    pub(crate) fn sweep(&mut self, now_ns: u64) {
        self.held.retain(|_, held| held.expires_ns > now_ns);
    }

    /// Who is held back now, each prefix before those inside of it.
    pub fn held(&self, now_ns: u64) -> impl Iterator<Item = (IpNet, Held)> {
        let all = self.held.iter().map(|(prefix, held)| (*prefix, *held));
        all.filter(move |(_, held)| held.expires_ns > now_ns)
    }

    /// Who is let in by hand, until other rules hold.
    pub const fn allowed(&self) -> &BTreeSet<IpNet> {
        &self.allowed
    }

    /// For people.
    pub(crate) fn blocked(&self, now_ns: u64) -> impl Iterator<Item = Blocked> {
        self.held(now_ns).map(move |(prefix, Held { expires_ns, cost, reason })| {
            let left = Duration::from_nanos(expires_ns - now_ns);
            Blocked { prefix, left, cost, reason }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: &str = "8b4a6ed2-1d3c-4a5e-9d9e-0d9d3f1c2b3a";

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    const fn held(expires_ns: u64) -> Held {
        Held { expires_ns, cost: 2, reason: 3 }
    }

    fn some() -> Verdicts {
        let mut verdicts = Verdicts::default();
        verdicts.hold(net("192.0.2.7/24"), held(100), 1).unwrap();
        verdicts.hold(net("192.0.2.7/32"), held(200), 1).unwrap();
        verdicts.hold(net("2001:db8::/48"), Held { cost: 0, ..held(300) }, 1).unwrap();
        verdicts.allow(net("10.1.2.3/8")).unwrap();
        verdicts
    }

    #[test]
    fn what_is_stored_is_found_again_until_the_next_boot() {
        let folder = tempfile::tempdir().unwrap();
        let load = |boot| Verdicts::load(folder.path(), boot).unwrap();
        assert_eq!((load(BOOT), stamp(&folder.path().join(Verdicts::FILE))), (Verdicts::default(), None));
        some().store(folder.path(), BOOT).unwrap();
        assert_eq!((load(BOOT), load("another")), (some(), Verdicts::default()));
        let first = stamp(&folder.path().join(Verdicts::FILE));
        let mut fewer = some();
        fewer.forget_allowed();
        fewer.store(folder.path(), BOOT).unwrap();
        assert_ne!(stamp(&folder.path().join(Verdicts::FILE)), first);
        assert_eq!(load(BOOT), fewer);
        Verdicts::default().store(folder.path(), BOOT).unwrap();
        Verdicts::default().store(folder.path(), BOOT).unwrap();
        assert_eq!(stamp(&folder.path().join(Verdicts::FILE)), None);
    }

    /// What can't be understood counts as nothing stored.
    #[track_caller]
    fn check(text: &str, expected: usize) {
        let verdicts = Verdicts::parse(text, "x");
        assert_eq!(verdicts.held.len() + verdicts.allowed.len(), expected);
    }

    #[test]
    fn a_broken_file_is_no_reason_to_fail() {
        check("1\nboot x\nhold 10.0.0.0/8 1 2 3\nallow ::/0\n", 2);
        check("1\nboot x\nhold 10.0.0.0/8 1 2\nhold 10/8 1 2 3\nallow\nallow 1.2.3.4\nfoo\n\n", 0);
        check("1\nboot y\nhold 10.0.0.0/8 1 2 3\n", 0);
        check("2\nboot x\nhold 10.0.0.0/8 1 2 3\n", 0);
        check("", 0);
        let many: String =
            (0..5_000).map(|n| format!("hold 10.0.{}.{}/32 1 2 3\n", n >> 8, n & 255)).collect();
        check(&format!("1\nboot x\n{many}"), HELD_MAX);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(Verdicts::FILE), vec![b'1'; FILE_BYTES_MAX as usize + 1]).unwrap();
        assert_eq!(Verdicts::load(folder.path(), "x").unwrap(), Verdicts::default());
    }

    #[test]
    fn what_has_ended_holds_nobody_and_makes_room() {
        let mut verdicts = some();
        let prefixes = |verdicts: &Verdicts, now_ns| {
            verdicts.held(now_ns).map(|(prefix, _)| prefix.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(prefixes(&verdicts, 1), ["192.0.2.0/24", "192.0.2.7/32", "2001:db8::/48"]);
        assert_eq!(prefixes(&verdicts, 100), ["192.0.2.7/32", "2001:db8::/48"]);
        let shut =
            [("2001:db8::/48", 300), ("2001:db8::/48", 301), ("2001:db8::/64", 1), ("192.0.2.7/32", 1)]
                .map(|(prefix, until_ns)| verdicts.is_shut_out(net(prefix), until_ns));
        assert_eq!(shut, [true, false, false, false]);
        assert_eq!(verdicts.blocked(100).next().unwrap().left, Duration::from_nanos(100));
        // One that ends now is let go, and so is who is let in.
        verdicts.hold(net("192.0.2.7/32"), held(50), 50).unwrap();
        verdicts.allow(net("2001:db8::/48")).unwrap();
        assert_eq!(prefixes(&verdicts, 50), ["192.0.2.0/24"]);
        assert_eq!(verdicts.allowed().len(), 2);
        for n in 1..HELD_MAX as u32 {
            verdicts.hold(IpNet::from(std::net::IpAddr::from(n.to_be_bytes())), held(500), 99).unwrap();
        }
        let full = verdicts.hold(net("198.51.100.1/32"), held(500), 99).unwrap_err().to_string();
        assert_eq!(full, "there is room for 4096 prefixes by hand");
        verdicts.hold(net("198.51.100.1/32"), held(500), 100).unwrap();
    }

    #[test]
    fn few_are_let_in_by_hand() {
        let mut verdicts = Verdicts::default();
        let host = |n: u32| IpNet::from(std::net::IpAddr::from(n.to_be_bytes()));
        (0..ALLOWED_MAX as u32).for_each(|n| verdicts.allow(host(n)).unwrap());
        verdicts.allow(host(0)).unwrap();
        assert!(matches!(verdicts.allow(host(ALLOWED_MAX as u32)), Err(Error::TooManyVerdicts { .. })));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text: String) {
            Verdicts::parse(&text, "");
            Verdicts::parse(&format!("1\nboot \n{text}"), "");
        }

        /// Written and read again it is the same.
        #[test]
        fn what_is_written_is_read(hosts in proptest::collection::vec((proptest::prelude::any::<[u8; 4]>(), 0..=32_u8, 2..9_u64), 0..20)) {
            let mut verdicts = Verdicts::default();
            for (host, bits, expires_ns) in hosts {
                let prefix = IpNet::new(std::net::IpAddr::from(host), bits).unwrap();
                verdicts.hold(prefix, held(expires_ns), 1).unwrap();
                verdicts.allow(IpNet::new(std::net::IpAddr::from([0xfd; 16]), bits).unwrap()).unwrap();
            }
            proptest::prop_assert_eq!(Verdicts::parse(&verdicts.text(BOOT), BOOT), verdicts);
        }
    }
}

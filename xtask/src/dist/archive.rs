//! Archives whose bytes depend on their contents alone: tar (POSIX.1-1988, "ustar"), ar, and what compresses them.
//! They are written here because a header of each is a few lines, and tar's defaults are not everywhere the same.

use std::{collections::BTreeMap, process::Command};

use anyhow::ensure;

use crate::shell;

/// A tar archive is a row of blocks of this size.
const BLOCK_BYTES: usize = 512;

/// Files by path, without a slash at the begin; folders follow from them.
#[derive(Clone, Debug, Default)]
pub(super) struct Files(BTreeMap<String, (u32, Vec<u8>)>);

impl Files {
    /// One that is read.
    pub(super) fn add(&mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.insert(path.into(), (0o644, bytes.into()));
    }

    /// One that is run.
    pub(super) fn add_program(&mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.insert(path.into(), (0o755, bytes.into()));
    }

    /// Path, mode, contents, sorted.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, u32, &[u8])> {
        self.0.iter().map(|(path, (mode, bytes))| (&**path, *mode, &**bytes))
    }

    /// Every folder above a file, each once, before what is in it.
    pub(super) fn folders(&self) -> Vec<&str> {
        let above = |path: &'_ str| path.match_indices('/').map(|(at, _)| at).collect::<Vec<_>>();
        let all = self.0.keys().flat_map(|path| above(path).into_iter().map(|at| &path[..at]));
        all.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }
}

/// All belongs to root and is of one time.
pub(super) fn tar(files: &Files, mtime_s: u64) -> anyhow::Result<Vec<u8>> {
    let mut archive = Vec::new();
    for folder in files.folders() {
        archive.extend(tar_header(&format!("./{folder}/"), 0o755, 0, mtime_s, b'5')?);
    }
    for (path, mode, bytes) in files.iter() {
        archive.extend(tar_header(&format!("./{path}"), mode, bytes.len(), mtime_s, b'0')?);
        archive.extend(bytes);
        archive.resize(archive.len().next_multiple_of(BLOCK_BYTES), 0);
    }
    // Two empty blocks are the end.
    archive.resize(archive.len() + 2 * BLOCK_BYTES, 0);
    Ok(archive)
}

fn tar_header(
    name: &str,
    mode: u32,
    bytes: usize,
    mtime_s: u64,
    kind: u8,
) -> anyhow::Result<[u8; BLOCK_BYTES]> {
    ensure!(name.len() <= 100, "{name}: a name in a tar archive has at most 100 bytes");
    let mut header = [0; BLOCK_BYTES];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, &format!("{mode:07o}"));
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{bytes:011o}"));
    put(136, &format!("{mtime_s:011o}"));
    // The sum is taken as if its own field were blanks.
    put(148, "        ");
    put(257, "ustar\x0000");
    put(265, "root");
    put(297, "root");
    header[156] = kind;
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(header)
}

/// As dpkg reads it (deb(5)): names up to 16 bytes.
pub(super) fn ar(members: &[(&str, &[u8])], mtime_s: u64) -> Vec<u8> {
    let mut archive = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        let header =
            format!("{name:<16}{mtime_s:<12}{:<6}{:<6}{:<8o}{:<10}`\n", 0, 0, 0o100_644, bytes.len());
        archive.extend(header.as_bytes());
        archive.extend(*bytes);
        if bytes.len() % 2 == 1 {
            archive.push(b'\n');
        }
    }
    archive
}

/// Without a name or a time in it.
pub(super) fn gzip(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    shell::filter(Command::new("gzip").args(["-9", "-n"]), bytes)
}

/// With one thread: more would cut it into other blocks on another machine.
pub(super) fn xz(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    shell::filter(Command::new("xz").args(["-6", "--threads=1", "--check=crc64"]), bytes)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{Files, ar, gzip, tar, xz};
    use crate::shell;

    fn files() -> Files {
        let mut files = Files::default();
        files.add("b/c/text", "hello\n");
        files.add("a", vec![b'x'; 1_024]);
        files.add_program("b/run", "");
        files
    }

    #[test]
    fn folders_come_before_what_is_in_them() {
        assert_eq!(files().folders(), ["b", "b/c"]);
    }

    /// What GNU tar finds in it, owners, modes and times as numbers.
    #[test]
    fn tar_reads_it() {
        let mut listing = Command::new("tar");
        listing.args(["--list", "--verbose", "--numeric-owner", "--utc", "--full-time", "--gzip"]);
        listing.env("LC_ALL", "C");
        let archive = gzip(&tar(&files(), 1_000_000_000).unwrap()).unwrap();
        let listed = String::from_utf8(shell::filter(&mut listing, &archive).unwrap()).unwrap();
        let lines: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
        let expected = [
            ["drwxr-xr-x", "0/0", "0", "./b/"],
            ["drwxr-xr-x", "0/0", "0", "./b/c/"],
            ["-rw-r--r--", "0/0", "1024", "./a"],
            ["-rw-r--r--", "0/0", "6", "./b/c/text"],
            ["-rwxr-xr-x", "0/0", "0", "./b/run"],
        ]
        .map(|[mode, owner, bytes, name]| vec![mode, owner, bytes, "2001-09-09", "01:46:40", name]);
        assert_eq!(lines, expected);
        let mut text = Command::new("tar");
        let text = shell::filter(text.args(["--extract", "--to-stdout", "--gzip", "./b/c/text"]), &archive);
        assert_eq!(text.unwrap(), b"hello\n");
    }

    #[test]
    fn ar_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.a");
        std::fs::write(&file, ar(&[("first", b"odd"), ("second", b"even")], 7)).unwrap();
        let print = |member: &str| shell::read(Command::new("ar").arg("p").arg(&file).arg(member)).unwrap();
        assert_eq!((print("first"), print("second")), ("odd".to_owned(), "even".to_owned()));
    }

    #[test]
    fn a_name_that_does_not_fit_is_refused() {
        let mut files = Files::default();
        files.add("x".repeat(99), "");
        assert!(tar(&files, 0).unwrap_err().to_string().contains("at most 100 bytes"));
    }

    #[test]
    fn compressing_twice_gives_the_same() {
        let bytes = tar(&files(), 1).unwrap();
        assert_eq!(gzip(&bytes).unwrap(), gzip(&bytes).unwrap());
        let packed = xz(&bytes).unwrap();
        assert_eq!(shell::filter(Command::new("xz").arg("-d"), &packed).unwrap(), bytes);
    }
}

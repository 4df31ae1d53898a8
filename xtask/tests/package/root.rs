//! A Debian to install into: this machine's own, under an overlay that keeps every change in memory, in namespaces of its own
//! for mounts, processes and network. All of it goes with the value.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use harness::skip;
use tempfile::TempDir;

use crate::{lacks, read};

/// Mounts and tells when it is there; then it only keeps the namespaces alive until its standard input ends.
const SETUP: &str = r#"
set -e
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
mount -t tmpfs none "$1/root/run"
mount -t tmpfs none "$1/root/tmp"
ip link set lo up
echo there
exec cat >/dev/null
"#;

/// What a package of ours that is installed here, or a node that once ran here, has left: not part of the beginning.
const CLEAN: &str = "\
if dpkg-query --status floodgate >/dev/null 2>&1; then dpkg --purge floodgate; fi
rm -rf /etc/floodgate /var/lib/floodgate /var/log/floodgate
if getent passwd floodgate >/dev/null; then userdel floodgate; fi
if getent group floodgate >/dev/null; then groupdel floodgate; fi
";

/// A Debian that forgets.
pub(crate) struct Root {
    holder: Child,
    /// The first process of its namespace.
    init: String,
    folder: TempDir,
}

impl Root {
    /// `None`: it was said why there can be none here.
    #[track_caller]
    pub(crate) fn new(test: &str) -> Option<Self> {
        if !rustix::process::getuid().is_root() {
            skip(test, "only root may mount");
            return None;
        }
        if lacks(
            test,
            &["dpkg", "unshare", "nsenter", "setpriv", "prlimit", "ip", "adduser", "curl", "python3"],
        ) {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", SETUP, "sh"]);
        unshare.arg(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut holder = unshare.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line != "there\n" {
            let output = holder.wait_with_output().unwrap();
            let why = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
            skip(test, &format!("no overlay in namespaces: {why}"));
            return None;
        }
        let children = format!("/proc/{0}/task/{0}/children", holder.id());
        let init = std::fs::read_to_string(children).unwrap().trim().to_owned();
        let root = Self { holder, init, folder };
        root.sh(CLEAN);
        Some(root)
    }

    /// A command in it.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init, "--mount", "--net", "--pid", "chroot"]);
        command.arg(self.folder.path().join("root")).arg(program);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
        command.env("DEBIAN_FRONTEND", "noninteractive").current_dir("/").stdin(Stdio::null());
        command
    }

    /// What these lines of shell say; they must succeed.
    #[track_caller]
    pub(crate) fn sh(&self, script: &str) -> String {
        read(self.command("sh").args(["-e", "-c", script]))
    }

    /// Runs these lines, whatever becomes of them.
    pub(crate) fn try_sh(&self, script: &str) -> Output {
        self.command("sh").args(["-e", "-c", script]).output().unwrap()
    }

    /// `dpkg` with these arguments. Other packages' triggers (manual indexes) are not what is tested.
    #[track_caller]
    pub(crate) fn dpkg(&self, arguments: &str) -> String {
        self.sh(&format!("dpkg --no-triggers {arguments}"))
    }

    /// Copies a file of the machine into its /tmp.
    #[track_caller]
    pub(crate) fn bring(&self, file: &Path) -> String {
        let name = file.file_name().unwrap().to_str().unwrap();
        let mut tee = self.command("sh");
        tee.args(["-c", &format!("cat >/tmp/{name}")]).stdin(std::fs::File::open(file).unwrap());
        read(&mut tee);
        format!("/tmp/{name}")
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        // Its input ends, so it does, and with it every process and mount of the namespaces.
        drop(self.holder.stdin.take());
        let ended = self.holder.wait();
        assert!(ended.is_ok() || std::thread::panicking(), "{ended:?}");
    }
}

//! A package's life in a Debian of its own. There is no systemd in it to start the unit, so the test does what the unit says,
//! as far as that goes without one: its user, its capabilities, its limits, a system that can't be written to.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    process::{Child, Stdio},
};

use harness::skip;

use crate::{
    FIRST, Made, has,
    root::Root,
    unit::{BESIDE, allowed_calls, allowed_with_front_line, complaints, front_line, value, values_of},
};

/// What systemd would do before it starts the program. `$@` is `ExecStart`.
const LAUNCH: &str = r#"
mkdir -p /run/floodgate && chown floodgate:floodgate /run/floodgate && chmod 0700 /run/floodgate
# ProtectSystem=strict: all but the unit's own folders is read-only.
for folder in /var/lib/floodgate /var/log/floodgate; do mount --bind "$folder" "$folder"; done
mount -o remount,bind,ro /
umask "$UMASK"
caps="$(echo "$CAPABILITIES" | sed 's/CAP_/+/g; s/ /,/g' | tr 'A-Z' 'a-z')"
exec prlimit --nofile="$NOFILE" --core=0 $TRACER \
    setpriv --reuid "$UNIT_USER" --regid "$UNIT_GROUP" --clear-groups --no-new-privs \
    --bounding-set="-all,$caps" --inh-caps="-all,$caps" --ambient-caps="-all,$caps" \
    python3 -c "$DENY_WRITE_EXECUTE" "$@"
"#;

/// MemoryDenyWriteExecute, by the kernel (6.3) in place of systemd's filter: PR_SET_MDWE, then the program.
const DENY_WRITE_EXECUTE: &str = "
import ctypes, os, sys
ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
";

/// A node that runs as the unit says. Dropping it kills it.
struct Node<'a> {
    root: &'a Root,
    child: Child,
}

impl<'a> Node<'a> {
    /// Starts it and waits until it is ready. `tracer` stands before it.
    #[track_caller]
    fn start(root: &'a Root, tracer: &str) -> Self {
        Self::start_with(root, tracer, &value("CapabilityBoundingSet"))
    }

    /// The same with other capabilities.
    #[track_caller]
    fn start_with(root: &'a Root, tracer: &str, capabilities: &str) -> Self {
        let mut launch = root.command("unshare");
        launch.args(["--mount", "sh", "-e", "-c", LAUNCH, "sh"]);
        launch.args(value("ExecStart").split(' '));
        launch.env("CAPABILITIES", capabilities).env("TRACER", tracer);
        launch.env("UNIT_USER", value("User")).env("UNIT_GROUP", value("Group")).env("UMASK", value("UMask"));
        // This machine may not have as many to give; it has what its own limit says.
        let nofile = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
        let unit: u64 = value("LimitNOFILE").parse().unwrap();
        launch.env("NOFILE", nofile.unwrap_or(unit).min(unit).to_string());
        launch.env("DENY_WRITE_EXECUTE", DENY_WRITE_EXECUTE);
        let mut child = launch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        for line in lines {
            if line == "floodgate: ready" {
                return Self { root, child };
            }
            said += &line;
        }
        let output = child.wait_with_output().unwrap();
        panic!("it did not start: {said}\n{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Its number in its namespace.
    fn pid(&self) -> String {
        self.root.sh("pgrep --exact --newest floodgate").trim().to_owned()
    }

    #[track_caller]
    fn ask(&self, path: &str) -> String {
        self.root.sh(&format!(
            "curl --silent --show-error --fail --max-time 20 --cacert /var/lib/floodgate/authority/ca.pem https://localhost{path}"
        ))
    }

    /// SIGTERM, and a good end.
    #[track_caller]
    fn end(mut self) {
        self.root.sh(&format!("kill -TERM {}", self.pid()));
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
    }
}

impl Drop for Node<'_> {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _killed = self.child.kill();
            let _ended = self.child.wait();
        }
    }
}

/// What lies about with our name, but for what is no package's affair: logs of dpkg, who is who.
fn traces(root: &Root) -> String {
    root.sh("find /etc /usr /var /run -xdev -name '*floodgate*' -not -path '/var/lib/dpkg/info/*' | sort")
}

#[test]
fn installed_started_upgraded_removed_and_purged() {
    let Some(root) = Root::new("installed_started_upgraded_removed_and_purged") else { return };
    let [first, second] = [&*FIRST, &Made::new("1.0.1")].map(|made| root.bring(&made.package()));
    let before = traces(&root);

    root.dpkg(&format!("--install {first}"));
    assert_eq!(root.sh("dpkg --verify floodgate"), "");
    root.sh("runuser -u floodgate -- floodgate check /etc/floodgate/floodgate.toml --state /tmp");
    check_places(&root);
    let wanted = "/etc/systemd/system/multi-user.target.wants/floodgate.service";
    root.sh(&format!("test -L {wanted}"));
    check_verified(&root);

    // An operator's change: a port that needs the unit's capability.
    root.sh("sed -i 's/127.0.0.1:8443/127.0.0.1:443/' /etc/floodgate/floodgate.toml");
    let node = Node::start(&root, "");
    let pid = node.pid();
    check_confined(&root, &pid);
    assert!(node.ask("/hello").contains("\"path\":\"/hello\""));
    let authority = root.sh("sha256sum /var/lib/floodgate/authority/ca.pem");
    assert!(root.sh("floodgate reload").contains("generation 2"));

    // Who is being served does not notice; what was changed stays.
    root.dpkg(&format!("--install {second}"));
    assert_eq!(root.sh("dpkg-query --show --showformat '${Version}' floodgate"), "1.0.1-1");
    assert!(root.sh("cat /etc/floodgate/floodgate.toml").contains("127.0.0.1:443"));
    assert_eq!(node.pid(), pid);
    assert!(root.sh(&format!("readlink /proc/{pid}/exe")).contains("(deleted)"), "the old one runs");
    assert!(node.ask("/hello").contains("\"path\":\"/hello\""));
    node.end();
    let node = Node::start(&root, "");
    assert!(node.ask("/hello").contains("\"path\":\"/hello\""));
    assert_eq!(root.sh("sha256sum /var/lib/floodgate/authority/ca.pem"), authority, "the state was not kept");
    node.end();

    // A file that is wrong does not keep a node down.
    root.sh(
        "cp -a /etc/floodgate/floodgate.toml /tmp/right && echo nonsense >>/etc/floodgate/floodgate.toml",
    );
    let node = Node::start(&root, "");
    assert!(node.ask("/hello").contains("\"path\":\"/hello\""));
    root.sh("cp -a /tmp/right /etc/floodgate/floodgate.toml && floodgate reload");
    node.end();

    // Removing keeps what is the operator's, purging does not.
    root.dpkg("--remove floodgate");
    root.sh("test ! -e /usr/bin/floodgate && test -e /etc/floodgate/floodgate.toml && test -e /var/lib/floodgate/authority/ca.pem");
    root.dpkg("--purge floodgate");
    root.sh("rm -rf /run/floodgate");
    assert_eq!(traces(&root), before);
    root.sh("getent passwd floodgate");
}

/// Owners and modes, and a user that nobody can be.
#[track_caller]
fn check_places(root: &Root) {
    for (path, expected) in [
        ("/var/lib/floodgate", "floodgate:floodgate 700"),
        ("/var/log/floodgate", "floodgate:floodgate 750"),
        ("/etc/floodgate", "root:root 755"),
        ("/etc/floodgate/floodgate.toml", "root:root 644"),
        ("/usr/bin/floodgate", "root:root 755"),
    ] {
        assert_eq!(root.sh(&format!("stat --format '%U:%G %a' {path}")).trim(), expected, "{path}");
    }
    let user = root.sh("getent passwd floodgate");
    assert!(user.trim().ends_with("/nologin"), "{user}");
}

/// systemd's own check of the unit where it is installed, its program and its manual beside it.
#[track_caller]
fn check_verified(root: &Root) {
    if !has("systemd-analyze") {
        return skip("check_verified", "there is no systemd-analyze");
    }
    let output = root.try_sh("systemd-analyze verify --man=no /usr/lib/systemd/system/floodgate.service");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(complaints(&said), [""; 0], "{said}");
}

/// It is its user, may bind low ports and nothing else, and can't come to more.
#[track_caller]
fn check_confined(root: &Root, pid: &str) {
    let status = root.sh(&format!("cat /proc/{pid}/status"));
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {name}: {status}")).trim().to_owned()
    };
    // CAP_NET_BIND_SERVICE is 10.
    for set in ["CapEff", "CapPrm", "CapBnd", "CapAmb"] {
        assert_eq!(field(set), "0000000000000400", "{set}");
    }
    assert_eq!(field("NoNewPrivs"), "1");
    let user = root.sh("id --user floodgate").trim().to_owned();
    assert!(field("Uid").split_whitespace().all(|id| id == user), "{}", field("Uid"));
}

/// Everything that a life asks of the kernel is in the unit's filter: a node killed for a call in its second week is none.
#[test]
fn the_filter_allows_what_a_life_needs() {
    let test = "the_filter_allows_what_a_life_needs";
    if crate::lacks(test, &["strace", "systemd-analyze"]) {
        return;
    }
    let Some(root) = Root::new(test) else { return };
    let package = root.bring(&FIRST.package());
    root.dpkg(&format!("--install {package}"));
    let allowed = allowed_calls();
    for driver in ["auto", "epoll"] {
        // The first is the node's; a later section has one of its own.
        root.sh(&format!(
            "sed -i '0,/^#\\?driver = .*/s//driver = \"{driver}\"/' /etc/floodgate/floodgate.toml"
        ));
        let node = Node::start(&root, "strace --follow-forks --quiet=all --output /run/calls");
        let ask = |path: &str| {
            root.sh(&format!(
                "curl -sSf --max-time 20 --cacert /var/lib/floodgate/authority/ca.pem https://localhost:8443{path}"
            ))
        };
        ask("/hello");
        ask("/cached");
        ask("/bytes?n=300000");
        root.sh("curl -sSf --max-time 20 http://127.0.0.1:9901/metrics; floodgate reload; floodgate flush");
        node.end();
        let called = calls(&root);
        let forbidden: Vec<_> = called.iter().filter(|call| !allowed.contains(*call)).collect();
        assert!(called.contains("accept4") || called.contains("io_uring_enter"), "{called:?}");
        assert!(forbidden.is_empty(), "{driver}: the unit forbids {forbidden:?}");
    }
}

/// The system calls of a node that was started under strace.
#[track_caller]
fn calls(root: &Root) -> BTreeSet<String> {
    let calls = root.sh("cat /run/calls");
    let (_, life) = calls.rsplit_once("execve(\"/usr/bin/floodgate\"").expect("it was started");
    let name = |line: &str| Some(line.split_whitespace().nth(1)?.split_once('(')?.0.to_owned());
    life.lines().skip(1).filter_map(name).collect()
}

/// With the file for it beside the unit the front line stands in the kernel: systemd takes it, its rights and calls are enough, and an
/// administrator's commands find it. Loopback has tcx and no XDP.
#[test]
fn the_front_line_lives_by_its_file() {
    let test = "the_front_line_lives_by_its_file";
    if crate::lacks(test, &["strace", "systemd-analyze"]) {
        return;
    }
    let Some(root) = Root::new(test) else { return };
    let package = root.bring(&FIRST.package());
    root.dpkg(&format!("--install {package}"));
    root.sh(&format!("install -D -m 0644 /usr/share/floodgate/front-line.conf {BESIDE}"));
    check_verified(&root);
    root.sh("mount -t sysfs none /sys && mount -t bpf -o mode=0700 bpf /sys/fs/bpf");
    before_start(&root);
    root.sh(
        "printf '[ebpf]\\ninterfaces = [\"lo\"]\\nmode = \"enforce\"\\n' >>/etc/floodgate/floodgate.toml",
    );
    let [more] = &values_of(&front_line(), "CapabilityBoundingSet")[..] else { panic!("once") };
    let capabilities = format!("{} {more}", value("CapabilityBoundingSet"));
    let tracer = "strace --follow-forks --quiet=all --output /run/calls";
    let node = Node::start_with(&root, tracer, &capabilities);
    let status = root.sh(&format!("cat /proc/{}/status", node.pid()));
    // CAP_NET_ADMIN is 12, CAP_PERFMON 38, CAP_BPF 39; it has bound its ports and gives up CAP_NET_BIND_SERVICE.
    for set in ["CapEff", "CapPrm", "CapAmb"] {
        assert!(status.contains(&format!("{set}:\t000000c000001000")), "{set}: {status}");
    }
    // An administrator's files are the node's to read, whatever he keeps from others.
    let said =
        root.sh("umask 077; floodgate ebpf commit; floodgate ebpf block 192.0.2.7; floodgate ebpf status");
    assert!(said.contains("interface lo         tcx") && said.contains(", committed"), "{said}");
    assert!(said.contains("192.0.2.7/32         shut out"), "{said}");
    // Loopback passes under any rules, and is counted as that.
    root.sh(
        "curl -sSf --max-time 20 --cacert /var/lib/floodgate/authority/ca.pem https://localhost:8443/hello",
    );
    assert!(root.sh("floodgate metrics").contains("floodgate_l4_mode{interface=\"lo\",mode=\"tcx\"} 1"));
    node.end();
    let allowed = allowed_with_front_line();
    let called = calls(&root);
    let forbidden: Vec<_> = called.iter().filter(|call| !allowed.contains(*call)).collect();
    assert!(called.contains("bpf") && forbidden.is_empty(), "the unit forbids {forbidden:?}");

    // By hand first, then by the unit's user: the node finds what was pinned, and what was committed.
    root.sh("floodgate ebpf detach && test ! -e /sys/fs/bpf/floodgate");
    before_start(&root);
    let said = root.sh("umask 077; floodgate ebpf attach");
    assert!(said.lines().any(|line| line == "lo: tcx"), "{said}");
    let node = Node::start_with(&root, "", &capabilities);
    let said = root.sh("floodgate ebpf status");
    assert!(said.contains("interface lo         tcx") && said.contains(", committed"), "{said}");
    node.end();
}

/// What the front line's file has done as the administrator before each start.
#[track_caller]
fn before_start(root: &Root) {
    for line in values_of(&front_line(), "ExecStartPre") {
        root.sh(line.strip_prefix('+').expect("as root"));
    }
}

/// Without systemd the user and its folders are made all the same, nothing is started, and nothing fails.
#[test]
fn it_installs_without_systemd() {
    let Some(root) = Root::new("it_installs_without_systemd") else { return };
    let package = root.bring(&FIRST.package());
    let tools =
        "systemd-sysusers systemd-tmpfiles systemctl deb-systemd-helper deb-systemd-invoke systemd-analyze";
    root.sh(&format!("for tool in {tools}; do rm -f /usr/bin/$tool /bin/$tool; done"));
    let before = traces(&root);
    root.dpkg(&format!("--install {package}"));
    check_places(&root);
    root.dpkg(&format!("--install {package}"));
    root.dpkg("--purge floodgate");
    assert_eq!(traces(&root), before);
}

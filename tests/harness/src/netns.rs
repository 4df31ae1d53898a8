//! A network of a test's own: two namespaces with a cable (veth) between them, one for the gateway and one for those who
//! come to it. Nothing of the machine's own network is touched, and the kernel takes all of it away when the last who is in
//! it has gone, also when the test was killed. Only the administrator can make one.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::{AsFd, AsRawFd},
    panic,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;

use crate::{pass, processors, tools::find_program};

/// A network namespace.
#[derive(Debug)]
pub struct Namespace {
    /// It lasts as long as this is open.
    link: File,
}

/// The gateway's namespace and its clients', and the cable.
#[derive(Debug)]
pub struct Network {
    /// Where the gateway runs.
    pub gateway: Namespace,
    /// Where everybody else does.
    pub clients: Namespace,
}

/// A bpffs of a test's own, unmounted when it is dropped.
#[derive(Debug)]
pub struct Bpffs(Mounted);

/// A file system of the kernel's on a folder of its own, unmounted when it is dropped.
#[derive(Debug)]
struct Mounted {
    folder: TempDir,
}

impl Network {
    /// The gateway's end of the cable.
    pub const INTERFACE: &str = "edge";
    /// The clients' end.
    pub const FAR_INTERFACE: &str = "far";
    /// The gateway's address.
    pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
    /// The gateway's address of IPv6.
    pub const GATEWAY_V6: Ipv6Addr = Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 1);
    /// The clients' address. They may use all of [`Network::PREFIX`] too.
    pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
    /// The clients' address of IPv6.
    pub const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 2);
    /// Any address in it is the clients'.
    pub const PREFIX: &str = "10.77.0.0/16";
    /// The same of IPv6.
    pub const PREFIX_V6: &str = "fd77::/32";
    /// Hardware address of the gateway's end.
    pub const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 0, 9, 1];
    /// Hardware address of the clients' end.
    pub const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 9, 2];

    /// Two namespaces and a cable; else why there are none.
    pub fn new() -> Result<Self, String> {
        let network = Self { gateway: Namespace::new()?, clients: Namespace::new()? };
        // ip takes a file for the name of a namespace.
        let clients = format!("/proc/{}/fd/{}", std::process::id(), network.clients.link.as_raw_fd());
        let (near, far) = (Self::INTERFACE, Self::FAR_INTERFACE);
        let [near_mac, far_mac] = [Self::GATEWAY_MAC, Self::CLIENT_MAC].map(mac);
        // As a network card has them: one for a core.
        let queues = processors().len();
        let ends =
            [(near, near_mac.clone(), String::new()), (far, far_mac.clone(), format!(" netns {clients}"))];
        let [near_end, far_end] = ends.map(|(name, mac, place)| {
            format!("name {name} address {mac} numtxqueues {queues} numrxqueues {queues}{place}")
        });
        network.gateway.ip(&format!("link add {near_end} type veth peer {far_end}"))?;
        // Neighbours are told, so that no flood drowns the question for one.
        let ends: [(_, _, [IpAddr; 2]); 2] = [
            (&network.gateway, near, [Self::GATEWAY.into(), Self::GATEWAY_V6.into()]),
            (&network.clients, far, [Self::CLIENT.into(), Self::CLIENT_V6.into()]),
        ];
        for (own, other) in [(0, 1), (1, 0)] {
            let (namespace, interface, addresses) = &ends[own];
            let other_mac = if own == 0 { &far_mac } else { &near_mac };
            namespace.ip("link set lo up")?;
            for (address, bits) in addresses.iter().zip([24, 64]) {
                let duplicates = if address.is_ipv6() { " nodad" } else { "" };
                namespace.ip(&format!("addr add {address}/{bits} dev {interface}{duplicates}"))?;
            }
            namespace.ip(&format!("link set {interface} up"))?;
            for address in &ends[other].2 {
                namespace.ip(&format!(
                    "neigh replace {address} lladdr {other_mac} dev {interface} nud permanent"
                ))?;
            }
        }
        // Whoever a spoofed source is, the answer goes down the cable; the clients' end forwards nothing.
        network.gateway.ip(&format!("route add default via {}", Self::CLIENT))?;
        network.gateway.ip(&format!("-6 route add default via {}", Self::CLIENT_V6))?;
        network.clients.ip(&format!("route add local {} dev lo", Self::PREFIX))?;
        network.clients.ip(&format!("-6 route add local {} dev lo", Self::PREFIX_V6))?;
        // Only IPv4 takes such a route for leave to be from there.
        network.clients.set("ipv6/ip_nonlocal_bind", "1");
        Ok(network)
    }

    /// From now on a frame waits in the queue of the core that sends it. So it is without XDP, where each core has a backlog of its
    /// own; a cable with one queue has one ring of 256 frames for all, and a flood fills it for everybody.
    pub fn queue_by_core(&self) -> Result<(), String> {
        for (namespace, interface) in [(&self.gateway, Self::INTERFACE), (&self.clients, Self::FAR_INTERFACE)]
        {
            let sysfs = Mounted::new(Some(namespace), "sysfs")?;
            for (queue, processor) in processors().into_iter().enumerate() {
                let file = format!("class/net/{interface}/queues/tx-{queue}/xps_cpus");
                let file = sysfs.path().join(file);
                fs::write(&file, processor_mask(processor))
                    .map_err(|error| format!("{}: {error}", file.display()))?;
            }
        }
        Ok(())
    }

    /// From now on the clients' end takes what the gateway's end sends out of XDP, which on a cable costs the receiver some.
    pub fn take_from_xdp(&self) -> Result<(), String> {
        let folder = TempDir::new().map_err(|error| format!("no folder: {error}"))?;
        let file = folder.path().join("pass.o");
        fs::write(&file, pass::object()).map_err(|error| format!("{}: {error}", file.display()))?;
        let (far, section) = (Self::FAR_INTERFACE, pass::SECTION);
        self.clients.ip(&format!("link set dev {far} xdpdrv object {} section {section}", file.display()))
    }
}

impl Namespace {
    /// A new one, with nothing in it but a loopback interface that is down; else why there is none.
    pub fn new() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("only the administrator can make a network namespace".to_owned());
        }
        // Made by a program, since what makes one in a process with threads is `unsafe`; it goes when we have hold of it.
        let mut command = Command::new(tool("unshare")?);
        command.args(["--net", "sh", "-c", "echo here; exec cat"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let mut line = String::new();
        if let Some(stdout) = holder.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).map_err(|error| format!("{command:?}: {error}"))?;
        }
        let link = if line == "here\n" {
            File::open(format!("/proc/{}/ns/net", holder.id())).map_err(|error| error.to_string())
        } else {
            Err(format!("{command:?} made no namespace"))
        };
        drop(holder.stdin.take());
        holder.wait().map_err(|error| format!("{command:?}: {error}"))?;
        Ok(Self { link: link? })
    }

    /// Does something inside, on a thread of its own. What it starts (threads, processes, sockets) stays inside.
    #[track_caller]
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.enter();
                work()
            });
            inside.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked))
        })
    }

    /// Goes inside with this thread, for good.
    #[track_caller]
    pub fn enter(&self) {
        let moved = move_into_link_name_space(self.link.as_fd(), Some(LinkNameSpaceType::Network));
        moved.unwrap_or_else(|error| panic!("cannot go into the namespace: {error}"));
    }

    /// Whether what comes for other hosts is sent on.
    #[track_caller]
    pub fn forward(&self, forwards: bool) {
        for name in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            self.set(name, if forwards { "1" } else { "0" });
        }
    }

    /// Sets a value of the namespace's own, like `ipv4/tcp_syncookies`.
    #[track_caller]
    pub fn set(&self, name: &str, value: &str) {
        let file = Path::new("/proc/sys/net").join(name);
        let written = self.inside(|| fs::write(&file, value));
        written.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }

    /// A counter of the kernel's TCP here, as in the file `net/netstat` of procfs; 0 where this kernel has no such.
    #[track_caller]
    pub fn tcp_counter(&self, name: &str) -> u64 {
        let text = self.inside(|| fs::read_to_string("/proc/thread-self/net/netstat"));
        let text = text.unwrap_or_else(|error| panic!("netstat: {error}"));
        counter_of(&text, name).unwrap_or(0)
    }

    /// Frames that an interface here has taken in, and that it has dropped before anybody saw them.
    #[track_caller]
    pub fn frames_in(&self, interface: &str) -> (u64, u64) {
        let text = self.inside(|| fs::read_to_string("/proc/thread-self/net/dev"));
        let text = text.unwrap_or_else(|error| panic!("net/dev: {error}"));
        frames_of(&text, interface).unwrap_or_else(|| panic!("no {interface} in\n{text}"))
    }

    /// Runs a program inside to its end: what it said, else what it complained of.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        self.inside(|| run(program, arguments, None))
    }

    /// Rules for nftables inside.
    pub fn nft(&self, rules: &str) -> Result<(), String> {
        self.inside(|| run("nft", &["-f", "-"], Some(rules))).map(drop)
    }

    fn ip(&self, line: &str) -> Result<(), String> {
        self.run("ip", &line.split(' ').collect::<Vec<_>>()).map(drop)
    }
}

impl Bpffs {
    /// A folder of its own with a bpffs on it; else why there is none.
    pub fn new() -> Result<Self, String> {
        Mounted::new(None, "bpf").map(Self)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Mounted {
    /// As a namespace sees it, or as this process does.
    fn new(namespace: Option<&Namespace>, kind: &str) -> Result<Self, String> {
        let folder = TempDir::new().map_err(|error| format!("no folder: {error}"))?;
        let at = folder.path().to_string_lossy().into_owned();
        let mount = || run("mount", &["-t", kind, kind, &at], None);
        namespace.map_or_else(mount, |namespace| namespace.inside(mount))?;
        Ok(Self { folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(why) = run("umount", &[&self.folder.path().to_string_lossy()], None) {
            eprintln!("{} stays mounted: {why}", self.folder.path().display());
        }
    }
}

fn tool(name: &str) -> Result<PathBuf, String> {
    find_program(name).ok_or_else(|| format!("there is no {name}: `cargo xtask setup` installs it"))
}

fn run(program: &str, arguments: &[&str], input: Option<&str>) -> Result<String, String> {
    let mut command = Command::new(tool(program)?);
    command.args(arguments);
    let output = crate::tools::run(&mut command, input.unwrap_or_default().as_bytes());
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} {}: {}", arguments.join(" "), said.trim()))
}

fn mac(bytes: [u8; 6]) -> String {
    bytes.map(|byte| format!("{byte:02x}")).join(":")
}

/// A set with one processor in it as the kernel writes it: words of 32 bits in hexadecimal digits, the highest first.
fn processor_mask(processor: usize) -> String {
    let words = (0..=processor / 32).rev().map(|word| {
        let bit = if word == processor / 32 { 1_u32 << (processor % 32) } else { 0 };
        format!("{bit:08x}")
    });
    words.collect::<Vec<_>>().join(",")
}

/// `TcpExt: Name …`, then `TcpExt: 0 …`.
fn counter_of(text: &str, name: &str) -> Option<u64> {
    let lines: Vec<&str> = text.lines().collect();
    lines.chunks_exact(2).find_map(|pair| {
        let mut both = pair[0].split(' ').zip(pair[1].split(' '));
        both.find(|(found, _)| *found == name)?.1.parse().ok()
    })
}

/// `  edge: bytes packets errs drop …`, receiving first.
fn frames_of(text: &str, interface: &str) -> Option<(u64, u64)> {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix(interface)?.strip_prefix(':'))?;
    let numbers: Vec<u64> = line.split_whitespace().map_while(|number| number.parse().ok()).collect();
    Some((*numbers.get(1)?, *numbers.get(3)?))
}

/// The `number`th address of a family that is the clients': each in a narrow prefix (IPv4 /32, IPv6 /64) of its own.
pub fn client_address(family: IpAddr, number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    match family {
        IpAddr::V4(_) => Ipv4Addr::new(10, 77, high, low).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0xfd77, 0, 0, number, 0, 0, 0, 1).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Bpffs, Namespace, Network, counter_of, frames_of, processor_mask};
    use crate::skip;

    #[test]
    fn counters_are_found_by_name() {
        let text = "TcpExt: SyncookiesSent A B\nTcpExt: 1 2 3\nIpExt: A C\nIpExt: 4 5\n";
        assert_eq!(counter_of(text, "B"), Some(3));
        assert_eq!(counter_of(text, "C"), Some(5));
        assert_eq!(counter_of(text, "D"), None);
    }

    #[test]
    fn frames_are_found_by_interface() {
        let text =
            "Inter-|   Receive\n face |bytes    packets\n    lo: 1 2 3 4 5\n  edge:  10  20   30  40 50\n";
        assert_eq!(frames_of(text, "edge"), Some((20, 40)));
        assert_eq!(frames_of(text, "dge"), None);
    }

    #[test]
    fn processors_are_written_as_the_kernel_does() {
        let masks = [0, 5, 31, 32, 65].map(processor_mask);
        let expected =
            ["00000001", "00000020", "80000000", "00000001,00000000", "00000002,00000000,00000000"];
        assert_eq!(masks, expected);
    }

    #[test]
    fn a_network_is_a_world_of_its_own() {
        let network = match Network::new() {
            Ok(network) => network,
            Err(why) => return skip("a_network_is_a_world_of_its_own", &why),
        };
        let own = |namespace: &Namespace| {
            namespace
                .inside(|| std::fs::read_link("/proc/thread-self/ns/net").map(|link| link.into_os_string()))
        };
        let machines = std::fs::read_link("/proc/self/ns/net").unwrap().into_os_string();
        let [near, far] = [&network.gateway, &network.clients].map(|namespace| own(namespace).unwrap());
        assert!(near != far && near != machines && far != machines);
        // What is set inside stays inside.
        network.gateway.set("ipv4/tcp_syncookies", "0");
        let read = || std::fs::read_to_string("/proc/sys/net/ipv4/tcp_syncookies").unwrap();
        assert_eq!(network.gateway.inside(read), "0\n");
        assert_ne!(network.clients.inside(read), "0\n");
        network.queue_by_core().unwrap();
        let show = |interface| network.gateway.run("ip", &["link", "show", "dev", interface]);
        assert!(show(Network::INTERFACE).unwrap().contains("edge@"));
        network.take_from_xdp().unwrap();
        let far = network.clients.run("ip", &["link", "show", "dev", Network::FAR_INTERFACE]);
        assert!(far.unwrap().contains("prog/xdp"));
        assert!(show(Network::FAR_INTERFACE).unwrap_err().contains("does not exist"));
    }

    #[test]
    fn a_bpffs_comes_and_goes() {
        let bpffs = match Bpffs::new() {
            Ok(bpffs) => bpffs,
            Err(why) => return skip("a_bpffs_comes_and_goes", &why),
        };
        let at = bpffs.path().to_path_buf();
        let mounted = || {
            let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
            mounts.contains(&format!("bpf {} bpf ", at.display()))
        };
        assert!(mounted());
        drop(bpffs);
        assert!(!mounted() && !at.exists());
    }
}

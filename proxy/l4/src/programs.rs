//! The object and its programs: loading, attaching, pinning, replacing. Knows no rule and decides no step.

use crate::link::{self, Kind, Link};
use crate::settings::Step;
use crate::tables::{Events, Tables, why};
use crate::{Error, rights, state};
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::tc::{SchedClassifierLink, TcAttachOptions};
use aya::programs::xdp::XdpLink;
use aya::programs::{
    CgroupAttachMode, LinkOrder, SchedClassifier, SkReuseport, SockOps, TcAttachType, Xdp, XdpMode,
};
use aya::{Ebpf, EbpfLoader};
use gate::abi::{self, names};
use std::collections::HashMap;
use std::fs::{self, File};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The programs as they were committed (`cargo xtask ebpf`).
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../ebpf/floodgate.o");

/// The longest packet that fits into one page beside what drivers keep there; veth's bound, the lowest that is known.
const PAGE_MTU: u32 = 3_498;

/// Where the link of the program that watches connections is pinned.
const OBSERVE: &str = "connections";

/// So long is waited for a link that goes.
const LET_GO_MAX: Duration = Duration::from_millis(150);

/// The loaded object. Tables are made or found again by loading it, programs are loaded when they are needed first.
#[derive(Debug)]
pub(crate) struct Programs {
    ebpf: Ebpf,
    /// Where tables and links are pinned; `None`: nowhere, and they go with this process.
    pins: Option<PathBuf>,
    /// Links that are not pinned.
    links: HashMap<String, FdLink>,
    /// Programs that were loaded, and what became of it.
    loaded: HashMap<&'static str, Result<(), String>>,
    /// Whether the tables were made just now.
    is_fresh: bool,
}

impl Programs {
    /// Makes the tables, or finds those that are pinned in a folder.
    pub(crate) fn load(pins: Option<PathBuf>) -> Result<Self, Error> {
        let mut loader = EbpfLoader::new();
        let mut is_fresh = true;
        if let Some(pins) = &pins {
            is_fresh = !pins.join(names::CONTROL).exists();
            for name in names::TABLES {
                loader.map_pin_path(name, pins.join(name));
            }
        }
        let ebpf = loader.load(OBJECT).map_err(|error| {
            if let (Some(pins), true) = (&pins, is_fresh) {
                remove_folder(pins);
            }
            Error::Kernel { what: "the kernel takes no programs", why: with_rights(&why(&error)) }
        })?;
        Ok(Self { ebpf, pins, links: HashMap::new(), loaded: HashMap::new(), is_fresh })
    }

    /// Whether the tables were made just now, and nobody has written them.
    pub(crate) const fn is_fresh(&self) -> bool {
        self.is_fresh
    }

    /// Whether links outlive this process, and others can take them off.
    pub(crate) const fn is_pinned(&self) -> bool {
        self.pins.is_some()
    }

    /// The tables, of which there is one opening.
    pub(crate) fn tables(&mut self) -> Result<Tables, Error> {
        match &self.pins {
            Some(pins) => Tables::pinned(pins),
            None => Tables::open(|name| {
                let path = PathBuf::from(name);
                self.ebpf.take_map(name).ok_or(Error::NotAttached { path })
            }),
        }
    }

    /// The ring of events.
    pub(crate) fn events(&mut self) -> Result<Events, Error> {
        let path = PathBuf::from(names::EVENTS);
        Events::open(self.ebpf.take_map(names::EVENTS).ok_or(Error::NotAttached { path })?)
    }

    /// Puts the gate on an interface. Where a link of ours is pinned its program is replaced, and no packet passes by. Says why not.
    pub(crate) fn attach(&mut self, step: Step, interface: &str, index: u32) -> Result<(), String> {
        let Link { kind, mtu } = link::link(index).map_err(text)?;
        match (step, kind) {
            (Step::Nftables | Step::Accept, _) => Err("there is no program for it".to_owned()),
            (_, Kind::Other(number)) => {
                Err(format!("its packets begin with what no program reads (link type {number})"))
            }
            // Of this kind none has room for it in its driver, and behind that tcx is as good.
            (Step::NativeXdp | Step::GenericXdp, Kind::Ip) => {
                Err("its packets have no Ethernet header".to_owned())
            }
            (Step::NativeXdp, Kind::Ethernet) => {
                self.attach_xdp(step, interface, index, XdpMode::Driver).map_err(|why| with_mtu(why, mtu))
            }
            (Step::GenericXdp, Kind::Ethernet) => self.attach_xdp(step, interface, index, XdpMode::Skb),
            (Step::Tcx, Kind::Ethernet) => self.attach_tcx(names::TCX, interface, index),
            (Step::Tcx, Kind::Ip) => self.attach_tcx(names::TCX_IP, interface, index),
        }
    }

    fn attach_xdp(&mut self, step: Step, interface: &str, index: u32, mode: XdpMode) -> Result<(), String> {
        let name = pin_name(step, interface, index);
        self.once(names::XDP, |ebpf| program::<Xdp>(ebpf, names::XDP)?.load().map_err(text))?;
        let xdp = program::<Xdp>(&mut self.ebpf, names::XDP)?;
        if let Some(path) = self.pins.as_ref().map(|pins| pins.join(&name)).filter(|path| path.exists()) {
            let link = PinnedLink::from_pin(&path).map_err(text)?;
            let link = XdpLink::try_from(FdLink::from(link)).map_err(text)?;
            if let Ok(id) = xdp.attach_to_link(link) {
                // The pin holds it; ours is one hand too many.
                drop(xdp.take_link(id).map_err(text)?);
                return Ok(());
            }
            // Its interface went away under it.
            fs::remove_file(&path).map_err(text)?;
        }
        let id = patiently(|| xdp.attach_to_if_index(index, mode)).map_err(text)?;
        let link = FdLink::try_from(xdp.take_link(id).map_err(text)?).map_err(text)?;
        self.keep(name, link)
    }

    fn attach_tcx(&mut self, gate: &'static str, interface: &str, index: u32) -> Result<(), String> {
        let name = pin_name(Step::Tcx, interface, index);
        self.once(gate, |ebpf| program::<SchedClassifier>(ebpf, gate)?.load().map_err(text))?;
        let tcx = program::<SchedClassifier>(&mut self.ebpf, gate)?;
        if let Some(path) = self.pins.as_ref().map(|pins| pins.join(&name)).filter(|path| path.exists()) {
            let link = PinnedLink::from_pin(&path).map_err(text)?;
            let link = SchedClassifierLink::try_from(FdLink::from(link)).map_err(text)?;
            if let Ok(id) = tcx.attach_to_link(link) {
                drop(tcx.take_link(id).map_err(text)?);
                return Ok(());
            }
            fs::remove_file(&path).map_err(text)?;
        }
        let order = TcAttachOptions::TcxOrder(LinkOrder::first());
        let id = tcx.attach_with_options(interface, TcAttachType::Ingress, order).map_err(text)?;
        let link = FdLink::try_from(tcx.take_link(id).map_err(text)?).map_err(text)?;
        self.keep(name, link)
    }

    /// Takes the gate off an interface.
    pub(crate) fn detach(&mut self, name: &str) -> Result<(), Error> {
        self.links.remove(name);
        let Some(path) = self.pins.as_ref().map(|pins| pins.join(name)) else { return Ok(()) };
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::File { path, error }),
            _ => Ok(()),
        }
    }

    /// Lets the kernel tell of the connections of a control group. One that told before is replaced.
    pub(crate) fn observe(&mut self, cgroup: &Path) -> Result<(), String> {
        self.once(names::OBSERVE, |ebpf| program::<SockOps>(ebpf, names::OBSERVE)?.load().map_err(text))?;
        self.detach(OBSERVE).map_err(text)?;
        let observe = program::<SockOps>(&mut self.ebpf, names::OBSERVE)?;
        let cgroup = File::open(cgroup).map_err(text)?;
        // Links stand beside each other by themselves, and the kernel refuses to be told so.
        let id = observe.attach(&cgroup, CgroupAttachMode::Single).map_err(text)?;
        let link = FdLink::try_from(observe.take_link(id).map_err(text)?).map_err(text)?;
        self.keep(OBSERVE.to_owned(), link)
    }

    /// Has a program choose among the sockets of a group, to which this one belongs.
    pub(crate) fn steer(&mut self, socket: BorrowedFd<'_>) -> Result<(), String> {
        self.once(names::STEER, |ebpf| program::<SkReuseport>(ebpf, names::STEER)?.load().map_err(text))?;
        program::<SkReuseport>(&mut self.ebpf, names::STEER)?.attach(socket).map_err(text)
    }

    /// Loads a program, once: what the verifier says, it says again.
    fn once(
        &mut self,
        name: &'static str,
        load: impl FnOnce(&mut Ebpf) -> Result<(), String>,
    ) -> Result<(), String> {
        if let Some(result) = self.loaded.get(name) {
            return result.clone();
        }
        let result = load(&mut self.ebpf).map_err(|why| with_rights(&why));
        self.loaded.insert(name, result.clone());
        result
    }

    fn keep(&mut self, name: String, link: FdLink) -> Result<(), String> {
        match &self.pins {
            // Once pinned it needs no hand of ours.
            Some(pins) => link.pin(pins.join(name)).map(drop).map_err(text),
            None => {
                self.links.insert(name, link);
                Ok(())
            }
        }
    }
}

/// A driver that has no room for frames in parts says no more than that it won't.
fn with_mtu(why: String, mtu: u32) -> String {
    if mtu > PAGE_MTU {
        format!("{why} (its packets have up to {mtu} bytes, which take more than a page)")
    } else {
        why
    }
}

/// The kernel lets go of a link some time after its pin has gone (an RCU grace period and a work queue), and of XDP there is one on an
/// interface: who comes right behind one that was detached waits a moment for that.
fn patiently<T, E: std::error::Error + 'static>(mut attach: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    let begun = Instant::now();
    loop {
        match attach() {
            Err(error) if is_busy(&error) && begun.elapsed() < LET_GO_MAX => {
                std::thread::sleep(Duration::from_millis(5));
            }
            other => return other,
        }
    }
}

/// Whether somebody has the place already: in this mode of XDP, or in another one.
fn is_busy(error: &(dyn std::error::Error + 'static)) -> bool {
    let busy = |error: &std::io::Error| {
        [rustix::io::Errno::BUSY, rustix::io::Errno::EXIST]
            .iter()
            .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
    };
    let mut below = Some(error);
    while let Some(error) = below {
        if error.downcast_ref().is_some_and(busy) {
            return true;
        }
        below = error.source();
    }
    false
}

fn text(error: impl std::error::Error) -> String {
    why(&error)
}

/// What the kernel said, and which rights were missing, since it does not say that.
fn with_rights(why: &str) -> String {
    rights::missing()
        .map_or_else(|| why.to_owned(), |missing| format!("{why} (this process lacks {missing})"))
}

/// A program by its name and type.
fn program<'a, P>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut P, String>
where
    &'a mut P: TryFrom<&'a mut aya::programs::Program, Error = aya::programs::ProgramError>,
{
    ebpf.program_mut(name)
        .ok_or_else(|| format!("the object has no program {name}"))?
        .try_into()
        .map_err(text)
}

/// The name of an interface's link. With its number, so that one that was renamed is not taken for another; without the dots
/// that a bpffs does not take.
pub(crate) fn pin_name(step: Step, interface: &str, index: u32) -> String {
    let interface = interface.replace('%', "%25").replace('.', "%2e");
    format!("{step}-{index}-{interface}")
}

/// The other way round.
pub(crate) fn parse_pin_name(name: &str) -> Option<(Step, String, u32)> {
    let (step, rest) = name.split_once('-')?;
    let (index, interface) = rest.split_once('-')?;
    let step = Step::ALL.into_iter().find(|known| known.as_str() == step)?;
    Some((step, interface.replace("%2e", ".").replace("%25", "%"), index.parse().ok()?))
}

/// The links that are pinned in a folder, by name.
pub(crate) fn pinned_links(folder: &Path) -> Vec<(String, (Step, String, u32))> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut links: Vec<_> = names.filter_map(|name| parse_pin_name(&name).map(|link| (name, link))).collect();
    links.sort();
    links
}

/// Takes over what another layout of the tables has attached: its links come into this folder, where their programs are replaced as
/// any are, and its tables go. Says what could not be taken.
pub(crate) fn adopt(pins: &Path, folder: &Path) -> Result<(), Error> {
    for layout in 1..abi::LAYOUT {
        let old = pins.join(format!("v{layout}"));
        for (name, _) in pinned_links(&old) {
            let path = old.join(&name);
            fs::rename(&path, folder.join(&name)).map_err(|error| Error::File { path, error })?;
        }
        remove_folder(&old);
    }
    Ok(())
}

/// Gives this layout's folder and what is in it to whom the folder of all layouts belongs to.
pub(crate) fn give(pins: &Path) {
    let folder = state::pins(pins);
    state::as_folder(pins, &folder);
    let entries = fs::read_dir(&folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    entries.for_each(|path| state::as_folder(pins, &path));
}

/// Takes everything in a folder off and away: links first, so that no program is left without its tables.
/// Takes everything in a folder off and away: links first, so that no program is left without its tables. The kernel lets go of them some
/// milliseconds later.
pub(crate) fn remove_folder(folder: &Path) {
    let paths = || fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let is_table =
        |path: &PathBuf| names::TABLES.iter().any(|name| path.file_name().is_some_and(|file| file == *name));
    // What can't be taken away is found by who looks whether the folder is gone.
    for path in paths().filter(|path| !is_table(path)) {
        let _ = fs::remove_file(path);
    }
    for path in paths() {
        let _ = fs::remove_file(path);
    }
    let _ = fs::remove_dir(folder);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(step: Step, interface: &str, name: &str) {
        assert_eq!(pin_name(step, interface, 7), name);
        assert!(!name.contains('.'));
        assert_eq!(parse_pin_name(name), Some((step, interface.to_owned(), 7)));
    }

    #[test]
    fn links_are_found_by_their_names() {
        check(Step::NativeXdp, "eth0", "xdp-7-eth0");
        check(Step::Tcx, "eth0.12-x", "tcx-7-eth0%2e12-x");
        check(Step::GenericXdp, "%2e", "generic-7-%252e");
        for name in names::TABLES.into_iter().chain([OBSERVE, "xdp-eth0", "warp-7-eth0", ""]) {
            assert_eq!(parse_pin_name(name), None);
        }
    }

    #[test]
    fn the_object_is_small() {
        assert!(OBJECT.len() <= 64 << 10, "{} bytes", OBJECT.len());
    }
}

//! What an operator asks of the front line besides its rules. Plain data; knows no TOML.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Where and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Interfaces; no other is ever touched.
    pub interfaces: Vec<String>,
    /// How to attach.
    pub driver: Driver,
    /// Folder in a bpffs under which everything is pinned, in a subfolder for each layout of tables.
    pub pins: PathBuf,
    /// Folder that outlives a boot: which rules were committed, and the lock of who changes them.
    pub state: PathBuf,
    /// How long rules that nobody committed hold. Zero: they need no commit.
    pub trial: Duration,
    /// Whether sources are steered to cores.
    pub steer: bool,
    /// Whether the kernel tells of our connections.
    pub connections: bool,
}

/// How to attach, as asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Driver {
    /// The best step that works.
    #[default]
    Auto,
    /// Native XDP, or what comes below it.
    Xdp,
    /// Generic XDP, which is slower than tcx and can answer with cookies; or what comes below it.
    Generic,
    /// tcx, or what comes below it.
    Tcx,
    /// nftables, or what comes below it.
    Nftables,
    /// Only at accept.
    Accept,
}

/// A step of the ladder, as taken for one interface. The first is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// In the driver of the network card.
    NativeXdp,
    /// Behind the driver.
    GenericXdp,
    /// In the kernel's traffic control.
    Tcx,
    /// By rules of nftables with the same rates.
    Nftables,
    /// Nothing in the kernel: who accepts a connection decides (`gate::table::Limiter`).
    Accept,
}

impl Step {
    /// All, best first.
    pub const ALL: [Self; 5] = [Self::NativeXdp, Self::GenericXdp, Self::Tcx, Self::Nftables, Self::Accept];

    /// As metrics and messages call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NativeXdp => "xdp",
            Self::GenericXdp => "generic",
            Self::Tcx => "tcx",
            Self::Nftables => "nftables",
            Self::Accept => "accept",
        }
    }

    /// Whether a program of ours runs in the kernel.
    pub const fn is_program(self) -> bool {
        matches!(self, Self::NativeXdp | Self::GenericXdp | Self::Tcx)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Driver {
    /// The steps that are tried, in their order.
    pub const fn steps(self) -> &'static [Step] {
        use Step::{Accept, GenericXdp, NativeXdp, Nftables, Tcx};
        match self {
            // Generic XDP runs behind the allocation of the packet and is slower than tcx: only who names it gets it.
            Self::Auto | Self::Xdp => &[NativeXdp, Tcx, Nftables, Accept],
            Self::Generic => &[GenericXdp, Tcx, Nftables, Accept],
            Self::Tcx => &[Tcx, Nftables, Accept],
            Self::Nftables => &[Nftables, Accept],
            Self::Accept => &[Accept],
        }
    }
}

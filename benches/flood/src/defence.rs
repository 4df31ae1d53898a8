//! What stands between a flood and the listener.

use std::{fmt, path::Path};

use anyhow::ensure;
use harness::{Gateway, Network};

/// One of the ways, all with the same limit: 300 SYNs a second and 600 at once for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Defence {
    /// The kernel's own SYN cookies.
    Cookies,
    /// Our gate in XDP, which drops what is above a limit.
    Enforce,
    /// The same, and in a flood it answers with cookies.
    Challenge,
    /// Our gate in traffic control.
    Tcx,
    /// A limit of nftables, at the earliest place it has.
    Nftables,
    /// Nothing gets through: what sending and receiving cost alone.
    Floor,
}

impl Defence {
    /// In the order of the table.
    pub(crate) const ALL: [Self; 6] =
        [Self::Cookies, Self::Enforce, Self::Challenge, Self::Tcx, Self::Nftables, Self::Floor];

    /// Whether good clients get through at all.
    pub(crate) fn lets_in(self) -> bool {
        self != Self::Floor
    }

    /// `net.ipv4.tcp_syncookies`: as it is by itself, and always where cookies of ours have to be taken.
    pub(crate) fn syncookies(self) -> &'static str {
        if self == Self::Challenge { "2" } else { "1" }
    }

    /// The lines of the gateway's configuration.
    pub(crate) fn config(self, port: u16, pins: &Path) -> String {
        let (mode, driver) = match self {
            Self::Cookies | Self::Nftables | Self::Floor => return String::new(),
            Self::Enforce => ("enforce", "xdp"),
            Self::Challenge => ("challenge", "xdp"),
            Self::Tcx => ("enforce", "tcx"),
        };
        format!(
            "[ebpf]\ninterfaces = [\"{}\"]\nmode = \"{mode}\"\ndriver = \"{driver}\"\nports = [{port}]\n\
             syns = {{ rate = \"300/s\", burst = 600 }}\npins = {pins:?}\ntrial = \"1h\"\n",
            Network::INTERFACE
        )
    }

    /// Puts up what is not the gateway's own, and looks whether that stands where it was told to.
    pub(crate) fn raise(self, network: &Network, gateway: &Gateway, port: u16) -> anyhow::Result<()> {
        let interface = Network::INTERFACE;
        let driver = match self {
            Self::Cookies => return Ok(()),
            Self::Enforce | Self::Challenge => "xdp",
            Self::Tcx => "tcx",
            Self::Nftables => {
                return nft(network, &format!(
                    "table netdev flood {{
                       set seen {{ type ipv4_addr; size 65536; flags dynamic,timeout; timeout 10s; }}
                       chain ingress {{
                         type filter hook ingress device \"{interface}\" priority -500;
                         tcp dport {port} tcp flags & (syn | ack) == syn update @seen {{ ip saddr limit rate over 300/second burst 600 packets }} drop
                       }}
                     }}"
                ));
            }
            Self::Floor => {
                return nft(
                    network,
                    &format!(
                        "table netdev flood {{
                       chain ingress {{
                         type filter hook ingress device \"{interface}\" priority -500;
                         tcp dport {port} drop
                       }}
                     }}"
                    ),
                );
            }
        };
        if self == Self::Challenge {
            // It is alone in sending out of XDP; nobody else pays for that.
            network.take_from_xdp().map_err(anyhow::Error::msg)?;
        }
        let metrics = network.gateway.inside(|| gateway.metrics());
        let stands = metrics.sum("floodgate_l4_mode", &[("interface", interface), ("mode", driver)]);
        ensure!(stands == 1.0, "the gate does not stand in {driver}: {}", gateway.said());
        Ok(())
    }
}

fn nft(network: &Network, rules: &str) -> anyhow::Result<()> {
    network.gateway.nft(rules).map_err(anyhow::Error::msg)
}

impl fmt::Display for Defence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cookies => "none (kernel's SYN cookies)",
            Self::Enforce => "XDP gate, enforce",
            Self::Challenge => "XDP gate, challenge",
            Self::Tcx => "tcx gate, enforce",
            Self::Nftables => "nftables at netdev ingress",
            Self::Floor => "everything dropped by nftables",
        })
    }
}

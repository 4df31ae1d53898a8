//! What a node that starts says of itself on standard output: where it listens, and what to try first. It starts nothing.

use std::{net::SocketAddr, path::Path};

use control::Control;
use model::Model;

use crate::{cores::Cores, listen::Bound, say};

/// What scripts read: where everything listens, and how the kernel is asked.
pub(crate) fn announce(model: &Model, bound: &[Bound], control: &Control, cores: &Cores, socket: &Path) {
    let drivers: Vec<_> = cores.drivers.iter().map(|driver| driver.as_str()).collect();
    let driver = drivers.first().copied().unwrap_or("none");
    let count = say::count(drivers.len(), "core");
    say::note(&format!("version {}, {count}, driver {driver}", env!("CARGO_PKG_VERSION")));
    if let Some(why) = &cores.fell_back {
        say::warning(&format!("running on {driver}: {why}"));
    }
    for (listener, bound) in model.listeners.iter().zip(bound) {
        say::out(&format!("floodgate: listener {} {}", listener.name, url(listener, bound.address)));
    }
    if let Some(address) = control.listen_address() {
        say::out(&format!("floodgate: admin http://{address}"));
    }
    say::out(&format!("floodgate: admin socket {}", socket.display()));
    if let Some(address) = control.demo_address() {
        say::out(&format!("floodgate: demo backend http://{address}"));
    }
}

fn url(listener: &model::Listener, address: SocketAddr) -> String {
    let scheme = if listener.plain { "http" } else { "https" };
    format!("{scheme}://{address}")
}

/// What to try first.
pub(crate) fn hints(model: &Model, bound: &[Bound], authority: &Path) {
    let Some((listener, bound)) = model.listeners.first().zip(bound.first()) else { return };
    let name = listener.names.first().map_or_else(|| bound.address.ip().to_string(), Clone::clone);
    let curl = match (listener.plain, model.certificates.is_empty()) {
        (true, _) => format!("curl -i http://{}", bound.address),
        (false, true) => {
            format!("curl -i --cacert {} https://{name}:{}", authority.display(), bound.address.port())
        }
        (false, false) => format!("curl -i https://{name}:{}", bound.address.port()),
    };
    say::out("\nTry:");
    if model.node.demo.is_none() {
        say::out(&format!("  {curl}/\n"));
        return;
    }
    for (path, what) in [
        ("/hello", "a plain proxy route to the demo backend"),
        ("/cached", "cached for a minute: ask twice and compare the time"),
        ("/limited", "throttled: ask six times in a second"),
    ] {
        say::out(&format!("  {curl}{path}    # {what}"));
    }
    if let Some(address) = model.node.admin.listen {
        say::out(&format!("  curl http://{address}/metrics    # what it counted"));
    }
    say::out("");
}

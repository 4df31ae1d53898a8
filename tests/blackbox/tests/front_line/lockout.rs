//! Nobody is locked out whom the operator needs: admin ports, the allow list and established connections pass under any rules
//! (row X1).

use std::io::Write;

use harness::{Host, Network, client_address, dial, visit_from};

use super::{ADMIN_PORT, HOST_PORT, PORT, REFUSED_AFTER, ROUTE, Site, heard};

/// Clients whose numbers begin with this byte are on the allow list, and blocked with all others.
const ALLOWED: u16 = 0x0100;
const BLOCKED: u16 = 0x0200;
const RULES: &str =
    "block = [\"10.77.0.0/16\", \"fd77::/32\"]\nallow = [\"10.77.1.0/24\", \"fd77:0:0:100::/56\"]";

#[track_caller]
fn check(test: &str, driver: &str) {
    let Some(site) = Site::new(test) else { return };
    let gateway = site.start(site.with(&format!("mode = \"enforce\"\ndriver = \"{driver}\"\n{RULES}")));
    site.stands(&gateway, driver);
    let admin = site.host(ADMIN_PORT);
    for port in [PORT, ADMIN_PORT] {
        site.let_in(ALLOWED + 7, port);
    }
    site.kept_out(BLOCKED + 7, PORT);
    site.let_in(BLOCKED + 7, ADMIN_PORT);
    // Whoever is on no list comes in, and so does everybody over loopback.
    let own = (Network::CLIENT.into(), (Network::GATEWAY, PORT).into());
    site.network.clients.inside(|| visit_from(own.0, own.1)).unwrap();
    let local = (Network::GATEWAY.into(), (Network::GATEWAY, PORT).into());
    site.network.gateway.inside(|| visit_from(local.0, local.1)).unwrap();
    // A port without rules is nobody's affair.
    let _other = site.host(7070);
    site.let_in(BLOCKED + 7, 7070);
    drop(admin);
    over_ipv6(&site);
}

#[track_caller]
fn over_ipv6(site: &Site) {
    let to = (Network::GATEWAY_V6, HOST_PORT).into();
    let _host: Host = site.network.gateway.inside(|| Host::at(to));
    let from = |number| client_address(Network::GATEWAY_V6.into(), number);
    site.network.clients.inside(|| {
        visit_from(from(ALLOWED + 9), to).unwrap();
        assert!(dial(from(BLOCKED + 9), to, REFUSED_AFTER).is_err());
        visit_from(Network::CLIENT_V6.into(), to).unwrap();
    });
}

#[test]
fn xdp_locks_nobody_out() {
    check("xdp_locks_nobody_out", "xdp");
}

#[test]
fn generic_xdp_locks_nobody_out() {
    check("generic_xdp_locks_nobody_out", "generic");
}

#[test]
fn tcx_locks_nobody_out() {
    check("tcx_locks_nobody_out", "tcx");
}

#[test]
fn nftables_lock_nobody_out() {
    check("nftables_lock_nobody_out", "nftables");
}

/// Who is connected when a block comes stays so until he goes.
#[test]
fn established_connections_outlive_a_block() {
    let Some(site) = Site::new("established_connections_outlive_a_block") else { return };
    let gateway = site.start(site.with_routes("mode = \"enforce\"", ROUTE));
    site.stands(&gateway, "xdp");
    let mut established = site.knock(BLOCKED + 1, PORT).unwrap();
    answered(&mut established);
    site.by_hand(&gateway, &["block", "10.77.2.0/24", "--for", "1h"]);
    site.kept_out(BLOCKED + 1, PORT);
    site.let_in(0x0301, PORT);
    answered(&mut established);
    site.by_hand(&gateway, &["allow", "10.77.2.0/24"]);
    site.let_in(BLOCKED + 1, PORT);
    answered(&mut established);
}

/// Asks once more on the same connection.
#[track_caller]
fn answered(stream: &mut std::net::TcpStream) {
    stream.set_read_timeout(Some(harness::PATIENCE)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = [0; 1024];
    let length = heard(stream, &mut answer).unwrap();
    assert!(answer[..length].starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer[..length]));
}

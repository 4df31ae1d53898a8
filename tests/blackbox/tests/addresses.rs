//! IPv4 and IPv6 on listeners and toward backends (row 15): who connects to what, and whom the backend hears of.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use harness::{Curl, Gateway, curl, over};

over_all! {
    each_family_reaches_each
    one_listener_has_both
}

/// One that listens at an address of its own choosing and answers by itself.
fn behind(address: IpAddr) -> Gateway {
    let config = format!("[[route]]\nmatch = \"$default\"\nmock = {{ body = \"from {address}\" }}\n");
    Gateway::with(&config).at(SocketAddr::new(address, 0)).start()
}

/// One in front of it.
fn before(backend: &Gateway, address: IpAddr) -> Gateway {
    let http2 = over().backends == harness::Protocol::Http2;
    let config = format!(
        "[upstream.u]\ntargets = [\"{}\"]\nhttp2 = {http2}\n[[route]]\nmatch = \"$default\"\nupstream = \"u\"\n",
        backend.url("")
    );
    Gateway::with(&config).at(SocketAddr::new(address, 0)).start()
}

fn ask(gateway: &Gateway, address: IpAddr) -> Curl {
    let place = SocketAddr::new(address, gateway.address().port());
    curl(&[over().clients.curl_flag(), &format!("http://{place}/")])
}

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

fn each_family_reaches_each() {
    for backend in [V4, V6] {
        let behind = behind(backend);
        for listener in [V4, V6] {
            let gateway = before(&behind, listener);
            assert_eq!(ask(&gateway, listener).response().text(), format!("from {backend}"), "{listener}");
        }
    }
}

fn one_listener_has_both() {
    let behind = behind(V6);
    let gateway = before(&behind, IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    for client in [V4, V6] {
        assert_eq!(ask(&gateway, client).response().text(), format!("from {V6}"), "{client}");
    }
}

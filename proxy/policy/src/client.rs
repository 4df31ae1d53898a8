//! Who the client is when others stand between it and us: the peer, or what a trusted proxy says of it.
//! It knows addresses and one header field; who is trusted is the operator's word.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use message::{Headers, Name};
use smallvec::SmallVec;

/// Addresses that are looked at in one request; more than any honest chain has.
const HOPS_MAX: usize = 64;

/// Field lines that cost no allocation.
const LINES_USUAL: usize = 8;

/// Whose `X-Forwarded-For` is believed.
#[derive(Clone, Debug, Default)]
pub struct ClientRules {
    trusted: Vec<IpNet>,
}

impl ClientRules {
    /// Believes the proxies in these networks, and nobody else.
    pub fn new(trusted: Vec<IpNet>) -> Self {
        Self { trusted: trusted.into_iter().map(canonical).collect() }
    }

    /// Whether what this peer says of the client is believed.
    pub fn is_trusted(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted.iter().any(|net| net.contains(&peer))
    }

    /// The client: the rightmost address that is no trusted proxy, or the leftmost if all are. What stands left of it
    /// is hearsay, so is what stands left of something that is no address.
    pub fn client(&self, peer: IpAddr, headers: &Headers) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.is_trusted(client) {
            return client;
        }
        // Several lines are one list (RFC 9110 §5.3), which is read from its end.
        let lines: SmallVec<[&[u8]; LINES_USUAL]> = headers
            .iter()
            .filter(|field| field.name == Name::XForwardedFor)
            .map(|field| field.value)
            .collect();
        let hops = lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
        for hop in hops.map(<[u8]>::trim_ascii).filter(|hop| !hop.is_empty()).take(HOPS_MAX) {
            let Some(address) = address(hop) else { break };
            client = address;
            if !self.is_trusted(client) {
                break;
            }
        }
        client
    }
}

/// `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]`, the first and last also with a port.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let address = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            if !port.is_empty() && !port.strip_prefix(':').is_some_and(is_port) {
                return None;
            }
            IpAddr::V6(address.parse().ok()?)
        }
        None => match text.split_once(':') {
            Some((address, port)) if is_port(port) && address.contains('.') => {
                IpAddr::V4(address.parse::<Ipv4Addr>().ok()?)
            }
            _ => text.parse().ok()?,
        },
    };
    Some(address.to_canonical())
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// `::ffff:192.0.2.0/120` is `192.0.2.0/24`: addresses are compared in their IPv4 form.
fn canonical(net: IpNet) -> IpNet {
    let IpNet::V6(mapped) = net else { return net };
    let v4 = mapped.addr().to_ipv4_mapped().zip(mapped.prefix_len().checked_sub(96));
    v4.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok()).map_or(net, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use message::octets;
    use proptest::prelude::*;

    use super::*;

    const TRUSTED: [&str; 3] = ["10.0.0.0/8", "2001:db8:1::/48", "::ffff:192.0.2.0/120"];

    fn rules() -> ClientRules {
        ClientRules::new(TRUSTED.iter().map(|net| net.parse().unwrap()).collect())
    }

    fn forwarded(lines: &[&str]) -> Headers {
        lines.iter().map(|line| ("X-Forwarded-For", line.as_bytes())).collect()
    }

    #[track_caller]
    fn check(peer: &str, lines: &[&str], expected: &str) {
        let client = rules().client(peer.parse().unwrap(), &forwarded(lines));
        assert_eq!(client.to_string(), expected, "{peer} {lines:?}");
    }

    #[test]
    fn a_stranger_is_the_client_whatever_it_says() {
        check("203.0.113.9", &["1.1.1.1"], "203.0.113.9");
        check("2001:db8:2::1", &["1.1.1.1"], "2001:db8:2::1");
    }

    #[test]
    fn the_rightmost_stranger_is_the_client() {
        check("10.0.0.1", &[], "10.0.0.1");
        check("10.0.0.1", &["1.1.1.1"], "1.1.1.1");
        check("10.0.0.1", &["6.6.6.6, 1.1.1.1"], "1.1.1.1");
        check("10.0.0.1", &["6.6.6.6,1.1.1.1 , 10.2.3.4"], "1.1.1.1");
        check("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3");
        check("2001:db8:1::5", &["2001:db8:9::1"], "2001:db8:9::1");
    }

    #[test]
    fn lines_are_one_list() {
        check("10.0.0.1", &["6.6.6.6", "1.1.1.1", "10.0.0.2, 10.0.0.3"], "1.1.1.1");
        check("10.0.0.1", &["1.1.1.1", "", " , "], "1.1.1.1");
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        check("::ffff:10.0.0.1", &["::ffff:1.1.1.1"], "1.1.1.1");
        check("192.0.2.7", &["1.1.1.1"], "1.1.1.1");
        check("::ffff:203.0.113.9", &["1.1.1.1"], "203.0.113.9");
    }

    #[test]
    fn ports_are_dropped() {
        check("10.0.0.1", &["1.1.1.1:443"], "1.1.1.1");
        check("10.0.0.1", &["[2001:db8::1]:443"], "2001:db8::1");
        check("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1");
        check("10.0.0.1", &["2001:db8::1"], "2001:db8::1");
    }

    #[test]
    fn garbage_ends_what_is_believed() {
        for garbage in [
            "unknown",
            "_hidden",
            "1.1.1",
            "1.1.1.1:x",
            "1.1.1.1:65536",
            "[::1",
            "[::1]x",
            "[1.1.1.1]",
            "::1%eth0",
            "\u{e9}",
        ] {
            check("10.0.0.1", &[&format!("6.6.6.6, {garbage}, 10.0.0.2")], "10.0.0.2");
            check("10.0.0.1", &[&format!("6.6.6.6, {garbage}")], "10.0.0.1");
        }
    }

    #[test]
    fn the_walk_is_bounded() {
        let chain = vec!["10.0.0.2"; HOPS_MAX + 9].join(",");
        check("10.0.0.1", &["6.6.6.6", &chain], "10.0.0.2");
    }

    proptest! {
        /// What a client writes itself never decides: only what the trusted proxy has added behind it.
        #[test]
        fn a_client_cannot_name_itself(mut said in proptest::collection::vec(any::<u8>(), 0..64)) {
            said.retain(|byte| octets::is_value_byte(*byte));
            let mut headers = Headers::default();
            headers.push("x-forwarded-for", &said);
            headers.push("x-forwarded-for", b"1.1.1.1");
            let client = rules().client("10.0.0.1".parse().unwrap(), &headers);
            prop_assert_eq!(client.to_string(), "1.1.1.1");
        }
    }
}

//! Steering: a client's prefix always comes to the same core, and prefixes are spread over all.

use std::{io::Write, net::TcpStream};

use harness::{Gateway, PATIENCE, schedule_of_thread};

use super::{PORT, Site, heard};

/// Prefixes that come.
const PREFIXES: u16 = 32;
/// Requests on one connection: it shows on whose clock they are.
const REQUESTS: usize = 300;

#[test]
fn a_prefix_stays_on_its_core_and_prefixes_spread() {
    let Some(site) = Site::new("a_prefix_stays_on_its_core_and_prefixes_spread") else { return };
    let gateway = site.start(site.with("mode = \"enforce\"\nsteer = true").workers(2));
    site.stands(&gateway, "xdp");
    let mut on = [0; 2];
    for prefix in 0..PREFIXES {
        let cores = [(); 2].map(|()| core_of(&gateway, site.knock(prefix << 8 | 1, PORT).unwrap()));
        assert_eq!(cores[0], cores[1], "prefix {prefix} came to two cores");
        on[cores[0]] += 1;
    }
    println!("{on:?} of {PREFIXES} prefixes");
    // Of 32 that fall by chance fewer than 8 fall on one side once in 400 times; these fall alike each time.
    assert!(on.iter().all(|count| *count >= 8), "{on:?}");
}

/// The core on whose clock the connection's requests are.
#[track_caller]
fn core_of(gateway: &Gateway, mut stream: TcpStream) -> usize {
    let ran = || [0, 1].map(|core| schedule_of_thread(gateway.pid(), &format!("core-{core}")).ran);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let before = ran();
    let mut answer = [0; 1024];
    for _ in 0..REQUESTS {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        assert_ne!(heard(&mut stream, &mut answer).unwrap(), 0);
    }
    let after = ran();
    usize::from(after[1] - before[1] > after[0] - before[0])
}

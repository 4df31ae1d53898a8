//! What the kernel tells of connections is what they were. A program sees those of a control group, and a test's own is often the root:
//! so this test starts itself again, in a group of its own.

use crate::{PORT, Place};
use harness::{Network, eventually, skip};
use l4::{Driver, Settings};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set for the test that was started in a group of its own.
const INSIDE: &str = "FLOODGATE_L4_INSIDE";
const NAME: &str = "connections::connections_are_counted_while_they_live";
const CONNECTIONS: u64 = 5;

/// A control group of version 2; else why there is none.
fn group() -> Result<PathBuf, String> {
    let mounts = fs::read_to_string("/proc/mounts").map_err(|error| error.to_string())?;
    let mounted = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"));
    let at = mounted.and_then(|line| line.split(' ').nth(1)).ok_or("no control groups of version 2")?;
    let group = Path::new(at).join(format!("floodgate-l4-{}", std::process::id()));
    fs::create_dir(&group).map_err(|error| format!("no control group: {error}"))?;
    Ok(group)
}

#[test]
fn connections_are_counted_while_they_live() {
    if std::env::var_os(INSIDE).is_some() {
        return count();
    }
    let group = match group() {
        Ok(group) => group,
        Err(why) => return skip(NAME, &why),
    };
    let mut command = Command::new("sh");
    command.args(["-c", "echo $$ >\"$0\" && exec \"$@\""]).arg(group.join("cgroup.procs"));
    command.arg(std::env::current_exe().unwrap()).args(["--exact", NAME, "--nocapture"]).env(INSIDE, "1");
    let output = command.output().unwrap();
    eventually("the group is empty", || fs::remove_dir(&group).ok());
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn count() {
    let Some(place) = Place::new(NAME) else { return };
    place.network.gateway.inside(|| {
        let mut line = place.attach(Settings { connections: true, ..place.settings(Driver::Accept) });
        assert_eq!(line.connections().unwrap(), None, "who only attaches has none");
        line.observe(&mut |line| place.said.lock().unwrap().push(line));
        assert!(
            !place.said.lock().unwrap().iter().any(|line| line.contains("connections")),
            "{:?}",
            place.said
        );
        let listener = TcpListener::bind((Network::GATEWAY, PORT)).unwrap();
        for _ in 0..CONNECTIONS {
            let mut client =
                place.network.clients.inside(|| TcpStream::connect((Network::GATEWAY, PORT))).unwrap();
            let (mut server, _) = listener.accept().unwrap();
            for _ in 0..10 {
                client.write_all(b"ping").unwrap();
                server.read_exact(&mut [0; 4]).unwrap();
                server.write_all(b"pong").unwrap();
                client.read_exact(&mut [0; 4]).unwrap();
            }
        }
        let told = eventually("all have ended", || {
            let told = line.connections().unwrap().unwrap();
            (told.closed >= CONNECTIONS).then_some(told)
        });
        assert_eq!((told.established, told.closed), (CONNECTIONS, CONNECTIONS), "{told:?}");
        assert!(told.rtt_samples >= CONNECTIONS && told.rtt_us_sum > 0, "{told:?}");
        assert_eq!(line.rtt().unwrap().unwrap().0.iter().sum::<u64>(), told.rtt_samples);
        line.beat(&mut |_| ()).unwrap();
        place.detach();
        // Nothing watches any more, so nothing could be asked.
        assert!(!place.pins().exists());
    });
}

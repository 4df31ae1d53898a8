//! The same script for a gateway that speaks HTTP/2 to its backends: what it does in both protocols, and no more. Bytes of
//! HTTP/1.1 it cannot say.

use super::{Act, Recorded};
use crate::{PATIENCE, h2, process::eventually};

/// Fields that HTTP/2 does not have (RFC 9113, section 8.2.2).
const OF_CONNECTIONS: [&str; 3] = ["connection", "keep-alive", "transfer-encoding"];

pub(super) fn start(script: impl Fn(&Recorded) -> Vec<Act> + Send + Sync + 'static) -> h2::Origin {
    h2::Origin::start(move |request| script(&recorded(request)).into_iter().flat_map(act).collect())
}

/// A request as it would have been written in HTTP/1.1, its version apart.
pub(super) fn recorded(request: &h2::Recorded) -> Recorded {
    let mut head = format!("{} HTTP/2.0\r\n", request.line());
    for (name, value) in &request.fields {
        let name = if name == ":authority" { "host" } else { name };
        if !name.starts_with(':') {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head.push_str("\r\n");
    Recorded { connection: request.connection, head, body: request.body.clone() }
}

fn act(act: Act) -> Vec<h2::Act> {
    match act {
        Act::ReadBody => vec![h2::Act::ReadBody],
        Act::Answer(status, fields, body) => {
            let fields: Vec<(String, String)> =
                fields.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
            let ours = fields.iter().filter(|(name, _)| !OF_CONNECTIONS.contains(&name.as_str()));
            let ours: Vec<(&str, &str)> = ours.map(|(name, value)| (name.as_str(), value.as_str())).collect();
            h2::Act::answer(status, &ours, &body)
        }
        Act::Wait(gate) => vec![h2::Act::Wait(gate)],
        Act::Stall => vec![h2::Act::Stall],
        Act::Close => vec![h2::Act::Close],
        Act::Reset => vec![h2::Act::Abort],
        Act::Send(_) | Act::Drip(..) | Act::Echo => {
            panic!("{act:?} is HTTP/1.1's: such a test does not run over HTTP/2 to its backend")
        }
    }
}

/// Waits until so many requests were given up.
#[track_caller]
pub(super) fn given_up(origin: &h2::Origin, count: usize) {
    eventually(&format!("{count} requests are given up within {PATIENCE:?}"), || {
        let reset = origin.requests().iter().filter(|request| request.reset.is_some()).count();
        (reset + origin.ended() >= count).then_some(())
    });
}

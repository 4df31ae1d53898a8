//! HTTP/2, both sides (RFC 9113): the `h2` crate behind our own door. It reads and writes a [`Link`] and never waits for
//! anything else; messages are the same as those of HTTP/1.1, and as strict.
//!
//! What the codec refuses by itself never comes out. What it lets through [`Incoming::read`] and [`Awaited::poll_head`]
//! judge by the rules of `h1`, so that no message depends on the version in which it came. Where the codec decides before
//! anybody can see:
//! * `#` and what follows is cut off `:path`; everyone behind it reads the same shorter path.
//! * Pseudo-fields among trailers, and those of requests in answers, are dropped.
//! * A query with `"`, `<` or `>` is malformed, though HTTP/1.1 lets it through: the WHATWG's escapes, which browsers write.
//! * A name or value with bytes that none may have ends the connection, as broken HPACK does, both with `PROTOCOL_ERROR`; so
//!   does what comes on a stream that has ended. RFC 9113 §5.4.1 allows it. A backend that sends such a field to one
//!   client thus ends the calls of all on its connection.
//! * What is malformed otherwise is answered with `RST_STREAM`, a head of too many bytes with 431.
//!
//! All parts of one connection belong to one core: they share cells.

mod client;
mod code;
mod fields;
mod frames;
mod hpack;
mod ledger;
mod link;
mod oddities;
pub mod properties;
mod receive;
mod request;
mod response;
mod send;
mod server;
mod settings;
#[cfg(test)]
mod tests;
mod watch;
mod windows;

pub use client::{AnswerFault, AnswerHead, Awaited, Caller, Client};
pub use code::{Code, Fault};
pub use link::Link;
pub use oddities::{ODDITIES_FORGIVEN_PER_S, ODDITIES_HARD, ODDITIES_SOFT, Oddities};
pub use receive::Receiver;
pub use request::RequestHead;
pub use send::{Reply, Sender};
pub use server::{Incoming, Server};
pub use settings::Settings;

/// Whether bytes are how a client of prior knowledge begins (RFC 9113 §3.3); `None` while too few are there to tell.
pub fn is_preface(input: &[u8]) -> Option<bool> {
    let same = frames::PREFACE.iter().zip(input).all(|(own, sent)| own == sent);
    match same {
        true if input.len() < frames::PREFACE.len() => None,
        same => Some(same),
    }
}

//! HTTP/2, both sides (RFC 9113), by an engine of our own behind one door. It reads and writes a [`Link`] and never waits for
//! anything else; messages are the same as those of HTTP/1.1, and as strict.
//!
//! ```text
//! Link ⇄ drive ── inbound ─► hpack ─► head ─► request, response ─► messages
//!          │        engine: windows, streams, settings, tariff
//!          └──── outbound ◄─ hpack ◄─ fields ◄──────────────────── messages
//! ```
//!
//! A stream's fault ends the stream, a connection's the connection, with the RFC's code (`tests/conformance/http2.toml` has the
//! rules). What is sound by the protocol and not by ours [`Incoming::read`] and [`Awaited::poll_head`] judge, by the rules of
//! `h1`, so that no message depends on the version in which it came.
//!
//! All parts of one connection belong to one core: they share cells.

mod ahead;
mod client;
mod code;
mod drive;
mod engine;
mod fields;
mod frames;
mod head;
mod hpack;
mod inbound;
mod ledger;
mod link;
mod oddities;
mod outbound;
mod part;
pub mod properties;
mod receive;
mod request;
mod response;
mod send;
mod server;
mod settings;
mod streams;
mod tariff;
#[cfg(test)]
mod tests;
mod waiting;

pub use client::{AnswerFault, AnswerHead, Awaited, Caller, Client};
pub use code::{Code, Fault};
pub use ledger::Loan;
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

//! HTTP/2 at the binary, by a peer that can break every rule.

mod flow;
mod frames;

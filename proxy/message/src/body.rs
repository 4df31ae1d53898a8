//! A body as policies and integrations see it: nothing, bytes at hand, or bytes still to come.

use bytes::Bytes;

/// What follows a head.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Body {
    /// No bytes, and none will come.
    #[default]
    Empty,
    /// All the bytes, in memory.
    Whole(Bytes),
    /// The bytes follow on the connection on which the head came; the shard moves them.
    Stream(Length),
}

/// How much of a streamed body is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Exactly so many bytes.
    Known(u64),
    /// Known only when the end is reached (chunked, or until the peer closes).
    Unknown,
}

impl Body {
    /// Bytes of the body, if that is known before they have come.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Whole(bytes) => Some(bytes.len() as u64),
            Self::Stream(Length::Known(bytes)) => Some(*bytes),
            Self::Stream(Length::Unknown) => None,
        }
    }
}

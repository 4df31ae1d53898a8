//! HTTP/1.1 and 1.0, both sides (RFC 9112).
//!
//! A decoder takes the bytes that are there and fills a message that is kept from one to the next; what of a head
//! concerns only this hop goes into a framing beside it. An encoder writes from the typed form: no byte of a peer's
//! head is copied through unread, and the one framing header of a message is ours.
//!
//! However bytes are cut, the outcome is the same, since every check works at a place in the stream and not at the
//! end of a read. A head that is not whole is scanned anew with the next read: at most [`Limits::headers_max`] lines
//! and [`Limits::head_bytes_max`] bytes with `memchr`, microseconds at worst and less than the read itself cost, so
//! that one byte at a time is no lever.
//!
//! [`Limits::headers_max`]: crate::Limits::headers_max
//! [`Limits::head_bytes_max`]: crate::Limits::head_bytes_max

mod body;
mod date;
mod encode;
pub(crate) mod head;
pub mod properties;
mod request;
mod response;
#[cfg(test)]
mod tests;

pub use body::{BodyDecoder, Piece};
pub use date::imf_fixdate;
pub use encode::{
    KeptHead, ResponseBody, ResponseOptions, encode_chunk, encode_chunk_end, encode_chunk_size,
    encode_interim, encode_kept, encode_kept_again, encode_last_chunk, encode_request, encode_response,
    encode_switching,
};
pub use request::{RequestFraming, decode_request};
pub use response::{ResponseFraming, ResponseKind, decode_response};

/// How a body is told from what follows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyLength {
    /// There is none, and no field says so.
    #[default]
    None,
    /// Exactly so many bytes, by `Content-Length`; maybe none.
    Known(u64),
    /// By chunks.
    Chunked,
    /// By the end of the connection; responses only.
    UntilClose,
}

impl BodyLength {
    fn to_body(self) -> message::Body {
        match self {
            Self::None | Self::Known(0) => message::Body::Empty,
            Self::Known(bytes) => message::Body::Stream(message::Length::Known(bytes)),
            Self::Chunked | Self::UntilClose => message::Body::Stream(message::Length::Unknown),
        }
    }
}

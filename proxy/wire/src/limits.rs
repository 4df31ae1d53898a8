//! How much of a peer's head is taken in, and what else is a matter of taste. All counts are per message.

/// Longest head that the codec reads whatever [`Limits`] say, in bytes. The arena of `message::Headers` counts the
/// bytes of a name in 16 bits; this keeps every name below that.
pub const HEAD_BYTES_CAP: usize = 64 * 1024;

/// Most fields of a head whatever [`Limits`] say.
pub const HEADERS_CAP: usize = 128;

/// Most hexadecimal digits of a chunk's size: 64 bits.
pub const CHUNK_DIGITS_MAX: u8 = 16;

/// Framing bytes of a chunked body that are free before [`CHUNK_OVERHEAD_RATIO_MAX`] is looked at.
pub const CHUNK_OVERHEAD_FREE_BYTES: u64 = 4 * 1024;

/// Framing bytes that a chunked body may have for each byte of data. One-byte chunks cost 5 and pass; the same with
/// padded sizes do not (CVE-2023-39326: a cheap way of making a proxy read much to forward little).
pub const CHUNK_OVERHEAD_RATIO_MAX: u64 = 8;

/// Longest trailer section, in bytes. It is checked and dropped.
pub const TRAILER_BYTES_MAX: u64 = 8 * 1024;

/// What a decoder takes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a head from its first to its empty line; at most [`HEAD_BYTES_CAP`]. An API's own limit on its
    /// fields (AWS row 176) is another matter and not the codec's.
    pub head_bytes_max: usize,
    /// Bytes of the method.
    pub method_bytes_max: usize,
    /// Bytes of the target as it is sent.
    pub target_bytes_max: usize,
    /// Fields of a head; at most [`HEADERS_CAP`].
    pub headers_max: usize,
    /// Elements of all `Connection` fields of a head together.
    pub connection_names_max: usize,
    /// Interim answers (1xx) that whoever reads responses takes before the final one. The codec reads one message
    /// at a time and does not count them.
    pub interim_max: u8,
    /// What becomes of fields with `_` in their names.
    pub underscores: Underscores,
}

/// What becomes of a field with `_` in its name. CGI and its heirs turn `-` into `_`, so that `X_User` would reach an
/// application in the clothes of `X-User`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Underscores {
    /// The message is refused.
    #[default]
    Refuse,
    /// The field is left out.
    Drop,
    /// The field passes. Right for responses, whose fields nobody turns into variables.
    Keep,
}

impl Limits {
    /// For what clients send.
    pub const CLIENT: Self = Self {
        head_bytes_max: HEAD_BYTES_CAP,
        method_bytes_max: 32,
        target_bytes_max: 16 * 1024,
        headers_max: 100,
        connection_names_max: 16,
        interim_max: 8,
        underscores: Underscores::Refuse,
    };

    /// For what upstreams send.
    pub const UPSTREAM: Self = Self { underscores: Underscores::Keep, ..Self::CLIENT };
}

impl Default for Limits {
    fn default() -> Self {
        Self::CLIENT
    }
}

//! Why bytes were refused, as data. Nothing here says where they came from.

use message::{AuthorityError, TargetError};
use thiserror::Error as ThisError;

/// Why a message was refused. Each variant is one thing the peer did wrong. After any of them nobody knows where
/// the next message begins: answer and close, or just close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
#[allow(missing_docs, reason = "the messages are the documentation")]
pub enum Error {
    // The request line (RFC 9112 §3).
    #[error("more than one empty line stands before the request line")]
    LeadingEmptyLine,
    #[error("the method is not a token")]
    BadMethod,
    #[error("the method is longer than {max} bytes")]
    MethodTooLong { max: usize },
    #[error("CONNECT is not served")]
    Connect,
    #[error("the request line is not `method SP target SP version CRLF`")]
    BadRequestLine,
    #[error("the target is longer than {max} bytes")]
    TargetTooLong { max: usize },
    #[error("the target is malformed or ambiguous: {0:?}")]
    BadTarget(TargetError),
    #[error("the target is `*`, which addresses no API")]
    AsteriskForm,
    #[error("the version is neither HTTP/1.0 nor HTTP/1.1")]
    UnsupportedVersion,
    #[error("the scheme is neither http nor https")]
    BadScheme,

    // The fields of a head (RFC 9112 §5).
    #[error("the head is longer than {max} bytes")]
    HeadTooLong { max: usize },
    #[error("the head has more than {max} fields")]
    TooManyHeaders { max: usize },
    #[error("a line ends in LF without CR")]
    BareLf,
    #[error("a CR stands without LF")]
    BareCr,
    #[error("a field is folded over several lines")]
    ObsFold,
    #[error("white space stands between a field's name and its colon")]
    SpaceBeforeColon,
    #[error("a field has no name")]
    EmptyFieldName,
    #[error("a field's name is not a token followed by a colon")]
    BadFieldName,
    #[error("a field's value has a control character")]
    BadFieldValue,
    #[error("a field's name has an underscore")]
    UnderscoreInName,

    // Whom it is for (RFC 9112 §3.2).
    #[error("there is no host field")]
    MissingHost,
    #[error("there are several host fields")]
    RepeatedHost,
    #[error("the host is malformed: {0:?}")]
    BadHost(AuthorityError),
    #[error("the target's authority and the host field differ")]
    HostMismatch,

    // How long it is, and how it stands on its connection (RFC 9112 §6, §9).
    #[error("content-length is not a plain decimal number below 2^63")]
    BadContentLength,
    #[error("there are several content-length fields")]
    RepeatedContentLength,
    #[error("both content-length and transfer-encoding are set")]
    AmbiguousLength,
    #[error("transfer-encoding is malformed or repeated, or chunked is not its last coding")]
    BadTransferEncoding,
    #[error("a transfer coding is not known")]
    UnknownTransferCoding,
    #[error("transfer-encoding in a message of HTTP/1.0")]
    TransferEncodingInHttp10,
    #[error("connection is not a list of tokens")]
    BadConnection,
    #[error("connection lists more than {max} names")]
    TooManyConnectionNames { max: usize },
    #[error("connection names a field that frames, authenticates or attributes the message")]
    ProtectedConnectionName,
    #[error("an expectation other than 100-continue")]
    UnknownExpectation,

    // Bodies (RFC 9112 §7).
    #[error("a chunk's size is not hexadecimal digits followed by CRLF")]
    BadChunkSize,
    #[error("a chunk's size has more than {max} digits")]
    ChunkSizeTooLong { max: u8 },
    #[error("a chunk has an extension")]
    ChunkExtension,
    #[error("a chunk is not followed by CRLF")]
    BadChunkEnd,
    #[error("the chunks are so small that framing outweighs data more than {max} to 1")]
    ChunkOverhead { max: u64 },
    #[error("a trailer field is malformed")]
    BadTrailer,
    #[error("the trailer section is longer than {max} bytes")]
    TrailerTooLong { max: u64 },
    #[error("the connection ended before the message did")]
    Cut,

    // Responses only (RFC 9112 §4, RFC 9110 §15).
    #[error("the status line is not `version SP status SP reason CRLF`")]
    BadStatusLine,
    #[error("the status is not between 100 and 599")]
    BadStatus,
    #[error("an interim response announces a body")]
    InterimWithBody,
    #[error("a 101 response does not name exactly one protocol to change to")]
    BadSwitch,

    // HTTP/2 only (RFC 9113 §8).
    #[error("a field of HTTP/1.1's connections in a message of HTTP/2")]
    FieldOfTheConnection,
    #[error("the message is malformed by the rules of HTTP/2")]
    Malformed,
    #[error("the heads of a connection's requests are together longer than {max} bytes")]
    HeadsTooLong { max: usize },
}

impl Error {
    /// What a client that did this is told. What an upstream did is a 502 whichever variant it is; those that only
    /// an upstream can do say so.
    pub fn status(&self) -> u16 {
        match self {
            Self::LeadingEmptyLine
            | Self::BadMethod
            | Self::BadRequestLine
            | Self::BadTarget(_)
            | Self::AsteriskForm
            | Self::BareLf
            | Self::BareCr
            | Self::ObsFold
            | Self::SpaceBeforeColon
            | Self::EmptyFieldName
            | Self::BadFieldName
            | Self::BadFieldValue
            | Self::UnderscoreInName
            | Self::MissingHost
            | Self::RepeatedHost
            | Self::BadHost(_)
            | Self::HostMismatch
            | Self::BadContentLength
            | Self::RepeatedContentLength
            | Self::AmbiguousLength
            | Self::BadTransferEncoding
            | Self::TransferEncodingInHttp10
            | Self::BadConnection
            | Self::ProtectedConnectionName
            | Self::BadChunkSize
            | Self::ChunkSizeTooLong { .. }
            | Self::ChunkExtension
            | Self::BadChunkEnd
            | Self::ChunkOverhead { .. }
            | Self::BadTrailer
            | Self::BadScheme
            | Self::FieldOfTheConnection
            | Self::Malformed
            | Self::Cut => 400,
            Self::TargetTooLong { .. } => 414,
            Self::UnknownExpectation => 417,
            Self::HeadTooLong { .. }
            | Self::HeadsTooLong { .. }
            | Self::TooManyHeaders { .. }
            | Self::TooManyConnectionNames { .. }
            | Self::TrailerTooLong { .. } => 431,
            Self::MethodTooLong { .. } | Self::Connect | Self::UnknownTransferCoding => 501,
            Self::BadStatusLine | Self::BadStatus | Self::InterimWithBody | Self::BadSwitch => 502,
            Self::UnsupportedVersion => 505,
        }
    }

    /// The label in metrics and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::LeadingEmptyLine => "leading_empty_line",
            Self::BadMethod => "bad_method",
            Self::MethodTooLong { .. } => "method_too_long",
            Self::Connect => "connect",
            Self::BadRequestLine => "bad_request_line",
            Self::TargetTooLong { .. } => "target_too_long",
            Self::BadTarget(_) => "bad_target",
            Self::AsteriskForm => "asterisk_form",
            Self::UnsupportedVersion => "unsupported_version",
            Self::BadScheme => "bad_scheme",
            Self::HeadTooLong { .. } => "head_too_long",
            Self::TooManyHeaders { .. } => "too_many_headers",
            Self::BareLf => "bare_lf",
            Self::BareCr => "bare_cr",
            Self::ObsFold => "obs_fold",
            Self::SpaceBeforeColon => "space_before_colon",
            Self::EmptyFieldName => "empty_field_name",
            Self::BadFieldName => "bad_field_name",
            Self::BadFieldValue => "bad_field_value",
            Self::UnderscoreInName => "underscore_in_name",
            Self::MissingHost => "missing_host",
            Self::RepeatedHost => "repeated_host",
            Self::BadHost(_) => "bad_host",
            Self::HostMismatch => "host_mismatch",
            Self::BadContentLength => "bad_content_length",
            Self::RepeatedContentLength => "repeated_content_length",
            Self::AmbiguousLength => "ambiguous_length",
            Self::BadTransferEncoding => "bad_transfer_encoding",
            Self::UnknownTransferCoding => "unknown_transfer_coding",
            Self::TransferEncodingInHttp10 => "transfer_encoding_in_http10",
            Self::BadConnection => "bad_connection",
            Self::TooManyConnectionNames { .. } => "too_many_connection_names",
            Self::ProtectedConnectionName => "protected_connection_name",
            Self::UnknownExpectation => "unknown_expectation",
            Self::BadChunkSize => "bad_chunk_size",
            Self::ChunkSizeTooLong { .. } => "chunk_size_too_long",
            Self::ChunkExtension => "chunk_extension",
            Self::BadChunkEnd => "bad_chunk_end",
            Self::ChunkOverhead { .. } => "chunk_overhead",
            Self::BadTrailer => "bad_trailer",
            Self::TrailerTooLong { .. } => "trailer_too_long",
            Self::Cut => "cut",
            Self::BadStatusLine => "bad_status_line",
            Self::BadStatus => "bad_status",
            Self::InterimWithBody => "interim_with_body",
            Self::BadSwitch => "bad_switch",
            Self::FieldOfTheConnection => "field_of_the_connection",
            Self::Malformed => "malformed",
            Self::HeadsTooLong { .. } => "heads_too_long",
        }
    }
}

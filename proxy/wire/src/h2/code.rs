//! Why a stream or a connection ended: the codes of RFC 9113 §7, and what that means for a connection.

use std::io;

use thiserror::Error as ThisError;

/// An error code as it stands in `RST_STREAM` and `GOAWAY` (RFC 9113 §7). One that we do not know counts as
/// [`Code::InternalError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Code {
    /// Nothing went wrong.
    NoError = 0,
    /// The peer did what the protocol does not allow.
    ProtocolError,
    /// Something went wrong that is not the peer's affair.
    InternalError,
    /// The peer sent more than its window had room for.
    FlowControlError,
    /// Settings were not acknowledged in time.
    SettingsTimeout,
    /// A frame came for a stream that had ended.
    StreamClosed,
    /// A frame has a size that its type cannot have.
    FrameSizeError,
    /// The stream was not processed at all.
    RefusedStream,
    /// The stream is no longer wanted; also what is said of streams whose connection is gone.
    Cancel,
    /// The compression state of the connection is lost.
    CompressionError,
    /// The connection behind a CONNECT failed.
    ConnectError,
    /// The peer makes more work than it should.
    EnhanceYourCalm,
    /// The connection is not secure enough.
    InadequateSecurity,
    /// To be asked in HTTP/1.1.
    Http11Required,
}

const CODES: [Code; 14] = [
    Code::NoError,
    Code::ProtocolError,
    Code::InternalError,
    Code::FlowControlError,
    Code::SettingsTimeout,
    Code::StreamClosed,
    Code::FrameSizeError,
    Code::RefusedStream,
    Code::Cancel,
    Code::CompressionError,
    Code::ConnectError,
    Code::EnhanceYourCalm,
    Code::InadequateSecurity,
    Code::Http11Required,
];

impl Code {
    /// The code of that number (RFC 9113 §7).
    pub fn of(number: u32) -> Self {
        usize::try_from(number).ok().and_then(|at| CODES.get(at)).copied().unwrap_or(Self::InternalError)
    }

    /// Its number.
    pub fn number(self) -> u32 {
        self as u32
    }

    /// The label in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoError => "no_error",
            Self::ProtocolError => "protocol_error",
            Self::InternalError => "internal_error",
            Self::FlowControlError => "flow_control_error",
            Self::SettingsTimeout => "settings_timeout",
            Self::StreamClosed => "stream_closed",
            Self::FrameSizeError => "frame_size_error",
            Self::RefusedStream => "refused_stream",
            Self::Cancel => "cancel",
            Self::CompressionError => "compression_error",
            Self::ConnectError => "connect_error",
            Self::EnhanceYourCalm => "enhance_your_calm",
            Self::InadequateSecurity => "inadequate_security",
            Self::Http11Required => "http_1_1_required",
        }
    }
}

/// Why a connection ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
pub enum Fault {
    /// The peer broke the protocol; the code is what our `GOAWAY` told it.
    #[error("the peer broke the protocol: {}", .0.as_str())]
    Broken(Code),
    /// Oddities reached their hard limit; our `GOAWAY` said `ENHANCE_YOUR_CALM`.
    #[error("the peer makes more work than it is worth")]
    Flooded,
    /// The peer's `GOAWAY` gave an error.
    #[error("the peer ended the connection: {}", .0.as_str())]
    GoneAway(Code),
    /// The bytes' own way failed or ended in the middle of something.
    #[error("the link failed: {0}")]
    Link(io::ErrorKind),
}

impl Fault {
    /// The label in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Broken(_) => "broken",
            Self::Flooded => "flooded",
            Self::GoneAway(_) => "gone_away",
            Self::Link(_) => "link",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_numbers_of_the_rfc() {
        for (number, code) in (0..).zip(CODES) {
            assert_eq!((code.number(), Code::of(number)), (number, code));
        }
        assert_eq!(Code::Http11Required.number(), 0xd);
        assert_eq!([Code::of(14), Code::of(u32::MAX)], [Code::InternalError; 2]);
    }
}

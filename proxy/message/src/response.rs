//! A response as every room before the codec sees it.

use bytes::Bytes;

use crate::{Body, Headers};

/// A response: its status, its end-to-end fields, its body. Framing is the codec's affair.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// 100 to 599.
    pub status: u16,
    /// End-to-end fields.
    pub headers: Headers,
    /// What follows.
    pub body: Body,
}

impl Default for Response {
    fn default() -> Self {
        Self { status: 200, headers: Headers::default(), body: Body::Empty }
    }
}

impl Response {
    /// A response without fields or body.
    pub fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// A response with a whole body and its type.
    pub fn with_body(status: u16, content_type: &str, body: Bytes) -> Self {
        let mut response = Self { status, headers: Headers::default(), body: Body::Whole(body) };
        response.headers.push("Content-Type", content_type.as_bytes());
        response
    }

    /// Forgets the content, keeps the memory.
    pub fn clear(&mut self) {
        self.status = 200;
        self.headers.clear();
        self.body = Body::Empty;
    }
}

/// The reason phrase of a status (RFC 9110 §15); `Unknown` for those without one.
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        102 => "Processing",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        511 => "Network Authentication Required",
        _ => "Unknown",
    }
}

//! Error answers: what a client is told when the gateway answers in place of a backend.
//! For APIs in AWS's shape they are those of the error catalogue (section N); dialect `proxy` uses RFC 9110's statuses.

use std::{borrow::Cow, io::Write as _};

use bytes::Bytes;
use message::{Body, Dialect, Reason, Response};

use crate::Ids;

/// An error's body.
macro_rules! message {
    ($text:literal) => {
        concat!("{\"message\":\"", $text, "\"}")
    };
}

/// One row of the catalogue: status, `x-amzn-ErrorType` (REST only), body.
struct Row(u16, &'static str, &'static str);

/// What a client is told for a reason.
#[derive(Debug)]
pub struct Told<'a> {
    /// The status.
    pub status: u16,
    /// The message: `$context.error.message`.
    pub message: Cow<'a, str>,
}

/// What a client of this dialect is told.
pub fn told(reason: &Reason, dialect: Dialect) -> Told<'_> {
    let Row(status, _, body) = row(reason, dialect);
    let message = message(reason, dialect).unwrap_or_else(|| {
        let text = body.strip_prefix("{\"message\":\"").and_then(|rest| rest.strip_suffix("\"}"));
        Cow::Borrowed(text.unwrap_or(body))
    });
    Told { status, message }
}

/// Writes the answer for a reason in a dialect over whatever the response was.
pub fn refuse(reason: &Reason, dialect: Dialect, ids: &Ids, response: &mut Response) {
    let Row(status, error_type, body) = row(reason, dialect);
    response.clear();
    response.status = status;
    let headers = &mut response.headers;
    response.body = match (dialect, reason, message(reason, dialect)) {
        // The one answer of REST APIs that is text (row 135).
        (Dialect::Rest, Reason::BodyTooLarge { .. }, Some(text)) => {
            headers.push("Content-Type", b"text/plain");
            Body::Whole(Bytes::from(text.into_owned()))
        }
        (.., text) => {
            headers.push("Content-Type", b"application/json");
            Body::Whole(text.map_or(Bytes::from_static(body.as_bytes()), |text| json(&text)))
        }
    };
    if !error_type.is_empty() {
        headers.push("x-amzn-ErrorType", error_type.as_bytes());
    }
    if let (
        Dialect::Proxy,
        Reason::Throttled { retry_after_s } | Reason::BackendSuspended { retry_after_s },
    ) = (dialect, reason)
    {
        // A vector takes every write.
        headers.push_with("Retry-After", |out| drop(write!(out, "{retry_after_s}")));
    }
    ids.tell(response);
}

fn row(reason: &Reason, dialect: Dialect) -> Row {
    match dialect {
        Dialect::Rest => rest(reason),
        Dialect::Http => http(reason),
        Dialect::Proxy => proxy(reason),
    }
}

/// Messages that name something of the request.
fn message(reason: &Reason, dialect: Dialect) -> Option<Cow<'_, str>> {
    match (dialect, reason) {
        (Dialect::Rest, Reason::BodyTooLarge { max }) => {
            Some(format!("HTTP content length exceeded {max} bytes.").into())
        }
        // Row 113.
        (_, Reason::MissingParameters(names)) => {
            Some(format!("Missing required request parameters: [{names}]").into())
        }
        (Dialect::Rest, Reason::IncompleteSignature { message }) => Some(Cow::Borrowed(message)),
        _ => None,
    }
}

/// A body with a message.
fn json(message: &str) -> Bytes {
    let mut body = String::from("{\"message\":\"");
    for character in message.chars() {
        match character {
            '"' | '\\' => body.extend(['\\', character]),
            // None of those stands in what a client can send there.
            control if control.is_control() => body.push(' '),
            _ => body.push(character),
        }
    }
    body.push_str("\"}");
    Bytes::from(body)
}

/// What a host answers to a health check (row 8). U: the body.
pub fn healthy(response: &mut Response) {
    response.headers.push("Content-Type", b"text/plain");
    response.body = Body::Whole(Bytes::from_static(b"healthy"));
}

fn rest(reason: &Reason) -> Row {
    match reason {
        // U: what AWS tells who is refused by a strict API or domain (row 13).
        Reason::NoApi | Reason::NoStage | Reason::EndpointDisabled | Reason::EndpointAccess => {
            Row(403, "ForbiddenException", message!("Forbidden"))
        }
        Reason::NoRoute => {
            Row(403, "MissingAuthenticationTokenException", message!("Missing Authentication Token"))
        }
        Reason::IncompleteSignature { .. } => Row(403, "IncompleteSignatureException", ""),
        Reason::Throttled { .. } => Row(429, "TooManyRequestsException", message!("Too Many Requests")),
        Reason::BodyTooLarge { .. } => Row(413, "", ""),
        Reason::HeadersTooLarge { .. } => {
            Row(431, "BadRequestException", message!("Request Header Fields Too Large"))
        }
        Reason::TargetTooLong { .. } => Row(414, "BadRequestException", message!("URI Too Long")),
        Reason::BackendUnreachable => {
            Row(504, "InternalServerErrorException", message!("Network error communicating with endpoint"))
        }
        Reason::BackendFailed => {
            Row(504, "InternalServerErrorException", message!("Network error communicating with endpoint"))
        }
        Reason::BackendMalformed => {
            Row(502, "InternalServerErrorException", message!("Internal server error"))
        }
        Reason::BackendTimedOut | Reason::CallTimedOut => {
            Row(504, "InternalServerErrorException", message!("Endpoint request timed out"))
        }
        Reason::BackendBusy | Reason::BackendSuspended { .. } | Reason::Overloaded => {
            Row(503, "ServiceUnavailableException", message!("Service Unavailable"))
        }
        Reason::BodyTimedOut => Row(408, "BadRequestException", message!("Request Timeout")),
        Reason::BodyMalformed | Reason::ClientGone => {
            Row(400, "BadRequestException", message!("Bad Request"))
        }
        Reason::ResponseTooLarge { .. } => {
            Row(500, "InternalServerErrorException", message!("Internal server error"))
        }
        Reason::Misdirected => Row(421, "BadRequestException", message!("Misdirected Request")),
        Reason::NotCached => Row(504, "InternalServerErrorException", message!("Not in the cache")),
        Reason::MissingParameters(_) => Row(400, "BadRequestException", ""),
        Reason::InvalidBody { .. } => Row(400, "BadRequestException", message!("Invalid request body")),
        Reason::BadRequest => Row(400, "BadRequestException", message!("Bad Request")),
        Reason::InvalidJson => Row(400, "BadRequestException", message!("Invalid JSON in request body")),
        Reason::UnsupportedMediaType => Row(415, "BadRequestException", message!("Unsupported Media Type")),
        Reason::ApiConfiguration | Reason::Internal => {
            Row(500, "InternalServerErrorException", message!("Internal server error"))
        }
    }
}

fn http(reason: &Reason) -> Row {
    match reason {
        Reason::NoApi | Reason::EndpointAccess => Row(403, "", message!("Forbidden")),
        // U: that a disabled default endpoint is 404 here and 403 in a REST API (row 11).
        Reason::NoStage | Reason::EndpointDisabled | Reason::NoRoute => Row(404, "", message!("Not Found")),
        Reason::IncompleteSignature { .. } => Row(403, "", message!("Forbidden")),
        Reason::Throttled { .. } => Row(429, "", message!("Too Many Requests")),
        Reason::BodyTooLarge { .. } => Row(413, "", message!("Request Entity Too Large")),
        Reason::HeadersTooLarge { .. } => Row(431, "", message!("Request Header Fields Too Large")),
        Reason::TargetTooLong { .. } => Row(414, "", message!("URI Too Long")),
        Reason::BackendUnreachable | Reason::BackendFailed => Row(503, "", message!("Service Unavailable")),
        Reason::BackendMalformed | Reason::ResponseTooLarge { .. } => {
            Row(500, "", message!("Internal Server Error"))
        }
        // Row 60 leaves open whether HTTP backends that are late answer 503 or 504; 504 says what happened.
        Reason::BackendTimedOut | Reason::CallTimedOut => {
            Row(504, "", message!("Endpoint request timed out"))
        }
        Reason::BackendBusy | Reason::BackendSuspended { .. } | Reason::Overloaded => {
            Row(503, "", message!("Service Unavailable"))
        }
        Reason::BodyTimedOut => Row(408, "", message!("Request Timeout")),
        Reason::BodyMalformed | Reason::ClientGone => Row(400, "", message!("Bad Request")),
        Reason::Misdirected => Row(421, "", message!("Misdirected Request")),
        Reason::NotCached => Row(504, "", message!("Not in the cache")),
        // Not AWS's in these two: neither has models there.
        Reason::MissingParameters(_) => Row(400, "", ""),
        Reason::InvalidBody { .. } => Row(400, "", message!("Invalid request body")),
        Reason::BadRequest | Reason::InvalidJson => Row(400, "", message!("Bad Request")),
        Reason::UnsupportedMediaType => Row(415, "", message!("Unsupported Media Type")),
        Reason::ApiConfiguration | Reason::Internal => Row(500, "", message!("Internal Server Error")),
    }
}

fn proxy(reason: &Reason) -> Row {
    match reason {
        Reason::NoApi | Reason::NoStage | Reason::EndpointDisabled | Reason::NoRoute => {
            Row(404, "", message!("Not Found"))
        }
        Reason::IncompleteSignature { .. } => Row(403, "", message!("Forbidden")),
        Reason::Throttled { .. } => Row(429, "", message!("Too Many Requests")),
        Reason::BodyTooLarge { .. } => Row(413, "", message!("Content Too Large")),
        Reason::HeadersTooLarge { .. } => Row(431, "", message!("Request Header Fields Too Large")),
        Reason::TargetTooLong { .. } => Row(414, "", message!("URI Too Long")),
        Reason::BackendUnreachable
        | Reason::BackendFailed
        | Reason::BackendMalformed
        | Reason::ResponseTooLarge { .. } => Row(502, "", message!("Bad Gateway")),
        Reason::BackendTimedOut | Reason::CallTimedOut => Row(504, "", message!("Gateway Timeout")),
        Reason::BackendBusy | Reason::BackendSuspended { .. } | Reason::Overloaded => {
            Row(503, "", message!("Service Unavailable"))
        }
        Reason::BodyTimedOut => Row(408, "", message!("Request Timeout")),
        Reason::BodyMalformed | Reason::ClientGone => Row(400, "", message!("Bad Request")),
        Reason::Misdirected | Reason::EndpointAccess => Row(421, "", message!("Misdirected Request")),
        Reason::NotCached => Row(504, "", message!("Gateway Timeout")),
        // Not AWS's in these two: neither has models there.
        Reason::MissingParameters(_) => Row(400, "", ""),
        Reason::InvalidBody { .. } => Row(400, "", message!("Invalid request body")),
        Reason::BadRequest | Reason::InvalidJson => Row(400, "", message!("Bad Request")),
        Reason::UnsupportedMediaType => Row(415, "", message!("Unsupported Media Type")),
        Reason::ApiConfiguration | Reason::Internal => Row(500, "", message!("Internal Server Error")),
    }
}

//! Error answers: what a client is told when the gateway answers in place of a backend.
//! For APIs in AWS's shape they are those of the error catalogue (section N); dialect `proxy` uses RFC 9110's statuses.

use std::io::Write as _;

use bytes::Bytes;
use message::{Body, Dialect, Reason, RequestId, Response};

/// An error's body.
macro_rules! message {
    ($text:literal) => {
        concat!("{\"message\":\"", $text, "\"}")
    };
}

/// One row of the catalogue: status, `x-amzn-ErrorType` (REST only), body.
struct Row(u16, &'static str, &'static str);

/// Writes the answer for a reason in a dialect over whatever the response was.
pub fn refuse(reason: &Reason, dialect: Dialect, request_id: RequestId, response: &mut Response) {
    let Row(status, error_type, body) = match dialect {
        Dialect::Rest => rest(reason),
        Dialect::Http => http(reason),
        Dialect::Proxy => proxy(reason),
    };
    response.clear();
    response.status = status;
    let headers = &mut response.headers;
    response.body = match (dialect, reason) {
        // The one answer of REST APIs that is text (row 135).
        (Dialect::Rest, Reason::BodyTooLarge { max }) => {
            headers.push("Content-Type", b"text/plain");
            Body::Whole(Bytes::from(format!("HTTP content length exceeded {max} bytes.")))
        }
        _ => {
            headers.push("Content-Type", b"application/json");
            Body::Whole(Bytes::from_static(body.as_bytes()))
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
    identify(response, dialect, request_id);
}

/// Sets the request's id where the dialect has a header for it (row 128).
pub fn identify(response: &mut Response, dialect: Dialect, request_id: RequestId) {
    match dialect {
        Dialect::Rest => response.headers.set("x-amzn-RequestId", &request_id.text()),
        Dialect::Http => response.headers.set("apigw-requestid", &request_id.text()),
        Dialect::Proxy => {}
    }
}

fn rest(reason: &Reason) -> Row {
    match reason {
        Reason::NoApi | Reason::NoStage => Row(403, "ForbiddenException", message!("Forbidden")),
        Reason::NoRoute => {
            Row(403, "MissingAuthenticationTokenException", message!("Missing Authentication Token"))
        }
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
        Reason::Misdirected => Row(421, "BadRequestException", message!("Misdirected Request")),
        Reason::NotCached => Row(504, "InternalServerErrorException", message!("Not in the cache")),
        Reason::Internal => Row(500, "InternalServerErrorException", message!("Internal server error")),
    }
}

fn http(reason: &Reason) -> Row {
    match reason {
        Reason::NoApi => Row(403, "", message!("Forbidden")),
        Reason::NoStage | Reason::NoRoute => Row(404, "", message!("Not Found")),
        Reason::Throttled { .. } => Row(429, "", message!("Too Many Requests")),
        Reason::BodyTooLarge { .. } => Row(413, "", message!("Request Entity Too Large")),
        Reason::HeadersTooLarge { .. } => Row(431, "", message!("Request Header Fields Too Large")),
        Reason::TargetTooLong { .. } => Row(414, "", message!("URI Too Long")),
        Reason::BackendUnreachable | Reason::BackendFailed => Row(503, "", message!("Service Unavailable")),
        Reason::BackendMalformed => Row(500, "", message!("Internal Server Error")),
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
        Reason::Internal => Row(500, "", message!("Internal Server Error")),
    }
}

fn proxy(reason: &Reason) -> Row {
    match reason {
        Reason::NoApi | Reason::NoStage | Reason::NoRoute => Row(404, "", message!("Not Found")),
        Reason::Throttled { .. } => Row(429, "", message!("Too Many Requests")),
        Reason::BodyTooLarge { .. } => Row(413, "", message!("Content Too Large")),
        Reason::HeadersTooLarge { .. } => Row(431, "", message!("Request Header Fields Too Large")),
        Reason::TargetTooLong { .. } => Row(414, "", message!("URI Too Long")),
        Reason::BackendUnreachable | Reason::BackendFailed | Reason::BackendMalformed => {
            Row(502, "", message!("Bad Gateway"))
        }
        Reason::BackendTimedOut | Reason::CallTimedOut => Row(504, "", message!("Gateway Timeout")),
        Reason::BackendBusy | Reason::BackendSuspended { .. } | Reason::Overloaded => {
            Row(503, "", message!("Service Unavailable"))
        }
        Reason::BodyTimedOut => Row(408, "", message!("Request Timeout")),
        Reason::BodyMalformed | Reason::ClientGone => Row(400, "", message!("Bad Request")),
        Reason::Misdirected => Row(421, "", message!("Misdirected Request")),
        Reason::NotCached => Row(504, "", message!("Gateway Timeout")),
        Reason::Internal => Row(500, "", message!("Internal Server Error")),
    }
}

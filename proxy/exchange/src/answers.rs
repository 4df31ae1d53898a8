//! Error answers: what a client is told when the gateway answers in place of a backend.
//! For APIs in AWS's shape they are those of the error catalogue (section N); dialect `proxy` uses RFC 9110's statuses.

use bytes::Bytes;
use message::{Body, Dialect, Reason, Response};

/// One row of the catalogue: status, `x-amzn-ErrorType` (REST only), message.
struct Row(u16, &'static str, &'static str);

/// The answer for a reason in a dialect.
pub fn refusal(reason: &Reason, dialect: Dialect, request_id: &str) -> Response {
    let row = match dialect {
        Dialect::Rest => rest(reason),
        Dialect::Http => http(reason),
        Dialect::Proxy => proxy(reason),
    };
    let Row(status, error_type, message) = row;
    let mut response = Response::new(status);
    let body = match (dialect, reason) {
        // The one answer of REST APIs that is text (row 135).
        (Dialect::Rest, Reason::BodyTooLarge { max }) => {
            response.headers.push("Content-Type", b"text/plain");
            format!("HTTP content length exceeded {max} bytes.")
        }
        _ => {
            response.headers.push("Content-Type", b"application/json");
            format!("{{\"message\":\"{message}\"}}")
        }
    };
    response.body = Body::Whole(Bytes::from(body));
    if !error_type.is_empty() {
        response.headers.push("x-amzn-ErrorType", error_type.as_bytes());
    }
    if let (Dialect::Proxy, Reason::Throttled { retry_after_s }) = (dialect, reason) {
        response.headers.push("Retry-After", retry_after_s.to_string().as_bytes());
    }
    identify(&mut response, dialect, request_id);
    response
}

/// Sets the request's id where the dialect has a header for it (row 128).
pub fn identify(response: &mut Response, dialect: Dialect, request_id: &str) {
    match dialect {
        Dialect::Rest => response.headers.set("x-amzn-RequestId", request_id.as_bytes()),
        Dialect::Http => response.headers.set("apigw-requestid", request_id.as_bytes()),
        Dialect::Proxy => {}
    }
}

fn rest(reason: &Reason) -> Row {
    match reason {
        Reason::NoApi | Reason::NoStage => Row(403, "ForbiddenException", "Forbidden"),
        Reason::NoRoute => Row(403, "MissingAuthenticationTokenException", "Missing Authentication Token"),
        Reason::Throttled { .. } => Row(429, "TooManyRequestsException", "Too Many Requests"),
        Reason::BodyTooLarge { .. } => Row(413, "", ""),
        Reason::HeadersTooLarge { .. } => Row(431, "BadRequestException", "Request Header Fields Too Large"),
        Reason::TargetTooLong { .. } => Row(414, "BadRequestException", "URI Too Long"),
        Reason::BackendUnreachable => {
            Row(504, "InternalServerErrorException", "Network error communicating with endpoint")
        }
        Reason::BackendFailed => {
            Row(504, "InternalServerErrorException", "Network error communicating with endpoint")
        }
        Reason::BackendMalformed => Row(502, "InternalServerErrorException", "Internal server error"),
        Reason::BackendTimedOut => Row(504, "InternalServerErrorException", "Endpoint request timed out"),
        Reason::BodyTimedOut => Row(408, "BadRequestException", "Request Timeout"),
        Reason::BodyMalformed | Reason::ClientGone => Row(400, "BadRequestException", "Bad Request"),
        Reason::Misdirected => Row(421, "BadRequestException", "Misdirected Request"),
        Reason::Internal => Row(500, "InternalServerErrorException", "Internal server error"),
    }
}

fn http(reason: &Reason) -> Row {
    match reason {
        Reason::NoApi => Row(403, "", "Forbidden"),
        Reason::NoStage | Reason::NoRoute => Row(404, "", "Not Found"),
        Reason::Throttled { .. } => Row(429, "", "Too Many Requests"),
        Reason::BodyTooLarge { .. } => Row(413, "", "Request Entity Too Large"),
        Reason::HeadersTooLarge { .. } => Row(431, "", "Request Header Fields Too Large"),
        Reason::TargetTooLong { .. } => Row(414, "", "URI Too Long"),
        Reason::BackendUnreachable | Reason::BackendFailed => Row(503, "", "Service Unavailable"),
        Reason::BackendMalformed => Row(500, "", "Internal Server Error"),
        // Row 60 leaves open whether HTTP backends that are late answer 503 or 504; 504 says what happened.
        Reason::BackendTimedOut => Row(504, "", "Endpoint request timed out"),
        Reason::BodyTimedOut => Row(408, "", "Request Timeout"),
        Reason::BodyMalformed | Reason::ClientGone => Row(400, "", "Bad Request"),
        Reason::Misdirected => Row(421, "", "Misdirected Request"),
        Reason::Internal => Row(500, "", "Internal Server Error"),
    }
}

fn proxy(reason: &Reason) -> Row {
    match reason {
        Reason::NoApi | Reason::NoStage | Reason::NoRoute => Row(404, "", "Not Found"),
        Reason::Throttled { .. } => Row(429, "", "Too Many Requests"),
        Reason::BodyTooLarge { .. } => Row(413, "", "Content Too Large"),
        Reason::HeadersTooLarge { .. } => Row(431, "", "Request Header Fields Too Large"),
        Reason::TargetTooLong { .. } => Row(414, "", "URI Too Long"),
        Reason::BackendUnreachable | Reason::BackendFailed | Reason::BackendMalformed => {
            Row(502, "", "Bad Gateway")
        }
        Reason::BackendTimedOut => Row(504, "", "Gateway Timeout"),
        Reason::BodyTimedOut => Row(408, "", "Request Timeout"),
        Reason::BodyMalformed | Reason::ClientGone => Row(400, "", "Bad Request"),
        Reason::Misdirected => Row(421, "", "Misdirected Request"),
        Reason::Internal => Row(500, "", "Internal Server Error"),
    }
}

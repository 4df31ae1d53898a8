//! As much of HTTP/1.1 as the mini proxy needs, the same for every runtime. It does not know sockets.

use std::io;

/// Fields of one head.
const FIELDS_MAX: usize = 64;

/// Bytes of a request, which is a head and nothing else; `None` while it is not whole.
pub(crate) fn request_bytes(input: &[u8]) -> io::Result<Option<usize>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    let httparse::Status::Complete(bytes) = request.parse(input).map_err(bad)? else { return Ok(None) };
    if length(request.headers)?.is_some_and(|bytes| bytes > 0) {
        return Err(bad("a request with a body"));
    }
    Ok(Some(bytes))
}

/// Bytes of a response, head and body; `None` while the head is not whole.
pub(crate) fn response_bytes(input: &[u8]) -> io::Result<Option<usize>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(bytes) = response.parse(input).map_err(bad)? else { return Ok(None) };
    let body = length(response.headers)?.ok_or_else(|| bad("a response without Content-Length"))?;
    Ok(Some(bytes.saturating_add(body)))
}

/// `Content-Length`, if there is one.
fn length(fields: &[httparse::Header<'_>]) -> io::Result<Option<usize>> {
    for field in fields {
        if field.name.eq_ignore_ascii_case("content-length") {
            let text = std::str::from_utf8(field.value).map_err(bad)?;
            return text.trim().parse().map(Some).map_err(bad);
        }
        if field.name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(bad("chunks"));
        }
    }
    Ok(None)
}

/// Something that the mini proxy does not speak.
pub(crate) fn bad(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::{request_bytes, response_bytes};

    /// What is read of a text and of each of its beginnings.
    #[track_caller]
    fn check(read: fn(&[u8]) -> std::io::Result<Option<usize>>, text: &str, expected: Option<usize>) {
        assert_eq!(read(text.as_bytes()).ok().flatten(), expected, "{text:?}");
        let head = text.find("\r\n\r\n").map_or(text.len(), |at| at + 3);
        for cut in 0..head {
            assert!(!matches!(read(&text.as_bytes()[..cut]), Ok(Some(_))), "{text:?} cut at {cut}");
        }
    }

    #[test]
    fn requests() {
        check(request_bytes, "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET", Some(27));
        check(request_bytes, "GET / HTTP/1.1\r\nContent-Length: 1\r\n\r\na", None);
        check(request_bytes, "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", None);
        check(request_bytes, "nonsense\r\n\r\n", None);
    }

    #[test]
    fn responses() {
        check(response_bytes, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", Some(43));
        check(response_bytes, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Some(38));
        check(response_bytes, "HTTP/1.1 200 OK\r\n\r\n", None);
        check(response_bytes, "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", None);
    }
}

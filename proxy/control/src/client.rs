//! The other end of the admin socket: what `floodgate reload` and `floodgate flush` call with. It knows just as much
//! HTTP as the admin listener speaks.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use crate::Error;

/// Longest answer taken: a page of metrics of very many routes.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// A reload compiles and waits for every core.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Makes one call; returns the status code and the body.
///
/// # Errors
/// Nobody listens, may listen, answers in time, or answers as an admin listener does.
pub fn call(socket: &Path, method: &str, path: &str) -> Result<(u16, String), Error> {
    call_with(socket, method, path, "")
}

/// The same with a body.
///
/// # Errors
/// As [`call`].
pub fn call_with(socket: &Path, method: &str, path: &str, body: &str) -> Result<(u16, String), Error> {
    call_within(socket, method, path, body, ANSWER_WITHIN)
}

/// A look at something that changes nothing and is answered at once, or not at all.
///
/// # Errors
/// As [`call`].
pub fn look(socket: &Path, path: &str, within: Duration) -> Result<(u16, String), Error> {
    call_within(socket, "GET", path, "", within)
}

fn call_within(
    socket: &Path,
    method: &str,
    path: &str,
    body: &str,
    within: Duration,
) -> Result<(u16, String), Error> {
    let failed = |source| Error::Call { path: socket.to_owned(), source };
    let mut stream = UnixStream::connect(socket)
        .map_err(|source| Error::NotRunning { path: socket.to_owned(), source })?;
    stream.set_read_timeout(Some(within)).map_err(failed)?;
    stream.set_write_timeout(Some(within)).map_err(failed)?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).map_err(failed)?;
    if answer.is_empty() {
        // The listener closes unheard whoever is neither its owner nor root.
        return Err(failed(io::Error::new(io::ErrorKind::PermissionDenied, "closed without an answer")));
    }
    parse(answer).ok_or_else(|| Error::NotAdmin { path: socket.to_owned() })
}

/// Status and body of an answer that ends with its connection and says its length.
fn parse(mut answer: Vec<u8>) -> Option<(u16, String)> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let body = answer.split_off(end);
    let head = String::from_utf8(answer).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    })?;
    (body.len() == length).then(|| Some((status, String::from_utf8(body).ok()?)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(answer: &str, expected: Option<(u16, &str)>) {
        let parsed = parse(answer.as_bytes().to_vec());
        assert_eq!(parsed.as_ref().map(|(status, body)| (*status, body.as_str())), expected);
    }

    #[test]
    fn answers_are_whole_or_none() {
        check("HTTP/1.1 200 OK\r\ncontent-length: 3\r\nx: y\r\n\r\nok\n", Some((200, "ok\n")));
        check("HTTP/1.1 202 Accepted\r\nContent-Length:0\r\n\r\n", Some((202, "")));
        check("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nok\n", None);
        check("HTTP/1.1 200 OK\r\n\r\nok\n", None);
        check("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n", None);
        check("220 smtp ready\r\n\r\n", None);
        check("", None);
    }
}

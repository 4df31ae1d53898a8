//! A raw client: sends exactly the bytes it is given and reads exactly what comes, with a deadline on every wait.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use crate::{
    PATIENCE,
    response::{Framing, Response, find, read_chunked},
};

/// A connection to the gateway.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// Received and not yet read as a response.
    buffer: Vec<u8>,
    ended: bool,
}

/// Why a response could not be read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The connection ended; what came until then.
    Ended(Vec<u8>),
    /// Nothing came for too long; what came until then.
    Silent(Vec<u8>),
    /// It is not HTTP.
    Wrong(String),
}

impl Connection {
    /// Connects.
    #[track_caller]
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE);
        let stream = stream.unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
        let ready = stream.set_nodelay(true).and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
        ready.unwrap_or_else(|error| panic!("cannot set up {address}: {error}"));
        Self { stream, buffer: Vec::new(), ended: false }
    }

    /// The same; `None`: nobody takes it.
    pub fn try_open(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
        stream.set_nodelay(true).and_then(|()| stream.set_write_timeout(Some(PATIENCE))).ok()?;
        Some(Self { stream, buffer: Vec::new(), ended: false })
    }

    /// Sends all of it.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let sent = self.stream.write_all(bytes.as_ref());
        sent.unwrap_or_else(|error| panic!("cannot send: {error}"));
        self
    }

    /// Sends as much as the other side takes; whether it was all.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends this again and again until nobody takes more of it for so long; how many bytes were taken.
    pub fn send_until_stuck(&mut self, part: &[u8], silence: Duration, bytes_max: usize) -> usize {
        let _set = self.stream.set_write_timeout(Some(silence));
        let mut sent = 0;
        while sent < bytes_max {
            match self.stream.write(part) {
                Ok(count) => sent += count,
                Err(_) => break,
            }
        }
        let _set = self.stream.set_write_timeout(Some(PATIENCE));
        sent
    }

    /// Sends a request without a body: `GET /path`, then `name: value` lines. `Host` is added.
    #[track_caller]
    pub fn ask(&mut self, request: &str) -> &mut Self {
        let bytes = request_bytes(request, b"");
        self.send(bytes)
    }

    /// Says that nothing more comes from here.
    pub fn finish(&mut self) -> &mut Self {
        let _ = self.stream.shutdown(Shutdown::Write);
        self
    }

    /// Ends the connection with a reset, as a client does that is gone for good.
    pub fn reset(self) {
        let _ = rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO));
    }

    /// The next response to a request that was not HEAD, interim ones left out.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.response_to("GET")
    }

    /// The next response to a request of this method, interim ones left out.
    #[track_caller]
    pub fn response_to(&mut self, method: &str) -> Response {
        loop {
            let response =
                self.try_response(method).unwrap_or_else(|broken| panic!("no response: {broken:?}"));
            if response.status >= 200 || response.status == 101 {
                return response;
            }
        }
    }

    /// The next response, also an interim one.
    pub fn try_response(&mut self, method: &str) -> Result<Response, Broken> {
        let head_end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end;
            }
            self.more()?;
        };
        let mut response = Response::read_head(&self.buffer[..head_end]).map_err(Broken::Wrong)?;
        self.buffer.drain(..head_end + 4);
        match response.framing(method).map_err(Broken::Wrong)? {
            Framing::Length(length) => {
                while self.buffer.len() < length {
                    self.more()?;
                }
                response.body = self.buffer.drain(..length).collect();
            }
            Framing::Chunked => loop {
                if let Some((body, length)) = read_chunked(&self.buffer).map_err(Broken::Wrong)? {
                    response.body = body;
                    self.buffer.drain(..length);
                    break;
                }
                self.more()?;
            },
            Framing::Close => {
                while !self.ended {
                    match self.more() {
                        Ok(()) | Err(Broken::Ended(_)) => {}
                        Err(broken) => return Err(broken),
                    }
                }
                response.body = std::mem::take(&mut self.buffer);
            }
        }
        Ok(response)
    }

    /// Exactly so many bytes, without looking at them.
    #[track_caller]
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        self.try_bytes(count).unwrap_or_else(|broken| panic!("{count} bytes wanted: {broken:?}"))
    }

    /// The same, if they come.
    pub fn try_bytes(&mut self, count: usize) -> Result<Vec<u8>, Broken> {
        while self.buffer.len() < count {
            self.more()?;
        }
        Ok(self.buffer.drain(..count).collect())
    }

    /// All that comes until the connection ends.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        while !self.ended {
            match self.more() {
                Ok(()) | Err(Broken::Ended(_)) => {}
                Err(broken) => panic!("the connection did not end: {broken:?}"),
            }
        }
        std::mem::take(&mut self.buffer)
    }

    /// All that comes until the connection ends; `None` if it does not end within that time.
    pub fn rest_within(&mut self, time: Duration) -> Option<Vec<u8>> {
        while !self.ended {
            if let Err(Broken::Silent(_)) = self.receive(time) {
                return None;
            }
        }
        Some(std::mem::take(&mut self.buffer))
    }

    /// Whether the other side says nothing and keeps the connection, for as long as that.
    pub fn quiet_for(&mut self, time: Duration) -> bool {
        self.buffer.is_empty() && matches!(self.receive(time), Err(Broken::Silent(_)))
    }

    fn more(&mut self) -> Result<(), Broken> {
        self.receive(PATIENCE)
    }

    fn receive(&mut self, patience: Duration) -> Result<(), Broken> {
        if self.ended {
            return Err(Broken::Ended(self.buffer.clone()));
        }
        let mut chunk = [0; 16 << 10];
        let received =
            self.stream.set_read_timeout(Some(patience)).and_then(|()| self.stream.read(&mut chunk));
        match received {
            Ok(1..) => {
                let count = received.unwrap_or(0);
                self.buffer.extend_from_slice(&chunk[..count]);
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err(Broken::Silent(self.buffer.clone()))
            }
            // A reset is an end as well: what the test wants to know is what came before it.
            Ok(_) | Err(_) => {
                self.ended = true;
                Err(Broken::Ended(self.buffer.clone()))
            }
        }
    }
}

/// The bytes of a request given as lines: `POST /path`, then `name: value`. `Host` is added where there is none, the
/// length where there is a body.
pub(crate) fn request_bytes(request: &str, body: &[u8]) -> Vec<u8> {
    let mut lines = request.lines();
    let mut head = format!("{} HTTP/1.1\r\n", lines.next().unwrap_or_default());
    let named = |name: &str| request.lines().skip(1).any(|line| line.to_ascii_lowercase().starts_with(name));
    if !named("host:") {
        head.push_str("Host: gateway.test\r\n");
    }
    for line in lines {
        head.push_str(line);
        head.push_str("\r\n");
    }
    if !body.is_empty() && !named("content-length:") && !named("transfer-encoding:") {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::request_bytes;

    #[test]
    fn what_is_missing_is_added() {
        assert_eq!(request_bytes("GET /", b""), b"GET / HTTP/1.1\r\nHost: gateway.test\r\n\r\n");
        let post = b"POST / HTTP/1.1\r\nhost: a\r\nContent-Length: 2\r\n\r\nab";
        assert_eq!(request_bytes("POST /\nhost: a", b"ab"), post);
    }
}

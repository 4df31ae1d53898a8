//! Clients that are not ours: curl, wrk, openssl. What they print is read into what a test asks for.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use crate::response::{Response, find};

/// What curl saw.
#[derive(Debug)]
pub struct Curl {
    /// Its exit code; 0 if all went well.
    pub code: i32,
    /// The last response; `None` if there was none.
    pub response: Option<Response>,
    /// What it complained about.
    pub stderr: String,
}

/// What wrk measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wrk {
    /// Responses a second.
    pub requests_per_s: f64,
    /// Responses.
    pub requests: u64,
    /// Responses that were neither 2xx nor 3xx.
    pub refused: u64,
    /// Connections that could not be made, read, written, or took too long.
    pub errors: u64,
}

impl Curl {
    /// The response that has to be there.
    #[track_caller]
    pub fn response(&self) -> &Response {
        assert_eq!(self.code, 0, "curl: {}", self.stderr);
        self.response.as_ref().unwrap_or_else(|| panic!("curl: no response: {}", self.stderr))
    }
}

/// Where a program is, also in the administrator's folders.
#[track_caller]
pub fn program(name: &str) -> PathBuf {
    let found = find_program(name);
    found.unwrap_or_else(|| panic!("there is no {name}: `cargo xtask setup` installs what tests need"))
}

/// The same, or nothing.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Runs curl with these arguments.
#[track_caller]
pub fn curl(arguments: &[&str]) -> Curl {
    let mut command = Command::new(program("curl"));
    command
        .args(["--silent", "--show-error", "--include", "--max-time", "30", "--noproxy", "*"])
        .args(arguments);
    let output = run(&mut command, b"");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Curl { code: output.status.code().unwrap_or(-1), response: last_response(&output.stdout), stderr }
}

/// Runs curl with these arguments; what it wrote to standard output (`--write-out` and bodies), whether all went well.
#[track_caller]
pub fn curl_says(arguments: &[&str]) -> (String, bool) {
    let mut command = Command::new(program("curl"));
    command.args(["--silent", "--show-error", "--max-time", "30", "--noproxy", "*"]).args(arguments);
    let output = run(&mut command, b"");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.success())
}

/// curl has taken the framing off: the body is what follows the last head.
fn last_response(mut output: &[u8]) -> Option<Response> {
    loop {
        let end = find(output, b"\r\n\r\n")?;
        let mut response = Response::read_shown_head(&output[..end]).ok()?;
        output = &output[end + 4..];
        if response.status >= 200 {
            response.body = output.to_vec();
            return Some(response);
        }
    }
}

/// Runs openssl with these arguments and this standard input.
#[track_caller]
pub fn openssl(arguments: &[&str], input: &[u8]) -> Output {
    run(Command::new(program("openssl")).args(arguments), input)
}

/// `openssl s_client`: what it says about the handshake, then what the server sent.
#[track_caller]
pub fn s_client(address: std::net::SocketAddr, arguments: &[&str], input: &[u8]) -> String {
    let address = address.to_string();
    let all = [&["s_client", "-connect", &address, "-ign_eof"], arguments].concat();
    let output = openssl(&all, input);
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs wrk with one thread for so many seconds.
#[track_caller]
pub fn wrk(url: &str, connections: u32, seconds: u32) -> Wrk {
    wrk_saying(url, connections, seconds, &[])
}

/// The same with more fields in each request, `name: value`.
#[track_caller]
pub fn wrk_saying(url: &str, connections: u32, seconds: u32, fields: &[&str]) -> Wrk {
    let (connections, duration) = (connections.to_string(), format!("{seconds}s"));
    let mut command = Command::new(program("wrk"));
    command.args(["-t", "1", "-c", &connections, "-d", &duration]);
    command.args(fields.iter().flat_map(|field| ["-H", field])).arg(url);
    let output = run(&mut command, b"");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "wrk: {text}{}", String::from_utf8_lossy(&output.stderr));
    Wrk::parse(&text).unwrap_or_else(|| panic!("wrk said something else: {text}"))
}

impl Wrk {
    /// Reads what wrk prints.
    pub fn parse(text: &str) -> Option<Self> {
        let mut found = Self::default();
        let mut seen = false;
        for line in text.lines().map(str::trim) {
            if let Some(rate) = line.strip_prefix("Requests/sec:") {
                found.requests_per_s = rate.trim().parse().ok()?;
                seen = true;
            } else if let Some(count) = line.strip_prefix("Non-2xx or 3xx responses:") {
                found.refused = count.trim().parse().ok()?;
            } else if let Some(kinds) = line.strip_prefix("Socket errors:") {
                let counts =
                    kinds.split(',').filter_map(|kind| kind.split_whitespace().last()?.parse::<u64>().ok());
                found.errors = counts.sum();
            } else if let Some((count, _)) = line.split_once(" requests in ") {
                found.requests = count.trim().parse().ok()?;
            }
        }
        seen.then_some(found)
    }
}

#[track_caller]
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stdin = child.stdin.take();
    let input = input.to_vec();
    // A program may end without reading all of it.
    let writer = std::thread::spawn(move || stdin.is_some_and(|mut stdin| stdin.write_all(&input).is_ok()));
    let output = child.wait_with_output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let _ = writer.join();
    output
}

#[cfg(test)]
mod tests {
    use super::Wrk;

    #[test]
    fn what_wrk_prints_is_read() {
        let text = "Running 2s test @ http://127.0.0.1:1/\n  1 threads and 8 connections\n  49842 requests in 2.00s, 8.03MB read\n  \
                    Socket errors: connect 1, read 2, write 0, timeout 4\n  Non-2xx or 3xx responses: 49000\nRequests/sec:  24902.91\nTransfer/sec:      4.01MB\n";
        let expected = Wrk { requests_per_s: 24_902.91, requests: 49_842, refused: 49_000, errors: 7 };
        assert_eq!(Wrk::parse(text), Some(expected));
        assert_eq!(Wrk::parse("unable to connect"), None);
    }
}

//! Clients of HTTP/2 that are not ours: nghttp, which tells frame by frame, and h2load. What they print is read into what
//! a test asks for. (curl is with the other tools, the browser and gRPC have files of their own.)

use std::{process::Command, time::Duration};

use crate::{
    process::Process,
    tools::{program, run},
};

/// nghttp gives up by itself before.
const PATIENCE: Duration = Duration::from_secs(60);

/// A frame as nghttp tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Whether nghttp sent it.
    pub is_sent: bool,
    /// `SETTINGS`, `HEADERS` …
    pub kind: String,
    /// Its flags by their bits.
    pub flags: u8,
    /// Bytes of its payload.
    pub length: usize,
    /// Its stream; 0: the connection.
    pub stream: u32,
    /// What is in it: `[SETTINGS_…(0x03):100]`, `; END_STREAM`, `(window_size_increment=1)`.
    pub about: Vec<String>,
    /// The fields of HEADERS that came.
    pub fields: Vec<(String, String)>,
}

/// What nghttp saw of a connection.
#[derive(Debug)]
pub struct Nghttp {
    /// Its exit code; 0 if all went well, also when a request was not answered.
    pub code: i32,
    /// All frames, both ways, in order.
    pub frames: Vec<Frame>,
    /// What it complained about.
    pub stderr: String,
}

/// What h2load counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct H2load {
    /// `h2`, `h2c`, `http/1.1`.
    pub protocol: String,
    /// Requests that were to be made.
    pub total: u64,
    /// Responses with a status of 2xx or 3xx.
    pub succeeded: u64,
    /// All others, however they failed.
    pub failed: u64,
    /// Streams that were reset and connections that broke.
    pub errored: u64,
    /// Requests that took too long.
    pub timed_out: u64,
    /// Responses with a status of 2xx.
    pub of_2xx: u64,
    /// Bytes of bodies.
    pub body_bytes: u64,
}

/// Runs nghttp with these arguments; bodies are thrown away.
#[track_caller]
pub fn nghttp(arguments: &[&str]) -> Nghttp {
    nghttp_until(arguments, |_| true, || {})
}

/// The same; once what it has told so far is enough, `then` is done while it goes on.
#[track_caller]
pub fn nghttp_until(arguments: &[&str], is_enough: impl Fn(&[Frame]) -> bool, then: impl FnOnce()) -> Nghttp {
    let mut command = Command::new(program("nghttp"));
    command.args(["--verbose", "--null-out", "--no-verify-peer", "--timeout=30"]).args(arguments);
    let mut process = Process::start(&mut command);
    let seen = process.wait_for_stdout(|lines| is_enough(&Nghttp::parse(&lines.join("\n"))).then_some(()));
    assert!(seen.is_some(), "nghttp has not come so far: {}", process.said().0);
    then();
    let ended = process.wait(PATIENCE);
    let mut stderr = ended.stderr;
    if !stderr.is_empty() {
        stderr.push('\n');
    }
    Nghttp { code: ended.code.unwrap_or(-1), frames: Nghttp::parse(&ended.stdout), stderr }
}

/// Runs h2load with one thread, so many connections with so many streams at once each, and more arguments.
#[track_caller]
pub fn h2load(url: &str, connections: u32, streams: u32, requests: u32, more: &[&str]) -> H2load {
    let mut command = Command::new(program("h2load"));
    command
        .args([format!("-c{connections}"), format!("-m{streams}"), format!("-n{requests}")])
        .args(more)
        .arg(url);
    let output = run(&mut command, b"");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "h2load: {text}{}", String::from_utf8_lossy(&output.stderr));
    H2load::parse(&text).unwrap_or_else(|| panic!("h2load said something else: {text}"))
}

impl Nghttp {
    /// Frames of a kind that came.
    pub fn received(&self, kind: &str) -> Vec<&Frame> {
        self.frames.iter().filter(|frame| !frame.is_sent && frame.kind == kind).collect()
    }

    /// The statuses that came, in order, 1xx too.
    pub fn statuses(&self) -> Vec<u16> {
        let heads = self.received("HEADERS");
        heads.iter().filter_map(|frame| frame.field(":status")?.parse().ok()).collect()
    }

    /// Bytes of DATA that came, padding with them.
    pub fn body_bytes(&self) -> usize {
        self.received("DATA").iter().map(|frame| frame.length).sum()
    }

    /// Reads what nghttp prints.
    fn parse(text: &str) -> Vec<Frame> {
        let mut frames: Vec<Frame> = Vec::new();
        // The fields of a HEADERS frame that comes are told before it.
        let mut fields = Vec::new();
        for line in text.lines() {
            // A time that is told behind a body without a line's end would be missed; there are no bodies here.
            let Some((_, said)) = line.split_once("] ").filter(|_| line.starts_with('[')) else {
                if let (Some(frame), Some(about)) = (frames.last_mut(), line.strip_prefix("          ")) {
                    match about.get(1..).and_then(|rest| rest.split_once(": ")) {
                        Some((name, value)) if frame.is_sent && frame.kind == "HEADERS" => {
                            frame.fields.push((format!("{}{name}", &about[..1]), value.to_owned()));
                        }
                        _ => frame.about.push(about.to_owned()),
                    }
                }
                continue;
            };
            if let Some(field) = said.strip_prefix("recv (stream_id=").and_then(|rest| rest.split_once(") "))
            {
                let field = field.1.trim_start_matches(", sensitive) ");
                let named = field.get(1..).and_then(|rest| rest.split_once(": "));
                fields
                    .extend(named.map(|(name, value)| (format!("{}{name}", &field[..1]), value.to_owned())));
            } else if let Some(mut frame) = Frame::parse(said) {
                if !frame.is_sent && frame.kind == "HEADERS" {
                    frame.fields = std::mem::take(&mut fields);
                }
                frames.push(frame);
            }
        }
        frames
    }
}

impl Frame {
    /// `recv DATA frame <length=5, flags=0x01, stream_id=13>`
    fn parse(said: &str) -> Option<Self> {
        let (direction, rest) = said.split_once(' ')?;
        let (kind, rest) = rest.split_once(" frame <")?;
        let mut frame = Self {
            is_sent: direction == "send",
            kind: kind.trim_start_matches('(').to_owned(),
            ..Self::default()
        };
        for part in rest.trim_end_matches('>').split(", ") {
            match part.split_once('=')? {
                ("length", value) => frame.length = value.parse().ok()?,
                ("flags", value) => {
                    frame.flags = u8::from_str_radix(value.strip_prefix("0x")?, 16).ok()?;
                }
                ("stream_id", value) => frame.stream = value.parse().ok()?,
                _ => return None,
            }
        }
        Some(frame)
    }

    /// A field by name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// Whether this is told of it.
    pub fn says(&self, what: &str) -> bool {
        self.about.iter().any(|line| line.contains(what))
    }
}

impl H2load {
    /// Reads what h2load prints.
    fn parse(text: &str) -> Option<Self> {
        let mut found = Self::default();
        let mut seen = 0;
        let counts = |rest: &str| -> Vec<(String, u64)> {
            let parts = rest.split(", ").filter_map(|part| {
                let (count, what) = part.trim().split_once(' ')?;
                Some((what.to_owned(), count.parse().ok()?))
            });
            parts.collect()
        };
        for line in text.lines() {
            if let Some(protocol) = line.strip_prefix("Application protocol: ") {
                found.protocol = protocol.to_owned();
            } else if let Some(rest) = line.strip_prefix("requests: ") {
                seen += 1;
                for (what, count) in counts(rest) {
                    match &*what {
                        "total" => found.total = count,
                        "succeeded" => found.succeeded = count,
                        "failed" => found.failed = count,
                        "errored" => found.errored = count,
                        "timeout" => found.timed_out = count,
                        _ => {}
                    }
                }
            } else if let Some(rest) = line.strip_prefix("status codes: ") {
                seen += 1;
                found.of_2xx = counts(rest).into_iter().find(|(what, _)| what == "2xx")?.1;
            } else if let Some(rest) = line.strip_prefix("traffic: ") {
                seen += 1;
                // 70.10KB (71784) total, 46.88KB (48000) headers (space savings 51.02%), 4.88KB (5000) data
                let data = rest.split(", ").find(|part| part.ends_with(" data"))?;
                found.body_bytes = data.split_once('(')?.1.split_once(')')?.0.parse().ok()?;
            }
        }
        (seen == 3).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_h2load_prints_is_read() {
        let text = "Application protocol: h2c\nprogress: 100% done\n\nfinished in 19.68ms, 50825.92 req/s, 3.48MB/s\n\
                    requests: 1000 total, 1000 started, 999 done, 998 succeeded, 4 failed, 3 errored, 2 timeout\n\
                    status codes: 990 2xx, 0 3xx, 4 4xx, 5 5xx\n\
                    traffic: 70.10KB (71784) total, 46.88KB (48000) headers (space savings 51.02%), 4.88KB (5000) data\n";
        let expected = H2load {
            protocol: "h2c".into(),
            total: 1000,
            succeeded: 998,
            failed: 4,
            errored: 3,
            timed_out: 2,
            of_2xx: 990,
            body_bytes: 5000,
        };
        assert_eq!(H2load::parse(text), Some(expected));
        assert_eq!(H2load::parse("finished in 0us, 0.00 req/s, 0B/s\n"), None);
    }

    #[test]
    fn what_nghttp_prints_is_read() {
        let text = "[  0.000] Connected\n[  0.001] send SETTINGS frame <length=12, flags=0x00, stream_id=0>\n          (niv=2)\n          \
                    [SETTINGS_MAX_CONCURRENT_STREAMS(0x03):100]\n\
                    [  0.001] send HEADERS frame <length=45, flags=0x25, stream_id=13>\n          ; Open new stream\n          :method: GET\n\
                    [  0.001] recv (stream_id=13) :status: 200\n[  0.001] recv (stream_id=13) a: b: c\n\
                    [  0.001] recv HEADERS frame <length=48, flags=0x04, stream_id=13>\n          ; END_HEADERS\n\
                    [  0.001] recv DATA frame <length=5, flags=0x01, stream_id=13>\n          ; END_STREAM\n";
        let frames = Nghttp::parse(text);
        let kinds: Vec<_> = frames.iter().map(|it| (it.is_sent, &*it.kind, it.stream, it.flags)).collect();
        let expected = [
            (true, "SETTINGS", 0, 0),
            (true, "HEADERS", 13, 0x25),
            (false, "HEADERS", 13, 4),
            (false, "DATA", 13, 1),
        ];
        assert_eq!(kinds, expected);
        assert!(frames[0].says("MAX_CONCURRENT_STREAMS(0x03):100"));
        assert_eq!(frames[1].field(":method"), Some("GET"));
        assert_eq!((frames[2].field(":status"), frames[2].field("a")), (Some("200"), Some("b: c")));
        assert_eq!(frames[3].length, 5);
    }
}

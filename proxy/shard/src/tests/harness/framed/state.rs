//! What one end of an HTTP/2 connection knows: frames in, what they come to, and whether they may be. Windows are counted
//! both ways: what the gateway sends without credit is noted, and nothing is sent for which it has given none.

use std::collections::{BTreeMap, VecDeque};

use ::harness::h2::{
    FRAME_BYTES, Frame, PREFACE, WINDOW_BYTES, WINDOW_BYTES_MAX, code, code_name, flag,
    hpack::{Decoder, Encoder},
    kind, setting,
};

use super::{super::http::describe_body, End, Field, Terms};

/// Bytes of the dynamic table where nobody has spoken of it.
const TABLE_BYTES: usize = ::harness::h2::TABLE_BYTES as usize;

/// Fields of HTTP/1.1's connections (RFC 9113 §8.2.2).
const HOP: [&str; 5] = ["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"];

/// One end.
pub(super) struct State {
    is_client: bool,
    pub(super) terms: Terms,
    encoder: Encoder,
    decoder: Decoder,
    unread: Vec<u8>,
    /// What is to be sent as it is.
    pub(super) out: Vec<u8>,
    /// A head that is not whole.
    block: Option<(u32, bool, Vec<u8>)>,
    streams: BTreeMap<u32, Stream>,
    /// Bytes that may be sent, on the connection and at first on a stream.
    room: i64,
    room_at_first: i64,
    /// All that the gateway has said of it.
    pub(super) windows: Vec<u32>,
    /// Bytes that the gateway may send.
    given: i64,
    given_at_first: i64,
    /// Windows in settings that were not acknowledged yet.
    told: VecDeque<u32>,
    has_settings: bool,
    awaits_preface: bool,
    /// Streams that the gateway has opened and nobody has looked at.
    pub(super) opened: VecDeque<u32>,
    /// GOAWAYs: last stream and code.
    away: VecDeque<(u32, u32)>,
    is_away: bool,
    pub(super) fields: Vec<Field>,
    pub(super) wrong: Vec<String>,
    pub(super) end: Option<End>,
}

/// Both ways of a stream.
#[derive(Default)]
struct Stream {
    is_head: bool,
    /// Heads that nobody has read, as a line and fields.
    heads: VecDeque<(String, Vec<Field>)>,
    has_head: bool,
    /// The last of them was read.
    head_read: bool,
    announced: Option<u64>,
    received: u64,
    body: VecDeque<u8>,
    trailers: Vec<Field>,
    ended: bool,
    reset: Option<u32>,
    given: i64,
    room: i64,
    unsent: VecDeque<u8>,
    ends: Option<Vec<Field>>,
    all_sent: bool,
    /// We have reset it.
    given_up: bool,
}

impl State {
    pub(super) fn new(is_client: bool, terms: Terms) -> Self {
        let mut state = Self {
            is_client,
            terms,
            encoder: Encoder::new(TABLE_BYTES),
            decoder: Decoder::new(TABLE_BYTES),
            unread: Vec::new(),
            out: if is_client { PREFACE.to_vec() } else { Vec::new() },
            block: None,
            streams: BTreeMap::new(),
            room: i64::from(WINDOW_BYTES),
            room_at_first: i64::from(WINDOW_BYTES),
            windows: Vec::new(),
            given: i64::from(WINDOW_BYTES),
            given_at_first: i64::from(WINDOW_BYTES),
            told: VecDeque::new(),
            has_settings: false,
            awaits_preface: !is_client,
            opened: VecDeque::new(),
            away: VecDeque::new(),
            is_away: false,
            fields: Vec::new(),
            wrong: Vec::new(),
            end: None,
        };
        state.set(terms);
        state
    }

    pub(super) fn set(&mut self, terms: Terms) {
        self.terms = terms;
        let mut settings = vec![(setting::INITIAL_WINDOW_SIZE, terms.window_bytes)];
        settings.extend(terms.streams_max.map(|streams| (setting::MAX_CONCURRENT_STREAMS, streams)));
        if self.is_client {
            settings.push((setting::ENABLE_PUSH, 0));
        }
        self.told.push_back(terms.window_bytes);
        self.write(&Frame::settings(&settings));
    }

    fn write(&mut self, frame: &Frame) {
        self.out.extend(frame.bytes());
    }

    fn stream(&mut self, stream: u32) -> &mut Stream {
        let (given, room) = (self.given_at_first, self.room_at_first);
        self.streams.entry(stream).or_insert_with(|| Stream { given, room, ..Stream::default() })
    }

    pub(super) fn block(&mut self, stream: u32, block: Vec<u8>, ends: bool) {
        let state = self.stream(stream);
        if ends {
            (state.ends, state.all_sent) = (Some(Vec::new()), true);
        }
        let mut parts = block.chunks(FRAME_BYTES);
        let first = parts.next().unwrap_or_default();
        let mut frame = Frame::headers(stream, if ends { flag::END_STREAM } else { 0 }, first);
        for part in parts {
            self.write(&frame);
            frame = Frame::continuation(stream, 0, part);
        }
        self.write(&frame.flagged(flag::END_HEADERS));
    }

    pub(super) fn head(&mut self, stream: u32, fields: &[Field], ends: bool) {
        self.stream(stream).is_head = fields.iter().any(|(name, value)| name == ":method" && value == "HEAD");
        let block = self.encoder.encode(fields);
        self.block(stream, block, ends);
    }

    pub(super) fn send(&mut self, stream: u32, bytes: &[u8], ends: bool) {
        let stream = self.stream(stream);
        stream.unsent.extend(bytes);
        if ends {
            stream.ends = Some(Vec::new());
        }
    }

    pub(super) fn trail(&mut self, stream: u32, fields: &[Field]) {
        self.stream(stream).ends = Some(fields.to_vec());
    }

    pub(super) fn reset(&mut self, stream: u32, code: u32) {
        let state = self.stream(stream);
        state.given_up = true;
        state.unsent.clear();
        self.write(&Frame::reset(stream, code));
    }

    pub(super) fn give(&mut self, stream: u32, bytes: u32) {
        match stream {
            0 => self.given += i64::from(bytes),
            stream => self.stream(stream).given += i64::from(bytes),
        }
        self.write(&Frame::window_update(stream, bytes));
    }

    /// What may be sent now.
    pub(super) fn outgoing(&mut self) -> Vec<u8> {
        for (number, stream) in &mut self.streams {
            if stream.all_sent || stream.given_up || stream.reset.is_some() {
                continue;
            }
            loop {
                let room = self.room.min(stream.room).max(0);
                let bytes = stream.unsent.len().min(usize::try_from(room).unwrap()).min(FRAME_BYTES);
                let is_last = bytes == stream.unsent.len() && stream.ends.is_some();
                if bytes == 0 && !is_last {
                    break;
                }
                let part: Vec<u8> = stream.unsent.drain(..bytes).collect();
                (self.room, stream.room) = (self.room - bytes as i64, stream.room - bytes as i64);
                stream.all_sent = is_last;
                let trailers = stream.ends.as_ref().filter(|trailers| is_last && !trailers.is_empty());
                let ends = if is_last && trailers.is_none() { flag::END_STREAM } else { 0 };
                if bytes > 0 || trailers.is_none() {
                    self.out.extend(Frame::data(*number, ends, part).bytes());
                }
                if let Some(trailers) = trailers {
                    let flags = flag::END_STREAM | flag::END_HEADERS;
                    self.out.extend(Frame::headers(*number, flags, self.encoder.encode(trailers)).bytes());
                }
                if is_last {
                    break;
                }
            }
        }
        std::mem::take(&mut self.out)
    }

    pub(super) fn received(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        if self.awaits_preface {
            let same = self.unread.iter().zip(PREFACE).all(|(own, other)| own == other);
            if !same {
                self.wrong.push(format!("no preface: {}", self.unread.escape_ascii()));
            }
            if self.unread.len() < PREFACE.len() {
                return;
            }
            self.unread.drain(..PREFACE.len());
            self.awaits_preface = false;
        }
        while let Some((frame, taken)) = Frame::read(&self.unread) {
            self.unread.drain(..taken);
            if let Err(why) = self.take(&frame) {
                self.wrong.push(format!("{why}: {frame:?}"));
            }
        }
    }

    fn take(&mut self, frame: &Frame) -> Result<(), String> {
        if frame.payload.len() > FRAME_BYTES {
            return Err("longer than we allow (RFC 9113, 4.2)".into());
        }
        if !self.has_settings && (frame.kind != kind::SETTINGS || frame.has(flag::ACK)) {
            return Err("before its settings (RFC 9113, 3.4)".into());
        }
        let continues = self.block.as_ref().map(|(stream, ..)| *stream);
        if continues.is_some_and(|stream| frame.kind != kind::CONTINUATION || frame.stream != stream) {
            return Err("within another's head (RFC 9113, 4.3)".into());
        }
        match frame.kind {
            kind::SETTINGS if frame.has(flag::ACK) => {
                let bytes = self.told.pop_front().ok_or("acknowledges nothing")?;
                let more = i64::from(bytes) - self.given_at_first;
                self.given_at_first += more;
                self.streams.values_mut().for_each(|stream| stream.given += more);
            }
            kind::SETTINGS => {
                self.has_settings = true;
                for (name, value) in frame.as_settings() {
                    match name {
                        setting::INITIAL_WINDOW_SIZE => {
                            let more = i64::from(value) - self.room_at_first;
                            self.room_at_first += more;
                            self.windows.push(value);
                            self.streams.values_mut().for_each(|stream| stream.room += more);
                        }
                        setting::HEADER_TABLE_SIZE => self.encoder.limit(value as usize),
                        _ => {}
                    }
                }
                self.write(&Frame::settings_ack());
            }
            kind::PING if !frame.has(flag::ACK) => self.write(&Frame::ping_ack(frame.payload.clone())),
            kind::WINDOW_UPDATE => {
                let bytes = i64::from(frame.word(0).ok_or("no number")?);
                let room = match frame.stream {
                    0 => &mut self.room,
                    stream => &mut self.stream(stream).room,
                };
                *room += bytes;
                if bytes == 0 || *room > i64::from(WINDOW_BYTES_MAX) {
                    return Err("a window beyond bounds (RFC 9113, 6.9)".into());
                }
            }
            kind::GOAWAY => {
                self.is_away = true;
                let (last, code) = (frame.word(0).ok_or("no stream")?, frame.word(4).ok_or("no code")?);
                self.away.push_back((last, code));
                // The gateway has not looked at those behind, and never will.
                let left_out = self.streams.range_mut(last.saturating_add(1)..);
                for (_, stream) in left_out.filter(|_| self.is_client) {
                    stream.reset.get_or_insert(code::REFUSED_STREAM);
                }
            }
            kind::RST_STREAM => {
                let code = frame.word(0).ok_or("no code")?;
                let stream = self.streams.get_mut(&frame.stream).ok_or("a stream that is not there")?;
                if stream.reset.replace(code).is_some() {
                    return Err("reset twice".into());
                }
            }
            kind::HEADERS => {
                let block = frame.content()?.to_vec();
                self.fields_come(frame, (frame.stream, frame.has(flag::END_STREAM), block))?;
            }
            kind::CONTINUATION => {
                let (stream, ends, mut block) = self.block.take().ok_or("continues nothing")?;
                block.extend_from_slice(&frame.payload);
                self.fields_come(frame, (stream, ends, block))?;
            }
            kind::DATA => self.data_comes(frame)?,
            kind::PUSH_PROMISE => return Err("a promise".into()),
            _ => {}
        }
        Ok(())
    }

    fn fields_come(
        &mut self,
        frame: &Frame,
        (number, ends, block): (u32, bool, Vec<u8>),
    ) -> Result<(), String> {
        if !frame.has(flag::END_HEADERS) {
            self.block = Some((number, ends, block));
            return Ok(());
        }
        let fields = self.decoder.decode_text(&block)?;
        let is_client = self.is_client;
        if !self.streams.contains_key(&number) {
            if is_client || number.is_multiple_of(2) || self.streams.keys().any(|other| *other > number) {
                return Err("a stream out of order (RFC 9113, 5.1.1)".into());
            }
            let open = self.open_streams();
            // What was said last may not have been heard yet.
            if self.told.is_empty() && self.terms.streams_max.is_some_and(|max| open >= max as usize) {
                return Err(format!("more than {open} streams (RFC 9113, 5.1.2)"));
            }
            self.opened.push_back(number);
        }
        self.stream(number).take_fields(fields, ends, is_client)
    }

    fn data_comes(&mut self, frame: &Frame) -> Result<(), String> {
        let bytes = frame.payload.len() as i64;
        let holds = self.terms.holds;
        self.given -= bytes;
        let (is_connection_over, number) = (self.given < 0, frame.stream);
        let stream = self.streams.get_mut(&number).ok_or("a stream that is not there")?;
        stream.given -= bytes;
        if is_connection_over || stream.given < 0 {
            return Err("beyond the window (RFC 9113, 6.9.1)".into());
        }
        let data = frame.content()?.to_vec();
        stream.take_data(&data, frame.has(flag::END_STREAM))?;
        let stream_goes_on = !stream.ended && !stream.given_up;
        if !holds && bytes > 0 {
            let bytes = u32::try_from(bytes).unwrap();
            self.give(0, bytes);
            if stream_goes_on {
                self.give(number, bytes);
            }
        }
        Ok(())
    }

    pub(super) fn message(&mut self, number: u32, head_only: bool) -> Option<String> {
        let end = self.end;
        let Some(stream) = self.streams.get_mut(&number) else { return end.map(|end| end.as_str().into()) };
        let Some((line, _)) = stream.heads.front() else {
            return stream.how(end).filter(|_| !stream.has_head || stream.head_read);
        };
        let is_interim = line.len() == 3 && line.starts_with('1');
        let how = stream.how(end);
        if !head_only && !is_interim && how.is_none() {
            return None;
        }
        let (mut line, fields) = stream.heads.pop_front().unwrap();
        self.fields = fields;
        if head_only || is_interim {
            stream.head_read = !is_interim;
            return Some(line);
        }
        stream.head_read = true;
        let (body, how) = (stream.take_body(usize::MAX), how.unwrap());
        if !body.is_empty() {
            line.push(' ');
            line.push_str(&describe_body(&body));
        }
        match how.strip_prefix("end") {
            Some(trailers) => line.push_str(trailers),
            None => line = format!("{line}!{how}"),
        }
        Some(line)
    }

    pub(super) fn body(&mut self, number: u32, bytes: usize) -> Option<Vec<u8>> {
        let end = self.end;
        let stream = self.streams.get_mut(&number)?;
        (stream.body.len() >= bytes || stream.how(end).is_some()).then(|| stream.take_body(bytes))
    }

    pub(super) fn rest(&mut self, number: u32) -> Option<String> {
        let end = self.end;
        let stream = self.streams.get_mut(&number)?;
        let how = stream.how(end)?;
        let body = stream.take_body(usize::MAX);
        Some(if body.is_empty() { how } else { format!("{}!{how}", describe_body(&body)) })
    }

    pub(super) fn code(&mut self, number: u32) -> Option<String> {
        let end = self.end;
        match self.streams.get(&number).and_then(|stream| stream.reset) {
            Some(code) => Some(code_name(code)),
            None => end.map(|end| end.as_str().into()),
        }
    }

    #[expect(clippy::option_option, reason = "nothing yet, or nothing ever")]
    pub(super) fn next_opened(&mut self) -> Option<Option<u32>> {
        match self.opened.pop_front() {
            Some(stream) => Some(Some(stream)),
            None => self.end.map(|_| None),
        }
    }

    /// The number of the next request.
    pub(super) fn next(&mut self) -> u32 {
        let last = self.streams.keys().next_back();
        last.map_or(1, |last| last + 2)
    }

    pub(super) fn sent_away(&mut self) -> Option<String> {
        match self.away.pop_front() {
            Some((last, code)) => Some(format!("{last} {}", code_name(code))),
            None => self.end.map(|end| end.as_str().into()),
        }
    }

    pub(super) fn is_sent_away(&self) -> bool {
        self.is_away
    }

    pub(super) fn now(&self, number: u32) -> String {
        let end = self.end.map_or("", End::as_str);
        let of = |(number, stream): (&u32, &Stream)| format!("{number}: {}", stream.now());
        match number {
            0 => {
                let streams: Vec<_> = self.streams.iter().map(of).collect();
                format!("{} {end} {:?} {:?}", streams.join(", "), self.away, self.wrong)
            }
            number => format!("{}{end}", self.streams.get(&number).map(Stream::now).unwrap_or_default()),
        }
    }

    pub(super) fn is_open(&self, stream: u32) -> bool {
        self.end.is_none() && self.streams.get(&stream).is_some_and(|stream| stream.how(None).is_none())
    }

    pub(super) fn open_streams(&self) -> usize {
        let is_open = |stream: &&Stream| {
            stream.reset.is_none() && !stream.given_up && !(stream.ended && stream.all_sent)
        };
        self.streams.values().filter(is_open).count()
    }
}

impl Stream {
    /// How it has ended, if it has: `end`, with its trailers behind it, or why before its end.
    fn how(&self, connection: Option<End>) -> Option<String> {
        if self.ended {
            let trailers = self.trailers.iter().map(|(name, value)| format!(" +{name}: {value}"));
            return Some(format!("end{}", trailers.collect::<String>()));
        }
        match self.reset {
            Some(code) => Some(code_name(code)),
            None => connection.map(|end| end.as_str().into()),
        }
    }

    fn now(&self) -> String {
        let heads: Vec<_> = self.heads.iter().map(|(line, _)| line.as_str()).collect();
        let body: Vec<u8> = self.body.iter().copied().collect();
        let how = self.how(None).filter(|_| !self.head_read || !body.is_empty() || self.reset.is_some());
        format!("{}{}{}", heads.join(", "), describe_body(&body), how.unwrap_or_default())
    }

    fn take_body(&mut self, bytes: usize) -> Vec<u8> {
        self.body.drain(..bytes.min(self.body.len())).collect()
    }

    fn take_fields(&mut self, fields: Vec<Field>, ends: bool, is_client: bool) -> Result<(), String> {
        if self.ended || self.reset.is_some() {
            return Err("behind the stream's end (RFC 9113, 5.1)".into());
        }
        for (name, value) in &fields {
            if name.bytes().any(|byte| byte.is_ascii_uppercase()) || HOP.contains(&name.as_str()) {
                return Err(format!("{name} (RFC 9113, 8.2)"));
            }
            if name == "te" && value != "trailers" {
                return Err(format!("te: {value} (RFC 9113, 8.2.2)"));
            }
        }
        if self.has_head {
            if !ends || fields.iter().any(|(name, _)| name.starts_with(':')) {
                return Err("trailers that are none (RFC 9113, 8.1)".into());
            }
            self.trailers = fields;
            return self.end();
        }
        let of = |name: &str| {
            let mut values = fields.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str());
            match (values.next(), values.next()) {
                (value, None) => Ok(value.unwrap_or_default()),
                _ => Err(format!("{name} twice (RFC 9113, 8.3)")),
            }
        };
        let line = match is_client {
            true => of(":status")?.to_owned(),
            false if of(":authority")?.is_empty() || of(":scheme")?.is_empty() => {
                return Err("no authority or scheme (RFC 9113, 8.3.1)".into());
            }
            false => format!("{} {}", of(":method")?, of(":path")?),
        };
        let length = of("content-length")?.to_owned();
        let is_interim = is_client && line.starts_with('1');
        self.has_head = !is_interim;
        let has_body = !self.is_head && !matches!(line.as_str(), "204" | "304");
        self.announced = length.parse().ok().filter(|_| has_body && !is_interim);
        self.heads.push_back((line, fields));
        match ends {
            true if is_interim => Err("an interim answer ends the stream (RFC 9113, 8.1)".into()),
            true => self.end(),
            false => Ok(()),
        }
    }

    fn take_data(&mut self, data: &[u8], ends: bool) -> Result<(), String> {
        if self.ended || self.reset.is_some() || !self.has_head {
            return Err("data before the head or behind the end (RFC 9113, 5.1)".into());
        }
        self.received += data.len() as u64;
        self.body.extend(data);
        if ends { self.end() } else { Ok(()) }
    }

    fn end(&mut self) -> Result<(), String> {
        self.ended = true;
        match self.announced {
            Some(bytes) if bytes != self.received => {
                Err(format!("{} bytes of {bytes} (RFC 9113, 8.1.1)", self.received))
            }
            _ => Ok(()),
        }
    }
}

/// A line of a message that was cut by a code, as one that was cut with its connection.
pub(in crate::tests) fn as_reset(line: String) -> String {
    let (before, how) = line.rsplit_once('!').map_or(("", &line[..]), |(before, how)| (before, how));
    let is_code = (code::NO_ERROR..=code::HTTP_1_1_REQUIRED).any(|code| code_name(code) == how);
    match (is_code, before.len() + how.len() == line.len()) {
        (false, _) => line,
        (true, true) => "reset".to_owned(),
        (true, false) => format!("{before}!reset"),
    }
}

/// The number of a code by its name.
pub(in crate::tests) fn code_number(name: &str) -> u32 {
    (code::NO_ERROR..=code::HTTP_1_1_REQUIRED)
        .find(|code| code_name(*code) == name)
        .unwrap_or_else(|| panic!("no code: {name}"))
}

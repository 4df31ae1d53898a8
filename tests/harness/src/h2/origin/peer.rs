//! One connection as the backend sees it: a thread that reads frames, and one for each stream that runs its script.

use std::{io::Read, time::Instant};

use super::{
    Act, Arc, BTreeMap, Block, Condvar, Decoder, FRAME_BYTES, Field, Frame, Mutex, MutexGuard, PATIENCE,
    PREFACE, PoisonError, Recorded, Shutdown, State, TABLE_BYTES, TcpStream, WINDOW_BYTES, WINDOW_BYTES_MAX,
    Write, flag, kind, locked, setting, thread,
};

/// What the threads of a connection share.
pub(super) struct Peer {
    state: Arc<State>,
    /// Which connection this is.
    number: usize,
    /// Frames are written whole.
    output: Mutex<TcpStream>,
    windows: Mutex<Windows>,
    changed: Condvar,
}

#[derive(Default)]
struct Windows {
    connection: i64,
    /// What new streams begin with.
    initial: i64,
    frame_bytes_max: usize,
    streams: BTreeMap<u32, Stream>,
    over: bool,
}

struct Stream {
    window: i64,
    request: Recorded,
    /// Where the request stands in the log.
    index: usize,
}

/// The other side broke a rule, or is gone.
enum End {
    Gone,
    Fault(String),
}

impl From<std::io::Error> for End {
    fn from(_: std::io::Error) -> Self {
        Self::Gone
    }
}

fn fault(text: impl Into<String>) -> End {
    End::Fault(text.into())
}

impl Peer {
    /// Serves a connection to its end; gives what the other side did wrong.
    pub(super) fn serve(stream: TcpStream, number: usize, state: &Arc<State>) -> Option<String> {
        let _slower = stream.set_nodelay(true);
        let output = stream.try_clone().ok()?;
        let windows = Windows {
            connection: WINDOW_BYTES.into(),
            initial: WINDOW_BYTES.into(),
            frame_bytes_max: FRAME_BYTES,
            ..Windows::default()
        };
        let peer = Arc::new(Self {
            state: Arc::clone(state),
            number,
            output: Mutex::new(output),
            windows: Mutex::new(windows),
            changed: Condvar::new(),
        });
        let end = peer.read_all(stream);
        locked(&peer.windows).over = true;
        peer.changed.notify_all();
        match end {
            Err(End::Fault(fault)) => Some(fault),
            Ok(()) | Err(End::Gone) => None,
        }
    }

    fn read_all(self: &Arc<Self>, mut input: TcpStream) -> Result<(), End> {
        let mut preface = [0; PREFACE.len()];
        input.read_exact(&mut preface)?;
        if preface != PREFACE {
            return Err(fault(format!("it begins with {}", preface.escape_ascii())));
        }
        self.write(&Frame::settings(&self.state.settings))?;
        let table = self.state.settings.iter().find(|(name, _)| *name == setting::HEADER_TABLE_SIZE);
        let mut decoder = Decoder::new(table.map_or(TABLE_BYTES, |(_, bytes)| *bytes) as usize);
        let mut buffer = Vec::new();
        let mut block: Option<(u32, bool, Vec<u8>)> = None;
        let mut first = true;
        loop {
            let Some((frame, length)) = Frame::read(&buffer) else {
                let mut chunk = [0; 32 << 10];
                let count = input.read(&mut chunk)?;
                if count == 0 {
                    return Ok(());
                }
                buffer.extend_from_slice(&chunk[..count]);
                continue;
            };
            buffer.drain(..length);
            self.record(&frame);
            if std::mem::take(&mut first) && (frame.kind != kind::SETTINGS || frame.has(flag::ACK)) {
                return Err(fault(format!("behind the preface stands {frame:?} (RFC 9113, 3.4)")));
            }
            if frame.payload.len() > FRAME_BYTES {
                return Err(fault(format!("{frame:?} is too long (RFC 9113, 4.2)")));
            }
            if let Some((stream, ends, mut bytes)) = block.take() {
                if frame.kind != kind::CONTINUATION || frame.stream != stream {
                    return Err(fault(format!("{frame:?} within a header block (RFC 9113, 6.10)")));
                }
                bytes.extend_from_slice(&frame.payload);
                block = self.take_block((stream, ends, bytes), &frame, &mut decoder)?;
            } else if frame.kind == kind::HEADERS {
                let content = frame.content().map_err(fault)?.to_vec();
                let begun = (frame.stream, frame.has(flag::END_STREAM), content);
                block = self.take_block(begun, &frame, &mut decoder)?;
            } else {
                self.take(&frame)?;
            }
            self.changed.notify_all();
            self.state.changed.notify_all();
        }
    }

    /// Keeps it, of data only the beginning.
    fn record(&self, frame: &Frame) {
        const KEPT_BYTES: usize = 64;
        let mut kept = frame.clone();
        if kept.kind == kind::DATA {
            kept.payload.truncate(KEPT_BYTES);
        }
        locked(&self.state.log).frames[self.number].push(kept);
    }

    fn take(&self, frame: &Frame) -> Result<(), End> {
        let word = || frame.word(0).ok_or_else(|| fault(format!("{frame:?} is too short")));
        match frame.kind {
            kind::DATA => self.take_data(frame),
            kind::RST_STREAM => {
                let code = word()?;
                self.change(frame.stream, |request| request.reset = Some(code))
            }
            kind::SETTINGS if !frame.has(flag::ACK) => {
                let mut windows = locked(&self.windows);
                for (name, value) in frame.as_settings() {
                    match name {
                        setting::INITIAL_WINDOW_SIZE => {
                            let change = i64::from(value) - windows.initial;
                            windows.initial = value.into();
                            windows.streams.values_mut().for_each(|stream| stream.window += change);
                        }
                        setting::MAX_FRAME_SIZE => windows.frame_bytes_max = value as usize,
                        _ => {}
                    }
                }
                drop(windows);
                self.write(&Frame::settings_ack())
            }
            kind::PING if !frame.has(flag::ACK) => self.write(&Frame::ping_ack(frame.payload.clone())),
            kind::WINDOW_UPDATE => {
                let more = i64::from(word()?);
                let mut windows = locked(&self.windows);
                let window = match (frame.stream, windows.streams.get_mut(&frame.stream)) {
                    (_, Some(stream)) => &mut stream.window,
                    (0, None) => &mut windows.connection,
                    (idle, None) => return Err(fault(format!("credit for {idle}, which is idle"))),
                };
                *window += more;
                if more == 0 || *window > WINDOW_BYTES_MAX.into() {
                    return Err(fault(format!("{frame:?} makes a window of {window} (RFC 9113, 6.9)")));
                }
                Ok(())
            }
            kind::PUSH_PROMISE | kind::CONTINUATION => Err(fault(format!("{frame:?}"))),
            _ => Ok(()),
        }
    }

    fn take_data(&self, frame: &Frame) -> Result<(), End> {
        let content = frame.content().map_err(fault)?.to_vec();
        let ends = frame.has(flag::END_STREAM);
        self.change(frame.stream, |request| {
            request.body.extend_from_slice(&content);
            request.ended |= ends;
        })?;
        let length = u32::try_from(frame.payload.len()).unwrap_or(WINDOW_BYTES_MAX);
        if self.state.gives_credit && length > 0 {
            self.write(&Frame::window_update(0, length))?;
            if !ends {
                self.write(&Frame::window_update(frame.stream, length))?;
            }
        }
        Ok(())
    }

    /// A block that has come so far; gives it back while it is not whole.
    fn take_block(
        self: &Arc<Self>,
        (stream, ends, bytes): (u32, bool, Vec<u8>),
        frame: &Frame,
        decoder: &mut Decoder,
    ) -> Result<Option<(u32, bool, Vec<u8>)>, End> {
        if !frame.has(flag::END_HEADERS) {
            return Ok(Some((stream, ends, bytes)));
        }
        let fields = decoder.decode_text(&bytes).map_err(fault)?;
        if locked(&self.windows).streams.contains_key(&stream) {
            if !ends {
                return Err(fault(format!("trailers on {stream} that do not end it (RFC 9113, 8.1)")));
            }
            self.change(stream, |request| {
                request.trailers.clone_from(&fields);
                request.ended = true;
            })?;
        } else {
            self.open(stream, fields, ends)?;
        }
        Ok(None)
    }

    fn open(self: &Arc<Self>, stream: u32, fields: Vec<Field>, ends: bool) -> Result<(), End> {
        let mut windows = locked(&self.windows);
        if stream.is_multiple_of(2)
            || windows.streams.last_key_value().is_some_and(|(last, _)| *last >= stream)
        {
            return Err(fault(format!("stream {stream} is opened (RFC 9113, 5.1.1)")));
        }
        let request =
            Recorded { connection: self.number, stream, fields, ended: ends, ..Recorded::default() };
        let index = {
            let mut log = locked(&self.state.log);
            log.requests.push(request.clone());
            log.requests.len() - 1
        };
        let window = windows.initial;
        windows.streams.insert(stream, Stream { window, request: request.clone(), index });
        drop(windows);
        let peer = Arc::clone(self);
        thread::spawn(move || {
            let acts = (peer.state.script)(&request);
            // A connection that is gone ends a script early.
            let _cut_short = acts.into_iter().try_for_each(|act| peer.act(stream, act));
            locked(&peer.state.log).answered += 1;
            peer.state.changed.notify_all();
        });
        Ok(())
    }

    /// Changes a request, here and in the log.
    fn change(&self, stream: u32, change: impl Fn(&mut Recorded)) -> Result<(), End> {
        let mut windows = locked(&self.windows);
        let found = windows.streams.get_mut(&stream);
        let found = found.ok_or_else(|| fault(format!("stream {stream} is idle (RFC 9113, 5.1)")))?;
        if found.request.ended && found.request.reset.is_some() {
            return Err(fault(format!("stream {stream} is closed (RFC 9113, 5.1)")));
        }
        change(&mut found.request);
        if let Some(request) = locked(&self.state.log).requests.get_mut(found.index) {
            change(request);
        }
        Ok(())
    }

    fn write(&self, frame: &Frame) -> Result<(), End> {
        self.write_bytes(&frame.bytes())
    }

    fn write_bytes(&self, bytes: &[u8]) -> Result<(), End> {
        Ok(locked(&self.output).write_all(bytes)?)
    }

    fn act(&self, stream: u32, act: Act) -> Result<(), End> {
        match act {
            Act::ReadBody => self.wait(stream, |request| request.ended || request.reset.is_some()),
            Act::ReadBytes(bytes) => {
                self.wait(stream, |request| request.body.len() >= bytes || request.ended)
            }
            Act::Head(status, fields, ends) => {
                let status = Block::new().literal(":status", status.to_string());
                self.write_head(stream, fields.iter().fold(status, literal), ends)
            }
            Act::Trailers(fields) => self.write_head(stream, fields.iter().fold(Block::new(), literal), true),
            Act::Data(bytes, ends) => self.write_data(stream, &bytes, ends),
            Act::OnStream(frame) => self.write(&Frame { stream, ..frame }),
            Act::Frame(frame) => self.write(&frame),
            Act::Send(bytes) => self.write_bytes(&bytes),
            Act::Reset(code) => self.write(&Frame::reset(stream, code)),
            Act::GoAway(last, code) => {
                let newest = locked(&self.windows).streams.last_key_value().map_or(0, |(last, _)| *last);
                self.write(&Frame::go_away(last.unwrap_or(newest), code, b""))
            }
            Act::Wait(gate) => {
                gate.wait();
                Ok(())
            }
            Act::Echo => self.echo(stream),
            Act::Stall => self.wait(stream, |request| request.reset.is_some()),
            Act::Close => {
                let _gone = locked(&self.output).shutdown(Shutdown::Both);
                Err(End::Gone)
            }
            Act::Abort => {
                let output = locked(&self.output);
                // The reader wakes and lets go.
                let _gone = output.shutdown(Shutdown::Read);
                // Other threads hold the socket as well, so that closing it resets nothing; unconnecting it does.
                rustix::net::connect_unspec(&*output).map_err(std::io::Error::from)?;
                Err(End::Gone)
            }
        }
    }

    fn write_head(&self, stream: u32, block: Block, ends: bool) -> Result<(), End> {
        let block = block.bytes();
        let mut parts = block.chunks(FRAME_BYTES).peekable();
        let mut bytes = Vec::new();
        let mut flags = if ends { flag::END_STREAM } else { 0 };
        let mut kind = kind::HEADERS;
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                flags |= flag::END_HEADERS;
            }
            bytes.extend(Frame::new(kind, flags, stream, part).bytes());
            (kind, flags) = (kind::CONTINUATION, 0);
        }
        self.write_bytes(&bytes)
    }

    /// As the windows allow.
    fn write_data(&self, stream: u32, mut bytes: &[u8], ends: bool) -> Result<(), End> {
        loop {
            let mut windows = locked(&self.windows);
            let count = loop {
                let of_stream = windows.streams.get(&stream).map_or(0, |stream| stream.window);
                let room = usize::try_from(of_stream.min(windows.connection)).unwrap_or(0);
                let count = bytes.len().min(room).min(windows.frame_bytes_max);
                if count > 0 || bytes.is_empty() {
                    break count;
                }
                if windows.streams.get(&stream).is_none_or(|stream| stream.request.reset.is_some()) {
                    return Ok(());
                }
                windows = self.sleep(windows)?;
            };
            let (part, rest) = bytes.split_at(count);
            let length = i64::try_from(count).unwrap_or(i64::MAX);
            windows.connection -= length;
            if let Some(stream) = windows.streams.get_mut(&stream) {
                stream.window -= length;
            }
            drop(windows);
            let flags = if ends && rest.is_empty() { flag::END_STREAM } else { 0 };
            self.write(&Frame::data(stream, flags, part))?;
            if rest.is_empty() {
                return Ok(());
            }
            bytes = rest;
        }
    }

    fn echo(&self, stream: u32) -> Result<(), End> {
        let mut sent = 0;
        loop {
            self.wait(stream, |request| {
                request.body.len() > sent || request.ended || request.reset.is_some()
            })?;
            let request = {
                let windows = locked(&self.windows);
                windows.streams.get(&stream).map(|stream| stream.request.clone()).unwrap_or_default()
            };
            let ends = request.ended;
            self.write_data(stream, &request.body[sent..], ends)?;
            sent = request.body.len();
            if ends || request.reset.is_some() {
                return Ok(());
            }
        }
    }

    fn wait(&self, stream: u32, so: impl Fn(&Recorded) -> bool) -> Result<(), End> {
        let mut windows = locked(&self.windows);
        while !windows.streams.get(&stream).is_some_and(|stream| so(&stream.request)) {
            windows = self.sleep(windows)?;
        }
        Ok(())
    }

    /// Until something has changed; a connection that is over, or silent for too long, ends the wait.
    fn sleep<'a>(&self, windows: MutexGuard<'a, Windows>) -> Result<MutexGuard<'a, Windows>, End> {
        if windows.over {
            return Err(End::Gone);
        }
        let deadline = Instant::now() + PATIENCE * 4;
        let (windows, _) =
            self.changed.wait_timeout(windows, PATIENCE * 4).unwrap_or_else(PoisonError::into_inner);
        if Instant::now() >= deadline { Err(End::Gone) } else { Ok(windows) }
    }
}

fn literal(block: Block, (name, value): &Field) -> Block {
    block.literal(name, value)
}

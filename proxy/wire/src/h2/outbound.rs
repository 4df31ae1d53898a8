//! What we send on streams: heads, bodies as far as the windows reach, and ends.

use bytes::Bytes;

use super::engine::{Engine, OUT_BYTES_MAX, Role};
use super::frames::{self, HEAD_BYTES, flag, kind};
use super::hpack::Encoder;
use super::streams::End;
use super::{Code, fields};

/// The longest frame that any peer takes (RFC 9113 §6.5.2).
const FRAME_BYTES_MAX: usize = 16 * 1024;

impl Engine {
    /// Sends a head that `write` encodes.
    pub(super) fn write_head(&mut self, id: u32, ends: bool, write: impl FnOnce(&mut Encoder, &mut Vec<u8>)) {
        let flags = if ends { flag::END_STREAM } else { 0 };
        let at = self.out.len();
        self.write_frame(kind::HEADERS, flags | flag::END_HEADERS, id, &[]);
        self.encoder.begin(&mut self.out);
        write(&mut self.encoder, &mut self.out);
        let block = at + HEAD_BYTES;
        if self.out.len() - block > FRAME_BYTES_MAX {
            self.cut_block(at, flags, id);
        } else {
            let [_, high, middle, low] = ((self.out.len() - block) as u32).to_be_bytes();
            self.out[at..at + 3].copy_from_slice(&[high, middle, low]);
        }
        self.tariff.spoke();
    }

    /// A block that is longer than a frame goes on in others (RFC 9113 §6.10).
    #[cold]
    fn cut_block(&mut self, at: usize, flags: u8, id: u32) {
        let block = self.out.split_off(at + HEAD_BYTES);
        self.out.truncate(at);
        let mut parts = block.chunks(FRAME_BYTES_MAX).peekable();
        let (mut kind, mut flags) = (kind::HEADERS, flags);
        while let Some(part) = parts.next() {
            let end = if parts.peek().is_none() { flag::END_HEADERS } else { 0 };
            self.write_frame(kind, flags | end, id, part);
            (kind, flags) = (kind::CONTINUATION, 0);
        }
    }

    /// Bytes of a body that the peer's windows let a stream send.
    pub(super) fn stream_window(&self, key: u32) -> usize {
        usize::try_from(self.streams.window(key).min(self.window)).unwrap_or(0)
    }

    /// Bytes of a body that a stream may send now.
    pub(super) fn room(&mut self, key: u32) -> usize {
        let out = OUT_BYTES_MAX.saturating_sub(self.out.len());
        let connection = self.window;
        let stream = self.streams.at(key);
        if stream.we_ended || stream.end.is_some() || !stream.pending.is_empty() {
            return 0;
        }
        usize::try_from(stream.window.min(connection)).unwrap_or(0).min(out)
    }

    /// Sends as much of `data` as there is room for; how much that was. With `ends` it is the last of a body.
    pub(super) fn write_data(&mut self, key: u32, data: &[u8], ends: bool) -> usize {
        let sent = self.room(key).min(data.len());
        if sent < data.len() {
            self.write_run(key, &data[..sent], false);
            self.wait(key);
        } else if ends || sent > 0 {
            self.write_run(key, data, ends);
        }
        sent
    }

    /// A stream that the windows do not hold back waits for others' bytes to be sent.
    pub(super) fn wait(&mut self, key: u32) {
        let connection = self.window;
        let stream = self.streams.at(key);
        if stream.window > 0 && connection > 0 && !stream.is_waiting && stream.is_open() {
            stream.is_waiting = true;
            self.waiting.push_back(key);
        }
    }

    /// Writes frames for which there is room.
    fn write_run(&mut self, key: u32, data: &[u8], ends: bool) {
        let id = self.streams.at(key).id;
        let mut parts = data.chunks(FRAME_BYTES_MAX).peekable();
        if data.is_empty() && ends {
            self.write_frame(kind::DATA, flag::END_STREAM, id, &[]);
        }
        while let Some(part) = parts.next() {
            let is_last = ends && parts.peek().is_none();
            let flags = if is_last { flag::END_STREAM } else { 0 };
            let payload_bytes = part.len() as u32;
            frames::Head { payload_bytes, kind: kind::DATA, flags, stream: id }.write(&mut self.out);
            self.out.extend_from_slice(part);
            self.tariff.sent(payload_bytes);
        }
        self.stir();
        self.window -= data.len() as i64;
        self.sent_bytes += data.len() as u64;
        self.streams.at(key).window -= data.len() as i64;
        if ends {
            self.end_stream(key);
        }
    }

    /// Our side of a stream has ended.
    pub(super) fn end_stream(&mut self, key: u32) {
        let stream = self.streams.at(key);
        stream.we_ended = true;
        let is_over = stream.peer_ended;
        if self.role == Role::Server {
            self.tariff.done();
        }
        if is_over {
            self.close(key);
        }
    }

    /// Sends bytes, or lets them wait for room.
    pub(super) fn send(&mut self, key: u32, bytes: Bytes, ends: bool) -> Result<(), Code> {
        let stream = self.streams.at(key);
        if let Some(end) = stream.end {
            return Err(end.code());
        }
        if stream.we_ended || stream.pending.ends {
            return Err(Code::StreamClosed);
        }
        if !bytes.is_empty() {
            stream.pending.pieces.push_back(bytes);
        }
        stream.pending.ends = ends;
        self.pump(key);
        Ok(())
    }

    /// Ends a body with trailers, once what waits has gone.
    pub(super) fn send_trailers(&mut self, key: u32, trailers: &message::Headers) -> Result<(), Code> {
        let stream = self.streams.at(key);
        if let Some(end) = stream.end {
            return Err(end.code());
        }
        if stream.we_ended || stream.pending.ends {
            return Err(Code::StreamClosed);
        }
        if stream.pending.is_empty() {
            self.write_trailers(key, trailers);
        } else {
            stream.pending.ends = true;
            stream.pending.trailers = Some(Box::new(trailers.clone()));
        }
        Ok(())
    }

    fn write_trailers(&mut self, key: u32, trailers: &message::Headers) {
        let id = self.streams.at(key).id;
        self.write_head(id, true, |encoder, out| fields::write(encoder, trailers, fields::OF_THE_HOP, out));
        self.end_stream(key);
    }

    /// Sends what waits on a stream, as far as there is room.
    pub(super) fn pump(&mut self, key: u32) {
        loop {
            let stream = self.streams.at(key);
            if stream.pending.is_empty() || !stream.is_open() {
                return;
            }
            let Some(mut piece) = stream.pending.pieces.pop_front() else {
                stream.pending.ends = false;
                match stream.pending.trailers.take() {
                    Some(trailers) => self.write_trailers(key, &trailers),
                    None => self.write_run(key, &[], true),
                }
                return;
            };
            let pending = std::mem::take(&mut stream.pending);
            let (is_last, length) =
                (pending.pieces.is_empty() && pending.ends && pending.trailers.is_none(), piece.len());
            let sent = self.write_data(key, &piece, is_last);
            if sent == length && is_last {
                return;
            }
            let stream = self.streams.at(key);
            stream.pending = pending;
            if sent < length {
                stream.pending.pieces.push_front(piece.split_off(sent));
                return;
            }
        }
    }

    /// Ends a stream with `RST_STREAM`, unless it has ended.
    pub(super) fn reset(&mut self, key: u32, end: End) {
        let stream = self.streams.at(key);
        if !stream.is_open() {
            return;
        }
        let (id, is_remembered) = (stream.id, !stream.peer_ended);
        self.write_frame(kind::RST_STREAM, 0, id, &end.code().number().to_be_bytes());
        if is_remembered {
            self.streams.remember(id);
        }
        self.over(key, end);
    }

    /// A part of a stream is given up. With the last of them it ends, if it has not.
    pub(super) fn release(&mut self, key: u32) {
        let stream = self.streams.at(key);
        stream.handles -= 1;
        if stream.handles > 0 {
            return;
        }
        if stream.is_open() {
            // A client whose request was answered need not send the rest of it (RFC 9113 §8.1).
            let is_answered = self.role == Role::Server && stream.we_ended;
            let code = if is_answered { Code::NoError } else { Code::Cancel };
            self.reset(key, End::Own(code));
        } else {
            self.free(key);
        }
    }
}

//! What comes from the other side: answered where it must be, and judged. What RFC 9113 does not allow is an error with its
//! section.

use super::{
    Connection, FRAME_BYTES, Frame, GoAway, Stream, WINDOW_BYTES, WINDOW_BYTES_MAX, code, flag, kind, setting,
};

impl Connection {
    pub(super) fn set_stream_window(&mut self, bytes: i64) {
        let change = bytes - self.stream_window;
        self.stream_window = bytes;
        for stream in self.streams.values_mut() {
            stream.receive_window += change;
        }
    }

    /// Takes a frame in: answers it, and says what is wrong with it.
    pub(super) fn take(&mut self, frame: &Frame) -> Result<(), String> {
        let allowed = self.options.settings.iter().find(|(name, _)| *name == setting::MAX_FRAME_SIZE);
        let allowed = allowed.and_then(|(_, bytes)| usize::try_from(*bytes).ok()).unwrap_or(FRAME_BYTES);
        if frame.payload.len() > allowed {
            return Err(format!("{} bytes of payload (RFC 9113, 4.2)", frame.payload.len()));
        }
        if let Some((stream, ..)) = self
            .block
            .as_ref()
            .filter(|(stream, ..)| frame.kind != kind::CONTINUATION || frame.stream != *stream)
        {
            return Err(format!("a frame within the header block of stream {stream} (RFC 9113, 6.10)"));
        }
        match frame.kind {
            kind::DATA => self.take_data(frame),
            kind::HEADERS => {
                self.take_block(frame.stream, frame.has(flag::END_STREAM), frame.content()?, frame)
            }
            kind::CONTINUATION => {
                let (stream, ends, mut block) = self.block.take().ok_or("CONTINUATION behind nothing")?;
                block.extend_from_slice(&frame.payload);
                self.take_block(stream, ends, &block, frame)
            }
            kind::RST_STREAM => {
                let code = frame.word(0).filter(|_| frame.payload.len() == 4).ok_or("RST_STREAM's length")?;
                // Streams that were left out are closed as well (RFC 9113, 5.1.1), and may be told so.
                if frame.stream < self.next_stream && !self.streams.contains_key(&frame.stream) {
                    self.add_stream(frame.stream, "");
                }
                self.stream(frame.stream)?.answer.take_reset(code)
            }
            kind::SETTINGS => self.take_settings(frame),
            kind::PING if frame.stream != 0 || frame.payload.len() != 8 => {
                Err("PING (RFC 9113, 6.7)".to_owned())
            }
            kind::PING if !frame.has(flag::ACK) => {
                self.answer(&Frame::ping_ack(frame.payload.clone()));
                Ok(())
            }
            kind::GOAWAY => self.take_go_away(frame),
            kind::WINDOW_UPDATE => {
                let more = frame.word(0).filter(|&more| more != 0 && frame.payload.len() == 4);
                let more = i64::from(more.ok_or("WINDOW_UPDATE (RFC 9113, 6.9)")?);
                let window = match frame.stream {
                    0 => &mut self.send_window,
                    stream => &mut self.stream(stream)?.send_window,
                };
                *window += more;
                if *window > WINDOW_BYTES_MAX.into() {
                    return Err(format!("a window of {window} (RFC 9113, 6.9.1)"));
                }
                Ok(())
            }
            kind::PUSH_PROMISE => Err("a promise, and we said no (RFC 9113, 6.6)".to_owned()),
            _ => Ok(()),
        }
    }

    fn take_data(&mut self, frame: &Frame) -> Result<(), String> {
        let length = i64::try_from(frame.payload.len()).unwrap_or(i64::MAX);
        let ends = frame.has(flag::END_STREAM);
        self.receive_window -= length;
        let stream = self.stream(frame.stream)?;
        stream.receive_window -= length;
        stream.answer.take_data(frame.content()?, ends)?;
        let of_stream = stream.receive_window;
        if length > 0 && (of_stream < 0 || self.receive_window < 0) {
            return Err(format!(
                "DATA beyond the windows, {of_stream} and {} (RFC 9113, 6.9)",
                self.receive_window
            ));
        }
        if self.options.answers {
            let low = |window: i64, full: i64| window < full / 2;
            if !ends && low(of_stream, self.stream_window) {
                self.credit(frame.stream, self.stream_window - of_stream);
            }
            let full = i64::from(self.options.window_bytes.max(WINDOW_BYTES));
            if low(self.receive_window, full) {
                self.credit(0, full - self.receive_window);
            }
        }
        Ok(())
    }

    fn credit(&mut self, stream: u32, bytes: i64) {
        let update = Frame::window_update(stream, u32::try_from(bytes).unwrap_or(WINDOW_BYTES_MAX));
        self.answer(&update);
        self.note_sent(&update);
    }

    fn take_block(&mut self, stream: u32, ends: bool, block: &[u8], frame: &Frame) -> Result<(), String> {
        if !frame.has(flag::END_HEADERS) {
            self.block = Some((stream, ends, block.to_vec()));
            return Ok(());
        }
        let fields = self.decoder.decode_text(block)?;
        self.stream(stream)?.answer.take_fields(fields, ends)
    }

    fn take_settings(&mut self, frame: &Frame) -> Result<(), String> {
        if frame.stream != 0 || !frame.payload.len().is_multiple_of(6) {
            return Err("SETTINGS (RFC 9113, 6.5)".to_owned());
        }
        if frame.has(flag::ACK) {
            let settings = self.unacknowledged.pop_front();
            let settings = settings.or_else(|| self.raw.then(Vec::new)).ok_or("an ACK of nothing")?;
            let window = settings.iter().rfind(|(name, _)| *name == setting::INITIAL_WINDOW_SIZE);
            if let Some(&(_, bytes)) = window {
                self.set_stream_window(bytes.into());
            }
            return if frame.payload.is_empty() { Ok(()) } else { Err("an ACK that says more".to_owned()) };
        }
        for (name, value) in frame.as_settings() {
            let before = self.peer.insert(name, value);
            match name {
                setting::INITIAL_WINDOW_SIZE => {
                    let change = i64::from(value) - i64::from(before.unwrap_or(WINDOW_BYTES));
                    self.streams.values_mut().for_each(|stream| stream.send_window += change);
                }
                setting::HEADER_TABLE_SIZE => {
                    self.encoder.limit(usize::try_from(value).unwrap_or(usize::MAX))
                }
                _ => {}
            }
        }
        self.answer(&Frame::settings_ack());
        Ok(())
    }

    fn take_go_away(&mut self, frame: &Frame) -> Result<(), String> {
        let (Some(last_stream), Some(code), 0) = (frame.word(0), frame.word(4), frame.stream) else {
            return Err("GOAWAY (RFC 9113, 6.8)".to_owned());
        };
        if self.gone.last().is_some_and(|before| before.last_stream < last_stream) {
            return Err("GOAWAY with a later stream than before (RFC 9113, 6.8)".to_owned());
        }
        // What it has not seen it will not answer; it may be asked elsewhere.
        for (_, stream) in self.streams.range_mut(last_stream.saturating_add(1)..) {
            if !stream.answer.is_over() {
                stream.answer.response.reset = Some(code::REFUSED_STREAM);
            }
        }
        self.gone.push(GoAway { last_stream, code, debug: frame.payload[8..].to_vec() });
        Ok(())
    }

    /// The other side speaks of streams that we have opened, and no others.
    fn stream(&mut self, stream: u32) -> Result<&mut Stream, String> {
        if stream == 0 || !self.streams.contains_key(&stream) && !self.raw {
            return Err(format!("stream {stream} was never opened (RFC 9113, 5.1.1)"));
        }
        Ok(self.add_stream(stream, ""))
    }

    fn answer(&mut self, frame: &Frame) {
        if self.options.answers {
            // Who is gone shows it by the next read.
            let _gone = self.link.write(&frame.bytes());
        }
    }
}

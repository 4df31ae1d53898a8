//! DATA frames: what they count against, and whose bytes they bring (RFC 9113 §6.1).

use super::Data;
use crate::h2::Code;
use crate::h2::engine::{Engine, Role};
use crate::h2::frames::{Head as Frame, flag};

impl Engine {
    /// RFC 9113 §6.1. All of a frame counts against the windows.
    pub(super) fn begin_data(&mut self, frame: Frame) -> Result<(), Code> {
        let Frame { payload_bytes: bytes, flags, stream: id, .. } = frame;
        let is_padded = flags & flag::PADDED != 0;
        if is_padded && bytes == 0 {
            return Err(Code::FrameSizeError);
        }
        self.inbound.data = Data { key: None, padding: (!is_padded).then_some(0), has_some: false };
        self.peers_window -= i64::from(bytes);
        if self.peers_window < 0 {
            return Err(Code::FlowControlError);
        }
        if self.role == Role::Client {
            self.credit_connection(bytes);
        }
        let Some(key) = self.streams.find(id) else {
            // What was under way when we reset it.
            return if self.streams.was_reset(id) { Ok(()) } else { Err(Code::StreamClosed) };
        };
        let is_client = self.role == Role::Client;
        let stream = self.streams.at(key);
        if stream.peer_ended {
            return Err(Code::StreamClosed);
        }
        stream.peers_window -= i64::from(bytes);
        if stream.peers_window < 0 {
            self.refuse(key, Code::FlowControlError);
        } else if is_client && !stream.has_peers_head {
            self.refuse(key, Code::ProtocolError);
        } else {
            self.inbound.data.key = Some(key);
        }
        Ok(())
    }

    /// The place of the stream whose DATA frame is being read: it may be gone by now.
    fn data_key(&self) -> Option<u32> {
        self.inbound.data.key.filter(|key| self.streams.holds(*key, self.inbound.frame.stream))
    }

    pub(super) fn read_data(&mut self, part: &[u8]) {
        let left = self.inbound.left as usize;
        let (key, padding) = (self.data_key(), self.inbound.data.padding);
        let (part, padding, counted) = match (padding, part) {
            (None, [padding, part @ ..]) => {
                // What is left begins with this byte.
                if usize::from(*padding) >= left {
                    return self.fail(Code::ProtocolError);
                }
                self.inbound.data.padding = Some((*padding).into());
                (part, usize::from(*padding), left - 1)
            }
            (padding, part) => (part, padding.unwrap_or(0) as usize, left),
        };
        let data = &part[..part.len().min(counted - padding.min(counted))];
        // The byte that told of padding, and padding, are nobody's.
        let others = part.len() - data.len() + left - counted;
        if others > 0 {
            self.give_back(key, others);
        }
        if data.is_empty() {
            return;
        }
        self.inbound.data.has_some = true;
        let Some(key) = key else { return self.give_back(None, data.len()) };
        let stream = self.streams.at(key);
        match &mut stream.length_left {
            Some(left) if *left < data.len() as u64 => {
                self.give_back(None, data.len());
                return self.refuse(key, Code::ProtocolError);
            }
            Some(left) => *left -= data.len() as u64,
            None => {}
        }
        if stream.is_read {
            self.streams.push(key, data);
        } else {
            self.give_back(None, data.len());
        }
    }

    pub(super) fn end_data(&mut self) {
        let has_some = self.inbound.data.has_some;
        let ends = self.inbound.has(flag::END_STREAM);
        if !has_some && !ends {
            self.tariff.empty_data();
        }
        let Some(key) = self.data_key() else { return };
        if ends {
            self.end_body(key);
        } else if has_some {
            self.wake_reader(key);
        }
    }

    /// The peer has ended a stream.
    pub(super) fn end_body(&mut self, key: u32) {
        let is_client = self.role == Role::Client;
        let stream = self.streams.at(key);
        if stream.length_left.is_some_and(|left| left > 0) {
            return self.refuse(key, Code::ProtocolError);
        }
        stream.peer_ended = true;
        let is_over = stream.we_ended;
        let came = stream.read_bytes as usize + stream.body.bytes().len();
        if is_client {
            self.expect(came);
            self.tariff.done();
        }
        self.wake_reader(key);
        if is_over {
            self.close(key);
        }
    }
}

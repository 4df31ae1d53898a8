//! How much each open stream, and the connection, may send by what the peer has granted (RFC 9113 §6.9), read off the
//! frames that pass. The codec keeps the same account and shows it to nobody.

/// Streams that are followed; of those beyond, more than either side may have open, nothing is known.
const STREAMS_MAX: usize = 256;

/// Windows before anybody has said anything.
const INITIAL_BYTES: i64 = 65_535;

/// An open stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) id: u32,
    /// Bytes that we may send; below zero after the peer has lowered its settings.
    pub(super) window: i64,
    /// Bytes of ours that the codec has and has not sent.
    queued: usize,
    /// Nobody is there any more who would read what the peer sends.
    pub(super) is_unread: bool,
    /// It was handed on to whoever answers; others the codec answers itself.
    pub(super) is_served: bool,
    /// We have sent a head on it.
    pub(super) has_head: bool,
    pub(super) we_ended: bool,
    pub(super) peer_ended: bool,
}

/// All windows of a connection.
#[derive(Debug)]
pub(super) struct Windows {
    /// By their numbers, which only grow.
    open: Vec<Stream>,
    connection: i64,
    initial: i64,
    last_id: u32,
    /// Of all streams together.
    queued: usize,
}

impl Default for Windows {
    fn default() -> Self {
        let (connection, initial) = (INITIAL_BYTES, INITIAL_BYTES);
        Self { open: Vec::new(), connection, initial, last_id: 0, queued: 0 }
    }
}

impl Windows {
    /// Takes note of a head on a stream; whether it opens it. That of trailers, or of an answer, does not.
    pub(super) fn open(&mut self, id: u32) -> bool {
        if id <= self.last_id {
            return false;
        }
        self.last_id = id;
        if self.open.len() < STREAMS_MAX {
            let window = self.initial;
            self.open.push(Stream {
                id,
                window,
                queued: 0,
                is_unread: false,
                is_served: false,
                has_head: false,
                we_ended: false,
                peer_ended: false,
            });
        }
        true
    }

    /// The stream of that number, if it is open and followed.
    pub(super) fn get(&mut self, id: u32) -> Option<&mut Stream> {
        let at = self.open.binary_search_by_key(&id, |stream| stream.id).ok()?;
        self.open.get_mut(at)
    }

    /// Forgets a stream that has ended; what was known of it.
    pub(super) fn close(&mut self, id: u32) -> Option<Stream> {
        let at = self.open.binary_search_by_key(&id, |stream| stream.id).ok()?;
        let stream = self.open.remove(at);
        self.queued -= stream.queued;
        Some(stream)
    }

    /// Counts bytes that the codec is given.
    pub(super) fn queue(&mut self, id: u32, bytes: usize) {
        if let Some(stream) = self.get(id) {
            stream.queued += bytes;
            self.queued += bytes;
        }
    }

    /// Bytes that the codec has and has not sent.
    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    /// Counts bytes that we sent on a stream.
    pub(super) fn send(&mut self, id: u32, bytes: u32) {
        self.connection -= i64::from(bytes);
        if let Some(stream) = self.get(id) {
            stream.window -= i64::from(bytes);
            let sent = stream.queued.min(bytes as usize);
            stream.queued -= sent;
            self.queued -= sent;
        }
    }

    /// Adds what the peer grants a stream, or the connection as stream 0; the window that this makes, if it is known.
    pub(super) fn grant(&mut self, id: u32, bytes: u32) -> Option<i64> {
        let window = match id {
            0 => &mut self.connection,
            id => &mut self.get(id)?.window,
        };
        *window = window.saturating_add(i64::from(bytes));
        Some(*window)
    }

    /// Moves all windows of streams to where they would be had they begun with `bytes` (RFC 9113 §6.9.2).
    pub(super) fn set_initial(&mut self, bytes: u32) {
        let difference = i64::from(bytes) - self.initial;
        self.initial += difference;
        for stream in &mut self.open {
            stream.window = stream.window.saturating_add(difference);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_follow_settings_grants_and_bytes() {
        let mut windows = Windows::default();
        assert!(windows.open(1) && windows.open(5) && !windows.open(3) && !windows.open(1));
        windows.send(1, 65_000);
        assert_eq!(
            (windows.grant(1, 1), windows.grant(0, 2), windows.grant(5, 3)),
            (Some(536), Some(537), Some(65_538))
        );
        windows.set_initial(10);
        assert_eq!((windows.grant(1, 0), windows.grant(0, 0)), (Some(536 - 65_525), Some(537)));
        assert!(windows.open(7));
        assert_eq!((windows.grant(7, 0), windows.grant(9, 0), windows.grant(3, 0)), (Some(10), None, None));
        assert_eq!(windows.close(5).map(|stream| stream.window), Some(13));
        assert_eq!((windows.close(5), windows.grant(5, 1)), (None, None));
        // What is queued is sent, or lost with its stream.
        windows.queue(1, 10);
        windows.queue(7, 20);
        windows.queue(9, 40);
        windows.send(7, 15);
        assert_eq!(windows.queued(), 15);
        windows.close(1);
        assert_eq!(windows.queued(), 5);
        windows.send(7, 6);
        assert_eq!((windows.queued(), windows.close(7).map(|stream| stream.window)), (0, Some(-11)));
    }

    #[test]
    fn more_streams_than_anybody_may_have_are_not_followed() {
        let mut windows = Windows::default();
        for number in 0..2 * STREAMS_MAX as u32 {
            assert!(windows.open(2 * number + 1));
        }
        assert_eq!(windows.open.len(), STREAMS_MAX);
        windows.send(u32::MAX, 1);
        assert_eq!(windows.grant(0, 0), Some(INITIAL_BYTES - 1));
    }
}

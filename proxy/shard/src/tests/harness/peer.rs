//! The other end of a connection: a client or a backend of which a test says what it does and what it must see.

use std::io;

use runtime::{Handle, Received, Stream};

use super::{
    http::{self, End, Message},
    node::front,
};
use crate::transport::Transport;

/// A client or a backend.
pub(in crate::tests) struct Peer {
    transport: Transport,
    unread: Vec<u8>,
    end: Option<End>,
    pub(super) fields: Vec<(String, String)>,
}

impl Peer {
    pub(super) fn new(transport: Transport) -> Self {
        Self { transport, unread: Vec::new(), end: None, fields: Vec::new() }
    }

    pub(in crate::tests) fn plain(stream: Stream) -> Self {
        Self::new(Transport::plain(stream))
    }

    /// A client's connection to a core.
    pub(in crate::tests) async fn connect(handle: &Handle, core: usize) -> io::Result<Self> {
        Ok(Self::plain(handle.connect(front(core)).await?))
    }

    /// Its connection, what has come of it and how it has ended, for who goes on in another protocol.
    pub(super) fn into_parts(self) -> (Transport, Vec<u8>, Option<End>) {
        (self.transport, self.unread, self.end)
    }

    pub(in crate::tests) fn send(&self, bytes: &[u8]) {
        self.transport.write(|out| out.extend_from_slice(bytes));
    }

    pub(in crate::tests) fn finish(&self) {
        self.transport.finish();
    }

    /// Waits until everything has left, or can't.
    pub(in crate::tests) async fn sent(&self) {
        // Who sees the failure is the one who receives.
        let _sent = self.transport.sent_below(1).await;
    }

    pub(in crate::tests) fn abort(self) {
        self.transport.abort();
    }

    /// The next message, in one line.
    pub(in crate::tests) async fn message(&mut self, head_only: bool) -> String {
        loop {
            if let Some(message) = http::read(&self.unread, self.end, head_only) {
                let Message { bytes, line, fields } = message;
                self.unread.drain(..bytes);
                self.fields = fields;
                return line;
            }
            self.fill().await;
        }
    }

    /// The head of the next message, in one line. The message is still to be read.
    pub(in crate::tests) async fn head(&mut self) -> String {
        loop {
            if let Some(message) = http::read(&self.unread, self.end, true) {
                return message.line;
            }
            self.fill().await;
        }
    }

    /// So many bytes as they are, or what there is before the end.
    pub(in crate::tests) async fn raw(&mut self, bytes: usize) -> Vec<u8> {
        while self.unread.len() < bytes && self.end.is_none() {
            self.fill().await;
        }
        self.unread.drain(..bytes.min(self.unread.len())).collect()
    }

    /// The next bytes as they come: over TLS, those of one record.
    pub(in crate::tests) async fn piece(&mut self) -> Vec<u8> {
        assert!(self.unread.is_empty(), "nothing is left from before");
        self.fill().await;
        std::mem::take(&mut self.unread)
    }

    /// All that comes until there is an end, and the end.
    pub(in crate::tests) async fn rest(&mut self) -> (Vec<u8>, &'static str) {
        loop {
            if let Some(end) = self.end {
                return (std::mem::take(&mut self.unread), end.as_str());
            }
            self.fill().await;
        }
    }

    /// What has come and was not read; for messages of failed tests, and to see that nothing came.
    pub(in crate::tests) fn now(&mut self) -> String {
        while self.end.is_none() {
            let received = self.transport.try_receive(|bytes| (bytes.len(), bytes.to_vec()));
            match received {
                Ok(None) => break,
                received => self.take(received.map(|received| received.unwrap_or(Received::End))),
            }
        }
        let text = http::describe_body(&self.unread);
        match self.end {
            None => text,
            Some(end) => format!("{text}!{}", end.as_str()),
        }
    }

    /// The fields of the message that was read last.
    pub(in crate::tests) fn fields(&self) -> &[(String, String)] {
        &self.fields
    }

    /// Whether there is a whole request from somebody who still waits for the answer.
    pub(super) fn is_asked(&mut self) -> bool {
        self.now();
        self.end.is_none() && http::read(&self.unread, None, false).is_some()
    }

    /// It never came to be.
    pub(super) fn fail(&mut self) {
        self.end = Some(End::Reset);
    }

    async fn fill(&mut self) {
        let received = self.transport.receive(|bytes| (bytes.len(), bytes.to_vec())).await;
        self.take(received);
    }

    fn take(&mut self, received: io::Result<Received<Vec<u8>>>) {
        match received {
            Ok(Received::Bytes(bytes)) => self.unread.extend_from_slice(&bytes),
            Ok(Received::End) => self.end = Some(End::Fin),
            Err(_) => self.end = Some(End::Reset),
        }
    }
}

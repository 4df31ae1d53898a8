//! One TLS connection, either side: cipher bytes in, plain bytes out, and back.
//! This module does not know sockets, time or HTTP. Whoever drives it bounds how long a handshake may
//! take and how much is written before it is drained.
//!
//! rustls's buffered API is used on purpose: in 0.23 the unbuffered one copies each record just as often
//! (decrypted records and sealed ones pass through a `Vec` of their own in both), and has no
//! `Acceptor`, which alone lets protocol versions and suites differ by server name.

use std::io::{self, BufRead, IoSlice, Read, Write};
use std::sync::Arc;

use rustls::server::{AcceptedAlert, Acceptor};
use rustls::{CipherSuite, Connection, HandshakeKind, ProtocolVersion};

use crate::{Client, Error, Server};

/// Bytes a peer may send before its handshake is done. rustls holds one message to 64 KiB; a chain and
/// a hello of that size each still fit.
pub const HANDSHAKE_BYTES_MAX: usize = 160 * 1024;
/// Decrypted bytes above which no more cipher bytes are taken in. What is held at once is this and at
/// most one record (16 KiB) more.
pub const PLAIN_BYTES_MAX: usize = 16 * 1024;
/// rustls's bound on one handshake message.
const MESSAGE_BYTES_MAX: usize = 0xffff;

/// One TLS connection.
pub struct Session {
    stage: Stage,
    /// Cipher bytes taken in before the handshake was done.
    handshake_bytes: usize,
    /// Decrypted bytes that wait in rustls.
    plain_bytes: usize,
    /// Cipher bytes not drained that the peer does not wait for: tickets.
    unhurried_bytes: usize,
    /// All cipher bytes that [`Self::feed`] left to be drained.
    answer_bytes: usize,
    peer_closed: bool,
    /// Why the connection is over.
    failed: Option<rustls::Error>,
}

/// Boxed: a session sits in a slab beside thousands of others and stays a few words long.
enum Stage {
    /// The ClientHello has not come whole, so the virtual server is not known.
    Accepting {
        acceptor: Box<Acceptor>,
        server: Arc<Server>,
        unsent_plain: Vec<u8>,
    },
    Open(Box<Connection>),
    /// Refused before there was a connection; what is left to say.
    Refused {
        alert: Vec<u8>,
        /// Lower-case, as the client sent it.
        sni: Option<Box<str>>,
    },
}

impl Session {
    /// The server's side of a new connection. Which certificate and policy it uses follows from the
    /// ClientHello: the exact name, else its one-label wildcard, else the first certificate.
    pub fn server(server: &Arc<Server>) -> Self {
        Self::new(Stage::Accepting {
            acceptor: Box::default(),
            server: server.clone(),
            unsent_plain: Vec::new(),
        })
    }

    /// The client's side, verifying the peer as `host` (a DNS name or an IP address, no port). The
    /// ClientHello is ready to be drained.
    ///
    /// # Errors
    /// [`Error::ServerName`] when `host` is neither.
    pub fn client(client: &Client, host: &str) -> Result<Self, Error> {
        Ok(Self::open(Connection::Client(client.connect(host)?)))
    }

    fn open(mut connection: Connection) -> Self {
        // The caller bounds what it writes; a limit here would cut it short without a word.
        connection.set_buffer_limit(None);
        Self::new(Stage::Open(Box::new(connection)))
    }

    fn new(stage: Stage) -> Self {
        Self {
            stage,
            handshake_bytes: 0,
            plain_bytes: 0,
            unhurried_bytes: 0,
            answer_bytes: 0,
            peer_closed: false,
            failed: None,
        }
    }

    /// Takes in cipher bytes and returns how many: all of them, unless more than [`PLAIN_BYTES_MAX`] wait
    /// in [`Self::plain`]; then the rest is to be given again. What must be answered is in
    /// [`Self::drain`] afterwards. Bytes after the peer's `close_notify` are taken and ignored (RFC 8446 §6.1).
    ///
    /// # Errors
    /// The connection is over; the alert for the peer is in [`Self::drain`]. Further calls give the same.
    pub fn feed(&mut self, cipher: &[u8]) -> Result<usize, Error> {
        if let Some(error) = &self.failed {
            return Err(Error::Handshake(error.clone()));
        }
        let mut rest = cipher;
        while !rest.is_empty() && self.plain_bytes <= PLAIN_BYTES_MAX {
            if self.peer_closed {
                return Ok(cipher.len());
            }
            let before = rest.len();
            if !self.handshake_done() && self.handshake_bytes >= HANDSHAKE_BYTES_MAX {
                return Err(Error::HandshakeTooLong { max_bytes: HANDSHAKE_BYTES_MAX });
            }
            match &mut self.stage {
                Stage::Accepting { acceptor, .. } => acceptor.read_tls(&mut rest).map(drop),
                Stage::Open(connection) => connection.read_tls(&mut rest).map(drop),
                Stage::Refused { .. } => break,
            }
            // Its buffer is full of one unfinished message.
            .map_err(|_| Error::HandshakeTooLong { max_bytes: MESSAGE_BYTES_MAX })?;
            self.process()?;
            if !self.handshake_done() {
                self.handshake_bytes += before - rest.len();
            }
            debug_assert!(rest.len() < before, "each turn takes bytes");
        }
        Ok(cipher.len() - rest.len())
    }

    /// Works off what was read.
    fn process(&mut self) -> Result<(), Error> {
        if matches!(self.stage, Stage::Accepting { .. }) {
            self.accept()?;
        }
        let Stage::Open(connection) = &mut self.stage else { return Ok(()) };
        let handshaking = connection.is_handshaking();
        match connection.process_new_packets() {
            Ok(state) => {
                self.plain_bytes = state.plaintext_bytes_to_read();
                self.peer_closed = state.peer_has_closed();
                self.answer_bytes = state.tls_bytes_to_write();
                // In TLS 1.3 a server's handshake ends with the client's last message: what it says to that is tickets.
                if handshaking && !connection.is_handshaking() && is_1_3_server(connection) {
                    self.unhurried_bytes = self.answer_bytes;
                }
                Ok(())
            }
            Err(error) => {
                self.failed = Some(error.clone());
                Err(Error::Handshake(error))
            }
        }
    }

    /// Looks whether the ClientHello is whole, and if so goes on as the virtual server it asks for.
    fn accept(&mut self) -> Result<(), Error> {
        let Stage::Accepting { acceptor, server, unsent_plain } = &mut self.stage else { return Ok(()) };
        let accepted = match acceptor.accept() {
            Ok(None) => return Ok(()),
            Ok(Some(accepted)) => accepted,
            Err((error, alert)) => return Err(self.refuse(error, alert, None)),
        };
        let hello = accepted.client_hello();
        let config = server.config(hello.server_name());
        let unsent_plain = std::mem::take(unsent_plain);
        let sni = |name: &str| name.to_ascii_lowercase().into_boxed_str();
        let sni = hello.server_name().map(sni);
        match accepted.into_connection(config) {
            Ok(connection) => {
                *self = Self {
                    handshake_bytes: self.handshake_bytes,
                    ..Self::open(Connection::Server(connection))
                };
                self.write(&unsent_plain);
                Ok(())
            }
            Err((error, alert)) => Err(self.refuse(error, alert, sni)),
        }
    }

    fn refuse(&mut self, error: rustls::Error, mut alert: AcceptedAlert, sni: Option<Box<str>>) -> Error {
        let mut bytes = Vec::new();
        alert.write_all(&mut bytes).expect("a Vec takes every byte");
        self.stage = Stage::Refused { alert: bytes, sni };
        self.failed = Some(error.clone());
        Error::Handshake(error)
    }

    /// Whether both sides may send data.
    pub fn handshake_done(&self) -> bool {
        matches!(&self.stage, Stage::Open(connection) if !connection.is_handshaking())
    }

    /// Whether the handshake took up an earlier session.
    pub fn is_resumed(&self) -> bool {
        matches!(&self.stage, Stage::Open(connection) if connection.handshake_kind() == Some(HandshakeKind::Resumed))
    }

    /// The server name the client asked for, lower-case; none if it sent none, before its hello is
    /// whole, and on our own outgoing connections.
    pub fn sni(&self) -> Option<&str> {
        match &self.stage {
            Stage::Open(connection) => match &**connection {
                Connection::Server(connection) => connection.server_name(),
                Connection::Client(_) => None,
            },
            Stage::Refused { sni, .. } => sni.as_deref(),
            Stage::Accepting { .. } => None,
        }
    }

    /// The protocol agreed on, if any.
    pub fn alpn(&self) -> Option<&[u8]> {
        match &self.stage {
            Stage::Open(connection) => connection.alpn_protocol(),
            Stage::Accepting { .. } | Stage::Refused { .. } => None,
        }
    }

    /// `TLSv1.2` or `TLSv1.3`, as `$context.tlsVersion` has it; none before it is agreed.
    pub fn version_str(&self) -> Option<&'static str> {
        let Stage::Open(connection) = &self.stage else { return None };
        match connection.protocol_version()? {
            ProtocolVersion::TLSv1_2 => Some("TLSv1.2"),
            ProtocolVersion::TLSv1_3 => Some("TLSv1.3"),
            _ => None,
        }
    }

    /// The suite by its IANA name, as `$context.cipherSuite` has it; none before it is agreed.
    pub fn cipher_suite_str(&self) -> Option<&'static str> {
        let Stage::Open(connection) = &self.stage else { return None };
        iana_name(connection.negotiated_cipher_suite()?.suite())
    }

    /// Lends one contiguous run of decrypted bytes; `f` says how many it is done with. `None` if there
    /// are none now.
    pub fn plain<R>(&mut self, f: impl FnOnce(&[u8]) -> (usize, R)) -> Option<R> {
        let Stage::Open(connection) = &mut self.stage else { return None };
        let mut reader = connection.reader();
        // Any error here is "nothing now"; what is wrong with the connection, `feed` has said.
        let bytes = reader.fill_buf().ok().filter(|bytes| !bytes.is_empty())?;
        let (taken, result) = f(bytes);
        debug_assert!(taken <= bytes.len(), "no more can be done with than was lent");
        let taken = taken.min(bytes.len());
        reader.consume(taken);
        self.plain_bytes -= taken;
        Some(result)
    }

    /// Whether decrypted bytes wait in [`Self::plain`].
    pub fn has_plain(&self) -> bool {
        self.plain_bytes > 0
    }

    /// Whether the peer said it will send no more. An end of the stream without it may be a cut.
    pub fn is_closed(&self) -> bool {
        self.peer_closed
    }

    /// Seals plain bytes into records of at most 16 KiB, to be drained; before the handshake is done
    /// they are kept until it is. How much lies undrained is the caller's to bound. Goes nowhere on a
    /// connection that [`Self::feed`] has already reported as failed.
    pub fn write(&mut self, plain: &[u8]) {
        match &mut self.stage {
            Stage::Accepting { unsent_plain, .. } => unsent_plain.extend_from_slice(plain),
            Stage::Open(connection) => {
                // The only error is the fatal one of `feed`; without a limit all bytes are taken.
                if let Ok(taken) = connection.writer().write(plain) {
                    debug_assert_eq!(taken, plain.len());
                }
            }
            Stage::Refused { .. } => {}
        }
    }

    /// The same with two runs of bytes as if they were one, the second of them long: a record may hold of both.
    pub fn write_both(&mut self, first: &[u8], second: &[u8]) {
        let Stage::Open(connection) = &mut self.stage else {
            self.write(first);
            return self.write(second);
        };
        // As in `write`.
        if let Ok(taken) = connection.writer().write_vectored(&[IoSlice::new(first), IoSlice::new(second)]) {
            debug_assert_eq!(taken, first.len() + second.len());
        }
    }

    /// Appends the cipher bytes to be sent; true if there were any.
    pub fn drain(&mut self, out: &mut Vec<u8>) -> bool {
        let before = out.len();
        match &mut self.stage {
            Stage::Accepting { .. } => {}
            Stage::Open(connection) => {
                while connection.wants_write() {
                    connection.write_tls(out).expect("a Vec takes every byte");
                }
            }
            Stage::Refused { alert, .. } => out.append(alert),
        }
        (self.unhurried_bytes, self.answer_bytes) = (0, 0);
        out.len() > before
    }

    /// Whether the peer waits for what [`Self::feed`] has left for [`Self::drain`]. It does not for tickets: they are as
    /// good beside the first answer, and then cost no send of their own.
    pub fn has_pressing(&self) -> bool {
        self.failed.is_some() || self.answer_bytes > self.unhurried_bytes
    }

    /// Whether [`Self::drain`] has anything.
    pub fn wants_write(&self) -> bool {
        match &self.stage {
            Stage::Accepting { .. } => false,
            Stage::Open(connection) => connection.wants_write(),
            Stage::Refused { alert, .. } => !alert.is_empty(),
        }
    }

    /// Says that we will send no more: queues `close_notify`. Once is enough, twice does no harm.
    pub fn close(&mut self) {
        if let Stage::Open(connection) = &mut self.stage {
            connection.send_close_notify();
        }
    }

    /// Gives back what a burst has grown: what is left is one read buffer of 4 KiB. To be called when a connection goes
    /// idle; it costs little when there is nothing to give.
    pub fn shrink(&mut self) {
        if let Stage::Open(connection) = &mut self.stage {
            // rustls fits its buffer to the next read before it asks for bytes; there are none, which is
            // an error to it but not to us.
            connection.read_tls(&mut Nothing).ok();
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("sni", &self.sni())
            .field("handshake_done", &self.handshake_done())
            .field("peer_closed", &self.peer_closed)
            .finish_non_exhaustive()
    }
}

fn is_1_3_server(connection: &Connection) -> bool {
    matches!(connection, Connection::Server(_))
        && connection.protocol_version() == Some(ProtocolVersion::TLSv1_3)
}

/// A reader without bytes and without an end.
struct Nothing;

impl Read for Nothing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

/// RFC 8446 §B.4 and RFC 5289: the suites that [`crate::SecurityPolicy`] can agree on.
fn iana_name(suite: CipherSuite) -> Option<&'static str> {
    Some(match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => return other.as_str(),
    })
}

//! A connection's bytes, plain or through TLS: the rest of the shard does not see which.

use std::{
    cell::RefCell,
    io,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use runtime::{Handle, News, Received, Stream};
use tls::Session;

/// One end of a connection.
pub(crate) struct Transport {
    stream: Stream,
    secure: Option<Box<Secure>>,
}

/// What TLS adds.
struct Secure {
    handle: Handle,
    /// Of a client's connection: what listens there, for `sni` and the like; as it was when the connection was made.
    server: Option<Arc<tls::Server>>,
    session: RefCell<Session>,
    /// What is gathered to be sealed as one, while [`Transport::as_one`] runs.
    gathered: RefCell<Option<Vec<u8>>>,
}

impl Secure {
    fn new(handle: &Handle, session: Session, server: Option<Arc<tls::Server>>) -> Option<Box<Self>> {
        let session = RefCell::new(session);
        Some(Box::new(Self { handle: handle.clone(), server, session, gathered: RefCell::new(None) }))
    }
}

/// The longest record (RFC 8446 §5.1): what would make a longer one is sealed at once.
const RECORD_BYTES_MAX: usize = 16 << 10;

impl Transport {
    /// Plain.
    pub(crate) fn plain(stream: Stream) -> Self {
        Self { stream, secure: None }
    }

    /// A client's, over TLS; [`Transport::handshake`] comes next.
    pub(crate) fn server(handle: &Handle, stream: Stream, server: &Arc<tls::Server>) -> Self {
        Self { stream, secure: Secure::new(handle, Session::server(server), Some(server.clone())) }
    }

    /// A backend's, over TLS; [`Transport::handshake`] comes next.
    pub(crate) fn client(
        handle: &Handle,
        stream: Stream,
        client: &tls::Client,
        server_name: &str,
    ) -> io::Result<Self> {
        let session = Session::client(client, server_name).map_err(io::Error::other)?;
        Ok(Self { stream, secure: Secure::new(handle, session, None) })
    }

    /// The TLS session, if there is one.
    pub(crate) fn session(&self) -> Option<&RefCell<Session>> {
        self.secure.as_deref().map(|secure| &secure.session)
    }

    /// What listens where a client has connected over TLS.
    pub(crate) fn server_settings(&self) -> Option<&Arc<tls::Server>> {
        self.secure.as_deref()?.server.as_ref()
    }

    /// Carries the handshake to its end.
    pub(crate) async fn handshake(&self) -> io::Result<()> {
        let Some(session) = self.session() else { return Ok(()) };
        self.seal(session);
        while !session.borrow().handshake_done() {
            self.feed(session).await?;
        }
        Ok(())
    }

    /// Lends one run of received bytes; `take` says how many it took. What it leaves stays.
    /// Dropping the future loses nothing.
    pub(crate) async fn receive<R>(&self, take: impl FnOnce(&[u8]) -> (usize, R)) -> io::Result<Received<R>> {
        let Some(session) = self.session() else { return self.stream.receive(take).await };
        let mut take = Some(take);
        loop {
            if let Some(taken) = self.opened(session, &mut take) {
                return Ok(taken);
            }
            self.feed(session).await?;
        }
    }

    /// The same if there are bytes or the end is reached now.
    pub(crate) fn try_receive<R>(
        &self,
        take: impl FnOnce(&[u8]) -> (usize, R),
    ) -> io::Result<Option<Received<R>>> {
        let Some(session) = self.session() else { return self.stream.try_receive(take) };
        let mut take = Some(take);
        loop {
            if let Some(taken) = self.opened(session, &mut take) {
                return Ok(Some(taken));
            }
            match self.stream.try_receive(|cipher| open(session, cipher))? {
                None => return Ok(None),
                Some(Received::End) => return Ok(Some(Received::End)),
                Some(Received::Bytes(fed)) => self.settle(session, fed)?,
            }
        }
    }

    /// How much a receive is to bring at most, from now on: for a reader who may leave what is more.
    pub(crate) fn set_sparing(&self, bytes_max: Option<usize>) {
        self.stream.set_sparing(bytes_max);
    }

    /// Whether it is known that nothing has come; false where that is not known.
    pub(crate) fn is_quiet(&self) -> bool {
        self.secure.is_none() && self.stream.is_quiet()
    }

    /// Ready when bytes, the end or an error may be there.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let opened = self.session().is_some_and(|session| {
            let mut session = session.borrow_mut();
            session.is_closed() || session.plain(|_| (0, ())).is_some()
        });
        if opened { Poll::Ready(Ok(())) } else { self.stream.poll_readable(cx) }
    }

    /// Ready when the peer has gone: an end or an error, with nothing before it that is still to be read. A client that
    /// closes its half counts as gone, as it does for nginx: nobody can tell the two apart.
    pub(crate) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.secure.is_none() {
            return self.stream.poll_ended(cx);
        }
        match self.poll_news(cx) {
            Poll::Ready(News::End) => Poll::Ready(()),
            // The next request waits; what comes behind it can't be seen.
            Poll::Ready(News::Bytes) | Poll::Pending => Poll::Pending,
        }
    }

    /// Ready when bytes wait to be received, or can't come any more; it takes none of them.
    pub(crate) fn poll_news(&self, cx: &mut Context<'_>) -> Poll<News> {
        if self.secure.is_none() {
            return self.stream.poll_news(cx);
        }
        loop {
            match self.poll_readable(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(News::End),
                Poll::Ready(Ok(())) => {}
            }
            match self.try_receive(|_| (0, ())) {
                Ok(None) => {}
                Ok(Some(Received::Bytes(()))) => return Poll::Ready(News::Bytes),
                Ok(Some(Received::End)) | Err(_) => return Poll::Ready(News::End),
            }
        }
    }

    /// Gives back what only a busy connection needs.
    pub(crate) fn rest(&self) {
        if let Some(session) = self.session() {
            session.borrow_mut().shrink();
        }
    }

    /// Appends to what is sent at the end of this turn.
    pub(crate) fn write(&self, fill: impl FnOnce(&mut Vec<u8>)) {
        let Some(Secure { handle, session, gathered, .. }) = self.secure.as_deref() else {
            return self.stream.write(fill);
        };
        if let Some(gathered) = &mut *gathered.borrow_mut() {
            return fill(gathered);
        }
        let mut plain = handle.buffer();
        fill(&mut plain);
        session.borrow_mut().write(&plain);
        handle.recycle(plain);
        self.seal(session);
    }

    /// The same with bytes that lie elsewhere: when they are many, they are sent, or sealed, out of where they lie.
    pub(crate) fn write_through(&self, bytes: &[u8]) {
        let Some(Secure { session, gathered, .. }) = self.secure.as_deref() else {
            return self.stream.write_through(bytes);
        };
        match &mut *gathered.borrow_mut() {
            Some(gathered) if gathered.len() + bytes.len() <= RECORD_BYTES_MAX => {
                return gathered.extend_from_slice(bytes);
            }
            Some(gathered) => {
                session.borrow_mut().write_both(gathered, bytes);
                gathered.clear();
            }
            None => session.borrow_mut().write(bytes),
        }
        self.seal(session);
    }

    /// The same with bytes that others hold too: they are not copied if the connection is plain.
    pub(crate) fn write_shared(&self, bytes: Bytes) {
        match &self.secure {
            None => self.stream.write_shared(bytes),
            Some(_) => self.write_through(&bytes),
        }
    }

    /// Runs `f`, and seals what it writes in as few records as may be: a head and a short body are one and not two.
    pub(crate) fn as_one<R>(&self, f: impl FnOnce() -> R) -> R {
        let Some(Secure { handle, session, gathered, .. }) = self.secure.as_deref() else { return f() };
        let before = gathered.replace(Some(handle.buffer()));
        debug_assert!(before.is_none(), "what is gathered is sealed before more is");
        let result = f();
        if let Some(plain) = gathered.take() {
            if !plain.is_empty() {
                session.borrow_mut().write(&plain);
                self.seal(session);
            }
            handle.recycle(plain);
        }
        result
    }

    /// Waits until fewer than so many bytes are unsent.
    pub(crate) async fn sent_below(&self, bytes: usize) -> io::Result<()> {
        self.stream.sent_below(bytes).await
    }

    /// As [`Self::sent_below`].
    pub(crate) fn poll_sent_below(&self, cx: &mut Context<'_>, bytes: usize) -> Poll<io::Result<()>> {
        self.stream.poll_sent_below(cx, bytes)
    }

    /// Bytes that wait to be sent.
    pub(crate) fn unsent(&self) -> usize {
        self.stream.unsent()
    }

    /// Says that no more will be sent, once what was written is.
    pub(crate) fn finish(&self) {
        if let Some(session) = self.session() {
            session.borrow_mut().close();
            self.seal(session);
        }
        self.stream.shutdown_write();
    }

    /// Ends at once with a reset, so that the peer can't take what it got for the whole.
    pub(crate) fn abort(self) {
        self.stream.abort();
    }

    /// Throws away what still comes, up to a number of bytes; true when the end was reached.
    pub(crate) async fn discard(&self, bytes_max: usize) -> bool {
        let mut bytes = 0;
        while bytes <= bytes_max {
            match self.stream.receive(|received| (received.len(), received.len())).await {
                Ok(Received::Bytes(received)) => bytes += received,
                Ok(Received::End) | Err(_) => return true,
            }
        }
        false
    }

    fn opened<R, F>(&self, session: &RefCell<Session>, take: &mut Option<F>) -> Option<Received<R>>
    where
        F: FnOnce(&[u8]) -> (usize, R),
    {
        let mut session = session.borrow_mut();
        let taken = session.plain(|plain| {
            // Called at most once, and only when there are bytes.
            let Some(take) = take.take() else { return (0, None) };
            let (bytes, taken) = take(plain);
            (bytes, Some(taken))
        });
        match taken.flatten() {
            Some(taken) => Some(Received::Bytes(taken)),
            None if session.is_closed() => Some(Received::End),
            None => None,
        }
    }

    /// Waits for cipher bytes and opens them.
    async fn feed(&self, session: &RefCell<Session>) -> io::Result<()> {
        match self.stream.receive(|cipher| open(session, cipher)).await? {
            Received::Bytes(fed) => self.settle(session, fed),
            // Without close_notify an end may be a cut: framed bodies notice, all others do not trust it.
            Received::End => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn settle(&self, session: &RefCell<Session>, fed: Result<(), tls::Error>) -> io::Result<()> {
        // Sealing what need not be sent would cost a send of its own.
        if session.borrow().has_pressing() {
            self.seal(session);
        }
        fed.map_err(io::Error::other)
    }

    /// Hands sealed bytes (alerts and handshake messages too) to the send queue.
    fn seal(&self, session: &RefCell<Session>) {
        self.stream.write(|out| {
            session.borrow_mut().drain(out);
        });
    }
}

fn open(session: &RefCell<Session>, cipher: &[u8]) -> (usize, Result<(), tls::Error>) {
    match session.borrow_mut().feed(cipher) {
        Ok(bytes) => (bytes, Ok(())),
        Err(error) => (cipher.len(), Err(error)),
    }
}

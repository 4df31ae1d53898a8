//! Serving small HTTP: accept, bounds, deadlines. What is answered is `admin`'s and `demo`'s.

use std::{convert::Infallible, future::Future, io, sync::Arc, time::Duration};

use hyper::{
    Request, Response,
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};

use crate::{
    Doors, END_WITHIN, Error,
    admin::{self, Asked, Way},
    demo, socket,
};

/// Connections at once of an admin listener; others wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 64;
/// The same of the demo backend. Who tries a gateway out loads it first of all, with a few hundred connections or streams,
/// each of which may want one here: those that wait are not served before another ends.
const DEMO_CONNECTIONS_MAX: usize = 1_024;
/// From a connection's begin, or its last answer, to the end of the next head.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// The longest a connection may live, so that a reader that sleeps cannot hold its place for ever.
const CONNECTION_WITHIN: Duration = Duration::from_secs(600);
/// Longest request head.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Pause after an accept that failed, which is for want of descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// What was bound.
pub(crate) struct Listeners {
    pub(crate) unix: socket::AdminSocket,
    pub(crate) tcp: Option<std::net::TcpListener>,
    pub(crate) demo: Option<std::net::TcpListener>,
}

/// Takes the listeners into the runtime; the future returned serves them until the end is told.
pub(crate) fn begin(
    listeners: Listeners,
    asked: &Asked,
    ended: &watch::Receiver<bool>,
) -> Result<impl Future<Output = ()> + use<>, Error> {
    let Listeners { unix, tcp, demo } = listeners;
    let mut servers = JoinSet::new();

    let listener = unix.listener.try_clone().and_then(UnixListener::from_std).map_err(Error::Runtime)?;
    let accept = Private { listener, owner: unix.owner };
    let doors = &asked.doors;
    let by_unix = asked.clone();
    servers.spawn(serve(accept, CONNECTIONS_MAX, ended.clone(), Arc::clone(doors), move |request| {
        admin::answer(request, Way::Unix, by_unix.clone())
    }));

    if let Some(listener) = tcp {
        let by_tcp = asked.clone();
        let listener = tcp_listener(listener)?;
        servers.spawn(serve(listener, CONNECTIONS_MAX, ended.clone(), Arc::clone(doors), move |request| {
            admin::answer(request, Way::Tcp, by_tcp.clone())
        }));
    }
    if let Some(listener) = demo {
        let backend = Arc::new(demo::Backend::default());
        let listener = tcp_listener(listener)?;
        servers.spawn(serve(
            listener,
            DEMO_CONNECTIONS_MAX,
            ended.clone(),
            Arc::clone(doors),
            move |request| demo::answer(request, Arc::clone(&backend)),
        ));
    }
    Ok(async move {
        while servers.join_next().await.is_some() {}
        drop(unix);
    })
}

fn tcp_listener(listener: std::net::TcpListener) -> Result<TcpListener, Error> {
    TcpListener::from_std(listener).map_err(Error::Runtime)
}

/// Where connections come from.
trait Accept: Send + Sync + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// The next connection; `None` is one that may not come in.
    fn accept(&self) -> impl Future<Output = io::Result<Option<Self::Stream>>> + Send;
}

impl Accept for TcpListener {
    type Stream = TcpStream;
    async fn accept(&self) -> io::Result<Option<TcpStream>> {
        let (stream, _) = TcpListener::accept(self).await?;
        // Answers are written whole; waiting for more helps nobody. One that has gone already is no failure.
        Ok(stream.set_nodelay(true).is_ok().then_some(stream))
    }
}

/// The admin socket: for its owner and root.
struct Private {
    listener: UnixListener,
    owner: u32,
}

impl Accept for Private {
    type Stream = UnixStream;
    async fn accept(&self) -> io::Result<Option<UnixStream>> {
        let (stream, _) = self.listener.accept().await?;
        let allowed = stream.peer_cred().is_ok_and(|peer| socket::may_enter(peer.uid(), self.owner));
        Ok(allowed.then_some(stream))
    }
}

/// Serves so many connections of a listener at once, each request with `answer`, until the end is told; then finishes what
/// has begun.
async fn serve<A, F, B>(
    listener: impl Accept,
    connections_max: usize,
    mut ended: watch::Receiver<bool>,
    doors: Arc<dyn Doors>,
    answer: A,
) where
    A: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = bytes::Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let answer = Arc::new(answer);
    let places = Arc::new(Semaphore::new(connections_max));
    let mut connections = JoinSet::new();
    let mut accept_failed = false;
    loop {
        let accepted = tokio::select! {
            _ = ended.wait_for(|ended| *ended) => break,
            accepted = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (listener.accept().await, place)
            } => accepted,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            (Ok(Some(stream)), Ok(place)) => {
                accept_failed = false;
                let (answer, ended) = (Arc::clone(&answer), ended.clone());
                connections.spawn(async move {
                    connection(stream, ended, answer).await;
                    drop(place);
                });
            }
            // Somebody who may not come in.
            (Ok(None), _) => {}
            (Err(error), _) => {
                if !std::mem::replace(&mut accept_failed, true) {
                    doors.say(&format!("the control thread cannot accept: {error}; trying again"));
                }
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
            (_, Err(_)) => break,
        }
    }
    let all = async { while connections.join_next().await.is_some() {} };
    // Whoever does not read its answer in time is cut off.
    let _ = tokio::time::timeout(END_WITHIN, all).await;
}

async fn connection<S, A, F, B>(stream: S, mut ended: watch::Receiver<bool>, answer: Arc<A>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = bytes::Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let service = service_fn(move |request| {
        let response = answer(request);
        async move { Ok::<_, Infallible>(response.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let served = async {
        tokio::select! {
            served = connection.as_mut() => return served,
            _ = ended.wait_for(|ended| *ended) => {}
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    // A client that breaks off or breaks the rules has been told so by hyper; there is nobody else to tell.
    let _ = tokio::time::timeout(CONNECTION_WITHIN, served).await;
}

//! The admin listener: what an operator and a scraper may ask. It answers from [`Doors`] and decides nothing itself.
//! `GET` changes nothing. The Unix socket is for its owner and root; on TCP, which any user of the machine and any page
//! in its browsers can reach, the name asked for must be this machine's and nothing can be changed.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Body,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderMap, HeaderValue},
};

use tokio::sync::Mutex;

use crate::{Doors, Readiness, Reloaded};

/// One call has a body; one that is longer than this is refused rather than read away.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// How a client came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Unix,
    Tcp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Index,
    Metrics,
    Health,
    Ready,
    Reload,
    Flush,
    Deployments,
    Progress,
}

/// Everything there is, as the index shows it.
const CALLS: [(Call, Method, &str, &str); 8] = [
    (Call::Index, Method::GET, "/", "this list"),
    (Call::Metrics, Method::GET, "/metrics", "metrics, Prometheus text"),
    (Call::Health, Method::GET, "/healthz", "200 while the process runs"),
    (Call::Ready, Method::GET, "/readyz", "200 while every core accepts, else 503"),
    (Call::Reload, Method::POST, "/reload", "reads the configuration again; 422 and why, if it is refused"),
    (Call::Flush, Method::POST, "/cache/flush", "drops every cached response"),
    (
        Call::Deployments,
        Method::POST,
        "/deployments",
        "what `floodgate deploy` and its like ask, in JSON; 422 and why not",
    ),
    (
        Call::Progress,
        Method::GET,
        "/progress",
        "how far a change is that is being made, in JSON; null if none is",
    ),
];

/// The doors, as they are called from the control thread.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) doors: Arc<dyn Doors>,
    reloading: Arc<Mutex<()>>,
}

impl Asked {
    pub(crate) fn new(doors: Arc<dyn Doors>) -> Self {
        Self { doors, reloading: Arc::default() }
    }

    /// Calls a door that may block, off the control thread. `None`: it panicked, and has said so.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Doors) -> T + Send + 'static,
    ) -> Option<T> {
        let doors = Arc::clone(&self.doors);
        tokio::task::spawn_blocking(move || call(&*doors)).await.ok()
    }

    /// Reloads, one at a time, whoever asks.
    pub(crate) async fn reload(&self) -> Option<Result<Reloaded, String>> {
        self.in_turn(|doors| doors.reload()).await
    }

    /// Calls a door that changes what is in force: one at a time.
    async fn in_turn<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Doors) -> T + Send + 'static,
    ) -> Option<T> {
        let turn = Arc::clone(&self.reloading).lock_owned().await;
        // The turn goes along: a client that leaves ends neither the call nor its turn.
        let call = move |doors: &dyn Doors| {
            let called = call(doors);
            drop(turn);
            called
        };
        self.call(call).await
    }
}

/// Answers one request.
pub(crate) async fn answer<B>(request: Request<B>, way: Way, asked: Asked) -> Response<Full<Bytes>>
where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send,
{
    let (head, body) = request.into_parts();
    let call = match admit(way, &head.method, head.uri.path(), &head.headers) {
        Ok(call) => call,
        Err(refusal) => return *refusal,
    };
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return text(StatusCode::PAYLOAD_TOO_LARGE, "no call has so long a body\n");
    };
    let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    let mut response = match call {
        Call::Index => text(StatusCode::OK, &index()),
        Call::Health => text(StatusCode::OK, "ok\n"),
        Call::Ready => match asked.doors.ready() {
            Readiness::Ready => text(StatusCode::OK, "ready\n"),
            Readiness::Not(why) => text(StatusCode::SERVICE_UNAVAILABLE, &format!("{why}\n")),
        },
        Call::Metrics => match asked.call(|doors| doors.scrape()).await {
            Some(page) => metrics(page),
            None => fault(),
        },
        Call::Reload => match asked.reload().await {
            Some(Ok(reloaded)) => text(StatusCode::OK, &format!("{reloaded}\n")),
            Some(Err(diagnostics)) => text(StatusCode::UNPROCESSABLE_ENTITY, &diagnostics),
            None => fault(),
        },
        Call::Deployments => match asked.in_turn(move |doors| doors.deployments(&body)).await {
            Some(Ok(answer)) => json(answer),
            Some(Err(why)) => text(StatusCode::UNPROCESSABLE_ENTITY, &why),
            None => fault(),
        },
        Call::Progress => json(asked.doors.progress()),
        Call::Flush => match asked.call(|doors| doors.flush_cache()).await {
            Some(()) => text(StatusCode::ACCEPTED, "flushed\n"),
            None => fault(),
        },
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Which call is meant, and whether this client may make it.
fn admit(
    way: Way,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Result<Call, Box<Response<Full<Bytes>>>> {
    let refuse = |status, why: &str| Err(Box::new(text(status, why)));
    if way == Way::Tcp && !names_loopback(headers) {
        return refuse(
            StatusCode::MISDIRECTED_REQUEST,
            "the Host asked for is not this machine's loopback\n",
        );
    }
    let Some((call, right, ..)) = CALLS.iter().find(|(.., known, _)| *known == path) else {
        return refuse(StatusCode::NOT_FOUND, &format!("no such call; there are:\n\n{}", index()));
    };
    if method != right && !(method == Method::HEAD && right == Method::GET) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, &format!("{path} takes {right}\n"));
        let allowed = if right == Method::GET { "GET, HEAD" } else { "POST" };
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        return Err(Box::new(response));
    }
    if way == Way::Tcp && right == Method::POST {
        let why = "nothing is changed over TCP, which every user of this machine can reach: \
                   use the Unix socket (`floodgate reload`, `floodgate flush`)\n";
        return refuse(StatusCode::FORBIDDEN, why);
    }
    Ok(*call)
}

/// Whether there is one Host and it names this machine by a loopback address or `localhost`: a foreign name that a
/// page has pointed at us (DNS rebinding) does not.
fn names_loopback(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Some(authority) =
        host.to_str().ok().and_then(|host| host.parse::<hyper::http::uri::Authority>().ok())
    else {
        return false;
    };
    let host = authority.host();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

fn index() -> String {
    CALLS
        .iter()
        .map(|(_, method, path, what)| format!("{:<5} {path:<13} {what}\n", method.as_str()))
        .collect()
}

fn metrics(page: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(page));
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn json(answer: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(answer));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn fault() -> Response<Full<Bytes>> {
    text(StatusCode::INTERNAL_SERVER_ERROR, "the call failed by a fault of the gateway's own\n")
}

fn text(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_owned()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Comes in by TCP; `headers` are lines. Expects the call, or the status of the refusal.
    #[track_caller]
    fn check(way: Way, line: &str, headers: &[(&str, &str)], expected: Result<Call, u16>) {
        let (method, path) = line.split_once(' ').unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(hyper::header::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        let admitted = admit(way, &method.parse().unwrap(), path, &map);
        assert_eq!(admitted.map_err(|refusal| refusal.status().as_u16()), expected, "{line} {headers:?}");
    }

    #[test]
    fn calls_are_found_by_path_and_method() {
        for (call, method, path, _) in &CALLS {
            check(Way::Unix, &format!("{method} {path}"), &[], Ok(*call));
        }
        check(Way::Unix, "HEAD /metrics", &[], Ok(Call::Metrics));
        for line in ["GET /reload", "GET /cache/flush", "HEAD /reload", "DELETE /reload", "POST /metrics"] {
            check(Way::Unix, line, &[], Err(405));
        }
        for line in ["GET /nothing", "POST /reload/", "GET //metrics", "GET /METRICS", "GET *"] {
            check(Way::Unix, line, &[], Err(404));
        }
    }

    #[test]
    fn by_tcp_only_this_machine_is_asked_for() {
        for host in ["localhost", "LocalHost:9000", "127.0.0.1", "127.9.9.9:80", "[::1]", "[::1]:9000"] {
            check(Way::Tcp, "GET /metrics", &[("host", host)], Ok(Call::Metrics));
        }
        for host in
            ["evil.example", "10.0.0.1", "localhost.evil.example", "[::2]:80", "", "127.0.0.1@evil", "a b"]
        {
            check(Way::Tcp, "GET /metrics", &[("host", host)], Err(421));
        }
        check(Way::Tcp, "GET /metrics", &[], Err(421));
        check(Way::Tcp, "GET /metrics", &[("host", "localhost"), ("host", "localhost")], Err(421));
        check(Way::Unix, "GET /metrics", &[("host", "anything")], Ok(Call::Metrics));
    }

    #[test]
    fn nothing_is_changed_over_tcp() {
        let page = [("host", "127.0.0.1:9000"), ("origin", "http://127.0.0.1:9000")];
        check(Way::Tcp, "POST /reload", &page, Err(403));
        check(Way::Tcp, "POST /cache/flush", &[page[0], ("origin", "null")], Err(403));
        check(Way::Tcp, "POST /reload", &page[..1], Err(403));
        check(Way::Tcp, "GET /metrics", &page, Ok(Call::Metrics));
    }
}

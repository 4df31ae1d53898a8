//! The demo backend: something to put behind the gateway before there is a backend. Its answers make visible what a
//! gateway does: which headers arrived, whether an answer is fresh or cached, what happens to slow and large ones.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Frame, Incoming, SizeHint},
    header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue},
    http::request::Parts,
};
use serde_json::{Map, Value, json};

/// Longest pause of `/slow`.
const SLOW_MAX: Duration = Duration::from_secs(60);
/// Longest body of `/bytes`.
const BYTES_MAX: u64 = 1 << 30;
/// A piece of it.
static PIECE: [u8; 64 * 1024] = [b'.'; 64 * 1024];

/// What the backend remembers.
#[derive(Debug, Default)]
pub(crate) struct Backend {
    answered: AtomicU64,
}

/// Answers one request.
pub(crate) async fn answer(request: Request<Incoming>, backend: Arc<Backend>) -> Response<Reply> {
    let (head, body) = request.into_parts();
    let number = backend.answered.fetch_add(1, Relaxed) + 1;
    let path = head.uri.path();
    let right = if path == "/echo" { Method::POST } else { Method::GET };
    let known = matches!(path, "/" | "/cached" | "/limited" | "/slow" | "/bytes" | "/echo");
    if known && head.method != right && !(head.method == Method::HEAD && right == Method::GET) {
        let mut response =
            object(StatusCode::METHOD_NOT_ALLOWED, json!({ "message": format!("{path} takes {right}") }));
        let allowed = if right == Method::GET { "GET, HEAD" } else { "POST" };
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        return response;
    }
    match path {
        "/cached" => {
            object(StatusCode::OK, json!({ "made_at_unix_ms": unix_ms(), "made_for_request": number }))
        }
        "/limited" => object(StatusCode::OK, json!({ "message": "let through", "request": number })),
        "/slow" => match number_in(&head, "ms", 1_000, SLOW_MAX.as_millis() as u64) {
            Ok(ms) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                object(StatusCode::OK, json!({ "waited_ms": ms, "request": number }))
            }
            Err(why) => object(StatusCode::BAD_REQUEST, json!({ "message": why })),
        },
        "/bytes" => match number_in(&head, "n", 1024, BYTES_MAX) {
            Ok(n) => reply(StatusCode::OK, "application/octet-stream", Reply::Dots(n)),
            Err(why) => object(StatusCode::BAD_REQUEST, json!({ "message": why })),
        },
        "/echo" => {
            let mut response = Response::new(Reply::Echo(body));
            let kind = head.headers.get(CONTENT_TYPE).cloned();
            let kind = kind.unwrap_or(HeaderValue::from_static("application/octet-stream"));
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        // Any other path says hello, too: a gateway in front may map paths as it likes.
        _ => object(StatusCode::OK, hello(&head, number)),
    }
}

fn hello(head: &Parts, number: u64) -> Value {
    json!({
        "message": "Hello from the demo backend.",
        "request": number,
        "time_unix_ms": unix_ms(),
        "method": head.method.as_str(),
        "path": head.uri.path_and_query().map_or("/", |path| path.as_str()),
        "headers": headers(&head.headers),
    })
}

/// Headers as they arrived; repeated ones as a list.
fn headers(headers: &HeaderMap) -> Map<String, Value> {
    let text = |value: &HeaderValue| Value::from(String::from_utf8_lossy(value.as_bytes()));
    let each = headers.keys().map(|name| {
        let mut values: Vec<Value> = headers.get_all(name).iter().map(text).collect();
        let value = if values.len() == 1 { values.remove(0) } else { Value::from(values) };
        (name.as_str().to_owned(), value)
    });
    each.collect()
}

/// The number behind `name=` in the query.
fn number_in(head: &Parts, name: &str, default: u64, max: u64) -> Result<u64, String> {
    let query = head.uri.query().unwrap_or_default();
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    match value.map(str::parse::<u64>) {
        None => Ok(default),
        Some(Ok(number)) if number <= max => Ok(number),
        Some(_) => Err(format!("`{name}` is a whole number up to {max}")),
    }
}

fn object(status: StatusCode, value: Value) -> Response<Reply> {
    reply(status, "application/json", Reply::Whole(Some(format!("{value}\n").into())))
}

fn reply(status: StatusCode, kind: &'static str, body: Reply) -> Response<Reply> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// A body; none of them is held in memory whole but the small ones.
pub(crate) enum Reply {
    Whole(Option<Bytes>),
    /// So many bytes are left.
    Dots(u64),
    Echo(Incoming),
}

impl Body for Reply {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Poll::Ready(match self.get_mut() {
            Self::Whole(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
            Self::Dots(0) => None,
            Self::Dots(left) => {
                let piece = (*left).min(PIECE.len() as u64);
                *left -= piece;
                Some(Ok(Frame::data(Bytes::from_static(&PIECE[..piece as usize]))))
            }
            Self::Echo(body) => ready!(Pin::new(body).poll_frame(cx)),
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Dots(left) => *left == 0,
            Self::Echo(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Dots(left) => SizeHint::with_exact(*left),
            Self::Echo(body) => body.size_hint(),
        }
    }
}

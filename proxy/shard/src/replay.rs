//! A kept response, sent as it is kept: its head is encoded when it comes into the cache, and each answer with it is one
//! write. Only for clients for whom that makes no difference; all others go the general way, by which the bytes are the
//! same. It does not know who may be answered with what.

use message::{Headers, Method, Name, Request, Version};
use policy::cache::{Encoded, Replay};
use wire::h1::{self, KeptHead};

use crate::{connection::Connection, core::Core, way::ADJACENT_BYTES_MAX};

/// The head of a response that is being kept; `None` for one that has to be written anew each time.
pub(crate) fn encode(status: u16, headers: &Headers, body_bytes: u64) -> Option<Encoded> {
    let mut bytes = Vec::new();
    let varies_at = h1::encode_kept(status, headers, body_bytes, &mut bytes)?;
    let is_dated = headers.get(Name::Date).is_some();
    Some(Encoded { bytes: bytes.into(), varies_at, is_dated })
}

/// A replay that can be sent as it is kept.
pub(crate) struct Ready<'a> {
    replay: &'a Replay,
    head: KeptHead<'a>,
    age_s: u64,
}

impl<'a> Ready<'a> {
    /// `None` if this request needs another head, or this response has none at hand.
    pub(crate) fn new(replay: &'a Replay, request: &Request) -> Option<Self> {
        if request.version != Version::Http11 || request.method == Method::Head {
            return None;
        }
        let (Encoded { bytes, varies_at, is_dated }, age_s) = replay.encoded()?;
        let head = KeptHead { bytes, varies_at: *varies_at, is_dated: *is_dated };
        Some(Self { replay, head, age_s })
    }

    /// Appends the head and a body that is put beside it.
    pub(crate) fn encode(&self, date: &[u8; 29], close: bool, out: &mut Vec<u8>) {
        h1::encode_kept_again(self.head, self.age_s, date, close, out);
        let body = self.replay.body();
        if body.len() <= ADJACENT_BYTES_MAX {
            out.extend_from_slice(body);
        }
    }

    /// Puts head and body into the send queue. Returns the body's bytes.
    pub(crate) fn send(&self, core: &Core, connection: &Connection, close: bool) -> u64 {
        let date = core.date();
        connection.transport.write(|out| self.encode(&date, close, out));
        let body = self.replay.body();
        if body.len() > ADJACENT_BYTES_MAX {
            connection.transport.write_shared(body.clone());
        }
        body.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{IpAddr, Ipv4Addr},
        sync::Arc,
        time::Duration,
    };

    use bytes::Bytes;
    use message::{Body, Dialect, Now, Response};
    use policy::{
        Context, Policy, Question, Slot, Verdict,
        cache::{Cache, Fate, Found, Outcome, Settings, Store},
        throttle::{Spendings, Table},
    };
    use proptest::prelude::*;
    use wire::h1::{BodyLength, ResponseBody, ResponseOptions};

    use super::*;

    const S: u64 = 1_000_000_000;

    /// A response as it would be found in the cache after so many seconds, if it is kept at all.
    fn replayed(mut response: Response, waited_s: u64) -> Option<Replay> {
        let settings = Settings {
            dialect: Dialect::Proxy,
            identity: "api/stage/route;".to_owned(),
            ttl: Duration::from_secs(3_600),
            key: None,
            methods: vec![Method::Get],
            client_invalidation: false,
            body_bytes_max: 1 << 20,
        };
        let cache = Cache::new(&settings).unwrap();
        let (mut store, mut slot, mut request) =
            (Store::<()>::new(1 << 22), Slot::default(), Request::default());
        let mut spendings = Spendings::new(Arc::new(Table::new(1)), 1);
        macro_rules! decide {
            ($s:expr, |$cx:ident| $decision:expr) => {{
                let now = Now { mono_ns: $s * S, unix_ns: (1_700_000_000 + $s) * S };
                let mut cx = Context {
                    now,
                    client: IpAddr::V4(Ipv4Addr::LOCALHOST),
                    params: &[],
                    spendings: &mut spendings,
                    near: &mut store,
                    slot: &mut slot,
                    unanswered: false,
                };
                let $cx = &mut cx;
                ($decision, now)
            }};
        }
        let (Verdict::Ask(Question::Cache(lookup)), now) =
            decide!(1, |cx| cache.on_request(&mut request, cx))
        else {
            panic!("nothing is kept yet");
        };
        let Outcome::Fill(ticket) = store.lookup(lookup, || (), now) else { panic!("nobody fetches") };
        let found = policy::Answer::Cache(Found::Fill(ticket));
        decide!(1, |cx| cache.on_answer(&mut request, found, cx));
        decide!(1, |cx| cache.on_response(&mut response, cx));
        let Slot::Cache(Fate::Keep(keep)) = std::mem::take(&mut slot) else { return None };
        let (ticket, mut stored) = keep.finish().unwrap();
        stored.encode(encode);
        store.fill(ticket, stored, now);
        match decide!(1 + waited_s, |cx| cache.on_request(&mut request, cx)).0 {
            Verdict::Replay(replay) => Some(replay),
            // Stale when it came.
            _ => None,
        }
    }

    /// What the general way writes.
    fn generally(replay: &Replay, request: &Request, date: &[u8; 29], close: bool) -> Vec<u8> {
        let mut response = Response::new(500);
        replay.write(&mut response);
        let body = replay.body();
        let length = BodyLength::Known(body.len() as u64);
        let framed = ResponseBody::choose(&request.method, request.version, &response, length);
        let mut out = Vec::new();
        let options = ResponseOptions { version: request.version, close, body: framed, date };
        h1::encode_response(&response, &options, &mut out);
        out.extend_from_slice(body);
        out
    }

    fn field() -> impl Strategy<Value = (String, String)> {
        let known = prop::sample::select(vec![
            "Age",
            "age",
            "Connection",
            "Content-Length",
            "Content-Type",
            "DATE",
            "Date",
            "ETag",
            "Keep-Alive",
            "Server",
            "Te",
            "Trailer",
            "Transfer-Encoding",
            "Via",
        ]);
        let name = prop_oneof![known.prop_map(str::to_owned), "[A-Za-z][A-Za-z0-9_-]{0,20}"];
        (name, prop_oneof!["[0-9]{1,3}", "([!-~][ -~]{0,30}[!-~])?"])
    }

    proptest! {
        /// For any response that is kept: the same bytes by both ways, whatever the age, the second and the connection's end.
        #[test]
        fn a_replay_is_what_the_general_way_writes(
            status in 200_u16..300,
            fields in prop::collection::vec(field(), 0..12),
            body in prop::collection::vec(any::<u8>(), 0..200),
            waited_s in 0..3_599_u64,
            close: bool,
        ) {
            let mut response = Response::new(status);
            for (name, value) in &fields {
                response.headers.push(name, value.as_bytes());
            }
            response.body = if body.is_empty() { Body::Empty } else { Body::Whole(Bytes::from(body)) };
            let Some(replay) = replayed(response, waited_s) else { return Ok(()) };
            let (request, date) = (Request::default(), h1::imf_fixdate(1_700_000_000 + waited_s));
            let ready = Ready::new(&replay, &request);
            prop_assert_eq!(ready.is_none(), status == 204);
            let Some(ready) = ready else { return Ok(()) };
            let mut out = Vec::new();
            ready.encode(&date, close, &mut out);
            let general = generally(&replay, &request, &date, close);
            prop_assert_eq!(out.escape_ascii().to_string(), general.escape_ascii().to_string());
        }
    }

    #[test]
    fn other_clients_go_the_general_way() {
        let replay = replayed(Response::with_body(200, "text/plain", Bytes::from_static(b"a")), 7).unwrap();
        let check = |request: Request, expected: bool| {
            assert_eq!(Ready::new(&replay, &request).is_some(), expected, "{request:?}");
        };
        check(Request::default(), true);
        check(Request { method: Method::Head, ..Request::default() }, false);
        check(Request { version: Version::Http10, ..Request::default() }, false);
    }
}

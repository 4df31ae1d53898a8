//! The cache as a policy asks it: the key of a request, and an answer from an entry of 1 KiB.

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use message::{Dialect, Method, Now, PathRules, Request, Response};
use policy::{
    Answer, Context, Policy, Question, Slot, Verdict,
    cache::{Cache, Fate, Found, Lookup, Mode, Outcome, Settings, Store},
    throttle::{Spendings, Table},
};
use wire::{Limits, h1::decode_request};

use crate::Case;

const HEAD: &[u8] = b"GET /orders/4711/items?page=2 HTTP/1.1\r\n\
    Host: api.example.com\r\n\
    User-Agent: curl/8.0\r\n\
    Accept: application/json\r\n\
    Accept-Encoding: gzip\r\n\r\n";

const STORE_BYTES: u64 = 1 << 20;

/// One core with one route that is cached.
struct Core {
    policy: Cache,
    store: Store<()>,
    spendings: Spendings,
    request: Request,
    slot: Slot,
    now: Now,
}

pub(crate) fn cache_key() -> Case {
    let mut core = Core::new();
    Case::new("cache_key", move || core.ask().is_some_and(|lookup| lookup.mode == Mode::Use))
}

pub(crate) fn cache_hit() -> Case {
    let mut core = Core::new();
    core.fill();
    Case::new("cache_hit", move || {
        let verdict = with(&mut core, |policy, request, cx| policy.on_request(request, cx));
        matches!(verdict, Verdict::Replay(replay) if replay.body().len() == 1 << 10)
    })
}

impl Core {
    fn new() -> Self {
        let settings = Settings {
            dialect: Dialect::Proxy,
            identity: "api/stage/GET /orders/{id}/items;".to_owned(),
            ttl: Duration::from_secs(3_600),
            key: None,
            methods: vec![Method::Get],
            client_invalidation: false,
            body_bytes_max: 1 << 20,
        };
        let mut request = Request::default();
        let read = decode_request(HEAD, &Limits::CLIENT, PathRules::default(), &mut request);
        debug_assert!(matches!(read, Ok(Some(_))));
        #[expect(clippy::expect_used, reason = "a policy that cannot be made has nothing to measure")]
        let policy = Cache::new(&settings).expect("settings are sound");
        Self {
            policy,
            store: Store::new(STORE_BYTES),
            spendings: Spendings::new(Arc::new(Table::new(16)), 1),
            request,
            slot: Slot::default(),
            now: Now { mono_ns: 1, unix_ns: 1_700_000_000_000_000_000 },
        }
    }

    /// What the policy wants to know.
    fn ask(&mut self) -> Option<Lookup> {
        let verdict = with(self, |policy, request, cx| policy.on_request(request, cx));
        match verdict {
            Verdict::Ask(Question::Cache(lookup)) => Some(lookup),
            _ => None,
        }
    }

    fn answered(&mut self, found: Found) -> Verdict {
        with(self, |policy, request, cx| policy.on_answer(request, Answer::Cache(found), cx))
    }

    /// Makes the entry, as the first request does. Whether it did shows in the first hit.
    fn fill(&mut self) {
        let Some(lookup) = self.ask() else { return };
        let Outcome::Fill(ticket) = self.store.lookup(lookup, || (), self.now) else { return };
        self.answered(Found::Fill(ticket));
        let mut response = Response::with_body(200, "application/json", Bytes::from(vec![b'a'; 1 << 10]));
        response.headers.push("ETag", b"\"5f3c-9a1b2c3d\"");
        with(self, |policy, _, cx| policy.on_response(&mut response, cx));
        if let Slot::Cache(Fate::Keep(keep)) = std::mem::take(&mut self.slot)
            && let Ok((ticket, stored)) = keep.finish()
        {
            self.store.fill(ticket, stored, self.now);
        }
    }
}

/// One decision of the policy.
fn with<T>(core: &mut Core, decide: impl FnOnce(&Cache, &mut Request, &mut Context<'_>) -> T) -> T {
    let client = IpAddr::from([192, 0, 2, 7]);
    let mut cx = Context {
        now: core.now,
        client,
        params: &[],
        spendings: &mut core.spendings,
        near: &mut core.store,
        slot: &mut core.slot,
        unanswered: false,
    };
    decide(&core.policy, &mut core.request, &mut cx)
}

//! The node of the tests: its addresses and its routes.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use model::{Integration, Model, RouteKey};
use snapshot::{Inputs, Slots, Snapshot, compile};

use super::pki::unix_s;
use crate::Endpoint;

/// Where the cores listen, by index.
pub(super) fn front(core: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1 + u8::try_from(core).unwrap()], 80))
}

/// Where backends listen: `A`, `B`, and so on. Behind `Z` there is nobody.
pub(super) fn back(letter: char) -> SocketAddr {
    SocketAddr::from(([10, 1, 0, u8::try_from(letter).unwrap()], 8080))
}

/// A group of backends that is named by its letters.
fn upstream(letters: &str) -> model::Upstream {
    let target = |letter| model::Target {
        tls: false,
        host: back(letter).ip().to_string(),
        port: back(letter).port(),
        origin: None,
    };
    model::Upstream {
        name: letters.into(),
        targets: letters.chars().map(target).collect(),
        ..model::Upstream::default()
    }
}

/// A route by its key, to a group of backends.
pub(in crate::tests) fn route(key: &str, upstream: &str) -> model::Route {
    let key = match key.split_once(' ') {
        None => RouteKey::Default,
        Some((method, path)) => {
            RouteKey::Path { method: (method != "ANY").then(|| method.to_owned()), path: path.to_owned() }
        }
    };
    let integration = Integration::Http { upstream: upstream.into(), path: None, strip_prefix: None };
    model::Route::new(key, integration)
}

/// Everything goes to `A`, but for a few paths.
pub(in crate::tests) fn standard() -> Model {
    let cached = model::Cache {
        mode: model::CacheMode::Fixed,
        ttl: Duration::from_secs(60),
        key: None,
        methods: vec!["GET".into()],
        client_invalidation: false,
        body_bytes_max: 1 << 20,
        origin: None,
    };
    let once = model::Throttle { rate: 0.001, burst: Some(1), per: model::ThrottlePer::All, origin: None };
    let mock = model::Mock { status: 200, headers: Vec::new(), body: "mocked".into() };
    let small = model::Limits { body_bytes_max: 10, ..model::Limits::default() };
    let routes = vec![
        route("$default", "A"),
        route("ANY /ab", "AB"),
        route("ANY /nobody", "Z"),
        route("ANY /nobody-else", "ZA"),
        route("ANY /nobodies", "XYZA"),
        route("ANY /bounded", "C"),
        model::Route { cache: Some(cached), ..route("GET /cached/{path+}", "A") },
        model::Route { throttles: vec![once], ..route("ANY /once", "A") },
        model::Route { limits: Some(small), ..route("ANY /small", "A") },
        model::Route { integration: Integration::Mock(mock), ..route("ANY /mock", "A") },
    ];
    let bounded = model::Upstream { total_timeout: Some(Duration::from_secs(10)), ..upstream("C") };
    let mut upstreams: Vec<_> = ["A", "AB", "Z", "ZA", "XYZA"].map(upstream).into();
    upstreams.push(bounded);
    let api = model::Api {
        stages: vec![model::Stage { name: "$default".into(), ..model::Stage::default() }],
        definition: model::Definition { routes, ..model::Definition::default() },
        ..model::Api::new("api", model::Kind::Proxy)
    };
    let listener = model::Listener {
        name: "front".into(),
        address: front(0),
        connections_max: None,
        plain: true,
        http2: true,
        http2_streams_max: 100,
        security_policy: None,
        names: Vec::new(),
        origin: None,
    };
    Model { apis: vec![api], upstreams, listeners: vec![listener], ..Model::default() }
}

/// Makes the node's API one of AWS's shape that is strict (row 13). What AWS does not have goes.
pub(in crate::tests) fn strict(model: &mut Model) {
    let api = &mut model.apis[0];
    api.kind = model::Kind::Http;
    api.definition.endpoint_access_mode = model::EndpointAccessMode::Strict;
    api.definition.routes.retain(|route| matches!(route.integration, Integration::Mock(_)));
}

/// The same node, whose backends are spoken to over HTTP/2.
pub(in crate::tests) fn in_http2() -> Model {
    let mut model = standard();
    model.upstreams.iter_mut().for_each(|upstream| upstream.http2 = true);
    model
}

/// What the publisher does: models in, snapshots out, slots kept.
pub(super) struct Publisher {
    /// What a test does to snapshots that no model can say.
    adapt: fn(&mut Snapshot),
    slots: Slots,
    tickets: tls::Tickets,
    generation: u64,
    current: Option<Arc<Snapshot>>,
    /// Those before it, for as long as a core or a request has them.
    retired: Vec<Arc<Snapshot>>,
}

impl Publisher {
    pub(super) fn new(adapt: fn(&mut Snapshot)) -> Self {
        let (slots, tickets) = (Slots::default(), tls::Tickets::default());
        Self { adapt, slots, tickets, generation: 0, current: None, retired: Vec::new() }
    }

    pub(super) fn compile(&mut self, model: &Model) -> Arc<Snapshot> {
        self.generation += 1;
        let mut inputs = Inputs {
            read: &|path| std::fs::read(path),
            leaf: &|_| panic!("a listener with TLS has certificates of its own here"),
            tickets: &self.tickets,
            slots: &mut self.slots,
            before: self.current.as_deref(),
            generation: self.generation,
            unix_s: unix_s(),
            progress: progress::Progress::silent(),
        };
        let (snapshot, found) = compile(model, &mut inputs);
        let mut snapshot = snapshot.unwrap_or_else(|| panic!("{found:?}"));
        (self.adapt)(&mut snapshot);
        let snapshot = Arc::new(snapshot);
        self.retired.extend(self.current.replace(snapshot.clone()));
        snapshot
    }

    /// The slots of upstream groups that no request can use any more: whoever asks tells the cores.
    pub(super) fn vacated(&mut self) -> Arc<[u32]> {
        self.retired.retain(|snapshot| Arc::strong_count(snapshot) > 1);
        let live = || self.current.iter().chain(&self.retired);
        let vacated = self.slots.vacate_upstreams(|slot| live().any(|it| it.upstream(slot).is_some())).into();
        self.slots.reclaim_upstreams();
        vacated
    }
}

/// The addresses of all groups of a snapshot, by slot.
pub(super) fn endpoints(snapshot: &Snapshot) -> Vec<(u32, Arc<[Endpoint]>)> {
    let known =
        snapshot.upstreams.iter().zip(0..).filter_map(|(upstream, slot)| Some((upstream.as_ref()?, slot)));
    known
        .map(|(upstream, slot)| {
            let targets = upstream.targets.iter().enumerate();
            let endpoint = |(target, at): (usize, &snapshot::Target)| Endpoint {
                target,
                address: SocketAddr::new(at.host.parse().unwrap(), at.port),
            };
            (slot, targets.map(endpoint).collect())
        })
        .collect()
}

//! What right texts mean.

use std::time::Duration;

use model::{
    CacheKey, CacheMode, Ebpf, EbpfDriver, EbpfMode, EbpfRates, Integration, Kind, Limits, Mapping, RouteKey,
    ThrottlePer,
};

use super::model;

const LISTENER: &str = "[[listener]]\naddress = \"127.0.0.1:1\"\n";

/// The upstream, path and stripped prefix of the first route.
#[track_caller]
fn check_forward(text: &str, expected: (&str, Option<&str>, Option<&str>)) {
    let model = model(&format!("{LISTENER}{text}"));
    match &model.apis[0].definition.routes[0].integration {
        Integration::Http { upstream, path, strip_prefix } => {
            assert_eq!((&**upstream, path.as_deref(), strip_prefix.as_deref()), expected);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn routes_forward() {
    let route = |lines: &str| format!("[[route]]\n{lines}");
    check_forward(&route("match = \"$default\"\nurl = \"http://B:80\""), ("http://b", None, None));
    check_forward(
        &route("match = \"/{proxy+}\"\nurl = \"http://b/v1/\""),
        ("http://b", Some("/v1/{proxy}"), None),
    );
    check_forward(
        &route("match = \"/a/{id}\"\nurl = \"https://b:8443/v1\""),
        ("https://b:8443", Some("/v1/a/{id}"), None),
    );
    check_forward(
        &route("match = \"/a/{id}\"\nurl = \"http://b/v1\"\nstrip_prefix = \"/a\""),
        ("http://b", Some("/v1/{id}"), None),
    );
    check_forward(
        &route("match = \"/a\"\nurl = \"http://b/v1\"\nstrip_prefix = \"/a\""),
        ("http://b", Some("/v1"), None),
    );
    check_forward(
        &route("match = \"/a/{id}\"\nurl = \"http://b/v1\"\npath = \"/{id}/x\""),
        ("http://b", Some("/v1/{id}/x"), None),
    );
    check_forward(
        &route("match = \"/a/{p+}\"\nurl = \"http://b\"\nstrip_prefix = \"/a/\""),
        ("http://b", None, Some("/a")),
    );
    check_forward(
        &route(
            "match = \"$default\"\nupstream = \"u\"\nstrip_prefix = \"/x\"\n[upstream.u]\ntargets = [\"http://b\"]",
        ),
        ("u", None, Some("/x")),
    );
}

#[test]
fn methods_forward_as_on_aws() {
    let api = |integration: &str| {
        format!(
            "[[api]]\nname = \"a\"\nkind = \"http\"\n[[api.route]]\nkey = \"ANY /a/{{id+}}\"\nintegration = {{ type = \"http_proxy\", {integration} }}\n[upstream.u]\ntargets = [\"http://u\"]\n[[route]]\nmatch = \"/\"\nhosts = [\"h\"]\nupstream = \"u\""
        )
    };
    let check = |integration: &str, expected: (&str, Option<&str>, Option<&str>)| {
        let model = model(&format!("{LISTENER}{}", api(integration)));
        let route = &model.apis.iter().find(|api| api.name == "a").unwrap().definition.routes[0];
        let Integration::Http { upstream, path, strip_prefix } = &route.integration else {
            panic!("{route:?}")
        };
        assert_eq!((&**upstream, path.as_deref(), strip_prefix.as_deref()), expected);
    };
    check("url = \"http://b/x/{id}\"", ("http://b", Some("/x/{id}"), None));
    check("url = \"http://b/x/{id+}\"", ("http://b", Some("/x/{id}"), None));
    check("url = \"http://b\"", ("http://b", Some("/"), None));
    check("url = \"http://b/x\", http2 = true", ("http://b (HTTP/2)", Some("/x"), None));
    check("upstream = \"u\"", ("u", None, None));
    check("upstream = \"u\", path = \"/{id}\"", ("u", Some("/{id}"), None));
    check("upstream = \"u\", strip_prefix = \"/a\"", ("u", None, Some("/a")));
}

#[test]
fn a_url_makes_one_upstream() {
    let route = |path: &str, url: &str| format!("[[route]]\nmatch = \"{path}\"\nurl = \"{url}\"\n");
    let text =
        [route("/a", "http://b:8080/x"), route("/b", "http://B:8080"), route("/c", "http://[::1]")].concat();
    let http2 = |path: &str| format!("{}http2 = true\n", route(path, "http://b:8080"));
    let model = model(&format!("{LISTENER}{text}{}{}", http2("/d"), http2("/e")));
    let names: Vec<_> = model.upstreams.iter().map(|it| (&*it.name, it.http2)).collect();
    assert_eq!(
        names,
        [("http://b:8080", false), ("http://[::1]", false), ("http://b:8080 (HTTP/2)", true)],
        "what is called in two ways is two groups"
    );
    let target = &model.upstreams[1].targets[0];
    assert_eq!((target.tls, &*target.host, target.port), (false, "::1", 80));
    assert_eq!(model.upstreams[0].first_byte_timeout, Duration::from_secs(29));
}

#[test]
fn routes_of_the_same_hosts_are_one_api() {
    let route =
        |path: &str, hosts: &str| format!("[[route]]\nmatch = \"{path}\"\nurl = \"http://b\"\n{hosts}\n");
    let text = [
        route("/a", ""),
        route("/a", "hosts = [\"b\", \"A\"]"),
        route("/b", "hosts = [\"a\", \"b\"]"),
        route("/c", ""),
        route("/a", "hosts = [\"*.c\"]"),
    ];
    let model = model(&format!("{LISTENER}[cors]\nallow_origins = [\"*\"]\n{}", text.concat()));
    let apis: Vec<_> =
        model.apis.iter().map(|it| (&*it.name, it.definition.routes.len(), it.mappings.len())).collect();
    assert_eq!(apis, [("default", 2, 1), ("default@*.c", 1, 1), ("default@a,b", 2, 2)]);
    for api in &model.apis {
        assert_eq!((api.kind, &*api.stages[0].name), (Kind::Proxy, "$default"));
        assert_eq!(api.definition.cors.as_ref().map(|cors| &*cors.allow_origins[0]), Some("*"));
    }
    let mapping =
        |mapping: &Mapping| (mapping.host.clone(), mapping.base_path.clone(), mapping.stage.clone());
    assert_eq!(mapping(&model.apis[0].mappings[0]), (None, String::new(), Some("$default".into())));
    assert_eq!(
        mapping(&model.apis[2].mappings[1]),
        (Some("b".into()), String::new(), Some("$default".into()))
    );
}

#[test]
fn a_cache_may_be_the_backends_affair() {
    for cache in [
        "\"respect-origin\"",
        "{ mode = \"respect-origin\" }",
        "{ mode = \"respect-origin\", client_invalidation = true }",
    ] {
        let model =
            model(&format!("{LISTENER}[[route]]\nmatch = \"/\"\nurl = \"http://b\"\ncache = {cache}"));
        let cache = model.apis[0].definition.routes[0].cache.as_ref().unwrap();
        assert_eq!((cache.mode, cache.client_invalidation), (CacheMode::RespectOrigin, true));
    }
}

#[test]
fn policies_are_lowered() {
    let model = model(&format!(
        "{LISTENER}[limits]\nheader_count = 7\n[throttle]\nrate = \"30/m\"
[[route]]\nmatch = \"GET /{{id}}\"\nurl = \"http://b\"
throttle = [{{ rate = \"0.5/s\" }}, {{ rate = \"0/s\", burst = 0, per = \"client\" }}]
cache = {{ ttl = \"1m\", key = [\"path.id\", \"header.Accept\", \"method.request.querystring.Q\"], methods = [\"GET\", \"HEAD\"] }}
limits = {{ body = \"1KiB\" }}"
    ));
    let account = model.node.throttle.unwrap();
    assert_eq!((account.rate, account.burst, account.per), (0.5, None, ThrottlePer::All));
    let route = &model.apis[0].definition.routes[0];
    let throttles: Vec<_> = route.throttles.iter().map(|it| (it.rate, it.burst, it.per)).collect();
    assert_eq!(throttles, [(0.5, None, ThrottlePer::All), (0.0, Some(0), ThrottlePer::Client)]);
    let cache = route.cache.as_ref().unwrap();
    let key = [CacheKey::Path("id".into()), CacheKey::Header("accept".into()), CacheKey::Query("Q".into())];
    assert_eq!(cache.key.as_deref(), Some(&key[..]));
    assert_eq!((cache.ttl.as_secs(), cache.client_invalidation, cache.body_bytes_max), (60, false, 1 << 20));
    assert_eq!(cache.methods, ["GET", "HEAD"]);
    assert_eq!(cache.mode, CacheMode::Fixed);
    let node = Limits { headers_max: 7, ..Limits::default() };
    assert_eq!(route.limits, Some(Limits { body_bytes_max: 1_024, ..node }));
}

#[test]
fn apis_are_lowered() {
    let model = model(&format!(
        "{LISTENER}[[api]]\nname = \"shop\"\nkind = \"rest\"\nhosts = [\"h\"]\nbase_path = \"a/b\"
[[api.stage]]\nname = \"prod\"\nthrottle = {{ rate = \"9/s\" }}\nroute_throttle = {{ rate = \"3/s\", burst = 4 }}\ncache = {{}}
[[api.stage]]\nname = \"test\"
[[api.route]]\nkey = \"GET /\"\nintegration = {{ type = \"mock\", headers = {{ b = \"1\", a = \"2\" }}, body = \"x\" }}\ncache = \"0s\"
[[api]]\nname = \"pets\"\nkind = \"http\"\ncors = {{ allow_origins = [\"http://*\"], max_age = \"-1s\" }}
[[api.route]]\nkey = \"$default\"\nintegration.type = \"mock\"
[[api]]\nname = \"m\"\nkind = \"http\"
[[api.stage]]\nname = \"x\"
[[api.mapping]]\nhost = \"m\"\nstage = \"x\"
[[api.mapping]]\nhost = \"n\"\nbase_path = \"v1\"
[[api.route]]\nkey = \"GET /\"\nintegration.type = \"mock\""
    ));
    let [shop, pets, m] = &model.apis[..] else { panic!("three APIs") };
    let mapping =
        |mapping: &Mapping| (mapping.host.clone(), mapping.base_path.clone(), mapping.stage.clone());
    assert_eq!(mapping(&shop.mappings[0]), (Some("h".into()), "a/b".into(), None));
    let prod = &shop.stages[0];
    let rates = [&prod.throttle, &prod.route_throttle].map(|it| it.as_ref().map(|it| (it.rate, it.burst)));
    assert_eq!(rates, [Some((9.0, None)), Some((3.0, Some(4)))]);
    let cache = prod.cache.as_ref().unwrap();
    assert_eq!((cache.ttl.as_secs(), cache.client_invalidation, &cache.key), (300, true, &None));
    let Integration::Mock(mock) = &shop.definition.routes[0].integration else { panic!("{shop:?}") };
    assert_eq!(mock.headers, [("b".into(), "1".into()), ("a".into(), "2".into())]);
    assert_eq!((mock.status, &*mock.body), (200, "x"));
    assert!(
        shop.definition.routes[0].cache.as_ref().is_some_and(|it| it.client_invalidation && it.ttl.is_zero())
    );
    assert_eq!(mapping(&pets.mappings[0]), (None, String::new(), Some("$default".into())));
    assert_eq!(
        (&pets.definition.routes[0].key, pets.definition.cors.as_ref().unwrap().max_age_s),
        (&RouteKey::Default, Some(-1))
    );
    assert_eq!(mapping(&m.mappings[0]), (Some("m".into()), String::new(), Some("x".into())));
    assert_eq!(mapping(&m.mappings[1]), (Some("n".into()), "v1".into(), None));
}

#[test]
fn node_and_listeners_are_lowered() {
    let model = model(
        "[node]\nworkers = 2\ndriver = \"epoll\"\nstate = \"s\"\nconnections_max = 9\nmemory_max = \"64MiB\"\ndrain = \"1s\"\nwatch = true
[admin]\nsocket = \"a.sock\"\nlisten = \"[::1]:1\"
[access_log]\nformat = \"$context.requestId\"
[client]\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\nconnections_max = 5\nipv4_prefix = 24\nipv6_prefix = 0
[endpoint]\nsuffix = \"Example.NET\"\nregion = \"eu-central-1\"\naccount_id = \"123456789012\"
[templates]\nxml_to_json = true
[cache]\nsize = \"1GiB\"
[timeouts]\nhandshake = \"1s\"\nhead = \"2s\"\nbody_idle = \"3s\"\nkeep_alive = \"4s\"\nhttp2_idle = \"10s\"\nfirst_byte = \"5s\"\ntunnel_idle = \"6s\"\ntunnel_max = \"7s\"\nlinger = \"8s\"\nrequest_rate_min = \"1KiB\"\nresponse_rate_min = \"0B\"\nrate_grace = \"9s\"
[[listener]]\naddress = \"0.0.0.0:443\"\nsecurity_policy = \"TLS_1_0\"\nhttp2_streams_max = 9
[[listener]]\nconnections_max = 7\nname = \"p\"\naddress = \"[::]:80\"\nplain = true\nhttp2 = false
[[certificate]]\nchain = \"c\"\nkey = \"/k\"\nhosts = [\"*.A\"]
[upstream.u]\ntargets = [\"https://u\", \"https://10.0.0.1:1\"]\nhttp2 = true\nca = \"ca\"\nserver_name = \"S\"\nhost = \"H:1\"\ntotal_timeout = \"1m\"\nidle_connections_max = 0
[[route]]\nmatch = \"/\"\nupstream = \"u\"",
    );
    let node = &model.node;
    let endpoint = model::Endpoint {
        suffix: Some("example.net".into()),
        region: "eu-central-1".into(),
        account_id: "123456789012".into(),
    };
    assert_eq!(node.endpoint, endpoint);
    assert!(node.templates.xml_to_json);
    assert_eq!((node.workers, node.driver, node.connections_max), (Some(2), model::Driver::Epoll, Some(9)));
    assert_eq!(node.memory_max, Some(64 << 20));
    assert_eq!((node.state.as_deref(), node.watch), (Some("s".as_ref()), true));
    assert_eq!(
        node.client.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["10.0.0.0/8", "::1/128"]
    );
    assert_eq!(node.cache.size_bytes, 1 << 30);
    let client = &node.client;
    assert_eq!((client.connections_max, client.ipv4_prefix, client.ipv6_prefix), (Some(5), 24, 0));
    assert_eq!(model.listeners.iter().map(|it| it.connections_max).collect::<Vec<_>>(), [None, Some(7)]);
    let timeouts = &node.timeouts;
    let seconds =
        [timeouts.handshake, timeouts.head, timeouts.body_idle, timeouts.keep_alive, timeouts.first_byte];
    assert_eq!(seconds.map(|it| it.as_secs()), [1, 2, 3, 4, 5]);
    let seconds = [
        timeouts.tunnel_idle,
        timeouts.tunnel_max,
        timeouts.linger,
        timeouts.rate_grace,
        timeouts.http2_idle,
    ];
    assert_eq!(seconds.map(|it| it.as_secs()), [6, 7, 8, 9, 10]);
    assert_eq!((timeouts.request_rate_min, timeouts.response_rate_min), (1024, 0));
    let listeners: Vec<_> = model.listeners.iter().map(|it| (&*it.name, it.plain)).collect();
    assert_eq!(listeners, [("0.0.0.0:443", false), ("p", true)]);
    let http2: Vec<_> = model.listeners.iter().map(|it| (it.http2, it.http2_streams_max)).collect();
    assert_eq!(http2, [(true, 9), (false, 100)]);
    assert_eq!(model.certificates[0].hosts, ["*.a"]);
    assert_eq!(model.certificates[0].key, std::path::Path::new("/k"));
    let upstream = &model.upstreams[0];
    assert_eq!((upstream.server_name.as_deref(), upstream.host.as_deref()), (Some("s"), Some("h:1")));
    assert!(upstream.http2);
    assert_eq!((upstream.targets[0].port, upstream.targets[1].port), (443, 1));
}

#[test]
fn care_of_upstreams_is_lowered() {
    let model = model(&format!(
        "{LISTENER}[[route]]\nmatch = \"/\"\nupstream = \"u\"\n[upstream.u]\ntargets = [\"http://u\"]\nconnections_max = 7\nin_flight_max = 9\nslow_start = \"0s\"\npanic_threshold = 50\n\
         health = {{ path = \"/h?x=1\", interval = \"1s\", timeout = \"1s\", healthy = 1, unhealthy = 4, status = \"200, 301-302\" }}\n\
         outlier = {{ consecutive = 0, status = \"500-599\", ejection = \"1s\", ejection_max = \"2s\", ejected_max = 100 }}\n\
         breaker = {{ failures = 10, calls_min = 5, open = \"1s\", trials = 1 }}\nretries = {{ max = 1, budget = 0, budget_min = 0, status = \"503\" }}\n"
    ));
    let upstream = &model.upstreams[0];
    assert_eq!((upstream.connections_max, upstream.in_flight_max), (Some(7), Some(9)));
    assert_eq!((upstream.slow_start, upstream.panic_threshold), (Duration::ZERO, 50));
    let second = Duration::from_secs(1);
    let health = model::Health {
        path: "/h?x=1".into(),
        interval: second,
        timeout: second,
        healthy: 1,
        unhealthy: 4,
        status: vec![200..=200, 301..=302],
    };
    assert_eq!(upstream.health, Some(health));
    let outlier = model::Outlier {
        consecutive: 0,
        status: vec![500..=599],
        ejection: second,
        ejection_max: second * 2,
        ejected_max: 100,
    };
    assert_eq!(upstream.outlier, outlier);
    let breaker = model::Breaker { failures: 10, calls_min: 5, open: second, trials: 1 };
    assert_eq!(upstream.breaker, Some(breaker));
    let retries = model::Retries { max: 1, budget: 0, budget_min: 0, status: vec![503..=503] };
    assert_eq!(upstream.retries, retries);
}

#[test]
fn the_front_line_is_lowered() {
    let ebpf = |text: &str| {
        let model = model(&format!(
            "{text}\n[[listener]]\naddress = \"127.0.0.1:443\"\n[[route]]\nmatch = \"/\"\nurl = \"http://u\"\n"
        ));
        model.node.ebpf.unwrap()
    };
    let least = ebpf("[ebpf]\ninterfaces = [\"eth0\"]");
    assert_eq!(Ebpf { origin: None, ..least }, Ebpf::new(vec!["eth0".into()]));
    let rates = |rate, burst, prefix_rate, prefix_burst| EbpfRates { rate, burst, prefix_rate, prefix_burst };
    let all = ebpf(
        "[ebpf]\ninterfaces = [\"eth0\", \"br-1.7\"]\nmode = \"challenge\"\ndriver = \"xdp\"\nports = [443, 0x50]
admin_ports = [22, 2222]\nprefixes.ipv4 = [31, 8]\nsyns = { rate = \"60/m\", prefix_rate = \"5/s\" }
packets = { rate = \"0.5/s\", burst = 7 }\nflood = \"9/s\"\nlet_through = \"8/s\"\nallow = [\"10.0.0.0/8\", \"::1\"]
block = [\"10.1.0.0/16\"]\npins = \"/p\"\ntrial = \"5s\"\nsteer = false\nconnections = false
feed = { points = 50, half_life = \"9s\", share = 0, cost = 3, expiry_min = \"2s\", expiry_max = \"2s\", refused = 0, malformed = 1, handshake = 2 }
[[ebpf.policy]]\nports = [8443]\n[[ebpf.policy]]\nports = [1, 2]\nmode = \"monitor\"\nsyns = { rate = \"1/h\", prefix_burst = 9 }
packets = { rate = \"3/s\" }\nflood = \"7/s\"\nlet_through = \"6/s\"",
    );
    assert_eq!((&all.interfaces[..], all.driver), (&["eth0".into(), "br-1.7".into()][..], EbpfDriver::Xdp));
    assert_eq!((all.ports.as_deref(), &all.admin_ports[..]), (Some(&[443, 80][..]), &[22, 2222][..]));
    assert_eq!((all.prefixes.ipv4, all.prefixes.ipv6), ([31, 8], [64, 48]));
    assert_eq!((all.policy.mode, all.policy.flood, all.policy.let_through), (EbpfMode::Challenge, 9.0, 8.0));
    assert_eq!(all.policy.syns, rates(1.0, 2, 5.0, 10));
    assert_eq!(all.policy.packets, Some(rates(0.5, 7, 5.0, 10)));
    assert_eq!((all.pins.to_str(), all.trial.as_secs()), (Some("/p"), 5));
    assert!(!all.steer && !all.connections);
    let networks = |list: &[ipnet::IpNet]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!(
        (networks(&all.allow), networks(&all.block)),
        ("10.0.0.0/8 ::1/128".into(), "10.1.0.0/16".into())
    );
    let feed = all.feed.unwrap();
    assert_eq!((feed.points, feed.half_life.as_secs(), feed.share, feed.cost), (50, 9, 0, 3));
    assert_eq!((feed.expiry_min.as_secs(), feed.expiry_max.as_secs()), (2, 2));
    assert_eq!((feed.refused, feed.malformed, feed.handshake), (0, 1, 2));
    let [first, second] = &all.policies[..] else { panic!("two policies") };
    assert_eq!((&first.ports[..], &first.policy), (&[8443][..], &all.policy), "left out: as at other ports");
    assert_eq!((&second.ports[..], second.policy.mode), (&[1, 2][..], EbpfMode::Monitor));
    assert_eq!(second.policy.syns, rates(1.0 / 3_600.0, 1, 10.0 / 3_600.0, 9));
    assert_eq!(second.policy.packets, Some(rates(3.0, 6, 30.0, 60)));
    assert_eq!((second.policy.flood, second.policy.let_through), (7.0, 6.0));
}

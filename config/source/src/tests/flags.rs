//! A gateway from flags.

use model::{CacheMode, Driver, Ebpf, EbpfMode, Integration, Model, ThrottlePer};

use super::line;
use crate::{Flags, from_flags, render};

fn flags(backend: &str) -> Flags {
    Flags { backend: backend.into(), ..Flags::default() }
}

#[track_caller]
fn model(flags: &Flags) -> Model {
    let outcome = from_flags(flags);
    outcome.model.unwrap_or_else(|| panic!("{}", render(&outcome.diagnostics, &outcome.sources, false)))
}

#[track_caller]
fn check(flags: &Flags, expected: &[&str]) {
    let outcome = from_flags(flags);
    assert_eq!(outcome.diagnostics.iter().map(line).collect::<Vec<_>>(), expected);
    assert!(outcome.model.is_none());
}

#[test]
fn a_url_is_a_whole_gateway() {
    let model = model(&flags("http://127.0.0.1:8080"));
    let listener = &model.listeners[0];
    assert_eq!((listener.address.to_string(), listener.plain), ("127.0.0.1:8443".into(), false));
    let route = &model.apis[0].definition.routes[0];
    assert_eq!(route.key.to_string(), "ANY /{proxy+}");
    let Integration::Http { upstream, path, strip_prefix } = &route.integration else { panic!("{route:?}") };
    assert_eq!((&**upstream, path, strip_prefix), ("http://127.0.0.1:8080", &None, &None));
    assert_eq!(model.upstreams[0].targets[0].port, 8080);
    assert!(!model.upstreams[0].http2);
    assert!(route.throttles.is_empty() && route.cache.is_none());
}

#[test]
fn every_flag_has_its_meaning() {
    let model = model(&Flags {
        listen: None,
        plain: true,
        http2: true,
        rate: Some("100/s".into()),
        burst: Some(7),
        cache: Some("60s".into()),
        workers: Some(3),
        driver: Some("epoll".into()),
        admin: Some("127.0.0.1:9901".into()),
        xdp: Some("eth0".into()),
        state: Some("s".into()),
        ..flags("https://b/v1/")
    });
    assert_eq!(
        (model.listeners[0].address.to_string(), model.listeners[0].plain),
        ("127.0.0.1:8080".into(), true)
    );
    assert_eq!((&*model.upstreams[0].name, model.upstreams[0].http2), ("https://b (HTTP/2)", true));
    let route = &model.apis[0].definition.routes[0];
    let Integration::Http { path, .. } = &route.integration else { panic!("{route:?}") };
    assert_eq!(path.as_deref(), Some("/v1/{proxy}"));
    let throttle = &route.throttles[0];
    assert_eq!((throttle.rate, throttle.burst, throttle.per), (100.0, Some(7), ThrottlePer::Client));
    assert_eq!(route.cache.as_ref().map(|cache| cache.ttl.as_secs()), Some(60));
    assert_eq!((model.node.workers, model.node.driver), (Some(3), Driver::Epoll));
    assert!(model.node.admin.listen.is_some() && model.node.state.is_some());
    let ebpf = model.node.ebpf.as_ref().unwrap();
    assert_eq!(Ebpf { origin: None, ..ebpf.clone() }, Ebpf::new(vec!["eth0".into()]));
    assert_eq!((ebpf.policy.mode, ebpf.policy.syns.rate), (EbpfMode::Monitor, 300.0));
    let listen = Some("[::1]:1".parse().unwrap());
    assert_eq!(
        self::model(&Flags { listen, ..flags("http://b") }).listeners[0].address.to_string(),
        "[::1]:1"
    );
}

#[test]
fn the_cache_may_be_the_backends_affair() {
    let model = model(&Flags { cache: Some("respect-origin".into()), ..flags("http://b") });
    let cache = model.apis[0].definition.routes[0].cache.as_ref().unwrap();
    assert_eq!((cache.mode, cache.client_invalidation), (CacheMode::RespectOrigin, true));
}

#[test]
fn mistakes_show_the_command_line() {
    check(&flags("b:80"), &["command line:1:15: `b:80` has no scheme | write `http://b:80`"]);
    let bad = Flags {
        rate: Some("100".into()),
        cache: Some("2h".into()),
        workers: Some(0),
        driver: Some("urin".into()),
        admin: Some("0.0.0.0:1".into()),
        xdp: Some("eth 0".into()),
        ..flags("http://b")
    };
    check(
        &bad,
        &[
            "command line:1:31: `100` is no rate | write `100/s`",
            "command line:1:43: `2h` is out of range | write something from `0s` to `1h`",
            "command line:1:56: no core would serve | write at least `--workers 1`",
            "command line:1:67: `urin` is no driver | did you mean `uring`?",
            "command line:1:80: `0.0.0.0:1` is reachable from other machines | write a loopback address: `127.0.0.1:1`",
            "command line:1:96: `eth 0` is no name of a network interface | write one that `ip link` shows: `eth0`",
        ],
    );
    check(
        &Flags { burst: Some(5), ..flags("http://b") },
        &["command line:1:32: `--burst` says how far `--rate` may be passed | add `--rate 5/s`"],
    );
    let outcome = from_flags(&Flags { rate: Some("100".into()), ..flags("http://b") });
    let rendered = render(&outcome.diagnostics, &outcome.sources, false);
    assert!(rendered.contains("1 | floodgate run http://b --rate 100\n"), "{rendered}");
}

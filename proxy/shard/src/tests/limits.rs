//! What is refused for being too much: requests, bodies, connections.

use std::time::Duration;

use model::Integration;
use telemetry::{NodeFacts, exposition, merge};

use crate::{CacheBound, Level};

use super::harness::{Lab, Setup, check, check_on, in_http2, run, standard};

/// The bucket of `/once` holds one token.
const SPENT: &str = "c> GET /once HTTP/1.1|Host: h||
     1< GET /once
     1> HTTP/1.1 204 No Content||
     c< 204";

#[test]
fn a_throttled_request_leaves_no_body_behind() {
    let smuggled = "GET /poison HTTP/1.1|Host: h||";
    let length = smuggled.replace('|', "\r\n").len();
    check(&format!(
        "{SPENT}
         c> POST /once HTTP/1.1|Host: h|Content-Length: {length}||{smuggled}
         c< 429 Too Many Requests
         c> POST /once HTTP/1.1|Host: h|Content-Length: {length}||
         c< 429 Too Many Requests
         c> {smuggled}GET /mock HTTP/1.1|Host: h||
         c< 200 mocked
         c> POST /once HTTP/1.1|Host: h|Transfer-Encoding: chunked||{length:x}|{smuggled}|0||
         c< 429 close Too Many Requests
         c sees fin
         1 sees nothing"
    ));
    check(&format!(
        "{SPENT}
         c> POST /once HTTP/1.1|Host: h|Content-Length: 5|Expect: 100-continue||
         c< 429 close Too Many Requests
         c sees fin"
    ));
}

/// A core that draws more than it uses and falls silent has given it back before the other one needs it.
#[test]
fn what_a_silent_core_holds_goes_back() {
    /// Divided among two cores so that a lease is of more than one token.
    const BURST: usize = 2_048;
    let mut model = standard();
    let routes = &mut model.apis[0].definition.routes;
    let throttle = routes.iter().find_map(|route| route.throttles.first()).cloned();
    let mut limited = throttle.expect("a throttled route");
    (limited.rate, limited.burst) = (0.001, Some(BURST as u32));
    let mocked = routes.iter_mut().find(|route| matches!(route.integration, Integration::Mock(_)));
    mocked.expect("a route without a backend").throttles = vec![limited];
    run(Setup { cores: 2, model, ..Setup::default() }, async |lab| {
        lab.talk("a connects\nb connects 1").await;
        let passed = "> GET /mock HTTP/1.1|Host: h||\n#< 200 mocked\n#";
        let ask = |client: &str, times: usize| {
            let all = format!("#{}", passed.repeat(times)).replace('#', client);
            all.trim_end_matches(client).to_owned()
        };
        // The thirtieth is the first of a lease.
        lab.talk(&ask("a", 30)).await;
        lab.talk("wait 2s").await;
        lab.talk(&ask("b", BURST - 30)).await;
        lab.talk("b> GET /mock HTTP/1.1|Host: h||\nb< 429 Too Many Requests").await;
    });
}

#[test]
fn a_body_that_grows_too_long_is_refused() {
    // Its length is known: nobody is asked.
    check(
        "c> POST /small HTTP/1.1|Host: h|Content-Length: 11||hello world
         c< 413 Content Too Large
         c> GET /mock HTTP/1.1|Host: h||
         c< 200 mocked",
    );
    check(
        "c> POST /small HTTP/1.1|Host: h|Content-Length: 10||helloworld
         1< POST /small helloworld
         1> HTTP/1.1 204 No Content||
         c< 204",
    );
    // It is not: the backend gets no whole request.
    check(
        "c> POST /small HTTP/1.1|Host: h|Transfer-Encoding: chunked||5|hello|
         1^ POST /small chunked
         c> 6| world|0||GET /mock HTTP/1.1|Host: h||
         c< 413 close Content Too Large
         c sees fin
         1 sees 5|hello|!fin",
    );
    check(
        "c> POST /small HTTP/1.1|Host: h|Transfer-Encoding: chunked||5|hello|
         1^ POST /small chunked
         c> 5|world|0||
         1= 5|hello|5|world|0||
         1> HTTP/1.1 204 No Content||
         c< 204",
    );
}

#[test]
fn no_more_connections_are_taken_than_allowed() {
    let setup = || Setup { connections_max: 2, ..Setup::default() };
    check_on(
        setup(),
        "c> GET /mock HTTP/1.1|Host: h||
         d> GET /mock HTTP/1.1|Host: h||
         c< 200 mocked
         d< 200 mocked
         e connects
         e sees reset
         took 0s
         c leaves
         f> GET /mock HTTP/1.1|Host: h||
         f< 200 mocked",
    );
    // Those that come at once are counted one by one.
    run(setup(), async |lab| {
        let mut clients = Vec::new();
        for _ in 0..20 {
            clients.push(lab.connect(0).await);
        }
        lab.settle().await;
        assert_eq!(lab.cores[0].open_connections(), 2);
        drop(clients);
    });
}

/// By listener and by client, over all cores; each limit by its own name.
#[test]
fn each_limit_of_connections_is_kept_and_counted() {
    #[track_caller]
    fn check(setup: Setup, limit: &str) {
        run(setup, async |lab| {
            lab.talk(
                "c> GET /mock HTTP/1.1|Host: h||
                 d connects 1
                 d> GET /mock HTTP/1.1|Host: h||
                 c< 200 mocked
                 d< 200 mocked
                 e connects
                 e sees reset
                 f connects 1
                 f sees reset
                 c leaves
                 g connects 1
                 g> GET /mock HTTP/1.1|Host: h||
                 g< 200 mocked",
            )
            .await;
            let page = page(lab);
            let counted = page.lines().filter(|line| line.starts_with("floodgate_connections_rejected"));
            let expected = format!("floodgate_connections_rejected_total{{limit=\"{limit}\"}} 2");
            assert_eq!(counted.collect::<Vec<_>>(), [expected]);
        });
    }
    let with = |change: fn(&mut Setup)| {
        let mut setup = Setup { cores: 2, ..Setup::default() };
        change(&mut setup);
        setup
    };
    check(with(|setup| setup.connections_max = 2), "connections_max");
    check(with(|setup| setup.model.listeners[0].connections_max = Some(2)), "listener");
    check(with(|setup| setup.model.node.client.connections_max = Some(2)), "client");
}

/// Each level of the ladder takes more away, and what it takes comes back.
#[test]
fn who_is_served_depends_on_memory() {
    let tell = async |lab: &mut Lab, level, cache| {
        for post in &lab.posts {
            assert!(post.send(crate::Message::Pressure(crate::Pressure { level, cache })).is_ok());
        }
        lab.settle().await;
    };
    run(Setup::default(), async |lab| {
        lab.talk(
            "c> GET /mock HTTP/1.1|Host: h||
             c< 200 mocked",
        )
        .await;
        let capacity = |lab: &Lab| lab.cores[0].owner.borrow().stats().bytes_max;
        let whole = capacity(lab);
        tell(lab, Level::Trim, CacheBound::Shrink).await;
        assert!(capacity(lab) < whole);
        lab.talk(
            "d> GET /mock HTTP/1.1|Host: h||
             d< 200 mocked",
        )
        .await;
        tell(lab, Level::Shut, CacheBound::Shrink).await;
        lab.talk(
            "c> GET /mock HTTP/1.1|Host: h||
             c< 200 mocked
             e connects
             e sees reset
             d sees fin
             took 1s
             c sees fin",
        )
        .await;
        tell(lab, Level::Enough, CacheBound::Grow).await;
        lab.talk(
            "f> GET /mock HTTP/1.1|Host: h||
             f< 200 mocked",
        )
        .await;
        tell(lab, Level::Refuse, CacheBound::Shrink).await;
        lab.talk(
            "f> GET /mock HTTP/1.1|Host: h||
             f< 503 Service Unavailable",
        )
        .await;
        for _ in 0..crate::GROWTHS {
            tell(lab, Level::Enough, CacheBound::Grow).await;
        }
        assert_eq!(capacity(lab), whole);
        lab.talk(
            "g> GET /mock HTTP/1.1|Host: h||
             g< 200 mocked",
        )
        .await;
    });
}

/// Who speaks for others is not counted as one client.
#[test]
fn a_trusted_proxy_has_as_many_connections_as_it_makes() {
    let mut model = standard();
    model.node.client.connections_max = Some(1);
    model.node.client.trusted_proxies = vec!["0.0.0.0/0".parse().unwrap()];
    check_on(
        Setup { model, ..Setup::default() },
        "c> GET /mock HTTP/1.1|Host: h||
         d> GET /mock HTTP/1.1|Host: h||
         c< 200 mocked
         d< 200 mocked",
    );
}

/// Beyond its share of descriptors a core makes no connection to a backend; those that nobody uses make room.
#[test]
fn connections_to_backends_are_bounded() {
    check_on(
        Setup { backends_max: 2, ..Setup::default() },
        "c> GET /bounded HTTP/1.1|Host: h||
         C1< GET /bounded
         d> GET / HTTP/1.1|Host: h||
         1< GET /
         1> HTTP/1.1 204 No Content||
         d< 204
         d> GET / HTTP/1.1|Host: h||
         1< GET /
         e> GET / HTTP/1.1|Host: h||
         e< 502 Bad Gateway
         1> HTTP/1.1 204 No Content||
         d< 204
         e> GET /bounded HTTP/1.1|Host: h||
         1 sees fin
         C2< GET /bounded
         C2> HTTP/1.1 204 No Content||
         e< 204
         C1> HTTP/1.1 204 No Content||
         c< 204",
    );
}

/// As many as are needed: who has waited for longest goes, and the others are used again.
#[test]
fn one_connection_makes_room_for_one() {
    check_on(
        Setup { backends_max: 3, ..Setup::default() },
        "c> GET / HTTP/1.1|Host: h||
         d> GET / HTTP/1.1|Host: h||
         1< GET /
         2< GET /
         2> HTTP/1.1 204 No Content||
         d< 204
         1> HTTP/1.1 204 No Content||
         c< 204
         c> GET /bounded HTTP/1.1|Host: h||
         C1< GET /bounded
         C1> HTTP/1.1 204 No Content||
         c< 204
         c> GET /ab HTTP/1.1|Host: h||
         2 sees fin
         B1< GET /ab
         B1> HTTP/1.1 204 No Content||
         c< 204
         c> GET / HTTP/1.1|Host: h||
         1< GET /
         1> HTTP/1.1 204 No Content||
         c< 204
         c> GET /bounded HTTP/1.1|Host: h||
         C1< GET /bounded
         C1> HTTP/1.1 204 No Content||
         c< 204",
    );
}

/// One that calls share makes room at once, when none is on it.
#[test]
fn a_shared_connection_makes_room() {
    check_on(
        Setup { backends_max: 1, model: in_http2(), ..Setup::default() },
        "c> GET / HTTP/1.1|Host: h||
         1 speaks h2
         1.1< GET /
         d> GET /bounded HTTP/1.1|Host: h||
         d< 502 Bad Gateway
         1.1> 204
         c< 204
         d> GET /bounded HTTP/1.1|Host: h||
         C1 speaks h2
         C1.1< GET /bounded
         C1.1> 204
         d< 204",
    );
}

#[test]
fn heads_that_are_too_long_are_refused() {
    check("c> GET / HTTP/1.1|Host: h|A: {70000}||\nc< 431 close Request Header Fields Too Large\nc sees fin");
    check("c> GET /{70000} HTTP/1.1|Host: h||\nc< 414 close URI Too Long\nc sees fin");
    // Above the API's own limit and below the codec's: the API says so, and the connection is in step.
    check(
        "c> GET /mock HTTP/1.1|Host: h|A: {11000}||
         c< 431 Request Header Fields Too Large
         c> GET /mock HTTP/1.1|Host: h||
         c< 200 mocked",
    );
}

/// Who sends request after request and reads nothing is not served on, and let go in the end; who reads later gets all.
#[test]
fn answers_that_nobody_reads_do_not_pile_up() {
    const REQUESTS: usize = 8_000;
    let requests = "GET /mock HTTP/1.1\r\nHost: h\r\n\r\n".repeat(REQUESTS);
    run(Setup::default(), async |lab| {
        let client = lab.connect(0).await;
        client.send(requests.as_bytes());
        lab.settle().await;
        let sent_bytes = lab.handle.stats().sent_bytes;
        assert!(sent_bytes < 500_000, "{sent_bytes} bytes moved");
        lab.handle.sleep(Duration::from_secs(120)).await;
        assert_eq!(lab.cores[0].open_connections(), 0, "it waits for ever");
        drop(client);
    });
    run(Setup::default(), async |lab| {
        let mut client = lab.connect(0).await;
        client.send(requests.as_bytes());
        lab.handle.sleep(Duration::from_secs(8)).await;
        for number in 0..REQUESTS {
            assert_eq!(client.message(false).await, "200 mocked", "{number}");
        }
    });
}

/// What a scraper reads of all cores.
fn page(lab: &Lab) -> String {
    exposition(&merge(lab.cores.iter().map(|core| core.counted()).collect()), &NodeFacts::default())
}

//! The end of a node, and of a configuration: what is in flight is finished under what it began with.

use std::time::Duration;

use super::harness::{Lab, Setup, check, route, run, standard};

#[test]
fn a_request_in_flight_is_finished_and_the_connection_ends() {
    check(
        "c> GET / HTTP/1.1|Host: h||
         1< GET /
         drain 30s
         wait 5s
         1> HTTP/1.1 200 OK|Content-Length: 2||ok
         c< 200 close ok
         c sees fin
         1 sees fin",
    );
}

/// A request that was under way to an idle connection when the node began to end is answered.
#[test]
fn idle_connections_are_let_go_after_a_while() {
    check(
        "c> GET /mock HTTP/1.1|Host: h||
         c< 200 mocked
         drain 30s
         c sees nothing
         c sees fin
         took 1s",
    );
    check(
        "c> GET /mock HTTP/1.1|Host: h||
         c< 200 mocked
         drain 30s
         wait 500ms
         c> GET /mock HTTP/1.1|Host: h||
         c< 200 close mocked
         c sees fin",
    );
    check(
        "c connects
         drain 30s
         c sees fin
         took 1s",
    );
}

#[test]
fn a_node_ends_as_soon_as_it_may() {
    for (script, least_s, most_s) in [
        ("", 0, 0),
        ("c> GET /mock HTTP/1.1|Host: h|Connection: close||\nc sees fin", 0, 0),
        ("c> GET / HTTP/1.1|Host: h||\n1< GET /", 30, 30),
    ] {
        run(Setup::default(), async |lab| {
            let script = script.replace("c sees fin", "c< 200 close mocked\nc leaves");
            lab.talk(&script).await;
            lab.drain(Duration::from_secs(30));
            lab.settle().await;
            let begun_ns = lab.handle.now().mono_ns;
            while lab.ended() == 0 {
                lab.handle.sleep(Duration::from_millis(10)).await;
            }
            let took = Duration::from_nanos(lab.handle.now().mono_ns - begun_ns);
            let slack = Duration::from_millis(50);
            assert!(took >= Duration::from_secs(least_s), "{script}: {took:?}");
            assert!(took <= Duration::from_secs(most_s) + slack, "{script}: {took:?}");
            // What outlasts the limit is cut by the end of the process; here by its peers, who leave.
        });
    }
}

/// What the kernel has accepted is served, though nobody had looked at it yet.
#[test]
fn connections_that_wait_to_be_accepted_are_served() {
    run(Setup::default(), async |lab| {
        let mut clients = Vec::new();
        for _ in 0..20 {
            let client = lab.connect(0).await;
            client.send(b"GET /mock HTTP/1.1\r\nHost: h\r\n\r\n");
            clients.push(client);
        }
        // In the same turn.
        lab.drain(Duration::from_secs(30));
        while lab.ended() == 0 {
            lab.handle.sleep(Duration::from_millis(10)).await;
        }
        for client in &mut clients {
            let seen = client.now();
            assert!(seen.ends_with("mocked!fin"), "{seen:?} when the core had ended");
        }
        assert!(lab.try_connect(0).await.is_err(), "it still listens");
    });
}

/// A request keeps the configuration it began with, to its last byte; the next one has the new one.
#[test]
fn a_request_keeps_its_configuration() {
    run(Setup::default(), async |lab| {
        let mut model = standard();
        model.apis[0].definition.routes.retain(|route| route.key.to_string() != "$default");
        model.upstreams.retain(|upstream| upstream.name != "A");
        for route in &mut model.apis[0].definition.routes {
            if let model::Integration::Http { upstream, .. } = &mut route.integration {
                *upstream = "ZA".into();
            }
        }
        lab.talk(
            "c> POST /a HTTP/1.1|Host: h|Content-Length: 4||ab
             1^ POST /a",
        )
        .await;
        lab.publish(&model).await;
        lab.talk(
            "c> cd
             1= abcd
             1> HTTP/1.1 200 OK|Content-Length: 4||o",
        )
        .await;
        lab.publish(&standard()).await;
        lab.publish(&model).await;
        lab.talk(
            "1> kay
             c< 200 okay
             1 sees fin
             c> GET /a HTTP/1.1|Host: h||
             c< 404 Not Found",
        )
        .await;
        lab.publish(&standard()).await;
        lab.talk(
            "c> GET /a HTTP/1.1|Host: h||
             2< GET /a
             2> HTTP/1.1 204 No Content||
             c< 204",
        )
        .await;
    });
}

/// One that has found its route but not its backend yet still gets there when the group is gone from the configuration.
#[test]
fn a_request_that_waits_for_the_cache_still_finds_its_backend() {
    run(Setup::default(), async |lab| {
        let mut model = standard();
        model.apis[0].definition.routes = vec![route("ANY /ab", "AB")];
        model.upstreams.retain(|upstream| upstream.name == "AB");
        lab.talk(
            "c> GET /cached/a HTTP/1.1|Host: h||
             1< GET /cached/a
             d> GET /cached/a HTTP/1.1|Host: h||",
        )
        .await;
        lab.publish(&model).await;
        lab.talk(
            "1> HTTP/1.1 200 OK|Cache-Control: no-store|Content-Length: 1||1
             c< 200 1
             1< GET /cached/a
             1> HTTP/1.1 200 OK|Content-Length: 1||2
             d< 200 2
             wait 2s
             1 sees fin",
        )
        .await;
    });
}

/// A group that nobody can use any more leaves its slot to another, which gets none of its connections; one that a request uses
/// keeps it.
#[test]
fn a_slot_is_another_groups_once_nobody_uses_it() {
    let only = |group: &str| {
        let mut model = standard();
        model.apis[0].definition.routes = vec![route("$default", group)];
        model.upstreams.retain(|upstream| upstream.name == group);
        model
    };
    run(Setup { model: only("A"), ..Setup::default() }, async |lab| {
        let slots = |lab: &Lab| lab.cores[0].snapshot().upstreams.len();
        lab.talk(
            "c> GET /held HTTP/1.1|Host: h||
             A1< GET /held",
        )
        .await;
        lab.publish(&only("AB")).await;
        lab.publish(&only("C")).await;
        assert_eq!(slots(lab), 3, "one is in use, one was until now");
        lab.publish(&only("Z")).await;
        assert_eq!(slots(lab), 2, "the second is free");
        lab.talk(
            "A1> HTTP/1.1 200 OK|Content-Length: 2||ok
             c< 200 ok
             wait 2s
             A1 sees fin",
        )
        .await;
        lab.publish(&only("C")).await;
        lab.publish(&only("AB")).await;
        assert_eq!(slots(lab), 2);
        for turn in 0..20 {
            let (group, letter) = [("A", 'A'), ("C", 'C')][turn % 2];
            lab.publish(&only(group)).await;
            assert!(slots(lab) <= 3, "turn {turn}");
            let number = 1 + turn / 2 + usize::from(letter == 'A');
            lab.talk(&format!(
                "c> GET /{turn} HTTP/1.1|Host: h||
                 {letter}{number}< GET /{turn}
                 {letter}{number}> HTTP/1.1 200 OK|Content-Length: 2||ok
                 c< 200 ok"
            ))
            .await;
        }
    });
}

/// Buckets and kept connections outlive a change that does not touch them.
#[test]
fn a_change_forgives_nobody_and_closes_nothing() {
    run(Setup::default(), async |lab| {
        lab.talk(
            "c> GET /once HTTP/1.1|Host: h||
             1< GET /once
             1> HTTP/1.1 204 No Content||
             c< 204",
        )
        .await;
        lab.publish(&standard()).await;
        lab.talk(
            "c> GET /once HTTP/1.1|Host: h||
             c< 429 Too Many Requests
             c> GET / HTTP/1.1|Host: h||
             1< GET /
             1> HTTP/1.1 204 No Content||
             c< 204",
        )
        .await;
    });
}

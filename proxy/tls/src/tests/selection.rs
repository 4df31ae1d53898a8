//! Which virtual server a name leads to, and where a session may be taken up again.

use super::*;

/// The certificates of the table below: the first is the default.
fn three() -> Arc<Server> {
    server(vec![
        certificate(&["default.test"]),
        certificate(&["exact.wild.test", "b.test"]),
        certificate(&["*.wild.test"]),
    ])
}

/// A client that asks for `sni` and takes any certificate of ours is sent the one of `names`.
#[track_caller]
fn check_chosen(sni: &str, served_as: &str) {
    let server = three();
    let mut client = Session::client(&client(), sni).unwrap();
    let mut session = Session::server(&server);
    let outcome = converse(&mut client, &mut session);
    // The client verifies the name, so a handshake that ends well says that the right one was sent.
    match served_as {
        "default" => assert!(outcome.is_err(), "the default certificate does not name {sni}"),
        _ => assert!(outcome.is_ok(), "{sni}: {outcome:?}"),
    }
}

#[test]
fn the_name_chooses_the_certificate() {
    check_chosen("default.test", "default.test");
    check_chosen("exact.wild.test", "exact");
    check_chosen("EXACT.Wild.Test", "exact");
    check_chosen("b.test", "exact");
    check_chosen("any.wild.test", "wild");
    check_chosen("two.labels.wild.test", "default");
    check_chosen("wild.test", "default");
    check_chosen("unknown.test", "default");
}

/// Whether a connection opened for `sni` may carry a request for `host`; `-` is a client without SNI.
#[track_caller]
fn check_same(sni: &str, host: &str, same: bool) {
    let sni = (sni != "-").then_some(sni);
    assert_eq!(three().same_virtual_server(sni, host), same, "{sni:?} carries {host}");
}

#[test]
fn a_connection_carries_its_own_hosts() {
    check_same("b.test", "b.test", true);
    check_same("b.test", "B.TEST", true);
    check_same("b.test", "b.test.", true);
    check_same("b.test", "exact.wild.test", true);
    check_same("b.test", "any.wild.test", false);
    check_same("b.test", "default.test", false);
    check_same("b.test", "unknown.test", false);
    check_same("any.wild.test", "other.wild.test", true);
    check_same("any.wild.test", "exact.wild.test", false);
    check_same("default.test", "unknown.test", true);
    check_same("-", "127.0.0.1", true);
    check_same("-", "[::1]", true);
    check_same("-", "b.test", false);
    check_same("b.test", "", false);
    check_same("b.test", &"x".repeat(5000), false);
    check_same("b.test", "\u{e9}.test", false);
}

#[test]
fn one_certificate_carries_all_hosts() {
    let server = server(vec![certificate(&["a.test"])]);
    assert!(server.same_virtual_server(Some("a.test"), "anything"));
    assert!(server.same_virtual_server(None, "anything"));
}

#[test]
fn hosts_narrow_what_a_certificate_serves() {
    let mut narrow = certificate(&["a.test", "b.test"]);
    narrow.hosts = vec!["A.test".to_owned()];
    let server = server(vec![certificate(&["default.test"]), narrow]);
    assert!(!server.same_virtual_server(Some("a.test"), "b.test"));
    connected(&client(), &server, "a.test");
    let mut refused = Session::client(&client(), "b.test").unwrap();
    assert!(converse(&mut refused, &mut Session::server(&server)).is_err());
}

#[test]
fn sessions_are_taken_up_after_a_reload_and_on_any_core() {
    let tickets = Tickets::new();
    let settings = server_settings(vec![certificate(&["a.test"])]);
    let (client, before) = (client(), built(&settings, &tickets));
    assert!(!resumes(&client, &before, "a.test"));
    visit(&client, &before, "a.test");
    assert!(resumes(&client, &before, "a.test"));
    visit(&client, &before, "a.test");
    let after = built(&settings, &tickets);
    drop(before);
    assert!(resumes(&client, &after, "a.test"));
}

#[test]
fn a_renewed_certificate_keeps_its_sessions() {
    let tickets = Tickets::new();
    let client = client();
    let before = built(&server_settings(vec![certificate(&["a.test"])]), &tickets);
    visit(&client, &before, "a.test");
    let after = built(&server_settings(vec![certificate(&["a.test"])]), &tickets);
    assert!(resumes(&client, &after, "a.test"));
}

#[test]
fn a_core_has_sessions_of_its_own() {
    let server = server(vec![certificate(&["a.test"])]);
    let client = client();
    visit(&client, &server, "a.test");
    assert!(!resumes(&client.for_core(), &server, "a.test"));
    assert!(resumes(&client, &server, "a.test"));
}

/// A session begun under `before` must not be taken up under `after`.
#[track_caller]
fn check_forgotten(before: &ServerSettings, after: &ServerSettings) {
    let tickets = Tickets::new();
    let (client, before) = (client(), built(before, &tickets));
    visit(&client, &before, "a.test");
    let after = built(after, &tickets);
    assert!(!resumes(&client, &after, "a.test"));
    // Both live until here, so it is not for lack of keys.
    assert!(tickets.len() >= 2);
}

#[test]
fn sessions_stay_in_their_virtual_server() {
    let narrow = server_settings(vec![certificate(&["a.test"])]);
    let mut wide = server_settings(vec![certificate(&["a.test", "b.test"])]);
    check_forgotten(&narrow, &wide);
    wide.certificates[0].hosts = vec!["a.test".to_owned()];
    let mut strict = narrow.clone();
    strict.certificates[0].policy = Some(SecurityPolicy::Tls13Only2025);
    check_forgotten(&narrow, &strict);
    strict.certificates[0].policy = None;
    strict.policy = SecurityPolicy::Tls12Of2021;
    check_forgotten(&narrow, &strict);
    let mut other_alpn = narrow.clone();
    other_alpn.alpn.push(b"acme-tls/1".to_vec());
    check_forgotten(&narrow, &other_alpn);
    assert!(tickets_of(&narrow) == 1 && tickets_of(&wide) == 1);
}

fn tickets_of(settings: &ServerSettings) -> usize {
    let tickets = Tickets::new();
    let _server = built(settings, &tickets);
    tickets.len()
}

/// A ticket of one virtual server, shown to another on the same listener by a client that lies about
/// where it got it: the name in the ticket and the key both say no.
#[test]
fn a_ticket_means_nothing_next_door() {
    let tickets = Tickets::new();
    let both = built(&server_settings(vec![certificate(&["a.test"]), certificate(&["b.test"])]), &tickets);
    let client = client();
    visit(&client, &both, "a.test");
    // The client files its sessions under the name, so the neighbour answers to the same one.
    let neighbour =
        built(&server_settings(vec![certificate(&["c.test"]), certificate(&["a.test", "b.test"])]), &tickets);
    assert!(!resumes(&client, &neighbour, "a.test"));
    assert!(!resumes(&client, &both, "b.test"));
}

#[test]
fn keys_of_the_past_are_forgotten() {
    let tickets = Tickets::new();
    for n in 0..5 {
        let host = format!("host{n}.test");
        drop(built(&server_settings(vec![certificate(&[&host])]), &tickets));
    }
    let _kept = built(&server_settings(vec![certificate(&["a.test"])]), &tickets);
    assert_eq!(tickets.len(), 1);
}

//! Which tests run over one protocol alone, and why. All others are written once and run over HTTP/1.1 and HTTP/2
//! (`over_both!`, `over_all!`), so that no policy sees which it is; a new test does, or stands here.

use std::{env, process::Command};

/// A module (`name::`) or a test, and the reason.
const ALONE: &[(&str, &str)] = &[
    ("admin::foreign_names_are_turned_away", ADMIN),
    ("admin::health_and_readiness", ADMIN),
    ("admin::nothing_is_changed_over_tcp", ADMIN),
    ("admin::the_driver_is_shown", ADMIN),
    ("admin::the_unix_socket_says_the_same", ADMIN),
    ("alone::", "about the tests themselves"),
    ("confined::a_cache_larger_than_the_group_is_cut", "about the cache, whoever fills it"),
    ("confined::a_full_cache_shrinks_for_slow_clients", MEMORY),
    ("confined::slow_clients_beside_a_large_cache_kill_nobody", MEMORY),
    ("confined::slow_clients_of_one_kept_body_kill_nobody", MEMORY),
    ("deadlines::a_window_that_stays_shut_resets_its_stream", "HTTP/1.1 has no windows"),
    ("deployments::", "verbs on a running node; requests only show which deployment serves"),
    ("explain::files_are_explained_without_a_node", "a verb on files, without a client"),
    (
        "explain::what_is_deployed_is_explained_and_exported",
        "verbs on a node and on what it left, without a client",
    ),
    ("files::", "verbs on files, without a client"),
    ("framing::chunks_become_a_close_for_http_1_0", SYNTAX),
    ("framing::close_is_obeyed_and_said", "HTTP/2 has no Connection"),
    ("framing::http_1_0_ends_after_one_answer", SYNTAX),
    ("framing::pipelined_requests_are_answered_in_order", "HTTP/2 has streams instead"),
    ("front_line::", "what decides there sees no HTTP"),
    ("h2::", "HTTP/2's own"),
    ("hostile::a_slow_head_is_answered_408", SYNTAX),
    ("hostile::answers::", "bytes of HTTP/1.1 from a backend; HTTP/2's frames have a table of their own"),
    ("hostile::modes::", "bodies that could be read as requests, which HTTP/2's frames cannot"),
    ("hostile::what_is_refused_ends_there", SYNTAX),
    ("hostile::what_is_right_passes_once", SYNTAX),
    ("last_good::", FILES),
    ("manager::", "the service manager; a request only shows that it serves"),
    ("measured::a_million_answers_are_not_crossed", "the same over HTTP/2 with fewer is `hostile::nonces`"),
    ("measured::changes::", FIGURES),
    ("measured::definitions::", FIGURES),
    ("measured::floods::", "HTTP/2's own"),
    ("measured::in_flight::", "HTTP/2's own"),
    ("measured::overload::", FIGURES),
    ("measured::slow::", FIGURES),
    ("measured::stalled::", FIGURES),
    ("measured::wrk_is_refused_fast", WRK),
    ("measured::wrk_over_tls", WRK),
    ("measured::wrk_through_a_throttled_route_on_one_worker", WRK),
    ("memory::descriptors_run_out", "about descriptors"),
    ("memory::heads_that_never_end", SYNTAX),
    ("memory::idle_tls_connections", "about what TLS keeps"),
    ("memory::no_core_spins_where_descriptors_have_run_out", "about descriptors"),
    ("openapi::", "verbs on documents; requests, of both protocols, only show what is served"),
    ("progress::", "verbs on files and on a node, seen at a terminal"),
    ("proxying::a_foreign_parser_agrees", "the parser reads HTTP/1.1"),
    ("reload::a_tunnel_holds_one_generation_over_a_hundred_reloads", UPGRADE),
    ("reload::damaged_files_are_taken_or_refused", FILES),
    ("reload::every_kind_of_bad_file_changes_nothing", FILES),
    ("reload::what_needs_a_restart_is_refused_by_name", FILES),
    ("scenarios::every_file_is_run", "about the tests themselves"),
    ("shipped::", "what a newcomer types, who has curl choose"),
    ("start::", FILES),
    ("syscalls::", "counts calls of HTTP/1.1's requests"),
    ("templates::", "verbs on templates; requests only show what is served"),
    ("tls::alpn_says_what_is_spoken", HANDSHAKE),
    ("tls::certificates_are_reloaded", HANDSHAKE),
    ("tls::the_certificate_follows_the_name", HANDSHAKE),
    ("tls::tickets_resume", HANDSHAKE),
    ("tls::tls_to_the_backend", HANDSHAKE),
    ("upgrade::", UPGRADE),
    ("watch::", FILES),
];

const ADMIN: &str = "the admin listener speaks HTTP/1.1 alone";
const FIGURES: &str = "times of HTTP/1.1's connections, one for each request under way";
const FILES: &str = "about files; a request only shows which configuration serves";
const HANDSHAKE: &str = "about TLS's handshake, before a protocol is spoken";
const MEMORY: &str = "long, and like those of this module that run over both";
const SYNTAX: &str = "bytes of HTTP/1; HTTP/2's frames and fields have a table of their own";
const WRK: &str = "wrk speaks HTTP/1.1; h2load asks in `h2::h2load`, and the judge of speed measures";
const UPGRADE: &str = "HTTP/2 has no Upgrade";

/// Of the modules that `over!` makes: a test is in both of a line, and may be in more.
const OVER: [[&str; 2]; 2] = [["::http1::", "::http2::"], ["::http1_to_http2::", "::http2_to_http2::"]];

#[test]
fn every_test_runs_over_both_or_says_why_not() {
    let listed =
        Command::new(env::current_exe().unwrap()).args(["--list", "--format", "terse"]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let tests: Vec<&str> = listed.lines().filter_map(|line| line.strip_suffix(": test")).collect();
    assert!(tests.len() > 200, "{listed}");
    let is_alone = |test: &str, name: &str| test == name || name.ends_with("::") && test.starts_with(name);
    let mut wrong = Vec::new();
    for test in &tests {
        let over = OVER.iter().flatten().find(|over| test.contains(**over));
        let named = ALONE.iter().any(|(name, _)| is_alone(test, name));
        match over {
            None if !named => wrong.push(format!("{test} runs over one protocol and is not in the list")),
            Some(over) => {
                let is_there = |other: &&str| tests.contains(&test.replacen(over, other, 1).as_str());
                if !OVER.iter().any(|both| both.iter().all(is_there)) {
                    wrong.push(format!("{test} does not run over both"));
                }
            }
            None => {}
        }
    }
    let stale = ALONE.iter().filter(|(name, _)| {
        !tests
            .iter()
            .any(|test| is_alone(test, name) && !OVER.iter().flatten().any(|over| test.contains(over)))
    });
    wrong.extend(stale.map(|(name, _)| format!("{name} is in the list, and there is no such test")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

//! What a newcomer meets first: the file that ships, its demo backend, and the verbs beside `run`.

use std::process::{Command, Output};

use harness::{Gateway, Origin, curl, free_port, gateway_binary};

/// The default file on ports of our own.
fn shipped(socket: &std::path::Path) -> String {
    let text = include_str!("../../../config/floodgate.toml");
    let demo = format!("127.0.0.1:{}", free_port());
    let replaced = text
        .replace("127.0.0.1:9080", &demo)
        .replace("127.0.0.1:8443", "127.0.0.1:0")
        .replace("127.0.0.1:9901", "127.0.0.1:0")
        .replacen("[admin]", &format!("[admin]\nsocket = {socket:?}"), 1);
    let ports = ["9080", "8443", "9901"].map(|port| format!("= \"127.0.0.1:{port}\""));
    assert!(ports.iter().all(|port| text.contains(port)), "the file's ports have changed");
    replaced
}

#[test]
fn the_default_file_serves_what_the_readme_says() {
    let folder = tempfile::TempDir::new().unwrap();
    let state = folder.path().join("state");
    let gateway = Gateway::with(&shipped(&folder.path().join("admin.sock")))
        .bare()
        .argument("--state")
        .argument(state.to_str().unwrap())
        .argument("--driver")
        .argument(&harness::driver())
        .start();
    let port = gateway.address().port();
    let ca = state.join("authority/ca.pem");
    let ask = |path: &str| {
        let url = format!("https://localhost:{port}{path}");
        let resolve = format!("localhost:{port}:127.0.0.1");
        let answer = curl(&["--cacert", ca.to_str().unwrap(), "--resolve", &resolve, &url]);
        answer.response().clone()
    };
    assert_eq!(ask("/hello").status, 200);
    // The demo backend says when it made an answer: the second is the first, kept.
    let (first, second) = (ask("/cached"), ask("/cached"));
    assert_eq!((first.status, first.text()), (200, second.text()));
    assert!(second.field("age").is_some(), "{second:?}");
    let statuses: Vec<u16> = (0..7).map(|_| ask("/limited").status).collect();
    assert_eq!(statuses[..5], [200; 5]);
    assert!(statuses[5..].contains(&429), "{statuses:?}");
    assert!(gateway.said().contains("curl"), "it prints the lines to try");
    assert!(gateway.metrics().sum("floodgate_requests_total", &[]) >= 10.0);
}

fn verb(gateway: &Gateway, verb: &str) -> Output {
    let mut command = Command::new(gateway_binary());
    command.arg(verb).arg("--socket").arg(gateway.socket());
    command.output().unwrap()
}

#[test]
fn flush_and_metrics_reach_the_running_node() {
    let origin = Origin::fixed("kept");
    let gateway = Gateway::start(&format!(
        "[[route]]\nmatch = \"$default\"\nurl = \"{}\"\ncache = \"60s\"\n",
        origin.url()
    ));
    gateway.ask("GET /a");
    gateway.ask("GET /a");
    assert_eq!(origin.requests().len(), 1);
    let metrics = verb(&gateway, "metrics");
    let page = String::from_utf8_lossy(&metrics.stdout).into_owned();
    assert!(metrics.status.success() && page.contains("floodgate_cache_hits_total"), "{page}");
    assert!(verb(&gateway, "flush").status.success());
    harness::eventually("it is asked again", || {
        gateway.ask("GET /a");
        (origin.requests().len() == 2).then_some(())
    });
}

#[test]
fn verbs_without_a_node_say_so() {
    let folder = tempfile::TempDir::new().unwrap();
    for verb in ["reload", "flush", "metrics"] {
        let socket = folder.path().join("nobody.sock");
        let output = Command::new(gateway_binary()).arg(verb).arg("--socket").arg(&socket).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("nobody.sock"), "{verb}: {said}");
    }
}

#[test]
fn trust_says_how() {
    let folder = tempfile::TempDir::new().unwrap();
    let state = folder.path().to_str().unwrap();
    let output = Command::new(gateway_binary()).args(["trust", "--state", state]).output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("ca.pem"), "{said}");
}

/// The README's examples are configurations, and what they say of backends and of the node holds of a running gateway.
#[test]
fn the_readme_s_examples_run() {
    let readme = include_str!("../../../README.md");
    let examples: Vec<&str> =
        readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 3, "{examples:?}");
    let folder = tempfile::TempDir::new().unwrap();
    for example in &examples {
        let file = folder.path().join("example.toml");
        let listener = "[[listener]]\naddress = \"127.0.0.1:0\"\nplain = true\n";
        let rest = if example.contains("[[listener]]") { "" } else { listener };
        let route = if example.contains("[[route]]") {
            ""
        } else {
            "[[route]]\nmatch = \"/\"\nmock = { status = 200 }\n"
        };
        std::fs::write(&file, format!("{example}\n{rest}{route}")).unwrap();
        let output = Command::new(gateway_binary()).arg("check").arg(&file).output().unwrap();
        assert!(output.status.success(), "{example}\n{}", String::from_utf8_lossy(&output.stderr));
    }

    let care = examples.iter().find(|example| example.contains("[upstream.orders.health]")).unwrap();
    let well = Origin::fixed("well");
    let ill = Origin::start(|asked| {
        vec![harness::Act::answer(if asked.target() == "/healthz" { 500 } else { 200 }, &[], "ill")]
    });
    let care = care.replace("http://10.0.0.5:9000", &well.url()).replace("http://10.0.0.6:9000", &ill.url());
    let gateway =
        Gateway::start(&care.replace("interval = \"2s\"", "interval = \"100ms\"\ntimeout = \"100ms\""));
    harness::eventually("who fails its checks is left out", || {
        let metrics = gateway.metrics();
        (metrics.sum("floodgate_upstream_target_healthy", &[]) == 1.0).then_some(())
    });
    let answers: Vec<String> = (0..6).map(|_| gateway.ask("GET /").text()).collect();
    assert_eq!(answers, ["well"; 6]);
}

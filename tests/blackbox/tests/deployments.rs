//! Deployments from outside (rows 26 to 32): what is deployed runs, what was rolled back stays, whatever ends the process; a canary
//! gets its share and no more, and is promoted or taken back by a word or by itself.

use std::{
    process::Output,
    thread,
    time::{Duration, Instant},
};

use harness::{Act, Gateway, Origin, eventually, wrk};
use serde_json::Value;
use tempfile::TempDir;

/// An HTTP API with one route that answers with this body.
fn api(body: &str) -> String {
    api_with(body, "")
}

/// The same, with lines of its stage.
fn api_with(body: &str, stage: &str) -> String {
    format!(
        "[[api]]\nname = \"shop\"\nkind = \"http\"\n[[api.stage]]\nname = \"$default\"\n{stage}\n[[api.route]]\n\
         key = \"GET /\"\nintegration = {{ type = \"mock\", status = 200, body = \"{body}\" }}\n"
    )
}

const STAGE: [&str; 4] = ["--api", "shop", "--stage", "$default"];

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn done(gateway: &Gateway, words: &[&str]) -> String {
    let output = gateway.command(words);
    assert!(output.status.success(), "{words:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn refused(gateway: &Gateway, words: &[&str], expected: &str) {
    let output = gateway.command(words);
    assert!(!output.status.success() && said(&output).contains(expected), "{words:?}: {}", said(&output));
}

#[track_caller]
fn reload(gateway: &Gateway, config: &str) {
    gateway.configure(config);
    let output = gateway.reload();
    assert!(output.status.success(), "{}", said(&output));
}

fn body(gateway: &Gateway) -> String {
    gateway.ask("GET /").text()
}

#[track_caller]
fn history(gateway: &Gateway) -> Value {
    serde_json::from_str(&done(gateway, &["history", "--json"])).unwrap()
}

/// What the API's one stage runs.
#[track_caller]
fn runs(gateway: &Gateway) -> String {
    history(gateway)["stages"][0]["deployment"].as_str().unwrap().to_owned()
}

/// What was done, oldest first: by whom, what.
fn deeds(gateway: &Gateway) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let history = history(gateway);
    history["history"].as_array().unwrap().iter().map(|it| (text(&it["by"]), text(&it["what"]))).collect()
}

/// Rows 26, 28, 29, 148.
#[test]
fn what_was_deployed_is_run_and_rolled_back_and_remembered() {
    let state = TempDir::new().unwrap();
    let gateway = Gateway::with(&api("one")).state(state.path()).start();
    let first = runs(&gateway);
    reload(&gateway, &api("two"));
    assert_eq!(body(&gateway), "two");
    let rolled = done(&gateway, &[&["rollback"][..], &STAGE].concat());
    assert_eq!(rolled, format!("rollback shop $default {first}\n"));
    assert_eq!((body(&gateway), runs(&gateway)), ("one".into(), first.clone()));
    // A reload and a restart leave it there: the configuration has not changed since.
    reload(&gateway, &api("two"));
    assert_eq!(body(&gateway), "one");
    gateway.end();
    let gateway = Gateway::with(&api("two")).state(state.path()).start();
    assert_eq!((body(&gateway), runs(&gateway)), ("one".into(), first.clone()));
    let found = gateway.command(&["diff"]);
    assert_eq!(found.status.code(), Some(1), "{}", said(&found));
    let text = said(&found);
    for part in [
        &format!("shop stage $default: from {first} to the configuration"),
        "  ~ route GET /",
        "integration.body: \"one\" -> \"two\"",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    let deployed = done(&gateway, &["deploy", "--api", "shop", "--description", "the second, again"]);
    let id = deployed.trim_end().rsplit(' ').next().unwrap().to_owned();
    assert_eq!((deployed, body(&gateway)), (format!("deploy shop $default {id}\n"), "two".into()));
    assert_eq!(gateway.command(&["diff"]).status.code(), Some(0));
    assert_eq!(gateway.command(&["diff", &id, &first]).status.code(), Some(1));
    assert_eq!(gateway.command(&["diff", &id, &id]).status.code(), Some(0));
    // Row 26: what was frozen is told, whatever runs.
    let shown = done(&gateway, &["deployments", "show", "--api", "shop", "--json", &first]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let asks = serde_json::json!({ "authorizationType": "NONE", "apiKeyRequired": false });
    assert_eq!(shown["apiSummary"], serde_json::json!({ "/": { "GET": asks } }));
    assert_eq!((&shown["id"], &shown["auto"]), (&Value::from(&*first), &true.into()));
    let shown = done(&gateway, &["deployments", "show", "--api", "shop", &id]);
    for part in ["$default", "the second, again", "GET     /     NONE           -"] {
        assert!(shown.contains(part), "no {part:?} in {shown}");
    }
    refused(&gateway, &["deployments", "show", "--api", "shop", "nobody"], "Invalid Deployment identifier");
    let deeds = deeds(&gateway);
    let deeds: Vec<_> = deeds.iter().map(|(by, what)| (&**by, &**what)).collect();
    let of_configuration = ("configuration", "auto-deploy");
    assert_eq!(deeds, [of_configuration, of_configuration, ("ann", "rollback"), ("ann", "deploy")]);
    let table = done(&gateway, &["history", "--api", "shop"]);
    for part in ["DEPLOYMENT", &*id, &*first, "rollback", "ann"] {
        assert!(table.contains(part), "no {part:?} in {table}");
    }
    refused(
        &gateway,
        &[&["rollback"][..], &STAGE, &["nobody"]].concat(),
        "Invalid Deployment identifier specified",
    );
    refused(
        &gateway,
        &["rollback", "--api", "shop", "--stage", "prod"],
        "has no stage `prod`; it has `$default`",
    );
    // Row 30, in AWS's words.
    let words = "Invalid deployment content specified.Stage beta must already be created before making a canary release deployment";
    refused(&gateway, &["deploy", "--api", "shop", "--stage", "beta", "--canary", "10"], words);
    // Changed, it is deployed by itself again.
    reload(&gateway, &api("three"));
    assert_eq!(body(&gateway), "three");
    // Row 29, in AWS's words.
    let third = runs(&gateway);
    let words =
        "Active stages pointing to this deployment must be moved or deleted: stage `$default` runs it";
    refused(&gateway, &["deployments", "delete", "--api", "shop", &third], words);
    let gone = done(&gateway, &["deployments", "delete", "--api", "shop", &id]);
    assert_eq!(gone, format!("delete shop {id}\n"));
    refused(
        &gateway,
        &[&["rollback"][..], &STAGE, &[&id]].concat(),
        "Invalid Deployment identifier specified",
    );
    done(&gateway, &["deployments", "prune", "--keep", "0"]);
    let table = done(&gateway, &["deployments", "list"]);
    assert!(table.contains(&third) && !table.contains(&first), "{table}");
    let deployments = history(&gateway)["deployments"].as_array().unwrap().len();
    assert_eq!((deployments, body(&gateway)), (1, "three".into()));
}

/// A deployment is refused whole, and nothing of it is remembered.
#[test]
fn what_is_refused_changes_nothing() {
    let gateway = Gateway::start(&api("one"));
    let before = history(&gateway);
    gateway.configure(&format!(
        "{}[[api.route]]\nkey = \"GET /{{a}}/{{a}}\"\nintegration = {{ type = \"mock\", status = 200 }}\n",
        api("two")
    ));
    refused(&gateway, &["deploy"], "floodgate.toml:");
    assert_eq!((history(&gateway), body(&gateway)), (before, "one".into()));
}

/// A gateway of flags has nothing that could be deployed.
#[test]
fn what_a_command_line_says_is_not_deployed() {
    let gateway = Gateway::from_flags(&["http://127.0.0.1:9", "--listen", "127.0.0.1:0", "--plain"]);
    let mut command = std::process::Command::new(harness::gateway_binary());
    let output = command.arg("deploy").arg("--socket").arg(gateway.state("admin.sock")).output().unwrap();
    assert!(
        !output.status.success() && said(&output).contains("there is no configuration file"),
        "{}",
        said(&output)
    );
    assert!(!gateway.state("deployments.redb").exists());
}

/// Backends that only an older deployment names come back with it.
#[test]
fn a_rollback_brings_backends_back() {
    let (old, new) = (Origin::fixed("old"), Origin::fixed("new"));
    let config = |origin: &Origin| {
        let url = origin.url();
        format!(
            "[[api]]\nname = \"shop\"\nkind = \"http\"\n[[api.route]]\nkey = \"GET /\"\nintegration = {{ type = \"http_proxy\", url = \"{url}/\" }}\n"
        )
    };
    let gateway = Gateway::start(&config(&old));
    reload(&gateway, &config(&new));
    assert_eq!(body(&gateway), "new");
    done(&gateway, &[&["rollback"][..], &STAGE].concat());
    assert_eq!(body(&gateway), "old");
}

/// Row 29: instant, and nobody notices. Measured from the command's start to its end.
#[test]
fn a_rollback_under_load_takes_a_second_at_most_and_fails_no_request() {
    let gateway = Gateway::with(&api("one")).workers(2).start();
    reload(&gateway, &api("two"));
    let url = gateway.url("/");
    let load = thread::spawn(move || wrk(&url, 32, 4));
    eventually("the load is on", || {
        (gateway.metrics().sum("floodgate_requests_total", &[]) > 100.0).then_some(())
    });
    let mut longest = Duration::ZERO;
    for expected in ["one", "two", "one"] {
        let begun = Instant::now();
        if expected == "two" {
            done(&gateway, &["deploy"]);
        } else {
            done(&gateway, &[&["rollback"][..], &STAGE].concat());
        }
        longest = longest.max(begun.elapsed());
        assert_eq!(body(&gateway), expected);
    }
    let load = load.join().unwrap();
    println!("longest change under load: {longest:.1?}; {} requests", load.requests);
    assert_eq!((load.refused, load.errors), (0, 0));
    assert!(load.requests > 100 && longest <= Duration::from_secs(1), "{longest:?}");
}

/// What was acknowledged outlives SIGKILL, whenever it comes.
#[test]
fn what_was_acknowledged_is_run_after_a_kill() {
    const ROUNDS: u64 = 8;
    let state = TempDir::new().unwrap();
    let config = api("one");
    let (mut acknowledged, mut changes) = (String::new(), 0);
    for round in 0..ROUNDS {
        let gateway = Gateway::with(&config).state(state.path()).start();
        let found = runs(&gateway);
        let known = history(&gateway)["deployments"].as_array().unwrap().len();
        // The last one may have been under way, and have been written down before its answer.
        let last = history(&gateway)["history"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(last["to"].as_str(), Some(&*found));
        assert!(
            round == 0 || found == acknowledged || last["from"] == *acknowledged,
            "{acknowledged} was acknowledged: {last}"
        );
        assert!(round == 0 || known as u64 > round, "{known}");
        acknowledged = found;
        thread::scope(|scope| {
            let changing = scope.spawn(|| {
                let mut told = Vec::new();
                while let Some(id) = deployed(&gateway) {
                    told.push(id);
                }
                told
            });
            eventually("it is changing", || {
                (history(&gateway)["deployments"].as_array()?.len() > known).then_some(())
            });
            // Another moment each round.
            let later = Instant::now() + Duration::from_micros(round * 7_919 % 40_000);
            while Instant::now() < later {
                std::hint::spin_loop();
            }
            gateway.kill();
            let told = changing.join().unwrap();
            changes += told.len();
            acknowledged = told.last().unwrap_or(&acknowledged).clone();
        });
    }
    println!("{changes} deployments acknowledged, {ROUNDS} kills");
    assert!(changes as u64 >= ROUNDS / 2, "{changes}");
}

/// `floodgate deploy`; the id, if it was acknowledged.
fn deployed(gateway: &Gateway) -> Option<String> {
    let output = gateway.command(&["deploy"]);
    let text = String::from_utf8(output.stdout).unwrap();
    output.status.success().then(|| text.trim_end().rsplit(' ').next().unwrap().to_owned())
}

/// Rows 30, 31: each request is drawn by itself, on one connection too, and counted under a name of its own.
#[test]
fn a_canary_gets_its_share() {
    const REQUESTS: f64 = 6_000.0;
    let gateway = Gateway::with(&api_with("old", "auto_deploy = false")).workers(2).start();
    gateway.configure(&api_with("new", "auto_deploy = false"));
    done(&gateway, &[&["deploy", "--canary", "10"][..], &STAGE].concat());
    let mut connection = gateway.client();
    let asked = (0..REQUESTS as usize).map(|_| connection.ask("GET /").response().text());
    let drawn: Vec<_> = asked.map(|body| body == "new").collect();
    let seen = drawn.iter().filter(|new| **new).count() as f64;
    let expected = REQUESTS * 0.1;
    let chi_square = (seen - expected).powi(2) / expected + (seen - expected).powi(2) / (REQUESTS - expected);
    // Draws that are independent change as often as two of three tenths' coins: no run is longer than chance has it.
    let changes = drawn.windows(2).filter(|pair| pair[0] != pair[1]).count() as f64;
    println!("canary: {seen} of {REQUESTS} (10 %), chi square {chi_square:.2}, {changes} changes");
    // One degree of freedom: above 23.9 once in a million runs.
    assert!(chi_square < 23.9, "{seen} of {REQUESTS}: {chi_square}");
    assert!((changes - REQUESTS * 0.18).abs() < 250.0, "{changes}");
    let counted = |stage: &str| gateway.metrics().sum("floodgate_requests_total", &[("stage", stage)]);
    eventually("all are counted", || {
        (counted("$default") + counted("$default/Canary") == REQUESTS).then_some(())
    });
    assert_eq!(counted("$default/Canary"), seen);
    let status = done(&gateway, &[&["canary", "status"][..], &STAGE].concat());
    assert!(status.contains("canary") && status.contains(&format!("{seen}")), "{status}");
    // Row 32: other shares, and then it is the stage.
    let shifted = |percent: &str| done(&gateway, &[&["canary", "shift", percent][..], &STAGE].concat());
    shifted("100");
    assert!((0..50).all(|_| connection.ask("GET /").response().text() == "new"));
    shifted("0");
    assert!((0..50).all(|_| connection.ask("GET /").response().text() == "old"));
    refused(&gateway, &[&["canary", "shift", "100.5"][..], &STAGE].concat(), "0.0 to 100.0 percent");
    done(&gateway, &[&["canary", "promote"][..], &STAGE].concat());
    assert!((0..50).all(|_| connection.ask("GET /").response().text() == "new"));
    refused(&gateway, &[&["canary", "rollback"][..], &STAGE].concat(), "has no canary");
    done(&gateway, &[&["rollback"][..], &STAGE].concat());
    assert_eq!(body(&gateway), "old");
}

/// Row 31: `$context` tells the canary's requests apart.
#[test]
fn the_log_tells_a_canarys_requests_apart() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("access.log");
    let with = |body: &str| {
        let format = "$context.isCanaryRequest $context.deploymentId $context.requestId";
        format!(
            "[access_log]\ntarget = {log:?}\nformat = {format:?}\n{}",
            api_with(body, "auto_deploy = false")
        )
    };
    let gateway = Gateway::start(&with("old"));
    gateway.configure(&with("new"));
    done(&gateway, &[&["deploy", "--canary", "50"][..], &STAGE].concat());
    let stage = &history(&gateway)["stages"][0];
    let id = |value: &Value| value.as_str().unwrap().to_owned();
    let (of_stage, of_canary) = (id(&stage["deployment"]), id(&stage["canary"]["deployment"]));
    let expected: Vec<_> = (0..40)
        .map(|_| match &*body(&gateway) {
            "new" => format!("true {of_canary}"),
            _ => format!("false {of_stage}"),
        })
        .collect();
    let lines = eventually("all lines are written", || {
        let text = std::fs::read_to_string(&log).ok()?;
        let lines: Vec<_> =
            text.lines().filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect();
        (lines.len() == expected.len()).then_some(lines)
    });
    assert_eq!(lines, expected);
}

/// A judge's stage: a fifth of the requests, and little patience.
fn judged(url: &str) -> String {
    format!(
        "[[api]]\nname = \"shop\"\nkind = \"http\"\n[[api.stage]]\nname = \"$default\"\n[api.stage.canary]\npercent = 20.0\n\
         [api.stage.canary.judge]\npromote_after = \"1500ms\"\nrequests_min = 20\nerror_rate_max = 0.1\n\
         [[api.route]]\nkey = \"GET /\"\nintegration = {{ type = \"http_proxy\", url = \"{url}/\" }}\n"
    )
}

/// Asks until the judge has spoken; what it did.
#[track_caller]
fn verdict(gateway: &Gateway) -> String {
    eventually("the judge speaks", || {
        (0..50).for_each(|_| drop(body(gateway)));
        deeds(gateway).into_iter().find(|(by, _)| by == "judge").map(|(_, what)| what)
    })
}

/// The extension of row 32: what fails is taken back by itself, what does well is promoted.
#[test]
fn the_judge_takes_back_a_canary_that_fails() {
    let (good, bad) = (Origin::fixed("good"), Origin::start(|_| vec![Act::answer(500, &[], "bad")]));
    let gateway = Gateway::start(&judged(&good.url()));
    let before = runs(&gateway);
    reload(&gateway, &judged(&bad.url()));
    assert_eq!(verdict(&gateway), "canary rollback");
    assert_eq!(runs(&gateway), before);
    let served = bad.requests().len();
    assert!(served >= 20, "{served}");
    assert!((0..100).all(|_| body(&gateway) == "good"));
    assert_eq!(bad.requests().len(), served);
    let told = gateway.wait_for_line("was taken back");
    assert!(told.contains("were answered 500 and above, more than 10 %"), "{told}");
}

#[test]
fn the_judge_promotes_a_canary_that_does_well() {
    let (old, new) = (Origin::fixed("old"), Origin::fixed("new"));
    let gateway = Gateway::start(&judged(&old.url()));
    let before = runs(&gateway);
    reload(&gateway, &judged(&new.url()));
    assert_eq!(runs(&gateway), before);
    assert_eq!(verdict(&gateway), "canary promote");
    assert_ne!(runs(&gateway), before);
    assert!((0..100).all(|_| body(&gateway) == "new"));
}

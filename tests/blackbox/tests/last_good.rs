//! The last good configuration: kept with every change, whole whatever ends the process, and a way back for a start that
//! finds a file refused.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use harness::{Builder, Gateway, Refused, gateway_binary};
use tempfile::TempDir;

const BAD: &str = "[[route]]\nmatch = \"GET /\"\nmok = { status = 200 }\n";

fn mock(body: &str) -> String {
    format!("[[route]]\nmatch = \"GET /\"\nmock = {{ status = 200, body = \"{body}\" }}\n")
}

/// The process, with a state folder and an admin socket that outlive it.
fn node(state: &TempDir) -> String {
    format!(
        "[node]\nworkers = 1\ndriver = {:?}\nstate = {:?}\n[admin]\nsocket = {:?}\nlisten = \"127.0.0.1:0\"\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\nplain = true\n",
        harness::driver(),
        state.path(),
        state.path().join("admin.sock"),
    )
}

fn with(state: &TempDir, routes: &str) -> Builder {
    Gateway::with(&format!("{}{routes}", node(state))).bare()
}

/// Another configuration for a gateway that was started so; `floodgate reload`, and what it said.
fn reload_with(gateway: &Gateway, state: &TempDir, routes: &str) -> Result<String, String> {
    gateway.configure(&format!("{}{routes}", node(state)));
    let mut command = Command::new(gateway_binary());
    let output = command.arg("reload").arg("--socket").arg(state.path().join("admin.sock")).output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(said) } else { Err(said) }
}

fn kept(state: &TempDir) -> Vec<u8> {
    fs::read(state.path().join("last-good")).unwrap()
}

#[track_caller]
fn refused(builder: Builder) -> Refused {
    match builder.try_start() {
        Err(refused) => refused,
        Ok(gateway) => panic!("it started: {}", gateway.said()),
    }
}

#[test]
fn a_bad_file_at_start_is_refused_and_says_the_way_back() {
    let state = TempDir::new().unwrap();
    let never = refused(with(&state, BAD));
    assert_eq!(never.code, Some(2), "{never:#?}");
    assert!(never.stderr.contains("none has been in force yet"), "{}", never.stderr);
    assert_eq!(refused(with(&state, BAD).argument("--last-good")).code, Some(2));
    with(&state, &mock("one")).start().end();
    let said = refused(with(&state, BAD));
    assert_eq!(said.code, Some(2), "{said:#?}");
    for part in
        ["floodgate.toml:", "did you mean `mock`?", "nothing was started", "`floodgate run --last-good` runs"]
    {
        assert!(said.stderr.contains(part), "no {part:?} in:\n{}", said.stderr);
    }
}

/// A file of which nothing can be read names no folder; then the command line does.
#[test]
fn the_way_back_is_found_with_the_folder_of_the_command_line() {
    let state = TempDir::new().unwrap();
    with(&state, &mock("one")).start().end();
    let folder = state.path().to_str().unwrap();
    let broken = || Gateway::with("broken = ").bare().argument("--state").argument(folder);
    let said = refused(broken());
    let way = format!("`floodgate run --last-good --state {folder}`");
    assert!(said.stderr.contains(&way), "{}", said.stderr);
    assert_eq!(broken().argument("--last-good").start().ask("GET /").text(), "one");
}

#[test]
fn it_runs_until_the_file_is_put_right() {
    let state = TempDir::new().unwrap();
    let first = with(&state, &mock("one")).start();
    reload_with(&first, &state, &mock("two")).unwrap();
    first.kill();
    drop(first);
    let gateway = with(&state, BAD).argument("--last-good").start();
    assert_eq!(gateway.ask("GET /").text(), "two");
    gateway.wait_for_line("did you mean `mock`?");
    gateway.wait_for_line("running the last one that was in force");
    // The file is the one that was named, not the one that is kept.
    reload_with(&gateway, &state, BAD).unwrap_err();
    assert_eq!(gateway.ask("GET /").text(), "two");
    reload_with(&gateway, &state, &mock("three")).unwrap();
    assert_eq!(gateway.ask("GET /").text(), "three");
    gateway.end();
    // A right file is taken, whatever is kept.
    assert_eq!(with(&state, &mock("four")).argument("--last-good").start().ask("GET /").text(), "four");
}

/// What can't be compiled is refused later than what can't be read, and is the same to the operator.
#[test]
fn a_certificate_that_is_gone_is_a_way_back_too() {
    let state = TempDir::new().unwrap();
    with(&state, &mock("one")).start().end();
    let gone = format!("{}[[certificate]]\nchain = \"/no/such.pem\"\nkey = \"/no/such.key\"\n", mock("two"));
    let gateway = with(&state, &gone).argument("--last-good").start();
    assert_eq!(gateway.ask("GET /").text(), "one");
    gateway.wait_for_line("/no/such.pem");
}

#[test]
fn only_what_was_in_force_is_kept() {
    let state = TempDir::new().unwrap();
    let secret = state.path().join("secret");
    fs::write(&secret, "hidden").unwrap();
    let route = |key: &str| {
        format!(
            "[[route]]\nmatch = \"GET /\"\n{key} = {{ status = 200, body = \"${{file:{}}}\" }}\n",
            secret.display()
        )
    };
    let gateway = with(&state, &route("mock")).start();
    let before = kept(&state);
    assert_eq!(before[0], 1, "a version byte");
    let text = String::from_utf8_lossy(&before);
    assert!(text.contains("${file:") && !text.contains("hidden"), "{text}");
    let mode = fs::metadata(state.path().join("last-good")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    reload_with(&gateway, &state, &route("mok")).unwrap_err();
    assert_eq!(kept(&state), before);
    reload_with(&gateway, &state, &mock("two")).unwrap();
    assert_ne!(kept(&state), before);
}

#[test]
fn a_folder_that_cannot_be_written_stops_nothing() {
    let state = TempDir::new().unwrap();
    let gateway = with(&state, &mock("one")).start();
    // A folder that is in the way: root writes where it may not.
    fs::remove_file(state.path().join("last-good")).unwrap();
    fs::create_dir(state.path().join("last-good")).unwrap();
    let said = reload_with(&gateway, &state, &mock("two")).unwrap();
    assert!(said.contains("could not be kept"), "{said}");
    assert_eq!(gateway.ask("GET /").text(), "two");
}

#[test]
fn flags_have_no_way_back() {
    let output =
        Command::new(gateway_binary()).args(["run", "http://127.0.0.1:1", "--last-good"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--last-good goes with a configuration file"));
}

/// A configuration of some size; its first and its last route say which one it is.
fn large(version: u32) -> String {
    let mut text =
        format!("[[route]]\nmatch = \"GET /first\"\nmock = {{ status = 200, body = \"{version}\" }}\n");
    for route in 0..2_000 {
        text += &format!("[[route]]\nmatch = \"GET /{route}/{version}\"\nmock = {{ status = 200 }}\n");
    }
    text + &format!("[[route]]\nmatch = \"GET /last\"\nmock = {{ status = 200, body = \"{version}\" }}\n")
}

/// Killed in the middle of reloads, at the moment at which it writes and at others: what is kept is the old one or the new
/// one, and whole (rule D1).
#[test]
fn a_kill_leaves_the_old_one_or_the_new_one_whole() {
    const KILLS: u32 = 16;
    let state = TempDir::new().unwrap();
    let gateway = with(&state, &large(0)).start();
    let begun = Instant::now();
    reload_with(&gateway, &state, &large(0)).unwrap();
    let whole = begun.elapsed();
    drop(gateway);
    let mut news = 0;
    for version in 0..KILLS {
        let gateway = with(&state, &large(version)).start();
        let being_written = state.path().join("last-good.new");
        thread::scope(|scope| {
            scope.spawn(|| reload_with(&gateway, &state, &large(version + 1)));
            if version % 2 == 0 {
                poll(&being_written);
            } else {
                // Another moment each time, before, while and after it is written: up to twice as long as a reload takes.
                thread::sleep(whole * version / (KILLS / 2));
            }
            gateway.kill();
        });
        drop(gateway);
        let after = with(&state, BAD).argument("--last-good").start();
        let (first, last) = (after.ask("GET /first").text(), after.ask("GET /last").text());
        assert_eq!(first, last);
        assert!([version.to_string(), (version + 1).to_string()].contains(&first), "{first} after {version}");
        assert_eq!(after.ask(&format!("GET /1999/{first}")).status, 200);
        news += usize::from(first != version.to_string());
    }
    println!("{news} of {KILLS} had the new one");
    assert!((1..KILLS as usize).contains(&news), "{news} of {KILLS} kills left the new one");
}

/// Waits for a file as closely as can be, and not for ever: it may have come and gone.
fn poll(file: &Path) {
    let end = Instant::now() + Duration::from_millis(500);
    while !file.exists() && Instant::now() < end {
        std::hint::spin_loop();
    }
}

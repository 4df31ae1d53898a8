//! `[node] watch`: files that change, as editors, package managers and orchestrators change them.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use harness::Gateway;

/// The process, which watches or does not; paths are relative to the file.
fn node(watch: bool) -> String {
    format!(
        "[node]
workers = 1
driver = {:?}
state = \"state\"
watch = {watch}
[admin]
listen = \"127.0.0.1:0\"
\
         socket = \"admin.sock\"
[[listener]]
address = \"127.0.0.1:0\"
plain = true
",
        harness::driver()
    )
}

fn mock(path: &str, body: &str) -> String {
    format!("[[route]]\nmatch = \"GET {path}\"\nmock = {{ status = 200, body = \"{body}\" }}\n")
}

/// A gateway that watches, with one route.
fn start(route: &str) -> Gateway {
    Gateway::with(&format!("{}{route}", node(true))).bare().start()
}

/// Beside it first, then renamed into its place.
fn replace(file: &Path, text: &str) {
    let beside = file.with_extension("beside");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, file).unwrap();
}

#[track_caller]
fn serves(gateway: &Gateway, path: &str, expected: (u16, &str)) {
    harness::eventually(&format!("GET {path} is {expected:?}"), || {
        let answer = gateway.ask(&format!("GET {path}"));
        ((answer.status, &*answer.text()) == expected).then_some(())
    });
}

#[test]
fn a_file_that_is_renamed_into_place_or_written_anew_is_taken() {
    let gateway = start(&mock("/", "one"));
    let file = gateway.config_file();
    serves(&gateway, "/", (200, "one"));
    replace(&file, &format!("{}{}", node(true), mock("/", "two")));
    serves(&gateway, "/", (200, "two"));
    fs::write(&file, format!("{}{}", node(true), mock("/", "three"))).unwrap();
    serves(&gateway, "/", (200, "three"));
    // As an editor does that keeps a backup: away with the old one, then a new one.
    fs::rename(&file, file.with_extension("toml~")).unwrap();
    fs::write(&file, format!("{}{}", node(true), mock("/", "four"))).unwrap();
    serves(&gateway, "/", (200, "four"));
    gateway.wait_for_line("a file has changed; reloaded: generation 4");
    let metrics = gateway.metrics();
    let results =
        ["taken", "refused"].map(|result| metrics.sum("floodgate_reloads_total", &[("result", result)]));
    assert_eq!(results, [3.0, 0.0], "{}", gateway.said());
}

#[test]
fn a_bad_file_changes_nothing_and_is_told_in_full() {
    let gateway = start(&mock("/", "one"));
    let bad = "[[route]]\nmatch = \"GET /\"\nmok = { status = 200 }\n[[route]]\nmatch = \"GET /{\"\nurl = \"nonsense\"\n";
    replace(&gateway.config_file(), &format!("{}{bad}", node(true)));
    for part in ["not reloaded, nothing has changed", "did you mean `mock`?", "nonsense", "GET /{"] {
        gateway.wait_for_line(part);
    }
    serves(&gateway, "/", (200, "one"));
    // One that can be read and not compiled.
    let gone = "[[certificate]]\nchain = \"/no/such.pem\"\nkey = \"/no/such.key\"\n";
    replace(&gateway.config_file(), &format!("{}{}{gone}", node(true), mock("/", "two")));
    gateway.wait_for_line("/no/such.pem");
    serves(&gateway, "/", (200, "one"));
    replace(&gateway.config_file(), &format!("{}{}", node(true), mock("/", "three")));
    serves(&gateway, "/", (200, "three"));
    assert_eq!(gateway.metrics().sum("floodgate_reloads_total", &[("result", "refused")]), 2.0);
}

#[test]
fn included_files_come_change_and_go() {
    let gateway = start(&mock("/", "one"));
    let folder = gateway.folder().join("conf.d");
    fs::create_dir(&folder).unwrap();
    let with_include = format!("include = [\"conf.d/*.toml\"]\n{}{}", node(true), mock("/", "main"));
    replace(&gateway.config_file(), &with_include);
    serves(&gateway, "/", (200, "main"));
    replace(&folder.join("a.toml"), &mock("/a", "one"));
    serves(&gateway, "/a", (200, "one"));
    fs::write(folder.join("a.toml"), mock("/a", "two")).unwrap();
    serves(&gateway, "/a", (200, "two"));
    // A mistake in a new file is no reason to lose sight of it.
    replace(&folder.join("b.toml"), "mistake = 1\n");
    gateway.wait_for_line("b.toml:1:1");
    fs::write(folder.join("b.toml"), mock("/b", "one")).unwrap();
    serves(&gateway, "/b", (200, "one"));
    fs::remove_file(folder.join("a.toml")).unwrap();
    serves(&gateway, "/a", (404, &gateway.ask("GET /nowhere").text()));
    // Another folder in its place.
    let other = gateway.folder().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("c.toml"), mock("/c", "one")).unwrap();
    fs::rename(&folder, gateway.folder().join("old")).unwrap();
    fs::rename(&other, &folder).unwrap();
    serves(&gateway, "/c", (200, "one"));
    fs::write(folder.join("c.toml"), mock("/c", "two")).unwrap();
    serves(&gateway, "/c", (200, "two"));
}

/// An orchestrator's volume: `main.toml` → `..data/main.toml`, `..data` → a folder of the day, and the change is one rename.
#[test]
fn links_that_are_turned_elsewhere() {
    let gateway = start(&mock("/", "one"));
    let volume = gateway.folder().join("volume");
    let day = |day: &str, body: &str| {
        fs::create_dir_all(volume.join(day)).unwrap();
        fs::write(volume.join(day).join("routes.toml"), mock("/day", body)).unwrap();
        symlink(day, volume.join("..new")).unwrap();
        fs::rename(volume.join("..new"), volume.join("..data")).unwrap();
    };
    day("monday", "monday");
    symlink("..data/routes.toml", volume.join("routes.toml")).unwrap();
    let with_include = format!("include = [\"volume/*.toml\"]\n{}{}", node(true), mock("/", "main"));
    replace(&gateway.config_file(), &with_include);
    serves(&gateway, "/day", (200, "monday"));
    day("tuesday", "tuesday");
    serves(&gateway, "/day", (200, "tuesday"));
    // In the place to which the link leads.
    fs::write(volume.join("tuesday/routes.toml"), mock("/day", "late")).unwrap();
    serves(&gateway, "/day", (200, "late"));
}

#[test]
fn what_a_file_refers_to_is_part_of_it() {
    let gateway = start(&mock("/", "one"));
    let secret: PathBuf = gateway.folder().join("secret");
    fs::write(&secret, "first").unwrap();
    replace(&gateway.config_file(), &format!("{}{}", node(true), mock("/", "${file:secret}")));
    serves(&gateway, "/", (200, "first"));
    replace(&secret, "second");
    serves(&gateway, "/", (200, "second"));
}

/// Who asked for it may ask for it no more, and again.
#[test]
fn watching_can_be_turned_off_and_on() {
    let gateway = start(&mock("/", "one"));
    let off = node(false);
    replace(&gateway.config_file(), &format!("{off}{}", mock("/", "off")));
    serves(&gateway, "/", (200, "off"));
    replace(&gateway.config_file(), &format!("{}{}", node(true), mock("/", "on")));
    assert!(gateway.reload().status.success());
    assert_eq!(gateway.ask("GET /").text(), "on");
    replace(&gateway.config_file(), &format!("{}{}", node(true), mock("/", "still on")));
    serves(&gateway, "/", (200, "still on"));
    // Counted after it is served.
    harness::eventually("three reloads", || {
        (gateway.metrics().sum("floodgate_reloads_total", &[]) == 3.0).then_some(())
    });
}

/// A gateway that runs what was kept waits for the file to be put right.
#[test]
fn the_last_good_one_is_replaced_when_the_file_is_put_right() {
    let gateway = start(&mock("/", "one"));
    let folder = gateway.folder().to_owned();
    let state = tempfile::TempDir::new().unwrap();
    fs::copy(folder.join("state/last-good"), state.path().join("last-good")).unwrap();
    drop(gateway);
    let state = state.path().to_str().unwrap().to_owned();
    let again =
        Gateway::with("broken = ").bare().argument("--last-good").argument("--state").argument(&state);
    let again = again.start();
    assert_eq!(again.ask("GET /").text(), "one");
    let right = format!("{}{}", node(true).replace("\"state\"", &format!("{state:?}")), mock("/", "right"));
    replace(
        &again.config_file(),
        &right.replace("\"admin.sock\"", &format!("{:?}", folder.join("admin.sock"))),
    );
    serves(&again, "/", (200, "right"));
}

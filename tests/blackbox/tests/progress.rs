//! What somebody sees who waits at a terminal: how far long work is, and nothing of it when it is done. The terminal is a pseudo-terminal
//! of `script`'s, what it would show is worked out here.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use harness::{Gateway, eventually, gateway_binary, program};
use tempfile::TempDir;

use crate::measured::definitions::document;

/// Routes of a document that everything takes longer for than half a second.
const ROUTES: usize = 10_000;
/// The same for a verb that does more than read and compile, where what is tested is not optimised.
const FEWER: usize = 3_000;

/// A command whose standard error is a terminal and whose standard output is a file.
struct Terminal {
    folder: TempDir,
    environment: Vec<(&'static str, &'static str)>,
}

/// What came of it.
struct Seen {
    /// What the terminal was sent, its line ends as those of a file.
    sent: String,
    stdout: String,
    is_success: bool,
}

impl Terminal {
    fn new(environment: &[(&'static str, &'static str)]) -> Self {
        Self { folder: TempDir::new().unwrap(), environment: environment.to_vec() }
    }

    /// Its standard input stays open: `script` would pass its end on to the terminal.
    #[track_caller]
    fn start(&self, words: &[&str]) -> std::process::Child {
        let quoted = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
        let folder = self.folder.path().display();
        let command = format!(
            "echo $$ > '{folder}/pid'; exec '{}' {quoted} > '{folder}/out'",
            gateway_binary().display()
        );
        let mut script = Command::new(program("script"));
        script.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
        script.env("TERM", "xterm").env("SHELL", "/bin/sh").env_remove("NO_COLOR");
        script.envs(self.environment.iter().copied());
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap()
    }

    #[track_caller]
    fn end(&self, mut script: std::process::Child) -> Seen {
        let open = script.stdin.take();
        let output = script.wait_with_output().unwrap();
        drop(open);
        Seen {
            sent: text(&output.stdout).replace("\r\n", "\n"),
            stdout: self.stdout(),
            is_success: output.status.success(),
        }
    }

    fn stdout(&self) -> String {
        fs::read_to_string(self.folder.path().join("out")).unwrap_or_default()
    }

    #[track_caller]
    fn run(&self, words: &[&str]) -> Seen {
        self.end(self.start(words))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn piped(words: &[&str]) -> Output {
    Command::new(gateway_binary()).args(words).env("TERM", "xterm").output().unwrap()
}

/// What a terminal shows in the end that was sent this, line by line: what a bar is drawn with is understood, and nothing else.
#[track_caller]
fn shown(sent: &str) -> Vec<String> {
    let (mut lines, mut row, mut column) = (vec![Vec::new()], 0_usize, 0_usize);
    let mut rest = sent.chars();
    while let Some(char) = rest.next() {
        match char {
            '\n' => {
                (row, column) = (row + 1, 0);
                lines.resize(lines.len().max(row + 1), Vec::new());
            }
            '\r' => column = 0,
            '\u{1b}' => {
                assert_eq!(rest.next(), Some('['), "{sent:?}");
                let code: String = rest.by_ref().take_while(|char| !char.is_ascii_alphabetic()).collect();
                // The letter was taken with the code.
                let at = sent.len() - rest.as_str().len();
                match (&*code, &sent[at - 1..at]) {
                    ("2", "K") => lines[row].clear(),
                    (_, "m") => {}
                    (count, "A") => row = row.saturating_sub(count.parse().unwrap()),
                    other => panic!("{other:?} in {sent:?}"),
                }
            }
            char => {
                let line = &mut lines[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = char;
                column += 1;
            }
        }
    }
    let lines = lines.into_iter().map(|line| String::from_iter(line).trim_end().to_owned());
    lines.filter(|line| !line.is_empty()).collect()
}

#[track_caller]
fn has_counts(sent: &str, phases: &[&str], of: usize) {
    for phase in phases {
        let begins = format!("{phase} [");
        let is_counted = |line: &str| {
            let (_, line) = line.split_once(&*begins)?;
            let (bar, counts) = line.split_once(']')?;
            let (done, _) = counts.trim().split_once(&format!(" of {of}, "))?;
            let done: usize = done.parse().ok()?;
            // As much of the bar as of the work, in thirtieths.
            let marks = bar.chars().filter(|char| "=>".contains(*char)).count();
            Some(done <= of && (marks * of).abs_diff(done * 30) <= of)
        };
        let lines: Vec<_> = sent.split(['\r', '\n']).filter_map(is_counted).collect();
        assert!(!lines.is_empty() && lines.iter().all(|it| *it), "{phase}: {lines:?} in {sent:?}");
    }
}

/// Work on files. `routes` of a document are more where it is faster.
fn big(folder: &Path, routes: usize) -> (String, usize) {
    let is_optimised = gateway_binary().to_string_lossy().contains("release");
    let routes = if is_optimised { 2 * ROUTES } else { routes };
    let file = folder.join("api.json");
    fs::write(&file, document(routes, 1)).unwrap();
    (file.to_str().unwrap().to_owned(), routes + 1)
}

#[test]
fn long_work_says_how_far_it_is_and_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let (file, routes) = big(folder.path(), ROUTES);
    let words = ["check", &*file];
    let seen = Terminal::new(&[("NO_COLOR", "1")]).run(&words);
    assert!(seen.is_success, "{}", seen.sent);
    has_counts(&seen.sent, &["checking routes", "compiling routes"], routes);
    assert!(!seen.sent.contains("\u{1b}[36m"), "{:?}", seen.sent);
    assert_eq!(shown(&seen.sent), [""; 0]);
    let output = piped(&words);
    assert_eq!((text(&output.stdout), text(&output.stderr)), (seen.stdout, String::new()));
}

/// Import says on standard error what came over: the line stands above what goes on being drawn, and is the same as elsewhere.
#[test]
fn what_is_said_meanwhile_stays() {
    let folder = TempDir::new().unwrap();
    let (file, routes) = big(folder.path(), FEWER);
    let words = ["import", &*file];
    let seen = Terminal::new(&[]).run(&words);
    assert!(seen.is_success && seen.sent.contains("\u{1b}[36m"), "{:?}", seen.sent);
    let plain = seen.sent.replace("\u{1b}[36m", "").replace("\u{1b}[0m", "");
    has_counts(&plain, &["checking routes"], routes);
    assert!(plain.contains("writing it, "), "{plain:?}");
    let output = piped(&words);
    assert_eq!((text(&output.stdout), output.status.success()), (seen.stdout, true));
    let said = text(&output.stderr);
    assert_eq!(shown(&seen.sent), said.lines().collect::<Vec<_>>());
    let is_control = |char: char| char.is_control() && char != '\n';
    assert!(said.lines().count() == 1 && !said.contains(is_control), "{said:?}");
    let dumb = Terminal::new(&[("TERM", "dumb")]).run(&words);
    // Its lines are those of a terminal, and nothing else is.
    assert_eq!((dumb.sent, dumb.is_success), (said, true));
}

#[test]
fn short_work_shows_nothing() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/examples/rest.toml");
    for words in [&["check", example][..], &["export", example], &["explain", example, "/prod/pets/7"]] {
        let seen = Terminal::new(&[]).run(words);
        assert!(seen.is_success && !seen.stdout.is_empty(), "{words:?}: {}", seen.sent);
        assert_eq!(seen.sent, "", "{words:?}");
    }
}

/// A change is made in the node: it tells how far it is, to the verb that waits for it and to who asks its admin listener.
#[test]
fn a_change_says_how_far_the_node_is() {
    let folder = TempDir::new().unwrap();
    let (file, routes) = big(folder.path(), FEWER);
    let quotas = "[quotas]\nresources = 100000\nroutes = 100000\nintegrations = 100000\ndocumentation_parts = 100000\n";
    let config = format!(
        "{quotas}[[api]]\nname = \"big\"\nkind = \"rest\"\nopenapi = {file:?}\n[[api.stage]]\nname = \"prod\"\n"
    );
    let gateway = Gateway::start(&config);
    let asked = || gateway.ask_admin("GET /progress").text();
    assert_eq!(asked(), "null");
    let socket = gateway.socket();
    let socket = ["--socket", socket.to_str().unwrap()];
    for (generation, verb) in ["reload", "deploy"].into_iter().enumerate() {
        fs::write(&file, document(routes - 1, generation + 2)).unwrap();
        let terminal = Terminal::new(&[("NO_COLOR", "1")]);
        let script = terminal.start(&[&[verb][..], &socket].concat());
        eventually("the node tells of it", || asked().contains("compiling routes").then_some(()));
        let seen = terminal.end(script);
        assert!(seen.is_success, "{verb}: {}", seen.sent);
        has_counts(&seen.sent, &["checking routes", "compiling routes"], routes);
        assert_eq!(shown(&seen.sent), [""; 0], "{verb}");
        assert!(seen.stdout.starts_with(["generation 2", "deploy big prod "][generation]), "{}", seen.stdout);
        assert_eq!(asked(), "null", "{verb}");
    }
    let output = gateway.command(&["diff"]);
    assert_eq!((text(&output.stdout), text(&output.stderr)), (String::new(), String::new()));
}

/// A start says it until it serves; from then on nothing is drawn.
#[test]
fn a_start_says_how_far_it_is() {
    let folder = TempDir::new().unwrap();
    let (file, routes) = big(folder.path(), FEWER);
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let config = format!(
        "[admin]\nsocket = {:?}\n[[listener]]\naddress = \"127.0.0.1:0\"\nplain = true\n[quotas]\nresources = 100000\n\
         documentation_parts = 100000\n[[api]]\nname = \"big\"\nkind = \"rest\"\nopenapi = {file:?}\n[[api.stage]]\nname = \"prod\"\n",
        path("admin.sock")
    );
    fs::write(path("big.toml"), config).unwrap();
    let terminal = Terminal::new(&[("NO_COLOR", "1")]);
    let script = terminal.start(&["run", &path("big.toml"), "--workers", "1", "--state", &path("state")]);
    eventually("it serves", || terminal.stdout().contains("floodgate: ready").then_some(()));
    let pid = fs::read_to_string(terminal.folder.path().join("pid")).unwrap();
    let kill = Command::new("sh").args(["-c", &format!("kill -TERM {}", pid.trim())]).status().unwrap();
    assert!(kill.success());
    let seen = terminal.end(script);
    assert!(seen.is_success, "{}", seen.sent);
    has_counts(&seen.sent, &["checking routes", "compiling routes"], routes);
    let left = shown(&seen.sent);
    assert!(left.iter().all(|line| line.starts_with("floodgate: ")), "{left:?}");
    assert!(left.iter().any(|line| line.contains("draining")), "{left:?}");
    let (_, served) = seen.sent.split_once("floodgate: version").unwrap();
    assert!(!served.contains(['\r', '\u{1b}']), "{served:?}");
}

//! Files and includes; the default file, the examples, and the list of keys that they are held against.

use std::{collections::BTreeSet, path::Path};

use model::Model;

use super::{Table, line, model};
use crate::{FILE_BYTES_MAX, FILES_MAX, Key, ROOT, Section, System, load};

const LISTENER: &str = "[[listener]]\naddress = \"127.0.0.1:1\"\n";

#[track_caller]
fn check(environment: &Table, expected: &[&str]) -> Option<Model> {
    let outcome = load(Path::new("etc/f.toml"), environment);
    let lines: Vec<_> = outcome.diagnostics.iter().map(line).collect();
    assert_eq!(lines, expected);
    outcome.model
}

fn route(path: &str) -> String {
    format!("[[route]]\nmatch = \"{path}\"\nurl = \"http://a\"\n")
}

#[test]
fn includes_are_read_in_lexical_order() {
    let environment = Table::default()
        .file(
            "etc/f.toml",
            &format!("include = [\"d/*.toml\", \"one.toml\", \"d/a?.toml\"]\n{LISTENER}{}", route("/1")),
        )
        .file("etc/d/b.toml", &route("/4"))
        .file("etc/d/a2.toml", &route("/3"))
        .file("etc/d/a10.toml", &format!("{}[access_log]\ntarget = \"log/a\"", route("/2")))
        .file("etc/d/.hidden.toml", "x")
        .file("etc/d/a.txt", "x")
        .file("etc/one.toml", &route("/5"));
    let model = check(&environment, &[]).unwrap();
    let keys: Vec<_> = model.apis[0].definition.routes.iter().map(|route| route.key.to_string()).collect();
    assert_eq!(keys, ["ANY /1", "ANY /2", "ANY /3", "ANY /4", "ANY /5"]);
    let target = model.node.access_log.map(|log| log.target);
    assert_eq!(
        target,
        Some(model::LogTarget::File("etc/d/log/a".into())),
        "relative to the file that says it"
    );
    let origin = model.apis[0].definition.routes[1].origin.clone().unwrap();
    assert_eq!((&*origin.file, origin.line), ("etc/d/a10.toml", 1));
}

/// Who has mistakes may want to go back to what is kept there.
#[test]
fn the_state_folder_is_known_beside_mistakes() {
    for (text, expected) in [
        ("[node]\nstate = \"s\"\nwrokers = 1\n", Some("etc/s")),
        ("[node]\nstate = \"/s\"\n[[route]]\nmatch = \n", Some("/s")),
        ("[node]\nstate = \"s\"\n[[listener\n", Some("etc/s")),
        ("[node]\nstate = 1\n", None),
        ("x = 1", None),
    ] {
        let outcome = load(Path::new("etc/f.toml"), &Table::default().file("etc/f.toml", text));
        assert!(outcome.model.is_none(), "{text}");
        assert_eq!(outcome.state.as_deref(), expected.map(Path::new), "{text}");
    }
}

#[test]
fn sources_are_kept_verbatim() {
    let (main, other) = (format!("include = [\"${{DIR}}/x.toml\"]\n{LISTENER}"), route("/${A:-b}"));
    let environment =
        Table::default().file("etc/f.toml", &main).file("etc/d/x.toml", &other).variable("DIR", "d");
    let outcome = load(Path::new("etc/f.toml"), &environment);
    let kept: Vec<_> = outcome.sources.iter().collect();
    assert_eq!(kept, [("etc/f.toml", &*main), ("etc/d/x.toml", &*other)]);
    assert_eq!(outcome.model.unwrap().apis[0].definition.routes[0].key.to_string(), "ANY /b");
}

#[test]
fn what_stands_twice_is_said_with_both_places() {
    let environment = Table::default()
        .file(
            "etc/f.toml",
            &format!(
                "include = [\"x.toml\"]\n{LISTENER}[node]\n[upstream.a]\ntargets = [\"http://a\"]\n{}",
                route("/a")
            ),
        )
        .file(
            "etc/x.toml",
            &format!(
                "{}[node]\nworkers = 1\n[upstream.a]\ntargets = [\"http://b\"]\n{LISTENER}",
                route("/a")
            ),
        );
    check(
        &environment,
        &[
            "etc/f.toml:5:11: no route uses the upstream `a`",
            "etc/x.toml:1:1: two routes are `ANY /a` | the first is at etc/f.toml:7:1",
            "etc/x.toml:4:1: `[node]` stands in two files | it stands at etc/f.toml:4:1 as well: keep one of them",
            "etc/x.toml:6:11: two upstreams are `a` | the first is at etc/f.toml:5:11",
            "etc/x.toml:8:1: two listeners are `127.0.0.1:1` | the first is at etc/f.toml:2:1",
        ],
    );
}

#[test]
fn all_files_are_judged_in_one_run() {
    let environment = Table::default()
        .file(
            "etc/f.toml",
            &format!("include = [\"*.toml\", \"none.toml\", \"no/*.toml\", \"*/x.toml\"]\n{LISTENER}[nod]\n"),
        )
        .file("etc/x.toml", "a = \n")
        .file("etc/y.toml", "include = []\n[cache]\nsize = 1\n");
    check(
        &environment,
        &[
            "etc/f.toml:1:22: can't read `etc/none.toml`: no such file | paths are relative to the file that includes them",
            "etc/f.toml:1:35: can't list `etc/no`: no such folder | paths are relative to the file that includes them",
            "etc/f.toml:1:48: `*` and `?` may stand in the last part of the path only | include each folder by itself: `[\"a/*.toml\", \"b/*.toml\"]`",
            "etc/f.toml:4:2: unknown key `nod` | did you mean `node`?",
            "etc/x.toml:1:5: the value is missing",
            "etc/y.toml:1:11: an included file can't include others | include them in the file that the gateway was started with",
            "etc/y.toml:3:8: expected a size with a unit, found an integer | write `\"1B\"`",
        ],
    );
}

#[test]
fn files_are_bounded() {
    check(&Table::default(), &["can't read `etc/f.toml`: no such file"]);
    let long = " ".repeat(FILE_BYTES_MAX as usize + 1);
    check(&Table::default().file("etc/f.toml", &long), &["can't read `etc/f.toml`: too long"]);
    let mut environment =
        Table::default().file("etc/f.toml", &format!("include = [\"d/*\"]\n{LISTENER}{}", route("/")));
    for index in 0..FILES_MAX {
        environment = environment.file(&format!("etc/d/{index}"), "");
    }
    check(&environment, &["etc/f.toml:1:12: a configuration has at most 256 files"]);
}

/// Nothing takes time that grows with the square of the text: this would take minutes.
#[test]
fn a_long_file_is_read() {
    const ROUTES: usize = 30_000;
    let route = |number: usize| format!("[[route]]\nmatch = \"/{number}\"\nurl = \"http://b{number}\"\n");
    let text: String = std::iter::once(LISTENER.to_owned()).chain((0..ROUTES).map(route)).collect();
    let model = model(&text);
    assert_eq!((model.apis[0].definition.routes.len(), model.upstreams.len()), (ROUTES, ROUTES));
}

#[test]
fn the_file_system_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| std::fs::write(directory.path().join(name), text).unwrap();
    std::fs::create_dir(directory.path().join("d.toml")).unwrap();
    write("f.toml", format!("include = [\"*.toml\"]\n{LISTENER}").as_bytes());
    write("g.toml", route("/${file:name}").as_bytes());
    write("name", b"x\n");
    let outcome = load(&directory.path().join("f.toml"), &System);
    assert_eq!(outcome.model.unwrap().apis[0].definition.routes[0].key.to_string(), "ANY /x");
    write("g.toml", b"a = 1\n\xff");
    let outcome = load(&directory.path().join("f.toml"), &System);
    assert!(outcome.diagnostics[0].message.ends_with("line 2 is not UTF-8"), "{:?}", outcome.diagnostics);
    let outcome = load(directory.path(), &System);
    assert!(outcome.model.is_none() && outcome.diagnostics.len() == 1, "{:?}", outcome.diagnostics);
}

pub(super) fn config() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn the_default_file_is_the_gateway_that_it_promises() {
    let outcome = load(&config().join("floodgate.toml"), &System);
    assert_eq!(outcome.diagnostics, []);
    let model = outcome.model.unwrap();
    let listener = &model.listeners[0];
    assert_eq!((listener.plain, listener.address.to_string()), (false, "127.0.0.1:8443".into()));
    assert_eq!(model.node.admin.listen.map(|it| it.to_string()).as_deref(), Some("127.0.0.1:9901"));
    assert_eq!(model.node.demo.map(|it| it.address.to_string()).as_deref(), Some("127.0.0.1:9080"));
    let [api] = &model.apis[..] else { panic!("one API") };
    let keys: Vec<_> = api.definition.routes.iter().map(|route| route.key.to_string()).collect();
    assert_eq!(keys, ["GET /cached", "GET /limited", "ANY /{proxy+}"]);
    assert_eq!(api.definition.routes[0].cache.as_ref().map(|cache| cache.ttl.as_secs()), Some(60));
    let throttle = &api.definition.routes[1].throttles[0];
    assert_eq!((throttle.rate, throttle.burst, throttle.per), (5.0, Some(5), model::ThrottlePer::Client));
}

#[test]
fn the_examples_are_right() {
    let mut names: Vec<_> =
        std::fs::read_dir(config().join("examples")).unwrap().map(|it| it.unwrap().path()).collect();
    names.sort();
    assert_eq!(names.len(), 6);
    for name in names {
        let outcome = load(&name, &System);
        assert_eq!(outcome.diagnostics, [], "{name:?}");
        assert!(outcome.model.is_some_and(|model| !model.apis.is_empty()), "{name:?}");
    }
}

/// The default file with all keys that it shows.
pub(super) fn everything() -> String {
    let text = std::fs::read_to_string(config().join("floodgate.toml")).unwrap();
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|char: char| char.is_ascii_lowercase() || char == '[') => {
            format!("{rest}\n")
        }
        _ => format!("{line}\n"),
    };
    text.lines().map(uncomment).collect()
}

#[test]
fn the_default_file_shows_every_key() {
    let text = everything();
    // It can be used as it stands; what it shows belongs together.
    model(&text);
    let mut shown = BTreeSet::new();
    collect(&text.parse().unwrap(), &ROOT, &mut shown);
    let mut known = BTreeSet::new();
    let mut todo = vec![&ROOT];
    while let Some(section) = todo.pop() {
        known.extend(section.names().map(|key| (section.name, key)));
        todo.extend(section.keys.iter().filter_map(Key::section));
    }
    assert_eq!(known.difference(&shown).collect::<Vec<_>>(), Vec::<&(&str, &str)>::new());
}

fn collect(
    table: &toml::Table,
    section: &'static Section,
    shown: &mut BTreeSet<(&'static str, &'static str)>,
) {
    for (name, value) in table {
        let key = section.key(name).unwrap();
        shown.insert((section.name, key.name));
        let Some(below) = key.section() else { continue };
        let tables = match value {
            toml::Value::Table(table) if matches!(key.form, crate::Form::Named(_)) => {
                table.values().collect()
            }
            toml::Value::Array(tables) => tables.iter().collect(),
            value => vec![value],
        };
        tables.into_iter().filter_map(toml::Value::as_table).for_each(|table| collect(table, below, shown));
    }
}

#[test]
fn the_default_file_shows_the_defaults() {
    let all: toml::Table = everything().parse().unwrap();
    let once = [
        "node",
        "admin",
        "access_log",
        "endpoint",
        "client",
        "cache",
        "timeouts",
        "limits",
        "quotas",
        "ebpf",
    ];
    let mut tables: Vec<_> =
        once.iter().map(|name| (ROOT.key(name).and_then(Key::section), &all[*name])).collect();
    let upstreams = all["upstream"].as_table().unwrap().values();
    tables.extend(upstreams.map(|table| (ROOT.key("upstream").and_then(Key::section), table)));
    let ebpf = ROOT.key("ebpf").and_then(Key::section);
    let below = |name| (ebpf.and_then(|ebpf| ebpf.key(name)).and_then(Key::section), &all["ebpf"][name]);
    tables.extend(["prefixes", "feed"].map(below));
    let mut compared = 0;
    for (section, table) in tables {
        for (name, shown) in table.as_table().unwrap() {
            let key = section.unwrap().key(name).unwrap();
            let Some(default) = key.default else { continue };
            assert_eq!(shown, &literal(default), "{name}");
            compared += 1;
        }
    }
    assert!(compared >= 40, "{compared}");
}

#[test]
fn defaults_are_what_leaving_out_means() {
    /// A text that holds each section with what it requires; `#name` marks where more keys of it go.
    const WHOLE: &str = "
[node] #node
[access_log] #access_log
[path] #path
[endpoint] #endpoint
[templates] #templates
[client] #client
[cache] #cache
[timeouts] #timeouts
[limits] #limits
[quotas] #quotas
[ebpf]
interfaces = [\"a\"] #ebpf
[ebpf.prefixes] #ebpf.prefixes
[ebpf.feed] #ebpf.feed
[[listener]]
address = \"127.0.0.1:1\" #listener
[upstream.a]
targets = [\"http://a\"] #upstream
[upstream.a.health]
path = \"/\" #upstream.health
[upstream.a.outlier] #upstream.outlier
[upstream.a.breaker] #upstream.breaker
[upstream.a.retries] #upstream.retries
[cors]
allow_origins = [\"https://a\"] #cors
[[route]]
match = \"/b\"
upstream = \"a\"
[route.cache] #route.cache
[[route.throttle]]
rate = \"1/s\" #route.throttle
[[route]]
match = \"/c\"
[route.mock] #mock
[[api]]
name = \"a\"
kind = \"http\"
hosts = [\"a\"]
[[api.stage]]
name = \"a\"
[api.stage.cache] #stage.cache
[[api.route]]
key = \"GET /\"
[api.route.integration]
type = \"mock\"
[[api]]
name = \"b\"
kind = \"http\"
[api.openapi]
file = \"pets.yaml\" #api.openapi
[[api.mapping]]
host = \"b\" #api.mapping
[[api.route]]
key = \"GET /\"
integration.type = \"mock\"
[[api]]
name = \"c\"
kind = \"rest\"
hosts = [\"c\"] #api
[[api.stage]]
name = \"c\" #api.stage
[api.stage.canary]
percent = 5 #api.stage.canary
[api.stage.canary.judge]
promote_after = \"1m\"
error_rate_max = 0.1 #api.stage.canary.judge
[[api.model]]
name = \"M\"
schema = \"{}\" #api.model
[[api.validator]]
name = \"v\" #api.validator
[[api.authorizer]]
name = \"a\"
type = \"token\"
uri = \"arn:a\" #api.authorizer
[[api.gateway_response]]
type = \"throttled\" #api.gateway_response
[[api.documentation]]
location = \"api\"
properties = \"{}\"
[[api.route]]
key = \"GET /\" #api.route
[api.route.integration]
type = \"http\"
uri = \"http://a\"
[[api.route.integration.response]]
status = 200 #api.route.integration.response
[[api.route.response]]
status = 200 #api.route.response
[[api.route]]
key = \"GET /a\"
[api.route.integration]
type = \"mock\" #api.route.integration
[api.route.authorization]
authorizer = \"a\" #api.route.authorization
[[domain]]
name = \"d\" #domain
[[domain.rule]]
priority = 1
api = \"c\"
stage = \"c\" #domain.rule
";
    let without = format!("{:?}", forget_places(model(WHOLE)));
    let (mut todo, mut checked) = (vec![&ROOT], BTreeSet::new());
    while let Some(section) = todo.pop() {
        todo.extend(section.keys.iter().filter_map(Key::section));
        for (key, default) in section.keys.iter().filter_map(|key| key.default.map(|default| (key, default)))
        {
            let mark = format!(" #{}\n", section.name);
            let text = match section.name {
                // A table that is empty stands for one that is left out.
                "file" if key.section().is_some() => {
                    let without = WHOLE.replace(&format!("[{0}] #{0}\n", key.name), "");
                    format!("{} = {default}\n{without}", key.name)
                }
                "file" => format!("{} = {default}\n{WHOLE}", key.name),
                _ => {
                    assert!(WHOLE.contains(&mark), "{mark}");
                    WHOLE.replace(&mark, &format!("\n{} = {default}\n", key.name))
                }
            };
            // A security policy is known by its name to the compiler alone, which has the default.
            if key.name != "security_policy" {
                assert_eq!(
                    format!("{:?}", forget_places(model(&text))),
                    without,
                    "{}.{}",
                    section.name,
                    key.name
                );
            }
            checked.insert((section.name, key.name));
        }
    }
    assert!(checked.len() > 40, "{}", checked.len());
}

/// Every key is read: a date, which no key takes, is refused at each.
#[test]
fn every_key_is_read() {
    let (mut todo, mut seen) = (vec![(String::new(), &ROOT)], 0);
    while let Some((path, section)) = todo.pop() {
        for key in section.keys {
            let name = format!("{path}{}", key.name);
            // Depth is enough; sections don't contain themselves.
            let text = format!("{name} = 1979-05-27\n{LISTENER}{}", route("/"));
            let text = if path.is_empty() && matches!(key.name, "listener" | "route") {
                format!("{name} = 1979-05-27\n")
            } else if let Some(rest) = name.strip_prefix("listener.") {
                format!("[[listener]]\n{rest} = 1979-05-27\n")
            } else if ["route.", "api.", "domain.", "certificate.", "ebpf.policy."]
                .iter()
                .any(|it| name.starts_with(it))
            {
                in_arrays(&name)
            } else {
                text
            };
            let outcome = super::read(&text);
            // Without the numbers of tables in arrays.
            let key_of = |it: &model::Diagnostic| -> String {
                it.key.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest)).collect()
            };
            let found = outcome
                .diagnostics
                .iter()
                .any(|it| key_of(it) == name && it.message.contains("found a date"));
            assert!(found, "{name}: {:?}\n{text}", outcome.diagnostics);
            seen += 1;
            if let Some(section) = key.section() {
                let below = if matches!(key.form, crate::Form::Named(_)) {
                    format!("{name}.x.")
                } else {
                    format!("{name}.")
                };
                todo.push((below, section));
            }
        }
    }
    assert!(seen > 100, "{seen}");
}

/// `route.cache.ttl` as a text in which `route` is an array of tables, and so is what else is one.
fn in_arrays(name: &str) -> String {
    const ARRAYS: [&str; 17] = [
        "route",
        "api",
        "domain",
        "certificate",
        "ebpf.policy",
        "api.mapping",
        "api.stage",
        "api.stage.method",
        "api.route",
        "api.route.response",
        "api.route.integration.response",
        "api.model",
        "api.validator",
        "api.authorizer",
        "api.gateway_response",
        "api.documentation",
        "domain.rule",
    ];
    let (mut lines, mut end) = (String::new(), 0);
    let ends: Vec<_> = name.match_indices('.').map(|(at, _)| at).collect();
    for at in ends {
        if ARRAYS.contains(&&name[..at]) {
            lines += &format!("[[{}]]\n", &name[..at]);
            end = at + 1;
        }
        // A REST API has what an HTTP API has not, and the other way round.
        if &name[..at] == "api" {
            let http = ["subtype", "payload_format_version", "response_parameters", "issuer"];
            let kind = if http.iter().any(|key| name.ends_with(key)) { "http" } else { "rest" };
            let said = [("kind", kind), ("name", "a")];
            let others = said.iter().filter(|(key, _)| name != format!("api.{key}"));
            others.for_each(|(key, value)| lines += &format!("{key} = \"{value}\"\n"));
        }
    }
    let key = &name[end..];
    let integration = match key {
        "integration.status" | "integration.headers" | "integration.body" => "mock",
        key if key.starts_with("integration.") && key != "integration.type" => "http_proxy",
        _ => return format!("{lines}{key} = 1979-05-27\n"),
    };
    format!("{lines}integration.type = \"{integration}\"\n{key} = 1979-05-27\n")
}

fn literal(text: &str) -> toml::Value {
    format!("x = {text}").parse::<toml::Table>().unwrap().remove("x").unwrap()
}

pub(super) fn forget_places(mut model: Model) -> Model {
    model.node.access_log.iter_mut().for_each(|it| it.origin = None);
    model.node.throttle.iter_mut().for_each(|it| it.origin = None);
    model.node.demo.iter_mut().for_each(|it| it.origin = None);
    if let Some(ebpf) = &mut model.node.ebpf {
        ebpf.origin = None;
        ebpf.policies.iter_mut().for_each(|it| it.origin = None);
    }
    model.certificates.iter_mut().for_each(|it| it.origin = None);
    model.listeners.iter_mut().for_each(|it| it.origin = None);
    for upstream in &mut model.upstreams {
        upstream.origin = None;
        upstream.targets.iter_mut().for_each(|it| it.origin = None);
    }
    for api in &mut model.apis {
        api.origin = None;
        api.definition = std::mem::take(&mut api.definition).without_origins();
        api.mappings.iter_mut().for_each(|it| it.origin = None);
        for stage in &mut api.stages {
            stage.origin = None;
            stage.cache.iter_mut().for_each(|it| it.origin = None);
            stage.cors.iter_mut().for_each(|it| it.origin = None);
            for settings in &mut stage.method_settings {
                settings.origin = None;
                settings.throttle.iter_mut().for_each(|it| it.origin = None);
                settings.cache.iter_mut().for_each(|it| it.origin = None);
            }
            let throttles = stage.throttle.iter_mut().chain(&mut stage.route_throttle);
            throttles.for_each(|it| it.origin = None);
        }
    }
    for domain in &mut model.domains {
        domain.origin = None;
        domain.rules.iter_mut().for_each(|it| it.origin = None);
    }
    model
}

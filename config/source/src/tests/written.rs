//! What is written from what was read: schema, layout, the whole configuration as one file.

use std::path::Path;

use model::Model;
use proptest::prelude::*;

use super::Table;
use super::files::{config, everything, forget_places};
use crate::{Key, ROOT, System, dump, format, schema_json};

#[test]
fn the_schema_that_ships_is_that_of_the_reader() {
    let shipped = std::fs::read_to_string(config().join("floodgate.schema.json")).unwrap();
    assert!(shipped == schema_json(), "run `floodgate schema > config/floodgate.schema.json`");
}

#[test]
fn the_schema_knows_every_key() {
    let schema: serde_json::Value = serde_json::from_str(&schema_json()).unwrap();
    let (mut todo, mut seen) = (vec![&ROOT], 0);
    while let Some(section) = todo.pop() {
        let object = if section.name == "file" { &schema } else { &schema["$defs"][section.name] };
        for key in section.keys {
            let property = &object["properties"][key.name];
            assert!(property["description"].as_str().unwrap().starts_with(key.doc), "{}", key.name);
            assert_eq!(property.get("default").is_some(), key.default.is_some(), "{}", key.name);
            let required = object["required"].as_array().is_some_and(|it| it.iter().any(|it| it == key.name));
            assert_eq!(required, key.required, "{}", key.name);
            seen += 1;
        }
        todo.extend(section.keys.iter().filter_map(Key::section));
    }
    assert!(seen > 100, "{seen}");
}

#[track_caller]
fn formatted(text: &str) -> String {
    format("f.toml", text).unwrap_or_else(|refused| panic!("{text:?}: {:?}", refused.diagnostics))
}

#[track_caller]
fn check_format(text: &str, expected: &str) {
    assert_eq!(formatted(text), expected, "{text}");
    assert_eq!(formatted(expected), expected, "again");
}

#[test]
fn blanks_and_lines() {
    check_format("", "");
    check_format("\n\n# only\n\n\n# words", "# only\n\n# words\n");
    check_format("\u{feff}a=1", "a = 1\n");
    check_format("a=1\r\n\r\n\r\nb   =   'x'  #  why  \r\n", "a = 1\n\nb = 'x' #  why\n");
    check_format("[ a ]#x\n\n\n  b=1\n   [a . \"c d\"]\nd . e=2", "[a] #x\nb = 1\n\n[a.\"c d\"]\nd.e = 2\n");
    check_format("[[a]]\n[[a]]\nb=1\n[a.c.d]", "[[a]]\n\n[[a]]\nb = 1\n\n[a.c.d]\n");
    check_format("[a]\n", "[a]\n");
}

#[test]
fn comments_stay_with_what_they_are_about() {
    check_format("[a]\n#b = 1\n\n# of c\n[c]\n", "[a]\n#b = 1\n\n# of c\n[c]\n");
    check_format("[a]\nb = 1\n# of c\n[c]\n", "[a]\nb = 1\n\n# of c\n[c]\n");
    check_format("# of the file\n\n\n\n# of a\n  a = 1\n# end\n", "# of the file\n\n# of a\na = 1\n# end\n");
    check_format("# x\na.b=1\n# y\nc=2\n# z\na.d=3", "# x\na.b = 1\n# z\na.d = 3\n# y\nc = 2\n");
}

#[test]
fn arrays_and_tables_on_a_line() {
    check_format("a=[ 1,2 ,\n 3, ]", "a = [1, 2, 3]\n");
    check_format("a = {b=1,c.d = [ ], e={}}", "a = { b = 1, c.d = [], e = {} }\n");
    let long = "x".repeat(44);
    check_format(&format!("a = [\"{long}\", \"{long}\"]"), &format!("a = [\"{long}\", \"{long}\"]\n"));
    check_format(
        &format!("a = [\"{long}\", \"{long}x\"]"),
        &format!("a = [\n    \"{long}\",\n    \"{long}x\",\n]\n"),
    );
    check_format(
        &format!("a = [[\"{long}\", \"{long}\"], {{ b = 1 }}] # c"),
        &format!("a = [\n    [\n        \"{long}\",\n        \"{long}\",\n    ],\n    {{ b = 1 }},\n] # c\n"),
    );
}

#[test]
fn comments_in_arrays_and_tables() {
    check_format(
        "a = [ # first\n1, # one\n\n\n# before two\n2 # two\n, 3\n# last\n]",
        "a = [\n    # first\n    1, # one\n\n    # before two\n    2, # two\n    3,\n    # last\n]\n",
    );
    check_format("a = [ # none\n]", "a = [\n    # none\n]\n");
    check_format(
        "a = { b = 1, # one\n c = [ # two\n 2] }",
        "a = {\n    b = 1, # one\n    c = [\n        # two\n        2,\n    ],\n}\n",
    );
}

#[test]
fn values_are_left_as_they_are() {
    let text = "a = 0x_ff\nb = 'c:\\d'\nc = \"\"\"\nx  \n\n  y\"\"\"\nd = 1_000\n\"e f\" = 1e3\n";
    check_format(&text.replace("0x_ff", "0xf_f"), &text.replace("0x_ff", "0xf_f"));
}

#[test]
fn broken_texts_are_refused_with_places() {
    let refused = format("f.toml", "a = 1\nb = \n[c\n").unwrap_err();
    let lines: Vec<_> = refused.diagnostics.iter().map(super::line).collect();
    assert_eq!(lines, ["f.toml:2:5: the value is missing", "f.toml:3:3: unclosed table | expected `]`"]);
    let refused = format("f.toml", "a = 1\na = 2\n").unwrap_err();
    assert_eq!(super::line(&refused.diagnostics[0]), "f.toml:2:1: duplicate key");
}

#[test]
fn what_ships_is_in_this_layout() {
    let mut names: Vec<_> =
        std::fs::read_dir(config().join("examples")).unwrap().map(|it| it.unwrap().path()).collect();
    names.push(config().join("floodgate.toml"));
    for name in names {
        let text = std::fs::read_to_string(&name).unwrap();
        assert_eq!(formatted(&text), text, "run `floodgate fmt {}`", name.display());
    }
    check_same(&everything());
}

/// The layout says the same and has every comment, and is its own layout.
#[track_caller]
fn check_same(text: &str) {
    let Ok(after) = format("f.toml", text) else { return };
    assert_eq!(formatted(&after), after, "{text}");
    let (old, new) = (text.parse::<toml::Table>().unwrap(), after.parse::<toml::Table>().unwrap());
    assert_eq!(format!("{old:?}"), format!("{new:?}"), "{text}");
    let model = |text: &str| super::read(text).model.map(|model| format!("{:?}", forget_places(model)));
    assert_eq!(model(text), model(&after), "{text}");
    assert_eq!(comments(text), comments(&after), "{text}");
}

/// Comments in no order: those of dotted keys move with their keys. Strings of the texts here have no `#`.
fn comments(text: &str) -> Vec<String> {
    let comment =
        |line: &str| line.find('#').map(|at| line[at..].trim_end_matches([' ', '\t', '\r']).to_owned());
    let mut comments: Vec<_> = text.split('\n').filter_map(comment).collect();
    comments.sort();
    comments
}

#[track_caller]
fn dumped(path: &str, environment: &Table, origins: bool) -> String {
    dump(Path::new(path), environment, origins).unwrap_or_else(|refused| panic!("{:?}", refused.diagnostics))
}

/// The model without places, and with the policy that is meant where none is named.
pub(super) fn meant(mut model: Model) -> String {
    let tls = model.listeners.iter_mut().filter(|it| !it.plain);
    tls.for_each(|it| it.security_policy = it.security_policy.take().or(Some("TLS_1_2".into())));
    format!("{:?}", forget_places(model))
}

/// What is dumped means the same, and is its own dump.
#[track_caller]
fn check_dump(text: &str) {
    let files = |text: &str| Table::default().file("f.toml", text).file("pets.yaml", super::openapi::PETS);
    let dumped_once = dumped("f.toml", &files(text), false);
    assert_eq!(meant(super::model(&dumped_once)), meant(super::model(text)), "{dumped_once}");
    let again = dumped("f.toml", &files(&dumped_once), false);
    assert_eq!(again, dumped_once);
}

#[test]
fn a_dump_means_what_the_files_mean() {
    check_dump(&everything());
    check_dump("");
    check_dump(
        "[upstream.a]\ntargets = [\"http://a\"]\nin_flight_max = 9\nhealth = { path = \"/h?x=1\", status = \"200, 301-302\" }\nbreaker = {}\nretries.budget = 0\n[[route]]\nmatch = \"/\"\nupstream = \"a\"\n",
    );
    check_dump(
        "[limits]\nheaders = \"9KiB\"\n[[route]]\nmatch = \"/\"\nurl = \"http://a\"\nlimits.body = \"1B\"\ncache = \"9s\"\nthrottle.rate = \"1/s\"\n",
    );
    check_dump(
        "[[listener]]\naddress = \"127.0.0.1:1\"\nplain = true\n[upstream.\"a.b\"]\ntargets = [\"http://a\"]\n[[route]]\nmatch = \"/\"\nupstream = \"a.b\"\n[[route]]\nmatch = \"/b\"\nmock.headers.a = 'b\"'\n",
    );
    check_dump(
        "[[listener]]\naddress = \"127.0.0.1:1\"\nhttp2 = false\n[upstream.a]\ntargets = [\"http://a\"]\nhttp2 = true\n[[route]]\nmatch = \"/\"\nupstream = \"a\"\n[[route]]\nmatch = \"/b\"\nurl = \"http://a\"\nhttp2 = true\n[[route]]\nmatch = \"/c\"\nmock = {}\n[[api]]\nname = \"a\"\nkind = \"http\"\nhosts = [\"a\"]\n[[api.route]]\nkey = \"GET /\"\nintegration = { type = \"http_proxy\", url = \"http://a\", http2 = true }\n",
    );
    for cache in ["\"respect-origin\"", "{ mode = \"respect-origin\", body_max = \"2MiB\" }"] {
        check_dump(&format!("[[route]]\nmatch = \"/\"\nurl = \"http://a\"\ncache = {cache}\n"));
    }
    for file in ["two-apis", "static-site", "own-certificate", "grpc", "rest", "http"] {
        let text = std::fs::read_to_string(config().join(format!("examples/{file}.toml"))).unwrap();
        check_dump(&text);
    }
    check_dump(&std::fs::read_to_string(config().join("floodgate.toml")).unwrap());
}

#[test]
fn every_line_of_a_dump_says_where_it_was_said() {
    let text = "[cache]\nsize = \"2MiB\"\n\n[[listener]]\naddress = \"127.0.0.1:1\"\n\n[[route]]\nmatch = \"/\"\nurl = \"http://a\"\ncache = \"9s\"\nlimits.target = \"1KiB\"\n";
    let environment = Table::default().file("f.toml", text);
    let lines = dumped("f.toml", &environment, true);
    let expected = "\
[node] # default
driver = \"auto\" # default
drain = \"30s\" # default
watch = false # default

[admin] # default

[path] # default
merge_slashes = false # default
encoded_slashes = false # default

[endpoint] # default
region = \"us-east-1\" # default
account_id = \"000000000000\" # default

[templates] # default
xml_to_json = false # default

[client] # default
trusted_proxies = [] # default
ipv4_prefix = 32 # default
ipv6_prefix = 64 # default

[cache] # f.toml:1
size = \"2MiB\" # f.toml:2

[timeouts] # default
handshake = \"5s\" # default
first_byte = \"10s\" # default
head = \"10s\" # default
body_idle = \"30s\" # default
keep_alive = \"60s\" # default
http2_idle = \"180s\" # default
tunnel_idle = \"10m\" # default
tunnel_max = \"2h\" # default
linger = \"2s\" # default
request_rate_min = \"240B\" # default
response_rate_min = \"240B\" # default
rate_grace = \"10s\" # default

[limits] # default
body = \"10MiB\" # default
headers = \"10KiB\" # default
header_count = 100 # default
target = \"10KiB\" # default

[quotas] # default
regional_apis = 600 # default
edge_apis = 120 # default
private_apis = 600 # default
domains = 120 # default
mappings = 200 # default
resources = 300 # default
routes = 300 # default
integrations = 300 # default
stages = 10 # default
authorizers = 10 # default
stage_variables = 100 # default
documentation_parts = 2000 # default
audiences = 50 # default
scopes = 10 # default
tags = 50 # default
routing_rules = 50 # default

[[listener]] # f.toml:4
address = \"127.0.0.1:1\" # f.toml:5
plain = false # default
http2 = true # default
http2_streams_max = 100 # default
security_policy = \"TLS_1_2\" # default
names = [\"localhost\"] # default

[[route]] # f.toml:7
match = \"/\" # f.toml:8
url = \"http://a\" # f.toml:9

[route.cache] # f.toml:10
ttl = \"9s\" # f.toml:10
mode = \"fixed\" # default
methods = [\"GET\"] # default
body_max = \"1MiB\" # default

[route.limits] # f.toml:11
body = \"10MiB\" # default
headers = \"10KiB\" # default
header_count = 100 # default
target = \"1KiB\" # f.toml:11
";
    assert_eq!(lines, expected);
}

#[test]
fn a_dump_joins_files_and_resolves_no_reference() {
    let environment = || {
        Table::default()
            .variable("TOKEN", "hidden")
            .variable("HERE", "/abs")
            .variable("THERE", "rel")
            .file("etc/secret", "hidden")
            .file("etc/conf.d/secret", "hidden")
            .file(
                "etc/f.toml",
                "include = [\"conf.d/*.toml\"]\n[[listener]]\naddress = \"127.0.0.1:1\"\n[[route]]\nmatch = \"/a\"\nmock.body = \"${file:secret}\"\n",
            )
            .file(
                "etc/conf.d/x.toml",
                "[node]\nstate = \"state\"\n[access_log]\ntarget = \"log\"\n[[certificate]]\nchain = \"${HERE}/c\"\nkey = \"${THERE}/k\"\n[[route]]\nmatch = \"/b\"\nmock = { body = \"${file:secret} $${file:x} ${TOKEN}\", headers = { x = \"${TOKEN:-a}\" } }\n",
            )
    };
    let text = dumped("etc/f.toml", &environment(), true);
    for line in [
        "body = \"${file:secret}\" # etc/f.toml:6",
        "state = \"conf.d/state\" # etc/conf.d/x.toml:2",
        "target = \"conf.d/log\" # etc/conf.d/x.toml:4",
        "chain = \"${HERE}/c\" # etc/conf.d/x.toml:6",
        "key = \"conf.d/${THERE}/k\" # etc/conf.d/x.toml:7",
        "body = \"${file:conf.d/secret} $${file:x} ${TOKEN}\" # etc/conf.d/x.toml:10",
        "headers = { x = \"${TOKEN:-a}\" } # etc/conf.d/x.toml:10",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
    }
    assert!(!text.contains("hidden") && !text.contains("include"), "{text}");
    let read = |environment: Table| meant(crate::load("etc/f.toml".as_ref(), &environment).model.unwrap());
    assert_eq!(read(environment().file("etc/f.toml", &text)), read(environment()));
}

#[test]
fn what_is_wrong_is_not_dumped() {
    let environment = Table::default().file("f.toml", "[node]\nworkers = 0\n");
    let refused = dump(Path::new("f.toml"), &environment, false).unwrap_err();
    let errors: Vec<_> =
        refused.diagnostics.iter().filter(|it| it.origin.is_some()).map(super::line).collect();
    assert_eq!(errors, ["f.toml:2:11: `0` is out of range | write something from `1` to `1024`"]);
    assert!(dump(&config().join("none.toml"), &System, false).is_err());
}

/// Pieces of TOML, some of them in the right order.
fn pieces() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec!["a", "b . c", "'d e'", "b.f", "g", "h", "b . i . j", "k"]);
    let space = || prop::sample::select(vec!["", " ", "  ", "\t"]);
    let gap = || prop::sample::select(vec!["", " ", "\n", "\n\n\n", " # x\n", "\n  # y\n\n# z\n"]);
    let scalar = prop::sample::select(vec!["1", "true", "\"s\"", "'''m\n'''", "1979-05-27", "0x1F"]);
    let value = scalar.prop_map(str::to_owned).prop_recursive(3, 12, 4, move |inner| {
        let items = prop::collection::vec((gap(), inner.clone(), gap()), 0..4);
        let keys = prop::collection::vec(
            (gap(), prop::sample::select(vec!["m", "n.o", "n.p", "q"]), inner, gap()),
            0..3,
        );
        prop_oneof![
            (items, gap(), any::<bool>()).prop_map(|(items, end, comma)| {
                let text: Vec<_> = items.iter().map(|(a, b, c)| format!("{a}{b}{c}")).collect();
                let comma = if comma && !text.is_empty() { "," } else { "" };
                format!("[{}{comma}{end}]", text.join(","))
            }),
            (keys, gap()).prop_map(|(keys, end)| {
                let text: Vec<_> = keys.iter().map(|(a, key, b, c)| format!("{a}{key}={b}{c}")).collect();
                format!("{{{}{end}}}", text.join(","))
            }),
        ]
    });
    let behind =
        || prop::sample::select(vec!["\n", " \n", "# c\n", "\t# d \r\n\n\n", "\n\n# e\n# f\n", "\n#g\n\n"]);
    let entry = (space(), key, space(), value, behind())
        .prop_map(|(a, key, b, value, end)| format!("{a}{key}{b}={a}{value}{end}"));
    let name = prop::sample::select(vec![
        "[r]",
        "[ s . t ]",
        "[[u]]",
        "[[u . v]]",
        "[u.w]",
        "[s]",
        "[b.x]",
        "[[ y ]]",
    ]);
    let header = (space(), name, behind()).prop_map(|(a, name, end)| format!("{a}{name}{end}"));
    prop::collection::vec(prop_oneof![4 => entry, 2 => header], 0..9).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn a_layout_says_the_same_and_stays(text in pieces()) {
        check_same(&text);
    }

    #[test]
    fn any_text_is_laid_out_or_refused(text in "\\PC{0,60}|([a-c\\[\\]{}=\"'.,\\n 1]{0,8}){0,12}") {
        if let Ok(after) = format("f.toml", &text) {
            prop_assert_eq!(formatted(&after), after);
        }
    }
}

#[track_caller]
fn check_corpus(folder: &str, property: fn(&[u8])) {
    let folder = config().join(folder);
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        println!("{}", file.display());
        property(&std::fs::read(file).unwrap());
    }
}

/// Every file of the fuzz targets' corpora holds its property.
#[test]
fn the_corpora_hold_their_properties() {
    check_corpus("../tests/fuzz/corpus/config", crate::properties::any_file);
    check_corpus("../tests/fuzz/corpus/openapi", crate::properties::any_document);
    check_corpus("openapi/tests/corpus", crate::properties::any_document);
}

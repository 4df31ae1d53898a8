//! What is written from what was read: schema, layout.

use proptest::prelude::*;

use super::files::{config, everything, forget_places};
use crate::{Key, ROOT, format, schema_json};

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

//! Paths and what they find, as tables. The store is Goessner's, which Jayway's documentation uses.

use super::*;

const STORE: &str = r#"{
  "store": {
    "book": [
      {"category": "reference", "author": "Nigel Rees", "title": "Sayings of the Century", "price": 8.95},
      {"category": "fiction", "author": "Evelyn Waugh", "title": "Sword of Honour", "price": 12.99},
      {"category": "fiction", "author": "Herman Melville", "title": "Moby Dick", "isbn": "0-553-21311-3", "price": 8.99},
      {"category": "fiction", "author": "J. R. R. Tolkien", "title": "The Lord of the Rings", "isbn": "0-395-19395-8", "price": 22.99}
    ],
    "bicycle": {"color": "red", "price": 19.95}
  },
  "expensive": 10
}"#;

/// What a path finds, without space; `nothing` for nothing.
#[track_caller]
fn find(document: &str, path: &str) -> String {
    let compiled = Path::compile(path).unwrap_or_else(|mistake| panic!("{mistake}"));
    let found = compiled.find(document.as_bytes()).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut text = String::new();
    match found.into_json() {
        Some(json) => {
            let Ok(()) = crate::json::write_compact(&mut text, &json);
        }
        None => text.push_str("nothing"),
    }
    text
}

#[track_caller]
fn check(document: &str, path: &str, expected: &str) {
    assert_eq!(find(document, path), expected, "{path}");
}

#[track_caller]
fn check_titles(path: &str, expected: &str) {
    let found: Vec<String> = serde_json::from_str(&find(STORE, path)).unwrap();
    assert_eq!(found.join(", "), expected, "{path}");
}

/// Why a path is refused.
#[track_caller]
fn check_mistake(path: &str, expected: &str) {
    assert_eq!(Path::compile(path).unwrap_err().to_string(), expected, "{path}");
}

#[test]
fn children() {
    check(r#"{"a": {"b": [1, 2]}}"#, "$", r#"{"a":{"b":[1,2]}}"#);
    check(r#"{"a": {"b": [1, 2]}}"#, "$.a.b", "[1,2]");
    check(r#"{"a": {"b": [1, 2]}}"#, "a.b[1]", "2");
    check(r#"{"a": {"b": [1, 2]}}"#, "$['a'][\"b\"]", "[1,2]");
    check(r#"{"a": {"b": [1, 2]}}"#, "@.a.b[0]", "1");
    check(r#"{"a b": {"c.d": 1}}"#, "$['a b']['c.d']", "1");
    check(r#"{"it's": 1, "\u0061": 2}"#, "$['it\\'s']", "1");
    check(r#"{"it's": 1, "\u0061": 2}"#, "$.a", "2");
    check(r#"{"a": 1}"#, "$.b", "nothing");
    check(r#"{"a": 1}"#, "$.a.b", "nothing");
    check(r#"{"a": null}"#, "$.a", "null");
    check(r#"{"a": 1, "a": 2}"#, "$.a", "2");
    check(r#"{"-x_1@é": 1, "$": 2}"#, "$.-x_1@é", "1");
    check("[{\"a\": 1}]", "$.a", "nothing");
    check("7", "$", "7");
}

#[test]
fn several_names() {
    check(r#"{"a": 1, "b": 2, "c": 3}"#, "$['a','c']", r#"{"a":1,"c":3}"#);
    check(r#"{"a": 1, "b": 2, "c": 3}"#, "$['a', 'x']", r#"{"a":1}"#);
    check(r#"{"p": {"x": 1}, "q": {"x": 2}}"#, "$['p','q'].x", "[1,2]");
    check(
        r#"[{"a": 1, "b": 2}, {"a": 3, "b": 4, "c": 5}]"#,
        "$[*]['a','b']",
        r#"[{"a":1,"b":2},{"a":3,"b":4}]"#,
    );
}

#[test]
fn elements() {
    let list = "[0, 1, 2, 3, 4]";
    for (path, expected) in [
        ("$[0]", "0"),
        ("$[-1]", "4"),
        ("$[5]", "nothing"),
        ("$[-6]", "nothing"),
        ("$[0,2]", "[0,2]"),
        ("$[4,9]", "[4]"),
        ("$[1:3]", "[1,2]"),
        ("$[-2:]", "[3,4]"),
        ("$[:2]", "[0,1]"),
        ("$[1:-1]", "[1,2,3]"),
        ("$[3:9]", "[3,4]"),
        ("$[4:2]", "[]"),
        ("$[*]", "[0,1,2,3,4]"),
        ("$.*", "[0,1,2,3,4]"),
        ("$[(@.length-1)]", "4"),
        ("$[(@.length() - 2)]", "3"),
        ("$[ 1 ]", "1"),
    ] {
        check(list, path, expected);
    }
    check("{\"a\": 1}", "$[0]", "nothing");
    check("{\"a\": 1, \"b\": [2]}", "$.*", "[1,[2]]");
    check("{\"a\": 1}", "$.a[*]", "[]");
    check("{\"a\": 1}", "$.b[*]", "nothing");
    check("[[1, 2], [3]]", "$[*][0]", "[1,3]");
    check("[[1, 2], [3]]", "$[*][1]", "[2]");
}

#[test]
fn scans() {
    check(STORE, "$..price", "[8.95,12.99,8.99,22.99,19.95]");
    check(STORE, "$.store..price", "[8.95,12.99,8.99,22.99,19.95]");
    check(STORE, "$..book[2].title", "[\"Moby Dick\"]");
    check(STORE, "$..book[-1].author", "[\"J. R. R. Tolkien\"]");
    check(STORE, "$..nothing", "[]");
    check_titles("$..book[0,1].title", "Sayings of the Century, Sword of Honour");
    check_titles("$..book[:2].title", "Sayings of the Century, Sword of Honour");
    check_titles("$.store.book[*].author", "Nigel Rees, Evelyn Waugh, Herman Melville, J. R. R. Tolkien");
    check(r#"{"a": [{"b": 1}, {"b": {"b": 2}}]}"#, "$..b", r#"[1,{"b":2},2]"#);
    check(r#"{"a": [1, [2]]}"#, "$..*", "[[1,[2]],1,[2],2]");
    check(r#"{"a": [1, [2]]}"#, "$..[0]", "[1,2]");
    check(r#"{"a": {"x": 1, "y": 2}, "x": 3}"#, "$..['x','y']", r#"[{"x":1,"y":2}]"#);
}

#[test]
fn filters() {
    check_titles("$..book[?(@.isbn)].title", "Moby Dick, The Lord of the Rings");
    check_titles("$..book[?(!@.isbn)].title", "Sayings of the Century, Sword of Honour");
    check_titles("$.store.book[?(@.price < 10)].title", "Sayings of the Century, Moby Dick");
    check_titles("$..book[?(@.price <= $['expensive'])].title", "Sayings of the Century, Moby Dick");
    check_titles("$..book[?(@.author =~ /.*REES/i)].title", "Sayings of the Century");
    check_titles(
        "$..book[?(@.category == 'fiction' && @.price < 10 || @.price > 20)].title",
        "Moby Dick, The Lord of the Rings",
    );
    check_titles(
        "$..book[?(@.category == 'fiction' && (@.price < 10 || @.price > 20))].title",
        "Moby Dick, The Lord of the Rings",
    );
    check_titles(
        "$..book[?(@.author in ['Nigel Rees', \"Herman Melville\"])].title",
        "Sayings of the Century, Moby Dick",
    );
    check_titles("$..book[?(@['price'] == 8.95)].title", "Sayings of the Century");
    // A filter asks an object itself, and in a scan each object.
    check(r#"{"a": {"x": 1}}"#, "$.a[?(@.x == 1)]", r#"[{"x":1}]"#);
    check(r#"{"a": {"x": 1}, "b": [{"x": 1, "y": 2}]}"#, "$..[?(@.x)]", r#"[{"x":1},{"x":1,"y":2}]"#);
    check(r#"{"a": 1}"#, "$.a[?(@.x)]", "nothing");
}

#[test]
fn operators() {
    let document = r#"[{"n": 1}, {"n": 2.0}, {"n": "2"}, {"s": "abc"}, {"l": [1, 2]}, {"l": []}, {"t": true}, {"z": null}]"#;
    for (filter, expected) in [
        ("@.n == 2", r#"[{"n":2.0},{"n":"2"}]"#),
        ("@.n == '2'", r#"[{"n":2.0},{"n":"2"}]"#),
        ("@.n > 1", r#"[{"n":2.0}]"#),
        ("@.n >= 1", r#"[{"n":1},{"n":2.0}]"#),
        ("1 < @.n", r#"[{"n":2.0}]"#),
        ("@.s == 'abc'", r#"[{"s":"abc"}]"#),
        ("@.s < 'b'", r#"[{"s":"abc"}]"#),
        ("@.s =~ /ab./", r#"[{"s":"abc"}]"#),
        ("@.s =~ /a/", "[]"),
        ("@.s contains 'b'", r#"[{"s":"abc"}]"#),
        ("@.s size 3", r#"[{"s":"abc"}]"#),
        ("@.l size 2", r#"[{"l":[1,2]}]"#),
        ("@.l contains 2", r#"[{"l":[1,2]}]"#),
        ("@.l empty true", r#"[{"l":[]}]"#),
        ("@.l EMPTY false", r#"[{"l":[1,2]}]"#),
        ("@.l == [1, 2]", r#"[{"l":[1,2]}]"#),
        ("@.l subsetof [1, 2, 3]", r#"[{"l":[1,2]},{"l":[]}]"#),
        ("@.l anyof [2, 9]", r#"[{"l":[1,2]}]"#),
        ("@.l noneof [9]", r#"[{"l":[1,2]},{"l":[]}]"#),
        ("@.l all [1]", r#"[{"l":[1,2]}]"#),
        ("@.n in [1, 5]", r#"[{"n":1}]"#),
        ("@.t == true", r#"[{"t":true}]"#),
        ("@.t != true && @.t", "[]"),
        ("@.z == null", r#"[{"z":null}]"#),
        ("@.l.length() == 2", r#"[{"l":[1,2]}]"#),
        ("@.l[0] == 1", r#"[{"l":[1,2]}]"#),
        ("@ == {\"n\": 1}", r#"[{"n":1}]"#),
        ("@.n nin [1] && @.n", r#"[{"n":2.0},{"n":"2"}]"#),
    ] {
        check(document, &format!("$[?({filter})]"), expected);
    }
    check("[1, 5, 3]", "$[?(@ > 2)]", "[5,3]");
}

#[test]
fn functions() {
    let document = r#"{"n": [1, 2, 3.5, "x"], "s": ["a", "b"], "o": {"k": 1, "l": 2}}"#;
    for (path, expected) in [
        ("$.n.length()", "4"),
        ("$.n.size()", "4"),
        ("$.o.length()", "2"),
        ("$.n.min()", "1.0"),
        ("$.n.max()", "3.5"),
        ("$.n.sum()", "6.5"),
        ("$.s.sum()", "nothing"),
        ("$.o.keys()", r#"["k","l"]"#),
        ("$.s.concat()", r#""ab""#),
        ("$.s.concat('-', \"c\")", r#""ab-c""#),
        ("$.s.append(1)", r#"["a","b",1]"#),
        ("$.n.first()", "1"),
        ("$.n.last()", r#""x""#),
        ("$.n.index(1)", "2"),
        ("$.n.index(-2)", "3.5"),
        ("$.n.index(9)", "nothing"),
        ("$.sum($.n, 10)", "16.5"),
        ("$.n.length", "nothing"),
        ("$..k.sum()", "1.0"),
    ] {
        check(document, path, expected);
    }
    check("[2, 4, 4, 4, 5, 5, 7, 9]", "$.stddev()", "2.0");
    check("[2, 4]", "$.avg()", "3.0");
    check(STORE, "$..price.max()", "22.99");
    check(STORE, "$..book.length()", "1");
}

/// Row 118 takes values as text.
#[test]
fn texts() {
    let text = |document: &str, path: &str| {
        let found = Path::compile(path).unwrap().find(document.as_bytes()).unwrap();
        found.into_text().map(std::borrow::Cow::into_owned)
    };
    assert_eq!(text(r#"{"a": "x\n"}"#, "$.a").as_deref(), Some("x\n"));
    assert_eq!(text(r#"{"a": [1, "x"]}"#, "$.a").as_deref(), Some("[1,\"x\"]"));
    assert_eq!(text(r#"{"a": 1.50}"#, "$.a").as_deref(), Some("1.50"));
    assert_eq!(text("{}", "$.a"), None);
    assert_eq!(text("[\"a\"]", "$.concat('b')").as_deref(), Some("ab"));
}

#[test]
fn mistakes() {
    check_mistake(
        "$.",
        "a name is missing after the `.`; put names with dots or spaces into ['…'], at character 3 of `$.`",
    );
    check_mistake(
        "$..",
        "a path must not end with `..`; what is wanted at every depth?, at character 4 of `$..`",
    );
    check_mistake(
        "$.a b",
        "a space can't stand in a name here; write ['two words'], at character 4 of `$.a b`",
    );
    check_mistake("$['a", "the quote is not closed, at character 3 of `$['a`");
    check_mistake("$['a'", "`]` is missing: the bracket is not closed, at character 6 of `$['a'`");
    check_mistake("$[1:2:3]", "a slice has no step; write [from:to], at character 6 of `$[1:2:3]`");
    check_mistake("$[a]", "['name'], [0], [1:3], [*] or [?(…)] is wanted, at character 3 of `$[a]`");
    check_mistake(
        "$.a.foo()",
        "there is no function `foo`; the functions are min, max, avg, stddev, sum, length, size, keys, concat, append, first, last, index, at character 5 of `$.a.foo()`",
    );
    check_mistake("$.a.length().b", "`.` can't stand here, at character 13 of `$.a.length().b`");
    check_mistake(
        "$[?(@.a = 1)]",
        "`)` is missing: a filter is written [?(…)], at character 9 of `$[?(@.a = 1)]`",
    );
    check_mistake(
        "$[?(@.a == )]",
        "a value is wanted: a number, 'text', true, false, null, a list or a path, at character 12 of `$[?(@.a == )]`",
    );
    check_mistake(
        "$[?(@.a =~ /(/)]",
        "the pattern `(` can't be used: unclosed group, at character 12 of `$[?(@.a =~ /(/)]`",
    );
    check_mistake(
        "$[?(@.a =~ /x/q)]",
        "there is no flag `q` for a pattern; there are i, m, s, x, u, U and d, at character 12 of `$[?(@.a =~ /x/q)]`",
    );
    check_mistake("$[0]é", "`é` can't stand here, at character 5 of `$[0]é`");
    let deep = format!("$[?({}@.a{})]", "(".repeat(20), ")".repeat(20));
    assert!(
        Path::compile(&deep).unwrap_err().to_string().contains("nested deeper than 16 (limit: path depth)")
    );
    let long = "$.".repeat(PATH_BYTES_MAX);
    assert!(
        Path::compile(&long).unwrap_err().to_string().contains("longer than 4096 bytes (limit: path bytes)")
    );
}

#[test]
fn documents_that_are_not_json() {
    let find = |document: &[u8]| Path::compile("$.a").unwrap().find(document).unwrap_err().to_string();
    assert_eq!(find(b"{"), "no JSON at byte 1: a key in quotes is wanted");
    assert_eq!(find(b""), "no JSON at byte 0: a value is wanted");
    assert_eq!(find(b"{\"a\": 01}"), "no JSON at byte 7: `,` or `}` is wanted");
    assert_eq!(find(b"\"\xff\""), "no JSON at byte 1: the text is not UTF-8");
    assert_eq!(find("[".repeat(200).as_bytes()), "no JSON at byte 128: nested deeper than 128");
}

/// A short path can ask much of a long document: it is told, and does not take forever.
#[test]
fn look_ups_are_bounded() {
    let wide = format!("[{}1]", "1,".repeat(20_000));
    let path = Path::compile("$[?(@ in $[?(@ in $)])]").unwrap();
    let error = path.find(wide.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "the look-up took more than 1000000 steps (limit: path steps)");
    let deep = format!("{}1{}", "[".repeat(128), "]".repeat(128));
    let path = Path::compile(&format!("${}", "..*".repeat(12))).unwrap();
    let error = path.find(deep.as_bytes()).unwrap_err();
    assert_eq!(error, FindError::Steps { max: PATH_STEPS_MAX });
}

//! Paths in both engines. The other is python-jsonpath, which follows RFC 9535 with extensions; both give all that is
//! found as a list here.

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Value, json};
use template::Path;

fn document() -> Value {
    json!({
        "store": {
            "book": [
                {"category": "reference", "author": "Nigel Rees", "title": "Sayings", "price": 8.95},
                {"category": "fiction", "author": "Evelyn Waugh", "title": "Sword", "price": 12.99},
                {"category": "fiction", "author": "Melville", "title": "Moby Dick", "isbn": "0-553", "price": 8.99, "tags": ["sea", "whale"]},
                {"category": "fiction", "author": "Tolkien", "title": "Rings", "isbn": "0-395", "price": 22.99, "tags": []}
            ],
            "bicycle": {"color": "red", "price": 19.95, "gears": null}
        },
        "max": 10,
        "list": [0, 1, 2, [3, [4]], "x", true, null],
        "it's": {"a.b": 1, "é": 2}
    })
}

/// Found alike by both.
const ALIKE: &[&str] = &[
    "$",
    "$.store.book[0].title",
    "$['store']['book'][1]['author']",
    "$.store.book[*].author",
    "$..author",
    "$.store.*",
    "$.store..price",
    "$..book[2]",
    "$..book[-1]",
    "$..book[0,1].title",
    "$..book[:2].title",
    "$..book[1:3].title",
    "$..book[-2:].title",
    "$..book[?(@.isbn)].title",
    "$..book[?(!@.isbn)].title",
    "$.store.book[?(@.price < 10)].title",
    "$.store.book[?(@.price <= 12.99 && @.category == 'fiction')].title",
    "$.store.book[?(@.price > 20 || @.author == 'Nigel Rees')].title",
    "$.store.book[?(@.price < $.max)].title",
    "$.store.book[?(@.category != 'fiction')].title",
    "$.store.book[?((@.price > 8.96 && @.price < 20) || @.isbn == '0-395')].title",
    "$.store.book[?(@.author in ['Melville', 'Tolkien'])].title",
    "$.store.book[?(@.tags contains 'sea')].title",
    "$.store.book[?(@.author =~ /.*ees/)].title",
    "$.store.book[?(@.author =~ /.*EES/i)].title",
    "$.store.book[?(@.author =~ /ees/)].title",
    "$.list[3][1][0]",
    "$.list[*]",
    "$.list[?(@ == 1)]",
    "$.list[1:4]",
    "$.nothing",
    "$.store.nothing.more",
    "$.list[99]",
    "$..nothing",
    "$['it\\'s']['a.b']",
    "$..['price']",
    "$.store.bicycle.gears",
    "$..*",
];

/// Why ours is right where the two differ: Jayway's documentation or its code says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// Several names at the end of a path make one object.
    Merged,
    /// A filter asks an object itself; RFC 9535's asks its members.
    Itself,
    /// Functions end a path; RFC 9535 has them in filters alone.
    Functions,
    /// A number and a text are equal if the text says the number.
    Texts,
    /// A text is no list, and has neither elements nor slices.
    NoList,
    /// Jayway has more operators.
    Operators,
}

const DIFFERENT: &[(&str, &str, Reason)] = &[
    ("$.store.bicycle['color','price']", r#"[{"color":"red","price":19.95}]"#, Reason::Merged),
    ("$.store.bicycle[?(@.price == 19.95)].color", r#"["red"]"#, Reason::Itself),
    ("$.store.book.length()", "[4]", Reason::Functions),
    ("$..price.max()", "[22.99]", Reason::Functions),
    ("$.store.book[?(@.title.length() == 3)]", "[]", Reason::Functions),
    ("$.list[(@.length - 1)]", "[null]", Reason::Functions),
    ("$.list[?(@ == '1')]", "[1]", Reason::Texts),
    ("$.store.bicycle.color[0:2]", "[]", Reason::NoList),
    ("$.store.book[?(@.tags size 2)].title", r#"["Moby Dick"]"#, Reason::Operators),
    ("$.store.book[?(@.tags empty true)].title", r#"["Rings"]"#, Reason::Operators),
    (
        "$.store.book[?(@.tags subsetof ['sea', 'whale', 'x'])].title",
        r#"["Moby Dick","Rings"]"#,
        Reason::Operators,
    ),
    ("$.store.book[?(@.tags anyof ['sea'])].title", r#"["Moby Dick"]"#, Reason::Operators),
    (
        "$.store.book[?(@.author nin ['Melville', 'Tolkien', 'Evelyn Waugh'])].title",
        r#"["Sayings"]"#,
        Reason::Operators,
    ),
];

fn ours(path: &str, document: &Value) -> Value {
    let path = Path::compile(path).unwrap_or_else(|mistake| panic!("{mistake}"));
    let text = document.to_string();
    let found = path.find(text.as_bytes()).unwrap();
    found.values().map(|value| serde_json::from_str::<Value>(value).unwrap()).collect()
}

#[test]
fn paths_of_the_table() {
    let Some(python) = super::python("paths_of_the_table", "jsonpath") else { return };
    let cases: Vec<_> = ALIKE.iter().map(|path| ((*path).to_owned(), document())).collect();
    for ((path, document), theirs) in cases.iter().zip(super::ask(&python, "jsonpath", &cases)) {
        // Breadth or depth first is nobody's promise.
        assert_eq!(theirs.map(sorted), Ok(sorted(ours(path, document))), "{path}");
    }
    let cases: Vec<_> = DIFFERENT.iter().map(|(path, ..)| ((*path).to_owned(), document())).collect();
    let theirs = super::ask(&python, "jsonpath", &cases);
    for ((path, expected, reason), theirs) in DIFFERENT.iter().zip(theirs) {
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(ours(path, &document()), expected, "{path}");
        // A difference that is none any more is told.
        assert_ne!(theirs, Ok(expected), "{path}: {reason:?}");
    }
}

fn sorted(list: Value) -> Vec<String> {
    let mut texts: Vec<_> = list.as_array().unwrap().iter().map(Value::to_string).collect();
    texts.sort_unstable();
    texts
}

fn any_document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..4_i64).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 60, 4, |inner| {
        let key = prop::sample::select(vec!["a", "b", "d e"]).prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 1..4).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// Paths of what both have. After a filter or a wildcard there is no list of names at the end, which differs.
fn any_path() -> impl Strategy<Value = String> {
    let step = prop_oneof![
        prop::sample::select(vec![
            ".a", ".b", "['d e']", ".*", "[*]", "..a", "..b", "[0]", "[1]", "[-1]", "[0,1]", "[1:]", "[:-1]",
            "[-2:]"
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(step, 0..4).prop_map(|steps| format!("${}", steps.concat()))
}

#[test]
fn paths_at_random() {
    let Some(python) = super::python("paths_at_random", "jsonpath") else { return };
    let mut runner = TestRunner::deterministic();
    let strategy = (any_path(), any_document());
    let cases: Vec<_> = (0..2_000).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    let mut found = 0;
    for ((path, document), theirs) in cases.iter().zip(super::ask(&python, "jsonpath", &cases)) {
        let ours = ours(path, document);
        found += ours.as_array().unwrap().len();
        assert_eq!(theirs.map(sorted), Ok(sorted(ours)), "{path} in {document}");
    }
    assert!(found > 1_000, "{found} values were found in all");
}

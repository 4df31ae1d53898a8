//! Properties over generated texts, and the corpora of the fuzz targets.

use std::{fs, path::Path};

use proptest::prelude::*;

use crate::properties::{any_document, any_path, any_template};

/// Words of the language in any order make templates of every kind, wrong ones too.
const TEMPLATE: &str = "(#set\\(|#if\\(|#elseif\\(|#else|#end|#foreach\\(\\$i in |#macro\\(m \\$a\\)|#m\\(|#define\\(\\$d\\)|\
    #evaluate\\(|#stop|#break|#\\[\\[|\\]\\]#|##|#\\*|\\*#|\\$i|\\$a|\\$d|\\$!\\{|\\$\\{|\\}|\\$x\\.y|\\$x|\\.add\\(|\\.size\\(\\)|\
    \\.split\\('b'\\)|\\.substring\\(1\\)|\\.put\\('k',|\\$input\\.json\\('\\$'\\)|\\$input\\.path\\('\\$\\.a'\\)|\\$input\\.params\\(\\)|\
    \\$util\\.parseJson\\(|\\$context\\.stage|\\$foreach\\.count|\\[1\\.\\.3\\]|\\[|\\]|\\{|:|,|'|\"| = | == | \\+ | - |!|\\(|\\)|1|2\\.5|true|\
    'text'|\"\\$x\"|\\\\|\n| |é|😀){0,24}";

const PATH: &str = "(\\$|@|\\.|\\.\\.|a|b|\\*|\\[|\\]|\\['a'\\]|\\['a','b'\\]|\\[0\\]|\\[-1\\]|\\[1:\\]|\\[\\?\\(|\\)|@\\.a| == |=~ /a/i| in |\
    \\[1,2\\]|'b'|1|true| && | \\|\\| |!|length\\(\\)|sum\\(|keys\\(\\)|append\\(1\\)|,| |é){0,14}";

/// JSON of every shape, with space and escapes.
fn json() -> impl Strategy<Value = String> {
    let leaf = "null|true|false|0|-1|2\\.50|1e3|123456789012345678901|\"a\"|\"\"|\"\\\\u0061\\\\n\"|\"é😀\"";
    leaf.prop_recursive(5, 40, 5, |inner| {
        let key = "\"a\"|\"b\"|\"c d\"|\"\\\\u0061\"";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[ {} ]", items.join(" , "))),
            prop::collection::vec((key, inner), 0..5).prop_map(|members| {
                let members: Vec<_> =
                    members.into_iter().map(|(key, value)| format!("{key} :{value}")).collect();
                format!("{{{}}}", members.join(",\n"))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn templates(source in TEMPLATE, body in json()) {
        any_template(format!("{source}\n====\n{body}").as_bytes());
    }

    #[test]
    fn paths(path in PATH, body in json()) {
        any_path(format!("${path}\n====\n{body}").as_bytes());
    }

    #[test]
    fn documents(text in json(), noise in "\\PC{0,12}") {
        any_document(text.as_bytes());
        any_document(noise.as_bytes());
        any_document(format!("{text}{noise}").as_bytes());
    }

    /// What we call JSON is what serde_json calls JSON, and what we write without space says the same.
    #[test]
    fn documents_as_serde_reads_them(text in json(), cut in any::<prop::sample::Index>(), noise in "[]{}\",:.0-9a-z\\\\ -]{0,3}") {
        let at = cut.index(text.len() + 1);
        let broken = match text.is_char_boundary(at) {
            true => format!("{}{noise}{}", &text[..at], &text[at..]),
            false => text.clone(),
        };
        for text in [&text, &broken] {
            let theirs = serde_json::from_str::<serde_json::Value>(text);
            let ours = crate::json::check(text);
            // A number beyond a double's range is JSON, but not one that serde_json has.
            if theirs.as_ref().is_err_and(|error| error.to_string().starts_with("number out of range")) {
                continue;
            }
            // Neither has it half of a surrogate pair.
            if theirs.as_ref().is_err_and(|error| error.to_string().contains("surrogate")
                || error.to_string().contains("end of hex escape")) {
                continue;
            }
            prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{} {:?} {:?}", text, ours, theirs);
            if let Ok(theirs) = theirs {
                let mut compact = String::new();
                let Ok(()) = crate::json::write_compact(&mut compact, text);
                prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&compact).unwrap(), theirs);
            }
        }
    }

    /// Any text at all.
    #[test]
    fn noise(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        any_template(&bytes);
        any_path(&bytes);
        any_document(&bytes);
    }
}

/// Every file of a fuzz target's corpus holds its property.
#[track_caller]
fn check_corpus(target: &str, property: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(target);
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        println!("{}", file.display());
        property(&fs::read(file).unwrap());
    }
}

#[test]
fn corpora_hold_their_properties() {
    check_corpus("vtl", any_template);
    check_corpus("jsonpath", any_path);
    check_corpus("json", any_document);
}

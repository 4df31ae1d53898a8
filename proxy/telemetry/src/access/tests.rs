use std::{fs, path::Path};

use message::context::Variable;
use proptest::prelude::*;

use super::*;

/// Renders `template` (with a request id put before it, which each template needs) with `values`; what is not among
/// them is empty.
fn render(template: &str, values: &[(Variable, &[u8])]) -> String {
    let template = Template::parse(&format!("$context.requestId {template}")).expect("a good template");
    let mut line = Vec::new();
    template.render(&mut line, &|variable, out| {
        for (_, value) in values.iter().filter(|(v, _)| *v == variable) {
            out.extend_from_slice(value);
        }
    });
    let line = String::from_utf8(line).expect("lines are UTF-8");
    line.strip_prefix("- ").expect("the id is empty").to_owned()
}

#[track_caller]
fn check(template: &str, expected: &str) {
    let values: [(Variable, &[u8]); 3] =
        [(Variable::Status, b"200"), (Variable::Path, b"/orders"), (Variable::IdentitySourceIp, b"::1")];
    assert_eq!(render(template, &values), expected);
}

#[test]
fn variables_are_put_in_their_places() {
    check("$context.status", "200");
    check("<$context.status>$context.path,$context.identity.sourceIp|", "<200>/orders,::1|");
    check("$context.status$context.status", "200200");
    check("done: $context.status.", "done: 200.");
    check("$context.path-$context.status", "/orders-200");
    check("$stageVariables.x costs 5$ ${context.status}", "$stageVariables.x costs 5$ ${context.status}");
}

#[test]
fn what_is_empty_or_not_there_yet_is_a_dash() {
    check("$context.stage", "-");
    check("\"$context.identity.caller\" $context.authorizer.claims.sub", "\"-\" -");
    check("$context.waf.status $context.requestOverride.header.x-y $context.xrayTraceId", "- - -");
}

#[test]
fn two_names_for_one_thing_are_one_thing() {
    let values: [(Variable, &[u8]); 1] = [(Variable::IntegrationStatus, b"502")];
    assert_eq!(
        render(
            "$context.integrationStatus $context.integration.status $context.integration.integrationStatus",
            &values
        ),
        "502 502 502"
    );
}

#[track_caller]
fn check_refused(template: &str, message: &str, help: Option<&str>, at: Option<usize>) {
    let error = Template::parse(template).expect_err("a bad template");
    assert_eq!((error.to_string().as_str(), error.help().as_deref(), error.at()), (message, help, at));
}

#[test]
fn mistakes_are_named_with_their_place_and_the_right_fix() {
    let check = |name: &str, nearest: Option<&str>| {
        let help = nearest.map(|name| format!("did you mean `$context.{name}`?"));
        let message = format!("unknown variable `$context.{name}`");
        check_refused(&format!("$context.requestId $context.{name}"), &message, help.as_deref(), Some(19));
    };
    check("statsu", Some("status"));
    check("requestID", Some("requestId"));
    check("sourceIp", Some("identity.sourceIp"));
    check("identity.useragent", Some("identity.userAgent"));
    check("grpcStatus", Some("grpc.status"));
    check("zzzzzzzz", None);
    check("authorizer", None);
    check_refused("$context", "unknown variable `$context.`", None, Some(0));
    check_refused("a\nb", "a log format must be one line", Some("remove the line break"), Some(1));
    check_refused(
        "$context.status",
        "a log format must contain `$context.requestId` or `$context.extendedRequestId`",
        Some("add `$context.requestId`"),
        None,
    );
    let long = "x".repeat(TEMPLATE_BYTES_MAX + 1);
    check_refused(&long, "a log format has at most 3072 bytes, this one has 3073", None, None);
}

#[track_caller]
fn check_escaped(value: &[u8], expected: &str) {
    assert_eq!(render("\"$context.path\"", &[(Variable::Path, value)]), format!("\"{expected}\""));
}

#[test]
fn a_value_cannot_forge_a_line_or_leave_its_quotes() {
    check_escaped(b"/plain~ !", "/plain~ !");
    check_escaped(b"a\r\nb\t", r"a\u000d\u000ab\u0009");
    check_escaped(br#"","admin":"1"#, r#"\",\"admin\":\"1"#);
    check_escaped(br"\", r"\\");
    check_escaped(b"\0\x1b[31m\x7f", r"\u0000\u001b[31m\u007f");
}

#[test]
fn what_is_no_text_is_written_byte_by_byte() {
    check_escaped("grüße €𝄞".as_bytes(), "grüße €𝄞");
    check_escaped(b"\xfc", r"\u00fc");
    check_escaped(b"\xe2\x82", r"\u00e2\u0082");
    check_escaped(b"\xed\xa0\x80", r"\u00ed\u00a0\u0080");
    check_escaped("\u{9b}".as_bytes(), r"\u00c2\u009b");
    check_escaped("\u{2028}x".as_bytes(), r"\u00e2\u0080\u00a8x");
}

#[test]
fn the_names_of_formats_are_templates() {
    for name in ["json", "clf", "common"] {
        let template = Template::parse(name).expect("a good template");
        assert!(template.variables().any(|variable| variable == Variable::RequestId), "{name}");
    }
    assert_eq!(Template::parse("clf").unwrap(), Template::parse("common").unwrap());
}

/// Reads a JSON object of strings; `None` where it is not one.
fn json_strings(line: &str) -> Option<usize> {
    let mut rest = line.strip_prefix('{')?.strip_suffix('}')?;
    let mut strings = 0;
    loop {
        let mut chars = rest.strip_prefix('"')?.char_indices();
        let end = loop {
            match chars.next()? {
                (_, '\\') => match chars.next()?.1 {
                    '"' | '\\' => {}
                    'u' => {
                        for _ in 0..4 {
                            chars.next()?.1.to_digit(16)?;
                        }
                    }
                    _ => return None,
                },
                (at, '"') => break at,
                (_, c) if (c as u32) < 0x20 => return None,
                _ => {}
            }
        };
        strings += 1;
        rest = &rest[end + 2..];
        if rest.is_empty() {
            return (strings % 2 == 0).then_some(strings);
        }
        rest = rest.strip_prefix(if strings % 2 == 1 { ':' } else { ',' })?;
    }
}

proptest! {
    #[test]
    fn json_stays_json_whatever_a_client_sends(value in proptest::collection::vec(any::<u8>(), 0..64)) {
        let template = Template::parse("json").unwrap();
        let mut line = b"before".to_vec();
        template.render(&mut line, &|_, out| out.extend_from_slice(&value));
        let line = String::from_utf8(line).unwrap();
        let line = line.strip_prefix("before").unwrap();
        prop_assert!(!line.contains(|c: char| c.is_control()));
        prop_assert_eq!(json_strings(line), Some(2 * template.variables().count()), "{}", line);
    }

    #[test]
    fn any_text_is_a_template_or_an_error(text in "(\\$context|\\.|[a-zA-Z.$-]|status|requestId|ü){0,12}\n\\PC{0,8}") {
        properties::any_template(text.as_bytes());
    }

    #[test]
    fn values_stay_in_their_places(value in proptest::collection::vec(any::<u8>(), 0..64)) {
        properties::any_template(&[b"{\"$context.requestId\",\"$context.path\"\n", &value[..]].concat());
    }
}

/// Every file of the fuzz target's corpus holds its property.
#[test]
fn the_corpus_holds_its_property() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/access_log");
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        println!("{}", file.display());
        properties::any_template(&fs::read(file).unwrap());
    }
}

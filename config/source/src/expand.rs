//! References in string values: `${NAME}`, `${NAME:-default}`, `${file:path}`; `$${` stands for `${`. Texts of API Gateway's
//! own grammars (templates, URIs, mappings) have a `${…}` of their own, which stays what it is.

use std::path::Path;

use crate::context::{Context, Mistake, quote};

/// The longest file that a value may be read from.
const VALUE_BYTES_MAX: u64 = 1 << 20;

/// The text with its references replaced. Paths are relative to `directory`.
pub(crate) fn expand(text: &str, directory: &Path, cx: &Context<'_>) -> Result<String, Vec<Mistake>> {
    let (mut expanded, mut mistakes) = (String::with_capacity(text.len()), Vec::new());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            expanded.push_str(&rest[..at]);
            expanded.push('{');
            rest = &rest[at + 2..];
            continue;
        }
        expanded.push_str(&rest[..at]);
        let Some(end) = rest[at..].find('}') else {
            let mistake = Mistake::new(format!("{} has no closing brace", quote(&rest[at..])));
            mistakes.push(mistake.help("close it, or write `$${` for a dollar sign and a brace"));
            rest = "";
            break;
        };
        let reference = &rest[at + 2..at + end];
        match resolve(reference, directory, cx).and_then(|value| cx.grow(value.len()).map(|()| value)) {
            Ok(value) => expanded.push_str(&value),
            Err(mistake) => mistakes.push(mistake),
        }
        rest = &rest[at + end + 1..];
    }
    expanded.push_str(rest);
    if mistakes.is_empty() { Ok(expanded) } else { Err(mistakes) }
}

/// The same where `${…}` means something in the text itself, such as `${stageVariables.host}` or a template's `${name}`:
/// what can't be a reference stays as it is.
pub(crate) fn expand_own(text: &str, directory: &Path, cx: &Context<'_>) -> Result<String, Vec<Mistake>> {
    let (mut expanded, mut mistakes) = (String::with_capacity(text.len()), Vec::new());
    let mut rest = text;
    while let Some((at, reference)) = first_reference(rest) {
        let end = at + "${".len() + reference.len() + "}".len();
        if rest[..at].ends_with('$') {
            expanded.push_str(&rest[..at]);
            expanded.push_str(&rest[at + 1..end]);
        } else {
            expanded.push_str(&rest[..at]);
            match resolve(reference, directory, cx).and_then(|value| cx.grow(value.len()).map(|()| value)) {
                Ok(value) => expanded.push_str(&value),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        rest = &rest[end..];
    }
    expanded.push_str(rest);
    if mistakes.is_empty() { Ok(expanded) } else { Err(mistakes) }
}

/// The text that [`expand`] makes into this one.
pub(crate) fn escaped(text: &str) -> String {
    text.replace("${", "$${")
}

/// The text that [`expand_own`] makes into this one.
pub(crate) fn escaped_own(text: &str) -> String {
    let (mut escaped, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((at, reference)) = first_reference(rest) {
        let end = at + "${".len() + reference.len() + "}".len();
        escaped.push_str(&rest[..at]);
        escaped.push('$');
        escaped.push_str(&rest[at..end]);
        rest = &rest[end..];
    }
    escaped + rest
}

/// Where the first text in braces stands that a reference may be, and what it refers to.
fn first_reference(text: &str) -> Option<(usize, &str)> {
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.find("${")?;
        let inside = &text[at + 2..];
        // No name has a brace in it, so that what follows is looked at once.
        let end = inside.find(['{', '}'])?;
        let reference = &inside[..end];
        let name = reference.split_once(":-").map_or(reference, |(name, _)| name);
        if inside[end..].starts_with('}') && (reference.starts_with("file:") || is_variable(name)) {
            return Some((at, reference));
        }
        from = at + 2;
    }
}

fn resolve(reference: &str, directory: &Path, cx: &Context<'_>) -> Result<String, Mistake> {
    if let Some(path) = reference.strip_prefix("file:") {
        let path = directory.join(path);
        let text = cx.environment.read_file(&path, VALUE_BYTES_MAX);
        let text = text.map_err(|error| {
            let message = format!("can't read {}: {error}", quote(&path.to_string_lossy()));
            Mistake::new(message).help("paths are relative to the file that says them")
        })?;
        // Editors end a file with a newline that nobody means.
        let text = text.strip_suffix('\n').map_or(&*text, |text| text.strip_suffix('\r').unwrap_or(text));
        return Ok(text.to_owned());
    }
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    if !is_variable(name) {
        let message = format!("`${{{}}}` is no reference", &quote(reference).trim_matches('`'));
        let help = "references are `${NAME}`, `${NAME:-default}` and `${file:path}`; \
                    write `$${` for a dollar sign and a brace";
        return Err(Mistake::new(message).help(help));
    }
    match (cx.environment.variable(name), default) {
        // As in a shell, `:-` also replaces an empty value.
        (Some(value), default) if !value.is_empty() || default.is_none() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        _ => {
            let message = format!("the environment variable `{name}` is not set");
            Err(Mistake::new(message).help(format!("set it, or write `${{{name}:-default}}`")))
        }
    }
}

fn is_variable(name: &str) -> bool {
    let is_first = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    let mut bytes = name.bytes();
    bytes.next().is_some_and(is_first) && bytes.all(|byte| is_first(byte) || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::Table;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &[&str]>) {
        let environment = Table::default()
            .variable("NAME", "value")
            .variable("EMPTY", "")
            .file("conf/secret", "hidden\r\n")
            .file("conf/two", "a\n\n");
        let cx = Context::new(&environment);
        let expanded = expand(text, Path::new("conf"), &cx);
        let messages =
            expanded.map_err(|mistakes| mistakes.into_iter().map(|it| it.message).collect::<Vec<_>>());
        let expected = expected.map(str::to_owned);
        assert_eq!(messages, expected.map_err(|it| it.iter().map(|it| (*it).to_owned()).collect()), "{text}");
    }

    #[test]
    fn references_expand() {
        check("plain $ {x} $x", Ok("plain $ {x} $x"));
        check("a${NAME}b${NAME}", Ok("avaluebvalue"));
        check("${NONE:-x y}", Ok("x y"));
        check("${NONE:-}", Ok(""));
        check("${EMPTY:-x}", Ok("x"));
        check("${EMPTY}", Ok(""));
        check("${NAME:-x}", Ok("value"));
        check("${file:secret}", Ok("hidden"));
        check("${file:two}", Ok("a\n"));
        check("$${NAME}", Ok("${NAME}"));
        check("$${NAME}${NAME}", Ok("${NAME}value"));
    }

    #[track_caller]
    fn check_own(text: &str, expected: &str) {
        let environment = Table::default().variable("NAME", "value").file("conf/t", "${NAME} $x\n");
        let cx = Context::new(&environment);
        assert_eq!(expand_own(text, Path::new("conf"), &cx).as_deref(), Ok(expected), "{text}");
    }

    #[test]
    fn texts_keep_braces_of_their_own() {
        check_own("${stageVariables.host} ${x} ${NAME}", "${stageVariables.host} ${x} value");
        check_own("${file:t}", "${NAME} $x");
        check_own("$${NAME} $${x} ${", "${NAME} $${x} ${");
        check_own("${NAME", "${NAME");
        check_own("${a${NAME}}", "${avalue}");
        check_own("${NONE:-x}", "x");
        check_own("$!{x} #if(${Name})", "$!{x} #if(${Name})");
    }

    proptest! {
        #[test]
        fn what_is_escaped_is_read_again(text in "([${}a-zA-Z:_-]|\\$\\{|file:|NAME|stageVariables\\.x){0,24}") {
            let environment = Table::default();
            let cx = Context::new(&environment);
            prop_assert_eq!(expand(&escaped(&text), Path::new(""), &cx), Ok(text.clone()));
            prop_assert_eq!(expand_own(&escaped_own(&text), Path::new(""), &cx), Ok(text));
        }
    }

    #[test]
    fn others_are_mistakes() {
        check("${NONE}", Err(&["the environment variable `NONE` is not set"]));
        check(
            "${NONE}${OTHER}",
            Err(&[
                "the environment variable `NONE` is not set",
                "the environment variable `OTHER` is not set",
            ]),
        );
        check("${name}", Err(&["`${name}` is no reference"]));
        check("${}", Err(&["`${}` is no reference"]));
        check("${stageVariables.x}", Err(&["`${stageVariables.x}` is no reference"]));
        check("${NAME", Err(&["`${NAME` has no closing brace"]));
        check("${file:none}", Err(&["can't read `conf/none`: no such file"]));
    }
}

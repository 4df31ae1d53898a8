//! What must hold of any template and any values. Each property panics when it does not, called by unit tests, by fuzz
//! targets and by the replay of what those came upon.

use message::context::Variable;

use super::{TEMPLATE_BYTES_MAX, Template};

/// Reads bytes as a template, up to the first line break, and a value that every variable has. What is taken as a
/// template renders to one line that no value can end, leave its quotes in, or change beyond its place.
pub fn any_template(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (text, value) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
    let Ok(text) = std::str::from_utf8(text) else { return };
    match Template::parse(text) {
        Ok(template) => {
            assert!(text.len() <= TEMPLATE_BYTES_MAX);
            values_stay_in_their_places(&template, value);
        }
        Err(error) => {
            assert!(error.at().is_none_or(|at| text.is_char_boundary(at)), "{error}: {text:?}");
            assert!(!error.to_string().contains(['\n', '\r']), "{error}: {text:?}");
        }
    }
}

/// A line with `value` for every variable is the line with a mark for every variable, where each mark stands for the
/// same escaped text.
fn values_stay_in_their_places(template: &Template, value: &[u8]) {
    // A character that stays as it is; the template may have it too, so it is counted.
    const MARK: &str = "\u{e000}";
    let marked = render(template, MARK.as_bytes());
    let filled = render(template, value);
    assert!(!filled.contains(['\n', '\r']), "{filled:?}");
    let escaped = escaped(value);
    assert!(!escaped.contains(char::is_control), "{escaped:?}");
    assert!(quotes_are_escaped(&escaped), "{escaped:?}");
    let variables = template.variables().count();
    if marked.matches(MARK).count() == variables {
        assert_eq!(filled, marked.replace(MARK, &escaped));
    }
}

/// The value alone, as a line has it.
fn escaped(value: &[u8]) -> String {
    let template = Template::parse("$context.requestId").expect("a good template");
    assert_eq!(template.variables().collect::<Vec<_>>(), [Variable::RequestId]);
    render(&template, value)
}

fn render(template: &Template, value: &[u8]) -> String {
    let mut line = b"before".to_vec();
    template.render(&mut line, &|_, out| out.extend_from_slice(value));
    assert!(line.starts_with(b"before"), "what stood there stays");
    let line = line.split_off(b"before".len());
    String::from_utf8(line).unwrap_or_else(|error| panic!("no UTF-8: {error}"))
}

/// Whether a reader of JSON, between quotes, would come to the end and not to a quote.
fn quotes_are_escaped(text: &str) -> bool {
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => return false,
            '\\' => match chars.next() {
                Some('"' | '\\') => {}
                Some('u') if chars.by_ref().take(4).filter(char::is_ascii_hexdigit).count() == 4 => {}
                _ => return false,
            },
            _ => {}
        }
    }
    true
}

//! What the program says to its operator: one line a fact, on standard error; what scripts wait for, on standard output.

use std::io::{IsTerminal, Write};

use crate::bar;

/// Something went wrong.
pub(crate) fn error(text: &str) {
    line(&mut std::io::stderr(), "error", text);
}

/// Something works and will surprise.
pub(crate) fn warning(text: &str) {
    line(&mut std::io::stderr(), "warning", text);
}

/// Something happened that an operator wants to know once.
pub(crate) fn note(text: &str) {
    put(&mut std::io::stderr(), &format!("floodgate: {}\n", printable(text)));
}

/// What is wrong with a configuration, rendered.
pub(crate) fn diagnostics(rendered: &str) {
    put(&mut std::io::stderr(), rendered);
}

/// Part of what was asked for.
pub(crate) fn out(text: &str) {
    put(&mut std::io::stdout(), &format!("{text}\n"));
}

/// `1 core`, `2 cores`.
pub(crate) fn count(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// An error and its causes, one line. Errors that already end with their cause are not followed by it again.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.map(ToString::to_string).fold(error.to_string(), |text, cause| {
        if text.ends_with(&cause) { text } else { format!("{text}: {cause}") }
    })
}

/// Whether standard error can show colours and the operator has not declined them (no-color.org).
pub(crate) fn has_colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn line(to: &mut impl Write, kind: &str, text: &str) {
    put(to, &format!("floodgate: {kind}: {}\n", printable(text)));
}

/// A terminal is told nothing by the names that stand in somebody's file.
fn printable(text: &str) -> String {
    text.replace(|char: char| char.is_control() && !matches!(char, '\n' | '\t'), "\u{fffd}")
}

/// There is nobody to tell when telling fails.
fn put(to: &mut impl Write, text: &str) {
    let _told = bar::aside(|| to.write_all(text.as_bytes()).and_then(|()| to.flush()));
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!([0, 1, 2].map(|it| count(it, "core")), ["0 cores", "1 core", "2 cores"]);
    }

    #[test]
    fn lines_stay_and_nothing_else_moves_a_cursor() {
        assert_eq!(printable("a\u{1b}[31m\n\tb\r\u{9b}c"), "a\u{fffd}[31m\n\tb\u{fffd}\u{fffd}c");
    }

    #[test]
    fn a_cause_is_said_once() {
        let error = Err::<(), _>(anyhow!("no such file")).context("cannot read a: no such file");
        assert_eq!(chain(error.unwrap_err().as_ref()), "cannot read a: no such file");
        let error = Err::<(), _>(anyhow!("no such file")).context("cannot read a");
        assert_eq!(chain(error.unwrap_err().as_ref()), "cannot read a: no such file");
    }
}

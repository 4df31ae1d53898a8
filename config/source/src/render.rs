//! Diagnostics as a person reads them: what, where, the excerpt, what to write instead.

use annotate_snippets::{AnnotationKind, Group, Level, Origin as At, Renderer, Snippet};
use model::{Diagnostic, Origin, Severity};

use crate::Sources;

/// Longer lines are not shown.
const LINE_BYTES_MAX: usize = 2_000;

/// All diagnostics, one after the other, an empty line between them.
pub fn render(diagnostics: &[Diagnostic], sources: &Sources, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut rendered = String::new();
    for diagnostic in diagnostics {
        rendered.push_str(&renderer.render(&[group(diagnostic, sources)]));
        rendered.push_str("\n\n");
    }
    rendered
}

fn group<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = level.primary_title(printable(&diagnostic.message)).elements(None::<At<'a>>);
    if let Some(origin) = &diagnostic.origin {
        group = match sources.text(&origin.file).and_then(|text| excerpt(text, origin)) {
            Some((line, span)) => {
                let annotation = AnnotationKind::Primary.span(span);
                let snippet = Snippet::source(line).line_start(origin.line as usize);
                let label = label(diagnostic).map(printable);
                group.element(snippet.path(printable(&origin.file)).annotation(annotation.label(label)))
            }
            None => {
                let (line, column) = (origin.line as usize, origin.column as usize);
                group.element(At::path(printable(&origin.file)).line(line).char_column(column))
            }
        };
    }
    match &diagnostic.help {
        Some(help) => group.element(Level::HELP.message(printable(help))),
        None => group,
    }
}

/// The line of a place, and the place's bytes in it. Only that line is given on: files may be long.
fn excerpt<'a>(text: &'a str, origin: &Origin) -> Option<(&'a str, std::ops::Range<usize>)> {
    let before = text.get(..origin.start)?;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = text.get(start..)?.split('\n').next()?;
    let span = origin.start - start..origin.end.min(start + line.len()).max(origin.start) - start;
    let line = line.strip_suffix('\r').unwrap_or(line);
    (line.len() <= LINE_BYTES_MAX).then_some((line, span))
}

fn label(diagnostic: &Diagnostic) -> Option<&str> {
    Some(&*diagnostic.key).filter(|key| key.contains('[') || key.contains('.') || key.starts_with('/'))
}

/// A terminal is not told anything by what stands in a file.
fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

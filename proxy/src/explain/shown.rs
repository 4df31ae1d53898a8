//! How an explanation is shown: to people, in lines; to programs, as JSON.

use integration::{Fate, Preview, Whose};
use model::Origin;
use serde_json::{Value, json};

use super::told::{Answer, Explanation, Forwarded, Said, Step, fate, written};

/// Bytes of a body, or of what a template renders, that people are shown.
const SHOWN_BYTES_MAX: usize = 4 << 10;
/// Where what is told begins in a line.
const COLUMN: usize = 13;

/// For people.
pub(super) fn text(told: &Explanation) -> String {
    let mut out = format!("{}\n\n", told.asked);
    let mut line = |label: &str, what: &str| out.push_str(&format!("{label:COLUMN$}{what}\n"));
    line("listener", &told.listener);
    let mut said = |label: &str, said: &Option<Said>, more: &str| {
        if let Some(Said { what, origin }) = said {
            line(label, &format!("{what}{more}{}", place(origin.as_ref())));
        }
    };
    said("host", &told.place, "");
    said("API", &told.api, "");
    let canary = if told.is_canary { ", its canary" } else { "" };
    let deployment = told.deployment.as_ref().map_or_else(String::new, |id| format!(", deployment {id}"));
    said("stage", &told.stage, &format!("{canary}{deployment}"));
    let pairs = |pairs: &[(String, String)]| {
        pairs.iter().map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>().join(", ")
    };
    if !told.variables.is_empty() {
        line("", &format!("variables: {}", pairs(&told.variables)));
    }
    if let Some(target) = &told.target {
        line("target", target);
    }
    match &told.route {
        Some(Said { what, origin }) => {
            line("route", &format!("{what}{}", place(origin.as_ref())));
            if !told.params.is_empty() {
                line("", &pairs(&told.params));
            }
        }
        None if told.target.is_some() => line("route", "none"),
        None => {}
    }
    told.notes.iter().for_each(|note| line("note", note));
    if !told.steps.is_empty() {
        out.push_str("\nin order\n");
        told.steps.iter().zip(1..).for_each(|(it, number)| step(&mut out, it, number));
    }
    if let Some(integration) = &told.integration {
        let timeout = integration.timeout_ms.map_or_else(String::new, |ms| format!(", {ms} ms at most"));
        let place = place(integration.origin.as_ref());
        out.push_str(&format!("\nintegration  {}{timeout}{place}\n", integration.kind));
    }
    told.bodies.iter().for_each(|(preview, origin)| body(&mut out, preview, origin.as_ref()));
    if let Some(it) = &told.sent {
        sent(&mut out, it);
    }
    match (&told.answer, &told.sent) {
        (Some(it), _) => answer(&mut out, it),
        (None, Some(_)) => out.push_str("\nanswer       the backend's; say one with --response\n"),
        (None, None) => {}
    }
    if !told.others.is_empty() {
        out.push_str("\nnot taken by\n");
        for (Said { what, origin }, why) in &told.others {
            out.push_str(&format!("  {what}: {why}{}\n", place(origin.as_ref())));
        }
    }
    if told.others_left > 0 {
        out.push_str(&format!("  and {} more; --all tells of them\n", told.others_left));
    }
    out.trim_end().to_owned()
}

fn step(out: &mut String, Step { kind, asks, says }: &Step, number: usize) {
    let says = if says.is_empty() { String::new() } else { format!(" → {}", says.join(", then ")) };
    let kind = format!("{number} {kind}");
    for (at, Said { what, origin }) in asks.iter().enumerate() {
        let label = if at == 0 { &*kind } else { "" };
        let says = if at + 1 == asks.len() { &*says } else { "" };
        out.push_str(&format!("  {label:16}{what}{says}{}\n", place(origin.as_ref())));
    }
}

fn body(out: &mut String, Preview { whose, fate: of_body }: &Preview, origin: Option<&Origin>) {
    let whose = match whose {
        Whose::Request => "request body".to_owned(),
        Whose::Response { place: None, status, .. } => format!("no response takes the status {status}"),
        Whose::Response { place: Some(number), pattern: Some(pattern), status } => {
            format!("response {}, of /{pattern}/, takes the status {status}", number + 1)
        }
        Whose::Response { place: Some(number), pattern: None, status } => {
            format!("response {}, of all that is left, takes the status {status}", number + 1)
        }
    };
    let (what, more) = fate(of_body);
    out.push_str(&format!("  {whose}: {what}{}\n", place(origin)));
    if let Some(more) = more {
        indented(out, more, "    | ");
    }
}

fn sent(out: &mut String, sent: &Forwarded) {
    let Forwarded { backends, http2, connect_timeout_ms, first_byte_timeout_ms, .. } = sent;
    let of = if backends.len() > 1 { "one of " } else { "" };
    let by = if *http2 { " over HTTP/2" } else { "" };
    out.push_str(&format!("\nforwarded to {of}{}{by}\n", backends.join(", ")));
    out.push_str(&format!(
        "  within {connect_timeout_ms} ms a connection, within {first_byte_timeout_ms} ms an answer\n"
    ));
    indented(out, &sent.head, "  > ");
    if !sent.body.is_empty() {
        out.push_str("  >\n");
        indented(out, &sent.body, "  > ");
    }
}

fn answer(out: &mut String, answer: &Answer) {
    let Answer { status, reason, headers, body } = answer;
    let why = reason.map_or_else(String::new, |(name, kind)| format!(", the gateway's own: {name}, {kind}"));
    out.push_str(&format!("\nanswer       {status} {}{why}\n", message::reason_phrase(*status)));
    for (name, value) in headers {
        out.push_str(&format!("  < {name}: {value}\n"));
    }
    if !body.is_empty() {
        out.push_str("  <\n");
        indented(out, body, "  < ");
    }
}

/// Text behind a mark, a bounded part of it.
fn indented(out: &mut String, text: &str, mark: &str) {
    let mut end = text.len().min(SHOWN_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    for line in text[..end].lines() {
        // What is no text is told so, and changes no terminal.
        let line: String =
            line.chars().map(|it| if it.is_control() && it != '\t' { '\u{fffd}' } else { it }).collect();
        out.push_str(&format!("{mark}{line}\n"));
    }
    if end < text.len() {
        out.push_str(&format!("{mark}… {} bytes more\n", text.len() - end));
    }
}

fn place(origin: Option<&Origin>) -> String {
    origin.map_or_else(String::new, |origin| format!("  [{}]", written(origin)))
}

/// For programs. What is not known is null.
pub(super) fn value(told: &Explanation) -> Value {
    let said = |it: &Said| json!({ "what": it.what, "origin": it.origin.as_ref().map(written) });
    let pairs = |pairs: &[(String, String)]| {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().into()))
            .collect::<serde_json::Map<_, _>>()
    };
    let steps = told.steps.iter().map(|Step { kind, asks, says }| {
        json!({ "kind": kind, "asks": asks.iter().map(said).collect::<Vec<_>>(), "says": says })
    });
    let others = told
        .others
        .iter()
        .map(|(it, why)| json!({ "what": it.what, "origin": it.origin.as_ref().map(written), "why": why }));
    json!({
        "request": told.asked,
        "notes": told.notes,
        "listener": told.listener,
        "host": told.place.as_ref().map(said),
        "api": told.api.as_ref().map(said),
        "stage": told.stage.as_ref().map(said),
        "deployment": told.deployment,
        "canary": told.is_canary,
        "stageVariables": pairs(&told.variables),
        "target": told.target,
        "route": told.route.as_ref().map(said),
        "pathParameters": pairs(&told.params),
        "policies": steps.collect::<Vec<_>>(),
        "integration": told.integration.as_ref().map(|it| json!({
            "type": it.kind, "origin": it.origin.as_ref().map(written), "timeoutInMillis": it.timeout_ms,
        })),
        "bodies": told.bodies.iter().map(|(it, origin)| preview(it, origin.as_ref())).collect::<Vec<_>>(),
        "forwarded": told.sent.as_ref().map(|it| json!({
            "upstream": it.upstream, "backends": it.backends, "http2": it.http2, "head": it.head, "body": it.body,
            "connectTimeoutInMillis": it.connect_timeout_ms, "firstByteTimeoutInMillis": it.first_byte_timeout_ms,
        })),
        "answer": told.answer.as_ref().map(|it| json!({
            "status": it.status,
            "reason": it.reason.map(|(name, _)| name),
            "responseType": it.reason.map(|(_, kind)| kind),
            "headers": it.headers.iter().map(|(name, value)| json!([name, value])).collect::<Vec<_>>(),
            "body": it.body,
        })),
        "notTakenBy": others.collect::<Vec<_>>(),
        "notTakenByMore": told.others_left,
    })
}

fn preview(Preview { whose, fate: of_body }: &Preview, origin: Option<&Origin>) -> Value {
    let (of, place, pattern, status) = match whose {
        Whose::Request => ("request", None, None, None),
        Whose::Response { place, pattern, status } => ("response", *place, pattern.as_ref(), Some(status)),
    };
    let (what, _) = fate(of_body);
    let (content_type, rendered, at) = match of_body {
        Fate::Passes(_) | Fate::Refused(_) => (None, None, None),
        Fate::Rendered { content_type, text } => (Some(content_type), Some(text), None),
        Fate::Failed { content_type, line, column, .. } => (Some(content_type), None, Some([line, column])),
    };
    json!({
        "of": of, "response": place, "selectionPattern": pattern, "status": status, "what": what,
        "template": content_type, "rendered": rendered, "failedAt": at, "origin": origin.map(written),
    })
}

//! Scenarios that an operator can read: a route, and what is said back and forth. One TOML file holds several.
//!
//! ```toml
//! about = "A burst beyond the limit is told when to come back."
//! route = { match = "GET /orders", mock = { status = 200 }, throttle = { rate = "1/s", burst = 1 } }
//! talk  = ["> GET /orders", "< 200", "> GET /orders", "< 429", "< retry-after: 1"]
//! ```
//!
//! A line of the talk begins with who speaks: `>` the client, `<` the gateway, `^` what the backend saw. After it stands
//! a first line, a field (`name: value`, `name: *` for any value, `-name` for none), or, behind a bar, the body:
//! `>| text`, `<| text`; two JSON texts are compared as JSON. `^ nothing`: the backend was not asked. `{origin}` in the
//! route or the configuration is the URL of a backend that answers as `origin = { status, headers, body }` says.
//!
//! A scenario runs over whatever protocol the test runs over; `http1 = "why"` is one of HTTP/1.1's own.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::{
    gateway::Gateway,
    origin::{Act, Origin, Recorded},
    protocol::{Over, Protocol, over},
    response::Response,
};

/// One scenario of a file.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it shows.
    pub about: String,
    /// Why it is said over HTTP/1.1 alone.
    pub http1: Option<String>,
    config: String,
    origin: Table,
    turns: Vec<Turn>,
}

/// A request, and what is expected of its answer.
#[derive(Clone, Debug, Default)]
struct Turn {
    request: Vec<String>,
    body: Option<String>,
    answer: Vec<Line>,
    seen: Vec<Line>,
}

/// What a line expects.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    First(String),
    Field(String, String),
    NoField(String),
    Body(String),
}

const KEYS: [&str; 7] = ["about", "http1", "route", "routes", "config", "origin", "talk"];

impl Scenario {
    /// Reads the scenarios of a file: one at its root, or several as `[[scenario]]`.
    pub fn read(text: &str) -> Result<Vec<Self>, String> {
        let file: Table = text.parse().map_err(|error| format!("{error}"))?;
        match file.get("scenario") {
            Some(several) => {
                let several = several.as_array().ok_or("`scenario` is not an array of tables")?;
                several.iter().map(|one| Self::of(one.as_table().ok_or("a scenario is a table")?)).collect()
            }
            None => Ok(vec![Self::of(&file)?]),
        }
    }

    fn of(table: &Table) -> Result<Self, String> {
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(format!("a scenario has no key `{key}`"));
        }
        let text = |key: &str| table.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let about = text("about");
        let http1 = table.get("http1").map(|why| why.as_str().map(str::to_owned).unwrap_or_default());
        if http1.as_deref() == Some("") {
            return Err(format!("{about}: `http1` says why"));
        }
        let routes = match (table.get("route"), table.get("routes")) {
            (Some(one), None) => vec![one.clone()],
            (None, Some(Value::Array(several))) => several.clone(),
            _ => Vec::new(),
        };
        let mut config = text("config");
        if !routes.is_empty() {
            let routes = Table::from_iter([("route".to_owned(), Value::Array(routes))]);
            config.push('\n');
            config.push_str(&toml::to_string(&routes).map_err(|error| format!("{about}: {error}"))?);
        }
        let origin = table.get("origin").and_then(Value::as_table).cloned().unwrap_or_default();
        let lines = table.get("talk").and_then(Value::as_array).ok_or_else(|| format!("{about}: no talk"))?;
        let turns =
            turns(lines.iter().filter_map(Value::as_str)).map_err(|problem| format!("{about}: {problem}"))?;
        if about.is_empty() || turns.is_empty() {
            return Err(format!("{about:?}: a scenario says what it is about and has a talk"));
        }
        Ok(Self { about, http1, config, origin, turns })
    }
}

/// Runs one scenario on a gateway and a backend of its own; one of HTTP/1.1's own is not run over anything else.
#[track_caller]
pub fn run_scenario(scenario: &Scenario) {
    if scenario.http1.is_some() && over() != Over::default() {
        return;
    }
    let headers = scenario.origin.get("headers").and_then(Value::as_table);
    if over().backends == Protocol::Http2 && headers.is_some_and(|fields| fields.contains_key("Connection")) {
        // A backend of HTTP/2 has no such field.
        return;
    }
    let origin = start_origin(&scenario.origin);
    let gateway = Gateway::start(&scenario.config.replace("{origin}", &origin.url()));
    let mut client = gateway.client();
    let mut asked_before = 0;
    for (number, turn) in scenario.turns.iter().enumerate() {
        let request = turn.request.join("\n").replace("{origin}", &origin.url());
        let body = turn.body.as_deref().unwrap_or_default();
        let response = client.ask_with_body(&request, body.as_bytes()).response();
        let place = format!("{}: turn {}, {request:?}", scenario.about, number + 1);
        for line in &turn.answer {
            check_answer(line, &response, &place);
        }
        let all = origin.requests();
        let seen = all.get(asked_before..).unwrap_or_default();
        for line in &turn.seen {
            check_seen(line, seen, &place);
        }
        asked_before = all.len();
        if client.is_told_to_go(&response) {
            client = gateway.client();
        }
    }
}

fn start_origin(script: &Table) -> Origin {
    let status =
        script.get("status").and_then(Value::as_integer).and_then(|status| u16::try_from(status).ok());
    let body = script.get("body").and_then(Value::as_str).unwrap_or("from the backend");
    let headers = script.get("headers").and_then(Value::as_table).cloned().unwrap_or_default();
    let fields: BTreeMap<&str, &str> =
        headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
    let answer = Act::answer(status.unwrap_or(200), &fields.into_iter().collect::<Vec<_>>(), body);
    Origin::start(move |_| vec![Act::ReadBody, answer.clone()])
}

fn turns<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<Turn>, String> {
    let mut turns: Vec<Turn> = Vec::new();
    let mut answering = true;
    for line in lines {
        let mut characters = line.chars();
        let who = characters.next().ok_or("an empty line")?;
        let said = characters.as_str();
        if who == '>' && answering && !said.starts_with('|') {
            turns.push(Turn::default());
        }
        answering = who != '>';
        let turn = turns.last_mut().ok_or("the client speaks first")?;
        match (who, said.strip_prefix('|')) {
            ('>', Some(body)) => turn.body = Some(body.trim_start().to_owned()),
            ('>', None) => turn.request.push(said.trim().to_owned()),
            ('<', Some(body)) => turn.answer.push(Line::Body(body.trim_start().to_owned())),
            ('<', None) => turn.answer.push(read_line(said.trim())),
            ('^', Some(body)) => turn.seen.push(Line::Body(body.trim_start().to_owned())),
            ('^', None) => turn.seen.push(read_line(said.trim())),
            _ => return Err(format!("nobody says {line:?}")),
        }
    }
    Ok(turns)
}

fn read_line(said: &str) -> Line {
    if let Some(name) = said.strip_prefix('-') {
        return Line::NoField(name.to_owned());
    }
    match said.split_once(": ") {
        Some((name, value)) if !name.contains([' ', '/']) => Line::Field(name.to_owned(), value.to_owned()),
        _ => Line::First(said.to_owned()),
    }
}

#[track_caller]
fn check_answer(line: &Line, response: &Response, place: &str) {
    match line {
        Line::First(status) => {
            assert_eq!(&response.status.to_string(), status, "{place}: {}", response.text());
        }
        Line::Field(name, value) => check_field(name, value, &response.all(name), place),
        Line::NoField(name) => assert_eq!(response.all(name), Vec::<&str>::new(), "{place}: {name}"),
        Line::Body(body) => check_body(body, &response.body, place),
    }
}

#[track_caller]
fn check_seen(line: &Line, seen: &[Recorded], place: &str) {
    if *line == Line::First("nothing".to_owned()) {
        assert!(seen.is_empty(), "{place}: the backend was asked: {seen:?}");
        return;
    }
    let [request] = seen else { panic!("{place}: the backend was asked {} times", seen.len()) };
    match line {
        Line::First(first) => {
            let line = request.line().rsplit_once(' ').map(|(line, _version)| line);
            assert_eq!(line, Some(first.as_str()), "{place}");
        }
        Line::Field(name, value) => check_field(name, value, &request.all(name), place),
        Line::NoField(name) => assert_eq!(request.all(name), Vec::<&str>::new(), "{place}: {name}"),
        Line::Body(body) => check_body(body, &request.body, place),
    }
}

#[track_caller]
fn check_field(name: &str, expected: &str, values: &[&str], place: &str) {
    match expected {
        "*" => assert!(!values.is_empty(), "{place}: no {name}"),
        value => assert_eq!(values, [value], "{place}: {name}"),
    }
}

#[track_caller]
fn check_body(expected: &str, body: &[u8], place: &str) {
    let json = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).ok();
    if let (Some(expected), Some(body)) = (json(expected.as_bytes()), json(body)) {
        assert_eq!(body, expected, "{place}");
    } else {
        assert_eq!(String::from_utf8_lossy(body), expected, "{place}");
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Scenario};

    const TEXT: &str = r#"
        about = "One."
        route = { match = "GET /orders", mock = { status = 200 }, throttle = { rate = "1/s" } }
        talk = ["> GET /orders", "> x-a: 1", "< 200", "< -via", "> POST /orders", ">| body", "< 429", "<| {}", "^ nothing"]
    "#;

    #[test]
    fn a_talk_is_cut_into_turns() {
        let [scenario] = &Scenario::read(TEXT).unwrap()[..] else { panic!() };
        assert!(scenario.config.contains("[[route]]") && scenario.config.contains("[route.throttle]"));
        let [first, second] = &scenario.turns[..] else { panic!("{:?}", scenario.turns) };
        assert_eq!(first.request, ["GET /orders", "x-a: 1"]);
        assert_eq!(first.answer, [Line::First("200".into()), Line::NoField("via".into())]);
        assert_eq!(second.body.as_deref(), Some("body"));
        assert_eq!(second.seen, [Line::First("nothing".into())]);
    }

    #[test]
    fn mistakes_are_said() {
        assert!(Scenario::read("about = \"x\"\ntalk = [\"< 200\"]").unwrap_err().contains("speaks first"));
        assert!(Scenario::read("about = \"x\"\ntalks = []").unwrap_err().contains("no key `talks`"));
        assert!(Scenario::read("talk = [\"> GET /\"]").unwrap_err().contains("says what it is about"));
        let mute = "about = \"x\"\nhttp1 = \"\"\ntalk = [\"> GET /\"]";
        assert!(Scenario::read(mute).unwrap_err().contains("says why"));
        assert!(Scenario::read("about = \"x\"\ntalk = [\"? GET /\"]").is_err());
    }
}

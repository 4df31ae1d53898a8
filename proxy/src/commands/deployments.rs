//! `deploy`, `diff`, `history`, `rollback`, `deployments`, `canary`: what is asked of a running node, and how its answers are shown.

use anyhow::{Context, Result};
use serde_json::Value;

use super::answered;
use crate::{
    cli::{Canary, CanaryOf, Deployments, OfStage, OfStages, Socket},
    deployments::{OfCanary, Wish},
    say,
};

/// `floodgate deploy`.
pub(super) fn deploy(
    OfStages { api, stage }: OfStages,
    description: Option<String>,
    canary: Option<f64>,
    socket: &Socket,
) -> Result<()> {
    done(socket, &Wish::Deploy { api, stage, description, canary })
}

/// `floodgate rollback`.
pub(super) fn rollback(OfStage { api, stage }: OfStage, id: Option<String>, socket: &Socket) -> Result<()> {
    done(socket, &Wish::Rollback { api, stage, id })
}

/// `floodgate deployments`.
pub(super) fn kept(what: Deployments) -> Result<()> {
    match what {
        Deployments::List { api, socket } => {
            say::out(listed(&asked(&socket, &Wish::History { api, stage: None })?).trim_end());
            Ok(())
        }
        Deployments::Show { api, id, json, socket } => {
            let answer = asked(&socket, &Wish::Show { api, id })?;
            say::out(&if json { serde_json::to_string_pretty(&answer)? } else { shown(&answer) });
            Ok(())
        }
        Deployments::Delete { api, id, socket } => done(&socket, &Wish::Delete { api, id }),
        Deployments::Prune { api, keep, socket } => done(&socket, &Wish::Prune { api, keep }),
    }
}

/// `floodgate canary`.
pub(super) fn canary(what: Canary) -> Result<()> {
    let (CanaryOf { of: OfStage { api, stage }, socket }, what) = match what {
        Canary::Status(of) => (of, OfCanary::Status),
        Canary::Shift { percent, of } => (of, OfCanary::Shift(percent)),
        Canary::Promote(of) => (of, OfCanary::Promote),
        Canary::Rollback(of) => (of, OfCanary::Rollback),
    };
    let wish = Wish::Canary { api, stage, what };
    if what == OfCanary::Status {
        say::out(&status(&asked(&socket, &wish)?));
        return Ok(());
    }
    done(&socket, &wish)
}

/// `floodgate diff`. Whether anything is different.
pub(super) fn diff(
    OfStages { api, stage }: OfStages,
    from: Option<String>,
    to: Option<String>,
    socket: &Socket,
) -> Result<bool> {
    let answer = asked(socket, &Wish::Diff { api, stage, from, to })?;
    let compared = list(&answer["compared"]);
    let text: Vec<_> = compared.iter().map(differences).filter(|text| !text.is_empty()).collect();
    if !text.is_empty() {
        say::out(&text.join("\n"));
    }
    Ok(!text.is_empty())
}

/// `floodgate history`.
pub(super) fn history(OfStages { api, stage }: OfStages, json: bool, socket: &Socket) -> Result<()> {
    let answer = asked(socket, &Wish::History { api, stage })?;
    if json {
        say::out(&serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    let mut stages = vec![["API", "STAGE", "DEPLOYMENT", "SINCE", "CANARY"].map(str::to_owned).to_vec()];
    for stage in list(&answer["stages"]) {
        let canary = &stage["canary"];
        let of_canary = match (&canary["deployment"], canary["percent"].as_f64()) {
            (_, None) => "-".to_owned(),
            (Value::String(id), Some(percent)) => format!("{id} at {percent} %"),
            (_, Some(percent)) => format!("at {percent} %"),
        };
        let name = |key: &str| text(&stage[key]);
        stages.push(vec![name("api"), name("stage"), name("deployment"), time(&stage["since"]), of_canary]);
    }
    let mut events =
        vec![["WHEN", "WHAT", "API", "STAGE", "TO", "FROM", "BY", "NOTE"].map(str::to_owned).to_vec()];
    // What was done last is what one wants to know first.
    for event in list(&answer["history"]).iter().rev() {
        let name = |key: &str| text(&event[key]);
        let mut row = vec![time(&event["at"])];
        row.extend(["what", "api", "stage", "to", "from", "by", "note"].map(name));
        events.push(row);
    }
    say::out(&format!("{}\n{}", table(&stages), table(&events).trim_end()));
    Ok(())
}

fn done(socket: &Socket, wish: &Wish) -> Result<()> {
    let answer = asked(socket, wish)?;
    for event in list(&answer["done"]) {
        // What is gone is told by its name; what belongs to no stage has none.
        let to = if event["to"] == "" { "from" } else { "to" };
        let words = ["what", "api", "stage", to, "note"].map(|key| text(&event[key]));
        let words: Vec<_> = words.into_iter().filter(|word| word != "-").collect();
        say::out(&words.join(" "));
    }
    if let Some(notes) = answer["notes"].as_str().filter(|notes| !notes.is_empty()) {
        say::note(notes);
    }
    Ok(())
}

fn asked(socket: &Socket, wish: &Wish) -> Result<Value> {
    let answer = answered(socket, "POST", "/deployments", &wish.encode(&user()))?;
    serde_json::from_str(&answer).context("the node's answer is no JSON: is it of another version?")
}

/// Who asks: whoever may use the admin socket may be believed.
fn user() -> String {
    let named = ["SUDO_USER", "USER"].into_iter().find_map(|name| std::env::var(name).ok());
    let named = named.filter(|name| !name.is_empty());
    named.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}

/// One comparison, as it is read: a head and a line for each thing that is different; nothing where nothing is.
fn differences(compared: &Value) -> String {
    let found = list(&compared["differences"]);
    if found.is_empty() {
        return String::new();
    }
    let or = |key: &str, other: &str| compared[key].as_str().unwrap_or(other).to_owned();
    let stage =
        compared["stage"].as_str().filter(|stage| !stage.is_empty()).map(|stage| format!(" stage {stage}"));
    let mut text = format!(
        "{}{}: from {} to {}\n",
        or("api", ""),
        stage.unwrap_or_default(),
        or("from", "nothing"),
        or("to", "the configuration")
    );
    for difference in &found {
        let sign = match difference["how"].as_str() {
            Some("added") => '+',
            Some("removed") => '-',
            _ => '~',
        };
        text.push_str(&format!("  {sign} {}\n", self::text(&difference["what"])));
        for part in list(&difference["parts"]) {
            let name = |key: &str| self::text(&part[key]);
            text.push_str(&format!("      {}: {} -> {}\n", name("part"), name("from"), name("to")));
        }
    }
    text.truncate(text.trim_end().len());
    text
}

/// What is known of a canary, beside the stage that it may become.
fn status(answer: &Value) -> String {
    let stage = &answer["stage"];
    let canary = &stage["canary"];
    let name = |value: &Value| text(value);
    let Some(percent) = canary["percent"].as_f64() else {
        return format!(
            "{} {} runs {} and has no canary",
            name(&stage["api"]),
            name(&stage["stage"]),
            name(&stage["deployment"])
        );
    };
    let number = |value: &Value, unit: &str| {
        value.as_f64().map_or_else(|| "-".to_owned(), |number| format!("{number}{unit}"))
    };
    let mut rows =
        vec![["", "DEPLOYMENT", "PERCENT", "SINCE", "REQUESTS", "ERRORS", "P99"].map(str::to_owned).to_vec()];
    for (what, of, share, seen) in [
        ("stage", stage, 100.0 - percent, &answer["seen"]["stage"]),
        ("canary", canary, percent, &answer["seen"]["canary"]),
    ] {
        rows.push(vec![
            what.to_owned(),
            name(&of["deployment"]),
            format!("{share}"),
            time(&of["since"]),
            number(&seen["requests"], ""),
            number(&seen["errors"], ""),
            number(&seen["p99_ms"], " ms"),
        ]);
    }
    table(&rows).trim_end().to_owned()
}

/// A deployment: its head, and its methods with what each asks of who calls it.
fn shown(answer: &Value) -> String {
    let runs = runs(&list(&answer["stages"]), &answer["api"], &answer["id"]);
    let head = [
        ["API", "DEPLOYMENT", "MADE", "RUN BY", ""].map(str::to_owned).to_vec(),
        vec![
            text(&answer["api"]),
            text(&answer["id"]),
            time(&answer["created"]),
            runs,
            answer["description"].as_str().unwrap_or_default().to_owned(),
        ],
    ];
    let mut rows = vec![["METHOD", "PATH", "AUTHORIZATION", "API KEY"].map(str::to_owned).to_vec()];
    for (path, methods) in answer["apiSummary"].as_object().into_iter().flatten() {
        for (method, asks) in methods.as_object().into_iter().flatten() {
            let key = if asks["apiKeyRequired"] == true { "required" } else { "-" };
            rows.push(vec![method.clone(), path.clone(), text(&asks["authorizationType"]), key.to_owned()]);
        }
    }
    format!("{}\n{}", table(&head), table(&rows).trim_end())
}

/// Which stages run a deployment, or have it as their canary.
fn runs(stages: &[Value], api: &Value, id: &Value) -> String {
    let own = stages.iter().filter(|stage| stage["api"] == *api);
    let runs = own.filter_map(|stage| {
        let name = text(&stage["stage"]);
        let is_canary = stage["canary"]["deployment"] == *id;
        (stage["deployment"] == *id).then(|| name.clone()).or(is_canary.then(|| format!("{name}/Canary")))
    });
    let runs: Vec<_> = runs.collect();
    if runs.is_empty() { "-".to_owned() } else { runs.join(", ") }
}

/// Deployments, the newest of each API first, and which stages run them.
fn listed(answer: &Value) -> String {
    let stages = list(&answer["stages"]);
    let mut deployments = list(&answer["deployments"]);
    deployments.sort_by_key(|it| (text(&it["api"]), std::cmp::Reverse(it["number"].as_u64())));
    let mut rows = vec![["API", "DEPLOYMENT", "MADE", "RUN BY", ""].map(str::to_owned).to_vec()];
    for it in &deployments {
        let description = it["description"].as_str().unwrap_or_default().to_owned();
        let runs = runs(&stages, &it["api"], &it["id"]);
        rows.push(vec![text(&it["api"]), text(&it["id"]), time(&it["created"]), runs, description]);
    }
    table(&rows)
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// A text; `-` where there is none.
fn text(value: &Value) -> String {
    value.as_str().filter(|text| !text.is_empty()).unwrap_or("-").to_owned()
}

/// Seconds since 1970 as people read them: RFC 3339, UTC.
fn time(value: &Value) -> String {
    let Some(unix_s) = value.as_u64() else { return "-".to_owned() };
    let (days, second) = (unix_s / 86_400, unix_s % 86_400);
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3_600, second / 60 % 60, second % 60)
}

/// Year, month and day of a count of days since 1970, by the Gregorian calendar: years are taken to begin in March, so that the day
/// that is put in is their last.
fn civil(days: u64) -> (u64, u64, u64) {
    // From 1 March of the year 0.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = (if month < 10 { month + 3 } else { month - 9 }, day - (153 * month + 2) / 5 + 1);
    (era * 400 + year + u64::from(date.0 <= 2), date.0, date.1)
}

/// Rows in columns, two blanks between them.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell: &String| cell.chars().count()).max()
    };
    let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check_time(unix_s: u64, expected: &str) {
        assert_eq!(time(&json!(unix_s)), expected);
    }

    #[test]
    fn times_are_read_as_dates() {
        check_time(0, "1970-01-01T00:00:00Z");
        check_time(951_782_399, "2000-02-28T23:59:59Z");
        check_time(951_782_400, "2000-02-29T00:00:00Z");
        check_time(951_868_800, "2000-03-01T00:00:00Z");
        check_time(1_795_255_872, "2026-11-21T10:11:12Z");
        check_time(4_107_542_400, "2100-03-01T00:00:00Z");
        assert_eq!(time(&Value::Null), "-");
    }

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let rows = [["a", "bb"], ["ccc", ""]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "a    bb\nccc\n");
    }

    #[test]
    fn deployments_are_listed_with_who_runs_them() {
        let of = |api: &str, id: &str, number: u64| json!({ "api": api, "id": id, "number": number, "created": 0 });
        let answer = json!({
            "deployments": [of("b", "bbbbbb", 1), of("a", "aaaaa1", 1), of("a", "aaaaa2", 2)],
            "stages": [
                { "api": "a", "stage": "prod", "deployment": "aaaaa1", "canary": { "deployment": "aaaaa2" } },
                { "api": "a", "stage": "test", "deployment": "aaaaa1", "canary": null },
            ],
        });
        let rows: Vec<_> = listed(&answer)
            .lines()
            .skip(1)
            .map(|it| it.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        let made = "1970-01-01T00:00:00Z";
        let expected = [
            format!("a aaaaa2 {made} prod/Canary"),
            format!("a aaaaa1 {made} prod, test"),
            format!("b bbbbbb {made} -"),
        ];
        assert_eq!(rows, expected);
    }

    /// Row 26.
    #[test]
    fn a_deployment_is_shown_with_what_it_asks() {
        let of = |kind: &str, key: bool| json!({ "authorizationType": kind, "apiKeyRequired": key });
        let answer = json!({
            "api": "a", "id": "aaaaa1", "created": 0, "description": "the first",
            "stages": [{ "api": "a", "stage": "prod", "deployment": "aaaaa1", "canary": null }],
            "apiSummary": { "/": { "GET": of("NONE", true) }, "/{x+}": { "ANY": of("AWS_IAM", false) } },
        });
        let expected = "API  DEPLOYMENT  MADE                  RUN BY\n\
                        a    aaaaa1      1970-01-01T00:00:00Z  prod    the first\n\n\
                        METHOD  PATH   AUTHORIZATION  API KEY\n\
                        GET     /      NONE           required\n\
                        ANY     /{x+}  AWS_IAM        -";
        assert_eq!(shown(&answer), expected);
    }

    #[test]
    fn differences_are_shown_by_name() {
        let compared = json!({
            "api": "shop", "stage": "prod", "from": "abc123", "to": null,
            "differences": [
                { "what": "route GET /a", "how": "added" },
                { "what": "route GET /b", "how": "changed", "parts": [{ "part": "cache", "from": "(not set)", "to": "x" }] },
            ],
        });
        let expected = "shop stage prod: from abc123 to the configuration\n  + route GET /a\n  ~ route GET /b\n      cache: (not set) -> x";
        assert_eq!(differences(&compared), expected);
        assert_eq!(differences(&json!({ "differences": [] })), "");
    }
}

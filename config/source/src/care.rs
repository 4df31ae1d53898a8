//! `[upstream.NAME.health]`, `.outlier`, `.breaker`, `.retries`: how backends that fail are found, left out and come back.

use std::time::Duration;

use model::{Breaker, Health, Outlier, Retries, Statuses};

use crate::{
    Form, Key, Section,
    context::{Mistake, quote},
    reader::{Table, Value},
};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_hours(1);
const PATH_BYTES_MAX: usize = 2_048;

pub(crate) static HEALTH: Section = Section {
    name: "upstream.health",
    doc: "A GET that each address is asked now and then; one that does not answer it is left out.",
    keys: &[
        Key::new("path", Form::Text(r#""/healthz""#), "Path and query asked for.").required(),
        Key::new(
            "interval",
            Form::Duration(Duration::from_millis(100), HOUR),
            "From one probe of an address to the next, a tenth more or less.",
        )
        .or(r#""5s""#),
        Key::new("timeout", Form::Duration(MS, HOUR), "For the whole probe, connection included.")
            .or(r#""2s""#),
        Key::new("healthy", Form::Count(1, 100), "Probes in a row that must pass until it is asked again.")
            .or("2"),
        Key::new("unhealthy", Form::Count(1, 100), "Probes in a row that must fail until it is left out.")
            .or("3"),
        Key::new("status", Form::Text(r#""200,204""#), "Statuses that pass, codes and ranges.")
            .or(r#""200-399""#),
    ],
};

pub(crate) static OUTLIER: Section = Section {
    name: "upstream.outlier",
    doc: "An address that fails several calls in a row is left out for a while; never the last one.",
    keys: &[
        Key::new("consecutive", Form::Count(0, 1_000), "Faults in a row, on each core; 0: none is left out.")
            .or("5"),
        Key::new(
            "status",
            Form::Text(r#""500-599""#),
            "Statuses that are faults, beside connections that fail and answers that are late or malformed.",
        )
        .or(r#""502-504""#),
        Key::new(
            "ejection",
            Form::Duration(MS, HOUR),
            "For how long at first; twice as long each time it comes back and fails.",
        )
        .or(r#""30s""#),
        Key::new("ejection_max", Form::Duration(MS, HOUR), "And at most.").or(r#""5m""#),
        Key::new(
            "ejected_max",
            Form::Count(0, 100),
            "Addresses left out at once, in percent; one of several always may be.",
        )
        .or("50"),
    ],
};

pub(crate) static BREAKER: Section = Section {
    name: "upstream.breaker",
    doc: "When too many calls fail, none is made for a while, and clients get 503 at once. Each core for itself.",
    keys: &[
        Key::new(
            "failures",
            Form::Count(1, 100),
            "Calls of the last ten seconds that failed, in percent; what a fault is, `outlier` says.",
        )
        .or("50"),
        Key::new(
            "calls_min",
            Form::Count(1, 1_000_000),
            "With fewer calls in that time nothing is concluded.",
        )
        .or("20"),
        Key::new("open", Form::Duration(MS, HOUR), "How long no call is made.").or(r#""5s""#),
        Key::new(
            "trials",
            Form::Count(1, 1_000),
            "Calls made then, which must all pass before there are more.",
        )
        .or("3"),
    ],
};

pub(crate) static RETRIES: Section = Section {
    name: "upstream.retries",
    doc: "What is asked of another address: what does no harm twice and has got no byte of an answer.",
    keys: &[
        Key::new("max", Form::Count(0, 10), "Addresses asked after the first.").or("2"),
        Key::new(
            "budget",
            Form::Count(0, 100),
            "Calls of the last ten seconds that may be repeated, in percent; each core for itself. \
             Connections that could not be made don't count, nor kept ones that were closed.",
        )
        .or("20"),
        Key::new("budget_min", Form::Count(0, 1_000), "Repeated in ten seconds however few calls there are.")
            .or("3"),
        Key::new(
            "status",
            Form::Text(r#""502-504""#),
            "Statuses for which another address is asked. Left out: none, the answer is the client's.",
        ),
    ],
};

pub(crate) fn health(table: &Table<'_>) -> Health {
    let default = Health::default();
    let health = Health {
        path: table.or("path", |value| value.parse(path), default.path),
        interval: table.or("interval", Value::duration, default.interval),
        timeout: table.or("timeout", Value::duration, default.timeout),
        healthy: table.or("healthy", Value::count, default.healthy),
        unhealthy: table.or("unhealthy", Value::count, default.unhealthy),
        status: table.or("status", |value| value.parse(statuses), default.status),
    };
    if let Some(value) =
        table.get("timeout").or(table.get("interval")).filter(|_| health.timeout > health.interval)
    {
        let mistake = Mistake::new("a probe may take longer than from one to the next");
        value.mistake(mistake.help("make `timeout` at most `interval`"));
    }
    health
}

pub(crate) fn outlier(table: &Table<'_>) -> Outlier {
    let default = Outlier::default();
    let outlier = Outlier {
        consecutive: table.or("consecutive", Value::count, default.consecutive),
        status: table.or("status", |value| value.parse(statuses), default.status),
        ejection: table.or("ejection", Value::duration, default.ejection),
        ejection_max: table.or("ejection_max", Value::duration, default.ejection_max),
        ejected_max: table.or("ejected_max", Value::count, default.ejected_max),
    };
    if let Some(value) = table
        .get("ejection_max")
        .or(table.get("ejection"))
        .filter(|_| outlier.ejection > outlier.ejection_max)
    {
        let mistake = Mistake::new("an address is left out longer at first than at most");
        value.mistake(mistake.help("make `ejection` at most `ejection_max`"));
    }
    outlier
}

pub(crate) fn breaker(table: &Table<'_>) -> Breaker {
    let default = Breaker::default();
    Breaker {
        failures: table.or("failures", Value::count, default.failures),
        calls_min: table.or("calls_min", Value::count, default.calls_min),
        open: table.or("open", Value::duration, default.open),
        trials: table.or("trials", Value::count, default.trials),
    }
}

pub(crate) fn retries(table: &Table<'_>) -> Retries {
    let default = Retries::default();
    Retries {
        max: table.or("max", Value::count, default.max),
        budget: table.or("budget", Value::count, default.budget),
        budget_min: table.or("budget_min", Value::count, default.budget_min),
        status: table.or("status", |value| value.parse(statuses), default.status),
    }
}

/// What may be asked for in a request line: it is sent as it stands.
fn path(text: &str) -> Result<String, Mistake> {
    let wrong = |why: &str| Mistake::new(format!("{} {why}", quote(text)));
    if !text.starts_with('/') {
        return Err(wrong("is no path").help(format!("write `/{}`", text.trim_start_matches('/'))));
    }
    if let Some(wrong_char) = text.chars().find(|char| !char.is_ascii_graphic() || *char == '#') {
        let escaped: String = wrong_char.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
        return Err(wrong("can't be sent in a request").help(format!("write `{escaped}` for that character")));
    }
    if text.len() > PATH_BYTES_MAX {
        return Err(Mistake::new(format!("a path of a probe has at most {PATH_BYTES_MAX} bytes")));
    }
    Ok(text.to_owned())
}

/// `200`, `200-399`, `200,204,300-399`.
fn statuses(text: &str) -> Result<Statuses, Mistake> {
    let wrong = |part: &str| {
        let mistake = Mistake::new(format!("{} is no status and no range of them", quote(part)));
        mistake.help("write codes from 100 to 599: `200`, `200-399` or `200,204`")
    };
    let code = |part: &str| {
        let code = (part.len() == 3).then(|| part.parse::<u16>().ok()).flatten();
        code.filter(|code| (100..=599).contains(code))
    };
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (code(first.trim()), code(last.trim())) {
            (Some(first), Some(last)) if first <= last => Ok(first..=last),
            _ => Err(wrong(part)),
        }
    };
    text.split(',').map(|part| range(part.trim())).collect()
}

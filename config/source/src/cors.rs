//! `cors`: who may call from a browser (row 137).

use model::Cors;

use crate::{
    Form, Key, Section,
    context::{Mistake, quote},
    names,
    reader::{Table, Value},
    units,
};

/// Row 137, in seconds.
const MAX_AGE_S_MAX: u64 = 86_400;

pub(crate) static CORS: Section = Section {
    name: "cors",
    doc: "Answers preflights by itself, and sets CORS headers on answers.",
    keys: &[
        Key::new(
            "allow_origins",
            Form::Texts(r#"["https://app.example.com"]"#),
            "Origins: exact, `*`, `https://*`, `http://*`.",
        )
        .required(),
        Key::new("allow_methods", Form::Texts(r#"["GET", "POST"]"#), "Methods that scripts may use, or `*`.")
            .or("[]"),
        Key::new(
            "allow_headers",
            Form::Texts(r#"["content-type"]"#),
            "Request headers that scripts may set, or `*`.",
        )
        .or("[]"),
        Key::new(
            "expose_headers",
            Form::Texts(r#"["x-request-id"]"#),
            "Response headers that scripts may read, or `*`.",
        )
        .or("[]"),
        Key::new(
            "max_age",
            Form::Text(r#""1h""#),
            "How long a browser may keep a preflight, up to `24h`; `-1s`: not at all. Left out: not said.",
        ),
        Key::new(
            "allow_credentials",
            Form::Boolean,
            "Cookies and the like; not together with `*` as origin.",
        )
        .or("false"),
    ],
};

/// Everybody may call: `cors = "*"`.
const EVERYBODY: &str = "*";

/// What a key holds that stands for the table.
pub(crate) const FORM: Form = Form::WordOrTable(&[EVERYBODY], &CORS);

/// What every script may do.
pub(crate) fn everybody() -> Cors {
    let all = || vec![EVERYBODY.to_owned()];
    Cors { allow_origins: all(), allow_methods: all(), allow_headers: all(), ..Cors::default() }
}

/// The table, or the word in its place.
pub(crate) fn read_value(value: &Value<'_>) -> Option<Cors> {
    if value.is_table() {
        return value.table().map(|table| read(&table));
    }
    value.choice().map(|_| Cors { origin: Some(value.origin()), ..everybody() })
}

/// The table.
pub(crate) fn read(table: &Table<'_>) -> Cors {
    let list = |key: &str, read: fn(&str) -> Result<String, Mistake>| {
        table.or(
            key,
            |value| value.list(|text| if text == "*" { Ok("*".into()) } else { read(text) }),
            Vec::new(),
        )
    };
    let cors = Cors {
        allow_origins: list("allow_origins", names::origin),
        allow_methods: list("allow_methods", |text| names::method(text, false)),
        allow_headers: list("allow_headers", names::header),
        expose_headers: list("expose_headers", names::header),
        max_age_s: table.opt("max_age", |value| value.parse(max_age)),
        allow_credentials: table.or("allow_credentials", Value::boolean, false),
        origin: Some(table.origin()),
    };
    if let Some(value) = table.get("allow_credentials").filter(|_| cors.allow_credentials)
        && cors.allow_origins.iter().any(|origin| origin == "*")
    {
        let mistake = Mistake::new("credentials may not be allowed to every origin");
        value.mistake(mistake.help("name the origins instead of `*`, or leave out `allow_credentials`"));
    }
    cors
}

fn max_age(text: &str) -> Result<i32, Mistake> {
    if text == "-1s" {
        return Ok(-1);
    }
    let age = units::duration(text)?;
    let whole = age.subsec_nanos() == 0 && age.as_secs() <= MAX_AGE_S_MAX;
    let seconds = i32::try_from(age.as_secs()).ok().filter(|_| whole);
    seconds.ok_or_else(|| {
        let mistake = Mistake::new(format!("{} is out of range", quote(text)));
        mistake.help("write whole seconds from `0s` to `24h`, or `-1s` for not at all")
    })
}

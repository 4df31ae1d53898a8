//! What is written down of deployments: heads, pointers and what was done, as JSON. Unknown fields are left alone, so that a
//! node can go back one version.

use serde_json::{Value, json};

/// What is known of a deployment beside what it froze.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Which one of its API's, from 1: later ones have higher numbers.
    pub(crate) number: u64,
    pub(crate) created_unix_s: u64,
    pub(crate) description: Option<String>,
    /// Whether it was made because the configuration had changed (row 28).
    pub(crate) auto_deployed: bool,
    /// Length of what it froze.
    pub(crate) bytes: u64,
}

/// What a stage runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pointer {
    pub(crate) deployment: String,
    /// What tells its cached answers from others'.
    pub(crate) cache_id: String,
    pub(crate) since_unix_s: u64,
    /// The deployment that holds what the configuration said when it was last looked at: as long as it says the same, nothing is
    /// deployed by itself, whatever the stage was pointed to since.
    pub(crate) seen: String,
    /// What it ran before, oldest first.
    pub(crate) past: Vec<String>,
    pub(crate) canary: Option<CanaryPointer>,
    /// Variables of a canary that was promoted: they are the stage's for as long as the configuration says them of the canary.
    pub(crate) promoted: Vec<(String, String)>,
}

/// What a stage's canary runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CanaryPointer {
    /// `None`: what the stage runs.
    pub(crate) deployment: Option<String>,
    pub(crate) percent: f64,
    pub(crate) since_unix_s: u64,
    /// What the configuration said of the percentage when it was last looked at; `None`: nothing, the canary was made by a command.
    pub(crate) configured: Option<f64>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) at_unix_s: u64,
    /// A user's name, `configuration` or `judge`.
    pub(crate) by: String,
    pub(crate) api: String,
    /// Empty: of none.
    pub(crate) stage: String,
    /// `deploy`, `auto-deploy`, `rollback`, `canary deploy`, `canary shift`, …
    pub(crate) what: &'static str,
    /// What is run now; empty: nothing.
    pub(crate) to: String,
    /// What was run before, or is gone; empty: nothing.
    pub(crate) from: String,
    /// Why, or how much.
    pub(crate) note: String,
}

/// What is done, by name: an event that is read is one of these.
const DEEDS: [&str; 11] = [
    "deploy",
    "auto-deploy",
    "rollback",
    "canary deploy",
    "canary auto-deploy",
    "canary shift",
    "canary promote",
    "canary rollback",
    "canary begin",
    "canary end",
    "delete",
];

impl Head {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Self { number, created_unix_s, description, auto_deployed, bytes } = self;
        let value = json!({
            "number": number, "created": created_unix_s, "description": description, "auto": auto_deployed,
            "bytes": bytes,
        });
        value.to_string().into_bytes()
    }

    /// As whoever asks is told of it.
    pub(crate) fn shown(&self, api: &str, id: &str) -> Value {
        let Self { number, created_unix_s, description, auto_deployed, bytes: _ } = self;
        json!({
            "api": api, "id": id, "number": number, "created": created_unix_s, "description": description,
            "auto": auto_deployed,
        })
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        Some(Self {
            number: value["number"].as_u64()?,
            created_unix_s: value["created"].as_u64()?,
            description: value["description"].as_str().map(str::to_owned),
            auto_deployed: value["auto"].as_bool()?,
            bytes: value["bytes"].as_u64()?,
        })
    }
}

impl Pointer {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Self { deployment, cache_id, since_unix_s, seen, past, canary, promoted } = self;
        let canary = canary.as_ref().map(|canary| {
            let CanaryPointer { deployment, percent, since_unix_s, configured } = canary;
            json!({ "deployment": deployment, "percent": percent, "since": since_unix_s, "configured": configured })
        });
        let value = json!({
            "deployment": deployment, "cache": cache_id, "since": since_unix_s, "seen": seen, "past": past,
            "canary": canary, "promoted": promoted,
        });
        value.to_string().into_bytes()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let canary = match &value["canary"] {
            Value::Null => None,
            canary => Some(CanaryPointer {
                deployment: text(&canary["deployment"]),
                percent: canary["percent"].as_f64()?,
                since_unix_s: canary["since"].as_u64()?,
                configured: canary["configured"].as_f64(),
            }),
        };
        let promoted = value["promoted"].as_array()?.iter();
        Some(Self {
            deployment: text(&value["deployment"])?,
            cache_id: text(&value["cache"])?,
            since_unix_s: value["since"].as_u64()?,
            seen: text(&value["seen"])?,
            past: value["past"].as_array()?.iter().map(text).collect::<Option<_>>()?,
            canary,
            promoted: promoted.map(|pair| Some((text(&pair[0])?, text(&pair[1])?))).collect::<Option<_>>()?,
        })
    }

    /// All deployments that it needs.
    pub(crate) fn uses(&self) -> impl Iterator<Item = &str> {
        let canary = self.canary.as_ref().and_then(|canary| canary.deployment.as_deref());
        [&*self.deployment, &*self.seen].into_iter().chain(canary)
    }
}

impl Event {
    pub(crate) fn encode(&self) -> Vec<u8> {
        self.value().to_string().into_bytes()
    }

    /// As it is shown to programs.
    pub(crate) fn value(&self) -> Value {
        let Self { at_unix_s, by, api, stage, what, to, from, note } = self;
        json!({
            "at": at_unix_s, "by": by, "api": api, "stage": stage, "what": what, "to": to, "from": from, "note": note,
        })
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        let what = text("what")?;
        Some(Self {
            at_unix_s: value["at"].as_u64()?,
            by: text("by")?,
            api: text("api")?,
            stage: text("stage")?,
            what: DEEDS.into_iter().find(|deed| *deed == what)?,
            to: text("to")?,
            from: text("from")?,
            note: text("note")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let head = Head {
            number: 3,
            created_unix_s: 1_795_255_872,
            description: Some("a \"b\"\n".into()),
            auto_deployed: true,
            bytes: 9,
        };
        assert_eq!(Head::decode(&head.encode()), Some(head.clone()));
        let head = Head { description: None, ..head };
        assert_eq!(Head::decode(&head.encode()), Some(head));
        let plain = Pointer { deployment: "a".into(), ..Pointer::default() };
        let with = |canary| Pointer {
            past: vec!["x".into(), "y".into()],
            promoted: vec![("k".into(), "v".into())],
            canary: Some(canary),
            ..plain.clone()
        };
        let canary =
            CanaryPointer { deployment: Some("c".into()), percent: 0.1, since_unix_s: 7, configured: None };
        let other = CanaryPointer { deployment: None, configured: Some(12.5), ..canary.clone() };
        for pointer in [plain.clone(), with(canary), with(other)] {
            assert_eq!(Pointer::decode(&pointer.encode()), Some(pointer));
        }
        for what in DEEDS {
            let text = || "t".to_owned();
            let (by, api, stage, to, from, note) = (text(), text(), text(), text(), text(), text());
            let event = Event { at_unix_s: 1, by, api, stage, what, to, from, note };
            assert_eq!(Event::decode(&event.encode()), Some(event));
        }
    }

    #[test]
    fn what_is_damaged_is_not_read() {
        for bytes in [&b""[..], b"{}", b"[1]", b"{\"number\":1}", b"\xff", b"null"] {
            assert_eq!(Head::decode(bytes), None);
            assert_eq!(Pointer::decode(bytes), None);
            assert_eq!(Event::decode(bytes), None);
        }
    }
}

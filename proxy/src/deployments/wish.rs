//! What may be asked of a running node's deployments: by the command line, over the admin socket, as JSON.

use serde_json::{Value, json};

/// Something that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Wish {
    /// Freeze what the configuration says now, and run it.
    Deploy { api: Option<String>, stage: Option<String>, description: Option<String>, canary: Option<f64> },
    /// What is different between two deployments, or what runs and what the configuration says.
    Diff { api: Option<String>, stage: Option<String>, from: Option<String>, to: Option<String> },
    /// What was done.
    History { api: Option<String>, stage: Option<String> },
    /// What a deployment has for whom.
    Show { api: String, id: String },
    /// Run an earlier deployment.
    Rollback { api: String, stage: String, id: Option<String> },
    /// What all stages run, whole.
    Deployed,
    /// What becomes of a canary.
    Canary { api: String, stage: String, what: OfCanary },
    /// Forget a deployment.
    Delete { api: String, id: String },
    /// Forget all but the newest so many of each API, and what stages need.
    Prune { api: Option<String>, keep: usize },
}

/// What becomes of a canary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum OfCanary {
    /// Nothing: how it does is asked.
    Status,
    /// Another share of requests.
    Shift(f64),
    /// It is the stage.
    Promote,
    /// It is no more.
    Rollback,
}

impl Wish {
    /// As it is sent, with who sends it.
    pub(crate) fn encode(&self, by: &str) -> String {
        let mut value = match self {
            Self::Deploy { api, stage, description, canary } => json!({
                "do": "deploy", "api": api, "stage": stage, "description": description, "percent": canary,
            }),
            Self::Diff { api, stage, from, to } => {
                json!({ "do": "diff", "api": api, "stage": stage, "from": from, "to": to })
            }
            Self::History { api, stage } => json!({ "do": "history", "api": api, "stage": stage }),
            Self::Show { api, id } => json!({ "do": "show", "api": api, "id": id }),
            Self::Rollback { api, stage, id } => {
                json!({ "do": "rollback", "api": api, "stage": stage, "id": id })
            }
            Self::Deployed => json!({ "do": "deployed" }),
            Self::Canary { api, stage, what } => {
                let (verb, percent) = match what {
                    OfCanary::Status => ("canary status", None),
                    OfCanary::Shift(percent) => ("canary shift", Some(percent)),
                    OfCanary::Promote => ("canary promote", None),
                    OfCanary::Rollback => ("canary rollback", None),
                };
                json!({ "do": verb, "api": api, "stage": stage, "percent": percent })
            }
            Self::Delete { api, id } => json!({ "do": "delete", "api": api, "id": id }),
            Self::Prune { api, keep } => json!({ "do": "prune", "api": api, "keep": keep }),
        };
        value["by"] = by.into();
        value.to_string()
    }

    /// What was sent, and by whom.
    pub(crate) fn decode(text: &str) -> Result<(Self, String), String> {
        let value: Value = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
        let text = |key: &str| match &value[key] {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text.clone())),
            other => Err(format!("`{key}` is a text, not {other}")),
        };
        let needed = |key: &str| text(key)?.ok_or_else(|| format!("`{key}` is missing"));
        let percent = match &value["percent"] {
            Value::Null => Ok(None),
            other => other.as_f64().map(Some).ok_or_else(|| format!("`percent` is a number, not {other}")),
        }?;
        let what = match &*needed("do")? {
            "deploy" => Self::Deploy {
                api: text("api")?,
                stage: text("stage")?,
                description: text("description")?,
                canary: percent,
            },
            "diff" => {
                Self::Diff { api: text("api")?, stage: text("stage")?, from: text("from")?, to: text("to")? }
            }
            "history" => Self::History { api: text("api")?, stage: text("stage")? },
            "show" => Self::Show { api: needed("api")?, id: needed("id")? },
            "deployed" => Self::Deployed,
            "rollback" => Self::Rollback { api: needed("api")?, stage: needed("stage")?, id: text("id")? },
            "delete" => Self::Delete { api: needed("api")?, id: needed("id")? },
            "prune" => {
                let keep = value["keep"].as_u64().and_then(|keep| usize::try_from(keep).ok());
                Self::Prune { api: text("api")?, keep: keep.ok_or("`keep` is a count")? }
            }
            verb => {
                let what = match verb {
                    "canary status" => OfCanary::Status,
                    "canary shift" => OfCanary::Shift(percent.ok_or("`percent` is missing")?),
                    "canary promote" => OfCanary::Promote,
                    "canary rollback" => OfCanary::Rollback,
                    other => return Err(format!("nobody knows how to `{other}`")),
                };
                Self::Canary { api: needed("api")?, stage: needed("stage")?, what }
            }
        };
        Ok((what, text("by")?.unwrap_or_else(|| "somebody".into())))
    }

    /// Whether it changes nothing.
    pub(crate) fn only_asks(&self) -> bool {
        let is_status = matches!(self, Self::Canary { what: OfCanary::Status, .. });
        is_status
            || matches!(self, Self::Diff { .. } | Self::History { .. } | Self::Show { .. } | Self::Deployed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(wish: Wish) {
        assert_eq!(Wish::decode(&wish.encode("ann")), Ok((wish, "ann".into())));
    }

    #[test]
    fn what_is_sent_is_what_arrives() {
        let text = |text: &str| Some(text.to_owned());
        check(Wish::Deploy { api: None, stage: None, description: None, canary: None });
        check(Wish::Deploy {
            api: text("a"),
            stage: text("s"),
            description: text("\"d\"\n"),
            canary: Some(0.1),
        });
        check(Wish::Diff { api: text("a"), stage: None, from: text("x"), to: None });
        check(Wish::History { api: None, stage: text("s") });
        check(Wish::Show { api: "a".into(), id: "x".into() });
        check(Wish::Deployed);
        check(Wish::Rollback { api: "a".into(), stage: "$default".into(), id: None });
        check(Wish::Rollback { api: "a".into(), stage: "s".into(), id: text("x") });
        check(Wish::Delete { api: "a".into(), id: "x".into() });
        check(Wish::Prune { api: None, keep: 0 });
        check(Wish::Prune { api: text("a"), keep: 7 });
        for what in [OfCanary::Status, OfCanary::Shift(12.5), OfCanary::Promote, OfCanary::Rollback] {
            check(Wish::Canary { api: "a".into(), stage: "s".into(), what });
        }
    }

    #[track_caller]
    fn check_refused(text: &str, expected: &str) {
        let refused = Wish::decode(text).unwrap_err();
        assert!(refused.contains(expected), "{text}: {refused}");
    }

    #[test]
    fn what_is_no_wish_is_refused_by_name() {
        check_refused("", "no JSON");
        check_refused("[]", "`do` is missing");
        check_refused(r#"{"do":"dance","api":"a","stage":"s"}"#, "nobody knows how to `dance`");
        check_refused(r#"{"do":"rollback","api":"a"}"#, "`stage` is missing");
        check_refused(r#"{"do":"delete","api":"a"}"#, "`id` is missing");
        check_refused(r#"{"do":"show","id":"a"}"#, "`api` is missing");
        check_refused(r#"{"do":"prune","keep":-1}"#, "`keep` is a count");
        check_refused(r#"{"do":"deploy","api":1}"#, "`api` is a text");
        check_refused(r#"{"do":"canary shift","api":"a","stage":"s"}"#, "`percent` is missing");
        check_refused(
            r#"{"do":"canary shift","api":"a","stage":"s","percent":"1"}"#,
            "`percent` is a number",
        );
    }
}

//! Deployments: what each stage runs, remembered over restarts (rows 26 to 32). The configuration says what an API is; here it is
//! said which of the definitions it has had a stage runs, and what a part of its requests is served by.

mod book;
mod deployed;
mod differences;
mod draft;
mod frozen;
mod judge;
mod record;
mod summary;
#[cfg(test)]
mod tests;
mod wish;

use std::{cell::RefCell, collections::HashMap, path::Path, sync::Arc};

use anyhow::{Context, Result};
use model::{Definition, Model};
use serde_json::{Value, json};
use store::{Change, Store};

use crate::publisher::{Read, unix_s};

use book::{Book, Names, Thawed};
use differences::Difference;
use draft::{Draft, Ice};
use record::{Event, Head, Pointer};

pub(crate) use deployed::Deployed;
pub(crate) use judge::{Case, Judges, Verdict};
pub(crate) use wish::{OfCanary, Wish};

/// Its name in the state folder.
const FILE: &str = "deployments.redb";

/// All deployments of a node.
pub(crate) struct Deployments {
    store: Store,
    book: Book,
    /// Those that were read, as long as they are in use.
    thawed: RefCell<HashMap<Names, Arc<Thawed>>>,
}

/// A change that was worked out and not made.
pub(crate) struct Drafted {
    /// The configuration, with what its stages are to run.
    pub(crate) model: Model,
    /// What the operator should know.
    pub(crate) notes: Vec<String>,
    /// What is to be done.
    done: Vec<Event>,
    book: Book,
    change: Change,
    made: HashMap<Names, Arc<Thawed>>,
}

/// What is to be done beside following the configuration.
pub(crate) enum Deed<'a> {
    /// Nothing.
    Follow,
    /// What somebody asked for.
    Wish(&'a Wish),
    /// What the judge has found of a canary, and why: whether it is promoted or taken back.
    Judged { api: &'a str, stage: &'a str, deployment: &'a str, promoted: bool, why: &'a str },
}

impl Deed<'_> {
    /// Whether it takes the configuration as it is now, and not as it was taken last.
    pub(crate) fn reads(&self) -> bool {
        matches!(self, Self::Follow | Self::Wish(Wish::Deploy { .. }))
    }
}

impl Deployments {
    /// Opens what the state folder has, or begins anew.
    pub(crate) fn open(state: &Path) -> Result<Self> {
        let store = Store::open(&state.join(FILE))?;
        let mut book = Book::default();
        let damaged = |what: &str, names: &Names| {
            format!("{what} `{}` of API `{}` is damaged in {FILE}", names.1, names.0)
        };
        for (names, bytes) in store.deployments()? {
            let head = Head::decode(&bytes).with_context(|| damaged("deployment", &names))?;
            book.heads.insert(names, head);
        }
        for (names, bytes) in store.pointers()? {
            let pointer = Pointer::decode(&bytes).with_context(|| damaged("stage", &names))?;
            book.pointers.insert(names, pointer);
        }
        Ok(Self { store, book, thawed: RefCell::default() })
    }

    /// Works out what a deed comes to; nothing is done yet.
    pub(crate) fn draft(
        &self,
        Read { model, .. }: &Read,
        deed: &Deed<'_>,
        by: &str,
    ) -> Result<Drafted, String> {
        let thaw = |api: &str, id: &str| self.thaw(api, id);
        let ice = Ice { freeze: &frozen::freeze, thaw: &thaw };
        let mut draft = Draft::new(self.book.clone(), model, ice, unix_s(), by);
        match deed {
            Deed::Follow
            | Deed::Wish(Wish::Diff { .. } | Wish::History { .. } | Wish::Show { .. } | Wish::Deployed) => {}
            Deed::Wish(Wish::Deploy { api, stage, description, canary }) => {
                draft.deploy(api.as_deref(), stage.as_deref(), description.as_deref(), *canary)?;
            }
            Deed::Wish(Wish::Rollback { api, stage, id }) => draft.roll_back(api, stage, id.as_deref())?,
            Deed::Wish(Wish::Canary { api, stage, what }) => match what {
                OfCanary::Status => {}
                OfCanary::Shift(percent) => draft.shift(api, stage, *percent)?,
                OfCanary::Promote => draft.promote(api, stage, "")?,
                OfCanary::Rollback => draft.take_back(api, stage, "")?,
            },
            Deed::Wish(Wish::Delete { api, id }) => draft.delete(api, id)?,
            Deed::Wish(Wish::Prune { api, keep }) => draft.prune(api.as_deref(), *keep)?,
            Deed::Judged { api, stage, deployment, promoted, why } => {
                let canary = self.book.pointer(api, stage).and_then(|pointer| pointer.canary.as_ref());
                if canary.is_none_or(|it| it.deployment.as_deref().unwrap_or_default() != *deployment) {
                    return Err("it is another one by now".into());
                }
                if *promoted { draft.promote(api, stage, why) } else { draft.take_back(api, stage, why) }?;
            }
        }
        // What is done by itself is nobody's.
        draft.follow("configuration")?;
        draft.finish();
        let model = draft.applied()?;
        let Draft { book, change, done, notes, made, .. } = draft;
        Ok(Drafted { model, notes, done, book, change, made })
    }

    /// Does what was worked out; it is on the disk when this returns.
    pub(crate) fn commit(&mut self, drafted: Drafted) -> Result<Vec<Value>, store::Error> {
        let Drafted { done, book, change, made, .. } = drafted;
        if !change.is_empty() {
            self.store.commit(&change)?;
        }
        self.book = book;
        let mut thawed = self.thawed.borrow_mut();
        thawed.extend(made);
        thawed.retain(|(api, id), _| {
            let own = self.book.pointers.iter().filter(|((owner, _), _)| owner == api);
            own.flat_map(|(_, pointer)| pointer.uses()).any(|used| used == id)
        });
        Ok(done.iter().map(Event::value).collect())
    }

    /// Canaries that get requests and are to be judged.
    pub(crate) fn judged(&self, Read { model, .. }: &Read) -> Vec<Case> {
        let stages = model.apis.iter().flat_map(|api| api.stages.iter().map(move |stage| (api, stage)));
        let case = |(api, stage): (&model::Api, &model::Stage)| {
            let settings = stage.canary.as_ref()?.judge.clone()?;
            let canary = self.book.pointer(&api.name, &stage.name)?.canary.as_ref()?;
            let serves = canary.deployment.is_some() || !stage.canary.as_ref()?.variables.is_empty();
            (serves && canary.percent > 0.0).then(|| Case {
                names: (api.name.clone(), stage.name.clone()),
                deployment: canary.deployment.clone().unwrap_or_default(),
                settings,
            })
        };
        stages.filter_map(case).collect()
    }

    /// What is asked and changes nothing, of what was read.
    pub(crate) fn answer(&self, Read { model, .. }: &Read, wish: &Wish) -> Result<Value, String> {
        let thaw = |api: &str, id: &str| self.thaw(api, id);
        let draft = Draft::new(self.book.clone(), model, Ice { freeze: &frozen::freeze, thaw: &thaw }, 0, "");
        match wish {
            Wish::History { api, stage } => {
                self.history(api.as_deref(), stage.as_deref()).map_err(|error| error.to_string())
            }
            Wish::Diff { api, stage, from, to } => {
                self.diff(&draft, model, [api, stage, from, to].map(Option::as_deref))
            }
            Wish::Show { api, id } => {
                let definition = self.kept(&draft, draft.api(api)?, id)?;
                let head = self.book.heads.get(&(api.clone(), id.clone()));
                let mut shown = head.map_or(Value::Null, |head| head.shown(api, id));
                shown["apiSummary"] = summary::summary(&definition);
                let own = self.book.pointers.iter().filter(|((own, _), _)| own == api);
                shown["stages"] = own.map(|((api, stage), it)| self.shown(api, stage, it)).collect();
                Ok(shown)
            }
            Wish::Canary { api, stage, .. } => {
                let (_, settings) = draft.stage(api, stage)?;
                let pointer = self.book.pointer(api, stage);
                let pointer =
                    pointer.ok_or_else(|| format!("stage `{stage}` of API `{api}` runs nothing yet"))?;
                Ok(
                    json!({ "stage": self.shown(api, stage, pointer), "judged": settings.canary.as_ref().is_some_and(|it| it.judge.is_some()) }),
                )
            }
            Wish::Deploy { .. }
            | Wish::Rollback { .. }
            | Wish::Delete { .. }
            | Wish::Prune { .. }
            | Wish::Deployed => Err("that is no question".into()),
        }
    }

    /// What stages run, whole, for whoever compiles it for himself; `file`: the configuration that was read.
    pub(crate) fn deployed(&self, file: Option<&Path>) -> Result<Value> {
        Deployed::tell(self, file)
    }

    /// What was done, what there is and what runs.
    fn history(&self, api: Option<&str>, stage: Option<&str>) -> Result<Value, store::Error> {
        let is_asked = |own: &str| api.is_none_or(|api| api == own);
        let events = self.store.history()?.into_iter().filter_map(|(_, bytes)| Event::decode(&bytes));
        let events = events.filter(|it| is_asked(&it.api) && stage.is_none_or(|stage| stage == it.stage));
        let pointers = self.book.pointers.iter().filter(|((own, _), _)| is_asked(own));
        let pointers = pointers.filter(|((_, own), _)| stage.is_none_or(|stage| stage == own));
        let deployments = self.book.heads.iter().filter(|((own, _), _)| is_asked(own));
        let deployments = deployments.map(|((api, id), head)| head.shown(api, id));
        Ok(json!({
            "history": events.map(|event| event.value()).collect::<Vec<_>>(),
            "stages": pointers.map(|((api, stage), it)| self.shown(api, stage, it)).collect::<Vec<_>>(),
            "deployments": deployments.collect::<Vec<_>>(),
        }))
    }

    fn shown(&self, api: &str, stage: &str, pointer: &Pointer) -> Value {
        let canary = pointer.canary.as_ref().map(|canary| {
            json!({ "deployment": canary.deployment, "percent": canary.percent, "since": canary.since_unix_s })
        });
        let Pointer { deployment, since_unix_s, seen, .. } = pointer;
        json!({
            "api": api, "stage": stage, "deployment": deployment, "since": since_unix_s, "configured": seen,
            "canary": canary,
        })
    }

    /// What is different: between two deployments, a deployment and the configuration, or what runs and the configuration.
    fn diff(&self, draft: &Draft<'_>, model: &Model, asked: [Option<&str>; 4]) -> Result<Value, String> {
        let [api, stage, from, to] = asked;
        let apis: Vec<_> = match (api, from) {
            (Some(name), _) => vec![draft.api(name)?],
            (None, None) => model.apis.iter().collect(),
            (None, Some(_)) => match &model.apis[..] {
                [only] => vec![only],
                _ => return Err("whose deployment is it? say --api".into()),
            },
        };
        let mut found = Vec::new();
        for api in apis {
            let after = match to {
                Some(id) => self.kept(draft, api, id)?,
                None => draft.plain(api),
            };
            let before: Vec<_> = match (from, stage) {
                (Some(id), _) => vec![(String::new(), Some(id.to_owned()))],
                (None, Some(stage)) => vec![self.runs(draft.stage(&api.name, stage)?)],
                (None, None) => api.stages.iter().map(|stage| self.runs((api, stage))).collect(),
            };
            for (stage, id) in before {
                let before = match &id {
                    Some(id) => self.kept(draft, api, id)?,
                    None => Arc::default(),
                };
                let differences = differences::differences(api.kind, &before, &after);
                found.push(json!({
                    "api": api.name, "stage": stage, "from": id, "to": to,
                    "differences": differences.iter().map(Difference::value).collect::<Vec<_>>(),
                }));
            }
        }
        Ok(json!({ "compared": found }))
    }

    /// A stage and what it runs.
    fn runs(&self, (api, stage): (&model::Api, &model::Stage)) -> (String, Option<String>) {
        let pointer = self.book.pointer(&api.name, &stage.name);
        (stage.name.clone(), pointer.map(|pointer| pointer.deployment.clone()))
    }

    fn kept(&self, draft: &Draft<'_>, api: &model::Api, id: &str) -> Result<Arc<Definition>, String> {
        if !self.book.heads.contains_key(&(api.name.clone(), id.to_owned())) {
            return Err(format!(
                "Invalid Deployment identifier specified: API `{}` has no deployment `{id}`",
                api.name
            ));
        }
        Ok(draft.thawed(api, id)?.definition.clone())
    }

    fn thaw(&self, api: &str, id: &str) -> Result<Arc<Thawed>, String> {
        let names = (api.to_owned(), id.to_owned());
        if let Some(known) = self.thawed.borrow().get(&names) {
            return Ok(known.clone());
        }
        let body = self.store.body(api, id).map_err(|error| error.to_string())?.ok_or("it is not kept")?;
        let thawed = Arc::new(frozen::thaw(&body)?);
        self.thawed.borrow_mut().insert(names, thawed.clone());
        Ok(thawed)
    }
}

//! What is to be done, worked out before anything is: from what is known, what the configuration says and what was asked for to
//! what is to be written down and what stages run. It knows neither disk nor clock, and nothing of it holds until it is committed.

mod applied;
mod forget;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use model::{Api, Definition, Integration, Model, Stage};
use store::Change;

use super::{
    book::{Book, Names, PAST_MAX, Thawed},
    frozen::Frozen,
    record::{CanaryPointer, Event, Head, Pointer},
};

/// Reads a deployment, by API and id.
pub(crate) type Thaw<'a> = dyn Fn(&str, &str) -> Result<Arc<Thawed>, String> + 'a;

/// What is done with what is frozen.
pub(crate) struct Ice<'a> {
    /// Writes down an API of the configuration, its routes and what they name.
    pub(crate) freeze: &'a dyn Fn(&Api) -> Result<Frozen, String>,
    /// Reads a deployment, by API and id.
    pub(crate) thaw: &'a Thaw<'a>,
}

/// Something to be done.
pub(crate) struct Draft<'a> {
    /// What is known when it is done.
    pub(crate) book: Book,
    pub(crate) change: Change,
    /// What it does, in order.
    pub(crate) done: Vec<Event>,
    /// What works and the operator should know.
    pub(crate) notes: Vec<String>,
    /// What the configuration says.
    model: &'a Model,
    ice: Ice<'a>,
    /// Deployments that are made.
    pub(crate) made: HashMap<Names, Arc<Thawed>>,
    /// Definitions of the configuration as they would be frozen.
    plain: RefCell<HashMap<String, Arc<Definition>>>,
    /// The same, written down and read.
    frozen: RefCell<HashMap<String, Result<Arc<Frozen>, String>>>,
    now_unix_s: u64,
    by: String,
}

impl<'a> Draft<'a> {
    /// Nothing yet.
    pub(crate) fn new(book: Book, model: &'a Model, ice: Ice<'a>, now_unix_s: u64, by: &str) -> Self {
        Self {
            book,
            change: Change::default(),
            done: Vec::new(),
            notes: Vec::new(),
            model,
            ice,
            made: HashMap::new(),
            plain: RefCell::default(),
            frozen: RefCell::default(),
            now_unix_s,
            by: by.to_owned(),
        }
    }

    /// Deploys what the configuration has changed, where it is to be deployed by itself (row 28), and takes what it says of canaries.
    /// That is nobody's deed: it is put down under the name given.
    pub(crate) fn follow(&mut self, by: &str) -> Result<(), String> {
        by.clone_into(&mut self.by);
        let model = self.model;
        for (api, stage) in model.apis.iter().flat_map(|api| api.stages.iter().map(move |stage| (api, stage)))
        {
            let Some(mut pointer) = self.book.pointer(&api.name, &stage.name).cloned() else {
                // Served as it is written all the same: nothing is lost but the way back.
                let id = match self.of_now(api) {
                    Ok(id) => id,
                    Err(why) => {
                        self.notes.push(why);
                        continue;
                    }
                };
                let pointer = Pointer {
                    cache_id: id.clone(),
                    since_unix_s: self.now_unix_s,
                    seen: id.clone(),
                    deployment: id.clone(),
                    ..Pointer::default()
                };
                self.tell(api, stage, "auto-deploy", &id, "", "first");
                self.follow_canary(api, stage, pointer)?;
                continue;
            };
            if stage.auto_deploy && self.has_changed(api, &mut pointer)? {
                let id = self.of_now(api)?;
                pointer.seen.clone_from(&id);
                self.follow_canary(api, stage, pointer)?;
                self.point(api, stage, id, Cause::Configuration)?;
            } else {
                self.follow_canary(api, stage, pointer)?;
            }
        }
        Ok(())
    }

    /// Makes a deployment of what the configuration says now and points stages to it; their canaries, if they have any (row 30).
    pub(crate) fn deploy(
        &mut self,
        api: Option<&str>,
        stage: Option<&str>,
        description: Option<&str>,
        canary: Option<f64>,
    ) -> Result<(), String> {
        canary.map_or(Ok(()), percent_is_one)?;
        let model = self.model;
        let apis: Vec<_> = match api {
            Some(name) => vec![self.api(name)?],
            None => model.apis.iter().collect(),
        };
        let has = |api: &&Api| stage.is_none_or(|name| api.stages.iter().any(|stage| stage.name == name));
        let (apis, without): (Vec<_>, Vec<_>) = apis.into_iter().partition(has);
        if let (true, Some(name)) = (apis.is_empty(), stage) {
            return Err(match canary {
                Some(_) => not_created(name),
                None => no_stage(without.first().copied(), name),
            });
        }
        // The stages there were before: what the configuration has brought along just now has no production to be a canary of.
        for api in apis {
            let id = self.make(api, description, false)?;
            for stage in api.stages.iter().filter(|own| stage.is_none_or(|name| own.name == name)) {
                let mut pointer = self.known(api, stage).cloned();
                if canary.is_some() && pointer.is_none() {
                    return Err(not_created(&stage.name));
                }
                if let Some(pointer) = &mut pointer {
                    pointer.seen.clone_from(&id);
                }
                let pointer = pointer.unwrap_or_else(|| Pointer { seen: id.clone(), ..Pointer::default() });
                self.follow_canary(api, stage, pointer)?;
                self.point(api, stage, id.clone(), Cause::Word(canary))?;
            }
        }
        Ok(())
    }

    /// Points a stage to an earlier deployment: to the one that it ran before, unless an id is given (row 29).
    pub(crate) fn roll_back(&mut self, api: &str, stage: &str, id: Option<&str>) -> Result<(), String> {
        let (api, stage) = self.stage(api, stage)?;
        let mut pointer = self.deployed(api, stage)?;
        let is_kept = |id: &&String| self.book.heads.contains_key(&(api.name.clone(), (*id).clone()));
        let to = match id {
            Some(id) => {
                let kept = Some(id.to_owned()).filter(|id| is_kept(&id));
                kept.ok_or_else(|| self.no_deployment(&api.name, id))?
            }
            None => {
                let before = pointer.past.iter().rev().find(|id| **id != pointer.deployment && is_kept(id));
                before.cloned().ok_or_else(|| {
                    format!(
                        "stage `{}` of API `{}` has run nothing before `{}`",
                        stage.name, api.name, pointer.deployment
                    )
                })?
            }
        };
        if to == pointer.deployment {
            return Err(format!("stage `{}` of API `{}` runs `{to}`", stage.name, api.name));
        }
        let from = std::mem::replace(&mut pointer.deployment, to.clone());
        match pointer.past.iter().rposition(|id| *id == to) {
            // Once more goes back further, not to what was left just now.
            Some(at) => pointer.past.truncate(at),
            None => remember(&mut pointer.past, from.clone()),
        }
        // What was cached under the name of what it runs again may be what it is rolled back for.
        pointer.cache_id = format!("{to}.{}", self.book.fresh_id(&api.name));
        pointer.since_unix_s = self.now_unix_s;
        self.keep(api, stage, pointer);
        self.tell(api, stage, "rollback", &to, &from, "");
        Ok(())
    }

    /// Gives a canary another share of requests.
    pub(crate) fn shift(&mut self, api: &str, stage: &str, percent: f64) -> Result<(), String> {
        percent_is_one(percent)?;
        let (api, stage) = self.stage(api, stage)?;
        let (mut pointer, mut canary) = self.with_canary(api, stage)?;
        let before = std::mem::replace(&mut canary.percent, percent);
        let to = canary.deployment.clone().unwrap_or_else(|| pointer.deployment.clone());
        pointer.canary = Some(canary);
        self.tell(api, stage, "canary shift", &to, "", &format!("{before} % to {percent} %"));
        self.keep(api, stage, pointer);
        Ok(())
    }

    /// Makes what the canary runs what the stage runs, its variables included (row 32).
    pub(crate) fn promote(&mut self, api: &str, stage: &str, note: &str) -> Result<(), String> {
        let (api, stage) = self.stage(api, stage)?;
        let (mut pointer, canary) = self.with_canary(api, stage)?;
        let from = pointer.deployment.clone();
        if let Some(to) = canary.deployment.clone().filter(|to| *to != from) {
            remember(&mut pointer.past, from.clone());
            pointer.cache_id.clone_from(&to);
            pointer.deployment = to;
            pointer.since_unix_s = self.now_unix_s;
        }
        if let Some(variables) =
            stage.canary.as_ref().map(|canary| &canary.variables).filter(|it| !it.is_empty())
        {
            pointer.promoted.clone_from(variables);
            self.notes.push(format!(
                "the canary's variables are those of stage `{}` for as long as the configuration says them of the canary: write them \
                 into `[[api.stage]]`",
                stage.name
            ));
        }
        let to = pointer.deployment.clone();
        pointer.canary = self.without_requests(&canary);
        self.keep(api, stage, pointer);
        self.tell(api, stage, "canary promote", &to, &from, note);
        Ok(())
    }

    /// Takes a canary back: the stage serves all requests.
    pub(crate) fn take_back(&mut self, api: &str, stage: &str, note: &str) -> Result<(), String> {
        let (api, stage) = self.stage(api, stage)?;
        let (mut pointer, canary) = self.with_canary(api, stage)?;
        let from = canary.deployment.clone().unwrap_or_else(|| pointer.deployment.clone());
        let to = pointer.deployment.clone();
        pointer.canary = self.without_requests(&CanaryPointer { deployment: None, ..canary });
        self.keep(api, stage, pointer);
        self.tell(api, stage, "canary rollback", &to, &from, note);
        Ok(())
    }

    /// Forgets what is more than is kept, and puts down what was done.
    pub(crate) fn finish(&mut self) {
        let stages = |api: &'a Api| api.stages.iter().map(|stage| &*stage.name).collect();
        let present: BTreeMap<_, _> = self.model.apis.iter().map(|api| (&*api.name, stages(api))).collect();
        let gone = self.book.retain(&present);
        self.change.deployments.retain(|it| !gone.deployments.contains(&(it.api.clone(), it.id.clone())));
        self.change.dropped.extend(gone.deployments);
        self.change.pointers.extend(gone.pointers.into_iter().map(|(api, stage)| (api, stage, None)));
        self.change.history.extend(self.done.iter().map(Event::encode));
    }

    pub(crate) fn thawed(&self, api: &Api, id: &str) -> Result<Arc<Thawed>, String> {
        match self.made.get(&(api.name.clone(), id.to_owned())) {
            Some(made) => Ok(made.clone()),
            None => (self.ice.thaw)(&api.name, id)
                .map_err(|why| format!("deployment `{id}` of API `{}` can't be read: {why}", api.name)),
        }
    }

    /// What the configuration says of an API, as it would be frozen.
    pub(crate) fn plain(&self, api: &Api) -> Arc<Definition> {
        let mut plain = self.plain.borrow_mut();
        let made = || Arc::new(api.definition.clone().without_origins());
        plain.entry(api.name.clone()).or_insert_with(made).clone()
    }

    /// The same, written down; how it is read is told beside it.
    fn frozen(&self, api: &Api) -> Result<Arc<Frozen>, String> {
        let mut frozen = self.frozen.borrow_mut();
        let freeze = || {
            let frozen = (self.ice.freeze)(api);
            frozen.map(Arc::new).map_err(|why| format!("API `{}` can't be frozen: {why}", api.name))
        };
        frozen.entry(api.name.clone()).or_insert_with(freeze).clone()
    }

    /// Whether that is what the configuration says of an API: as it stands there, or as it is read once it was written down. That of
    /// both is not taken for a change, whatever a version writes.
    fn is_now(&self, api: &Api, definition: &Definition) -> bool {
        *definition == *self.plain(api) || self.frozen(api).is_ok_and(|now| *definition == *now.definition)
    }

    /// Whether the configuration says something else of an API than what a stage has seen, or runs.
    fn has_changed(&mut self, api: &Api, pointer: &mut Pointer) -> Result<bool, String> {
        match self.thawed(api, &pointer.seen) {
            Ok(seen) if self.is_now(api, &seen.definition) => return Ok(false),
            // What it runs is what was seen last: nothing is lost by deploying the configuration.
            Err(why) if pointer.seen == pointer.deployment => {
                self.notes.push(format!("{why}; the configuration is deployed in its place"));
                return Ok(true);
            }
            Ok(_) => {}
            Err(why) => return Err(why),
        }
        let canary = pointer.canary.as_ref().and_then(|canary| canary.deployment.clone());
        for id in [Some(pointer.deployment.clone()), canary].into_iter().flatten() {
            if self.is_now(api, &self.thawed(api, &id)?.definition) {
                pointer.seen = id;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A deployment of what the configuration says: the newest one if that is it.
    fn of_now(&mut self, api: &Api) -> Result<String, String> {
        let newest = self.book.deployments(&api.name).last().map(|(id, _)| (*id).to_owned());
        if let Some(id) = newest
            && let Ok(thawed) = self.thawed(api, &id)
            && self.is_now(api, &thawed.definition)
        {
            return Ok(id);
        }
        self.make(api, None, true)
    }

    fn make(&mut self, api: &Api, description: Option<&str>, auto_deployed: bool) -> Result<String, String> {
        let id = self.book.fresh_id(&api.name);
        let body = self.frozen(api)?.bytes.clone();
        let head = Head {
            number: self.book.next_number(&api.name),
            created_unix_s: self.now_unix_s,
            description: description.map(str::to_owned),
            auto_deployed,
            bytes: body.len() as u64,
        };
        let names = (api.name.clone(), id.clone());
        let definition = self.plain(api);
        let used = upstreams_of(&definition);
        let upstreams = self.model.upstreams.iter().filter(|it| used.contains(&*it.name)).cloned().collect();
        self.made.insert(names.clone(), Arc::new(Thawed { definition: definition.clone(), upstreams }));
        self.change.deployments.push(store::Deployment {
            api: api.name.clone(),
            id: id.clone(),
            head: head.encode(),
            body,
        });
        self.book.heads.insert(names, head);
        Ok(id)
    }

    /// Takes what the configuration says of a stage's canary, and keeps the pointer.
    fn follow_canary(&mut self, api: &Api, stage: &Stage, mut pointer: Pointer) -> Result<(), String> {
        let configured = stage.canary.as_ref().map(|canary| canary.percent);
        let known = pointer.canary.as_ref().and_then(|canary| canary.configured);
        let to = pointer.deployment.clone();
        match (configured, &mut pointer.canary) {
            (Some(percent), None) => {
                let since_unix_s = self.now_unix_s;
                pointer.canary = Some(CanaryPointer { deployment: None, percent, since_unix_s, configured });
                self.tell(api, stage, "canary begin", &to, "", &format!("{percent} %"));
            }
            (Some(percent), Some(canary)) if known != configured => {
                let before = std::mem::replace(&mut canary.percent, percent);
                canary.configured = configured;
                let to = canary.deployment.clone().unwrap_or(to);
                self.tell(api, stage, "canary shift", &to, "", &format!("{before} % to {percent} %"));
            }
            (None, Some(canary)) if known.is_some() => {
                let from = canary.deployment.clone().unwrap_or_default();
                pointer.canary = None;
                self.tell(api, stage, "canary end", &to, &from, "the configuration has no canary any more");
            }
            _ => {}
        }
        self.keep(api, stage, pointer);
        Ok(())
    }

    /// Points a stage, or its canary, to a deployment that was made for it.
    fn point(&mut self, api: &Api, stage: &Stage, id: String, cause: Cause) -> Result<(), String> {
        let mut pointer = self.known(api, stage).cloned().unwrap_or_default();
        let asked = match cause {
            Cause::Word(percent) => percent,
            Cause::Configuration => None,
        };
        let configured = stage.canary.as_ref().map(|canary| canary.percent);
        let has_run = !pointer.deployment.is_empty();
        if has_run && (asked.is_some() || pointer.canary.is_some()) {
            let before = pointer.canary.take().unwrap_or_default();
            let percent = asked.or(configured).unwrap_or(before.percent);
            let what = match cause {
                Cause::Word(_) => "canary deploy",
                Cause::Configuration => "canary auto-deploy",
            };
            let from = before.deployment.unwrap_or_default();
            pointer.canary = Some(CanaryPointer {
                deployment: Some(id.clone()),
                percent,
                since_unix_s: self.now_unix_s,
                configured: before.configured,
            });
            self.tell(api, stage, what, &id, &from, &format!("{percent} %"));
        } else {
            let from = std::mem::replace(&mut pointer.deployment, id.clone());
            if has_run {
                remember(&mut pointer.past, from.clone());
            }
            let what = match cause {
                Cause::Word(_) => "deploy",
                Cause::Configuration => "auto-deploy",
            };
            // A change of the configuration leaves alone what is cached, as it always has; who deploys asks for what is new.
            if matches!(cause, Cause::Word(_)) || pointer.cache_id.is_empty() {
                pointer.cache_id.clone_from(&id);
            }
            pointer.since_unix_s = self.now_unix_s;
            self.tell(api, stage, what, &id, &from, "");
        }
        self.keep(api, stage, pointer);
        Ok(())
    }

    /// A canary that gets no more requests: as the configuration has it, or none if that has none.
    fn without_requests(&self, canary: &CanaryPointer) -> Option<CanaryPointer> {
        let since_unix_s = self.now_unix_s;
        canary.configured.map(|_| CanaryPointer { percent: 0.0, since_unix_s, ..canary.clone() })
    }

    fn keep(&mut self, api: &Api, stage: &Stage, pointer: Pointer) {
        let names = (api.name.clone(), stage.name.clone());
        if self.book.pointers.get(&names) == Some(&pointer) {
            return;
        }
        let (api, stage) = names.clone();
        self.change.pointers.push((api, stage, Some(pointer.encode())));
        self.book.pointers.insert(names, pointer);
    }

    fn tell(&mut self, api: &Api, stage: &Stage, what: &'static str, to: &str, from: &str, note: &str) {
        self.done.push(Event {
            at_unix_s: self.now_unix_s,
            by: self.by.clone(),
            api: api.name.clone(),
            stage: stage.name.clone(),
            what,
            to: to.to_owned(),
            from: from.to_owned(),
            note: note.to_owned(),
        });
    }

    /// The API of that name.
    pub(crate) fn api(&self, name: &str) -> Result<&'a Api, String> {
        let own = self.model.apis.iter().find(|api| api.name == name);
        own.ok_or_else(|| {
            let names: Vec<_> = self.model.apis.iter().map(|api| &*api.name).collect();
            format!("there is no API `{name}`; there are {}", listed(&names))
        })
    }

    /// An API and its stage of these names.
    pub(crate) fn stage(&self, api: &str, stage: &str) -> Result<(&'a Api, &'a Stage), String> {
        let api = self.api(api)?;
        let own = api.stages.iter().find(|own| own.name == stage);
        own.map(|own| (api, own)).ok_or_else(|| no_stage(Some(api), stage))
    }

    fn known(&self, api: &Api, stage: &Stage) -> Option<&Pointer> {
        self.book.pointer(&api.name, &stage.name)
    }

    fn deployed(&self, api: &Api, stage: &Stage) -> Result<Pointer, String> {
        let none = || format!("stage `{}` of API `{}` runs nothing yet", stage.name, api.name);
        self.known(api, stage).cloned().ok_or_else(none)
    }

    fn with_canary(&self, api: &Api, stage: &Stage) -> Result<(Pointer, CanaryPointer), String> {
        let pointer = self.deployed(api, stage)?;
        let has_variables = stage.canary.as_ref().is_some_and(|canary| !canary.variables.is_empty());
        let canary = pointer.canary.clone().filter(|canary| canary.deployment.is_some() || has_variables);
        let none = || format!("stage `{}` of API `{}` has no canary", stage.name, api.name);
        canary.map(|canary| (pointer, canary)).ok_or_else(none)
    }
}

/// Why a stage is pointed elsewhere.
#[derive(Clone, Copy)]
enum Cause {
    /// The configuration has changed.
    Configuration,
    /// Somebody said so, and of how many of a hundred requests.
    Word(Option<f64>),
}

/// Groups of backends that routes name.
pub(crate) fn upstreams_of(definition: &Definition) -> BTreeSet<&str> {
    let named = definition.routes.iter().filter_map(|route| match &route.integration {
        Integration::Http { upstream, .. } => Some(&**upstream),
        Integration::Mock(_) | Integration::Declared(_) => None,
    });
    named.collect()
}

fn remember(past: &mut Vec<String>, id: String) {
    past.push(id);
    let excess = past.len().saturating_sub(PAST_MAX);
    past.drain(..excess);
}

/// Row 30, `percentTraffic`.
fn percent_is_one(percent: f64) -> Result<(), String> {
    if (0.0..=100.0).contains(&percent) {
        Ok(())
    } else {
        Err(format!("a canary takes 0.0 to 100.0 percent, not {percent}"))
    }
}

/// Row 30, in AWS's words.
fn not_created(stage: &str) -> String {
    format!(
        "Invalid deployment content specified.Stage {stage} must already be created before making a canary release deployment"
    )
}

fn no_stage(api: Option<&Api>, name: &str) -> String {
    let Some(api) = api else { return format!("no API has a stage `{name}`") };
    let stages: Vec<_> = api.stages.iter().map(|stage| &*stage.name).collect();
    format!("API `{}` has no stage `{name}`; it has {}", api.name, listed(&stages))
}

/// The first few names, for a message.
fn listed(names: &[&str]) -> String {
    const SHOWN_MAX: usize = 10;
    let shown: Vec<_> = names.iter().take(SHOWN_MAX).map(|name| format!("`{name}`")).collect();
    match (shown.is_empty(), names.len().saturating_sub(SHOWN_MAX)) {
        (true, _) => "none".to_owned(),
        (false, 0) => shown.join(", "),
        (false, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

//! Configurations that change, and commands: what stages run in the end. Definitions are frozen in a map, time is a number.

use std::{cell::RefCell, collections::HashMap, sync::Arc};

use model::{Api, Definition, Integration, Kind, Mock, Model, RouteKey, Stage};

use super::{
    book::{Book, Names, Thawed},
    draft::{Draft, Ice},
    frozen::Frozen,
};

/// Everything that outlives a change.
struct World {
    model: Model,
    book: Book,
    frozen: HashMap<Names, Arc<Thawed>>,
    now_unix_s: u64,
    /// Ids by what they say, for tests to be read by: the status that `GET /` answers with.
    told: RefCell<Vec<String>>,
}

/// An API whose one route answers with a status; a new status is a new definition.
fn definition(status: u16) -> Definition {
    let key = RouteKey::Path { method: Some("GET".into()), path: "/".into() };
    let mock = Integration::Mock(Mock { status, headers: Vec::new(), body: String::new() });
    Definition { routes: vec![model::Route::new(key, mock)], ..Definition::default() }
}

fn status(definition: &Definition) -> u16 {
    match &definition.routes[0].integration {
        Integration::Mock(mock) => mock.status,
        other => panic!("{other:?}"),
    }
}

fn canary(percent: f64) -> model::Canary {
    model::Canary { percent, deployment: None, variables: Vec::new(), use_stage_cache: false, judge: None }
}

impl World {
    /// An API `a` with these stages, which deploy by themselves, and its first publication.
    fn new(stages: &[&str]) -> Self {
        let mut api = Api::new("a", Kind::Rest);
        api.definition = definition(200);
        let stage = |name: &&str| Stage { name: (*name).into(), auto_deploy: true, ..Stage::default() };
        api.stages = stages.iter().map(stage).collect();
        let model = Model { apis: vec![api], ..Model::default() };
        let mut world = Self {
            model,
            book: Book::default(),
            frozen: HashMap::new(),
            now_unix_s: 0,
            told: RefCell::default(),
        };
        world.reload();
        world
    }

    /// Does something, if it is not refused; the configuration as it is applied.
    fn does(&mut self, deed: impl FnOnce(&mut Draft<'_>) -> Result<(), String>) -> Result<Model, String> {
        self.now_unix_s += 1;
        let freeze = |api: &Api| {
            let definition = Arc::new(api.definition.clone());
            Ok(Frozen { bytes: format!("{definition:?}").into_bytes(), definition })
        };
        let frozen = &self.frozen;
        let thaw = |api: &str, id: &str| {
            frozen.get(&(api.to_owned(), id.to_owned())).cloned().ok_or_else(|| "it is damaged".to_owned())
        };
        let mut draft = Draft::new(
            self.book.clone(),
            &self.model,
            Ice { freeze: &freeze, thaw: &thaw },
            self.now_unix_s,
            "ann",
        );
        deed(&mut draft)?;
        draft.follow("configuration")?;
        draft.finish();
        let applied = draft.applied()?;
        *self.told.borrow_mut() = draft.done.iter().map(|it| format!("{} {}", it.by, it.what)).collect();
        let Draft { book, made, .. } = draft;
        self.book = book;
        self.frozen.extend(made);
        Ok(applied)
    }

    fn reload(&mut self) -> Model {
        self.does(|_| Ok(())).unwrap()
    }

    fn says(&mut self, status: u16) -> Model {
        self.model.apis[0].definition = definition(status);
        self.reload()
    }

    /// The id of the deployment that answers with this status.
    fn id(&self, status: u16) -> String {
        let own = self.frozen.iter().filter(|(_, thawed)| self::status(&thawed.definition) == status);
        let ids: Vec<_> = own.map(|((_, id), _)| id.clone()).collect();
        assert_eq!(ids.len(), 1, "{status}: {ids:?}");
        ids[0].clone()
    }

    fn stage(&mut self) -> &mut Stage {
        &mut self.model.apis[0].stages[0]
    }

    /// What was done last.
    fn told(&self) -> Vec<String> {
        self.told.borrow().clone()
    }
}

/// What the first stage answers with, and its canary with which percentage.
#[track_caller]
fn check(applied: &Model, stage: u16, canary: Option<(u16, f64)>) {
    let own = &applied.apis[0].stages[0];
    assert_eq!(status(&own.deployment.as_ref().unwrap().definition), stage);
    let seen = own.canary.as_ref().map(|canary| {
        let own = canary.deployment.as_ref().map_or(stage, |own| status(&own.definition));
        (own, canary.percent)
    });
    assert_eq!(seen, canary);
}

/// Row 28.
#[test]
fn a_change_of_the_configuration_is_deployed_by_itself_and_once() {
    let mut world = World::new(&["prod", "dev"]);
    assert_eq!(world.told(), ["configuration auto-deploy", "configuration auto-deploy"]);
    let (applied, deployments) = (world.reload(), world.book.heads.len());
    check(&applied, 200, None);
    assert_eq!((deployments, world.told().len()), (1, 0), "nothing has changed");
    check(&world.says(201), 201, None);
    assert_eq!((world.book.heads.len(), world.told().len()), (2, 2), "one for both stages");
    let head = &world.book.heads[&("a".to_owned(), world.id(201))];
    assert!(head.auto_deployed && head.number == 2);
}

#[test]
fn a_stage_that_does_not_deploy_by_itself_runs_what_was_deployed_last() {
    let mut world = World::new(&["prod"]);
    world.stage().auto_deploy = false;
    check(&world.says(201), 200, None);
    let applied = world.does(|draft| draft.deploy(Some("a"), None, Some("more"), None)).unwrap();
    check(&applied, 201, None);
    assert_eq!(world.told(), ["ann deploy"]);
    assert_eq!(applied.apis[0].stages[0].deployment.as_ref().unwrap().description.as_deref(), Some("more"));
    // Another stage that is new takes what the configuration says.
    world.model.apis[0].stages.insert(0, Stage { name: "new".into(), ..Stage::default() });
    check(&world.says(202), 202, None);
}

/// Row 29.
#[test]
fn a_rollback_holds_until_the_configuration_changes_or_somebody_deploys() {
    let mut world = World::new(&["prod"]);
    world.says(201);
    world.says(202);
    let back = |draft: &mut Draft<'_>| draft.roll_back("a", "prod", None);
    check(&world.does(back).unwrap(), 201, None);
    assert_eq!(world.told(), ["ann rollback"]);
    check(&world.reload(), 201, None);
    check(&world.does(back).unwrap(), 200, None);
    let refused = world.does(back).unwrap_err();
    assert!(refused.contains("has run nothing before"), "{refused}");
    check(&world.reload(), 200, None);
    // Said again, it is deployed again.
    check(&world.says(203), 203, None);
    let id = world.id(201);
    check(&world.does(|draft| draft.roll_back("a", "prod", Some(&id))).unwrap(), 201, None);
    check(&world.does(|draft| draft.deploy(None, None, None, None)).unwrap(), 203, None);
    let refused = world.does(|draft| draft.roll_back("a", "prod", Some("nobody"))).unwrap_err();
    assert!(refused.starts_with("Invalid Deployment identifier specified"), "{refused}");
    let now = world.book.pointer("a", "prod").unwrap().deployment.clone();
    assert!(world.does(|draft| draft.roll_back("a", "prod", Some(&now))).is_err());
}

/// Put right in the file to what it was rolled back to: nothing new is made, and a later change is deployed.
#[test]
fn a_configuration_that_follows_a_rollback_is_what_runs() {
    let mut world = World::new(&["prod"]);
    world.says(201);
    world.does(|draft| draft.roll_back("a", "prod", None)).unwrap();
    check(&world.says(200), 200, None);
    assert_eq!(world.book.heads.len(), 2);
    check(&world.says(201), 201, None);
}

/// What is cached outlives a change of the configuration; nothing else's answers are given for what was deployed, or rolled back to.
#[test]
fn what_is_cached_is_told_apart() {
    let mut world = World::new(&["prod"]);
    let cache_id = |applied: &Model| applied.apis[0].stages[0].deployment.as_ref().unwrap().cache_id.clone();
    let first = cache_id(&world.reload());
    assert_eq!(cache_id(&world.says(201)), first);
    let back = cache_id(&world.does(|draft| draft.roll_back("a", "prod", None)).unwrap());
    assert_ne!(back, first);
    let deployed = world.does(|draft| draft.deploy(None, None, None, None)).unwrap();
    assert!(![&first, &back].contains(&&cache_id(&deployed)));
    assert_eq!(cache_id(&deployed), deployed.apis[0].stages[0].deployment.as_ref().unwrap().id);
}

/// Row 30: with a canary, what is deployed next is the canary's.
#[test]
fn what_is_deployed_to_a_stage_with_a_canary_is_the_canarys() {
    let mut world = World::new(&["prod"]);
    world.stage().canary = Some(canary(10.0));
    check(&world.reload(), 200, None);
    check(&world.says(201), 200, Some((201, 10.0)));
    assert_eq!(world.told(), ["configuration canary auto-deploy"]);
    check(&world.says(202), 200, Some((202, 10.0)));
    let shift = |percent| move |draft: &mut Draft<'_>| draft.shift("a", "prod", percent);
    check(&world.does(shift(33.3)).unwrap(), 200, Some((202, 33.3)));
    check(&world.reload(), 200, Some((202, 33.3)));
    // What the configuration says anew counts more than what somebody said before.
    world.stage().canary = Some(canary(20.0));
    check(&world.reload(), 200, Some((202, 20.0)));
    for percent in [-0.1, 100.1, f64::NAN] {
        assert!(world.does(shift(percent)).unwrap_err().contains("0.0 to 100.0"));
    }
    // Row 32: it is promoted, and the canary stays without requests.
    check(&world.does(|draft| draft.promote("a", "prod", "")).unwrap(), 202, None);
    assert_eq!(world.book.pointer("a", "prod").unwrap().canary.as_ref().unwrap().percent, 0.0);
    check(&world.reload(), 202, None);
    check(&world.says(203), 202, Some((203, 20.0)));
    check(&world.does(|draft| draft.take_back("a", "prod", "")).unwrap(), 202, None);
    check(&world.reload(), 202, None);
    check(&world.says(204), 202, Some((204, 20.0)));
    world.stage().canary = None;
    check(&world.reload(), 202, None);
    assert_eq!(world.told(), ["configuration canary end"]);
}

#[test]
fn a_canary_may_be_made_by_a_command() {
    let mut world = World::new(&["prod"]);
    world.stage().auto_deploy = false;
    world.says(201);
    let deploy = |canary| move |draft: &mut Draft<'_>| draft.deploy(Some("a"), Some("prod"), None, canary);
    check(&world.does(deploy(Some(0.5))).unwrap(), 200, Some((201, 0.5)));
    assert_eq!(world.told(), ["ann canary deploy"]);
    world.says(202);
    check(&world.does(deploy(None)).unwrap(), 200, Some((202, 0.5)));
    check(&world.does(|draft| draft.take_back("a", "prod", "")).unwrap(), 200, None);
    assert_eq!(world.book.pointer("a", "prod").unwrap().canary, None);
    let refused = world.does(|draft| draft.promote("a", "prod", "")).unwrap_err();
    assert_eq!(refused, "stage `prod` of API `a` has no canary");
    world.says(203);
    world.does(deploy(Some(50.0))).unwrap();
    check(&world.does(|draft| draft.promote("a", "prod", "")).unwrap(), 203, None);
    assert_eq!(world.book.pointer("a", "prod").unwrap().canary, None);
    check(&world.does(|draft| draft.roll_back("a", "prod", None)).unwrap(), 200, None);
}

/// Row 30, in AWS's words.
#[test]
fn a_canary_needs_a_stage() {
    let mut world = World::new(&["prod"]);
    let words = "Invalid deployment content specified.Stage beta must already be created before making a canary release deployment";
    let refused = world.does(|draft| draft.deploy(Some("a"), Some("beta"), None, Some(1.0)));
    assert_eq!(refused.unwrap_err(), words);
    // The configuration has just brought it along: it runs nothing yet.
    world.model.apis[0].stages.push(Stage { name: "beta".into(), ..Stage::default() });
    let refused = world.does(|draft| draft.deploy(Some("a"), Some("beta"), None, Some(1.0)));
    assert_eq!(refused.unwrap_err(), words);
    let refused = world.does(|draft| draft.deploy(Some("a"), Some("gamma"), None, None));
    assert_eq!(refused.unwrap_err(), "API `a` has no stage `gamma`; it has `prod`, `beta`");
    let refused = world.does(|draft| draft.deploy(Some("b"), None, None, None));
    assert_eq!(refused.unwrap_err(), "there is no API `b`; there are `a`");
}

/// Rows 31, 32: other variables alone make a canary, and they are promoted with it.
#[test]
fn a_canarys_variables_become_the_stages() {
    let mut world = World::new(&["prod"]);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    world.stage().variables = vec![pair("host", "old"), pair("x", "1")];
    let variables = vec![pair("host", "new")];
    world.stage().canary = Some(model::Canary { variables: variables.clone(), ..canary(5.0) });
    let applied = world.reload();
    check(&applied, 200, Some((200, 5.0)));
    assert_eq!(applied.apis[0].stages[0].canary.as_ref().unwrap().variables, variables);
    let applied = world.does(|draft| draft.promote("a", "prod", "")).unwrap();
    check(&applied, 200, None);
    assert_eq!(applied.apis[0].stages[0].variables, [pair("x", "1"), pair("host", "new")]);
    assert_eq!(world.reload().apis[0].stages[0].variables, [pair("x", "1"), pair("host", "new")]);
    // The configuration says it of the canary no more.
    world.stage().canary = None;
    assert_eq!(world.reload().apis[0].stages[0].variables, [pair("host", "old"), pair("x", "1")]);
}

/// Row 29, in AWS's words.
#[test]
fn a_deployment_that_a_stage_needs_is_not_deleted() {
    let mut world = World::new(&["prod"]);
    for status in [201, 202, 203] {
        world.says(status);
    }
    let delete = |id: String| move |draft: &mut Draft<'_>| draft.delete("a", &id);
    let words = "Active stages pointing to this deployment must be moved or deleted: stage `prod` ";
    let refused = world.does(delete(world.id(203))).unwrap_err();
    assert_eq!(refused, format!("{words}runs it of API `a`"));
    check(&world.does(delete(world.id(202))).unwrap(), 203, None);
    assert_eq!(world.told(), ["ann delete"]);
    let again = world.does(delete(world.id(202))).unwrap_err();
    assert!(again.starts_with("Invalid Deployment identifier specified"), "{again}");
    // What is gone is no way back: it goes to the one before.
    check(&world.does(|draft| draft.roll_back("a", "prod", None)).unwrap(), 201, None);
    let refused = world.does(delete(world.id(203))).unwrap_err();
    assert!(refused.contains("while the configuration says what it says"), "{refused}");
    check(&world.reload(), 201, None);
    let id = world.id(200);
    world.does(|draft| draft.deploy(Some("a"), Some("prod"), None, Some(5.0))).unwrap();
    let canary = world.book.pointer("a", "prod").unwrap().canary.clone().unwrap().deployment.unwrap();
    let refused = world.does(delete(canary)).unwrap_err();
    assert_eq!(refused, format!("{words}has it as its canary of API `a`"));
    world.does(delete(id)).unwrap();
    assert!(world.does(|draft| draft.delete("b", "x")).is_err());
}

/// A stage that the configuration has no more keeps nobody from deleting what it ran, and begins anew if it comes back.
#[test]
fn what_old_stages_ran_may_be_deleted() {
    let mut world = World::new(&["prod", "old"]);
    world.model.apis[0].stages.pop();
    world.says(201);
    let id = world.id(200);
    world.does(|draft| draft.delete("a", &id)).unwrap();
    assert!(world.book.pointer("a", "old").is_none() && world.book.heads.len() == 1);
    world.model.apis[0].stages.push(Stage { name: "old".into(), auto_deploy: true, ..Stage::default() });
    let applied = world.reload();
    assert_eq!(status(&applied.apis[0].stages[1].deployment.as_ref().unwrap().definition), 201);
}

#[test]
fn the_newest_are_kept_by_word_and_those_that_stages_need() {
    let mut world = World::new(&["prod"]);
    for status in 201..210 {
        world.says(status);
    }
    let id = world.id(202);
    world.does(|draft| draft.roll_back("a", "prod", Some(&id))).unwrap();
    check(&world.does(|draft| draft.prune(None, 3)).unwrap(), 202, None);
    assert_eq!(world.told().len(), 6);
    let kept: Vec<_> = world.book.deployments("a").iter().map(|(_, head)| head.number).collect();
    assert_eq!(kept, [3, 8, 9, 10]);
    world.does(|draft| draft.prune(Some("a"), 0)).unwrap();
    let kept: Vec<_> = world.book.deployments("a").iter().map(|(_, head)| head.number).collect();
    assert_eq!(kept, [3, 10], "what runs, and what tells a rollback from a change");
    check(&world.reload(), 202, None);
    let refused = world.does(|draft| draft.prune(Some("b"), 1)).unwrap_err();
    assert_eq!(refused, "there is no deployment of an API `b`");
}

/// What a definition names is there though the configuration has it no more.
#[test]
fn what_was_frozen_brings_its_backends_along() {
    let mut world = World::new(&["prod"]);
    let upstream = |name: &str| model::Upstream { name: name.into(), ..model::Upstream::default() };
    let calls = |name: &str| {
        let mut definition = definition(200);
        definition.routes[0].integration =
            Integration::Http { upstream: name.into(), path: None, strip_prefix: None };
        definition
    };
    world.model.upstreams = vec![upstream("one"), upstream("other")];
    world.model.apis[0].definition = calls("one");
    world.reload();
    world.model.upstreams = vec![upstream("two")];
    world.model.apis[0].definition = calls("two");
    let names = |applied: &Model| applied.upstreams.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&world.reload()), ["two"]);
    assert_eq!(names(&world.does(|draft| draft.roll_back("a", "prod", None)).unwrap()), ["two", "one"]);
}

/// A deployment that can't be read any more does not keep a node from starting with its configuration, unless it was pinned.
#[test]
fn what_cannot_be_read_is_deployed_anew_or_refused_by_name() {
    let mut world = World::new(&["prod"]);
    world.frozen.clear();
    check(&world.reload(), 200, None);
    assert_eq!(world.book.heads.len(), 2);
    world.says(201);
    world.does(|draft| draft.roll_back("a", "prod", None)).unwrap();
    world.frozen.clear();
    let refused = world.does(|_| Ok(())).unwrap_err();
    assert!(refused.contains("of API `a` can't be read: it is damaged"), "{refused}");
}

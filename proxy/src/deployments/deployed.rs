//! What stages run, for whom only looks: out of the state folder of a node that is stopped, or told by one that runs. Nothing of it is
//! ever changed.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result, anyhow, bail};
use model::Model;
use serde_json::{Value, json};

use super::{
    Deployments, FILE,
    book::{Book, Names},
    draft::{Draft, Ice},
    frozen,
    record::{Head, Pointer},
    wish::Wish,
};
use crate::commands;

/// What stages run.
pub(crate) struct Deployed {
    book: Book,
    bodies: HashMap<Names, Vec<u8>>,
    /// The configuration that the running node has read.
    pub(crate) file: Option<PathBuf>,
}

impl Deployed {
    /// That of a state folder, or of the node behind an admin socket, if one of them is named.
    pub(crate) fn asked(state: Option<&Path>, socket: Option<&Path>) -> Result<Option<Self>> {
        match (state, socket) {
            (_, Some(socket)) => {
                let answer =
                    commands::answered_at(socket, "POST", "/deployments", &Wish::Deployed.encode(""))?;
                let answer = serde_json::from_str(&answer).ok().and_then(|answer| Self::told(&answer));
                answer.context("the node's answer is not understood: is it of another version?").map(Some)
            }
            (Some(state), None) => Self::kept(state).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// What a folder has that no node uses.
    fn kept(state: &Path) -> Result<Self> {
        let path = state.join(FILE);
        if !path.exists() {
            bail!("{} does not exist: no node has deployed anything with this state folder", path.display());
        }
        let deployments = Deployments::open(state).with_context(|| {
            format!("if a node runs with {}, ask it over its admin socket: --socket PATH", state.display())
        })?;
        Self::of(&deployments)
    }

    /// What is in use, as it is kept.
    fn of(deployments: &Deployments) -> Result<Self> {
        let book = deployments.book.clone();
        let mut bodies = HashMap::new();
        for ((api, _), pointer) in &book.pointers {
            for id in pointer.uses() {
                let body = deployments.store.body(api, id)?;
                let body = body.with_context(|| format!("deployment `{id}` of API `{api}` is not kept"))?;
                bodies.insert((api.clone(), id.to_owned()), body);
            }
        }
        Ok(Self { book, bodies, file: None })
    }

    /// As a running node tells it.
    pub(super) fn tell(deployments: &Deployments, file: Option<&Path>) -> Result<Value> {
        let Self { book, bodies, .. } = Self::of(deployments)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let pointers = book.pointers.iter().map(|((api, stage), it)| json!([api, stage, text(&it.encode())]));
        let deployments = bodies.iter().filter_map(|(names, body)| {
            let head = text(&book.heads.get(names)?.encode());
            Some(json!([names.0, names.1, head, text(body)]))
        });
        let (pointers, deployments): (Vec<_>, Vec<_>) = (pointers.collect(), deployments.collect());
        Ok(json!({ "file": file, "stages": pointers, "deployments": deployments }))
    }

    /// What a running node has told.
    fn told(answer: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let names = |value: &Value| Some((text(&value[0])?, text(&value[1])?));
        let (mut book, mut bodies) = (Book::default(), HashMap::new());
        for pointer in answer["stages"].as_array()? {
            book.pointers.insert(names(pointer)?, Pointer::decode(pointer[2].as_str()?.as_bytes())?);
        }
        for deployment in answer["deployments"].as_array()? {
            book.heads.insert(names(deployment)?, Head::decode(deployment[2].as_str()?.as_bytes())?);
            bodies.insert(names(deployment)?, text(&deployment[3])?.into_bytes());
        }
        Some(Self { book, bodies, file: text(&answer["file"]).map(PathBuf::from) })
    }

    /// A configuration with what its stages run put into it. Stages that have run nothing yet run what it says.
    pub(crate) fn applied(&self, model: &Model) -> Result<Model> {
        let thaw = |api: &str, id: &str| {
            let body = self.bodies.get(&(api.to_owned(), id.to_owned())).ok_or("it is not kept")?;
            frozen::thaw(body).map(Arc::new)
        };
        let ice = Ice { freeze: &frozen::freeze, thaw: &thaw };
        Draft::new(self.book.clone(), model, ice, 0, "").applied().map_err(|why| anyhow!(why))
    }
}

//! Deployments that somebody wants to be kept no more (row 29).

use super::{Book, Draft, Event, Names, Pointer, listed};

impl Draft<'_> {
    /// Forgets a deployment that no stage of the configuration needs.
    pub(crate) fn delete(&mut self, api: &str, id: &str) -> Result<(), String> {
        let names = (api.to_owned(), id.to_owned());
        if !self.book.heads.contains_key(&names) {
            return Err(self.no_deployment(api, id));
        }
        let of_api = self.model.apis.iter().filter(|own| own.name == api);
        let stages = of_api.flat_map(|own| &own.stages).filter_map(|stage| {
            let pointer = self.book.pointer(api, &stage.name)?;
            let canary = pointer.canary.as_ref().and_then(|canary| canary.deployment.as_deref());
            let why = if pointer.deployment == id {
                "runs it"
            } else if canary == Some(id) {
                "has it as its canary"
            } else if pointer.seen == id {
                "was pointed elsewhere while the configuration says what it says"
            } else {
                return None;
            };
            Some(format!("stage `{}` {why}", stage.name))
        });
        let stages: Vec<_> = stages.collect();
        if !stages.is_empty() {
            return Err(format!(
                "Active stages pointing to this deployment must be moved or deleted: {} of API `{api}`",
                stages.join(", ")
            ));
        }
        // Stages that the configuration has no more begin anew if it has them again.
        let of_old =
            |((own, _), pointer): &(&Names, &Pointer)| own == api && pointer.uses().any(|it| it == id);
        let old: Vec<_> = self.book.pointers.iter().filter(of_old).map(|(names, _)| names.clone()).collect();
        for (api, stage) in old {
            self.book.pointers.remove(&(api.clone(), stage.clone()));
            self.change.pointers.push((api, stage, None));
        }
        self.drop_deployment(names);
        Ok(())
    }

    /// Forgets all deployments but the newest so many of each API, and those that a stage needs.
    pub(crate) fn prune(&mut self, api: Option<&str>, keep: usize) -> Result<(), String> {
        let is_asked = |own: &str| api.is_none_or(|api| api == own);
        let mut apis: Vec<_> = self.book.heads.keys().map(|(api, _)| api.clone()).collect();
        apis.dedup();
        apis.retain(|own| is_asked(own));
        if let (true, Some(api)) = (apis.is_empty(), api) {
            return Err(format!("there is no deployment of an API `{api}`"));
        }
        for api in apis {
            let old = |book: &Book| {
                let newest_first = book.deployments(&api).into_iter().rev().map(|(id, _)| id.to_owned());
                newest_first.skip(keep).filter(|id| !book.is_in_use(&api, id)).collect::<Vec<_>>()
            };
            for id in old(&self.book) {
                self.drop_deployment((api.clone(), id));
            }
        }
        Ok(())
    }

    fn drop_deployment(&mut self, names: Names) {
        self.book.heads.remove(&names);
        self.change.dropped.push(names.clone());
        let (api, from) = names;
        self.done.push(Event {
            at_unix_s: self.now_unix_s,
            by: self.by.clone(),
            api,
            stage: String::new(),
            what: "delete",
            to: String::new(),
            from,
            note: String::new(),
        });
    }

    /// Why an id leads nowhere, and which would lead somewhere.
    pub(super) fn no_deployment(&self, api: &str, id: &str) -> String {
        let kept: Vec<_> = self.book.deployments(api).iter().rev().map(|(id, _)| *id).collect();
        format!(
            "Invalid Deployment identifier specified: API `{api}` has no deployment `{id}`; it has {}",
            listed(&kept)
        )
    }
}

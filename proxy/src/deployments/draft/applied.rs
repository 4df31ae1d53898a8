//! The configuration with what its stages run put into it: what is compiled.

use std::sync::Arc;

use model::{Api, Model, Stage, Upstream};

use super::{Draft, Pointer, upstreams_of};

impl Draft<'_> {
    /// The configuration with what its stages run put into it.
    pub(crate) fn applied(&self) -> Result<Model, String> {
        let mut model = self.model.clone();
        let mut missing: Vec<Upstream> = Vec::new();
        for (api, of_file) in model.apis.iter_mut().zip(&self.model.apis) {
            for stage in &mut api.stages {
                let Some(pointer) = self.book.pointer(&api.name, &stage.name) else { continue };
                let is_promoted = |canary: &&model::Canary| {
                    !pointer.promoted.is_empty() && canary.variables == pointer.promoted
                };
                if stage.canary.as_ref().filter(is_promoted).is_some() {
                    for (name, value) in &pointer.promoted {
                        stage.variables.retain(|(own, _)| own != name);
                        stage.variables.push((name.clone(), value.clone()));
                    }
                }
                stage.deployment =
                    Some(self.deployment(of_file, &pointer.deployment, &pointer.cache_id, &mut missing)?);
                stage.canary = self.canary(of_file, stage, pointer, &mut missing)?;
            }
        }
        for upstream in missing {
            if !model.upstreams.iter().any(|own| own.name == upstream.name) {
                model.upstreams.push(upstream);
            }
        }
        Ok(model)
    }

    /// What a stage's canary comes to; `None` where it serves nothing of its own.
    fn canary(
        &self,
        api: &Api,
        stage: &Stage,
        pointer: &Pointer,
        missing: &mut Vec<Upstream>,
    ) -> Result<Option<model::Canary>, String> {
        let Some(canary) = pointer.canary.as_ref().filter(|canary| canary.percent > 0.0) else {
            return Ok(None);
        };
        let own = canary.deployment.as_ref();
        let deployment = own.map(|id| self.deployment(api, id, id, missing)).transpose()?;
        let settings = stage.canary.clone();
        let variables = settings.as_ref().map(|it| it.variables.clone()).unwrap_or_default();
        Ok((deployment.is_some() || !variables.is_empty()).then(|| model::Canary {
            percent: canary.percent,
            deployment,
            variables,
            use_stage_cache: settings.as_ref().is_some_and(|it| it.use_stage_cache),
            judge: settings.and_then(|it| it.judge),
        }))
    }

    /// A deployment, and what it needs that the configuration has no more. Where the configuration says the same, that is taken: it
    /// knows where it was written.
    fn deployment(
        &self,
        api: &Api,
        id: &str,
        cache_id: &str,
        missing: &mut Vec<Upstream>,
    ) -> Result<model::Deployment, String> {
        let names = (api.name.clone(), id.to_owned());
        let head = self
            .book
            .heads
            .get(&names)
            .ok_or_else(|| format!("deployment `{id}` of API `{}` is not there", api.name))?;
        let thawed = self.thawed(api, id)?;
        let definition = if self.is_now(api, &thawed.definition) {
            Arc::new(api.definition.clone())
        } else {
            let used = upstreams_of(&thawed.definition);
            missing.extend(thawed.upstreams.iter().filter(|it| used.contains(&*it.name)).cloned());
            thawed.definition.clone()
        };
        Ok(model::Deployment {
            id: id.to_owned(),
            description: head.description.clone(),
            created_unix_s: head.created_unix_s,
            definition,
            cache_id: cache_id.to_owned(),
        })
    }
}

//! `floodgate explain`: what would become of a request, and why. Nothing is asked and nothing is written: the request passes through
//! the snapshot, the exchange, the policies and the templates that would serve it (`offline`), and what they say is told (`told`).

mod offline;
mod sample;
mod shown;
#[cfg(test)]
mod tests;
mod told;

use std::sync::Arc;

use anyhow::{Context as _, Result};
use message::RequestId;
use model::Model;
use snapshot::Snapshot;

use crate::{
    bar::Bar,
    cli::Explain,
    commands::{self, Scratch},
    deployments::Deployed,
    openapi,
    publisher::Publisher,
    say,
};
use offline::Trace;
use sample::{Reply, Sample};
use told::{Explanation, Of, Teller};

/// Others that are told of unless all are wanted.
const OTHERS_MAX: usize = 8;

/// `floodgate explain`.
pub(crate) fn explain(asked: &Explain) -> Result<()> {
    let told = look(asked)?;
    say::out(&if asked.json {
        serde_json::to_string_pretty(&shown::value(&told))?
    } else {
        shown::text(&told)
    });
    Ok(())
}

/// Reads, compiles and lets the request pass.
fn look(asked: &Explain) -> Result<Explanation> {
    let deployed = Deployed::asked(asked.deployed.state.as_deref(), asked.deployed.socket.as_deref())?;
    let named = match &asked.what[..] {
        [file, _] => Some(file.into()),
        _ => None,
    };
    let file = commands::file_or(named, deployed.as_ref())?;
    let bar = Bar::of_work();
    let read = openapi::origin(&file, &asked.document)?.read(bar.progress())?;
    read.warn();
    let model = match &deployed {
        Some(deployed) => deployed.applied(&read.model)?,
        None => read.model.clone(),
    };
    let scratch = Scratch::new(None)?;
    let (mut publisher, _) = Publisher::new(&scratch.0)?;
    let snapshot =
        publisher.compile(&read, &model, bar.progress()).map_err(|rendered| read.refused(rendered))?;
    drop(bar);
    let snapshot = Arc::into_inner(snapshot).context("somebody else has the snapshot")?;
    of_request(asked, snapshot, &model)
}

/// What is told of a request to what was compiled of a model.
fn of_request(asked: &Explain, mut snapshot: Snapshot, model: &Model) -> Result<Explanation> {
    let sample = Sample::of(asked, &snapshot)?;
    let reply = Reply::of(asked)?;
    // The draw of a request that is a canary's, wherever there is one, or of one that is as good as never.
    let id = RequestId::new(if asked.canary { [0; 16] } else { [0xff; 16] });
    let others_max = if asked.all { usize::MAX } else { OTHERS_MAX };
    let of = Of { model, sample: &sample, id, others_max };
    let mut told = Teller { snapshot: &snapshot, of }.begin();
    let mut request = match sample.read(&snapshot) {
        Ok(request) => request,
        Err(refused) => {
            let (response, why) = *refused;
            told.notes.push(format!("it is no request that is served: {why}"));
            told.answer = Some(told::answer(&response, None));
            return Ok(told);
        }
    };
    if let Some(Err(why)) =
        reply.as_ref().map(|reply| reply.read(&request, &mut message::Response::default()))
    {
        told.notes.push(format!("no backend's answer is taken that is so: {why}"));
    }
    let slot = Teller { snapshot: &snapshot, of }.way(&request, &mut told);
    if asked.canary && !told.is_canary {
        told.notes.push("the stage has no canary".to_owned());
    }
    let trace = Arc::new(Trace::default());
    if let Some(slot) = slot {
        offline::watch(&mut snapshot, slot, &trace);
    }
    let outcome = offline::run(&snapshot, &mut request, (&sample, reply.as_ref()), id);
    Teller { snapshot: &snapshot, of }.end(&outcome, &trace, slot, &mut told);
    Ok(told)
}

//! A change of what is in force: the configuration read again, or another of its deployments. Refused whole with every reason, or
//! taken whole, and then it is on the disk before the cores have it.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use control::Reloaded;
use progress::{Phase, Progress};
use serde_json::json;
use shard::Message;

use super::{NAMES_MAX, Node, give_way, held, log_target};
use crate::{
    deployments::{Deed, Wish},
    memory,
    publisher::{Origin, Publisher},
    say,
};

/// How long a change that reads nothing again waits for the first answers about names: what it names was resolved before, as a rule.
const KNOWN_NAMES_MAX: Duration = Duration::from_millis(200);

/// What came of a change.
pub(crate) struct Taken {
    pub(crate) reloaded: Reloaded,
    /// What was done, as programs are told.
    pub(crate) done: Vec<serde_json::Value>,
}

impl Node {
    /// Reads the configuration again and puts it into force, or changes nothing and says why. What was taken is told to the
    /// operator beside its generation.
    pub(crate) fn reload(self: &Arc<Self>) -> Result<Reloaded, String> {
        self.change(|node| node.take_change(&Deed::Follow, "")).map(|taken| taken.reloaded)
    }

    /// Does what was asked of deployments over the admin socket, or answers it.
    pub(crate) fn deployments(self: &Arc<Self>, asked: &str) -> Result<String, String> {
        let (wish, by) = Wish::decode(asked).map_err(|why| refused(&why))?;
        if wish.only_asks() {
            return self.answer(&wish);
        }
        let taken = self.change(move |node| node.take_change(&Deed::Wish(&wish), &by))?;
        let Reloaded { generation, notes } = taken.reloaded;
        Ok(json!({ "generation": generation, "notes": notes, "done": taken.done }).to_string())
    }

    /// Makes a change on a thread that gives way: compiling takes a while, and the cores' own threads shall not wait for a processor.
    pub(super) fn change(
        self: &Arc<Self>,
        take: impl FnOnce(&Arc<Self>) -> Result<Taken, String> + Send + 'static,
    ) -> Result<Taken, String> {
        let mut change = Change { node: self, outcome: "; the last reload failed by a fault of its own" };
        self.manager.reloading();
        self.ask(|| Message::Watch);
        let node = self.clone();
        let publish = thread::Builder::new().name("publish".into()).spawn(move || {
            give_way();
            take(&node)
        });
        let taken = match publish {
            Ok(thread) => thread.join().unwrap_or_else(|_| Err("it failed by a fault of its own".into())),
            Err(error) => Err(format!("cannot start a thread: {error}")),
        };
        let counter = if taken.is_ok() { &self.reloads } else { &self.reloads_refused };
        counter.fetch_add(1, Ordering::Relaxed);
        change.outcome = if taken.is_ok() { "" } else { "; the last reload was refused, see the log" };
        taken
    }

    /// Does a deed, on the thread that calls.
    pub(crate) fn take_change(self: &Arc<Self>, deed: &Deed<'_>, by: &str) -> Result<Taken, String> {
        let cores = self.cores.get().ok_or("the node is still starting")?;
        let mut publisher = held(&self.publisher);
        let _told = Told(&self.progress);
        let mut taken = held(&self.taken);
        let fresh = if deed.reads() {
            let mut read = self.origin.read(&self.progress).map_err(|bad| {
                self.cover(bad.footprint);
                bad.rendered
            })?;
            // What the command line said goes on to count more than what the file says.
            self.overrides.apply(&mut read.model);
            self.cover(read.footprint.clone());
            Publisher::check_change(&taken.model, &read)?;
            Some(read)
        } else {
            None
        };
        let read = fresh.as_ref().unwrap_or(&taken);
        let mut deployments = self.deployments.as_ref().map(held);
        self.progress.begin(Phase::Compare, 0);
        let drafted = match &deployments {
            Some(deployments) => Some(deployments.draft(read, deed, by).map_err(|why| refused(&why))?),
            None if matches!(deed, Deed::Follow) => None,
            None => return Err(refused(FLAGS_ALONE)),
        };
        let model = drafted.as_ref().map_or(&read.model, |drafted| &drafted.model);
        self.forget_groups(&mut publisher);
        let snapshot = publisher.compile(read, model, &self.progress)?;
        if let Some(read) = &fresh {
            read.warn();
            held(&self.log).retarget(log_target(&read.model)).map_err(|error| error.to_string())?;
        }
        self.progress.begin(Phase::Resolve, 0);
        self.resolve(&snapshot, if fresh.is_some() { NAMES_MAX } else { KNOWN_NAMES_MAX });
        let mut notes = Vec::new();
        let mut done = Vec::new();
        if let (Some(deployments), Some(mut drafted)) = (&mut deployments, drafted) {
            notes = std::mem::take(&mut drafted.notes);
            self.progress.begin(Phase::Keep, 0);
            let committed = deployments.commit(drafted);
            done = committed.map_err(|error| refused(&format!("it could not be written down: {error}")))?;
        }
        self.progress.begin(Phase::Publish, 0);
        let late = publisher.publish(&snapshot, &cores.posts)?;
        self.generation.store(snapshot.generation, Ordering::Relaxed);
        notes.extend(late);
        if let Some(read) = fresh {
            let memory_limit = memory::Limit::new(read.model.node.memory_max);
            notes.extend(memory_limit.cuts(self.cache_bytes_max).map(|(_, text)| {
                let text =
                    format!("from the next start on, {text}; until then it shrinks when memory is short");
                say::warning(&text);
                text
            }));
            *held(&self.memory_limit) = memory_limit;
            notes.extend(self.change_front_line(&read.model));
            notes.extend(self.keep(&read));
            self.watch(&read);
            *taken = read;
        }
        let reloaded = Reloaded { generation: snapshot.generation, notes: notes.join("\n") };
        Ok(Taken { reloaded, done })
    }

    /// Answers what changes nothing.
    fn answer(&self, wish: &Wish) -> Result<String, String> {
        let Some(deployments) = &self.deployments else { return Err(refused(FLAGS_ALONE)) };
        if let Wish::Canary { api, stage, .. } = wish {
            let mut answer = {
                let taken = held(&self.taken);
                held(deployments).answer(&taken, wish).map_err(|why| refused(&why))?
            };
            answer["seen"] = self.seen(api, stage);
            return Ok(answer.to_string());
        }
        if *wish == Wish::Deployed {
            // Whoever asks is elsewhere, and reads what the node has read.
            let file = match &self.origin {
                Origin::File(file) => std::path::absolute(file).ok(),
                Origin::OpenApi(_) | Origin::Flags(_) => None,
            };
            let answer = held(deployments).deployed(file.as_deref());
            return answer.map(|it| it.to_string()).map_err(|error| refused(&format!("{error:#}")));
        }
        let _told = Told(&self.progress);
        let answer = if matches!(wish, Wish::Diff { .. }) {
            let read = self.origin.read(&self.progress).map_err(|bad| bad.rendered)?;
            self.progress.begin(Phase::Compare, 0);
            held(deployments).answer(&read, wish)
        } else {
            let taken = held(&self.taken);
            held(deployments).answer(&taken, wish)
        };
        answer.map(|answer| answer.to_string()).map_err(|why| refused(&why))
    }
}

/// Why a node without a file has no deployments.
const FLAGS_ALONE: &str =
    "this node runs what its command line says: there is no configuration file that could be deployed";

/// As what is wrong with a configuration is rendered.
fn refused(why: &str) -> String {
    format!("error: {why}\n")
}

/// Something that is told while it lasts: however it ends, nothing is being done then.
struct Told<'a>(&'a Progress);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A change that the service manager was told of: however it ends, it is told so.
struct Change<'a> {
    node: &'a Node,
    outcome: &'static str,
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        self.node.manager.ready(&format!("{}{}", self.node.serving(), self.outcome));
    }
}

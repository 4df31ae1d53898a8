//! Publishing: from what an operator wrote to what every core runs. Refused whole with every reason, or taken whole.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use model::{Diagnostic, Ebpf, Model};
use progress::Progress;
use runtime::Post;
use shard::Message;
use snapshot::{Inputs, Slots, Snapshot, compile, mistakes_within};
use source::{Flags, OpenApi, Outcome, Sources};
use tls::{Tickets, authority::Authority};

use crate::{
    last_good::LastGood,
    say,
    watch::{Footprint, Recorder},
};

/// How long cores may take to swap a snapshot.
const SWAP_MAX: Duration = Duration::from_secs(1);

/// How long a full mailbox is left alone before it is tried again.
const MAILBOX_PAUSE: Duration = Duration::from_millis(1);

/// Where the configuration comes from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// A file and what it includes.
    File(PathBuf),
    /// An OpenAPI document that is served by itself.
    OpenApi(Box<OpenApi>),
    /// The command line.
    Flags(Box<Flags>),
}

/// A configuration that was refused.
#[derive(Debug)]
pub(crate) struct BadConfiguration {
    /// What was wrong with it, rendered.
    pub(crate) rendered: String,
    /// The state folder that it names, if it could be read so far.
    pub(crate) state: Option<PathBuf>,
    /// What it was read from.
    pub(crate) footprint: Footprint,
}

impl std::fmt::Display for BadConfiguration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.rendered)
    }
}

impl std::error::Error for BadConfiguration {}

/// What was read and is right in itself.
#[derive(Clone)]
pub(crate) struct Read {
    pub(crate) model: Model,
    /// What it was read from.
    pub(crate) footprint: Footprint,
    /// Whether it was kept by an earlier run, and not read from the operator's files.
    pub(crate) is_last_good: bool,
    pub(crate) sources: Sources,
    warnings: Vec<Diagnostic>,
}

/// Makes snapshots. One for the life of the process: slots and ticket keys are kept from one to the next.
pub(crate) struct Publisher {
    authority: Authority,
    tickets: Tickets,
    slots: Slots,
    generation: u64,
    current: Option<Arc<Snapshot>>,
    /// Those before it, for as long as requests that began with them use them.
    retired: Vec<Arc<Snapshot>>,
}

impl Origin {
    /// Reads; every mistake, rendered, if there is any.
    pub(crate) fn read(&self, progress: &Progress) -> Result<Read, BadConfiguration> {
        match self {
            Self::File(path) => {
                let recorder = Recorder::new(progress);
                let outcome = source::load(path, &recorder);
                Read::of(outcome, recorder.footprint(), false)
            }
            Self::OpenApi(what) => {
                let recorder = Recorder::new(progress);
                let outcome = source::from_openapi(what, &recorder);
                Read::of(outcome, recorder.footprint(), false)
            }
            Self::Flags(flags) => Read::of(source::from_flags(flags), Footprint::default(), false),
        }
    }
}

impl Read {
    /// What was kept by an earlier run; a document as the command line says now.
    pub(crate) fn last_good(origin: &Origin, kept: &LastGood) -> Result<Self, BadConfiguration> {
        let outcome = match origin {
            Origin::OpenApi(what) => {
                let what = OpenApi { path: kept.main().to_owned(), ..(**what).clone() };
                source::from_openapi(&what, kept)
            }
            Origin::File(_) | Origin::Flags(_) => source::load(kept.main(), kept),
        };
        Self::of(outcome, Footprint::default(), true)
    }

    fn of(outcome: Outcome, footprint: Footprint, is_last_good: bool) -> Result<Self, BadConfiguration> {
        let Outcome { model, draft, mut diagnostics, sources, state } = outcome;
        match model {
            Some(model) => Ok(Self { model, footprint, is_last_good, sources, warnings: diagnostics }),
            None => {
                let more = draft.map(|draft| mistakes_within(&draft)).unwrap_or_default();
                diagnostics.extend(more);
                let rendered = source::render(&diagnostics, &sources, say::has_colour());
                Err(BadConfiguration { rendered, state, footprint })
            }
        }
    }

    /// It was refused for this after all.
    pub(crate) fn refused(&self, rendered: String) -> BadConfiguration {
        let state = self.model.node.state.clone();
        BadConfiguration { rendered, state, footprint: self.footprint.clone() }
    }

    /// What works and will surprise.
    pub(crate) fn warn(&self) {
        self.show(&self.warnings);
    }

    fn show(&self, diagnostics: &[Diagnostic]) {
        if !diagnostics.is_empty() {
            say::diagnostics(&self.render(diagnostics));
        }
    }

    fn render(&self, diagnostics: &[Diagnostic]) -> String {
        source::render(diagnostics, &self.sources, say::has_colour())
    }
}

impl Publisher {
    /// Opens the local authority in the state folder.
    pub(crate) fn new(state: &Path) -> Result<(Self, bool), tls::Error> {
        let (authority, created) = Authority::open_or_create(&state.join("authority"), unix_s())?;
        let publisher = Self {
            authority,
            tickets: Tickets::new(),
            slots: Slots::default(),
            generation: 0,
            current: None,
            retired: Vec::new(),
        };
        Ok((publisher, created.0))
    }

    /// Path of the local authority's certificate.
    pub(crate) fn authority_path(&self) -> PathBuf {
        self.authority.certificate_path()
    }

    /// Compiles what was read, with what its stages run put into it; every mistake, rendered, if there is any. Warnings are shown.
    pub(crate) fn compile(
        &mut self,
        read: &Read,
        model: &Model,
        progress: &Progress,
    ) -> Result<Arc<Snapshot>, String> {
        let unix_s = unix_s();
        let live = self.live();
        self.slots.reclaim_routes(|slot| {
            live.iter().any(|labels| labels.routes.get(slot as usize).is_some_and(Option::is_some))
        });
        let authority = &self.authority;
        let mut inputs = Inputs {
            read: &|path| std::fs::read(path),
            leaf: &|names| authority.leaf(names, unix_s),
            tickets: &self.tickets,
            slots: &mut self.slots,
            before: self.current.as_deref(),
            generation: self.generation + 1,
            unix_s,
            progress,
        };
        let (snapshot, found) = compile(model, &mut inputs);
        match snapshot {
            Some(snapshot) => {
                self.generation += 1;
                read.show(&found);
                Ok(Arc::new(snapshot))
            }
            None => Err(read.render(&found)),
        }
    }

    /// What slots are called that requests may use or count under.
    fn live(&mut self) -> Vec<Arc<telemetry::Labels>> {
        self.free();
        self.current.iter().chain(&self.retired).map(|live| live.labels.clone()).collect()
    }

    /// Slots of upstream groups that no request can use any more.
    pub(crate) fn vacated(&mut self) -> Vec<u32> {
        let live = self.live();
        let is_used =
            |slot| live.iter().any(|labels| labels.upstreams.get(slot as usize).is_some_and(Option::is_some));
        self.slots.vacate_upstreams(is_used).to_vec()
    }

    /// All cores have forgotten what stood in [`Self::vacated`], or will before they hear of anything else.
    pub(crate) fn reclaim(&mut self) {
        self.slots.reclaim_upstreams();
    }

    /// What is in force from now on: cores are about to be given it.
    pub(crate) fn put_in_force(&mut self, snapshot: &Arc<Snapshot>) {
        self.retired.extend(self.current.replace(snapshot.clone()));
    }

    /// What the slots of what is in force are called.
    pub(crate) fn labels(&self) -> Option<Arc<telemetry::Labels>> {
        Some(self.current.as_ref()?.labels.clone())
    }

    /// Frees what no request uses any more; how many generations are left beside the one in force.
    pub(crate) fn free(&mut self) -> usize {
        self.retired.retain(|snapshot| Arc::strong_count(snapshot) > 1);
        self.retired.len()
    }

    /// Hands a snapshot to every core and waits until each has taken it, or says which is late: it takes it when it can.
    pub(crate) fn publish(
        &mut self,
        snapshot: &Arc<Snapshot>,
        posts: &[Post<Message>],
    ) -> Result<Option<String>, String> {
        self.put_in_force(snapshot);
        let deadline = Instant::now() + SWAP_MAX;
        let (done, taken) = mpsc::channel();
        for post in posts {
            let mut letter = Message::Publish(snapshot.clone(), done.clone());
            while let Err(back) = post.send(letter) {
                if Instant::now() > deadline {
                    return Err(format!("a core has read none of its letters for {SWAP_MAX:?}; try again"));
                }
                letter = back;
                std::thread::sleep(MAILBOX_PAUSE);
            }
        }
        drop(done);
        for _ in posts {
            match taken.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                // What the core has done away with is freed here.
                Ok(gone) => drop(gone),
                Err(_) => {
                    return Ok(Some(format!(
                        "a core did not take it within {SWAP_MAX:?}; it will when it can"
                    )));
                }
            }
        }
        Ok(None)
    }
}

/// What a running node can't change: what is different, by name.
pub(crate) fn unchangeable(before: &Model, after: &Model) -> Vec<Diagnostic> {
    let (a, b) = (&before.node, &after.node);
    let addresses = |model: &Model| {
        model.listeners.iter().map(|l| (l.name.clone(), l.address, l.plain)).collect::<Vec<_>>()
    };
    let checks = [
        ("listener", addresses(before) != addresses(after)),
        ("node.workers", a.workers != b.workers),
        ("node.driver", a.driver != b.driver),
        ("node.state", a.state != b.state),
        ("node.connections_max", a.connections_max != b.connections_max),
        ("admin", a.admin != b.admin),
        ("cache.size", a.cache != b.cache),
        ("demo", a.demo.as_ref().map(|demo| demo.address) != b.demo.as_ref().map(|demo| demo.address)),
    ];
    let checks = checks.into_iter().chain(front_line(a.ebpf.as_ref(), b.ebpf.as_ref()));
    let changed = checks.filter(|(_, changed)| *changed);
    let refused = |key| Diagnostic::error(None, key, format!("`{key}` can't be changed while running"));
    changed.map(|(key, _)| refused(key).help("restart floodgate to apply it")).collect()
}

/// What of the kernel front line is attached to interfaces and sockets once; its rules go on trial at any time.
fn front_line(before: Option<&Ebpf>, after: Option<&Ebpf>) -> Vec<(&'static str, bool)> {
    match (before, after) {
        (Some(a), Some(b)) => vec![
            ("ebpf.interfaces", a.interfaces != b.interfaces),
            ("ebpf.driver", a.driver != b.driver),
            ("ebpf.pins", a.pins != b.pins),
            ("ebpf.steer", a.steer != b.steer),
            ("ebpf.connections", a.connections != b.connections),
        ],
        (a, b) => vec![("ebpf", a.is_some() != b.is_some())],
    }
}

/// The wall clock, in seconds since 1970.
pub(crate) fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Publisher {
    /// Refuses what a running node can't change.
    pub(crate) fn check_change(before: &Model, read: &Read) -> Result<(), String> {
        let found = unchangeable(before, &read.model);
        if found.is_empty() { Ok(()) } else { Err(read.render(&found)) }
    }
}

#[cfg(test)]
mod tests {
    use model::{EbpfFeed, EbpfMode};

    use super::*;

    #[track_caller]
    fn check(change: impl FnOnce(&mut Ebpf), expected: &[&str]) {
        let with = |ebpf| {
            let mut model = Model::default();
            model.node.ebpf = ebpf;
            model
        };
        let before = Ebpf::new(vec!["eth0".into()]);
        let mut after = before.clone();
        change(&mut after);
        let found = unchangeable(&with(Some(before)), &with(Some(after)));
        assert_eq!(found.iter().map(|it| &*it.key).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn rules_of_the_front_line_change_and_what_is_attached_does_not() {
        check(|_| (), &[]);
        check(|it| it.interfaces.push("eth1".into()), &["ebpf.interfaces"]);
        check(|it| it.driver = model::EbpfDriver::Tcx, &["ebpf.driver"]);
        check(|it| it.pins.push("x"), &["ebpf.pins"]);
        check(|it| (it.steer, it.connections) = (false, false), &["ebpf.steer", "ebpf.connections"]);
        let rules = |it: &mut Ebpf| {
            (it.ports, it.admin_ports, it.trial) = (Some(vec![1]), vec![2], Duration::from_secs(9));
            (it.policy.mode, it.policy.flood) = (EbpfMode::Enforce, 1.0);
            (it.allow, it.block) = (vec!["10.0.0.0/8".parse().unwrap()], vec!["::/0".parse().unwrap()]);
            (it.prefixes.ipv4, it.feed) = ([31, 1], Some(EbpfFeed::default()));
        };
        check(rules, &[]);
    }

    #[test]
    fn the_front_line_comes_and_goes_with_a_restart() {
        let (without, mut with) = (Model::default(), Model::default());
        with.node.ebpf = Some(Ebpf::new(vec!["eth0".into()]));
        for (before, after) in [(&without, &with), (&with, &without)] {
            let found = unchangeable(before, after);
            assert_eq!(found.iter().map(|it| &*it.key).collect::<Vec<_>>(), ["ebpf"]);
        }
    }
}

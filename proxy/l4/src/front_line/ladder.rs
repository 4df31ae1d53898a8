//! How far the front line goes on this machine: the object is loaded, each interface gets the best step that works, and what an
//! earlier process left is taken off. Everything that does not work is said once, and is no error.

use super::{FrontLine, Say};
use crate::programs::{Programs, adopt, pin_name, pinned_links, remove_folder};
use crate::settings::Step;
use crate::status::Interface;
use crate::{Rules, kernel, nft, state};
use gate::abi::InForce;

impl FrontLine {
    /// Loads the object and fills the tables. Returns the word that puts the rules in force.
    pub(super) fn load(&mut self, say: Say<'_>) -> Option<InForce> {
        let wants_programs = self.settings.driver.steps().iter().any(|step| step.is_program());
        if !wants_programs && !self.settings.steer && !self.settings.connections {
            return None;
        }
        let folder = state::pins(&self.settings.pins);
        let pins = match kernel::make_pins(&self.settings.pins, &folder) {
            Ok(mounted) => {
                if let Some(at) = mounted {
                    say(format!("front line: a bpffs was mounted at {}", at.display()));
                }
                Some(folder)
            }
            Err(error) => {
                say(format!("front line: nothing can be pinned, so it goes when this process ends: {error}"));
                None
            }
        };
        let loaded = Programs::load(pins).and_then(|mut programs| {
            let tables = programs.tables()?;
            let events = programs.events()?;
            Ok((programs, tables, events))
        });
        let filled = loaded.and_then(|(programs, tables, events)| {
            let is_fresh = programs.is_fresh();
            self.programs = Some(programs);
            self.tables = Some(tables);
            self.events = Some(events);
            self.fill(is_fresh)
        });
        match filled {
            Ok(then) => {
                if let Err(error) = adopt(&self.settings.pins, &state::pins(&self.settings.pins)) {
                    say(format!("front line: what an earlier version attached can't be taken over: {error}"));
                }
                return then;
            }
            Err(error) => say(format!("front line: no programs in the kernel: {error}")),
        }
        self.forget_programs();
        None
    }

    /// Without programs; what is pinned and attached stays if it was there before: it may be another's way in.
    fn forget_programs(&mut self) {
        (self.programs, self.tables, self.events) = (None, None, None);
        let folder = state::pins(&self.settings.pins);
        if pinned_links(&folder).is_empty() {
            remove_folder(&folder);
            kernel::remove_pins(&self.settings.pins);
        }
    }

    /// Finds the step for each interface.
    pub(super) fn climb(&mut self, rules: &Rules, say: Say<'_>) {
        for name in self.settings.interfaces.clone() {
            let (step, index) = match kernel::index(&name) {
                Ok(index) => (self.climb_one(&name, index, rules, say), index),
                Err(error) => {
                    say(format!(
                        "front line: {name}: there is no such interface ({error}): only at accept until it comes"
                    ));
                    (Step::Accept, 0)
                }
            };
            self.interfaces.push(Interface { name, step });
            self.indexes.push(index);
        }
        self.set_outside(rules);
    }

    /// Rules for interfaces without a program of ours, if there are any.
    fn set_outside(&mut self, rules: &Rules) {
        if self.interfaces.iter().all(|interface| interface.step.is_program()) {
            self.outside = None;
            self.state.outside = None;
        } else if self.outside.is_none() {
            self.outside = Some(self.outside_with(rules.clone(), None));
            self.state.outside = Some(rules.digest());
        }
    }

    /// An interface that came, or was made anew, finds its step. One that somebody took the gate off is left alone from then on.
    pub(super) fn look_after(&mut self, say: Say<'_>) {
        let folder = state::pins(&self.settings.pins);
        let is_pinned = self.programs.as_ref().is_some_and(Programs::is_pinned);
        let mut is_new = false;
        let mut taken_off = Vec::new();
        for at in 0..self.interfaces.len() {
            let Interface { name, step } = self.interfaces[at].clone();
            let index = kernel::index(&name).unwrap_or(0);
            let before = std::mem::replace(&mut self.indexes[at], index);
            if index == 0 && before != 0 {
                say(format!("front line: {name}: the interface is gone"));
            } else if index != before {
                let rules = self.outside.as_ref().map_or(&self.rules, |outside| &outside.rules).clone();
                self.interfaces[at].step = self.climb_one(&name, index, &rules, say);
                is_new = true;
            } else if is_pinned
                && index != 0
                && step.is_program()
                && !folder.join(pin_name(step, &name, index)).exists()
            {
                taken_off.push(name);
            }
        }
        if !taken_off.is_empty() {
            self.leave(|interface| taken_off.contains(&interface.name), say);
        }
        if is_new {
            self.set_outside(&self.rules.clone());
            // Without the lock: what another writes at this moment is read when the rules change next.
            self.tidy_up(say);
            self.store(say);
        }
    }

    /// Leaves interfaces alone that somebody else detached.
    pub(super) fn leave(&mut self, is_left: impl Fn(&Interface) -> bool, say: Say<'_>) {
        for at in
            (0..self.interfaces.len()).rev().filter(|&at| is_left(&self.interfaces[at])).collect::<Vec<_>>()
        {
            let Interface { name, step } = self.interfaces.remove(at);
            self.indexes.remove(at);
            say(format!(
                "front line: {name}: somebody took it off {step}: it is left alone until the next start"
            ));
        }
        if self.interfaces.iter().all(|interface| interface.step.is_program()) {
            self.outside = None;
        }
    }

    fn climb_one(&mut self, name: &str, index: u32, rules: &Rules, say: Say<'_>) -> Step {
        for &step in self.settings.driver.steps() {
            let why = match step {
                Step::Accept => break,
                Step::Nftables => {
                    let names: Vec<_> =
                        self.at_nftables(Some(name)).chain([name]).map(str::to_owned).collect();
                    self.load_nft_at(rules, &names).map_err(|error| error.to_string())
                }
                // Why there are none was said once for all.
                _ => match &mut self.programs {
                    None => continue,
                    Some(programs) => programs.attach(step, name, index),
                },
            };
            match why {
                Ok(()) => {
                    say(format!("front line: {name}: {step}"));
                    return step;
                }
                Err(why) => say(format!("front line: {name}: not by {step}: {why}")),
            }
        }
        say(format!("front line: {name}: {}, by the gateway itself", Step::Accept));
        Step::Accept
    }

    /// Interfaces that are there and at nftables, but for one.
    pub(super) fn at_nftables<'a>(&'a self, but: Option<&'a str>) -> impl Iterator<Item = &'a str> {
        let there = self.interfaces.iter().zip(&self.indexes).filter(|(_, index)| **index != 0);
        let at = there.filter(|(interface, _)| interface.step == Step::Nftables);
        at.map(|(interface, _)| interface.name.as_str()).filter(move |name| Some(*name) != but)
    }

    /// Takes off what an earlier process attached and nobody names any more.
    pub(super) fn tidy_up(&mut self, say: Say<'_>) {
        let placed =
            self.interfaces.iter().zip(&self.indexes).filter(|(interface, _)| interface.step.is_program());
        let taken: Vec<_> =
            placed.map(|(Interface { name, step }, index)| pin_name(*step, name, *index)).collect();
        let folder = state::pins(&self.settings.pins);
        for (name, (step, interface, _)) in pinned_links(&folder) {
            if !taken.contains(&name) {
                match std::fs::remove_file(folder.join(name)) {
                    Ok(()) => say(format!("front line: {interface}: no longer by {step}")),
                    Err(error) => say(format!("front line: {interface}: still by {step}: {error}")),
                }
            }
        }
        let had_nft = self.state.steps.iter().any(|(_, step)| *step == Step::Nftables);
        if had_nft
            && !self.has(Step::Nftables)
            && let Err(error) = nft::load(&nft::delete())
        {
            say(format!("front line: the table of nftables is still there: {error}"));
        }
        if taken.is_empty() && !self.settings.steer && !self.settings.connections {
            self.forget_programs();
        }
    }

    /// Has the kernel tell of the connections of this process' control group from now on, if it was asked for. Nobody else's are told of
    /// then: for who serves, not for who only attaches.
    pub fn observe(&mut self, say: Say<'_>) {
        if let (true, Some(programs)) = (self.settings.connections, &mut self.programs) {
            let observed =
                kernel::own_cgroup().map_err(str::to_owned).and_then(|cgroup| programs.observe(&cgroup));
            self.is_observing = observed.is_ok();
            if let Err(why) = observed {
                say(format!("front line: the kernel tells nothing of connections: {why}"));
            }
        }
    }
}

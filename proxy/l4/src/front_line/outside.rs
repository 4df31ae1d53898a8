//! Where no program of ours runs, at nftables and at accept: rules that this process itself must bring and take back, and whom verdicts
//! hold back there.

use super::{FrontLine, Say};
use crate::settings::Step;
use crate::state::{Lock, State};
use crate::verdicts::{Held, Stamp, Verdicts, stamp};
use crate::{Error, Rules, kernel, nft};
use ipnet::IpNet;
use std::time::Duration;

/// Rules that this process itself must bring and take back.
pub(super) struct Outside {
    pub(super) rules: Rules,
    /// What holds if they are not committed; `None`: nothing.
    pub(super) before: Option<Rules>,
    /// `CLOCK_MONOTONIC`; `None`: they are not on trial.
    pub(super) ends_ns: Option<u64>,
}

/// Who is held back or let in there beside the rules.
#[derive(Default)]
pub(super) struct Beside {
    /// By whom their clock is told; see [`kernel::boot`].
    boot: String,
    /// As they hold now.
    verdicts: Verdicts,
    /// Ours, that are not in the file yet.
    unstored: Vec<(IpNet, Held)>,
    /// The files of verdicts and state as they were read last: others write them too.
    read: [Option<Stamp>; 2],
    /// What the rules of nftables were made for, and what its sets were given.
    in_nft: [nft::Held; 2],
    /// What could not be done about them, as it was said.
    fault: Option<String>,
}

impl FrontLine {
    pub(super) fn outside_with(&self, rules: Rules, before: Option<Rules>) -> Outside {
        let is_good = self.settings.trial.is_zero() || self.state.committed == Some(rules.digest());
        let trial_ns = u64::try_from(self.settings.trial.as_nanos()).unwrap_or(u64::MAX);
        let ends_ns = (!is_good).then(|| kernel::now_ns().saturating_add(trial_ns));
        Outside { rules, before, ends_ns }
    }

    /// What holds from an earlier process: verdicts, and what is allowed by hand if the rules are still the same.
    pub(super) fn remember(&mut self, say: Say<'_>) {
        self.beside.boot = kernel::boot();
        if let Err(error) = self.read_verdicts() {
            say(format!("front line: who was held back can't be read: {error}"));
        }
        if self.state.outside != Some(self.rules.digest()) {
            self.beside.verdicts.forget_allowed();
        }
    }

    /// Reads what others have written since. Ours that they do not know yet hold beside it.
    fn read_verdicts(&mut self) -> Result<(), Error> {
        let now = stamp(&self.settings.state.join(Verdicts::FILE));
        if now == self.beside.read[0] {
            return Ok(());
        }
        self.beside.verdicts = Verdicts::load(&self.settings.state, &self.beside.boot)?;
        self.beside.read[0] = now;
        for (prefix, held) in self.beside.unstored.clone() {
            if !self.beside.verdicts.is_shut_out(prefix, held.expires_ns) {
                self.beside.verdicts.hold(prefix, held, kernel::now_ns())?;
            }
        }
        Ok(())
    }

    /// Writes what is only known here; who is busy with the file is waited for until the next time.
    fn store_verdicts(&mut self) -> Result<(), Error> {
        if self.beside.unstored.is_empty() {
            return Ok(());
        }
        match Lock::try_take(&self.settings.state) {
            Err(Error::Busy { .. }) => return Ok(()),
            other => other?,
        };
        self.read_verdicts()?;
        self.write_verdicts()
    }

    /// To be called with the lock.
    fn write_verdicts(&mut self) -> Result<(), Error> {
        self.beside.verdicts.sweep(kernel::now_ns());
        self.beside.verdicts.store(&self.settings.state, &self.beside.boot)?;
        self.beside.unstored.clear();
        self.beside.read[0] = stamp(&self.settings.state.join(Verdicts::FILE));
        Ok(())
    }

    /// Holds a prefix back from the next [`FrontLine::settle`] on.
    pub(super) fn hold_outside(&mut self, prefix: IpNet, held: Held) -> Result<(), Error> {
        if !self.beside.verdicts.is_shut_out(prefix, held.expires_ns) {
            self.beside.verdicts.hold(prefix, held, kernel::now_ns())?;
            self.beside.unstored.push((prefix, held));
        }
        Ok(())
    }

    /// Brings verdicts, one's own and others', to where no table of ours keeps them: to be called after some were made; each beat does it.
    pub fn settle(&mut self) -> Result<(), Error> {
        if self.interfaces.iter().all(|interface| interface.step.is_program()) {
            return Ok(());
        }
        self.read_verdicts()?;
        // Whoever reads of it finds it done.
        let done = self.settle_nft();
        done.and(self.store_verdicts())
    }

    fn settle_nft(&mut self) -> Result<(), Error> {
        let now_ns = kernel::now_ns();
        let held = nft::Held::of(&self.beside.verdicts, now_ns);
        if !self.has(Step::Nftables) || held == self.beside.in_nft[1] {
            return Ok(());
        }
        if let Some(outside) = &self.outside
            && !held.fits(&self.beside.in_nft[0])
        {
            let rules = outside.rules.clone();
            // One that somebody took away is not to come back by this.
            return if nft::is_there() { self.load_nft(&rules) } else { Ok(()) };
        }
        nft::load(&held.text(now_ns))?;
        self.beside.in_nft[1] = held;
        Ok(())
    }

    /// Who is held back, and let in by hand, where no program of ours runs: for who accepts.
    pub const fn verdicts(&self) -> &Verdicts {
        &self.beside.verdicts
    }

    /// Other rules hold: who was let in by hand under the old ones is not any more. To be called with the lock.
    pub(super) fn forget_allowed(&mut self) -> Result<(), Error> {
        self.read_verdicts()?;
        self.beside.verdicts.forget_allowed();
        self.write_verdicts()
    }

    /// How long rules of nftables may hold from now on.
    fn left(&self) -> Duration {
        nft::left(self.turned_ns, kernel::now_ns())
    }

    /// The table of nftables for these rules, where there are interfaces for it.
    pub(super) fn load_nft(&mut self, rules: &Rules) -> Result<(), Error> {
        let names: Vec<_> = self.at_nftables(None).map(str::to_owned).collect();
        if names.is_empty() { Ok(()) } else { self.load_nft_at(rules, &names) }
    }

    /// The same for these interfaces. Who is held back is so from the first packet on, and counts go on.
    pub(super) fn load_nft_at(&mut self, rules: &Rules, interfaces: &[String]) -> Result<(), Error> {
        let now_ns = kernel::now_ns();
        let held = nft::Held::of(&self.beside.verdicts, now_ns);
        let names: Vec<_> = interfaces.iter().map(String::as_str).collect();
        // Where there is no table yet nothing was counted.
        let counted = nft::counters().unwrap_or_default();
        let text = nft::ruleset(rules, &names, &held, &counted)
            + &held.text(now_ns)
            + &nft::beat(rules, self.left());
        nft::load(&text)?;
        self.beside.in_nft = [held.clone(), held];
        Ok(())
    }

    /// What others may do from now on shows in the files.
    pub(super) fn has_stored(&mut self) {
        self.beside.read[1] = stamp(&self.settings.state.join(State::FILE));
    }

    /// Keeps nftables alive, and does what the kernel does where a program of ours runs.
    pub(super) fn beat_outside(&mut self, now_ns: u64, say: Say<'_>) -> Result<(), Error> {
        self.leave_if_detached(say);
        self.settle_or_say(say);
        let Some(outside) = &mut self.outside else { return Ok(()) };
        let mut is_over = false;
        if let Some(ends_ns) = outside.ends_ns {
            let committed = State::load(&self.settings.state)?.committed;
            if committed == Some(outside.rules.digest()) {
                (outside.ends_ns, self.state.committed) = (None, committed);
            } else {
                is_over = ends_ns <= now_ns;
            }
        }
        if is_over {
            let before = outside.before.take();
            say(format!("front line: {}", self.reverted(before.is_some())));
            self.state.outside = before.as_ref().map(Rules::digest);
            self.outside = before.map(|rules| Outside { rules, before: None, ends_ns: None });
            // What is not on trial any more can't be committed by anybody.
            let _lock = Lock::take(&self.settings.state)?;
            self.reload();
            self.state.store(&self.settings.state)?;
            if let Some(rules) = self.outside.as_ref().map(|outside| outside.rules.clone()) {
                self.load_nft(&rules)?;
            } else if self.has(Step::Nftables) {
                nft::load(&nft::rest(&self.rules))?;
            }
        } else if self.has(Step::Nftables)
            && let Some(outside) = &self.outside
            && let Err(error) = nft::load(&nft::beat(&outside.rules, self.left()))
        {
            if nft::is_there() {
                return Err(error);
            }
            self.leave(|interface| interface.step == Step::Nftables, say);
        }
        Ok(())
    }

    /// Verdicts that can't be brought somewhere are said, and do not keep what follows from being done.
    fn settle_or_say(&mut self, say: Say<'_>) {
        let fault = self.settle().err().map(|error| error.to_string()).filter(|_| !self.is_taken_off());
        if let Some(fault) = fault.as_ref().filter(|fault| self.beside.fault.as_ref() != Some(fault)) {
            say(format!("front line: not all who are held back are so: {fault}"));
        }
        self.beside.fault = fault;
    }

    /// Whether somebody else took our table of nftables away; whoever beats finds that out.
    fn is_taken_off(&self) -> bool {
        self.has(Step::Nftables) && !nft::is_there()
    }

    /// Somebody who detaches leaves no step in the state: then nobody is refused at accept any more.
    fn leave_if_detached(&mut self, say: Say<'_>) {
        if !self.has(Step::Accept) {
            return;
        }
        let now = stamp(&self.settings.state.join(State::FILE));
        if now == self.beside.read[1] {
            return;
        }
        self.beside.read[1] = now;
        // One that can't be read says nothing.
        if State::load(&self.settings.state).is_ok_and(|state| state.steps.is_empty()) {
            self.leave(|interface| interface.step == Step::Accept, say);
        }
    }
}

//! `cargo xtask bench --job flood`: good clients beside a flood of SYNs, and how many SYNs one core gets rid of, with the kernel
//! front line, without it, and with limits of nftables that are equally early. All on a cable between two namespaces: the
//! figures are ratios of one machine and nothing else. It knows the gateway as an operator does, by its binary.

mod defence;
mod run;
mod table;

use anyhow::{Context, bail};
use harness::{Bpffs, Network, processors};

use defence::Defence;
use run::{Attack, Machine, Round};

/// Rounds if it is not told how many.
const ROUNDS: usize = 3;

fn main() -> anyhow::Result<()> {
    let rounds = match &std::env::args().skip(1).collect::<Vec<_>>()[..] {
        [] => ROUNDS,
        [rounds] => rounds.parse().context("usage: flood [ROUNDS], with FLOODGATE_BIN")?,
        _ => bail!("usage: flood [ROUNDS], with FLOODGATE_BIN"),
    };
    if let Err(why) = Network::new().and(Bpffs::new()) {
        println!("skipped: flood: {why}");
        return Ok(());
    }
    let [clients, flood, ..] = processors()[..] else {
        println!("skipped: flood: one core for the flood and one for good clients are needed");
        return Ok(());
    };
    let machine = Machine { flood, clients };
    println!(
        "{rounds} rounds; the flood, what the kernel does about it and the gateway on core {flood}, good clients on {clients}"
    );
    let all: Vec<Round> = (0..rounds).map(|number| round(&machine, number)).collect();
    let drop_ns = told(run::drop_ns(&machine), &format!("{}, BPF_PROG_TEST_RUN", Defence::Enforce));
    println!("\n{}", table::markdown(&all, drop_ns));
    println!("{}", table::summary(&all, drop_ns).context("a case of the gate has no figure")?);
    Ok(())
}

/// Every case once, each afresh; another one begins each time, so that what drifts meets all alike.
fn round(machine: &Machine, number: usize) -> Round {
    let mut round = Round::default();
    let count = Defence::ALL.len();
    for defence in (0..count).map(|at| Defence::ALL[(at + number) % count]) {
        for attack in Attack::ALL.into_iter().filter(|_| defence.lets_in()) {
            let case = format!("{defence}, {attack}");
            if let Some(fared) = told(run::good_clients(machine, defence, attack), &case) {
                println!("{case}: {fared}");
                round.clients.insert((defence, attack), fared);
            }
        }
        for attack in Attack::FLOODS {
            let case = format!("{defence}, {attack}");
            if let Some(handled) = told(run::handled(machine, defence, attack), &case) {
                println!("{case}: {handled:.0} SYNs a second on one core");
                round.handled.insert((defence, attack), handled);
            }
        }
    }
    round
}

/// A case that can't be had on this machine has no figure; the others have.
fn told<T>(outcome: anyhow::Result<T>, case: &str) -> Option<T> {
    outcome.inspect_err(|why| println!("{case}: no figure: {why:#}")).ok()
}

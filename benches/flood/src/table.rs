//! Figures as a reader sees them: medians of rounds; ratios are of one round each, since the machine drifts.

use std::fmt::Write as _;

use crate::{
    defence::Defence,
    run::{Attack, Fared, Round},
};

/// What a reader must know of these figures.
const NOTE: &str = "On a cable between namespaces (veth) a packet has its buffer before XDP sees it: limits of nftables that are \
equally early are as fast there. What XDP adds in speed needs a network driver with native XDP, and is not shown here.";

/// The tables.
pub(crate) fn markdown(rounds: &[Round], drop_ns: Option<f64>) -> String {
    let mut text = String::from(
        "| defence | no flood: ok, p50, p99 ms | 16 sources: ok, p50, p99 ms | 60,000 spoofed: ok, p50, p99 ms |\n|---|--:|--:|--:|\n",
    );
    for defence in Defence::ALL.into_iter().filter(|defence| defence.lets_in()) {
        let cells = Attack::ALL.map(|attack| clients(rounds, defence, attack));
        let _ = writeln!(text, "| {defence} | {} |", cells.join(" | "));
    }
    text.push_str(
        "\n| defence | 16 sources: SYN/s on one core | ÷ kernel's cookies | µs a dropped SYN above the floor | 60,000 spoofed: SYN/s | ÷ kernel's cookies |\n|---|--:|--:|--:|--:|--:|\n",
    );
    for defence in Defence::ALL {
        let [few, spoofed] = Attack::FLOODS.map(|attack| of(rounds, |round| handled(round, defence, attack)));
        let above = of(rounds, |round| {
            let us = |defence| handled(round, defence, Attack::Few).map(|per_s| 1e6 / per_s);
            Some(us(defence)? - us(Defence::Floor)?)
        });
        let [few_ratio, spoofed_ratio] = Attack::FLOODS.map(|attack| handled_ratio(rounds, defence, attack));
        let cells = [
            number(few, 0),
            number(few_ratio, 2),
            number(above, 2),
            number(spoofed, 0),
            number(spoofed_ratio, 2),
        ];
        let _ = writeln!(text, "| {defence} | {} |", cells.join(" | "));
    }
    let _ = write!(
        text,
        "\nThe program alone drops a SYN in {} ns (BPF_PROG_TEST_RUN). One core sends, receives and serves; the floor \
         is what that costs where all is dropped at once. ok: the least of {} rounds; other figures are medians.\n\n{NOTE}\n",
        number(drop_ns, 0),
        rounds.len()
    );
    text
}

/// The last line; `None`: a case has no figure.
pub(crate) fn summary(rounds: &[Round], drop_ns: Option<f64>) -> Option<String> {
    let drop_ns = drop_ns?;
    let gate = Defence::Challenge;
    let worse = Attack::FLOODS
        .map(|attack| {
            of(rounds, |round| {
                Some(fared(round, gate, attack)?.p99_ms / fared(round, gate, Attack::Quiet)?.p99_ms)
            })
        })
        .into_iter()
        .try_fold(0.0_f64, |worst, ratio| Some(worst.max(ratio?)))?;
    let of_gate =
        Attack::FLOODS.iter().flat_map(|&attack| rounds.iter().map(move |round| fared(round, gate, attack)));
    let least = of_gate.collect::<Option<Vec<_>>>()?.into_iter().min_by_key(|fared| fared.ok)?;
    let handled = handled_ratio(rounds, Defence::Enforce, Attack::Few)?;
    Some(format!(
        "flood: p99_ratio={worse:.2} ok={}/{} handled_ratio={handled:.2} drop_ns={drop_ns:.0}",
        least.ok, least.count
    ))
}

fn clients(rounds: &[Round], defence: Defence, attack: Attack) -> String {
    let all: Option<Vec<Fared>> = rounds.iter().map(|round| fared(round, defence, attack)).collect();
    let Some(least) = all.and_then(|all| all.into_iter().map(|fared| fared.ok).min()) else {
        return "–".to_owned();
    };
    let of =
        |which: fn(Fared) -> f64| number(of(rounds, |round| fared(round, defence, attack).map(which)), 2);
    format!("{least}, {}, {}", of(|fared| fared.p50_ms), of(|fared| fared.p99_ms))
}

fn fared(round: &Round, defence: Defence, attack: Attack) -> Option<Fared> {
    round.clients.get(&(defence, attack)).copied()
}

fn handled(round: &Round, defence: Defence, attack: Attack) -> Option<f64> {
    round.handled.get(&(defence, attack)).copied()
}

fn handled_ratio(rounds: &[Round], defence: Defence, attack: Attack) -> Option<f64> {
    of(rounds, |round| Some(handled(round, defence, attack)? / handled(round, Defence::Cookies, attack)?))
}

/// The median over the rounds that have it.
fn of(rounds: &[Round], which: impl Fn(&Round) -> Option<f64>) -> Option<f64> {
    let mut all: Vec<f64> = rounds.iter().filter_map(which).filter(|value| value.is_finite()).collect();
    all.sort_by(f64::total_cmp);
    let middle = all.len() / 2;
    if all.len() % 2 == 1 {
        all.get(middle).copied()
    } else {
        Some(f64::midpoint(*all.get(middle.checked_sub(1)?)?, all[middle]))
    }
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::{markdown, summary};
    use crate::{
        defence::Defence,
        run::{Attack, Fared, Round},
    };

    /// A round of a machine that is `slower` than another; only ratios of one round mean anything.
    fn round(slower: f64, ok: usize) -> Round {
        let mut round = Round::default();
        for defence in Defence::ALL {
            for (attack, p99_ms) in Attack::ALL.into_iter().zip([1.0, 1.2, 1.4]) {
                let fared =
                    Fared { ok, count: 201, p50_ms: 0.4, p99_ms: p99_ms * slower, flood_per_s: 180_000.0 };
                round.clients.insert((defence, attack), fared);
                let gate = if defence == Defence::Enforce { 3.0 } else { 1.0 };
                round.handled.insert((defence, attack), 200_000.0 * gate / slower);
            }
        }
        round
    }

    #[track_caller]
    fn check(rounds: &[Round], expected: Option<&str>) {
        assert_eq!(summary(rounds, Some(95.4)).as_deref(), expected);
    }

    #[test]
    fn the_last_line() {
        check(&[round(1.0, 201)], Some("flood: p99_ratio=1.40 ok=201/201 handled_ratio=3.00 drop_ns=95"));
        check(
            &[round(1.0, 201), round(10.0, 200), round(2.0, 201)],
            Some("flood: p99_ratio=1.40 ok=200/201 handled_ratio=3.00 drop_ns=95"),
        );
        check(&[], None);
        check(&[Round::default()], None);
    }

    #[test]
    fn rows() {
        let text = markdown(&[round(1.0, 201), round(3.0, 201)], Some(95.4));
        assert!(
            text.contains("| XDP gate, enforce | 201, 0.40, 2.00 | 201, 0.40, 2.40 | 201, 0.40, 2.80 |\n"),
            "{text}"
        );
        assert!(text.contains("| XDP gate, enforce | 400000 | 3.00 | -6.67 | 400000 | 3.00 |\n"), "{text}");
        assert!(text.contains("in 95 ns"), "{text}");
        assert!(!text.contains("| everything dropped by nftables | 201"), "{text}");
    }
}

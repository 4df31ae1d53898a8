//! `cargo xtask bench --micro`: what a call costs in instructions, against the figures in the repository. Valgrind counts
//! them one by one, so that they are the same with every run and a neighbour makes no difference. It does not know what
//! the cases are: `benches/micro` says that.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fmt,
    fmt::Write,
    fs,
    path::PathBuf,
    process::Command,
};

use anyhow::{Context, ensure};

use crate::{shell, tally::Tally};

/// The figures that were accepted.
const LIMITS: &str = "benches/micro/limits.toml";

/// Programs that count.
const PROGRAMS: [&str; 2] = ["counts", "messages"];

/// Calls that are counted together: `micro::CALLS`.
const CALLS: f64 = 100.0;

/// What `--accept` begins the file with.
const HEAD: &str = "\
# Instructions of 100 calls of each case of benches/micro, optimised as the gateway is, counted by valgrind. Written by
#
#     cargo xtask bench --micro --accept
#
# `cargo xtask test` fails where a count is above its figure by more than the margin, which is there for compilers and C
# libraries that differ a little. A change that costs more accepts a new figure in its own commit and says why it is worth it; one
# that costs less accepts it too, so that it stays won.
";

/// A margin for a new file, in percent.
const MARGIN_PERCENT: f64 = 3.0;

/// What `--accept` puts before the ratios.
const RATIOS_HEAD: &str = "
# How many times as much as another a case may cost: what grows with the size of a thing shows here, whatever both cost. They have no
# margin, and no `--accept` moves them.
[ratios]
";

/// Instructions by case.
type Counts = BTreeMap<String, u64>;

/// What may be.
#[derive(Debug, PartialEq)]
struct Limits {
    margin_percent: f64,
    counts: Counts,
    /// By the case that is bounded.
    ratios: BTreeMap<String, Ratio>,
}

/// So many times as much as another case.
#[derive(Clone, Debug, PartialEq)]
struct Ratio {
    of: String,
    max: f64,
}

/// Counts and judges: how many cases are within their limits, how many are not. With `accept` the counts become the limits.
pub(super) fn run(accept: bool) -> anyhow::Result<Tally> {
    let counts = count()?;
    let path = shell::root().join(LIMITS);
    let limits = fs::read_to_string(&path).ok().map(|text| Limits::read(&text)).transpose()?;
    let margin_percent = limits.as_ref().map_or(MARGIN_PERCENT, |limits| limits.margin_percent);
    let old = limits.unwrap_or(Limits { margin_percent, counts: Counts::new(), ratios: BTreeMap::new() });
    let findings = judge(&counts, &old);
    for (name, count) in &counts {
        let limit =
            old.counts.get(name).map_or_else(|| "no limit".to_owned(), |limit| change(*limit, *count));
        println!("micro: {name:<24} {:>9.1} instructions a call   {limit}", *count as f64 / CALLS);
    }
    for (name, Ratio { of, max }) in &old.ratios {
        if let (Some(count), Some(base)) = (counts.get(name), counts.get(of)) {
            println!("micro: {name} / {of} = {:.2}, at most {max}", *count as f64 / *base as f64);
        }
    }
    for finding in &findings {
        println!("micro: {finding}");
    }
    if accept {
        let passed = counts.len() as u64;
        fs::write(&path, Limits { margin_percent, counts, ratios: old.ratios }.text())?;
        println!("micro: {LIMITS} has these figures now");
        return Ok(Tally::many(passed, 0));
    }
    let failed = findings.iter().filter(|finding| finding.fails()).count() as u64;
    if failed > 0 {
        println!(
            "micro: {failed} checks fail. Where the cost is meant: cargo xtask bench --micro --accept, and say why in the \
             commit; a ratio is a promise and stays"
        );
    }
    let checks = (counts.len() + old.ratios.len()) as u64;
    Ok(Tally::many(checks.saturating_sub(failed), failed))
}

/// The same as a step of CI.
pub(crate) fn test() -> anyhow::Result<Tally> {
    match missing() {
        Some(reason) => Ok(Tally::skipped(&reason)),
        None => run(false),
    }
}

/// Why nothing can be counted here.
fn missing() -> Option<String> {
    shell::which("valgrind").is_none().then(|| "micro: valgrind is missing: cargo xtask setup".to_owned())
}

/// Something about one case.
#[derive(Clone, Debug, PartialEq)]
enum Finding {
    Above {
        name: String,
        limit: u64,
        count: u64,
        margin_percent: f64,
    },
    Below {
        name: String,
        limit: u64,
        count: u64,
    },
    /// Measured, but not in the file.
    NoLimit {
        name: String,
        count: u64,
    },
    /// In the file, but not measured.
    NoCase {
        name: String,
    },
    /// More times as much as another case than it may cost.
    Steep {
        name: String,
        of: String,
        times: f64,
        max: f64,
    },
}

impl Finding {
    fn fails(&self) -> bool {
        match self {
            Self::Above { .. } | Self::NoLimit { .. } | Self::NoCase { .. } | Self::Steep { .. } => true,
            Self::Below { .. } => false,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Above { name, limit, count, margin_percent } => {
                write!(f, "{name} costs more: {}; {margin_percent} % are allowed", change(*limit, *count))
            }
            Self::Below { name, limit, count } => {
                write!(f, "{name} costs less: {}; accept it, so that it stays won", change(*limit, *count))
            }
            Self::NoLimit { name, count } => {
                write!(f, "{name} has no limit in {LIMITS}; it took {:.1} a call", *count as f64 / CALLS)
            }
            Self::NoCase { name } => write!(f, "{name} stands in {LIMITS} and was not measured"),
            Self::Steep { name, of, times, max } => {
                write!(f, "{name} costs {times:.2} times as much as {of}, and {max} times are allowed")
            }
        }
    }
}

/// `1234.5 → 1300.0 (+5.3 %)`.
fn change(limit: u64, count: u64) -> String {
    let (limit, count) = (limit as f64, count as f64);
    format!("{:.1} → {:.1} ({:+.1} %)", limit / CALLS, count / CALLS, (count / limit - 1.0) * 100.0)
}

fn judge(counts: &Counts, limits: &Limits) -> Vec<Finding> {
    let margin_percent = limits.margin_percent;
    let mut findings = Vec::new();
    for (name, &count) in counts {
        let name = name.clone();
        match limits.counts.get(&name) {
            None => findings.push(Finding::NoLimit { name, count }),
            Some(&limit) => {
                let margin = limit as f64 * margin_percent / 100.0;
                if count as f64 > limit as f64 + margin {
                    findings.push(Finding::Above { name, limit, count, margin_percent });
                } else if (count as f64) < limit as f64 - margin {
                    findings.push(Finding::Below { name, limit, count });
                }
            }
        }
    }
    let of_ratios = limits.ratios.iter().flat_map(|(name, ratio)| [name, &ratio.of]);
    let wanted: BTreeSet<_> = limits.counts.keys().chain(of_ratios).collect();
    let gone = wanted.into_iter().filter(|name| !counts.contains_key(*name));
    findings.extend(gone.map(|name| Finding::NoCase { name: name.clone() }));
    findings.extend(limits.ratios.iter().filter_map(|(name, Ratio { of, max })| {
        let times = *counts.get(name)? as f64 / *counts.get(of)? as f64;
        (times > *max).then(|| Finding::Steep { name: name.clone(), of: of.clone(), times, max: *max })
    }));
    findings
}

impl Limits {
    fn read(text: &str) -> anyhow::Result<Self> {
        let table: toml::Table = text.parse().context(LIMITS)?;
        let margin_percent = table
            .get("margin_percent")
            .and_then(toml::Value::as_integer)
            .with_context(|| format!("{LIMITS}: no margin_percent"))? as f64;
        let of = table
            .get("instructions")
            .and_then(toml::Value::as_table)
            .with_context(|| format!("{LIMITS}: no [instructions]"))?;
        let count = |(name, value): (&String, &toml::Value)| -> anyhow::Result<(String, u64)> {
            let count = value.as_integer().and_then(|count| u64::try_from(count).ok());
            let count = count.filter(|count| *count > 0);
            Ok((name.clone(), count.with_context(|| format!("{LIMITS}: {name} is no count"))?))
        };
        let counts = of.iter().map(count).collect::<Result<_, _>>()?;
        let ratio = |(name, value): (&String, &toml::Value)| -> anyhow::Result<(String, Ratio)> {
            let of = value.get("of").and_then(toml::Value::as_str);
            let max = value.get("max").and_then(toml::Value::as_float).filter(|max| *max > 0.0);
            let (of, max) = of.zip(max).with_context(|| format!("{LIMITS}: {name} is no ratio"))?;
            Ok((name.clone(), Ratio { of: of.to_owned(), max }))
        };
        let ratios =
            table.get("ratios").map(|it| it.as_table().with_context(|| format!("{LIMITS}: [ratios]")));
        let ratios = ratios.transpose()?.into_iter().flatten().map(ratio).collect::<Result<_, _>>()?;
        Ok(Self { margin_percent, counts, ratios })
    }

    fn text(&self) -> String {
        let mut text = format!("{HEAD}margin_percent = {}\n\n[instructions]\n", self.margin_percent);
        for (name, count) in &self.counts {
            let _ = writeln!(text, "{name} = {count}");
        }
        if !self.ratios.is_empty() {
            text += RATIOS_HEAD;
        }
        for (name, Ratio { of, max }) in &self.ratios {
            let _ = writeln!(text, "{name} = {{ of = \"{of}\", max = {max:?} }}");
        }
        text
    }
}

/// Runs the cases under valgrind.
fn count() -> anyhow::Result<Counts> {
    if let Some(reason) = missing() {
        anyhow::bail!(reason);
    }
    println!("micro: building the cases, and counting");
    let runner = runner()?;
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = runner.parent().map(PathBuf::from).into_iter().chain(env::split_paths(&path));
    let path = env::join_paths(folders)?;
    let mut counts = Counts::new();
    for program in PROGRAMS {
        let mut bench = shell::cargo();
        bench.env("PATH", &path);
        bench.args([
            "bench",
            "--quiet",
            "--package",
            "micro",
            "--bench",
            program,
            "--",
            "--output-format=json",
        ]);
        let counted = read(&shell::read(&mut bench)?)?;
        ensure!(!counted.is_empty(), "no case of `{program}` was counted");
        counts.extend(counted);
    }
    Ok(counts)
}

/// One JSON object a line: `id`, and instructions (`Ir`) under the first tool's total.
fn read(lines: &str) -> anyhow::Result<Counts> {
    let mut counts = Counts::new();
    for line in lines.lines().filter(|line| line.starts_with('{')) {
        let summary: serde_json::Value = serde_json::from_str(line)?;
        let name = summary["id"].as_str().context("a summary without `id`")?;
        let count = summary
            .pointer("/profiles/0/data/total/metrics/Ir/values/new")
            .and_then(serde_json::Value::as_u64)
            .with_context(|| format!("{name}: no count of instructions"))?;
        counts.insert(name.to_owned(), count);
    }
    Ok(counts)
}

/// The other half of gungraun: a program that must have the version of the library.
fn runner() -> anyhow::Result<PathBuf> {
    let wanted = format!("gungraun-runner {}", version()?);
    let is_wanted = |file: &PathBuf| {
        let said = shell::read(Command::new(file).arg("--version"));
        said.is_ok_and(|said| said.trim() == wanted)
    };
    [Some(tools().join("bin/gungraun-runner")), shell::which("gungraun-runner")]
        .into_iter()
        .flatten()
        .find(is_wanted)
        .with_context(|| format!("{wanted} is missing: cargo xtask setup"))
}

/// Installs the runner for this workspace alone, if it is not there. Whether it is in the end.
pub(crate) fn install_runner() -> anyhow::Result<()> {
    if runner().is_ok() {
        return Ok(());
    }
    let version = version()?;
    println!(
        "setup: gungraun-runner {version} is missing: counts instructions; it is built, which takes a minute or two"
    );
    let mut install = shell::cargo();
    // Built in a folder of its own, which cargo takes away: nothing of it is of use to us.
    install.env_remove("CARGO_TARGET_DIR");
    install.args(["install", "--quiet", "--locked", "--debug", "gungraun-runner", "--version"]);
    install.arg(format!("={version}")).arg("--root").arg(tools());
    ensure!(shell::run(&mut install)?, "`cargo install gungraun-runner` failed");
    runner().map(drop)
}

fn tools() -> PathBuf {
    shell::target_dir().join("tools")
}

/// As the workspace pins it.
fn version() -> anyhow::Result<String> {
    let manifest: toml::Table = fs::read_to_string(shell::root().join("Cargo.toml"))?.parse()?;
    let pin = manifest["workspace"]["dependencies"]["gungraun"].as_str();
    let version = pin.and_then(|pin| pin.strip_prefix('=')).context("Cargo.toml: gungraun is not pinned")?;
    Ok(version.to_owned())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs};

    use super::{CALLS, Counts, LIMITS, Limits, Ratio, judge, read, version};
    use crate::shell;

    fn counts(of: &[(&str, u64)]) -> Counts {
        of.iter().map(|&(name, count)| (name.to_owned(), count)).collect()
    }

    /// The messages, and whether it fails, with limits of 1000 and a margin of 3 %.
    #[track_caller]
    fn check(measured: &[(&str, u64)], messages: &[&str], fails: bool) {
        let ratios = [("b".to_owned(), Ratio { of: "a".to_owned(), max: 1.2 })].into();
        let limits = Limits { margin_percent: 3.0, counts: counts(&[("a", 1_000), ("b", 1_000)]), ratios };
        let findings = judge(&counts(measured), &limits);
        let said: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(said, messages);
        assert_eq!(findings.iter().any(super::Finding::fails), fails);
    }

    #[test]
    fn a_count_above_its_limit_fails() {
        check(&[("a", 1_000), ("b", 1_030)], &[], false);
        check(&[("a", 1_000), ("b", 1_031)], &["b costs more: 10.0 → 10.3 (+3.1 %); 3 % are allowed"], true);
    }

    #[test]
    fn what_was_won_is_said() {
        check(&[("a", 970), ("b", 1_000)], &[], false);
        check(
            &[("a", 900), ("b", 1_000)],
            &["a costs less: 10.0 → 9.0 (-10.0 %); accept it, so that it stays won"],
            false,
        );
    }

    #[test]
    fn a_case_that_costs_too_many_times_as_much_as_another_fails() {
        let below = ["a costs less: 10.0 → 8.0 (-20.0 %); accept it, so that it stays won"];
        check(
            &[("a", 800), ("b", 960)],
            &[below[0], "b costs less: 10.0 → 9.6 (-4.0 %); accept it, so that it stays won"],
            false,
        );
        check(
            &[("a", 800), ("b", 1_000)],
            &[below[0], "b costs 1.25 times as much as a, and 1.2 times are allowed"],
            true,
        );
    }

    #[test]
    fn the_file_has_exactly_the_cases() {
        check(
            &[("a", 1_000), ("b", 1_000), ("c", 250)],
            &["c has no limit in benches/micro/limits.toml; it took 2.5 a call"],
            true,
        );
        check(&[("a", 1_000)], &["b stands in benches/micro/limits.toml and was not measured"], true);
    }

    #[test]
    fn what_is_accepted_is_read_again() {
        let counts = counts(&[("a", 1), ("find_among_10", 99_000)]);
        let ratios = [("find_among_10".to_owned(), Ratio { of: "a".to_owned(), max: 2.0 })].into();
        for ratios in [ratios, BTreeMap::new()] {
            let limits = Limits { margin_percent: 3.0, counts: counts.clone(), ratios };
            assert_eq!(Limits::read(&limits.text()).unwrap(), limits);
        }
        for bad in [
            "",
            "margin_percent = 3",
            "margin_percent = 3\n[instructions]\na = 0",
            "[instructions]\na = 1",
            "margin_percent = 3\nratios = 1\n[instructions]\na = 1",
            "margin_percent = 3\n[instructions]\na = 1\n[ratios]\na = 1.5",
            "margin_percent = 3\n[instructions]\na = 1\n[ratios]\na = { of = \"a\", max = 0.0 }",
        ] {
            assert!(Limits::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_the_runner_prints() {
        let line = |id: &str, count: u64| {
            format!(
                r#"{{"id":"{id}","profiles":[{{"data":{{"total":{{"metrics":{{"Ir":{{"values":{{"new":{count},"old":7}}}}}}}}}}}}]}}"#
            )
        };
        let text = format!("{}\n{}\n", line("a", 12), line("b", 13));
        assert_eq!(read(&text).unwrap(), counts(&[("a", 12), ("b", 13)]));
        assert!(read(r#"{"id":"a","profiles":[]}"#).is_err());
    }

    /// The file in the repository, the list of cases, the list of what is counted, and the calls of one count.
    #[test]
    fn the_repository_agrees_with_itself() {
        let file = |name: &str| fs::read_to_string(shell::root().join(name)).unwrap();
        let limits = Limits::read(&file(LIMITS)).unwrap();
        assert!(limits.ratios.contains_key("find_among_10000"), "a look-up does not grow with the routes");
        let messages = file("benches/micro/benches/messages/main.rs");
        let cases = file("benches/micro/src/lib.rs") + &messages;
        let benches = file("benches/micro/benches/counts.rs") + &messages;
        for name in limits.counts.keys() {
            assert!(cases.contains(&format!("(\"{name}\", ")), "{name} is no case");
            assert!(benches.contains(&format!("#[bench::{name}(\"{name}\")]")), "{name} is not counted");
        }
        let lists = cases.split("CASES: &[(&str, Make)] =").skip(1).filter_map(|rest| rest.split(';').next());
        assert_eq!(lists.map(|list| list.matches("(\"").count()).sum::<usize>(), limits.counts.len());
        assert_eq!(benches.matches("#[bench::").count(), limits.counts.len());
        assert!(cases.contains(&format!("CALLS: u32 = {CALLS};")));
        assert!(version().unwrap().starts_with("0."));
    }
}

//! What deny.toml says about foreign packages, over the resolved graph: none that is banned, licences that are known,
//! one version of each. The file has cargo-deny's shape, so that cargo-deny can read it too.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use toml::{Table, Value};

use super::{
    Finding, Member,
    rules::{BENCH_ONLY, NOT_IN_THE_GATEWAY},
};

const FILE: &str = "deny.toml";

/// deny.toml, as far as we judge by it.
#[derive(Debug, Default)]
pub(super) struct Policy {
    licenses: BTreeSet<String>,
    banned: BTreeMap<String, String>,
    /// `name@version` of a second version, and why it is there.
    skipped: BTreeMap<String, String>,
}

/// A foreign package of the graph.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Package {
    name: String,
    version: String,
    license: Option<String>,
}

impl Policy {
    /// Reads the file.
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        let table: Table = text.parse().context(FILE)?;
        let section = |name: &str| {
            table.get(name).and_then(Value::as_table).with_context(|| format!("{FILE}: no [{name}]"))
        };
        let allow = section("licenses")?
            .get("allow")
            .and_then(Value::as_array)
            .context("deny.toml: licenses.allow")?;
        Ok(Self {
            licenses: allow.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            banned: reasons(section("bans")?, "deny")?,
            skipped: reasons(section("bans")?, "skip")?,
        })
    }
}

/// `[{ crate = "name@version", reason = "why" }]`; a line without a reason is refused.
fn reasons(bans: &Table, key: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let lines = bans.get(key).and_then(Value::as_array).with_context(|| format!("{FILE}: no bans.{key}"))?;
    let mut reasons = BTreeMap::new();
    for line in lines {
        let text = |name: &str| line.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let name = text("crate").with_context(|| format!("{FILE}: bans.{key}: no `crate` in {line}"))?;
        let reason = text("reason").with_context(|| format!("{FILE}: bans.{key}: {name} has no reason"))?;
        reasons.insert(name.to_owned(), reason.to_owned());
    }
    Ok(reasons)
}

/// The foreign packages that the workspace really builds, tests included, from `cargo tree`: `cargo metadata` also
/// lists those that no feature turns on. Lines are `name v1.2.3 (proc-macro)|licence`; ours have a path for a note.
pub(super) fn packages_of(tree: &str, members: &[Member]) -> Vec<Package> {
    let mut packages = BTreeSet::new();
    for line in tree.lines() {
        let Some((id, license)) = line.split_once('|') else { continue };
        let mut words = id.split_whitespace();
        let (Some(name), Some(version)) =
            (words.next(), words.next().and_then(|word| word.strip_prefix('v')))
        else {
            continue;
        };
        if members.iter().all(|member| member.name != name) {
            let license = (!license.is_empty()).then(|| license.to_owned());
            packages.insert(Package { name: name.to_owned(), version: version.to_owned(), license });
        }
    }
    packages.into_iter().collect()
}

/// Judges the graph.
pub(super) fn packages(packages: &[Package], policy: &Policy) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |message: String| findings.push(Finding::new("Cargo.lock", 0, message));
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        let id = format!("{}@{}", package.name, package.version);
        if let Some(reason) = policy.banned.get(&package.name) {
            find(format!("{id} is banned: {reason}"));
        }
        match &package.license {
            None => find(format!("{id} names no licence")),
            Some(license) if !allowed(license, &policy.licenses) => {
                find(format!("{id} has the licence `{license}`, which {FILE} does not allow"));
            }
            Some(_) => {}
        }
        if !policy.skipped.contains_key(&id) {
            versions.entry(&package.name).or_default().push(&package.version);
        }
    }
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        find(format!("{name} is there in {} versions: {}", versions.len(), versions.join(", ")));
    }
    for id in policy.skipped.keys() {
        if !packages.iter().any(|package| *id == format!("{}@{}", package.name, package.version)) {
            findings.push(Finding::new(FILE, 0, format!("skips {id}, which is not in the graph")));
        }
    }
    findings
}

/// Judges what the gateway itself is built from: nothing that is only there to be measured, directly or through others.
pub(super) fn gateway(packages: &[Package], policy: &Policy) -> Vec<Finding> {
    let mut findings = Vec::new();
    for Package { name, version, .. } in packages {
        let measured = NOT_IN_THE_GATEWAY.iter().find(|(package, _)| package == name).map(|(_, why)| *why);
        let skipped = policy.skipped.get(&format!("{name}@{version}"));
        let second = skipped.map(String::as_str).filter(|reason| reason.starts_with(BENCH_ONLY));
        if let Some(reason) = measured.or(second) {
            let message = format!("the gateway is built with {name}@{version}: {reason}");
            findings.push(Finding::new("proxy/Cargo.toml", 0, message));
        }
    }
    findings
}

/// Whether an SPDX expression can be met with the allowed licences: one side of an OR, all of an AND.
fn allowed(expression: &str, licenses: &BTreeSet<String>) -> bool {
    let expression = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = expression.split_whitespace().collect();
    let mut at = 0;
    let met = any_of(&tokens, &mut at, licenses);
    met && at == tokens.len()
}

fn any_of(tokens: &[&str], at: &mut usize, licenses: &BTreeSet<String>) -> bool {
    let mut met = all_of(tokens, at, licenses);
    // SPDX writes its operators large; some packages do not.
    while tokens.get(*at).is_some_and(|token| token.eq_ignore_ascii_case("or")) {
        *at += 1;
        met |= all_of(tokens, at, licenses);
    }
    met
}

fn all_of(tokens: &[&str], at: &mut usize, licenses: &BTreeSet<String>) -> bool {
    let mut met = one(tokens, at, licenses);
    while tokens.get(*at).is_some_and(|token| token.eq_ignore_ascii_case("and")) {
        *at += 1;
        met &= one(tokens, at, licenses);
    }
    met
}

fn one(tokens: &[&str], at: &mut usize, licenses: &BTreeSet<String>) -> bool {
    let Some(&token) = tokens.get(*at) else { return false };
    *at += 1;
    if token == "(" {
        let met = any_of(tokens, at, licenses);
        let closed = tokens.get(*at) == Some(&")");
        *at += 1;
        return met && closed;
    }
    let mut name = token.to_owned();
    if tokens.get(*at) == Some(&"WITH") {
        name = format!("{token} WITH {}", tokens.get(*at + 1).copied().unwrap_or_default());
        *at += 2;
    }
    licenses.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::{Package, Policy, gateway, packages, packages_of};

    const DENY: &str = r#"
        [licenses]
        allow = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"]
        [bans]
        deny = [{ crate = "ring", reason = "one crypto library" }]
        skip = [{ crate = "old@1.0.0", reason = "rcgen still uses it" }]
    "#;

    fn package(id: &str, license: &str) -> Package {
        let (name, version) = id.split_once('@').unwrap();
        let license = (!license.is_empty()).then(|| license.to_owned());
        Package { name: name.to_owned(), version: version.to_owned(), license }
    }

    #[track_caller]
    fn check(others: &[(&str, &str)], expected: &[&str]) {
        let mut all = vec![package("old@1.0.0", "MIT"), package("old@2.0.0", "MIT")];
        all.extend(others.iter().map(|(id, license)| package(id, license)));
        let found: Vec<String> =
            packages(&all, &Policy::read(DENY).unwrap()).into_iter().map(|finding| finding.message).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn licences_are_expressions() {
        check(&[("a@1.0.0", "MIT OR Unlicense"), ("b@1.0.0", "MIT/Zlib"), ("c@1.0.0", "Zlib or MIT")], &[]);
        check(&[("a@1.0.0", "(MIT OR GPL-3.0) AND Apache-2.0 WITH LLVM-exception")], &[]);
        check(
            &[("a@1.0.0", "MIT AND GPL-3.0")],
            &["a@1.0.0 has the licence `MIT AND GPL-3.0`, which deny.toml does not allow"],
        );
        check(&[("a@1.0.0", "(MIT")], &["a@1.0.0 has the licence `(MIT`, which deny.toml does not allow"]);
        check(&[("a@1.0.0", "")], &["a@1.0.0 names no licence"]);
    }

    #[test]
    fn banned_packages_are_found() {
        check(&[("ring@0.17.0", "MIT")], &["ring@0.17.0 is banned: one crypto library"]);
    }

    #[test]
    fn second_versions_need_a_reason() {
        check(&[("x@1.0.0", "MIT"), ("x@2.0.0", "MIT")], &["x is there in 2 versions: 1.0.0, 2.0.0"]);
        check(&[("old@3.0.0", "MIT")], &["old is there in 2 versions: 2.0.0, 3.0.0"]);
    }

    #[track_caller]
    fn check_gateway(id: &str, expected: &[&str]) {
        let deny = DENY
            .replace("skip = [", "skip = [{ crate = \"x@1.0.0\", reason = \"benches/runtimes: monoio\" }, ");
        let found = gateway(&[package(id, "MIT")], &Policy::read(&deny).unwrap());
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_measured_is_not_built_in() {
        check_gateway("x@2.0.0", &[]);
        check_gateway("old@1.0.0", &[]);
        check_gateway(
            "x@1.0.0",
            &["proxy/Cargo.toml: the gateway is built with x@1.0.0: benches/runtimes: monoio"],
        );
        check_gateway(
            "tokio-uring@0.5.0",
            &[
                "proxy/Cargo.toml: the gateway is built with tokio-uring@0.5.0: benches/runtimes measures it: nobody \
               maintains it",
            ],
        );
    }

    #[test]
    fn the_graph_is_read() {
        let tree = "libc v0.2.1|MIT OR Apache-2.0\nserde_derive v1.0.2 (proc-macro)|MIT\nlibc v0.2.1|MIT OR Apache-2.0\n\n";
        let found = packages_of(tree, &[]);
        assert_eq!(found, [package("libc@0.2.1", "MIT OR Apache-2.0"), package("serde_derive@1.0.2", "MIT")]);
    }

    #[test]
    fn exceptions_stay_true() {
        let found = packages(&[], &Policy::read(DENY).unwrap());
        assert_eq!(found[0].to_string(), "deny.toml: skips old@1.0.0, which is not in the graph");
        let silent = DENY.replace(", reason = \"one crypto library\"", "");
        assert!(Policy::read(&silent).unwrap_err().to_string().contains("ring has no reason"));
    }
}

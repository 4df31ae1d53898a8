//! Who may know whom among the rooms, and which outside packages stay behind a fence. Judged from the manifests: an
//! edge that is not declared cannot be used. What a room's tests use is its own affair.

use std::collections::BTreeSet;

use super::{
    Finding, Member,
    rules::{EDGES, FENCES},
};

/// Every edge between rooms lies in the transitive closure of the floor plan.
pub(super) fn edges(members: &[Member]) -> Vec<Finding> {
    let names: BTreeSet<&str> = members.iter().map(|member| member.name.as_str()).collect();
    let mut findings = Vec::new();
    for member in members {
        let Some(allowed) = reach(&member.name) else {
            let message =
                format!("`{}` has no line in the floor plan (xtask/src/tidy/rules.rs)", member.name);
            findings.push(Finding::new(member.manifest_path(), 0, message));
            continue;
        };
        for room in member.dependencies.iter().filter(|name| names.contains(name.as_str())) {
            if !allowed.contains(room.as_str()) {
                let message = format!("`{}` must not know `{room}`", member.name);
                findings.push(Finding::new(member.manifest_path(), member.line_of(room), message));
            }
        }
    }
    findings
}

/// Fenced packages are used only by the rooms named for them.
pub(super) fn fences(members: &[Member]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in members {
        for (package, rooms) in FENCES {
            if member.dependencies.iter().any(|name| name == package)
                && !rooms.contains(&member.name.as_str())
            {
                let message = format!("`{package}` is for {} only", rooms.join(", "));
                findings.push(Finding::new(member.manifest_path(), member.line_of(package), message));
            }
        }
    }
    findings
}

/// All rooms that one may know; `None` if the floor plan does not have it.
fn reach(room: &str) -> Option<BTreeSet<&'static str>> {
    let steps = |room: &str| EDGES.iter().find(|(name, _)| *name == room).map(|(_, next)| *next);
    let mut reached = BTreeSet::new();
    let mut open = steps(room)?.to_vec();
    while let Some(room) = open.pop() {
        if reached.insert(room) {
            open.extend(steps(room).unwrap_or_default());
        }
    }
    Some(reached)
}

#[cfg(test)]
mod tests {
    use super::{super::Member, EDGES, edges, fences, reach};

    fn member(name: &str, dependencies: &[&str]) -> Member {
        Member {
            name: name.to_owned(),
            folder: format!("proxy/{name}"),
            manifest: format!(
                "[dependencies]\n{}.workspace = true\n",
                dependencies.join(".workspace = true\n")
            ),
            dependencies: dependencies.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    #[track_caller]
    fn check_edge(from: &str, to: &str, expected: &[&str]) {
        let members = [member(from, &[to]), member(to, &[])];
        let found: Vec<String> = edges(&members).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn edges_follow_the_plan() {
        check_edge("shard", "exchange", &[]);
        check_edge("shard", "policy", &[]);
        check_edge("policy", "model", &["proxy/policy/Cargo.toml:2: `policy` must not know `model`"]);
        check_edge("source", "snapshot", &["proxy/source/Cargo.toml:2: `source` must not know `snapshot`"]);
        check_edge("runtime", "message", &["proxy/runtime/Cargo.toml:2: `runtime` must not know `message`"]);
    }

    #[test]
    fn a_room_that_is_not_in_the_plan_is_found() {
        let found = edges(&[member("utils", &[])]);
        assert!(found[0].message.contains("no line in the floor plan"), "{found:?}");
    }

    #[test]
    fn fences_hold() {
        assert_eq!(fences(&[member("tls", &["rustls"])]), []);
        let found = fences(&[member("shard", &["libc"])]);
        assert_eq!(found[0].to_string(), "proxy/shard/Cargo.toml:2: `libc` is for runtime only");
    }

    #[test]
    fn the_plan_has_no_circle() {
        for (room, _) in EDGES {
            assert!(!reach(room).is_some_and(|reached| reached.contains(room)), "{room} reaches itself");
        }
    }
}

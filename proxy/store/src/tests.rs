//! What is written is what is read, after as many restarts as one likes; and what is no store is not taken for one.

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn deployment(id: &str, body: &[u8]) -> Deployment {
    Deployment {
        api: "shop".into(),
        id: id.into(),
        head: format!("head of {id}").into(),
        body: body.to_vec(),
    }
}

fn named(first: &str, second: &str, value: &str) -> Named {
    ((first.into(), second.into()), value.into())
}

#[test]
fn what_was_committed_is_there_after_a_restart_and_nobody_elses_to_read() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("deployments.redb");
    let store = Store::open(&path).unwrap();
    assert_eq!(
        (store.deployments().unwrap(), store.pointers().unwrap(), store.history().unwrap()),
        Default::default()
    );
    let change = Change {
        deployments: vec![deployment("a", b"first"), deployment("b", &[0xff; 100_000])],
        pointers: vec![
            ("shop".into(), "prod".into(), Some("a".into())),
            ("shop".into(), "dev".into(), Some("b".into())),
        ],
        history: vec!["one".into(), "two".into()],
        ..Change::default()
    };
    store.commit(&change).unwrap();
    drop(store);
    let store = Store::open(&path).unwrap();
    assert_eq!(
        store.deployments().unwrap(),
        [named("shop", "a", "head of a"), named("shop", "b", "head of b")]
    );
    assert_eq!(store.body("shop", "a").unwrap().as_deref(), Some(&b"first"[..]));
    assert_eq!(store.body("shop", "b").unwrap(), Some(vec![0xff; 100_000]));
    assert_eq!(store.body("shop", "c").unwrap(), None);
    assert_eq!(store.pointers().unwrap(), [named("shop", "dev", "b"), named("shop", "prod", "a")]);
    assert_eq!(store.history().unwrap(), [(1, b"one".to_vec()), (2, b"two".to_vec())]);
    let change = Change {
        dropped: vec![("shop".into(), "b".into())],
        pointers: vec![("shop".into(), "dev".into(), None)],
        history: vec!["three".into()],
        ..Change::default()
    };
    store.commit(&change).unwrap();
    assert_eq!(store.deployments().unwrap(), [named("shop", "a", "head of a")]);
    assert_eq!((store.body("shop", "b").unwrap(), store.pointers().unwrap().len()), (None, 1));
    assert_eq!(store.history().unwrap().len(), 3);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_was_done_is_kept_for_a_while_and_keeps_its_numbers() {
    let folder = TempDir::new().unwrap();
    let store = Store::open(&folder.path().join("s")).unwrap();
    let many =
        |n: u64| Change { history: (0..n).map(|n| n.to_string().into()).collect(), ..Change::default() };
    store.commit(&many(HISTORY_MAX - 1)).unwrap();
    store.commit(&many(3)).unwrap();
    let history = store.history().unwrap();
    assert_eq!(history.len() as u64, HISTORY_MAX);
    assert_eq!((history[0].0, history.last().unwrap()), (3, &(HISTORY_MAX + 2, b"2".to_vec())));
}

#[test]
fn what_is_too_long_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let store = Store::open(&folder.path().join("s")).unwrap();
    let long = vec![0; VALUE_BYTES_MAX + 1];
    let good = deployment("a", b"x");
    let cases = [
        Change {
            deployments: vec![good.clone(), deployment("b", &vec![0; BODY_BYTES_MAX + 1])],
            ..Change::default()
        },
        Change {
            deployments: vec![good.clone(), Deployment { head: long.clone(), ..good.clone() }],
            ..Change::default()
        },
        Change {
            deployments: vec![good.clone()],
            pointers: vec![("a".into(), "s".into(), Some(long.clone()))],
            ..Change::default()
        },
        Change { deployments: vec![good], history: vec![long], ..Change::default() },
    ];
    for change in cases {
        let refused = store.commit(&change).unwrap_err().to_string();
        assert!(refused.contains("more than the") && !refused.contains('\n'), "{refused}");
        assert_eq!(store.deployments().unwrap(), []);
    }
}

#[track_caller]
fn check_refused(bytes: &[u8], expected: &str) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("s");
    std::fs::write(&path, bytes).unwrap();
    let refused = Store::open(&path).unwrap_err().to_string();
    assert!(refused.contains(expected) && refused.contains(&*path.to_string_lossy()), "{refused}");
}

#[test]
fn what_is_no_store_is_refused_and_left_as_it_was() {
    check_refused(b"not a database, but a text that somebody put there by mistake", "move it away");
    check_refused(&[0xff; 100_000], "move it away");
    let folder = TempDir::new().unwrap();
    let refused = Store::open(folder.path()).unwrap_err().to_string();
    assert!(refused.contains("cannot open"), "{refused}");
}

#[test]
fn two_processes_cannot_have_it_open() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("s");
    let first = Store::open(&path).unwrap();
    assert!(Store::open(&path).is_err());
    drop(first);
    assert!(Store::open(&path).is_ok());
}

#[test]
fn values_of_a_later_version_are_not_guessed_at() {
    let folder = TempDir::new().unwrap();
    let store = Store::open(&folder.path().join("s")).unwrap();
    for value in [&[VERSION + 1, b'x'][..], &[]] {
        store
            .write(|write| {
                write.open_table(POINTERS)?.insert(("a", "s"), value)?;
                Ok(())
            })
            .unwrap();
        assert!(matches!(store.pointers(), Err(Error::Version { table: "pointers", .. })));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Against a map in memory, with restarts in between.
    #[test]
    fn it_is_a_map_that_outlives_restarts(
        steps in prop::collection::vec((0_u8..4, 0_u8..6, prop::collection::vec(any::<u8>(), 0..40)), 1..40)
    ) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("s");
        let mut store = Store::open(&path).unwrap();
        let (mut bodies, mut pointers) = (BTreeMap::new(), BTreeMap::new());
        for (what, which, value) in steps {
            let name = which.to_string();
            let mut change = Change::default();
            match what {
                0 => {
                    change.deployments.push(Deployment { api: "a".into(), id: name.clone(), head: Vec::new(), body: value.clone() });
                    bodies.insert(name, value);
                }
                1 => {
                    change.dropped.push(("a".into(), name.clone()));
                    bodies.remove(&name);
                }
                2 => {
                    change.pointers.push(("a".into(), name.clone(), Some(value.clone())));
                    pointers.insert(("a".to_owned(), name), value);
                }
                _ => {
                    drop(store);
                    store = Store::open(&path).unwrap();
                }
            }
            prop_assert_eq!(change.is_empty(), what == 3);
            store.commit(&change).unwrap();
        }
        prop_assert_eq!(store.pointers().unwrap(), pointers.into_iter().collect::<Vec<_>>());
        for which in 0..6_u8 {
            let name = which.to_string();
            prop_assert_eq!(store.body("a", &name).unwrap(), bodies.get(&name).cloned());
        }
    }
}

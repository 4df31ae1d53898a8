//! Sessions of any steps, windows over a long one, and the corpora of the fuzz targets.

use std::task::{Context, Poll, Waker};
use std::{fs, path::Path};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::h2::properties::raw::rst_stream;
use crate::h2::properties::session::{Open, Script, Session};
use crate::h2::properties::{any_frames, any_session};
use crate::h2::{Code, Settings};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_steps_are_taken_well(script in prop::collection::vec(any::<u8>(), 0..400)) {
        any_session(&script);
    }

    #[test]
    fn any_bytes_are_taken_well(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        any_frames(&bytes);
    }
}

#[track_caller]
fn check_corpus(target: &str, property: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(target);
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        println!("{}", file.display());
        property(&fs::read(file).unwrap());
    }
}

#[test]
fn corpora_hold() {
    check_corpus("h2_frames", any_frames);
    check_corpus("h2_session", any_session);
}

/// Whatever becomes of bodies, what was sent on them is granted anew in the end (RFC 9113 §6.9; bugs of our peers that
/// lost the credit of padding and of streams that were reset).
#[test]
fn no_credit_is_lost() {
    let mut runner = TestRunner::deterministic();
    for _ in 0..64 {
        let script = prop::collection::vec(any::<u8>(), 3_000).new_tree(&mut runner).unwrap().current();
        let mut session = Session::new();
        let mut script = Script(&script);
        let mut sent = 0;
        while !script.is_over() && session.raw.ended.is_none() {
            sent += upload(&mut session, &mut script);
        }
        assert_eq!(session.raw.ended, None);
        session.finish();
        session.account();
        // Granted anew is a quarter of the window or more.
        let window = Settings::CLIENTS.connection_window_bytes as usize;
        let room = session.grants.connection_room();
        assert!(
            sent > window && room <= window && room >= window / 3 * 2 - 1,
            "{room} of {window} after {sent}"
        );
    }
}

/// The next step of a client that uploads as it may, to a gateway that does anything with it; how many bytes were sent.
fn upload(session: &mut Session, script: &mut Script<'_>) -> usize {
    let at = script.next() % session.open.len().max(1);
    let step = script.next() % 8;
    let mut sent = 0;
    if session.open.is_empty() || (step == 0 && session.open.len() < 100) {
        session.request(false, &mut Script(&[]));
    }
    let id = session.open.get(at).map_or(1, |open| open.id);
    match (step, session.open.get_mut(at)) {
        (1..=3, Some(_)) => {
            let padded = script.one_in(2);
            sent = script.size().min(16_000).min(session.grants.room(id).saturating_sub(4));
            // A stream that has ended, or was reset, is gone for the client.
            let (ends, resets) = (script.one_in(8), script.one_in(16));
            session.data(id, sent, ends, padded);
            if ends || resets {
                let open = session.open.swap_remove(at);
                if !ends {
                    session.raw.send(&rst_stream(id, Code::Cancel));
                }
                session.run();
                drop(open);
            }
        }
        (4, Some(_)) if script.one_in(8) => drop(session.open.swap_remove(at)),
        (5, Some(Open { reply: Some(reply), .. })) if script.one_in(8) => reply.reset(Code::InternalError),
        (_, Some(Open { receiver: Some(receiver), .. })) => {
            let want = script.size();
            let mut cx = Context::from_waker(Waker::noop());
            let taken = receiver.poll_receive(&mut cx, |bytes| (bytes.len().min(want), ()));
            assert!(!matches!(taken, Poll::Ready(Ok(None))), "no body has ended");
        }
        _ => {}
    }
    session.run();
    sent
}

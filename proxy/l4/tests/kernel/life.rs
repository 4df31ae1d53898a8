//! What outlives a process, what ends by itself, and what others may do meanwhile.

use crate::{PORT, Place, SYNS, counted, rules};
use gate::abi::{Count, HEARTBEAT_NS_MAX, LAYOUT, Mode};
use harness::{Network, eventually};
use l4::{Driver, Error, FrontLine, Settings, Step, pinned};
use rustix::time::{ClockId, clock_gettime};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A trial that a test can wait for, and see before it ends on a busy machine.
const SHORT: Duration = Duration::from_secs(1);
/// One that no test sees the end of.
const LONG: Duration = Duration::from_secs(600);

/// How long after its last sign of life a gateway's rules hold: no longer, and not much less, since nftables is told so by a program
/// that has to be started first.
const LIVE_MAX: Duration = Duration::from_nanos(HEARTBEAT_NS_MAX);
const LIVE_MIN: Duration = Duration::from_millis(2_700);

fn on_trial(place: &Place, driver: Driver, trial: Duration) -> Settings {
    Settings { trial, ..place.settings(driver) }
}

#[track_caller]
fn check_replaced(test: &str, driver: Driver) {
    /// A second and a half of them: what was beaten once lives for three.
    const FLOW: u64 = 6_000;
    let Some(place) = Place::new(test) else { return };
    place.network.gateway.inside(|| {
        let first = place.attach(place.settings(driver));
        drop(first);
        std::thread::scope(|scope| {
            let flow = scope.spawn(|| place.flood_at(4_000, FLOW).count);
            let mut replaced = 0;
            while !flow.is_finished() {
                let line = place.attach(place.settings(driver));
                assert!(line.modes()[0].step.is_program());
                replaced += 1;
            }
            assert!(replaced >= 2, "{replaced}");
            assert_eq!(flow.join().unwrap(), FLOW);
        });
        // Each was seen by one program, and by one alone.
        let line = place.attach(place.settings(driver));
        assert_eq!(counted(&line, FLOW).of(Count::Syns), FLOW);
        place.detach();
    });
}

#[test]
fn xdp_is_replaced_without_losing_a_packet() {
    check_replaced("xdp_is_replaced_without_losing_a_packet", Driver::Auto);
}

#[test]
fn tcx_is_replaced_without_losing_a_packet() {
    check_replaced("tcx_is_replaced_without_losing_a_packet", Driver::Tcx);
}

/// What a version with other tables has attached is taken over: its programs are replaced and not taken off.
#[test]
fn another_layout_is_taken_over() {
    let Some(place) = Place::new("another_layout_is_taken_over") else { return };
    place.network.gateway.inside(|| {
        drop(place.attach(Settings { interfaces: vec!["lo".into()], ..place.settings(Driver::Auto) }));
        drop(place.attach(Settings {
            interfaces: vec!["lo".into(), Network::INTERFACE.into()],
            ..place.settings(Driver::Auto)
        }));
        let folder = |layout: u32| place.pins().join(format!("v{layout}"));
        std::fs::rename(folder(LAYOUT), folder(LAYOUT - 1)).unwrap();
        let line = place.attach(Settings {
            interfaces: vec!["lo".into(), Network::INTERFACE.into()],
            ..place.settings(Driver::Auto)
        });
        let steps: Vec<_> = line.modes().iter().map(|interface| interface.step).collect();
        assert_eq!(steps, [Step::Tcx, Step::NativeXdp], "{:#?}", place.said.lock().unwrap());
        assert!(!folder(LAYOUT - 1).exists());
        assert_eq!(place.tcx("lo"), 1);
        place.flood(SYNS);
        assert!(counted(&line, SYNS).of(Count::Dropped) > 0);
        place.detach();
        assert!(!place.has_xdp(Network::INTERFACE) && place.tcx("lo") == 0);
    });
}

/// Who is shut out stays so for as long as somebody said, whatever milder is said later.
#[test]
fn a_milder_block_ends_no_harder_one() {
    let Some(place) = Place::new("a_milder_block_ends_no_harder_one") else { return };
    place.network.gateway.inside(|| {
        let mut line = place.attach(place.settings(Driver::Tcx));
        let prefix: ipnet::IpNet = "198.51.100.0/24".parse().unwrap();
        let minute = Duration::from_secs(60);
        let costs = |line: &FrontLine| line.status().unwrap().blocked[0].cost;
        line.block(prefix, minute, 4, 1).unwrap();
        assert_eq!(costs(&line), 4);
        pinned::block(&place.pins(), place.state.path(), prefix, 2 * minute, 7).unwrap();
        line.block(prefix, minute, 4, 1).unwrap();
        assert_eq!(costs(&line), 0);
        line.block(prefix, 3 * minute, 4, 1).unwrap();
        assert_eq!(costs(&line), 4);
        place.detach();
    });
}

#[test]
fn another_step_takes_the_first_one_off() {
    let Some(place) = Place::new("another_step_takes_the_first_one_off") else { return };
    place.network.gateway.inside(|| {
        let (edge, has_xdp) = (Network::INTERFACE, || place.has_xdp(Network::INTERFACE));
        drop(place.attach(place.settings(Driver::Auto)));
        assert_eq!((has_xdp(), place.tcx(edge)), (true, 0));
        drop(place.attach(place.settings(Driver::Tcx)));
        place.let_go(|| (has_xdp(), place.tcx(edge)) == (false, 1));
        place.said("edge: no longer by xdp");
        let nobody = Settings { interfaces: vec!["lo".into()], ..place.settings(Driver::Tcx) };
        drop(place.attach(nobody));
        place.let_go(|| (place.tcx("lo"), place.tcx(edge)) == (1, 0));
        drop(place.attach(place.settings(Driver::Nftables)));
        place.let_go(|| (place.tcx("lo"), place.tcx(edge)) == (0, 0));
        assert!(place.has_nft());
        drop(place.attach(place.settings(Driver::Auto)));
        assert!(has_xdp() && !place.has_nft());
        place.detach();
        place.let_go(|| !has_xdp());
        assert!(!place.pins().exists());
    });
}

/// Rules that nobody commits go by themselves, whoever is there to see it.
#[track_caller]
fn check_trial(test: &str, driver: Driver, step: Step) {
    let Some(place) = Place::new(test) else { return };
    let said = Mutex::new(Vec::new());
    place.network.gateway.inside(|| {
        let mut line = place.attach(on_trial(&place, driver, SHORT));
        assert_eq!(line.modes()[0].step, step);
        let trial = line.trial().unwrap().unwrap();
        // Its end is a whole ms, the next if need be.
        assert!(trial.left.as_millis() <= SHORT.as_millis() && !trial.has_before, "{trial:?}");
        eventually("the trial ends", || line.trial().unwrap().is_none().then_some(()));
        line.beat(&mut |line| said.lock().unwrap().push(line)).unwrap();
        assert!(said.lock().unwrap()[0].contains("nobody committed"), "{said:?}");
        let before = line.counters().unwrap();
        place.flood_to_its_end(SYNS);
        assert_eq!(line.counters().unwrap().of(Count::Dropped), before.of(Count::Dropped));
        assert!(matches!(place.commit(), Err(Error::NoTrial)));

        // The same again, committed by somebody else: they hold, and a restart asks no more.
        drop(line);
        let mut line = place.attach(on_trial(&place, driver, LONG));
        assert!(line.trial().unwrap().is_some());
        place.commit().unwrap();
        line.beat(&mut |line| said.lock().unwrap().push(line)).unwrap();
        drop(line);
        let mut line = place.attach(on_trial(&place, driver, SHORT));
        assert_eq!(line.trial().unwrap(), None);

        // Others are on trial before those, and give way to them.
        line.change(rules(Mode::Monitor), SHORT).unwrap();
        line.live(now_ns()).unwrap();
        assert!(line.trial().unwrap().unwrap().has_before);
        eventually("the trial ends", || line.trial().unwrap().is_none().then_some(()));
        line.beat(&mut |line| said.lock().unwrap().push(line)).unwrap();
        assert!(said.lock().unwrap().last().unwrap().contains("those before them hold again"), "{said:?}");
        let before = line.counters().unwrap();
        place.flood(SYNS);
        let after = counted(&line, before.of(Count::Syns) + SYNS);
        assert!(after.of(Count::Dropped) > before.of(Count::Dropped));

        // And if they are committed, they stay.
        line.change(rules(Mode::Monitor), SHORT).unwrap();
        place.commit().unwrap();
        line.beat(&mut |line| said.lock().unwrap().push(line)).unwrap();
        assert_eq!(line.trial().unwrap(), None);
        let before = line.counters().unwrap();
        place.flood(SYNS);
        let after = counted(&line, before.of(Count::Syns) + SYNS);
        assert_eq!(after.of(Count::Dropped), before.of(Count::Dropped));
        place.detach();
    });
}

#[test]
fn rules_nobody_commits_give_way_in_the_kernel() {
    check_trial("rules_nobody_commits_give_way_in_the_kernel", Driver::Auto, Step::NativeXdp);
}

#[test]
fn rules_nobody_commits_give_way_in_nftables() {
    check_trial("rules_nobody_commits_give_way_in_nftables", Driver::Nftables, Step::Nftables);
}

/// `CLOCK_MONOTONIC`, the programs' clock.
fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Three seconds after the last sign of life everything passes, and nothing sooner: what is sent later is never dropped, and the
/// kernel's own clock says when that was.
#[track_caller]
fn check_dead(test: &str, driver: Driver) {
    let Some(place) = Place::new(test) else { return };
    place.network.gateway.inside(|| {
        let mut line = place.attach(place.settings(driver));
        place.flood(SYNS);
        let dropped = counted(&line, SYNS).of(Count::Dropped);
        assert!(dropped > 0);
        let turned_ns = now_ns();
        line.live(turned_ns).unwrap();
        // What was known before that does not count.
        line.live(turned_ns - 500_000_000).unwrap();
        line.beat(&mut |_| ()).unwrap();
        drop(line);
        let since = || Duration::from_nanos(now_ns() - turned_ns);
        let status = || pinned::status(&place.pins(), place.state.path()).unwrap();
        let dropped = || status().counters.of(Count::Dropped);
        // One SYN after the other, until one is not dropped.
        let (mut before, mut lived) = (dropped(), Duration::ZERO);
        let open = eventually("everything passes", || {
            let sent = since();
            place.flood_to_its_end(1);
            let after = dropped();
            let is_open = after == before;
            if !is_open {
                (before, lived) = (after, sent);
            }
            is_open.then(since)
        });
        println!("dropped until {lived:?} after the last sign of life, passed {open:?} after it");
        assert!(lived <= LIVE_MAX && open >= LIVE_MIN, "{lived:?} {open:?}");
        assert!(status().heartbeat_age.is_none_or(|age| age >= LIVE_MAX));
        let before = status().counters;
        place.flood_to_its_end(SYNS);
        assert_eq!(status().counters.of(Count::Dropped), before.of(Count::Dropped));
        place.detach();
    });
}

#[test]
fn xdp_lets_all_pass_when_nobody_beats() {
    check_dead("xdp_lets_all_pass_when_nobody_beats", Driver::Auto);
}

#[test]
fn tcx_lets_all_pass_when_nobody_beats() {
    check_dead("tcx_lets_all_pass_when_nobody_beats", Driver::Tcx);
}

#[test]
fn nftables_lets_all_pass_when_nobody_beats() {
    check_dead("nftables_lets_all_pass_when_nobody_beats", Driver::Nftables);
}

/// An interface that is made anew is attached again, and one that somebody detached is not.
#[track_caller]
fn check_looked_after(test: &str, driver: Driver, step: Step) {
    let Some(place) = Place::new(test) else { return };
    let said = Mutex::new(Vec::new());
    let ip = |line: &str| place.network.gateway.run("ip", &line.split(' ').collect::<Vec<_>>()).unwrap();
    place.network.gateway.inside(|| {
        let interfaces = vec!["later".to_owned(), Network::INTERFACE.to_owned()];
        let mut line = place.attach(Settings { interfaces, ..place.settings(driver) });
        let beat = |line: &mut FrontLine| {
            line.beat(&mut |line| said.lock().unwrap().push(line)).unwrap();
            line.modes().iter().map(|interface| interface.step).collect::<Vec<_>>()
        };
        assert_eq!(beat(&mut line), [Step::Accept, step]);
        assert!(line.outside().is_some());
        ip("link add name later type veth peer name other");
        assert_eq!(beat(&mut line), [step, step]);
        assert_eq!(line.outside().is_none(), step.is_program());
        ip("link del dev later");
        assert_eq!(beat(&mut line), [step, step]);
        assert!(said.lock().unwrap().last().unwrap().contains("later: the interface is gone"), "{said:?}");
        ip("link add name later type veth peer name other");
        assert_eq!(beat(&mut line), [step, step]);
        let status = || pinned::status(&place.pins(), place.state.path()).unwrap();
        assert_eq!(status().interfaces.len(), 2);
        assert_eq!(place.has_xdp("later"), step == Step::NativeXdp);

        place.detach();
        assert_eq!(beat(&mut line), []);
        assert_eq!(beat(&mut line), []);
        place.let_go(|| !place.has_xdp("later"));
        assert!(!place.has_nft() && line.outside().is_none());
        assert_eq!(
            said.lock().unwrap().iter().filter(|line| line.contains("left alone")).count(),
            2,
            "{said:?}"
        );
    });
}

#[test]
fn interfaces_of_xdp_come_and_go() {
    check_looked_after("interfaces_of_xdp_come_and_go", Driver::Auto, Step::NativeXdp);
}

#[test]
fn interfaces_of_tcx_come_and_go() {
    check_looked_after("interfaces_of_tcx_come_and_go", Driver::Tcx, Step::Tcx);
}

#[test]
fn interfaces_of_nftables_come_and_go() {
    check_looked_after("interfaces_of_nftables_come_and_go", Driver::Nftables, Step::Nftables);
}

#[test]
fn others_block_and_allow_while_it_runs() {
    let Some(place) = Place::new("others_block_and_allow_while_it_runs") else { return };
    let (pins, state) = (place.pins(), place.state.path().to_owned());
    place.network.gateway.inside(|| {
        let net = |text: &str| text.parse().unwrap();
        assert!(matches!(pinned::status(&pins, &state), Err(Error::NotAttached { .. })));
        let mut line = place.attach(place.settings(Driver::Auto));
        pinned::block(&pins, &state, net("10.66.0.0/24"), LONG, 7).unwrap();
        let blocked = line.status().unwrap().blocked;
        assert_eq!(blocked.len(), 1);
        assert_eq!((blocked[0].prefix, blocked[0].cost, blocked[0].reason), (net("10.66.0.0/24"), 0, 7));
        assert!(blocked[0].left <= LONG);
        place.flood(SYNS);
        assert_eq!(counted(&line, SYNS).of(Count::BlockedForAWhile), SYNS);
        pinned::block(&pins, &state, net("10.66.0.0/24"), Duration::ZERO, 7).unwrap();
        assert_eq!(line.status().unwrap().blocked, []);

        // Whom the operator lets in by hand is let in, whatever else holds for him.
        line.block(net("10.66.0.1/32"), LONG, 0, 1).unwrap();
        pinned::allow(&pins, &state, net("10.66.0.0/16")).unwrap();
        place.flood(SYNS);
        let allowed = eventually("they are let in", || {
            let allowed = line.counters().unwrap().of(Count::Allowed);
            (allowed >= SYNS).then_some(allowed)
        });
        assert_eq!(allowed, SYNS);

        // What has expired is swept, and nothing else.
        line.block(net("2001:db8::/48"), Duration::from_millis(1), 2, 1).unwrap();
        line.block(net("198.51.100.0/24"), LONG, 2, 1).unwrap();
        let mut swept = 0;
        eventually("that one is swept, and the one that ended before", || {
            swept += line.sweep().unwrap();
            (swept == 2).then_some(())
        });
        let left: Vec<_> = line.status().unwrap().blocked.iter().map(|blocked| blocked.prefix).collect();
        assert!(left.contains(&net("198.51.100.0/24")) && !left.contains(&net("2001:db8::/48")), "{left:?}");
        assert!(matches!(line.block(net("127.0.0.0/8"), LONG, 0, 0), Err(Error::Unblockable { .. })));
        assert!(matches!(line.block(net("1.2.3.4/32"), Duration::MAX, 0, 0), Err(Error::TooLong { .. })));
        pinned::detach(&pins, &state).unwrap();
        // Again, with nothing there.
        pinned::detach(&pins, &state).unwrap();
        drop(line);
        place.let_go(|| !place.has_xdp(Network::INTERFACE));
    });
}

#[test]
fn all_prefixes_of_a_large_set_are_filled_and_given_up() {
    let Some(place) = Place::new("all_prefixes_of_a_large_set_are_filled_and_given_up") else { return };
    place.network.gateway.inside(|| {
        let mut line = place.attach(place.settings(Driver::Auto));
        let mut many = rules(Mode::Enforce);
        let host = |n: u32| format!("100.{}.{}.{}/32", n >> 16, n >> 8 & 255, n & 255).parse().unwrap();
        many.block = (0..5_000).map(host).collect();
        many.block.push("10.66.0.1/32".parse().unwrap());
        many.block.push("::/0".parse().unwrap());
        line.change(many.clone(), Duration::ZERO).unwrap();
        line.live(now_ns()).unwrap();
        place.flood(SYNS);
        let counters = counted(&line, SYNS);
        assert_eq!(counters.of(Count::Blocked), SYNS);
        // Twice, so that both sets had them.
        many.policies[0].ports.push(PORT + 1);
        line.change(many, Duration::ZERO).unwrap();
        line.change(rules(Mode::Enforce), Duration::ZERO).unwrap();
        line.live(now_ns()).unwrap();
        place.flood(SYNS);
        let after = counted(&line, 2 * SYNS);
        assert_eq!(after.of(Count::Blocked), SYNS);
        place.detach();
    });
}

/// Attaching and starting over are quick: by the time that this thread had a processor, since others want it too; what the
/// clock says is printed.
#[test]
fn it_is_attached_within_a_fifth_of_a_second() {
    const MAX: Duration = Duration::from_millis(200);
    let Some(place) = Place::new("it_is_attached_within_a_fifth_of_a_second") else { return };
    let spent = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    place.network.gateway.inside(|| {
        for what in ["attached", "attached again"] {
            let (begun, before) = (Instant::now(), spent());
            drop(place.attach(place.settings(Driver::Auto)));
            let (took, cost) = (begun.elapsed(), spent() - before);
            println!("{what} in {took:?}, {cost:?} of it on a processor");
            assert!(cost <= MAX, "{what}: {cost:?}");
        }
        place.detach();
    });
}

/// A bpffs is mounted where there is none, and goes when everything has gone.
#[test]
fn a_place_for_pins_is_made_and_taken_away() {
    let Some(place) = Place::new("a_place_for_pins_is_made_and_taken_away") else { return };
    let folder = tempfile::tempdir().unwrap();
    let pins = folder.path().join("a/floodgate");
    let mounts = |path: &Path| {
        std::fs::read_to_string("/proc/self/mounts").unwrap().contains(&format!(" {} bpf ", path.display()))
    };
    place.network.gateway.inside(|| {
        drop(place.attach(Settings { pins: pins.clone(), ..place.settings(Driver::Auto) }));
        place.said("a bpffs was mounted at");
        assert!(mounts(&pins));
        pinned::detach(&pins, place.state.path()).unwrap();
        assert!(!mounts(&pins) && !pins.exists());
    });
}

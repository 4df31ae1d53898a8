//! A client that speaks HTTP/2: it asks for several things at once on a connection, gives some of them up, and looks whether
//! what comes back is its own.

use std::{rc::Rc, time::Duration};

use super::{
    ROUNDS, Random, Stage, World,
    client::{ANSWER_MAX, Call, Left, draw},
    count,
    http2::Connection,
};
use crate::tests::harness::connect;

/// Requests at once on a connection.
const AT_ONCE: u64 = 4;

/// Asks, connection after connection if need be.
pub(super) async fn client(world: Rc<World>, number: u64, random: Random) {
    let _left = Left::new(&world);
    let mut kept: Option<Rc<Connection>> = None;
    random.pause(&world.handle).await;
    for round in 0..ROUNDS {
        let connection = match kept.take().filter(|kept| !kept.is_over()) {
            Some(connection) => connection,
            None => match connect(&world.handle, usize::from(random.one_in(2))).await {
                Ok(transport) => Rc::new(Connection::new(&world.handle, transport)),
                Err(_) if world.stage.get() == Stage::Ending => return,
                Err(error) => {
                    if world.lossless {
                        world.wrong(format!("client {number} can't connect: {error}"));
                    }
                    count(&world.failed);
                    continue;
                }
            },
        };
        let calls = Rc::new(std::cell::Cell::new(0));
        for index in 0..1 + random.below(AT_ONCE) {
            let asked = draw(&world, &random, number, round * AT_ONCE + index);
            let (world, connection, calls) = (world.clone(), connection.clone(), calls.clone());
            let (leaves, random) = (random.one_in(10), Random::new(random.below(1 << 40), 2));
            calls.set(calls.get() + 1);
            world.handle.clone().spawn(async move {
                let (begun, begun_ns) = (world.stage.get(), world.handle.now().mono_ns);
                let told =
                    connection.call(&world, &asked, Random::new(random.below(1 << 40), 3), leaves).await;
                let took = Duration::from_nanos(world.handle.now().mono_ns - begun_ns);
                if took > ANSWER_MAX {
                    world.wrong(format!("{}: after {took:?}: {told}", asked.path));
                }
                if !leaves {
                    // Streams that the node has not begun with when it ends are refused, whoever was first.
                    Call { world: &world, random: &random, begun }.judge(&asked, &told, false);
                }
                calls.set(calls.get() - 1);
            });
        }
        while calls.get() > 0 {
            world.handle.sleep(Duration::from_millis(1)).await;
        }
        if random.one_in(8) {
            if let Ok(connection) = Rc::try_unwrap(connection) {
                connection.abort();
            }
        } else if !random.one_in(4) {
            kept = Some(connection);
        }
        if random.one_in(3) {
            random.pause(&world.handle).await;
        }
    }
}

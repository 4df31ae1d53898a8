//! Signals: SIGTERM and SIGINT end the process, a second one at once; SIGHUP opens the logs again and reloads.

use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};

use crate::{Doors, Error, Stop, admin::Asked};

/// Takes the signals over, now, and returns what obeys them from then on.
pub(crate) fn take(asked: Asked) -> Result<impl Future<Output = ()>, Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Runtime)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Runtime)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(Error::Runtime)?;
    Ok(async move {
        let mut how = Stop::Drain;
        loop {
            tokio::select! {
                _ = terminate.recv() => stop(&*asked.doors, &mut how),
                _ = interrupt.recv() => stop(&*asked.doors, &mut how),
                // On a task of its own: a reload takes its time, and a SIGTERM shall not wait for it.
                _ = hang_up.recv() => drop(tokio::spawn(hung_up(asked.clone()))),
            }
        }
    })
}

fn stop(doors: &dyn Doors, how: &mut Stop) {
    doors.stop(*how);
    *how = Stop::Now;
}

async fn hung_up(asked: Asked) {
    let reopened = asked.call(|doors| doors.reopen_logs()).await;
    let reloaded = asked.reload().await;
    match (reopened, reloaded) {
        (Some(()), Some(Ok(reloaded))) => asked.doors.say(&format!("reloaded: {reloaded}")),
        (_, Some(Err(diagnostics))) => {
            asked.doors.say(&format!("not reloaded, nothing has changed\n{diagnostics}"))
        }
        _ => asked.doors.say("not reloaded: the reload failed by a fault of its own"),
    }
}

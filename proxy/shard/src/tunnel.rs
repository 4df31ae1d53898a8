//! After `101 Switching Protocols`: bytes both ways, unread, until one side ends.

use std::{cell::Cell, io, pin::pin};

use runtime::{Alarm, Handle, Received};
use snapshot::Timeouts;

use crate::{
    pace::{Credit, Terms},
    race::{First, race},
    relay::UNSENT_BYTES_HIGH,
    transport::Transport,
};

/// How a tunnel came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Both sides have ended.
    Both,
    /// It was silent for too long, or open for too long; a name for the metrics.
    TimedOut(&'static str),
    /// One side has failed or takes nothing: the other is not to think that all is well.
    Failed(Option<&'static str>),
}

/// Moves bytes until both sides have ended, nothing moved for too long, or the time that a tunnel has is over.
pub(crate) async fn tunnel(
    client: &Transport,
    backend: &Transport,
    handle: &Handle,
    alarm: &Alarm,
    timeouts: &Timeouts,
) -> End {
    let now_ns = handle.now().mono_ns;
    let times = Times {
        handle,
        alarm,
        idle_ns: timeouts.tunnel_idle_ns,
        end_ns: now_ns.saturating_add(timeouts.tunnel_max_ns),
        silent_ns: Cell::new(0),
        stalled_ns: [Cell::new(u64::MAX), Cell::new(u64::MAX)],
    };
    let reader = Terms { idle_ns: timeouts.body_idle_ns, rate: timeouts.response_rate };
    times.moved();
    let both = async {
        let mut up = pin!(copy(client, backend, &times, 0, Terms::idle(timeouts.body_idle_ns)));
        let mut down = pin!(copy(backend, client, &times, 1, reader));
        match race(up.as_mut(), down.as_mut()).await {
            First::Left(Ok(())) => down.await,
            First::Right(Ok(())) => up.await,
            First::Left(failed) | First::Right(failed) => failed,
        }
    };
    match alarm.guard(both).await {
        Ok(Ok(())) => End::Both,
        Ok(Err(_)) => End::Failed(None),
        Err(_) => times.verdict(),
    }
}

/// One alarm for all that a tunnel waits for.
struct Times<'a> {
    handle: &'a Handle,
    alarm: &'a Alarm,
    idle_ns: u64,
    /// When the tunnel is over, whatever it does.
    end_ns: u64,
    /// When its silence is too long.
    silent_ns: Cell<u64>,
    /// When a receiver that takes too little is given up, by way: the other way's bytes must not hide it.
    stalled_ns: [Cell<u64>; 2],
}

impl Times<'_> {
    /// Bytes came, one way or the other.
    fn moved(&self) {
        self.silent_ns.set(self.handle.now().mono_ns.saturating_add(self.idle_ns));
        self.set();
    }

    fn set(&self) {
        let [up, down] = &self.stalled_ns;
        self.alarm.set(self.silent_ns.get().min(self.end_ns).min(up.get()).min(down.get()));
    }

    /// Which time is over.
    fn verdict(&self) -> End {
        let now_ns = self.handle.now().mono_ns;
        if self.stalled_ns.iter().any(|due_ns| due_ns.get() <= now_ns) {
            return End::Failed(Some("tunnel_stall"));
        }
        End::TimedOut(if self.end_ns <= now_ns { "tunnel_max" } else { "tunnel_idle" })
    }
}

/// One way, until its end, which is passed on.
async fn copy(
    from: &Transport,
    to: &Transport,
    times: &Times<'_>,
    way: usize,
    terms: Terms,
) -> io::Result<()> {
    let credit = Credit::new(terms);
    let written = Cell::new(0_u64);
    loop {
        let received = from.receive(|bytes| {
            to.write_through(bytes);
            (bytes.len(), bytes.len() as u64)
        });
        match received.await? {
            Received::Bytes(bytes) => {
                written.set(written.get() + bytes);
                times.moved();
                sent_below(to, UNSENT_BYTES_HIGH, &written, times, way, &credit).await?;
            }
            Received::End => {
                to.finish();
                return sent_below(to, 1, &written, times, way, &credit).await;
            }
        }
    }
}

/// Waits until fewer than so many bytes are unsent, for as long as the receiver takes enough of them.
async fn sent_below(
    to: &Transport,
    bytes: usize,
    written: &Cell<u64>,
    times: &Times<'_>,
    way: usize,
    credit: &Credit,
) -> io::Result<()> {
    while to.unsent() >= bytes {
        let now_ns = times.handle.now().mono_ns;
        let taken = written.get().saturating_sub(to.unsent() as u64);
        times.stalled_ns[way].set(credit.run(now_ns, taken));
        times.set();
        to.sent_below(to.unsent()).await?;
    }
    credit.stop(times.handle.now().mono_ns);
    times.stalled_ns[way].set(u64::MAX);
    times.set();
    // Ready at once, but for a receiver that has gone.
    to.sent_below(usize::MAX).await
}

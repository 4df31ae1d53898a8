//! After `101 Switching Protocols`: bytes both ways, unread, until one side ends.

use std::{io, pin::pin};

use runtime::{Alarm, Handle, Received};

use crate::{
    race::{First, race},
    transport::Transport,
};

/// Above so many unsent bytes the other side is not read.
const UNSENT_BYTES_HIGH: usize = 256 << 10;

/// How long a tunnel may be silent both ways: AWS's idle time-out of WebSockets (row 157).
const IDLE_NS: u64 = 600_000_000_000;

/// Moves bytes until both sides have ended, or nothing moved for too long. An error says that one of them failed; then
/// the other is not to think that all is well.
pub(crate) async fn tunnel(
    client: &Transport,
    backend: &Transport,
    handle: &Handle,
    alarm: &Alarm,
) -> io::Result<()> {
    alarm.set(handle.now().mono_ns.saturating_add(IDLE_NS));
    let both = async {
        let mut up = pin!(copy(client, backend, handle, alarm));
        let mut down = pin!(copy(backend, client, handle, alarm));
        match race(up.as_mut(), down.as_mut()).await {
            First::Left(Ok(())) => down.await,
            First::Right(Ok(())) => up.await,
            First::Left(failed) | First::Right(failed) => failed,
        }
    };
    alarm.guard(both).await.unwrap_or(Ok(()))
}

/// One way, until its end, which is passed on.
async fn copy(from: &Transport, to: &Transport, handle: &Handle, alarm: &Alarm) -> io::Result<()> {
    loop {
        let received = from.receive(|bytes| {
            to.write(|out| out.extend_from_slice(bytes));
            (bytes.len(), ())
        });
        if let Received::End = received.await? {
            to.finish();
            return to.sent_below(1).await;
        }
        alarm.set(handle.now().mono_ns.saturating_add(IDLE_NS));
        to.sent_below(UNSENT_BYTES_HIGH).await?;
    }
}

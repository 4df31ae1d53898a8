//! Waiting for the first of two things.

use std::{future::poll_fn, pin::Pin, task::Poll};

/// Which came first.
pub(crate) enum First<A, B> {
    /// The one on the left.
    Left(A),
    /// The one on the right.
    Right(B),
}

/// Polls both, the left one first, until one is ready. The other may be polled on.
pub(crate) async fn race<A: Future, B: Future>(
    mut left: Pin<&mut A>,
    mut right: Pin<&mut B>,
) -> First<A::Output, B::Output> {
    poll_fn(|cx| {
        if let Poll::Ready(output) = left.as_mut().poll(cx) {
            return Poll::Ready(First::Left(output));
        }
        right.as_mut().poll(cx).map(First::Right)
    })
    .await
}

//! Moves bytes between a link and the connection, on either side, and finds when that has come to its end.

use std::rc::Rc;
use std::task::{Context, Poll};

use super::engine::{Engine, Leaving, Role, Shared};
use super::head::Head;
use super::{Code, Fault, Link};

/// A request that has come: its stream's place, its head.
pub(super) type Request = (u32, Box<Head>);

/// Whoever polls this moves the connection. Dropped, the connection is gone, and its streams with it.
pub(super) struct Driver<L: Link> {
    link: L,
    pub(super) shared: Rc<Shared>,
    is_over: bool,
}

impl<L: Link> Driver<L> {
    pub(super) fn new(link: L, shared: Rc<Shared>) -> Self {
        Self { link, shared, is_over: false }
    }

    /// Reads and writes what can be, until a request has come (`Some`) or the connection has ended (`None`, or why).
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Request>, Fault>> {
        if self.is_over {
            return Poll::Ready(Ok(None));
        }
        let Self { link, shared, .. } = self;
        let (mut may_read, incoming) = shared.work(|engine| {
            engine.begin_poll(cx);
            engine.admit_waiting();
            (engine.may_read(), engine.take_incoming())
        });
        if incoming.is_some() {
            return Poll::Ready(Ok(incoming));
        }
        loop {
            if let Some(outcome) = shared.work(Engine::verdict) {
                return self.end(outcome);
            }
            let received = if may_read {
                link.poll_receive(cx, &mut |bytes| shared.work(|engine| engine.receive(bytes)))
            } else {
                Poll::Pending
            };
            match received {
                Poll::Ready(Ok(true)) => {
                    let (incoming, reads_on) =
                        shared.work(|engine| (engine.take_incoming(), engine.may_read()));
                    if incoming.is_some() {
                        return Poll::Ready(Ok(incoming));
                    }
                    may_read = reads_on;
                }
                Poll::Ready(Ok(false)) => {
                    let outcome = shared.work(Engine::peer_ended);
                    return self.end(outcome);
                }
                Poll::Ready(Err(error)) => return self.end(Err(Fault::Link(error.kind()))),
                Poll::Pending => {
                    let has_room = match link.poll_room(cx) {
                        Poll::Ready(Err(error)) => return self.end(Err(Fault::Link(error.kind()))),
                        Poll::Ready(Ok(())) => true,
                        Poll::Pending => false,
                    };
                    let was_full = !may_read;
                    let (goes_on, is_turn_over) = shared.work(|engine| {
                        engine.flush(link, has_room);
                        engine.admit_waiting();
                        may_read = engine.may_read();
                        let goes_on = has_room && (!engine.out.is_empty() || (was_full && may_read));
                        (goes_on || engine.has_fault(), engine.is_turn_over())
                    });
                    if let Some(incoming) = shared.work(Engine::take_incoming) {
                        return Poll::Ready(Ok(Some(incoming)));
                    }
                    if goes_on {
                        continue;
                    }
                    if is_turn_over {
                        // Others first.
                        shared.work(Engine::begin_turn);
                        cx.waker().wake_by_ref();
                    } else {
                        shared.work(Engine::begin_turn);
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    /// The last words go out whether there is room or not.
    fn end(&mut self, outcome: Result<(), Fault>) -> Poll<Result<Option<Request>, Fault>> {
        self.is_over = true;
        let link = &self.link;
        self.shared.work(|engine| {
            engine.die();
            engine.flush(link, true);
        });
        link.finish();
        Poll::Ready(outcome.map(|()| None))
    }
}

impl<L: Link> Drop for Driver<L> {
    fn drop(&mut self) {
        self.shared.with(Engine::die);
    }
}

impl Engine {
    /// Whether the peer has done what ends the connection.
    fn has_fault(&self) -> bool {
        self.fault.is_some() || self.tariff.oddities().is_hard()
    }

    /// How the connection ends, if it does now.
    fn verdict(&mut self) -> Option<Result<(), Fault>> {
        let oddities = self.tariff.oddities();
        let (is_hard, is_soft) = (oddities.is_hard(), oddities.is_soft());
        if self.leaving == Leaving::Over {
            return Some(Ok(()));
        }
        if is_hard {
            self.end(Code::EnhanceYourCalm);
            return Some(Err(Fault::Flooded));
        }
        if let Some(code) = self.fault {
            self.end(code);
            return Some(Err(Fault::Broken(code)));
        }
        if is_soft && self.role == Role::Server {
            self.go_away();
        }
        if self.streams.len() > 0 || self.incoming.is_some() {
            return None;
        }
        match (self.goaway, self.role) {
            (Some(Code::NoError), _) => {}
            (Some(code), _) => return Some(Err(Fault::GoneAway(code))),
            (None, Role::Server) if self.leaving != Leaving::Told => return None,
            (None, Role::Client) if self.callers > 0 => return None,
            (None, _) => {}
        }
        if self.leaving != Leaving::Told {
            self.end(Code::NoError);
        }
        Some(Ok(()))
    }

    /// The peer sends no more; how the connection has ended by that.
    fn peer_ended(&mut self) -> Result<(), Fault> {
        match self.goaway {
            Some(code) if code != Code::NoError => Err(Fault::GoneAway(code)),
            _ if self.streams.open() > 0 || self.inbound.is_inside() => {
                Err(Fault::Link(std::io::ErrorKind::UnexpectedEof))
            }
            _ => Ok(()),
        }
    }
}

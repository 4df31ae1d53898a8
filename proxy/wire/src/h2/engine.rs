//! One connection: what both sides have said so far and what follows from it. Bytes come in, streams move, bytes wait to go
//! out; it never waits, and does not know whether it serves or calls but by its [`Role`]. The parts of streams share it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Waker};

use super::ahead::EXPECTED_BYTES_FIRST;
use super::frames::{self, PREFACE, kind};
use super::head::Head;
use super::hpack::{Decoder, Encoder};
use super::inbound::Inbound;
use super::streams::{End, Heads, Streams};
use super::tariff::Tariff;
use super::waiting::WaitingHead;
use super::{Code, Link, Loan, Oddities, Settings};

/// Bytes of the dynamic table by which we read heads (RFC 7541 §4.2): what a peer takes for granted.
const TABLE_BYTES: usize = 4 * 1024;

/// Windows before anybody has said anything (RFC 9113 §6.9.2).
pub(super) const INITIAL_WINDOW_BYTES: i64 = 65_535;

/// The widest window (RFC 9113 §6.9.1).
pub(super) const WINDOW_BYTES_MAX: i64 = (1 << 31) - 1;

/// Above so many bytes that wait to be written no more of bodies is added.
pub(super) const OUT_BYTES_MAX: usize = 64 * 1024;

/// Above, nothing is read either, whose answers would be more of them.
const OUT_BYTES_HARD: usize = 2 * OUT_BYTES_MAX;

/// Above, an output buffer is not kept once it is empty.
const OUT_KEPT_BYTES: usize = 32 * 1024;
/// The same on a connection without streams.
const OUT_IDLE_BYTES: usize = 2 * 1024;

/// Bytes that one connection reads before others have their turn, and heads among them.
const TURN_BYTES_MAX: usize = 64 * 1024;
const TURN_HEADS_MAX: u32 = 16;

/// Streams that a server allows before it has said (RFC 9113 §6.5.2 wants no fewer).
const STREAMS_MAX_UNSAID: u32 = 100;

/// Contents of the ping that asks whether the client has seen that we go.
const GOING_PING: [u8; 8] = *b"drained?";

/// Settings by number (RFC 9113 §6.5.2).
pub(super) mod setting {
    pub(in crate::h2) const HEADER_TABLE_SIZE: u16 = 1;
    pub(in crate::h2) const ENABLE_PUSH: u16 = 2;
    pub(in crate::h2) const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub(in crate::h2) const INITIAL_WINDOW_SIZE: u16 = 4;
    pub(in crate::h2) const MAX_FRAME_SIZE: u16 = 5;
    pub(in crate::h2) const MAX_HEADER_LIST_SIZE: u16 = 6;
}

/// Which side we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Server,
    Client,
}

/// How a connection goes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    Not,
    /// The client was told that we go, and asked whether it has heard it.
    Asked,
    /// It has: nothing new is taken.
    Told,
    /// The last word was said.
    Over,
}

/// Settings of ours that the peer has not acknowledged.
#[derive(Clone, Copy, Debug)]
struct Unacknowledged {
    window_bytes: u32,
    streams_max: u32,
}

/// A connection, as the parts of its streams share it.
pub(super) struct Shared {
    state: RefCell<Engine>,
}

impl Shared {
    pub(super) fn new(role: Role, settings: &Settings) -> Rc<Self> {
        let state = RefCell::new(Engine::new(role, settings));
        Rc::new(Self { state })
    }

    /// Does something with the connection, and then wakes whom that concerns: under no borrow, since a waker may run anything.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut Engine) -> R) -> R {
        self.run(f, true)
    }

    /// The same for whoever polls the connection, and need not be woken for that.
    pub(super) fn work<R>(&self, f: impl FnOnce(&mut Engine) -> R) -> R {
        self.run(f, false)
    }

    #[inline]
    fn run<R>(&self, f: impl FnOnce(&mut Engine) -> R, wakes: bool) -> R {
        let mut engine = self.state.borrow_mut();
        let result = f(&mut engine);
        let task = if wakes && engine.has_work { engine.task.take() } else { None };
        if task.is_none() && engine.woken.is_empty() {
            return result;
        }
        let mut woken = std::mem::take(&mut engine.woken);
        drop(engine);
        task.into_iter().chain(woken.drain(..)).for_each(Waker::wake);
        let mut engine = self.state.borrow_mut();
        if engine.woken.is_empty() {
            engine.woken = woken;
        }
        result
    }
}

/// What is known of a connection.
pub(super) struct Engine {
    pub(super) role: Role,
    settings: Settings,
    pub(super) tariff: Tariff,
    pub(super) inbound: Inbound,
    pub(super) decoder: Decoder,
    pub(super) encoder: Encoder,
    pub(super) streams: Streams,
    /// Frames to be written.
    pub(super) out: Vec<u8>,
    /// Streams that wait for room in there, by their places.
    pub(super) waiting: VecDeque<u32>,
    /// The highest number of a stream that the peer has opened and that was looked at, which `GOAWAY` tells it.
    pub(super) peers_last_id: u32,
    /// The highest that it has opened at all.
    pub(super) peers_seen_id: u32,
    /// The next number of a stream of ours; zero once there are none left.
    pub(super) next_id: u32,
    /// Bytes that all streams may send, and that one may at first.
    pub(super) window: i64,
    pub(super) initial_window: i64,
    /// The same of the peer.
    pub(super) peers_window: i64,
    pub(super) peers_initial_window: i64,
    /// Bytes that were taken and not given back as credit; of a backend's connection: that have come.
    pub(super) taken_bytes: u32,
    /// What an answer of the backend's is likely to have.
    pub(super) expected_bytes: u32,
    /// Bytes of bodies that were sent, as far as the peer's windows let them.
    pub(super) sent_bytes: u64,
    /// What backends may send ahead for the streams of a client, beyond what any call has.
    pub(super) lent_bytes: usize,
    /// By which calls were made for clients, by the places of their streams.
    pub(super) loans: Vec<Option<Loan>>,
    unacknowledged: VecDeque<Unacknowledged>,
    /// Streams that the peer may open, by settings that it knows.
    pub(super) streams_max: u32,
    /// Streams that the peer lets us open.
    pub(super) peers_streams_max: u32,
    /// The fault by which the peer has ended the connection.
    pub(super) fault: Option<Code>,
    pub(super) leaving: Leaving,
    /// The code of the peer's `GOAWAY`.
    pub(super) goaway: Option<Code>,
    /// A request to be handed out, and its head.
    pub(super) incoming: Option<(u32, Box<Head>)>,
    /// Memory of heads that were read.
    #[expect(clippy::vec_box, reason = "they come from streams and go to streams, each in its box")]
    pub(super) spare_heads: Vec<Box<Head>>,
    /// Why streams of a client were reset by the rules, since somebody asked last: no more than come in a turn, and than oddities
    /// allow.
    pub(super) refused: Vec<Code>,
    /// Bytes of heads that are being served, beyond what any request costs.
    pub(super) heads_bytes: usize,
    /// Requests that wait for others' heads to be done with, the first at the front.
    pub(super) waiting_heads: VecDeque<WaitingHead>,
    /// Bytes of trailers that came and that nobody has read.
    pub(super) trailer_bytes: usize,
    /// Bytes of frames that were ever received.
    pub(super) received_bytes: u64,
    /// What is left of the turn.
    turn_bytes: usize,
    turn_heads: u32,
    /// Those who may make calls.
    pub(super) callers: usize,
    /// Who waits for calls to end.
    pub(super) waiting_calls: Vec<Waker>,
    /// Whoever reads and writes the connection.
    task: Option<Waker>,
    /// It has something to do.
    has_work: bool,
    /// Who is to be woken.
    woken: Vec<Waker>,
}

impl Engine {
    fn new(role: Role, settings: &Settings) -> Self {
        let oddities = Oddities::default();
        let mut engine = Self {
            role,
            settings: *settings,
            tariff: Tariff::new(oddities, role == Role::Client),
            inbound: Inbound::new(role == Role::Server),
            decoder: Decoder::new(TABLE_BYTES),
            encoder: Encoder::new(),
            streams: Streams::default(),
            out: Vec::new(),
            waiting: VecDeque::new(),
            peers_last_id: 0,
            peers_seen_id: 0,
            next_id: 1,
            window: INITIAL_WINDOW_BYTES,
            initial_window: INITIAL_WINDOW_BYTES,
            peers_window: INITIAL_WINDOW_BYTES,
            peers_initial_window: INITIAL_WINDOW_BYTES,
            taken_bytes: 0,
            expected_bytes: EXPECTED_BYTES_FIRST,
            sent_bytes: 0,
            lent_bytes: 0,
            loans: Vec::new(),
            unacknowledged: VecDeque::new(),
            streams_max: settings.streams_max,
            peers_streams_max: STREAMS_MAX_UNSAID,
            fault: None,
            leaving: Leaving::Not,
            goaway: None,
            incoming: None,
            spare_heads: Vec::new(),
            refused: Vec::new(),
            heads_bytes: 0,
            waiting_heads: VecDeque::new(),
            trailer_bytes: 0,
            received_bytes: 0,
            turn_bytes: TURN_BYTES_MAX,
            turn_heads: TURN_HEADS_MAX,
            callers: 0,
            waiting_calls: Vec::new(),
            task: None,
            has_work: false,
            woken: Vec::new(),
        };
        engine.greet();
        engine
    }

    /// The first words (RFC 9113 §3.4).
    fn greet(&mut self) {
        let Settings { streams_max, stream_window_bytes, head_list_bytes_max, .. } = self.settings;
        let common = [
            (setting::INITIAL_WINDOW_SIZE, stream_window_bytes),
            (setting::MAX_HEADER_LIST_SIZE, head_list_bytes_max),
        ];
        let first = match self.role {
            Role::Server => (setting::MAX_CONCURRENT_STREAMS, streams_max),
            Role::Client => {
                self.out.extend_from_slice(PREFACE);
                (setting::ENABLE_PUSH, 0)
            }
        };
        self.write_settings(&[first, common[0], common[1]]);
        self.unacknowledged.push_back(Unacknowledged { window_bytes: stream_window_bytes, streams_max });
        let more = i64::from(self.settings.connection_window_bytes) - self.peers_window;
        if let Ok(more @ 1..) = u32::try_from(more) {
            self.peers_window += i64::from(more);
            self.write_frame(kind::WINDOW_UPDATE, 0, 0, &more.to_be_bytes());
        }
    }

    fn write_settings(&mut self, values: &[(u16, u32)]) {
        let head = frames::Head {
            payload_bytes: 6 * values.len() as u32,
            kind: kind::SETTINGS,
            flags: 0,
            stream: 0,
        };
        head.write(&mut self.out);
        for (setting, value) in values {
            self.out.extend_from_slice(&setting.to_be_bytes());
            self.out.extend_from_slice(&value.to_be_bytes());
        }
    }

    /// Whoever polls has something to do.
    pub(super) fn stir(&mut self) {
        self.has_work = true;
    }

    /// Writes a short frame.
    pub(super) fn write_frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        frames::Head { payload_bytes: payload.len() as u32, kind, flags, stream }.write(&mut self.out);
        self.out.extend_from_slice(payload);
        self.has_work = true;
    }

    /// Whether the peer has acknowledged all that we have set.
    pub(super) fn knows_settings(&self) -> bool {
        self.unacknowledged.is_empty()
    }

    /// Settings of ours were acknowledged: they hold now (RFC 9113 §6.5.3).
    pub(super) fn acknowledged(&mut self) {
        let Some(Unacknowledged { window_bytes, streams_max }) = self.unacknowledged.pop_front() else {
            return;
        };
        let difference = i64::from(window_bytes) - self.peers_initial_window;
        self.peers_initial_window += difference;
        self.streams_max = streams_max;
        self.streams.each_open(|stream| stream.peers_window += difference);
        self.tell_settings();
    }

    /// Sets how many bytes each stream may send ahead, and how many streams there may be, from when the peer has heard it.
    pub(super) fn set_limits(&mut self, window_bytes: u32, streams_max: u32) {
        self.settings.stream_window_bytes = window_bytes;
        self.settings.streams_max = streams_max;
        self.tell_settings();
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Tells the peer what has changed; one change at a time is under way, however often they do.
    fn tell_settings(&mut self) {
        let Settings { stream_window_bytes: window_bytes, streams_max, .. } = self.settings;
        let is_known =
            i64::from(window_bytes) == self.peers_initial_window && streams_max == self.streams_max;
        if is_known || !self.unacknowledged.is_empty() || self.leaving == Leaving::Over {
            return;
        }
        let values =
            [(setting::INITIAL_WINDOW_SIZE, window_bytes), (setting::MAX_CONCURRENT_STREAMS, streams_max)];
        self.write_settings(if self.role == Role::Server { &values } else { &values[..1] });
        self.unacknowledged.push_back(Unacknowledged { window_bytes, streams_max });
        self.has_work = true;
    }

    /// Bytes that came on a stream, or on one that is gone, are done with: the peer may send as many more. Those of a
    /// backend's connection were credited when they came.
    pub(super) fn give_back(&mut self, key: Option<u32>, bytes: usize) {
        // No window is that wide.
        let bytes = bytes as u32;
        if self.role == Role::Server {
            self.credit_connection(bytes);
        }
        let Some(key) = key else { return };
        let window_bytes = self.settings.stream_window_bytes;
        let stream = self.streams.at(key);
        if stream.peer_ended || stream.end.is_some() {
            return;
        }
        stream.taken_bytes += bytes;
        if stream.taken_bytes > 0 && stream.taken_bytes >= window_bytes / 4 {
            let (id, taken) = (stream.id, std::mem::take(&mut stream.taken_bytes));
            stream.peers_window += i64::from(taken);
            self.write_frame(kind::WINDOW_UPDATE, 0, id, &taken.to_be_bytes());
        }
    }

    /// Takes no new streams, in two steps (RFC 9113 §6.8): streams that the client has opened before it hears of it are served.
    pub(super) fn go_away(&mut self) {
        if self.leaving == Leaving::Not {
            self.leaving = Leaving::Asked;
            self.write_goaway(WINDOW_BYTES_MAX as u32, Code::NoError);
            self.write_frame(kind::PING, 0, 0, &GOING_PING);
            self.tariff.pinged();
        }
    }

    /// An answer to a ping of ours.
    pub(super) fn answered(&mut self, ping: [u8; 8]) {
        if self.leaving == Leaving::Asked && ping == GOING_PING {
            self.leaving = Leaving::Told;
            self.write_goaway(self.peers_last_id, Code::NoError);
        }
    }

    /// Says the last word, and ends all streams.
    pub(super) fn end(&mut self, code: Code) {
        if self.leaving != Leaving::Over {
            self.leaving = Leaving::Over;
            self.write_goaway(self.peers_last_id, code);
            self.die();
        }
    }

    fn write_goaway(&mut self, last_id: u32, code: Code) {
        let payload = (u64::from(last_id) << 32 | u64::from(code.number())).to_be_bytes();
        self.write_frame(kind::GOAWAY, 0, 0, &payload);
    }

    /// The connection is gone, and all that is under way on it.
    pub(super) fn die(&mut self) {
        self.leaving = Leaving::Over;
        self.incoming = None;
        for key in self.streams.keys().collect::<Vec<_>>() {
            self.over(key, End::Gone);
        }
        self.wake_calls();
    }

    /// A stream has come to its end before its time.
    pub(super) fn over(&mut self, key: u32, end: End) {
        let stream = self.streams.at(key);
        stream.end.get_or_insert(end);
        stream.pending = Default::default();
        let (reader, writer, gone) = (stream.reader.take(), stream.writer.take(), stream.gone.take());
        self.woken.extend(reader.into_iter().chain(writer).chain(gone));
        if !self.streams.at(key).peer_ended {
            // A part of a body is of no use.
            let bytes = self.streams.drop_body(key);
            self.give_back(None, bytes);
        }
        self.close(key);
    }

    /// Nobody will read what has come on a stream.
    pub(super) fn forget_received(&mut self, key: u32) {
        let bytes = self.streams.drop_body(key);
        self.give_back(None, bytes);
        self.streams.at(key).heads = Heads::default();
        if let Some(trailers) = self.streams.at(key).trailers.take() {
            self.trailer_bytes -= trailers.held_bytes();
        }
    }

    /// Both directions are done with.
    pub(super) fn close(&mut self, key: u32) {
        if self.streams.close(key) {
            self.free(key);
        }
    }

    pub(super) fn free(&mut self, key: u32) {
        self.forget_received(key);
        self.end_ahead(key);
        self.waiting.retain(|waiting| *waiting != key);
        if self.has_waiting() {
            self.waiting_heads.retain(|waiting| waiting.key != key);
        }
        self.streams.free(key);
        self.wake_calls();
        // The last one may have been what the connection's end waits for.
        if self.streams.len() == 0 {
            self.has_work = true;
            self.spare_heads.truncate(1);
            self.waiting_heads.shrink_to_fit();
        }
    }

    pub(super) fn wake_calls(&mut self) {
        self.woken.append(&mut self.waiting_calls);
    }

    /// Wakes whoever waits for what comes on a stream.
    pub(super) fn wake_reader(&mut self, key: u32) {
        let reader = self.streams.at(key).reader.take();
        self.woken.extend(reader);
    }

    /// Wakes whoever waits for room.
    pub(super) fn wake_writer(&mut self, key: u32) {
        let writer = self.streams.at(key).writer.take();
        self.woken.extend(writer);
    }

    /// Whoever polls is to be told when there is work again.
    pub(super) fn begin_poll(&mut self, cx: &Context<'_>) {
        self.has_work = false;
        super::streams::keep(&mut self.task, cx);
    }

    /// Whether as much has been read as may be before others have their turn.
    pub(super) fn is_turn_over(&self) -> bool {
        self.turn_bytes == 0 || self.turn_heads == 0
    }

    /// Others have had their turn.
    pub(super) fn begin_turn(&mut self) {
        (self.turn_bytes, self.turn_heads) = (TURN_BYTES_MAX, TURN_HEADS_MAX);
    }

    /// Whether more is to be read now.
    pub(super) fn may_read(&self) -> bool {
        !self.is_turn_over()
            && self.incoming.is_none()
            && self.fault.is_none()
            && self.leaving != Leaving::Over
            && self.out.len() < OUT_BYTES_HARD
            && !self.tariff.oddities().is_hard()
    }

    /// Reads what it may of `input`; how many bytes that was.
    pub(super) fn receive(&mut self, input: &[u8]) -> usize {
        let input = &input[..input.len().min(self.turn_bytes)];
        let mut rest = input;
        while !rest.is_empty() && self.may_read() {
            self.read(&mut rest);
        }
        let taken = input.len() - rest.len();
        self.turn_bytes -= taken;
        taken
    }

    /// The next request to be handed out.
    pub(super) fn take_incoming(&mut self) -> Option<(u32, Box<Head>)> {
        self.incoming.take()
    }

    /// A head was read, whatever becomes of it.
    pub(super) fn count_head(&mut self) {
        self.turn_heads = self.turn_heads.saturating_sub(1);
    }

    /// Writes all that is to be written, if there is room.
    pub(super) fn flush<L: Link>(&mut self, link: &L, has_room: bool) {
        if has_room && !self.out.is_empty() {
            link.write(&self.out);
            self.out.clear();
            let kept = if self.streams.len() == 0 { OUT_IDLE_BYTES } else { OUT_KEPT_BYTES };
            if self.out.capacity() > kept {
                self.out = Vec::new();
            }
            for _ in 0..self.waiting.len() {
                let Some(key) = self.waiting.pop_front() else { break };
                self.streams.at(key).is_waiting = false;
                self.pump(key);
                self.wake_writer(key);
            }
        }
    }
}

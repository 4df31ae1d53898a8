//! What is seen of long work: a line on standard error for whoever waits at a terminal, from the moment on that it has lasted longer
//! than one waits without asking, and gone when it is done. It knows nothing of the work but what that says of itself (`progress`) and
//! draws on a thread of its own, so that the work is not slower for it. Pipes, files and dumb terminals get not a byte.

use std::{
    fmt,
    io::{IsTerminal, stderr},
    path::Path,
    sync::{Arc, Mutex, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use progress::{Phase, Progress, State};
use serde_json::Value;

use crate::{node::held, say};

/// Work that is over by then shows nothing.
const SHOWN_AFTER: Duration = Duration::from_millis(500);

/// How often the line is drawn.
const DRAWN_EVERY: Duration = Duration::from_millis(100);

/// How long a node may take to say how far it is: whoever waits for the line waits so long for the end of it at most.
const TOLD_WITHIN: Duration = Duration::from_millis(300);

/// The line that is there now, if one is: what else is written to standard error is written above it.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    words: String,
    done: u64,
    /// 0: nothing is counted.
    of: u64,
}

/// A line for a piece of work; it goes when this is dropped, and so does its thread.
pub(crate) struct Bar {
    progress: Arc<Progress>,
    /// Dropped: the work is done.
    working: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Bar {
    /// For work of this process, which tells [`Bar::progress`] how far it is. All of it begins with reading files.
    pub(crate) fn of_work() -> Self {
        let progress = Arc::new(Progress::new());
        progress.begin(Phase::Read, 0);
        let looked = progress.clone();
        Self::start(progress, move || looked.look().map(Told::from))
    }

    /// For a change or a question that a running node works at.
    pub(crate) fn of_node(socket: &Path) -> Self {
        let waiting = Told { words: format!("waiting for the node at {}", socket.display()), done: 0, of: 0 };
        let socket = socket.to_owned();
        let look = move || {
            let answer = control::client::look(&socket, "/progress", TOLD_WITHIN);
            // One of another version tells nothing; that it is waited for is true in any case.
            let told = answer.ok().filter(|(status, _)| *status == 200).and_then(|(_, text)| decode(&text));
            Some(told.unwrap_or_else(|| waiting.clone()))
        };
        Self::start(Arc::new(Progress::new()), look)
    }

    /// Who is told how far this process's work is.
    pub(crate) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    fn start(progress: Arc<Progress>, look: impl FnMut() -> Option<Told> + Send + 'static) -> Self {
        let mut bar = Self { progress, working: None, thread: None };
        if has_lines() {
            let (working, is_over) = mpsc::channel();
            let draw = move || draw(&is_over, look);
            // Without a thread there is no line, and the work is done all the same.
            bar.thread = thread::Builder::new().name("bar".into()).spawn(draw).ok();
            bar.working = Some(working);
        }
        bar
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        drop(self.working.take());
        // One that has panicked has said so; its line stays.
        let _drawn = self.thread.take().map(JoinHandle::join);
    }
}

/// Writes to standard error, above the line if there is one.
pub(crate) fn aside<T>(write: impl FnOnce() -> T) -> T {
    let shown = held(&SHOWN).clone();
    match shown {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// Whether standard error can show a line that changes.
fn has_lines() -> bool {
    stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// Draws until the work is over.
fn draw(is_over: &mpsc::Receiver<()>, mut look: impl FnMut() -> Option<Told>) {
    let begun = Instant::now();
    let waits = |time| matches!(is_over.recv_timeout(time), Err(mpsc::RecvTimeoutError::Timeout));
    if !waits(SHOWN_AFTER) {
        return;
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_elapsed(begun.elapsed());
    *held(&SHOWN) = Some(bar.clone());
    loop {
        if let Some(Told { words, done, of }) = look() {
            // Neither style nor counts are drawn until all of them are known: the update draws once.
            bar.set_style(style(words, of));
            bar.update(|state| {
                state.set_len(of);
                state.set_pos(done);
            });
        }
        if !waits(DRAWN_EVERY) {
            break;
        }
    }
    bar.finish_and_clear();
    *held(&SHOWN) = None;
}

/// How a line looks. It has only what ASCII has: a terminal may have no other letters.
fn style(words: String, of: u64) -> ProgressStyle {
    let template = match (of, say::has_colour()) {
        (0, _) => "{spinner} {words}, {elapsed}",
        (_, true) => "{spinner} {words} [{bar:30.cyan}] {pos} of {len}, {elapsed}",
        (_, false) => "{spinner} {words} [{bar:30}] {pos} of {len}, {elapsed}",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let style = style.tick_chars("|/-\\ ").progress_chars("=> ");
    style.with_key("words", move |_: &ProgressState, to: &mut dyn fmt::Write| {
        // A line in memory takes all.
        let _written = to.write_str(&words);
    })
}

impl From<State> for Told {
    fn from(state: State) -> Self {
        Self { words: state.phase.words().to_owned(), done: state.done, of: state.of }
    }
}

/// How far a node is, as it tells it; [`decode`] reads it.
pub(crate) fn encode(state: Option<State>) -> String {
    let told = state
        .map(|state| serde_json::json!({ "doing": state.phase.words(), "done": state.done, "of": state.of }));
    Value::from(told).to_string()
}

/// What a node tells; `None`: it does nothing, or says what nobody here understands.
fn decode(text: &str) -> Option<Told> {
    let told: Value = serde_json::from_str(text).ok()?;
    // It goes to a terminal: no control characters, however they came there.
    let words = told["doing"].as_str().filter(|words| !words.contains(char::is_control))?;
    Some(Told { words: words.to_owned(), done: told["done"].as_u64()?, of: told["of"].as_u64()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, u64, u64)>) {
        let told = decode(text).map(|it| (it.words, it.done, it.of));
        assert_eq!(told, expected.map(|(words, done, of)| (words.to_owned(), done, of)), "{text}");
    }

    #[test]
    fn what_a_node_tells_is_understood() {
        let progress = Progress::new();
        check(&encode(progress.look()), None);
        progress.begin(Phase::Compile, 10);
        progress.advance(3);
        check(&encode(progress.look()), Some(("compiling routes", 3, 10)));
        progress.begin(Phase::Resolve, 0);
        check(&encode(progress.look()), Some(("resolving names of backends", 0, 0)));
    }

    #[test]
    fn what_is_not_understood_is_not_shown() {
        for text in
            ["", "null", "[]", "no such call", r#"{"doing": "x"}"#, r#"{"doing": 1, "done": 1, "of": 2}"#]
        {
            check(text, None);
        }
        check("{\"doing\": \"\\u001b[2J\", \"done\": 1, \"of\": 2}", None);
    }

    /// Work that is over soon shows nothing, whoever looks: it is not even asked.
    #[test]
    fn work_that_is_over_is_not_looked_at() {
        let (working, is_over) = mpsc::channel();
        drop(working);
        draw(&is_over, || panic!("it is over"));
    }
}

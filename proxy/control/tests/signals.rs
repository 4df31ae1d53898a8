//! Signals, in a process of their own: they are the process's, and other tests would hear them.

use std::{
    process::Command,
    sync::{
        Arc, Mutex,
        mpsc::{Sender, channel},
    },
    time::Duration,
};

use control::{Doors, Readiness, Reloaded, Settings, Stop, start};

struct Told(Mutex<Sender<String>>);

impl Told {
    fn tell(&self, what: impl Into<String>) {
        self.0.lock().expect("no test panicked").send(what.into()).expect("the test listens");
    }
}

impl Doors for Told {
    fn scrape(&self) -> String {
        String::new()
    }
    fn ready(&self) -> Readiness {
        Readiness::Ready
    }
    fn reload(&self) -> Result<Reloaded, String> {
        self.tell("reload");
        Err("error: line 1\nerror: line 2".into())
    }
    fn deployments(&self, _: &str) -> Result<String, String> {
        Err("not asked for here".into())
    }
    fn progress(&self) -> String {
        "null".into()
    }
    fn flush_cache(&self) {}
    fn reopen_logs(&self) {
        self.tell("reopen");
    }
    fn stop(&self, how: Stop) {
        self.tell(format!("stop {how:?}"));
    }
    fn beat(&self) {}
    fn say(&self, text: &str) {
        self.tell(format!("said {text}"));
    }
}

#[test]
fn signals_reload_drain_and_end() {
    let dir = tempfile::tempdir().unwrap();
    let (tell, told) = channel();
    let settings = Settings {
        socket: dir.path().join("admin.sock"),
        listen: None,
        demo: None,
        name_servers: Vec::new(),
        beat: None,
    };
    let control = start(settings, Arc::new(Told(Mutex::new(tell)))).unwrap();
    let check = |signal: &str, expected: &[&str]| {
        let sent =
            Command::new("sh").args(["-c", &format!("kill -{signal} {}", std::process::id())]).status();
        assert!(sent.unwrap().success());
        for expected in expected {
            assert_eq!(told.recv_timeout(Duration::from_secs(20)).as_deref(), Ok(*expected));
        }
    };
    check(
        "HUP",
        &["reopen", "reload", "said not reloaded, nothing has changed\nerror: line 1\nerror: line 2"],
    );
    check("TERM", &["stop Drain"]);
    check("INT", &["stop Now"]);
    control.stop();
}

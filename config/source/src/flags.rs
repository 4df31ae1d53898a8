//! `floodgate run URL`: a whole gateway from flags, everything proxied to one's own backend.

use std::{net::SocketAddr, ops::Range, path::Path, path::PathBuf};

use model::{Ebpf, Integration, Kind, Model, Node, Route, RouteKey, Throttle, ThrottlePer};

use crate::{
    Outcome, Sources, System,
    context::{Context, File, Mistake, quote},
    ebpf, integration, listener, names, node, policy, route, suggest, units,
    upstream::Upstreams,
};

/// Where a gateway without TLS listens that was told nothing.
const PLAIN_PORT: u16 = 8080;
/// The command line's name in messages.
const NAME: &str = "command line";

/// The flags as they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `http://host[:port][/prefix]` or `https://…`.
    pub backend: String,
    /// Address and port; 127.0.0.1:8443, or 127.0.0.1:8080 without TLS.
    pub listen: Option<SocketAddr>,
    /// Without TLS.
    pub plain: bool,
    /// The backend is called over HTTP/2.
    pub http2: bool,
    /// `100/s`, for each client.
    pub rate: Option<String>,
    /// Requests of a client at once.
    pub burst: Option<u32>,
    /// How long responses to GET are kept: `60s`; or `respect-origin`.
    pub cache: Option<String>,
    /// Cores that serve.
    pub workers: Option<usize>,
    /// `auto`, `uring` or `epoll`.
    pub driver: Option<String>,
    /// A TCP address of the admin listener, loopback only.
    pub admin: Option<String>,
    /// An interface in front of which the kernel counts.
    pub xdp: Option<String>,
    /// The state folder.
    pub state: Option<PathBuf>,
}

/// The gateway that flags describe.
pub fn from_flags(flags: &Flags) -> Outcome {
    let cx = Context::new(&System);
    let line = Line::new(flags);
    let model = model(flags, &line, &cx);
    let mut sources = Sources::default();
    sources.push(&line.file.name, &line.file.text);
    let (diagnostics, good) = cx.finish(&[&line.file]);
    Outcome { model: model.filter(|_| good), draft: None, diagnostics, sources, state: flags.state.clone() }
}

fn model(flags: &Flags, line: &Line, cx: &Context<'_>) -> Option<Model> {
    let read = Reading { line, cx };
    let mut upstreams = Upstreams::default();
    let key = RouteKey::Path { method: None, path: "/{proxy+}".into() };
    let url = read.flag("", Some(&flags.backend), names::url);
    let path =
        url.as_ref().and_then(|url| read.value("", integration::prefixed(url, None, None, Some(&key))));
    let rate = read.flag("--rate", flags.rate.as_ref(), units::rate);
    if let (Some(burst), None) = (flags.burst, &flags.rate) {
        let mistake = Mistake::new("`--burst` says how far `--rate` may be passed");
        read.value("--burst", Err::<(), _>(mistake.help(format!("add `--rate {burst}/s`"))));
    }
    let throttle =
        |rate| Throttle { rate, burst: flags.burst, per: ThrottlePer::Client, origin: read.origin("--rate") };
    let cache = |text: &str| match text {
        policy::RESPECT_ORIGIN => Ok(policy::respecting(Kind::Proxy)),
        _ => {
            let ttl = units::duration(text).and_then(policy::check_ttl)?;
            Ok(model::Cache { ttl, ..policy::default_cache(Kind::Proxy) })
        }
    };
    let cache = read.flag("--cache", flags.cache.as_ref(), cache);
    let cache = cache.map(|cache| model::Cache { origin: read.origin("--cache"), ..cache });
    let mut node = Node { workers: flags.workers, state: flags.state.clone(), ..Node::default() };
    if flags.workers == Some(0) {
        read.value(
            "--workers",
            Err::<(), _>(Mistake::new("no core would serve").help("write at least `--workers 1`")),
        );
    }
    node.driver = read.flag("--driver", flags.driver.as_ref(), driver).unwrap_or_default();
    node.admin.listen = read.flag("--admin", flags.admin.as_ref(), names::loopback);
    let interface = read.flag("--xdp", flags.xdp.as_ref(), ebpf::interface);
    let ebpf = |interface| Ebpf { origin: read.origin("--xdp"), ..Ebpf::new(vec![interface]) };
    node.ebpf = interface.map(ebpf);
    let (url, (path, strip_prefix)) = (url?, path?);
    let upstream = upstreams.made(&url, flags.http2, read.origin(""));
    let mut api = route::plain_api(&[], None);
    let route = Route::new(key, Integration::Http { upstream, path, strip_prefix });
    api.definition.routes.push(Route {
        throttles: rate.map(throttle).into_iter().collect(),
        cache,
        origin: read.origin(""),
        ..route
    });
    let mut listener = listener::default();
    listener.plain = flags.plain;
    if flags.plain {
        listener.address.set_port(PLAIN_PORT);
    }
    listener.address = flags.listen.unwrap_or(listener.address);
    let upstreams = upstreams.finish(cx);
    Some(Model {
        node,
        listeners: vec![listener],
        certificates: Vec::new(),
        upstreams,
        apis: vec![api],
        ..Model::default()
    })
}

fn driver(text: &str) -> Result<model::Driver, Mistake> {
    let known = ["auto", "uring", "epoll"];
    if known.contains(&text) {
        return Ok(node::driver(text));
    }
    let mistake = Mistake::new(format!("{} is no driver", quote(text)));
    Err(match suggest::nearest(text, known) {
        Some(near) => mistake.help(format!("did you mean `{near}`?")),
        None => mistake.help("write `auto`, `uring` or `epoll`"),
    })
}

/// The command line as a text, so that a mistake in it is shown like one in a file.
struct Line {
    file: File,
    /// Each flag and where its value stands; the backend's name is empty.
    values: Vec<(&'static str, Range<usize>)>,
}

impl Line {
    fn new(flags: &Flags) -> Self {
        let (mut text, mut values) = (String::from("floodgate run"), Vec::new());
        let mut add = |flag: &'static str, value: Option<String>| {
            let Some(value) = value else { return };
            if !flag.is_empty() {
                text.push(' ');
                text.push_str(flag);
            }
            let start = text.len() + 1;
            // One line, whatever a shell let through.
            text.extend(std::iter::once(' ').chain(value.chars().filter(|char| !char.is_control())));
            values.push((flag, start..text.len()));
        };
        add("", Some(flags.backend.clone()));
        add("--listen", flags.listen.map(|address| address.to_string()));
        add("--plain", flags.plain.then(String::new));
        add("--http2", flags.http2.then(String::new));
        add("--rate", flags.rate.clone());
        add("--burst", flags.burst.map(|burst| burst.to_string()));
        add("--cache", flags.cache.clone());
        add("--workers", flags.workers.map(|workers| workers.to_string()));
        add("--driver", flags.driver.clone());
        add("--admin", flags.admin.clone());
        add("--xdp", flags.xdp.clone());
        Self { file: File::new(NAME, text, Path::new("")), values }
    }
}

struct Reading<'a> {
    line: &'a Line,
    cx: &'a Context<'a>,
}

impl Reading<'_> {
    fn flag<T>(
        &self,
        flag: &str,
        value: Option<&String>,
        read: impl FnOnce(&str) -> Result<T, Mistake>,
    ) -> Option<T> {
        value.and_then(|value| self.value(flag, read(value)))
    }

    fn value<T>(&self, flag: &str, read: Result<T, Mistake>) -> Option<T> {
        read.map_err(|mistake| self.cx.mistake(self.origin(flag).as_ref(), flag, mistake)).ok()
    }

    fn origin(&self, flag: &str) -> Option<model::Origin> {
        let value = self.line.values.iter().find(|(name, _)| *name == flag);
        value.map(|(_, span)| self.line.file.origin(span.clone()))
    }
}

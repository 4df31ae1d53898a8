//! The verbs of the command line.

mod deployments;
mod trust;

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use progress::Progress;
use source::Flags;

use crate::{
    bar::Bar,
    cli::{self, Cli, Command, Run, Socket},
    deployments::Deployed,
    explain, frontline,
    last_good::LastGood,
    manager::Manager,
    node::{self, Overrides},
    openapi,
    publisher::{BadConfiguration, Origin, Publisher, Read},
    say, state,
    watch::Footprint,
};

/// Where a configuration is looked for when none is named.
const PLACES: [&str; 3] = ["floodgate.toml", "config/floodgate.toml", "/etc/floodgate/floodgate.toml"];

/// Exit status of a configuration that was refused.
const BAD_CONFIGURATION: u8 = 2;

/// Exit status of a configuration that is right and laid out otherwise.
const OTHER_LAYOUT: u8 = 1;

/// Exit status of a configuration that says something else than what runs.
const DIFFERENT: u8 = 1;

/// Does what was asked.
pub(crate) fn run(cli: Cli) -> Result<ExitCode> {
    let mut help = None;
    let done = match cli.command.unwrap_or_else(|| Command::Run(Box::default())) {
        Command::Run(flags) => {
            let asked = flags.state.clone();
            let document = flags.what.clone().filter(|what| openapi::is_document(Path::new(what)));
            // A backend alone is kept nowhere.
            let is_kept = document.is_some() || !flags.what.as_deref().is_some_and(is_url);
            let served = serve(*flags);
            let refused = served.as_ref().err().and_then(|error| error.downcast_ref::<BadConfiguration>());
            help = refused
                .filter(|_| is_kept)
                .map(|refused| way_back(asked.as_deref(), refused.state.as_deref(), document.as_deref()));
            served
        }
        Command::Check { file, document, state } => check(file, document, state.as_deref()),
        Command::Fmt { file, check } => match fmt(file, check) {
            Ok(true) => return Ok(ExitCode::from(OTHER_LAYOUT)),
            other => other.map(drop),
        },
        Command::Dump { file, origin } => dump(file, origin),
        Command::Import(import) => openapi::import(*import),
        Command::Export(export) => openapi::export(*export),
        Command::Explain(asked) => explain::explain(&asked),
        Command::Schema => {
            say::out(source::schema_json().trim_end());
            Ok(())
        }
        Command::Reload(socket) => ask(&socket, "POST", "/reload"),
        Command::Deploy { of, description, canary, socket } => {
            deployments::deploy(of, description, canary, &socket)
        }
        Command::Diff { of, from, to, socket } => match deployments::diff(of, from, to, &socket) {
            Ok(true) => return Ok(ExitCode::from(DIFFERENT)),
            other => other.map(drop),
        },
        Command::History { of, json, socket } => deployments::history(of, json, &socket),
        Command::Rollback { of, id, socket } => deployments::rollback(of, id, &socket),
        Command::Deployments(what) => deployments::kept(what),
        Command::Canary(what) => deployments::canary(what),
        Command::Flush(socket) => ask(&socket, "POST", "/cache/flush"),
        Command::Metrics(socket) => ask(&socket, "GET", "/metrics"),
        Command::Ebpf(what) => ebpf(what),
        Command::Trust { install, state } => trust::trust(install, state.as_deref()),
    };
    match done {
        Err(error) => match error.downcast::<BadConfiguration>() {
            Ok(BadConfiguration { rendered, .. }) => {
                say::diagnostics(&rendered);
                say::error("the configuration was refused; nothing was started");
                if let Some(help) = help {
                    say::note(&help);
                }
                Ok(ExitCode::from(BAD_CONFIGURATION))
            }
            Err(error) => Err(error),
        },
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

fn serve(flags: Run) -> Result<()> {
    let manager = Arc::new(Manager::from_environment());
    let served = try_serve(flags, &manager);
    if let Err(error) = &served {
        manager.status(&reason(error));
    }
    served
}

/// Why it was not served, in one line: of a configuration's mistakes the first.
fn reason(error: &anyhow::Error) -> String {
    let Some(BadConfiguration { rendered, .. }) = error.downcast_ref() else {
        return say::chain(error.as_ref());
    };
    let mistake = rendered.lines().find(|line| line.starts_with("error")).unwrap_or_default();
    format!("the configuration was refused: {mistake}")
}

fn try_serve(flags: Run, manager: &Arc<Manager>) -> Result<()> {
    let driver = flags.driver.as_deref().map(driver).transpose()?;
    let overrides = Overrides { workers: flags.workers, driver, state: flags.state.clone() };
    let may_go_back = flags.last_good;
    let origin = match origin(flags) {
        // No file is there to be read; what is kept knows where it was.
        Err(error) if may_go_back => {
            // A document goes with flags of its own.
            let kept = kept(overrides.state.as_deref())?.filter(|kept| !kept.is_document()).ok_or(error)?;
            Origin::File(kept.main().to_owned())
        }
        origin => origin?,
    };
    if may_go_back && matches!(origin, Origin::Flags(_)) {
        bail!("--last-good goes with a configuration file or a document: flags are not kept");
    }
    let run = |read, bar| node::run(origin.clone(), read, &overrides, manager.clone(), bar);
    let bar = Bar::of_work();
    let read = origin.read(bar.progress()).map_err(anyhow::Error::from);
    let refused = match read.and_then(|read| run(read, bar)) {
        Err(error) if may_go_back => error.downcast::<BadConfiguration>()?,
        other => return other,
    };
    let state = overrides.state.as_deref().or(refused.state.as_deref());
    let Some(kept) = kept(state)? else { return Err(refused.into()) };
    say::diagnostics(&refused.rendered);
    if kept.is_document() != matches!(origin, Origin::OpenApi(_)) {
        let main = kept.main().display();
        bail!(
            "what was in force last with this state folder is something else: `floodgate run {main} --last-good` goes back to it"
        );
    }
    say::warning(&format!(
        "the configuration was refused; running the last one that was in force, from {}, until it is put right and \
         reloaded",
        LastGood::path(&state::folder(state)?).display()
    ));
    let mut read = Read::last_good(&origin, &kept)?;
    read.footprint = refused.footprint;
    run(read, Bar::of_work())
}

/// What an earlier run has kept in a state folder.
fn kept(state: Option<&Path>) -> Result<Option<LastGood>> {
    let folder = state::folder(state)?;
    LastGood::load(&folder).with_context(|| format!("cannot read {}", LastGood::path(&folder).display()))
}

/// What else can be run when a configuration, or a document, was refused.
fn way_back(asked: Option<&Path>, named: Option<&Path>, document: Option<&str>) -> String {
    let (state, flag) = match asked {
        Some(asked) => (Some(asked), format!(" --state {}", asked.display())),
        None => (named, String::new()),
    };
    let (command, with) = match document {
        Some(document) => (format!("floodgate run {document} --last-good"), ", with the same flags,"),
        None => ("floodgate run --last-good".to_owned(), ""),
    };
    match (kept(state), state::folder(state)) {
        (Ok(Some(_)), _) => {
            format!("`{command}{flag}`{with} runs the last one that was in force until this one is right")
        }
        (Ok(None), Ok(folder)) => format!(
            "none has been in force yet with the state folder {}, which `{command}` could run instead",
            folder.display()
        ),
        (Err(error), _) | (_, Err(error)) => {
            format!("there is none for `{command}`: {}", say::chain(error.as_ref()))
        }
    }
}

fn is_url(what: &str) -> bool {
    what.starts_with("http://") || what.starts_with("https://")
}

/// A URL makes a gateway from flags; anything else names a file.
fn origin(flags: Run) -> Result<Origin> {
    let only_with_url = only_with_url(&flags);
    // All of them by name: a flag that is added has to find its place here.
    let Run {
        what,
        listen,
        plain,
        http2,
        rate,
        burst,
        cache,
        admin,
        xdp,
        document,
        workers,
        driver,
        state,
        watch,
        last_good: _,
    } = flags;
    let given = openapi::given(&document).or(watch.then_some("--watch"));
    match what {
        Some(backend) if is_url(&backend) && given.is_some() => {
            bail!("{} goes with an OpenAPI document", given.unwrap_or_default())
        }
        Some(backend) if is_url(&backend) => Ok(Origin::Flags(Box::new(Flags {
            backend,
            listen,
            plain,
            http2,
            rate,
            burst,
            cache,
            workers,
            driver,
            admin,
            xdp,
            state,
        }))),
        Some(other) if other.contains("://") => {
            bail!("`{other}` is no backend: its URL begins with http:// or https://")
        }
        Some(path) if openapi::is_document(Path::new(&path)) => {
            let with_both = ["--listen", "--plain", "--admin"];
            let only = only_with_url.iter().filter(|(flag, _)| !with_both.contains(flag));
            if let Some(flag) = only.into_iter().find_map(|(flag, given)| given.then_some(flag)) {
                bail!("{flag} goes with the URL of a backend: floodgate run http://127.0.0.1:9000 {flag} …");
            }
            let options = openapi::options(&document);
            Ok(Origin::OpenApi(Box::new(source::OpenApi {
                path: path.into(),
                options,
                parameters: document.parameters.into_iter().collect(),
                listen,
                plain,
                admin,
                state,
                watch,
            })))
        }
        what => {
            if let Some(flag) = given {
                let key =
                    if flag == "--watch" { "; in a configuration `[node]` has `watch = true`" } else { "" };
                bail!(
                    "{flag} goes with an OpenAPI document, JSON or YAML: floodgate run api.yaml {flag} …{key}"
                );
            }
            if let Some(flag) = only_with_url.iter().find_map(|(flag, given)| given.then_some(flag)) {
                bail!("{flag} goes with the URL of a backend: floodgate run http://127.0.0.1:9000 {flag} …");
            }
            Ok(Origin::File(match what {
                Some(what) => what.into(),
                None => default_file()?,
            }))
        }
    }
}

/// What a file says by itself, and whether it was given: only a URL leaves it open.
const fn only_with_url(flags: &Run) -> [(&'static str, bool); 8] {
    [
        ("--listen", flags.listen.is_some()),
        ("--plain", flags.plain),
        ("--http2", flags.http2),
        ("--rate", flags.rate.is_some()),
        ("--burst", flags.burst.is_some()),
        ("--cache", flags.cache.is_some()),
        ("--admin", flags.admin.is_some()),
        ("--xdp", flags.xdp.is_some()),
    ]
}

pub(crate) fn default_file() -> Result<PathBuf> {
    let found = PLACES.iter().map(Path::new).find(|path| path.exists());
    found.map(Path::to_owned).with_context(|| {
        format!(
            "no configuration: none of {} exists. Name a file, or a backend: floodgate run http://127.0.0.1:9000",
            PLACES.join(", ")
        )
    })
}

fn driver(name: &str) -> Result<model::Driver> {
    match name {
        "auto" => Ok(model::Driver::Auto),
        "uring" => Ok(model::Driver::Uring),
        "epoll" => Ok(model::Driver::Epoll),
        _ => bail!("`{name}` is no driver: auto, uring or epoll"),
    }
}

/// The file that was named, else that of the running node that was asked, else the one that `run` would take.
pub(crate) fn file_or(named: Option<PathBuf>, deployed: Option<&Deployed>) -> Result<PathBuf> {
    match named.or_else(|| deployed.and_then(|it| it.file.clone())) {
        Some(file) => Ok(file),
        None => default_file(),
    }
}

/// Reads and compiles, and leaves no trace: certificates of the local authority are made in a folder that goes.
fn check(file: Option<PathBuf>, document: cli::Document, state: Option<&Path>) -> Result<()> {
    let file = file.map_or_else(default_file, Ok)?;
    let bar = Bar::of_work();
    let read = openapi::origin(&file, &document)?.read(bar.progress())?;
    let scratch = Scratch::new(state)?;
    let (mut publisher, _) = Publisher::new(&scratch.0)?;
    let snapshot =
        publisher.compile(&read, &read.model, bar.progress()).map_err(|rendered| read.refused(rendered))?;
    drop(bar);
    read.warn();
    let routes: usize =
        snapshot.apis.iter().flat_map(|api| &api.stages).map(|stage| stage.routes.len()).sum();
    say::out(&format!(
        "{}: right: {}, {}, {}, {}",
        file.display(),
        say::count(snapshot.listeners.len(), "listener"),
        say::count(snapshot.apis.len(), "API"),
        say::count(routes, "route"),
        say::count(snapshot.upstreams.iter().flatten().count(), "upstream")
    ));
    Ok(())
}

/// The file of a verb that is for configurations alone; of a document it says which verb is for that.
fn configuration(file: Option<PathBuf>, verb: &str) -> Result<PathBuf> {
    let file = file.map_or_else(default_file, Ok)?;
    if openapi::is_document(&file) {
        let name = file.display();
        bail!("{name} is JSON or YAML and no configuration: `floodgate {verb} {name}` is for those");
    }
    Ok(file)
}

/// Lays a file out anew. Whether lines differ and were only to be shown.
fn fmt(file: Option<PathBuf>, check: bool) -> Result<bool> {
    let file = configuration(file, "export")?;
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let name = file.to_string_lossy();
    let formatted = source::format(&name, &text).map_err(refused)?;
    if formatted == text {
        return Ok(false);
    }
    if check {
        say::out(&source::differences(&name, &text, &formatted));
        return Ok(true);
    }
    replace(&file, &formatted).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(false)
}

fn dump(file: Option<PathBuf>, origin: bool) -> Result<()> {
    let file = configuration(file, "import")?;
    let text = source::dump(&file, &source::System, origin).map_err(refused)?;
    say::out(text.trim_end());
    Ok(())
}

/// Writes a file whole or not at all: a node that reads in between sees one of the two. Owner and mode stay.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let file = std::fs::canonicalize(file)?;
    let old = std::fs::metadata(&file)?;
    let beside = file.with_added_extension(format!("{}.new", std::process::id()));
    let written = std::fs::write(&beside, text)
        .and_then(|()| std::fs::set_permissions(&beside, old.permissions()))
        .and_then(|()| std::os::unix::fs::chown(&beside, Some(old.uid()), Some(old.gid())))
        .and_then(|()| std::fs::rename(&beside, &file));
    if written.is_err() {
        // What went wrong is said; that nothing of it is left is a courtesy.
        let _removed = std::fs::remove_file(&beside);
    }
    written
}

fn refused(refused: source::Refused) -> BadConfiguration {
    let rendered = source::render(&refused.diagnostics, &refused.sources, say::has_colour());
    BadConfiguration { rendered, state: None, footprint: Footprint::default() }
}

/// `floodgate ebpf`.
fn ebpf(what: cli::Ebpf) -> Result<()> {
    use cli::Ebpf;
    let place = |of: cli::FrontLine| Ok::<_, anyhow::Error>((of.pins, state::folder(of.state.as_deref())?));
    match what {
        Ebpf::Status(of) => {
            let (pins, state) = place(of)?;
            say::out(&frontline::status(&l4::pinned::status(&pins, &state)?));
        }
        Ebpf::Attach { file, state } => {
            let read = Origin::File(file.map_or_else(default_file, Ok)?).read(Progress::silent())?;
            let Some(ebpf) = &read.model.node.ebpf else { bail!("the configuration has no `[ebpf]`") };
            let node = &read.model.node;
            let state = state::folder(state.as_deref().or(node.state.as_deref()))?;
            let listeners: Vec<_> = read.model.listeners.iter().map(|listener| listener.address).collect();
            let rules = frontline::rules(ebpf, &listeners, node.admin.listen);
            let line = l4::FrontLine::attach(frontline::settings(ebpf, &state), rules, &mut |text| {
                say::note(&text)
            })?;
            for interface in line.modes() {
                say::out(&format!("{}: {}", interface.name, frontline::described(interface.step)));
            }
        }
        Ebpf::Detach(of) => {
            let (pins, state) = place(of)?;
            l4::pinned::detach(&pins, &state)?;
        }
        Ebpf::Commit(of) => {
            let (pins, state) = place(of)?;
            l4::pinned::commit(&pins, &state)?;
            say::note("the rules on trial are kept");
        }
        Ebpf::Block { prefix, lasts, front_line } => {
            let (pins, state) = place(front_line)?;
            let lasts = source::duration(&lasts).map_err(anyhow::Error::msg)?;
            let reason = l4::feed::Reason::Operator as u32;
            l4::pinned::block(&pins, &state, network(&prefix)?, lasts, reason)?;
        }
        Ebpf::Allow { prefix, front_line } => {
            let (pins, state) = place(front_line)?;
            l4::pinned::allow(&pins, &state, network(&prefix)?)?;
        }
    }
    Ok(())
}

/// `192.0.2.7`, `2001:db8::/48`.
fn network(text: &str) -> Result<ipnet::IpNet> {
    let address = text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from);
    match address.ok().or_else(|| text.parse().ok()) {
        Some(prefix) => Ok(prefix.trunc()),
        None => bail!("`{text}` is neither an address nor a prefix, such as 192.0.2.7 or 2001:db8::/48"),
    }
}

/// A folder that goes when it is dropped.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(state: Option<&Path>) -> Result<Self> {
        let base = state.map_or_else(std::env::temp_dir, Path::to_owned);
        let folder = base.join(format!("floodgate-check-{}", std::process::id()));
        state::make(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            say::warning(&format!("cannot remove {}: {error}", self.0.display()));
        }
    }
}

/// Asks the running node.
fn ask(socket: &Socket, method: &str, path: &str) -> Result<()> {
    say::out(answered(socket, method, path, "")?.trim_end());
    Ok(())
}

/// What the running node answers.
fn answered(socket: &Socket, method: &str, path: &str, body: &str) -> Result<String> {
    match &socket.socket {
        Some(socket) => answered_at(socket, method, path, body),
        None => answered_at(&state::socket(None)?, method, path, body),
    }
}

/// What the node behind an admin socket answers.
pub(crate) fn answered_at(socket: &Path, method: &str, path: &str, body: &str) -> Result<String> {
    let bar = Bar::of_node(socket);
    let (status, text) = control::client::call_with(socket, method, path, body)?;
    drop(bar);
    match status {
        200..=299 => Ok(text),
        422 => {
            say::diagnostics(&text);
            bail!("the node refused the change and goes on as it was");
        }
        _ => bail!("the node answered {status}: {}", text.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    fn asked(words: &[&str]) -> Result<Origin> {
        let cli = Cli::try_parse_from(["floodgate", "run"].iter().chain(words))?;
        match cli.command {
            Some(Command::Run(flags)) => origin(*flags),
            other => bail!("{other:?}"),
        }
    }

    /// Every flag that the help shows under a heading of its own, with a value if it takes one: refused by name with a file, and with
    /// none named; taken with a URL, but for those of documents.
    #[test]
    fn what_goes_with_a_url_or_a_document_is_refused_with_a_file() {
        let cli = Cli::command();
        let run = cli.find_subcommand("run").unwrap();
        let (mut seen, mut of_documents) = (0, 0);
        for flag in run.get_arguments().filter(|flag| flag.get_help_heading().is_some()) {
            let name = format!("--{}", flag.get_long().unwrap());
            let value = match &*name {
                "--listen" | "--admin" => "127.0.0.1:0",
                "--kind" => "rest",
                "--basepath" => "split",
                "--param" => "Stage=prod",
                _ => "1",
            };
            let words = if flag.get_action().takes_values() { vec![&*name, value] } else { vec![&*name] };
            let is_of_documents = flag.get_help_heading() == Some("With an OpenAPI document");
            let goes = if is_of_documents {
                "goes with an OpenAPI document"
            } else {
                "goes with the URL of a backend"
            };
            for file in [&["gateway.toml"][..], &[]] {
                let refused = asked(&[file, &words].concat()).unwrap_err().to_string();
                assert!(refused.starts_with(&format!("{name} {goes}")), "{refused}");
            }
            let taken = asked(&[&["http://127.0.0.1:9000"], &words[..]].concat());
            match taken {
                Ok(Origin::Flags(_)) => assert!(!is_of_documents, "{name}"),
                refused => {
                    let refused = refused.unwrap_err().to_string();
                    assert!(is_of_documents && refused.starts_with(&format!("{name} {goes}")), "{refused}");
                    of_documents += 1;
                }
            }
            seen += 1;
        }
        assert_eq!((seen - of_documents, of_documents), (only_with_url(&Run::default()).len(), 11));
    }

    /// What a file is is told by what is in it, whatever it is called.
    #[test]
    fn documents_are_told_by_their_text() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("a.toml");
        let path = path.to_str().unwrap();
        for (text, is_document) in [("{}", true), ("openapi: 3.0.1", true), ("[node]", false), ("", false)] {
            std::fs::write(path, text).unwrap();
            let taken = asked(&[path]).unwrap();
            assert_eq!(matches!(taken, Origin::OpenApi(_)), is_document, "{text}: {taken:?}");
        }
        std::fs::write(path, "{}").unwrap();
        let Origin::OpenApi(what) =
            asked(&[path, "--plain", "--kind", "http", "--backend", "http://b"]).unwrap()
        else {
            panic!("it is a document")
        };
        assert!(what.plain && what.options.kind == Some(model::Kind::Http), "{what:?}");
        let refused = asked(&[path, "--cache", "60s"]).unwrap_err().to_string();
        assert!(refused.starts_with("--cache goes with the URL of a backend"), "{refused}");
    }

    /// The others mean the same with either.
    #[test]
    fn what_goes_with_both_is_taken_with_a_file() {
        for words in [&["--workers", "1"][..], &["--driver", "epoll"], &["--last-good"], &["--state", "x"]] {
            let taken = asked(&[&["gateway.toml"], words].concat());
            assert!(
                matches!(&taken, Ok(Origin::File(file)) if file == Path::new("gateway.toml")),
                "{taken:?}"
            );
        }
    }
}

//! Names of backends: resolved again whenever their time to live is over, and told to whoever watches. What was last
//! known stays in use when name servers fail. This module knows groups of targets by their slots and nothing of what
//! is sent to them.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts},
    net::{NetError, runtime::TokioRuntimeProvider},
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

use crate::Doors;

/// An answer is used for this long at least, whatever its time to live says: a name server is no load balancer.
const TTL_MIN: Duration = Duration::from_secs(1);
/// And at most.
const TTL_MAX: Duration = Duration::from_secs(300);
/// After a failure: asked again after this, then after twice that, up to the longest.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Addresses kept of one name; the rest of a longer answer is left out.
const ADDRESSES_MAX: usize = 64;
/// Questions at once.
const LOOKUPS_MAX: usize = 32;
/// How long a name server may take to answer, and how often it is asked before the lookup has failed.
const ANSWER_MAX: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;

/// A backend as it was written: a name or an address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// A name, an IPv4 address, or an IPv6 address with or without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// One upstream group to keep resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Its slot.
    pub upstream: u32,
    /// Its targets, in order.
    pub targets: Vec<Target>,
}

/// Told a group's slot and all its addresses, each with the index of its target; called on the control thread, at first
/// when something is known of the group and then at every change. Must not block. An empty list means that no target
/// could be resolved.
pub type Publish = Arc<dyn Fn(u32, Vec<(usize, SocketAddr)>) + Send + Sync>;

/// Keeps names resolved, on the control thread.
#[derive(Clone)]
pub struct Resolver {
    orders: mpsc::UnboundedSender<Order>,
    failures: Arc<AtomicU64>,
}

/// The answers that a new set of groups waits for.
pub struct FirstAnswers(Arc<Waiting>);

/// A name without an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// The name.
    pub host: String,
    /// Why not.
    pub why: String,
}

struct Waiting {
    open: Mutex<Open>,
    changed: Condvar,
}

struct Open {
    /// Whether the control thread has taken the set, and so has published the addresses in it.
    taken: bool,
    /// Names without an address: not answered yet, or failed and why.
    names: BTreeMap<String, Option<String>>,
}

struct Order {
    groups: Vec<Watch>,
    publish: Publish,
    first: Arc<Waiting>,
}

/// A resolver, and what does its work once the runtime runs.
pub(crate) fn resolver(name_servers: Vec<SocketAddr>, doors: Arc<dyn Doors>) -> (Resolver, Keeper) {
    let (orders, ordered) = mpsc::unbounded_channel();
    let failures = Arc::new(AtomicU64::new(0));
    let keeper = Keeper {
        name_servers,
        doors,
        ordered,
        failures: Arc::clone(&failures),
        names: HashMap::new(),
        groups: Vec::new(),
    };
    (Resolver { orders, failures }, keeper)
}

impl Resolver {
    /// Replaces the groups that are kept resolved. Addresses are published at once, names when they are answered; what
    /// an earlier set knew of a name stays known. The system's name servers and hosts file are read again.
    pub fn watch(&self, groups: Vec<Watch>, publish: Publish) -> FirstAnswers {
        let hosts = groups.iter().flat_map(|group| &group.targets).filter_map(Target::name);
        let open = Mutex::new(Open { taken: false, names: hosts.map(|host| (host, None)).collect() });
        let first = Arc::new(Waiting { open, changed: Condvar::new() });
        // One order a reload. If the thread has ended so has the process, or will in a moment.
        let _ = self.orders.send(Order { groups, publish, first: Arc::clone(&first) });
        FirstAnswers(first)
    }

    /// Questions that got no usable answer, since the start.
    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }
}

impl FirstAnswers {
    /// Waits until the addresses of the set have been published, and every name has been answered and published too or
    /// has failed, at most `within`; returns the names without an address. Not for the control thread.
    pub fn wait(self, within: Duration) -> Vec<Unresolved> {
        let open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        let unanswered = |open: &mut Open| !open.taken || open.names.values().any(Option::is_none);
        let waited = self.0.changed.wait_timeout_while(open, within, unanswered);
        let (open, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let each = open.names.iter().map(|(host, why)| Unresolved {
            host: host.clone(),
            why: why.clone().unwrap_or_else(|| "no answer yet".into()),
        });
        each.collect()
    }
}

impl Waiting {
    /// The addresses of the set have been published.
    fn taken(&self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).taken = true;
        self.changed.notify_all();
    }

    /// `why` is `None` when the name has addresses.
    fn answered(&self, host: &str, why: Option<&str>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match (why, open.names.get_mut(host)) {
            (None, _) => drop(open.names.remove(host)),
            (Some(why), Some(open)) => *open = Some(why.to_owned()),
            (Some(_), None) => {}
        }
        self.changed.notify_all();
    }
}

impl Target {
    /// The address, if it is one and no name.
    pub fn address(&self) -> Option<IpAddr> {
        let host = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&self.host);
        host.parse().ok()
    }

    /// The name, if it is one. Names are compared without case.
    fn name(&self) -> Option<String> {
        self.address().is_none().then(|| self.host.to_ascii_lowercase())
    }
}

/// Owns what is known; each name has a task that asks.
pub(crate) struct Keeper {
    name_servers: Vec<SocketAddr>,
    doors: Arc<dyn Doors>,
    ordered: mpsc::UnboundedReceiver<Order>,
    failures: Arc<AtomicU64>,
    names: HashMap<String, Known>,
    groups: Vec<Group>,
}

/// A name.
#[derive(Default)]
struct Known {
    /// Last good ones, in order.
    addresses: Vec<IpAddr>,
    answered: bool,
    failing: bool,
}

struct Group {
    watch: Watch,
    published: Option<Vec<(usize, SocketAddr)>>,
}

/// What a name's task found out.
struct Answer {
    host: String,
    found: Result<Vec<IpAddr>, String>,
}

impl Keeper {
    /// Works until the runtime ends or nobody can order any more.
    pub(crate) async fn run(mut self) {
        let mut asking = JoinSet::new();
        let (_none, mut answers) = mpsc::channel::<Answer>(1);
        let mut order: Option<Order> = None;
        loop {
            tokio::select! {
                next = self.ordered.recv() => match next {
                    Some(next) => {
                        // Their late answers go with the channel.
                        asking.shutdown().await;
                        let (answer, answered) = mpsc::channel(LOOKUPS_MAX);
                        answers = answered;
                        self.take(&next, &mut asking, answer);
                        order = Some(next);
                    }
                    // The one who started the thread has dropped it.
                    None => return,
                },
                Some(answer) = answers.recv() => if let Some(order) = &order {
                    self.learn(answer, order);
                },
            }
        }
    }

    fn take(&mut self, order: &Order, asking: &mut JoinSet<()>, answer: mpsc::Sender<Answer>) {
        let mut before = std::mem::take(&mut self.names);
        for host in order.groups.iter().flat_map(|group| &group.targets).filter_map(Target::name) {
            let known = before.remove(&host).unwrap_or_default();
            self.names.entry(host).or_insert(known);
        }
        let group = |watch: &Watch| Group { watch: watch.clone(), published: None };
        self.groups = order.groups.iter().map(group).collect();
        self.publish(order, |_| true);
        let known = self.names.iter().filter(|(_, known)| !known.addresses.is_empty());
        known.for_each(|(host, _)| order.first.answered(host, None));
        order.first.taken();

        if self.names.is_empty() {
            return;
        }
        let lookup = match lookup(&self.name_servers) {
            Ok(lookup) => lookup,
            Err(error) => {
                self.doors.say(&format!("names are resolved from the hosts file alone: {}", plain(&error)));
                match without_servers() {
                    Ok(lookup) => lookup,
                    Err(error) => {
                        return self.doors.say(&format!("no name can be resolved: {}", plain(&error)));
                    }
                }
            }
        };
        let places = Arc::new(Semaphore::new(LOOKUPS_MAX));
        for host in self.names.keys() {
            asking.spawn(ask(host.clone(), lookup.clone(), Arc::clone(&places), answer.clone()));
        }
    }

    fn learn(&mut self, answer: Answer, order: &Order) {
        let Answer { host, found } = answer;
        let Some(known) = self.names.get_mut(&host) else { return };
        let was_failing = std::mem::replace(&mut known.failing, found.is_err());
        known.answered = true;
        let mut unresolved = None;
        match found {
            Ok(addresses) => {
                known.addresses = addresses;
                if was_failing {
                    self.doors.say(&format!("{host} is resolved again"));
                }
            }
            Err(why) => {
                self.failures.fetch_add(1, Relaxed);
                if !was_failing {
                    let rest = match known.addresses.len() {
                        0 => "it has no address",
                        _ => "its last known addresses stay in use",
                    };
                    self.doors.say(&format!("cannot resolve {host}: {why}; {rest}"));
                }
                unresolved = known.addresses.is_empty().then_some(why);
            }
        }
        self.publish(order, |group| {
            group.targets.iter().any(|target| target.name().as_deref() == Some(&host))
        });
        // Last: who waits for the answer finds it published.
        order.first.answered(&host, unresolved.as_deref());
    }

    /// Tells the groups `of` what has changed for them. A group of which nothing is known yet is told nothing.
    fn publish(&mut self, order: &Order, of: impl Fn(&Watch) -> bool) {
        for group in self.groups.iter_mut().filter(|group| of(&group.watch)) {
            let mut addresses = Vec::new();
            let mut complete = true;
            for (index, target) in group.watch.targets.iter().enumerate() {
                match (target.address(), target.name().and_then(|name| self.names.get(&name))) {
                    (Some(ip), _) => addresses.push((index, SocketAddr::new(ip, target.port))),
                    (None, Some(known)) => {
                        complete &= known.answered || !known.addresses.is_empty();
                        addresses.extend(
                            known.addresses.iter().map(|ip| (index, SocketAddr::new(*ip, target.port))),
                        );
                    }
                    (None, None) => {}
                }
            }
            let news = (complete || !addresses.is_empty()) && group.published.as_ref() != Some(&addresses);
            if news {
                group.published = Some(addresses.clone());
                (order.publish)(group.watch.upstream, addresses);
            }
        }
    }
}

/// Asks for one name, over and over, until its set is replaced.
async fn ask(host: String, lookup: TokioResolver, places: Arc<Semaphore>, answers: mpsc::Sender<Answer>) {
    let mut cadence = Cadence::default();
    loop {
        let found = match places.acquire().await {
            Ok(_place) => lookup.lookup_ip(host.as_str()).await,
            Err(_) => return,
        };
        let (found, left) = match found {
            Ok(found) => {
                let mut addresses: Vec<IpAddr> = found.iter().collect();
                // Name servers rotate their answers; that is no change.
                addresses.sort_unstable();
                addresses.dedup();
                addresses.truncate(ADDRESSES_MAX);
                (Ok(addresses), found.valid_until().saturating_duration_since(Instant::now()))
            }
            Err(error) => (Err(plain(&error)), Duration::ZERO),
        };
        let found = found.and_then(|addresses: Vec<IpAddr>| match addresses.is_empty() {
            true => Err(NO_ADDRESS.to_owned()),
            false => Ok(addresses),
        });
        let pause = cadence.pause(found.is_ok().then_some(left));
        if answers.send(Answer { host: host.clone(), found }).await.is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}

/// When a name is asked for again.
struct Cadence {
    /// After the next failure in a row.
    retry: Duration,
}

impl Default for Cadence {
    fn default() -> Self {
        Self { retry: RETRY_MIN }
    }
}

impl Cadence {
    /// After an answer that holds so long yet, or `None`: a failure. How long a failure holds is decided here, by how many
    /// there were, and not by the zone (RFC 2308): a backend that is deployed late shall not be missed for hours.
    fn pause(&mut self, left: Option<Duration>) -> Duration {
        match left {
            Some(left) => {
                self.retry = RETRY_MIN;
                left.clamp(TTL_MIN, TTL_MAX)
            }
            None => {
                let pause = self.retry;
                self.retry = (pause * 2).min(RETRY_MAX);
                pause
            }
        }
    }
}

const NO_ADDRESS: &str = "the name has no address";

/// An error in the operator's words.
fn plain(error: &NetError) -> String {
    if error.is_nx_domain() {
        "there is no such name".into()
    } else if error.is_no_records_found() {
        NO_ADDRESS.into()
    } else {
        error.to_string()
    }
}

/// Asks `servers`, or the system's if there are none; the hosts file comes first.
fn lookup(servers: &[SocketAddr]) -> Result<TokioResolver, NetError> {
    let mut builder = if servers.is_empty() {
        TokioResolver::builder_tokio()?
    } else {
        let server = |address: &SocketAddr| {
            let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
            connections.iter_mut().for_each(|connection| connection.port = address.port());
            NameServerConfig::new(address.ip(), true, connections)
        };
        let config = ResolverConfig::from_name_servers(servers.iter().map(server).collect());
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    options(builder.options_mut());
    builder.build()
}

/// Knows the hosts file and `localhost`.
fn without_servers() -> Result<TokioResolver, NetError> {
    let config = ResolverConfig::from_name_servers(Vec::new());
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    options(builder.options_mut());
    builder.build()
}

fn options(options: &mut ResolverOpts) {
    // A second family only where there is no first: a backend that listens on one of them must not fail every other
    // connection.
    options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
    options.positive_min_ttl = Some(TTL_MIN);
    options.positive_max_ttl = Some(TTL_MAX);
    // When to ask again after a failure is decided here, not by the library's memory of it.
    options.negative_max_ttl = Some(Duration::ZERO);
    options.timeout = ANSWER_MAX;
    options.attempts = ATTEMPTS;
}

#[cfg(test)]
mod tests;

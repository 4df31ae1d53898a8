//! Groups of backends: targets, TLS, deadlines.

use std::collections::{BTreeMap, HashMap, btree_map::Entry};

use message::Authority;
use model::{Diagnostic, Model};
use progress::Phase;
use tls::{ALPN_HTTP1, ALPN_HTTP2, Client, ClientSettings};

use super::{Inputs, balance};
use crate::{Slots, Target, Upstream, nanoseconds};

/// The groups, by slot, and the slot of each name.
#[derive(Default)]
pub(super) struct Upstreams {
    pub(super) built: BTreeMap<u32, Upstream>,
    pub(super) slots: HashMap<String, u32>,
}

pub(super) fn compile(
    model: &Model,
    inputs: &Inputs<'_>,
    slots: &mut Slots,
    found: &mut Vec<Diagnostic>,
) -> Upstreams {
    let mut upstreams = Upstreams::default();
    inputs.progress.begin(Phase::Upstreams, model.upstreams.len());
    for upstream in &model.upstreams {
        inputs.progress.advance(1);
        let slot = slots.upstream(identity(upstream));
        upstreams.slots.insert(upstream.name.clone(), slot);
        if let Some(built) = make(upstream, slot, inputs, found) {
            upstreams.built.insert(slot, built);
        }
    }
    upstreams
}

/// Makes a group for a slot.
pub(super) type Make<'a> = dyn Fn(&model::Upstream, u32, &mut Vec<Diagnostic>) -> Option<Upstream> + 'a;

/// Makes a group for a slot; what it had there before is taken over.
pub(super) fn make(
    upstream: &model::Upstream,
    slot: u32,
    inputs: &Inputs<'_>,
    found: &mut Vec<Diagnostic>,
) -> Option<Upstream> {
    let before = inputs.before.and_then(|before| before.upstream(slot)?.tls.as_ref());
    build(upstream, before, inputs, found)
}

impl Upstreams {
    /// The slot of a group that an integration's URI names: that of the same group where there is one already.
    pub(super) fn made(
        &mut self,
        upstream: model::Upstream,
        make: &Make<'_>,
        slots: &mut Slots,
        found: &mut Vec<Diagnostic>,
    ) -> Option<u32> {
        let slot = slots.upstream(identity(&upstream));
        if let Entry::Vacant(vacant) = self.built.entry(slot) {
            vacant.insert(make(&upstream, slot, found)?);
        }
        Some(slot)
    }
}

/// What makes it the same group after a change: where its connections lead and how they were made.
fn identity(upstream: &model::Upstream) -> String {
    let model::Upstream { name, targets, http2, ca, server_name, host, .. } = upstream;
    let targets: Vec<_> = targets.iter().map(|target| (target.tls, &target.host, target.port)).collect();
    format!("{name} {targets:?} {http2} {ca:?} {server_name:?} {host:?}")
}

fn build(
    upstream: &model::Upstream,
    before: Option<&Client>,
    inputs: &Inputs<'_>,
    found: &mut Vec<Diagnostic>,
) -> Option<Upstream> {
    let key = format!("upstream.{}", upstream.name);
    let tls = if upstream.targets.iter().any(|target| target.tls) {
        match client(upstream, before, inputs) {
            Ok(client) => Some(client),
            Err(message) => {
                found.push(Diagnostic::error(upstream.origin.as_ref(), format!("{key}.ca"), message));
                return None;
            }
        }
    } else {
        None
    };
    let mut targets = Vec::with_capacity(upstream.targets.len());
    for target in &upstream.targets {
        match authority(upstream, target) {
            Ok(authority) => targets.push(Target {
                tls: target.tls,
                host: target.host.clone(),
                port: target.port,
                server_name: upstream.server_name.clone().unwrap_or_else(|| target.host.clone()),
                authority,
            }),
            Err(host) => {
                let message = format!("`{host}` is no host name that can be sent to a backend");
                found.push(Diagnostic::error(target.origin.as_ref(), format!("{key}.targets"), message));
            }
        }
    }
    Some(Upstream {
        name: upstream.name.clone(),
        targets,
        http2: upstream.http2,
        tls,
        connect_timeout_ns: nanoseconds(upstream.connect_timeout),
        first_byte_timeout_ns: nanoseconds(upstream.first_byte_timeout),
        idle_timeout_ns: nanoseconds(upstream.idle_timeout),
        total_timeout_ns: upstream.total_timeout.map(nanoseconds),
        keep_alive_ns: nanoseconds(upstream.keep_alive),
        idle_connections_max: upstream.idle_connections_max,
        balance: balance::settings(upstream),
        health: upstream.health.as_ref().map(balance::health),
    })
}

/// The group's TLS settings: those of before where nothing has changed, so that cores keep their sessions.
fn client(
    upstream: &model::Upstream,
    before: Option<&Client>,
    inputs: &Inputs<'_>,
) -> Result<Client, String> {
    let ca_pem = match &upstream.ca {
        Some(path) => {
            Some((inputs.read)(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?)
        }
        None => None,
    };
    // Only what is asked for: a backend that has HTTP/1.1 alone must not be taken for one that has both.
    let alpn = if upstream.http2 { ALPN_HTTP2 } else { ALPN_HTTP1 };
    let settings = ClientSettings { ca_pem, alpn: vec![alpn.to_vec()] };
    if let Some(before) = before.filter(|before| before.has_settings(&settings)) {
        return Ok(before.clone());
    }
    Client::build(&settings).map_err(|error| error.to_string())
}

/// What `Host` says: the group's own, else the target with its port where that is not the scheme's.
fn authority(upstream: &model::Upstream, target: &model::Target) -> Result<Authority, String> {
    let default_port = if target.tls { 443 } else { 80 };
    let host = if target.host.contains(':') { format!("[{}]", target.host) } else { target.host.clone() };
    let text = match &upstream.host {
        Some(host) => host.clone(),
        None if target.port == default_port => host,
        None => format!("{host}:{}", target.port),
    };
    Authority::parse(text.as_bytes()).map_err(|_| text)
}

//! From model to snapshot: dull translation, one file a room, that reports every mistake and not the first.

mod apis;
mod balance;
mod caches;
mod declared;
mod gateway_responses;
mod listeners;
mod places;
mod refusals;
mod upstreams;
mod validate;
mod within;

use std::{collections::BTreeMap, io, path::Path, sync::Arc};

use message::PathRules;
use model::{Diagnostic, Model, Severity};
use policy::client::ClientRules;
use progress::Progress;
use telemetry::{Labels, Renamed, access::Template};

pub use within::mistakes_within;

use crate::{ClientConnections, HeadLimits, Rate, Slots, Snapshot, Timeouts, Upstream, nanoseconds};

/// What a compilation needs beside the model.
pub struct Inputs<'a> {
    /// Reads a file that the model names: a certificate, a key, a CA bundle.
    pub read: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    /// Makes a certificate for these names with the local authority.
    pub leaf: &'a dyn Fn(&[String]) -> Result<tls::authority::Leaf, tls::Error>,
    /// Ticket keys, kept over publications.
    pub tickets: &'a tls::Tickets,
    /// Numbers given out so far; those of this model are added when it is taken.
    pub slots: &'a mut Slots,
    /// What is in force: what stays the same is taken over from it.
    pub before: Option<&'a Snapshot>,
    /// The number of this publication.
    pub generation: u64,
    /// The wall clock, for certificates.
    pub unix_s: u64,
    /// Who is told how far it has come.
    pub progress: &'a Progress,
}

/// Builds what the cores run from what the operator wants. Reports every mistake; warnings come with a snapshot too.
pub fn compile(model: &Model, inputs: &mut Inputs<'_>) -> (Option<Snapshot>, Vec<Diagnostic>) {
    let mut found = Vec::new();
    let mut slots = inputs.slots.clone();
    let mut upstreams = upstreams::compile(model, inputs, &mut slots, &mut found);
    let listeners = listeners::compile(model, inputs, &mut found);
    let mut labels = Names::default();
    let make = |upstream: &model::Upstream, slot, found: &mut Vec<Diagnostic>| {
        upstreams::make(upstream, slot, inputs, found)
    };
    let apis =
        apis::compile(model, &mut upstreams, &make, &mut slots, &mut labels, inputs.progress, &mut found);
    let places = places::compile(model, &mut found);
    let access_log = access_log(model, &mut found);
    let failed = found.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    let (Some(places), false) = (places, failed) else { return (None, found) };
    *inputs.slots = slots;
    let mut labels = Labels {
        generation: inputs.generation,
        routes: by_slot(labels.routes),
        upstreams: by_slot(
            upstreams.built.iter().map(|(slot, upstream)| (*slot, upstream.name.clone())).collect(),
        ),
        listeners: listeners.iter().map(|listener| Some(listener.name.clone())).collect(),
        renamed: None,
    };
    labels.renamed = inputs.before.map(|before| Renamed::between(&before.labels, &labels));
    let is_probed = |upstream: &Upstream| upstream.health.is_some();
    let snapshot = Snapshot {
        generation: inputs.generation,
        listeners,
        probed: upstreams.built.iter().filter(|(_, it)| is_probed(it)).map(|(slot, _)| *slot).collect(),
        upstreams: by_slot(upstreams.built),
        apis,
        mappings: places.mappings,
        endpoints: places.endpoints,
        account_id: model.node.endpoint.account_id.clone(),
        client: ClientRules::new(model.node.client.trusted_proxies.clone()),
        client_connections: ClientConnections {
            max: model.node.client.connections_max,
            ipv4_prefix: model.node.client.ipv4_prefix,
            ipv6_prefix: model.node.client.ipv6_prefix,
        },
        path_rules: path_rules(model),
        labels: Arc::new(labels),
        timeouts: timeouts(model),
        head: head_limits(model),
        access_log,
    };
    (Some(snapshot), found)
}

fn path_rules(model: &Model) -> PathRules {
    let model::PathRules { merge_slashes, encoded_slashes } = model.node.path;
    PathRules { merge_slashes, encoded_slashes }
}

/// Names for the metrics as they are found.
#[derive(Default)]
struct Names {
    routes: BTreeMap<u32, telemetry::RouteLabels>,
}

/// A list in which each thing stands in its slot.
fn by_slot<T>(things: BTreeMap<u32, T>) -> Vec<Option<T>> {
    let mut slots = Vec::new();
    for (slot, thing) in things {
        slots.resize_with(slot as usize, || None);
        slots.push(Some(thing));
    }
    slots
}

fn timeouts(model: &Model) -> Timeouts {
    let timeouts = &model.node.timeouts;
    Timeouts {
        handshake_ns: nanoseconds(timeouts.handshake),
        first_byte_ns: nanoseconds(timeouts.first_byte),
        head_ns: nanoseconds(timeouts.head),
        body_idle_ns: nanoseconds(timeouts.body_idle),
        keep_alive_ns: nanoseconds(timeouts.keep_alive),
        http2_idle_ns: nanoseconds(timeouts.http2_idle),
        tunnel_idle_ns: nanoseconds(timeouts.tunnel_idle),
        tunnel_max_ns: nanoseconds(timeouts.tunnel_max),
        linger_ns: nanoseconds(timeouts.linger),
        request_rate: Rate::new(timeouts.request_rate_min, timeouts.rate_grace),
        response_rate: Rate::new(timeouts.response_rate_min, timeouts.rate_grace),
    }
}

/// All that an API's stages run.
fn definitions(api: &model::Api) -> impl Iterator<Item = &model::Definition> {
    let deployments = api.stages.iter().flat_map(|stage| {
        let of_canary = stage.canary.as_ref().and_then(|canary| canary.deployment.as_ref());
        [stage.deployment.as_ref(), of_canary]
    });
    [&api.definition].into_iter().chain(deployments.flatten().map(|it| &*it.definition))
}

/// The widest limits of all routes.
fn head_limits(model: &Model) -> HeadLimits {
    let node = &model.node.limits;
    let own = model.apis.iter().flat_map(definitions).flat_map(|definition| &definition.routes);
    let own = own.filter_map(|route| route.limits.as_ref());
    own.chain([node]).fold(
        HeadLimits { header_bytes_max: 0, headers_max: 0, target_bytes_max: 0 },
        |widest, limits| HeadLimits {
            header_bytes_max: widest.header_bytes_max.max(limits.header_bytes_max),
            headers_max: widest.headers_max.max(limits.headers_max),
            target_bytes_max: widest.target_bytes_max.max(limits.target_bytes_max),
        },
    )
}

fn access_log(model: &Model, found: &mut Vec<Diagnostic>) -> Option<Template> {
    let log = model.node.access_log.as_ref()?;
    match Template::parse(&log.format) {
        Ok(template) => Some(template),
        Err(error) => {
            found.push(Diagnostic::error(log.origin.as_ref(), "access_log.format", error.to_string()));
            None
        }
    }
}

//! APIs, their stages, and domains, as TOML.

use model::{
    Api, Canary, Domain, EndpointType, IpAddressType, Kind, Mapping, MethodSettings, RoutingMode,
    RoutingRule, Stage,
};

use super::{definition, route, tree::Tree};
use crate::{
    api::{mapping::only_stage, stage as source},
    units,
};

pub(super) fn tree(api: &Api) -> Tree {
    let mut tree = Tree::default();
    head(&mut tree, &api.name, api.kind);
    if api.id != Api::id_of(&api.name) {
        tree.text("id", &api.id);
    }
    endpoint(&mut tree, api.endpoint, api.ip_address_type);
    tree.texts("vpc_endpoint_ids", &api.vpc_endpoint_ids);
    mappings(&mut tree, api);
    definition::keys(&mut tree, &api.definition);
    let stages = match &api.stages[..] {
        [only] if api.kind == Kind::Http && is_default(only) => &[],
        stages => stages,
    };
    stages.iter().for_each(|it| tree.item("stage", stage(it, api.kind)));
    definition::tables(&mut tree, &api.definition, api.kind);
    tree
}

pub(super) fn head(tree: &mut Tree, name: &str, kind: Kind) {
    tree.text("name", name);
    tree.text("kind", if kind == Kind::Rest { "rest" } else { "http" });
}

fn is_default(stage: &Stage) -> bool {
    (Stage { origin: None, ..stage.clone() }) == source::default_stage()
}

fn endpoint(tree: &mut Tree, endpoint: EndpointType, addresses: IpAddressType) {
    if endpoint != EndpointType::default() {
        tree.text("endpoint", &endpoint.as_str().to_ascii_lowercase());
    }
    let is_private = endpoint == EndpointType::Private;
    match addresses {
        IpAddressType::Dualstack if !is_private => tree.text("ip_address_type", "dualstack"),
        IpAddressType::Ipv4 if is_private => tree.text("ip_address_type", "ipv4"),
        _ => {}
    }
}

/// `hosts` and `base_path` where they say it all.
fn mappings(tree: &mut Tree, api: &Api) {
    let only = only_stage(&api.stages);
    let Some(first) = api.mappings.first() else { return tree.raw("mapping", "[]") };
    let is_alike = |it: &Mapping| it.base_path == first.base_path && it.stage == only;
    let is_everywhere = first.host.is_none() && api.mappings.len() == 1;
    let all_hosts = api.mappings.iter().all(|it| it.host.is_some());
    if api.mappings.iter().all(is_alike) && (is_everywhere || all_hosts) {
        let hosts: Vec<_> = api.mappings.iter().filter_map(|it| it.host.as_deref()).collect();
        tree.texts("hosts", &hosts);
        if !first.base_path.is_empty() {
            tree.text("base_path", &first.base_path);
        }
        return;
    }
    for mapping in &api.mappings {
        let mut one = Tree::default();
        one.opt_text("host", mapping.host.as_deref());
        if !mapping.base_path.is_empty() {
            one.text("base_path", &mapping.base_path);
        }
        if mapping.stage != only {
            one.opt_text("stage", mapping.stage.as_deref());
        }
        tree.item("mapping", one);
    }
}

fn stage(stage: &Stage, kind: Kind) -> Tree {
    let mut tree = Tree::default();
    tree.text("name", &stage.name);
    tree.opt_text("description", stage.description.as_deref());
    if !stage.auto_deploy {
        tree.raw("auto_deploy", false);
    }
    tree.opt_text("documentation_version", stage.documentation_version.as_deref());
    tree.pairs("variables", &stage.variables);
    tree.opt_table("throttle", stage.throttle.as_ref().map(route::throttle));
    tree.opt_table("route_throttle", stage.route_throttle.as_ref().map(route::throttle));
    tree.opt_table("cache", stage.cache.as_ref().map(|it| route::stage_cache(it, kind)));
    if let Some(it) = &stage.cors {
        definition::cors_value(&mut tree, it);
    }
    tree.opt_table("canary", stage.canary.as_ref().map(canary));
    stage.method_settings.iter().for_each(|it| tree.item("method", method(it, kind)));
    tree
}

fn method(settings: &MethodSettings, kind: Kind) -> Tree {
    let mut tree = Tree::default();
    tree.text("key", &settings.key.to_string());
    tree.opt_table("throttle", settings.throttle.as_ref().map(route::throttle));
    if let Some(it) = &settings.cache {
        route::cache(&mut tree, it, kind);
    }
    tree
}

fn canary(canary: &Canary) -> Tree {
    let mut tree = Tree::default();
    tree.raw("percent", format!("{:?}", canary.percent));
    tree.pairs("variables", &canary.variables);
    tree.flag("use_stage_cache", canary.use_stage_cache);
    if let Some(it) = &canary.judge {
        let mut judge = Tree::default();
        judge.text("promote_after", &units::show_duration(it.promote_after));
        if it.requests_min != source::REQUESTS_MIN {
            judge.raw("requests_min", it.requests_min);
        }
        if let Some(rate) = it.error_rate_max {
            judge.raw("error_rate_max", format!("{rate:?}"));
        }
        if let Some(latency) = it.latency_p99_max {
            judge.text("latency_p99_max", &units::show_duration(latency));
        }
        tree.table("judge", judge);
    }
    tree
}

pub(super) fn domain(domain: &Domain) -> Tree {
    let mut tree = Tree::default();
    tree.text("name", &domain.name);
    match domain.routing_mode {
        RoutingMode::MappingOnly => {}
        RoutingMode::RuleOnly => tree.text("routing_mode", "rule_only"),
        RoutingMode::RuleThenMapping => tree.text("routing_mode", "rule_then_mapping"),
    }
    endpoint(&mut tree, domain.endpoint, domain.ip_address_type);
    definition::access_mode(&mut tree, domain.endpoint_access_mode);
    if !domain.health {
        tree.raw("health", false);
    }
    domain.rules.iter().for_each(|it| tree.item("rule", rule(it)));
    tree
}

fn rule(rule: &RoutingRule) -> Tree {
    let mut tree = Tree::default();
    tree.raw("priority", rule.priority);
    tree.pairs("headers", &rule.headers);
    tree.texts("base_paths", &rule.base_paths);
    tree.text("api", &rule.api);
    tree.text("stage", &rule.stage);
    tree.flag("strip_base_path", rule.strip_base_path);
    tree
}

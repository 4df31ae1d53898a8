//! Where APIs are reached: what is mapped to hosts and base paths, what is said of domains, and the endpoints that every API of
//! AWS's shape has (rows 6 to 11, 15, 35 to 40).

use std::collections::{BTreeMap, BTreeSet};

use model::{
    Diagnostic, EndpointAccessMode, EndpointType, IpAddressType, Kind, Model, RoutingMode, RoutingRule,
};
use router::{Domain, Endpoint, Endpoints, Mapping, Mappings, PRIORITY_MAX, RULES_MAX, Rule, RuleSettings};

use super::definitions;
use crate::{Mapped, OfDomain};

/// Where what stands.
pub(super) struct Places {
    pub(super) mappings: Mappings<Mapped>,
    pub(super) endpoints: Endpoints<usize>,
}

pub(super) fn compile(model: &Model, found: &mut Vec<Diagnostic>) -> Option<Places> {
    for api in &model.apis {
        refuse_endpoint(api, found);
    }
    let domains = model.domains.iter().map(|domain| (domain.name.to_ascii_lowercase(), domain)).collect();
    let mut entries = Vec::new();
    for (number, api) in model.apis.iter().enumerate() {
        entries.extend(map(model, &domains, (api, number), found));
    }
    warn_of_strict(model, found);
    let endpoints = endpoints(model, found);
    let mut mappings = match Mappings::build(entries) {
        Ok(mappings) => mappings,
        Err(errors) => {
            let origin = model.apis.first().and_then(|api| api.origin.as_ref());
            found.extend(
                errors.iter().map(|error| Diagnostic::error(origin, "api.mapping", error.to_string())),
            );
            return None;
        }
    };
    for (index, domain) in (0..).zip(&model.domains) {
        describe(model, index, domain, &mut mappings, found);
    }
    Some(Places { mappings, endpoints: endpoints? })
}

/// What is reached nowhere else is reached everywhere, as long as there is but one such API.
fn map<'a>(
    model: &Model,
    domains: &BTreeMap<String, &model::Domain>,
    (api, number): (&'a model::Api, usize),
    found: &mut Vec<Diagnostic>,
) -> Vec<Mapping<'a, Mapped>> {
    let only = (api.kind == Kind::Proxy).then_some(0);
    if api.mappings.is_empty() {
        let is_everywhere = |other: &model::Api| {
            let says_so = |mapping: &model::Mapping| mapping.host.is_none() && mapping.base_path.is_empty();
            other.mappings.is_empty() || other.mappings.iter().any(says_so)
        };
        if api.kind != Kind::Proxy && model.apis.iter().filter(|other| is_everywhere(other)).count() > 1 {
            let message = format!(
                "API `{}` has no mapping, and is not the only one: it is reached at `{}.execute-api.localhost` and the like alone",
                api.name, api.id
            );
            found.push(
                Diagnostic::warning(api.origin.as_ref(), "api.mapping", message)
                    .help("say at which hosts and base paths it is reached"),
            );
            return Vec::new();
        }
        let value = Mapped { api: number, stage: only, domain: OfDomain::default() };
        return vec![Mapping { host: None, base_path: "", value }];
    }
    let mut entries = Vec::with_capacity(api.mappings.len());
    for mapping in &api.mappings {
        let named = mapping
            .stage
            .as_ref()
            .map(|name| (name, api.stages.iter().position(|stage| stage.name == *name)));
        if let Some((name, None)) = named {
            let message = format!("API `{}` has no stage `{name}`", api.name);
            found.push(Diagnostic::error(mapping.origin.as_ref(), "mapping.stage", message));
        }
        let domain = mapping.host.as_ref().and_then(|host| domains.get(&host.to_ascii_lowercase()));
        let domain = domain.map_or_else(OfDomain::default, |domain| of_domain(domain, api));
        let stage = named.and_then(|(_, stage)| stage).or(only);
        let value = Mapped { api: number, stage, domain };
        entries.push(Mapping { host: mapping.host.as_deref(), base_path: &mapping.base_path, value });
    }
    entries
}

/// What a domain is to an API that is reached there (row 13).
fn of_domain(domain: &model::Domain, api: &model::Api) -> OfDomain {
    let is_strict = domain.endpoint_access_mode == EndpointAccessMode::Strict;
    OfDomain { is_strict, is_elsewhere: domain.endpoint != api.endpoint }
}

/// What asks for more than its requests can show, or than those of a listener can (row 13).
fn warn_of_strict(model: &Model, found: &mut Vec<Diagnostic>) {
    let is_strict = |mode| mode == EndpointAccessMode::Strict;
    let strict = |api: &&model::Api| definitions(api).any(|it| is_strict(it.endpoint_access_mode));
    let apis: Vec<_> = model.apis.iter().filter(strict).collect();
    for domain in &model.domains {
        let is_reached = |api: &model::Api| {
            let is_it = |host: &String| host.eq_ignore_ascii_case(&domain.name);
            let is_mapped = api.mappings.iter().any(|mapping| mapping.host.as_ref().is_some_and(is_it));
            is_mapped || domain.rules.iter().any(|rule| rule.api == api.name)
        };
        for api in apis.iter().filter(|api| api.endpoint != domain.endpoint && is_reached(api)) {
            let [of_domain, of_api] = [domain.endpoint, api.endpoint].map(EndpointType::as_str);
            let message = format!(
                "the API `{}` is strict and `{of_api}`: what comes to it by this domain, which is `{of_domain}`, is refused",
                api.name
            );
            let help = "give both the same `endpoint`, or the API `endpoint_access_mode = \"basic\"`";
            found.push(Diagnostic::warning(domain.origin.as_ref(), "domain.endpoint", message).help(help));
        }
    }
    // AWS has no listener without TLS. Here it would be the way round: whoever comes there has named no host in TLS.
    let domains = model.domains.iter().filter(|it| is_strict(it.endpoint_access_mode));
    let strict = apis.iter().map(|api| format!("the API `{}`", api.name));
    let strict: Vec<_> = strict.chain(domains.map(|it| format!("the domain `{}`", it.name))).collect();
    for listener in model.listeners.iter().filter(|listener| listener.plain && !strict.is_empty()) {
        let message = format!(
            "without TLS a client names no host in TLS: what is strict is refused here ({})",
            strict.join(", ")
        );
        let key = format!("listener.{}", listener.name);
        let help = "let clients come over TLS, or write `endpoint_access_mode = \"basic\"`";
        found.push(Diagnostic::warning(listener.origin.as_ref(), key, message).help(help));
    }
}

/// The default endpoints of all APIs of AWS's shape (row 10).
fn endpoints(model: &Model, found: &mut Vec<Diagnostic>) -> Option<Endpoints<usize>> {
    let shaped: Vec<_> = model.apis.iter().enumerate().filter(|(_, api)| api.kind != Kind::Proxy).collect();
    let endpoint = |(number, api): &(usize, &model::Api)| Endpoint {
        id: api.id.as_str().into(),
        private: (api.endpoint == EndpointType::Private).then(|| api.vpc_endpoint_ids.clone()),
        value: *number,
    };
    for (_, api) in &shaped {
        let is_id = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if api.id.is_empty() || !api.id.bytes().all(is_id) {
            let message = format!("`{}` is no id of an API: write lower-case letters and digits", api.id);
            found.push(Diagnostic::error(api.origin.as_ref(), "api.id", message));
        }
    }
    match Endpoints::build(shaped.iter().map(endpoint).collect(), model.node.endpoint.suffix.as_deref()) {
        Ok(endpoints) => Some(endpoints),
        Err(errors) => {
            for error in errors {
                let origin = shaped.get(error.index() as usize).and_then(|(_, api)| api.origin.as_ref());
                found.push(Diagnostic::error(origin, "api.id", error.to_string()));
            }
            None
        }
    }
}

/// What an endpoint can't be (rows 2, 9, 15).
fn refuse_endpoint(api: &model::Api, found: &mut Vec<Diagnostic>) {
    let mut refuse = |key: &str, message: String| {
        found.push(Diagnostic::error(api.origin.as_ref(), format!("api.{key}"), message));
    };
    let is_private = api.endpoint == EndpointType::Private;
    if api.kind != Kind::Rest && api.endpoint != EndpointType::Regional {
        let endpoint = api.endpoint.as_str();
        refuse("endpoint", format!("an HTTP API is `REGIONAL`, not `{endpoint}`: that is for REST APIs"));
    } else if is_private && api.ip_address_type == IpAddressType::Ipv4 {
        refuse("ip_address_type", "Only dualstack ipAddressType is supported for Private APIs.".into());
    }
    if is_private && api.definition.policy.is_none() {
        let message = "a private API needs a resource policy, which can't be enforced by this node yet";
        refuse("endpoint", format!("{message}: the deployment is refused"));
    }
    if !is_private && !api.vpc_endpoint_ids.is_empty() {
        refuse("vpc_endpoint_ids", "VPC endpoints are for private APIs".into());
    }
}

/// What is said of a domain beside what is mapped there.
fn describe(
    model: &Model,
    index: u32,
    domain: &model::Domain,
    mappings: &mut Mappings<Mapped>,
    found: &mut Vec<Diagnostic>,
) {
    let origin = domain.origin.as_ref();
    if domain.endpoint == EndpointType::Private {
        let message = "the policy of a private domain can't be enforced by this node yet";
        found.push(Diagnostic::error(
            origin,
            "domain.endpoint",
            format!("{message}: the deployment is refused"),
        ));
    }
    if domain.rules.len() > RULES_MAX {
        let message = format!("a domain has at most {RULES_MAX} rules, not {}", domain.rules.len());
        found.push(Diagnostic::error(origin, "domain.rule", message));
        return;
    }
    let mut priorities = BTreeSet::new();
    let mut rules = Vec::with_capacity(domain.rules.len());
    let ruled = domain.routing_mode != RoutingMode::MappingOnly;
    for rule in &domain.rules {
        let mut refuse = |message: String| {
            found.push(Diagnostic::error(rule.origin.as_ref(), "domain.rule", message));
        };
        if !(1..=PRIORITY_MAX).contains(&rule.priority) {
            refuse(format!("a priority is 1 to {PRIORITY_MAX}, not {}", rule.priority));
        } else if !priorities.insert(rule.priority) {
            refuse(format!("the priority {} is that of another rule", rule.priority));
        }
        match compiled(model, domain, rule) {
            Ok(compiled) => rules.push((rule.priority, compiled)),
            Err(message) => refuse(message),
        }
    }
    rules.sort_by_key(|(priority, _)| *priority);
    let described = Domain {
        rules: if ruled { rules.into_iter().map(|(_, rule)| rule).collect() } else { Vec::new() },
        maps: domain.routing_mode != RoutingMode::RuleOnly,
        health: domain.health,
    };
    if let Err(error) = mappings.describe(index, &domain.name, described) {
        found.push(Diagnostic::error(origin, "domain.name", error.to_string()));
    }
}

fn compiled(model: &Model, domain: &model::Domain, rule: &RoutingRule) -> Result<Rule<Mapped>, String> {
    let RoutingRule { headers, base_paths, api: name, stage, .. } = rule;
    let number = model.apis.iter().position(|api| api.name == *name);
    let number = number.ok_or_else(|| format!("there is no API `{name}`"))?;
    let api = &model.apis[number];
    if api.kind != Kind::Rest {
        return Err(format!("API `{name}` is no REST API: rules lead to those alone"));
    }
    let at = api.stages.iter().position(|it| it.name == *stage);
    let at = at.ok_or_else(|| format!("API `{name}` has no stage `{stage}`"))?;
    let value = Mapped { api: number, stage: Some(at), domain: of_domain(domain, api) };
    let settings = RuleSettings { headers, base_paths, strips: rule.strip_base_path, value };
    Rule::new(0, settings).map_err(|error| error.to_string())
}

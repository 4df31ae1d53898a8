//! A document put into an API that is there already (row 138).

use model::{Definition, EndpointAccessMode};

/// How.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// What the document names replaces what is there under its name; the rest stays.
    #[default]
    Merge,
    /// The document stands in place of what was there.
    Overwrite,
}

/// An API's definition with a document's put into it. Tags, the default endpoint and who may come to it stay as they are where the
/// document says nothing of them.
pub fn merge(old: Definition, new: Definition, mode: Mode) -> Definition {
    let tags = if new.tags.is_empty() { old.tags.clone() } else { new.tags.clone() };
    let disable_default_endpoint = old.disable_default_endpoint || new.disable_default_endpoint;
    let endpoint_access_mode = match new.endpoint_access_mode {
        EndpointAccessMode::Basic => old.endpoint_access_mode,
        mode @ EndpointAccessMode::Strict => mode,
    };
    if mode == Mode::Overwrite {
        return Definition { tags, disable_default_endpoint, endpoint_access_mode, ..new };
    }
    let routes = joined(old.routes, new.routes, |a, b| a.key == b.key);
    let mut resources = joined(old.resources, new.resources, |a, b| a == b);
    resources.retain(|path| {
        !routes
            .iter()
            .any(|route| matches!(&route.key, model::RouteKey::Path { path: taken, .. } if taken == path))
    });
    Definition {
        routes,
        resources,
        description: new.description.or(old.description),
        version: new.version.or(old.version),
        models: joined(old.models, new.models, |a, b| a.name == b.name),
        validators: joined(old.validators, new.validators, |a, b| a.name == b.name),
        authorizers: joined(old.authorizers, new.authorizers, |a, b| a.name == b.name),
        gateway_responses: joined(old.gateway_responses, new.gateway_responses, |a, b| a.kind == b.kind),
        binary_media_types: joined(old.binary_media_types, new.binary_media_types, |a, b| a == b),
        minimum_compression_bytes: new.minimum_compression_bytes.or(old.minimum_compression_bytes),
        api_key_source: match new.api_key_source {
            model::ApiKeySource::Header => old.api_key_source,
            source @ model::ApiKeySource::Authorizer => source,
        },
        policy: new.policy.or(old.policy),
        documentation: joined(old.documentation, new.documentation, |a, b| {
            let place = |it: &model::DocumentationPart| {
                (
                    it.location.clone(),
                    it.path.clone(),
                    it.method.clone(),
                    it.status_code.clone(),
                    it.name.clone(),
                )
            };
            place(a) == place(b)
        }),
        disable_default_endpoint,
        endpoint_access_mode,
        cors: new.cors.or(old.cors),
        tags,
    }
}

/// The old ones, each replaced by the new one that is the same thing, and the new ones that were not there.
fn joined<T>(old: Vec<T>, new: Vec<T>, same: impl Fn(&T, &T) -> bool) -> Vec<T> {
    let mut joined = old;
    for it in new {
        match joined.iter_mut().find(|other| same(other, &it)) {
            Some(other) => *other = it,
            None => joined.push(it),
        }
    }
    joined
}

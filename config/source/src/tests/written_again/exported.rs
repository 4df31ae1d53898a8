//! Whatever an API says, it is exported as an OpenAPI document and imported as the same (rows 138, 139, 143), but for what
//! [`openapi::export`] lists.

use model::{
    Api, Declared, Definition, Integration, IntegrationType, Kind, MethodResponse, ParameterPlace,
    RequestParameter, Route, RouteKey,
};
use openapi::{
    Exported, Extensions, Format, Imported, Options, Tree, Variables, export,
    export::Options as How,
    tree::{json, yaml},
};
use progress::Progress;
use proptest::prelude::*;

use super::any::api;

/// Where groups of backends are.
const BASE: &str = "http://backend.example:81";

fn exported(api: &Api, format: Format) -> Exported {
    let how = How {
        format,
        extensions: Extensions::ALL,
        stage: &api.stages[0].name,
        variables: &Variables::default(),
        upstream: &|_| Some(BASE.to_owned()),
    };
    export(api, &api.definition, &how)
}

#[track_caller]
fn imported(text: &str, kind: Kind) -> Imported {
    let tree = Tree::parse("api", text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    let (imported, found) =
        openapi::import(&tree, &Options { kind: Some(kind), ..Options::default() }, Progress::silent());
    let mut imported = imported.unwrap_or_else(|| panic!("{found:?}\n{text}"));
    imported.definition = imported.definition.without_origins();
    imported
}

/// What comes back of a definition: everything, but for what `openapi::export` lists.
fn told(definition: &Definition, read: &Definition, kind: Kind, format: Format) -> Definition {
    let mut told = definition.clone();
    told.version.get_or_insert("1.0".into());
    if kind == Kind::Rest {
        told.cors = None;
    }
    for model in &mut told.models {
        model.description = None;
        model.content_type = "application/json".into();
    }
    // `Empty`, where it is used.
    told.models.extend(read.models.iter().filter(|it| it.name == "Empty").cloned());
    for authorizer in &mut told.authorizers {
        let all = authorizer.identity_sources.join(",");
        if !authorizer.identity_sources.is_empty() {
            authorizer.identity_sources = all.split(',').map(|text| text.trim().to_owned()).collect();
        }
    }
    let place = |part: &model::DocumentationPart| {
        let part = part.clone();
        (part.location, part.path, part.method, part.status_code, part.name)
    };
    let mut seen = std::collections::HashSet::new();
    told.documentation.retain(|part| seen.insert(place(part)));
    told.documentation.sort_by_key(place);
    for (route, read) in told.routes.iter_mut().zip(&read.routes) {
        of_route(route, read, kind, format);
    }
    told
}

fn of_route(route: &mut Route, read: &Route, kind: Kind, format: Format) {
    (route.throttles, route.cache, route.limits) = (Vec::new(), None, None);
    let RouteKey::Path { path, .. } = &route.key else { return };
    let short = match &mut route.integration {
        Integration::Declared(declared) => {
            declared.http2 = false;
            if kind == Kind::Rest && declared.kind != IntegrationType::Mock {
                declared.http_method.get_or_insert("ANY".into());
            }
            None
        }
        Integration::Http { path: sent, strip_prefix, .. } => {
            let rest = strip_prefix.as_deref().and_then(|prefix| path.strip_prefix(prefix)).unwrap_or(path);
            let sent = sent.as_deref().unwrap_or(rest);
            Some(of_backend(&format!("{BASE}{sent}"), kind))
        }
        Integration::Mock(mock) => {
            let Integration::Declared(declared) = &read.integration else { panic!("{read:?}") };
            let [response] = &declared.responses[..] else { panic!("{declared:?}") };
            assert_eq!((declared.kind, response.status), (IntegrationType::Mock, mock.status));
            assert_eq!(response.templates[0].1, format!("#[[{}]]#", mock.body));
            if route.responses.is_empty() {
                let headers = response.parameters.iter().filter_map(|(name, _)| {
                    Some((name.strip_prefix("method.response.header.")?.to_owned(), false))
                });
                let (status, headers) = (mock.status, headers.collect());
                route.responses.push(MethodResponse { status, headers, models: Vec::new() });
            }
            Some((**declared).clone())
        }
    };
    if let Some(short) = short {
        route.integration = Integration::Declared(Box::new(short));
    }
    if kind == Kind::Http {
        return;
    }
    let variable = RequestParameter { place: ParameterPlace::Path, name: "id".into(), required: true };
    route.request.parameters.push(variable);
    route.request.parameters.sort_by(|a, b| (a.place, &a.name).cmp(&(b.place, &b.name)));
    if format == Format::Swagger {
        of_2(route);
    }
    route.responses.sort_by_key(|it| it.status);
}

fn of_backend(uri: &str, kind: Kind) -> Declared {
    let mut declared = Declared::new(IntegrationType::HttpProxy);
    (declared.uri, declared.http_method) = (Some(uri.to_owned()), Some("ANY".into()));
    if kind == Kind::Rest {
        let mapping = ("integration.request.path.id".into(), "method.request.path.id".into());
        declared.request_parameters.push(mapping);
    }
    declared
}

/// One list of media types that are taken, one of those that are given, one model for all of a list.
fn of_2(route: &mut Route) {
    let all_one = |models: &mut Vec<(String, String)>, kinds: &[String]| {
        if let Some((_, first)) = models.first().cloned() {
            *models = kinds.iter().map(|kind| (kind.clone(), first.clone())).collect();
        }
    };
    let kinds = |models: &[(String, String)]| models.iter().map(|(kind, _)| kind.clone()).collect::<Vec<_>>();
    let taken = kinds(&route.request.models);
    all_one(&mut route.request.models, &taken);
    let given = route.responses.iter().find(|it| !it.models.is_empty()).map(|it| kinds(&it.models));
    for response in &mut route.responses {
        response.headers.iter_mut().for_each(|(_, required)| *required = false);
        all_one(&mut response.models, given.as_deref().unwrap_or_default());
    }
}

fn comes_back(api: &Api, format: Format) -> Result<(), TestCaseError> {
    let exported = exported(api, format);
    for text in [json(&exported.document), yaml(&exported.document)] {
        let read = imported(&text, api.kind);
        let expected = told(&api.definition, &read.definition, api.kind, format);
        prop_assert_eq!(&read.definition, &expected, "{}", text);
        prop_assert_eq!((&read.name, read.kind), (&api.name, api.kind));
        let read = (read.endpoint.unwrap_or_default(), read.ip_address_type, read.vpc_endpoint_ids);
        prop_assert_eq!((read.0, read.1.unwrap_or_default()), (api.endpoint, api.ip_address_type));
        prop_assert_eq!(&read.2, &api.vpc_endpoint_ids);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn rest_apis(api in api(Kind::Rest)) {
        comes_back(&api, Format::Oas30)?;
        comes_back(&api, Format::Swagger)?;
    }

    #[test]
    fn http_apis(mut api in api(Kind::Http)) {
        // It has none on AWS; the export says so.
        api.definition.routes.retain(|route| !matches!(route.integration, Integration::Mock(_)));
        comes_back(&api, Format::Oas30)?;
    }
}

//! What an API in AWS's shape has to say twice, and here need not: parameters that a mapping takes, answers that an
//! integration's responses come to, the usual validators.

use model::{Declared, MethodResponse, ParameterPlace, RequestParameter, RequestValidator};

/// The parameters that mappings and cache keys take of a request (row 118): none of them has to be there.
pub(crate) fn parameters(declared: &Declared) -> Vec<RequestParameter> {
    let mut parameters: Vec<RequestParameter> = Vec::new();
    let mapped = declared.request_parameters.iter().map(|(_, source)| source);
    for (place, name) in mapped.chain(&declared.cache_key_parameters).filter_map(|source| parameter(source)) {
        if !parameters.iter().any(|it| it.place == place && it.name == name) {
            parameters.push(RequestParameter { place, name: name.to_owned(), required: false });
        }
    }
    parameters
}

fn parameter(source: &str) -> Option<(ParameterPlace, &str)> {
    let (place, name) = source.strip_prefix("method.request.")?.split_once('.')?;
    let place = match place {
        "path" => ParameterPlace::Path,
        "querystring" | "multivaluequerystring" => ParameterPlace::QueryString,
        "header" | "multivalueheader" => ParameterPlace::Header,
        _ => return None,
    };
    (!name.is_empty()).then_some((place, name))
}

/// The answers that an integration's responses come to, with the fields that they set (row 121).
pub(crate) fn responses(declared: &Declared) -> Vec<MethodResponse> {
    let mut responses: Vec<MethodResponse> = Vec::new();
    for response in &declared.responses {
        let at = responses.iter().position(|it| it.status == response.status).unwrap_or_else(|| {
            let (headers, models) = Default::default();
            responses.push(MethodResponse { status: response.status, headers, models });
            responses.len() - 1
        });
        let set = response.parameters.iter();
        for name in set.filter_map(|(name, _)| name.strip_prefix("method.response.header.")) {
            let headers = &mut responses[at].headers;
            if !headers.iter().any(|(other, _)| other == name) {
                headers.push((name.to_owned(), false));
            }
        }
    }
    responses
}

/// What `validate` is short for, under the names that OpenAPI documents usually give them.
pub(crate) fn validator(word: &str) -> RequestValidator {
    let (name, body, parameters) = match word {
        "body" => ("body-only", true, false),
        "params" => ("params-only", false, true),
        _ => ("all", true, true),
    };
    RequestValidator { name: name.into(), body, parameters, origin: None }
}

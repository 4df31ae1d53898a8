//! Gateway responses: what answers of the gateway's own look like in a stage (rows 126, 127).

use message::ResponseType;
use model::{Definition, Diagnostic, GatewayResponseType as Kind};
use policy::gateway_response::{Error, GatewayResponses, Settings, UnknownVariable};

/// All of a definition; `None` where it says nothing of them.
pub(super) fn compile(
    definition: &Definition,
    api: model::Kind,
    found: &mut Vec<Diagnostic>,
) -> Option<Box<GatewayResponses>> {
    let mut responses = GatewayResponses::default();
    for response in &definition.gateway_responses {
        let key = format!("gateway_response.{}", response.kind.as_str());
        let origin = response.origin.as_ref();
        if api != model::Kind::Rest {
            found.push(Diagnostic::error(origin, key, "gateway responses are for REST APIs"));
            continue;
        }
        if response.kind == Kind::RequestTooLarge {
            let message = "what is told of bodies that are too large can't be changed: this has no effect";
            found.push(Diagnostic::warning(origin, key, message));
            continue;
        }
        let settings = Settings {
            kind: response_type(response.kind),
            status: response.status,
            parameters: &response.parameters,
            templates: &response.templates,
        };
        let meant = |diagnostic: Diagnostic, unknown: &UnknownVariable| match unknown.nearest {
            Some(nearest) => diagnostic.help(format!("did you mean `$context.{nearest}`?")),
            None => diagnostic,
        };
        match responses.add(&settings) {
            Ok(unknown) => found.extend(unknown.iter().map(|it| {
                let message = format!("{it}: it comes to nothing");
                meant(Diagnostic::warning(origin, format!("{key}.templates"), message), it)
            })),
            Err(error) => {
                let diagnostic = Diagnostic::error(origin, key, error.to_string());
                found.push(match &error {
                    Error::UnknownVariable(unknown) => meant(diagnostic, unknown),
                    _ => diagnostic,
                });
            }
        }
    }
    (!responses.is_empty()).then(|| Box::new(responses))
}

fn response_type(kind: Kind) -> ResponseType {
    match kind {
        Kind::AccessDenied => ResponseType::AccessDenied,
        Kind::ApiConfigurationError => ResponseType::ApiConfigurationError,
        Kind::AuthorizerConfigurationError => ResponseType::AuthorizerConfigurationError,
        Kind::AuthorizerFailure => ResponseType::AuthorizerFailure,
        Kind::BadRequestBody => ResponseType::BadRequestBody,
        Kind::BadRequestParameters => ResponseType::BadRequestParameters,
        Kind::Default4xx => ResponseType::Default4xx,
        Kind::Default5xx => ResponseType::Default5xx,
        Kind::ExpiredToken => ResponseType::ExpiredToken,
        Kind::IntegrationFailure => ResponseType::IntegrationFailure,
        Kind::IntegrationTimeout => ResponseType::IntegrationTimeout,
        Kind::InvalidApiKey => ResponseType::InvalidApiKey,
        Kind::InvalidSignature => ResponseType::InvalidSignature,
        Kind::MissingAuthenticationToken => ResponseType::MissingAuthenticationToken,
        Kind::QuotaExceeded => ResponseType::QuotaExceeded,
        Kind::RequestTooLarge => ResponseType::RequestTooLarge,
        Kind::ResourceNotFound => ResponseType::ResourceNotFound,
        Kind::Throttled => ResponseType::Throttled,
        Kind::Unauthorized => ResponseType::Unauthorized,
        Kind::UnsupportedMediaType => ResponseType::UnsupportedMediaType,
        Kind::WafFiltered => ResponseType::WafFiltered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_called_alike() {
        let names: Vec<_> =
            Kind::ALL.iter().map(|kind| (kind.as_str(), response_type(*kind).as_str())).collect();
        assert_eq!(names.len(), ResponseType::ALL.len());
        assert!(names.iter().all(|(written, told)| written == told), "{names:?}");
    }
}

//! What is wrong in a model that could only be read in part: mistakes that nothing around them makes or mends, so that an
//! operator is told of them at once, and not when all else is right.

use integration::declared::template_mistakes;
use model::{Diagnostic, Integration, Model, Severity};

use super::{gateway_responses, validate::Models};

/// Mistakes within templates, models and gateway responses. References between models are left out: what they lead to may
/// be what could not be read.
pub fn mistakes_within(model: &Model) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for api in &model.apis {
        gateway_responses::compile(&api.definition, api.kind, &mut found);
        Models::mistakes_within(&api.definition, &mut found);
        for route in &api.definition.routes {
            let Integration::Declared(declared) = &route.integration else { continue };
            let of_request = ("request_templates".to_owned(), &declared.request_templates);
            let of_answers = declared.responses.iter().enumerate();
            let of_answers = of_answers
                .map(|(place, response)| (format!("responses[{place}].templates"), &response.templates));
            for (part, templates) in std::iter::once(of_request).chain(of_answers) {
                let mistakes = template_mistakes(&part, templates, model.node.templates.xml_to_json);
                let origin = declared.origin.as_ref().or(route.origin.as_ref());
                found.extend(mistakes.into_iter().map(|mistake| {
                    Diagnostic::error(
                        origin,
                        format!("{}: integration.{}", route.key, mistake.key),
                        mistake.why,
                    )
                }));
            }
        }
    }
    found.retain(|it| it.severity == Severity::Error);
    found
}

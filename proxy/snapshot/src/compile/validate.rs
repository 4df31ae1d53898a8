//! Models and request validators (rows 112, 113): models become schemas once a definition, a validator becomes a policy of its routes.

use model::{Definition, Diagnostic, ParameterPlace, RequestRules, Route};
use policy::validate::{Parameter, Settings, Validate};
use schema::Schemas;

/// Models that every API has from its birth, unless it has its own of that name.
const BORN_WITH: [(&str, &str); 2] = [
    ("Empty", r#"{"title": "Empty Schema", "type": "object"}"#),
    (
        "Error",
        r#"{"title": "Error Schema", "type": "object", "properties": {"message": {"type": "string"}}}"#,
    ),
];

/// The compiled models of a definition.
pub(super) struct Models<'a> {
    definition: &'a Definition,
    /// `None`: nobody asks for any, or there are mistakes, which were told.
    schemas: Option<Schemas>,
}

impl<'a> Models<'a> {
    /// Compiles all models; what is wrong is told at the model that it is wrong in, once.
    pub(super) fn compile(definition: &'a Definition, found: &mut Vec<Diagnostic>) -> Self {
        let is_asked_for = definition.routes.iter().any(|route| !route.request.models.is_empty());
        if definition.models.is_empty() && !is_asked_for {
            return Self { definition, schemas: None };
        }
        let schemas = schemas(definition).map_err(|mistakes| tell(definition, mistakes, found));
        Self { definition, schemas: schemas.ok() }
    }

    /// What is wrong within models, whatever they refer to.
    pub(super) fn mistakes_within(definition: &Definition, found: &mut Vec<Diagnostic>) {
        if let Err(mut mistakes) = schemas(definition) {
            mistakes.retain(|mistake| !mistake.pointer.ends_with("/$ref"));
            tell(definition, mistakes, found);
        }
    }

    /// What a route's validator looks at; `None` if there is none or it looks at nothing.
    pub(super) fn policy(
        &self,
        route: &Route,
        variables: &[String],
        body_bytes_max: u64,
    ) -> Result<Option<Validate>, Vec<String>> {
        let RequestRules { parameters, models, validator } = &route.request;
        let mut mistakes = Vec::new();
        for (_, name) in models {
            let is_known = self.definition.models.iter().any(|model| model.name == *name)
                || BORN_WITH.iter().any(|(born, _)| born == name);
            if !is_known {
                mistakes.push(format!("there is no model `{name}`"));
            }
        }
        let named = validator.as_ref().map(|name| {
            let validator = self.definition.validators.iter().find(|validator| validator.name == *name);
            validator.ok_or_else(|| format!("there is no validator `{name}`"))
        });
        let validator = match named.transpose() {
            Ok(validator) => validator,
            Err(why) => {
                mistakes.push(why);
                None
            }
        };
        let mut settings = Settings { body_bytes_max, ..Settings::default() };
        if validator.is_some_and(|validator| validator.parameters) {
            for parameter in parameters.iter().filter(|parameter| parameter.required) {
                let name = Box::from(&*parameter.name);
                settings.required.push(match parameter.place {
                    ParameterPlace::Header => Parameter::Header(name),
                    ParameterPlace::QueryString => Parameter::Query(name),
                    ParameterPlace::Path => {
                        let place = variables.iter().position(|variable| *variable == parameter.name);
                        let Some(place) = place else {
                            mistakes.push(format!(
                                "`{}` is required, and no variable of the path",
                                parameter.name
                            ));
                            continue;
                        };
                        Parameter::Path(name, place)
                    }
                });
            }
        }
        if let Some(schemas) = self.schemas.as_ref().filter(|_| validator.is_some_and(|it| it.body)) {
            let model = |(media, name): &(String, String)| Some((media.clone(), schemas.validator(name)?));
            settings.models = models.iter().filter_map(model).collect();
        }
        if mistakes.is_empty() { Ok(Validate::new(settings)) } else { Err(mistakes) }
    }
}

/// The models of a definition, and those that every API has.
fn schemas(definition: &Definition) -> Result<Schemas, Vec<schema::Mistake>> {
    let own = definition.models.iter().map(|model| (&*model.name, &*model.schema));
    let has = |name: &str| definition.models.iter().any(|model| model.name == name);
    let models: Vec<_> = own.chain(BORN_WITH.into_iter().filter(|(name, _)| !has(name))).collect();
    Schemas::compile(&models)
}

/// Tells of mistakes at the models that they are in, once: stages that run the same definition need not say it twice.
fn tell(definition: &Definition, mistakes: Vec<schema::Mistake>, found: &mut Vec<Diagnostic>) {
    for mistake in mistakes {
        let model = definition.models.iter().find(|model| model.name == mistake.model);
        let origin = model.and_then(|model| model.origin.as_ref());
        let (name, why) = (&mistake.model, &mistake.why);
        let message = match &*mistake.pointer {
            "" => format!("the model `{name}`: {why}"),
            pointer => format!("the model `{name}` at #{pointer}: {why}"),
        };
        let diagnostic = Diagnostic::error(origin, "model", message);
        if !found.contains(&diagnostic) {
            found.push(diagnostic);
        }
    }
}

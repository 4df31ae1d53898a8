//! Where API Gateway is not draft 4, in one place. The rest is left out: nobody reads the keywords `exclusiveMinimum`, `maxItems` and
//! `minItems`, whose word about a body API Gateway does not keep (row 140, U: the guide says it of imported definitions). Of those that it
//! doesn't know (`discriminator`, `example`, `readOnly`, `deprecated`) draft 4 knows nothing either, and `default` says
//! nothing about a body.

/// What is said of a model that says nothing (row 112, U: whether a schema with a type alone is meant as well is open; the model
/// `Empty` that every API is born with is one).
pub(crate) const EMPTY_MODEL: &str = "Model schema must have at least 1 property or array items defined";

/// What `validationErrorString` is for a body that is no JSON.
pub(crate) const NO_JSON: &str = "[Unknown error parsing request body]";

/// References to another model of the API: this, the API's id (anybody's, since a definition moves), `/models/` and its name.
pub(crate) const MODELS: &str = "https://apigateway.amazonaws.com/restapis/";

//! Functions that APIs call. They don't run here yet; who brings a template is told which there are.

use model::Origin;
use openapi::Variables;

/// A function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name in the template.
    pub name: String,
    /// `index.handler` and the like.
    pub handler: Option<String>,
    /// `nodejs22.x` and the like.
    pub runtime: Option<String>,
    /// The folder or archive of its code.
    pub code: Option<String>,
    /// Where it stands.
    pub origin: Origin,
}

/// A function's ARN.
pub(crate) fn arn(name: &str, variables: &Variables) -> String {
    let Variables { account_id, region, partition } = variables;
    format!("arn:{partition}:lambda:{region}:{account_id}:function:{name}")
}

/// The URI by which an integration or an authorizer calls a function.
pub(crate) fn invocation(arn: &str, variables: &Variables) -> String {
    let Variables { region, partition, .. } = variables;
    format!("arn:{partition}:apigateway:{region}:lambda:path/2015-03-31/functions/{arn}/invocations")
}

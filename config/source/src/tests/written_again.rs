//! Whatever an API says, it is written as TOML and read again as the same.

mod any;
mod exported;

use model::{Api, Definition, Domain, Kind, Model};
use proptest::{prelude::*, sample::select};

use self::any::{api, definition, domain};
use super::{Table, files::forget_places, render_all};
use crate::{format, load, read_definition, write, write_definition};

/// What is written of APIs and domains, as a file that has the group they name.
#[track_caller]
fn read_again(apis: &[Api], domains: &[Domain]) -> (String, Model) {
    let text = write(apis, domains);
    assert_eq!(format("f.toml", &text).ok().as_ref(), Some(&text), "in its own layout");
    let whole = format!("{text}\n[upstream.u]\ntargets = [\"http://u\"]\n");
    let outcome = load("f.toml".as_ref(), &Table::default().file("f.toml", &whole));
    let said = render_all(&outcome);
    let model = outcome.model.unwrap_or_else(|| panic!("{said}\n{whole}"));
    (text, forget_places(model))
}

fn kept_again(definition: &Definition, kind: Kind) -> Result<(), TestCaseError> {
    let kept = write_definition(definition, kind);
    let frozen = read_definition(&kept);
    let frozen = frozen.unwrap_or_else(|refused| panic!("{:?}\n{kept}", refused.diagnostics));
    prop_assert_eq!(&frozen.definition, definition, "{}", kept);
    prop_assert_eq!(frozen.kind, kind);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn rest_apis(api in api(Kind::Rest), domain in domain()) {
        let (text, model) = read_again(std::slice::from_ref(&api), std::slice::from_ref(&domain));
        prop_assert_eq!(&model.apis[0], &api, "{}", text);
        prop_assert_eq!(&model.domains[0], &domain, "{}", text);
        kept_again(&api.definition, Kind::Rest)?;
    }

    #[test]
    fn http_apis(api in api(Kind::Http)) {
        let (text, model) = read_again(std::slice::from_ref(&api), &[]);
        prop_assert_eq!(&model.apis[0], &api, "{}", text);
        kept_again(&api.definition, Kind::Http)?;
    }

    #[test]
    fn plain_routes(definition in definition(Kind::Proxy), hosts in select(vec![vec![], vec!["a.example", "b"]])) {
        let hosts: Vec<_> = hosts.into_iter().map(str::to_owned).collect();
        let plain = crate::route::plain_api(&hosts, definition.cors.clone());
        let api = Api { definition, ..plain };
        let (text, model) = read_again(std::slice::from_ref(&api), &[]);
        prop_assert_eq!(&model.apis[0], &api, "{}", text);
        kept_again(&api.definition, Kind::Proxy)?;
    }
}

#[test]
fn what_is_written_reads_well() {
    let text = r#"[[api]]
name = "shop"
kind = "rest"
hosts = ["shop.example.com"]
cors = "*"

[[api.stage]]
name = "prod"
variables = { warehouse = "10.0.0.7:9000" }
throttle = { rate = "30/s" }

[[api.model]]
name = "Item"
schema = '{"type":"object"}'

[[api.validator]]
name = "all"
body = true
parameters = true

[[api.gateway_response]]
type = "throttled"
parameters = { "gatewayresponse.header.x-a" = "'b'" }
templates = '{"m":$context.error.messageString}'

[[api.route]]
key = "PUT /items/{id}"
validator = "all"
parameters = { "path.id" = "required" }
request_models = "Item"
throttle = { rate = "1/m" }
cache = "60s"

[api.route.integration]
type = "http"
uri = "http://${stageVariables.warehouse}/stock/{id}"
http_method = "POST"
request_parameters = { "integration.request.path.id" = "method.request.path.id" }
request_templates = '''
#set($item = $input.path('$'))
{ "name": "$item.name" }'''

[[api.route.integration.response]]
status = 200

[[api.route.integration.response]]
pattern = '4\d\d'
status = 409
templates = { "text/plain" = "no" }

[[api.route]]
key = "GET /health"
integration = { type = "mock", body = "well" }
"#;
    let written = |model: &Model| write(&model.apis, &model.domains);
    let first = super::model(text);
    let expected = text.replace("\"60s\"", "\"1m\"");
    assert_eq!(written(&first), expected);
    assert_eq!(written(&super::model(&expected)), expected);
}

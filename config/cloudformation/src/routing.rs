//! `AWS::ApiGatewayV2::RoutingRule` → rules of domains (row 39).

use model::RoutingRule;

use crate::{
    build,
    resources::{Assembly, Resource, texts},
    rest::list,
    stage,
};

/// Rules, put to the domains that they name.
pub(crate) fn rules(assembly: &mut Assembly<'_>, resources: &[Resource]) {
    for resource in resources.iter().filter(|it| it.kind == "AWS::ApiGatewayV2::RoutingRule") {
        let rule = match rule(assembly, resource, resources) {
            Ok(rule) => rule,
            Err(why) => {
                assembly.resolver.fail(&resource.span, why);
                continue;
            }
        };
        // An ARN ends with the name; `GetAtt` gives the resource's.
        let arn = resource.text("DomainNameArn").unwrap_or_default();
        let named = arn.rsplit_once("/domainnames/").map_or(&*arn, |(_, name)| name);
        let host = stage::host(resources, named.trim_end_matches(".DomainNameArn")).to_ascii_lowercase();
        let domain = assembly.domains.iter_mut().find(|domain| domain.name == host);
        match domain {
            Some(domain) => domain.rules.push(rule),
            None => {
                assembly.left(resource.title(), "its domain is not in this template", &resource.span);
                continue;
            }
        }
        assembly.mapped(resource.title(), "[[domain.rule]]", &resource.span);
    }
}

fn rule(assembly: &Assembly<'_>, resource: &Resource, resources: &[Resource]) -> Result<RoutingRule, String> {
    let [action] = list(resource.get("Actions")) else { return Err("a rule has one action".into()) };
    let call = action.get("InvokeApi").ok_or("the only action is `InvokeApi`")?;
    let text = |key: &str| call.get(key).and_then(build::scalar);
    let api = text("ApiId").ok_or("`ApiId` is missing")?;
    let (mut headers, mut base_paths) = (Vec::new(), Vec::new());
    for condition in list(resource.get("Conditions")) {
        if let Some(paths) = condition.get("MatchBasePaths").and_then(|it| it.get("AnyOf")) {
            base_paths.extend(texts(paths).iter().map(|path| path.trim_matches('/').to_owned()));
        }
        let any = condition.get("MatchHeaders").and_then(|it| it.get("AnyOf"));
        for header in list(any) {
            let text = |key: &str| header.get(key).and_then(build::scalar).unwrap_or_default();
            headers.push((text("Header"), text("ValueGlob")));
        }
    }
    let priority = resource.text("Priority").and_then(|it| it.parse().ok());
    Ok(RoutingRule {
        priority: priority.filter(|it| (1..=1_000_000).contains(it)).ok_or("`Priority` is 1 to 1,000,000")?,
        headers,
        base_paths,
        stage: stage::named(assembly, resources, &api, &text("Stage").ok_or("`Stage` is missing")?),
        api,
        strip_base_path: text("StripBasePath").is_some_and(|it| it.eq_ignore_ascii_case("true")),
        origin: Some(assembly.resolver.origin(&resource.span)),
    })
}

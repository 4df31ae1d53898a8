//! What is no request: what its client is told, of whom nobody knows which API it was for.

use model::{Integration, Kind};

use super::harness::{Setup, check_on, standard};

/// Row 129: where all APIs are REST APIs it was for one of these.
#[test]
fn a_node_of_rest_apis_names_the_error() {
    for (kind, told) in [
        (Kind::Rest, "has x-amzn-errortype: BadRequestException"),
        (Kind::Http, "lacks x-amzn-errortype"),
        (Kind::Proxy, "lacks x-amzn-errortype"),
    ] {
        for script in [
            format!("c> NONSENSE|\nc< 400 close Bad Request\nc {told}"),
            format!("c speaks h2\nc.1> GET /mock|host: other\nc.1< 400 Bad Request\nc {told}"),
        ] {
            let mut model = standard();
            model.apis[0].kind = kind;
            let routes = &mut model.apis[0].definition.routes;
            routes.retain(|route| matches!(route.integration, Integration::Mock(_)));
            check_on(Setup { model, ..Setup::default() }, &script);
        }
    }
}

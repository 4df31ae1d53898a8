//! One route among many: an API's tree of resources, some with variables, asked for another route with each call.

use std::fmt::Write;

use message::Method;
use router::{Key, Precedence, Route, Router};

use crate::Case;

pub(crate) fn find_among_10() -> Case {
    find("find_among_10", 10)
}

pub(crate) fn find_among_1_000() -> Case {
    find("find_among_1000", 1_000)
}

pub(crate) fn find_among_10_000() -> Case {
    find("find_among_10000", 10_000)
}

/// Requests that are asked in turn. Not a divisor of any count of routes.
const REQUESTS: usize = 97;

fn find(name: &'static str, count: usize) -> Case {
    let templates: Vec<String> = (0..count).map(template).collect();
    let routes = templates
        .iter()
        .zip(0..)
        .map(|(template, index)| Route { key: Key::Path { method: Some("GET"), template }, index });
    #[expect(clippy::expect_used, reason = "a table that cannot be built has nothing to measure")]
    let router = Router::build(Precedence::Http, routes).expect("the templates differ");
    // Spread over the table: 7,919 is prime, so that neighbours in time are none in the table.
    let requests: Vec<(String, u32)> = (0..REQUESTS)
        .map(|place| place * 7_919 % count)
        .map(|route| (templates[route].replace("{id}", "4711"), route as u32))
        .collect();
    let mut at = 0;
    Case::new(name, move || {
        at = (at + 1) % requests.len();
        let (path, route) = &requests[at];
        router.find(&Method::Get, path).is_ok_and(|found| found.route == *route)
    })
}

/// `/team3/service7/orders`, every second one with a variable: some ten teams of ten services in a table of a thousand.
fn template(index: usize) -> String {
    let resources = ["orders", "customers", "invoices", "items", "prices"];
    let (team, service) = (index / 100, index / 10 % 10);
    let mut text = format!("/team{team}/service{service}/{}", resources[index / 2 % resources.len()]);
    if index % 2 == 1 {
        let _ = write!(text, "/{{id}}");
    }
    text
}

//! Which requests have the same key.

use std::num::NonZeroUsize;

use proptest::prelude::*;

use super::*;
use crate::cache::key::{Key, Recipe};

fn key(dialect: Dialect, parts: Option<Vec<KeyPart>>, text: &str) -> Key {
    Recipe::new("api/prod/route", dialect, parts).key(&request(text), &[]).unwrap()
}

#[track_caller]
fn check(dialect: Dialect, parts: &Option<Vec<KeyPart>>, one: &str, other: &str, expected: &str) {
    let (one, other) = (key(dialect, parts.clone(), one), key(dialect, parts.clone(), other));
    assert_eq!(if one == other { "same" } else { "different" }, expected);
}

#[test]
fn undeclared_keys_hold_all_that_a_backend_sees() {
    let check = |one, other, expected| check(Dialect::Proxy, &None, one, other, expected);
    check("GET https://a/x", "GET https://a/x", "same");
    check("GET https://a/x", "GET https://A/x", "same");
    check("GET https://a/x", "HEAD https://a/x", "same");
    check("GET https://a/%7Ex/./y", "GET https://a/~x/y", "same");
    check("GET https://a/x", "GET https://a/x\nuser-agent: b", "same");
    check("GET https://a/x", "GET https://b/x", "different");
    check("GET https://a/x", "GET https://a:8443/x", "different");
    check("GET https://a/x", "GET http://a/x", "different");
    check("GET https://a/x", "POST https://a/x", "different");
    check("GET https://a/x", "GET https://a/X", "different");
    check("GET https://a/x", "GET https://a/x/", "different");
    check("GET https://a/x", "GET https://a/x?", "different");
    check("GET https://a/x", "GET https://a/x\naccept-encoding: gzip", "different");
    check("GET https://a/x", "GET https://a/x\nx-forwarded-host: evil", "different");
    check("GET https://a/x\nx-forwarded-host: 80", "GET https://a/x\nx-forwarded-port: 80", "different");
}

#[test]
fn queries_are_sorted_where_that_means_nothing() {
    let check = |one: &str, other: &str, expected| {
        let url = |query| format!("GET https://a/x?{query}");
        check(Dialect::Proxy, &None, &url(one), &url(other), expected);
    };
    check("a=1&b=2", "b=2&a=1", "same");
    check("b=2&a=1&a=3", "a=1&b=2&a=3", "same");
    check("a=1&a=2", "a=2&a=1", "different");
    check("A=1&a=2", "a=2&A=1", "different");
    check("a=1&b=2", "a=1%26b=2", "different");
    check("a=1&b=2", "a=1&b=2&", "different");
    check("a", "a=", "different");
    check("ab=1", "a=b1", "different");
    // Backends fold these names, so that the order may be one of values.
    check("%61=1&a=2", "a=2&%61=1", "different");
    check("a.b=1&a_b=2", "a_b=2&a.b=1", "different");
    check("a[]=1&a[0]=2", "a[0]=2&a[]=1", "different");
    check("a=1;b=2&b=3", "b=3&a=1;b=2", "different");
    check("a+=1&a=2", "a=2&a+=1", "different");
}

#[test]
fn rest_keys_hold_what_is_declared_and_nothing_else() {
    let nothing = None;
    check(Dialect::Rest, &nothing, "GET https://a/pets/1?x=1", "GET http://b/pets/2?x=2", "same");
    check(Dialect::Rest, &nothing, "GET https://a/pets", "PUT https://a/pets", "different");
    let declared = Some(vec![query("x"), header("X-Tenant")]);
    let check = |one, other, expected| check(Dialect::Rest, &declared, one, other, expected);
    check("GET https://a/1?x=1&y=1", "GET https://b/2?y=2&x=1", "same");
    check("GET https://a/\nx-tenant: a", "GET https://a/\nX-TENANT: a", "same");
    check("GET https://a/?x=1", "GET https://a/?x=2", "different");
    check("GET https://a/?x=", "GET https://a/", "different");
    check("GET https://a/?x=1&x=2", "GET https://a/?x=2&x=1", "different");
    check("GET https://a/?x=1&x=2", "GET https://a/?x=1", "different");
    // The backend reads all of these as x.
    check("GET https://a/?%78=1", "GET https://a/", "different");
    check("GET https://a/?%78=1", "GET https://a/?x=1", "same");
    check("GET https://a/\nx-tenant: a", "GET https://a/", "different");
    check("GET https://a/\nx-tenant:", "GET https://a/", "different");
    check("GET https://a/?x=a\nx-tenant: b", "GET https://a/?x=b\nx-tenant: a", "different");
    check("GET https://a/\nx-tenant: a\nx-tenant: b", "GET https://a/\nx-tenant: ab", "different");
}

#[test]
fn declared_names_are_compared_decoded() {
    let declared = Some(vec![query("a b%")]);
    let check = |one, other, expected| check(Dialect::Rest, &declared, one, other, expected);
    check("GET https://a/?a+b%25=1", "GET https://a/?a%20b%25=1", "same");
    check("GET https://a/?a+b%25=1", "GET https://a/", "different");
    check("GET https://a/?a%2bb%25=1", "GET https://a/", "same");
}

#[test]
fn declared_keys_of_the_proxy_tell_hosts_and_schemes_apart() {
    let declared = Some(vec![query("x")]);
    let check = |one, other, expected| check(Dialect::Proxy, &declared, one, other, expected);
    check("GET https://a/1?x=1", "GET https://a/2?x=1&y=2", "same");
    check("GET https://a/?x=1", "GET https://a/?x=1\naccept-encoding: gzip", "same");
    check("GET https://a/?x=1", "GET https://b/?x=1", "different");
    check("GET https://a/?x=1", "GET http://a/?x=1", "different");
}

#[test]
fn path_variables_are_read_where_the_route_has_them() {
    let recipe = Recipe::new("r", Dialect::Rest, Some(vec![KeyPart::Path(1)]));
    let key = |text, params: &[(u32, u32)]| recipe.key(&request(text), params);
    let one = key("GET https://a/pets/1/eyes/2", &[(6, 7), (13, 14)]);
    assert!(one.is_some());
    assert_eq!(one, key("GET https://a/pets/7/eyes/2", &[(6, 7), (13, 14)]));
    assert_ne!(one, key("GET https://a/pets/1/eyes/3", &[(6, 7), (13, 14)]));
    assert_eq!(key("GET https://a/pets/1", &[(6, 7)]), None);
    assert_eq!(key("GET https://a/pets", &[(1, 2), (6, 9)]), None);
}

#[test]
fn routes_and_declarations_never_share_a_key() {
    let text = "GET https://a/x?x=1&y=1\nx: 1";
    let recipes = [
        ("r", Dialect::Proxy, None),
        ("s", Dialect::Proxy, None),
        ("r", Dialect::Http, None),
        ("r", Dialect::Rest, None),
        ("r", Dialect::Rest, Some(vec![])),
        ("r", Dialect::Rest, Some(vec![query("x")])),
        ("r", Dialect::Rest, Some(vec![query("y")])),
        ("r", Dialect::Rest, Some(vec![header("x")])),
        ("r", Dialect::Rest, Some(vec![query("x"), query("y")])),
        ("r", Dialect::Rest, Some(vec![query("y"), query("x")])),
        ("r\0", Dialect::Rest, None),
    ];
    let key = |(identity, dialect, parts): &(&str, _, Option<Vec<_>>)| {
        Recipe::new(identity, *dialect, parts.clone()).key(&request(text), &[]).unwrap()
    };
    for (at, one) in recipes.iter().enumerate() {
        assert_eq!(key(one).identity(), one.0.as_bytes());
        for other in &recipes[at + 1..] {
            assert_ne!(key(one), key(other), "{one:?} {other:?}");
        }
    }
}

#[test]
fn owners_are_agreed_upon_and_even() {
    let cores = NonZeroUsize::new(3).unwrap();
    let mut owned = [0; 3];
    for at in 0..3_000 {
        let text = format!("GET https://a/{at}");
        let owner = key(Dialect::Proxy, None, &text).owner(cores);
        assert_eq!(owner, key(Dialect::Proxy, None, &text).owner(cores));
        owned[owner] += 1;
    }
    assert!(owned.iter().all(|keys| (900..1_100).contains(keys)), "{owned:?}");
}

proptest! {
    /// Two requests have the same key only if what is declared is the same, value by value.
    #[test]
    fn keys_are_written_unambiguously(
        one in proptest::collection::vec(("[xy]", "[xy=&]{0,2}"), 0..4),
        other in proptest::collection::vec(("[xy]", "[xy=&]{0,2}"), 0..4),
    ) {
        let parts = || Some(vec![query("x"), query("y")]);
        let text = |pairs: &[(String, String)]| {
            let query = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
            format!("GET https://a/?{query}")
        };
        let (one, other) = (text(&one), text(&other));
        let values = |text: &str| {
            let request = request(text);
            ["x", "y"].map(|name| request.target.query_values(name).map(str::to_owned).collect::<Vec<_>>())
        };
        let same = key(Dialect::Rest, parts(), &one) == key(Dialect::Rest, parts(), &other);
        prop_assert_eq!(same, values(&one) == values(&other), "{} {}", one, other);
    }
}

//! What documents ask of clients and nothing enforces: said in one place, since it is refused, warned of and noted in several.

use std::fmt::Write as _;

use crate::{Definition, Origin};

/// Names that are listed; the others are counted.
const LISTED_MAX: usize = 12;

/// What a definition's routes ask of clients and nothing enforces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unenforced {
    /// The schemes and their operations, in words.
    pub what: String,
    /// The first of the operations.
    pub origin: Option<Origin>,
}

impl Definition {
    /// What its routes ask of clients and nothing enforces, if there is any.
    pub fn unenforced_security(&self) -> Option<Unenforced> {
        let asking: Vec<_> =
            self.routes.iter().filter(|route| !route.unenforced_security.is_empty()).collect();
        let first = asking.first()?;
        let mut schemes: Vec<&str> = Vec::new();
        for name in asking.iter().flat_map(|route| &route.unenforced_security) {
            if !schemes.contains(&name.as_str()) {
                schemes.push(name);
            }
        }
        let schemes = listed(schemes.iter().map(|name| name.escape_debug().to_string()));
        let routes = listed(asking.iter().map(|route| route.key.to_string()));
        let verb = if asking.len() == 1 { "asks" } else { "ask" };
        Some(Unenforced {
            what: format!("{schemes}, for which {routes} {verb}"),
            origin: first.origin.clone(),
        })
    }

    /// From now on they are served to everybody: by the operator's word.
    pub fn allow_unenforced_security(&mut self) {
        self.routes.iter_mut().for_each(|route| route.unenforced_security.clear());
    }
}

/// `a`, `b` and 3 more.
fn listed(names: impl ExactSizeIterator<Item = String>) -> String {
    let rest = names.len().saturating_sub(LISTED_MAX);
    let mut listed = names.take(LISTED_MAX).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if rest > 0 {
        // Writing to a string can't fail.
        let _written = write!(listed, " and {rest} more");
    }
    listed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Declared, Integration, IntegrationType, Route, RouteKey};

    /// A route asks for each of the schemes; its number is its path.
    #[track_caller]
    fn check(routes: &[&[&str]], expected: Option<&str>) {
        let route = |(number, schemes): (usize, &&[&str])| Route {
            unenforced_security: schemes.iter().map(|name| (*name).to_owned()).collect(),
            ..Route::new(
                RouteKey::Path { method: Some("GET".into()), path: format!("/{number}") },
                Integration::Declared(Box::new(Declared::new(IntegrationType::Mock))),
            )
        };
        let mut definition =
            Definition { routes: routes.iter().enumerate().map(route).collect(), ..Definition::default() };
        assert_eq!(definition.unenforced_security().map(|it| it.what).as_deref(), expected);
        definition.allow_unenforced_security();
        assert_eq!(definition.unenforced_security(), None);
    }

    #[test]
    fn schemes_are_named_once_and_operations_up_to_a_bound() {
        check(&[], None);
        check(&[&[], &[]], None);
        check(&[&[], &["a"]], Some("`a`, for which `GET /1` asks"));
        check(&[&["a", "b"], &["a"]], Some("`a`, `b`, for which `GET /0`, `GET /1` ask"));
        check(&[&["a\n"]], Some("`a\\n`, for which `GET /0` asks"));
        let many = [&["a"][..]; LISTED_MAX + 2];
        let named: Vec<_> = (0..LISTED_MAX).map(|at| format!("`GET /{at}`")).collect();
        check(&many, Some(&format!("`a`, for which {} and 2 more ask", named.join(", "))));
    }
}

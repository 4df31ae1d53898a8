//! Default endpoints: where an API is reached without a mapping, by its id in the host or in the path (rows 9, 10).
//!
//! * `{id}.execute-api.{region}.amazonaws.com`, of any region; `{id}.execute-api.localhost`; `{id}.execute-api.` and the
//!   suffix that the node has
//! * of a private API, `{id}-{vpce id}.execute-api.…`, or a VPC endpoint's own name and the field `x-apigw-api-id`
//! * `/restapis/{id}/{stage}/_user_request_/…` at any host

use message::Headers;

use crate::Error;

/// An API that has a default endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint<T> {
    /// The API's id.
    pub id: Box<str>,
    /// Whether it is reached through VPC endpoints alone, and through which.
    pub private: Option<Vec<String>>,
    /// What stands there.
    pub value: T,
}

/// All of them.
#[derive(Clone, Debug)]
pub struct Endpoints<T> {
    /// By id.
    endpoints: Vec<Endpoint<T>>,
    /// What may follow `execute-api.` beside AWS's regions and `localhost`; lower case.
    suffix: Option<Box<str>>,
}

/// An API that was reached at its default endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached<'a, 'p, T> {
    /// What stands there.
    pub value: &'a T,
    /// The stage, where the form of the path says it by itself.
    pub stage: Option<&'p str>,
    /// Bytes of the path that have been read.
    pub bytes: usize,
}

impl<T> Endpoints<T> {
    /// Builds the table, or names the ids that are there twice.
    pub fn build(endpoints: Vec<Endpoint<T>>, suffix: Option<&str>) -> Result<Self, Vec<Error>> {
        let mut table =
            Self { endpoints: Vec::new(), suffix: suffix.map(|it| it.to_ascii_lowercase().into()) };
        let mut errors = Vec::new();
        for (index, endpoint) in (0..).zip(endpoints) {
            match table.endpoints.binary_search_by(|other| other.id.cmp(&endpoint.id)) {
                Ok(_) => errors.push(Error::SameId { index, id: endpoint.id.into() }),
                Err(place) => table.endpoints.insert(place, endpoint),
            }
        }
        if errors.is_empty() { Ok(table) } else { Err(errors) }
    }

    /// The API whose default endpoint a lower-case host or a normalised path names.
    pub fn find<'p>(&self, host: &str, path: &'p str, headers: &Headers) -> Option<Reached<'_, 'p, T>> {
        if self.endpoints.is_empty() {
            return None;
        }
        self.by_path(path)
            .or_else(|| self.by_host(host, headers).map(|value| Reached { value, stage: None, bytes: 0 }))
    }

    fn by_path<'p>(&self, path: &'p str) -> Option<Reached<'_, 'p, T>> {
        let (id, rest) = path.strip_prefix("/restapis/")?.split_once('/')?;
        let (stage, rest) = rest.split_once('/')?;
        let rest = rest.strip_prefix("_user_request_").filter(|it| it.is_empty() || it.starts_with('/'))?;
        let endpoint = self.get(id).filter(|endpoint| endpoint.private.is_none())?;
        Some(Reached { value: &endpoint.value, stage: Some(stage), bytes: path.len() - rest.len() })
    }

    fn by_host(&self, host: &str, headers: &Headers) -> Option<&T> {
        let host = host.strip_suffix('.').unwrap_or(host);
        let (label, rest) = host.split_once('.')?;
        let place = rest.strip_prefix("execute-api.")?;
        if let Some(region) = place.strip_suffix(".vpce.amazonaws.com") {
            // A VPC endpoint's own name: a field says whose API is meant.
            let id = headers.find("x-apigw-api-id").filter(|_| is_label(region))?;
            let endpoint = self.get(std::str::from_utf8(id).ok()?)?;
            let through = endpoint.private.as_ref()?;
            let is_through = |vpce: &String| label.strip_prefix(&**vpce).is_some_and(is_end_of_name);
            return through.iter().any(is_through).then_some(&endpoint.value);
        }
        let region = place.strip_suffix(".amazonaws.com").or_else(|| place.strip_suffix(".amazonaws.com.cn"));
        let is_ours =
            place == "localhost" || self.suffix.as_deref() == Some(place) || region.is_some_and(is_label);
        if !is_ours {
            return None;
        }
        let (id, vpce) = label.split_once('-').map_or((label, None), |(id, vpce)| (id, Some(vpce)));
        let endpoint = self.get(id)?;
        let is_reached = match (&endpoint.private, vpce) {
            (None, None) => true,
            (None, Some(_)) => false,
            // Private DNS is the VPC's own.
            (Some(_), None) => true,
            (Some(through), Some(vpce)) => through.iter().any(|own| own == vpce),
        };
        is_reached.then_some(&endpoint.value)
    }

    fn get(&self, id: &str) -> Option<&Endpoint<T>> {
        let place = self.endpoints.binary_search_by(|endpoint| (*endpoint.id).cmp(id)).ok()?;
        self.endpoints.get(place)
    }
}

/// `vpce-0a1b-c2d3` goes on behind the id with a dash and letters of its own.
fn is_end_of_name(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('-')
}

/// One label of a name, such as a region.
fn is_label(text: &str) -> bool {
    !text.is_empty() && !text.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who is reached (`pets` with the id `abc123`, `shop` with `shop000001`, and `den`, which is private), in which stage, and
    /// how much of the path is read. `host` may have a second word: the field `x-apigw-api-id`.
    #[track_caller]
    fn check(host: &str, path: &str, expected: Option<(&str, Option<&str>, usize)>) {
        let endpoint = |id: &str, value, private| Endpoint { id: id.into(), value, private };
        let endpoints = Endpoints::build(
            vec![
                endpoint("shop000001", "shop", None),
                endpoint("abc123", "pets", None),
                endpoint("den", "den", Some(vec!["vpce-01-ab".into()])),
            ],
            Some("Example.NET"),
        );
        let (host, id) = host.split_once(' ').unwrap_or((host, ""));
        let mut headers = Headers::default();
        headers.push("X-Apigw-Api-Id", id.as_bytes());
        let endpoints = endpoints.unwrap();
        let found = endpoints.find(host, path, &headers).map(|it| (*it.value, it.stage, it.bytes));
        assert_eq!(found, expected, "{host}{path}");
    }

    /// Row 10.
    #[test]
    fn hosts_name_an_api_in_any_region_at_localhost_and_below_the_suffix() {
        for place in [
            "us-east-1.amazonaws.com",
            "cn-north-1.amazonaws.com.cn",
            "localhost",
            "example.net",
            "eu-west-3.amazonaws.com.",
        ] {
            check(&format!("abc123.execute-api.{place}"), "/x", Some(("pets", None, 0)));
            check(&format!("abc124.execute-api.{place}"), "/x", None);
        }
        for host in [
            "abc123",
            "abc123.example.net",
            "abc123.execute-api",
            "abc123.execute-api.example.org",
            "abc123.execute-api.a.b.amazonaws.com",
            "abc123.execute-api..amazonaws.com",
            "abc123.s3.us-east-1.amazonaws.com",
            "abc123-vpce-01-ab.execute-api.localhost",
            "x.abc123.execute-api.localhost",
            "[::1]",
        ] {
            check(host, "/x", None);
        }
    }

    /// Row 10: the form that users of LocalStack know.
    #[test]
    fn paths_name_an_api_at_any_host() {
        check("a.example", "/restapis/abc123/prod/_user_request_/pets", Some(("pets", Some("prod"), 36)));
        check("a.example", "/restapis/abc123/prod/_user_request_", Some(("pets", Some("prod"), 36)));
        check("a.example", "/restapis/abc123/$default/_user_request_/", Some(("pets", Some("$default"), 40)));
        // The path says more than the host.
        check(
            "abc123.execute-api.localhost",
            "/restapis/shop000001/p/_user_request_/",
            Some(("shop", Some("p"), 37)),
        );
        for path in [
            "/restapis/nobody/prod/_user_request_/pets",
            "/restapis/abc123/prod/_user_request_pets",
            "/restapis/abc123/prod/pets",
            "/restapis/abc123",
            "/restapis/den/prod/_user_request_/pets",
        ] {
            check("a.example", path, None);
        }
    }

    /// Row 9.
    #[test]
    fn private_apis_are_reached_through_their_vpc_endpoints() {
        let den = Some(("den", None, 0));
        check("den.execute-api.us-east-1.amazonaws.com", "/", den);
        check("den-vpce-01-ab.execute-api.us-east-1.amazonaws.com", "/", den);
        check("den-vpce-01-ac.execute-api.us-east-1.amazonaws.com", "/", None);
        check("vpce-01-ab-xyz.execute-api.us-east-1.vpce.amazonaws.com den", "/", den);
        check("vpce-01-abc.execute-api.us-east-1.vpce.amazonaws.com den", "/", None);
        check("vpce-01-ab-xyz.execute-api.us-east-1.vpce.amazonaws.com abc123", "/", None);
        check("vpce-01-ab-xyz.execute-api.us-east-1.vpce.amazonaws.com", "/", None);
    }

    #[test]
    fn two_apis_have_two_ids() {
        let endpoints = ["a", "b", "a"].map(|id| Endpoint { id: id.into(), value: (), private: None });
        let errors = Endpoints::build(endpoints.into(), None).unwrap_err();
        assert_eq!(errors, [Error::SameId { index: 2, id: "a".into() }]);
    }
}

//! The HTTP integration in its short form: which path, which host, which headers a backend sees.

use message::{Dialect, PathRules, Reason, Request, Response};

use crate::{
    Context, Integration, Outbound, ReadContext,
    headers::{RestHeaders, forward_as_http_api, forward_plainly, remap},
};

/// Forwards to a group of backends.
#[derive(Clone, Debug)]
pub struct Http {
    upstream: u32,
    path: Option<Vec<Part>>,
    strip_prefix: Option<String>,
    dialect: Dialect,
    rest: RestHeaders,
}

/// Plain settings of [`Http`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// Slot of the upstream group.
    pub upstream: u32,
    /// The path to send, a template with `{name}`; `None`: the request's.
    pub path: Option<String>,
    /// Taken off the front of the request's path; whole segments, begins with a slash.
    pub strip_prefix: Option<String>,
    /// The route's variables in the template's order.
    pub variables: Vec<String>,
    /// Whose header rules apply.
    pub dialect: Dialect,
    /// The API's id, for `User-Agent` and the like (row 64).
    pub api_id: String,
}

/// Why settings can't be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The path names a variable that the route does not have.
    #[error("the path names `{{{name}}}`, which is no variable of the route")]
    UnknownVariable {
        /// The variable.
        name: String,
    },
    /// A brace without its partner, or a path that does not begin with a slash.
    #[error("the path `{path}` must begin with `/` and close each `{{` with `}}`")]
    BadPath {
        /// The path.
        path: String,
    },
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Variable(usize),
}

impl Http {
    /// Compiles the path template.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let Settings { upstream, path, strip_prefix, variables, dialect, api_id } = settings;
        let path = path.map(|path| parts(&path, &variables)).transpose()?;
        Ok(Self { upstream, path, strip_prefix, dialect, rest: RestHeaders::new(&api_id) })
    }

    /// Puts the path in place that the backend is to see.
    fn rewrite(&self, request: &mut Request, cx: &Context<'_>) -> Result<(), Reason> {
        let path = request.target.path();
        let rewritten = match (&self.path, &self.strip_prefix) {
            (Some(parts), _) => fill(parts, path, cx.params),
            (None, Some(prefix)) => match path.strip_prefix(prefix.as_str()) {
                Some(rest) if rest.starts_with('/') => rest.to_owned(),
                Some("") => "/".to_owned(),
                _ => return Ok(()),
            },
            (None, None) => return Ok(()),
        };
        // What a variable holds was checked once; an escaped slash that was let in stays as it is.
        let rules = PathRules { merge_slashes: false, encoded_slashes: true };
        request.target.set_path(&rewritten, rules).map_err(|_| Reason::NoRoute)
    }
}

impl Integration for Http {
    fn prepare(&self, request: &mut Request, cx: &mut Context<'_>) -> Outbound {
        if let Err(reason) = self.rewrite(request, cx) {
            return Outbound::Refuse(reason);
        }
        match self.dialect {
            Dialect::Proxy => forward_plainly(request, cx),
            Dialect::Http => forward_as_http_api(request, cx),
            Dialect::Rest => self.rest.forward(request, cx),
        }
        Outbound::Call(self.upstream)
    }

    fn read(&self, response: &mut Response, _: &mut ReadContext<'_>) -> Result<(), Reason> {
        if self.dialect == Dialect::Rest {
            remap(response);
        }
        Ok(())
    }

    fn kind(&self) -> &'static str {
        "HTTP_PROXY"
    }
}

fn parts(path: &str, variables: &[String]) -> Result<Vec<Part>, Error> {
    let bad = || Error::BadPath { path: path.to_owned() };
    if !path.starts_with('/') {
        return Err(bad());
    }
    let mut parts = Vec::new();
    let mut rest = path;
    while let Some(open) = rest.find('{') {
        let close = rest[open..].find('}').ok_or_else(bad)? + open;
        let name = rest[open + 1..close].trim_end_matches('+');
        let known = variables.iter().position(|variable| variable == name);
        parts.push(Part::Text(rest[..open].to_owned()));
        parts.push(Part::Variable(known.ok_or_else(|| Error::UnknownVariable { name: name.to_owned() })?));
        rest = &rest[close + 1..];
    }
    if rest.contains('}') {
        return Err(bad());
    }
    parts.push(Part::Text(rest.to_owned()));
    Ok(parts)
}

fn fill(parts: &[Part], path: &str, params: &[(u32, u32)]) -> String {
    let mut filled = String::with_capacity(path.len() + 16);
    for part in parts {
        match part {
            Part::Text(text) => filled.push_str(text),
            Part::Variable(index) => {
                let value = params.get(*index).and_then(|(from, to)| path.get(*from as usize..*to as usize));
                filled.push_str(value.unwrap_or_default());
            }
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use message::{Authority, Now, PathRules, RequestId, Target};

    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn request(path: &str, headers: &[(&str, &str)]) -> Request {
        Request {
            target: Target::parse(path.as_bytes(), PathRules::default()).unwrap(),
            authority: Authority::parse(b"api.example").unwrap(),
            headers: headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect(),
            ..Request::default()
        }
    }

    fn http(path: Option<&str>, strip: Option<&str>, dialect: Dialect) -> Http {
        let variables = vec!["id".to_owned(), "proxy".to_owned()];
        let (path, strip_prefix) = (path.map(Into::into), strip.map(Into::into));
        Http::new(Settings { upstream: 7, path, strip_prefix, variables, dialect, api_id: "shop".into() })
            .unwrap()
    }

    fn prepare(http: &Http, request: &mut Request, params: &[(u32, u32)], trusted: bool) -> Outbound {
        let state = &mut None;
        let mut cx = Context {
            params,
            peer: PEER,
            client: PEER,
            trusted,
            port: 443,
            now: Now::default(),
            request_id: RequestId::new([0; 16]),
            state,
            response: &mut Response::default(),
            spare: &mut crate::Spare::default(),
        };
        let outbound = http.prepare(request, &mut cx);
        assert!(state.is_none());
        outbound
    }

    #[track_caller]
    fn check_path(
        path: Option<&str>,
        strip: Option<&str>,
        sent: &str,
        params: &[(u32, u32)],
        expected: &str,
    ) {
        let mut request = request(sent, &[]);
        let outbound = prepare(&http(path, strip, Dialect::Proxy), &mut request, params, false);
        assert!(matches!(outbound, Outbound::Call(7)), "{outbound:?}");
        assert_eq!(request.target.path(), expected);
    }

    #[test]
    fn paths_are_rewritten() {
        check_path(None, None, "/a/b?q", &[], "/a/b");
        check_path(None, Some("/a"), "/a/b", &[], "/b");
        check_path(None, Some("/a"), "/a", &[], "/");
        check_path(None, Some("/a"), "/ab/c", &[], "/ab/c");
        check_path(Some("/x/{id}/y"), None, "/pets/42", &[(6, 8)], "/x/42/y");
        check_path(Some("/{proxy+}"), None, "/v1/a/b", &[(0, 0), (4, 7)], "/a/b");
    }

    #[test]
    fn a_rewrite_that_climbs_is_refused() {
        let mut request = request("/pets/..%2e", &[]);
        let http = http(Some("/../{id}"), None, Dialect::Proxy);
        let outbound = prepare(&http, &mut request, &[(0, 0)], false);
        assert!(matches!(outbound, Outbound::Refuse(Reason::NoRoute)), "{outbound:?}");
    }

    #[test]
    fn bad_templates_are_refused() {
        let settings = |path: &str| Settings {
            upstream: 0,
            path: Some(path.into()),
            strip_prefix: None,
            variables: vec!["id".into()],
            dialect: Dialect::Proxy,
            api_id: String::new(),
        };
        assert_eq!(Http::new(settings("/{x}")).unwrap_err(), Error::UnknownVariable { name: "x".into() });
        for path in ["a", "/{id", "/id}"] {
            assert!(matches!(Http::new(settings(path)).unwrap_err(), Error::BadPath { .. }), "{path}");
        }
    }
}

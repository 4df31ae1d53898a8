//! Cross-origin resource sharing as an HTTP API does it (row 137): preflights are answered by the gateway, and what the
//! backend says about origins is replaced by what the API says.
//! It knows no routes: whether a preflight comes this far is decided by who calls it.

use message::{Headers, Method, Name, Request, Response};

/// `corsConfiguration`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Origins: `scheme://host[:port]`, `*`, `https://*`, `http://*`.
    pub allow_origins: Vec<String>,
    /// Methods, or `*`.
    pub allow_methods: Vec<String>,
    /// Request headers, or `*`.
    pub allow_headers: Vec<String>,
    /// Response headers that scripts may read, or `*`.
    pub expose_headers: Vec<String>,
    /// Seconds for which a preflight may be kept, −1 to 86,400; `None`: not said.
    pub max_age_s: Option<i32>,
    /// Cookies and the like; not together with the origin `*`.
    pub allow_credentials: bool,
}

/// Why settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Something other than the forms that `allow_origins` has.
    #[error("`{origin}` is no origin: write `scheme://host[:port]`, `https://*`, `http://*` or `*`")]
    BadOrigin {
        /// As it was written.
        origin: String,
    },
    /// A method that is no token.
    #[error("`{method}` is no method")]
    BadMethod {
        /// As it was written.
        method: String,
    },
    /// A header name that is no token.
    #[error("`{header}` is no header name")]
    BadHeader {
        /// As it was written.
        header: String,
    },
    /// Outside of −1 to 86,400.
    #[error("a preflight may be kept for -1 to 86400 seconds, not {seconds}")]
    BadMaxAge {
        /// As it was written.
        seconds: i32,
    },
    /// Browsers refuse the pair, and so does AWS.
    #[error("credentials cannot be allowed to every origin: name the origins instead of `*`")]
    CredentialsForAll,
}

/// What an API lets scripts of other origins do.
#[derive(Clone, Debug)]
pub struct Cors {
    origins: Vec<Pattern>,
    allow_methods: Option<String>,
    allow_headers: Option<AllowHeaders>,
    expose_headers: Option<String>,
    max_age_s: Option<String>,
    allow_credentials: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Any,
    /// `https://` or `http://`.
    Scheme(&'static str),
    Exact(String),
}

#[derive(Clone, Debug)]
enum AllowHeaders {
    Listed(String),
    /// Whatever the browser asks for.
    Asked,
}

/// All that an HTTP API has.
const METHODS: &str = "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS";
const PREFIX: &str = "access-control-";

impl Cors {
    /// Checks and compiles; the first mistake is the error.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        let origins: Vec<Pattern> =
            settings.allow_origins.iter().map(|origin| pattern(origin)).collect::<Result<_, _>>()?;
        if let Some(method) = settings.allow_methods.iter().find(|method| !is_token(method)) {
            return Err(Error::BadMethod { method: method.clone() });
        }
        let headers = settings.allow_headers.iter().chain(&settings.expose_headers);
        if let Some(header) = headers.into_iter().find(|header| !is_token(header)) {
            return Err(Error::BadHeader { header: header.clone() });
        }
        if let Some(seconds) = settings.max_age_s.filter(|seconds| !(-1..=86_400).contains(seconds)) {
            return Err(Error::BadMaxAge { seconds });
        }
        let allow_credentials = settings.allow_credentials;
        if allow_credentials && origins.contains(&Pattern::Any) {
            return Err(Error::CredentialsForAll);
        }
        // With credentials a browser reads `*` as a name and not as a wildcard (Fetch §3.3.4), so it is spelt out.
        let all = |list: &[String]| list.iter().any(|item| item == "*");
        let allow_methods = match &settings.allow_methods[..] {
            list if all(list) && allow_credentials => Some(METHODS.to_owned()),
            list => joined(list),
        };
        let allow_headers = match &settings.allow_headers[..] {
            list if all(list) && allow_credentials => Some(AllowHeaders::Asked),
            list => joined(list).map(AllowHeaders::Listed),
        };
        Ok(Self {
            origins,
            allow_methods,
            allow_headers,
            expose_headers: joined(&settings.expose_headers),
            max_age_s: settings.max_age_s.map(|seconds| seconds.to_string()),
            allow_credentials,
        })
    }

    /// Answers, if this is a preflight: 204, and without CORS fields if the origin is not allowed. The response comes in empty.
    pub fn preflight(&self, request: &Request, response: &mut Response) -> bool {
        let Some(origin) = request.headers.get(Name::Origin) else { return false };
        if request.method != Method::Options
            || request.headers.get(Name::AccessControlRequestMethod).is_none()
        {
            return false;
        }
        response.status = 204;
        let headers = &mut response.headers;
        if self.allow(origin, headers) {
            if let Some(methods) = &self.allow_methods {
                headers.push("Access-Control-Allow-Methods", methods.as_bytes());
            }
            let asked = request.headers.get(Name::AccessControlRequestHeaders);
            let allowed = self.allow_headers.as_ref().and_then(|allowed| match allowed {
                AllowHeaders::Listed(list) => Some(list.as_bytes()),
                AllowHeaders::Asked => asked,
            });
            if let Some(allowed) = allowed {
                headers.push("Access-Control-Allow-Headers", allowed);
            }
            if let Some(seconds) = &self.max_age_s {
                headers.push("Access-Control-Max-Age", seconds.as_bytes());
            }
        }
        self.vary(headers);
        true
    }

    /// Replaces what a response says about origins. `origin` is the request's field.
    pub fn decorate(&self, origin: Option<&[u8]>, response: &mut Response) {
        let headers = &mut response.headers;
        headers.retain(|field| {
            let begin = field.text.get(..PREFIX.len());
            !begin.is_some_and(|begin| begin.eq_ignore_ascii_case(PREFIX.as_bytes()))
        });
        if let (true, Some(exposed)) =
            (origin.is_some_and(|origin| self.allow(origin, headers)), &self.expose_headers)
        {
            headers.push("Access-Control-Expose-Headers", exposed.as_bytes());
        }
        self.vary(headers);
    }

    /// Says that the origin is allowed, if it is.
    fn allow(&self, origin: &[u8], headers: &mut Headers) -> bool {
        let Some(pattern) = self.origins.iter().find(|pattern| pattern.matches(origin)) else { return false };
        let allowed = if *pattern == Pattern::Any { b"*" } else { origin };
        headers.push("Access-Control-Allow-Origin", allowed);
        if self.allow_credentials {
            headers.push("Access-Control-Allow-Credentials", b"true");
        }
        true
    }

    /// Tells caches that another origin may get another answer (Fetch §3.3.5), also where this one had none.
    fn vary(&self, headers: &mut Headers) {
        if self.origins.contains(&Pattern::Any) {
            return;
        }
        let said = headers.iter().filter(|field| field.name == Name::Vary).any(|field| {
            field
                .value
                .split(|byte| *byte == b',')
                .map(<[u8]>::trim_ascii)
                .any(|item| item == b"*" || item.eq_ignore_ascii_case(b"origin"))
        });
        if !said {
            headers.push_known(Name::Vary, "Vary", b"Origin");
        }
    }
}

impl Pattern {
    fn matches(&self, origin: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Scheme(scheme) => origin.len() > scheme.len() && origin.starts_with(scheme.as_bytes()),
            Self::Exact(exact) => origin.eq_ignore_ascii_case(exact.as_bytes()),
        }
    }
}

fn pattern(text: &str) -> Result<Pattern, Error> {
    match text {
        "*" => Ok(Pattern::Any),
        "https://*" => Ok(Pattern::Scheme("https://")),
        "http://*" => Ok(Pattern::Scheme("http://")),
        // An origin has no path, so that one written with a slash at its end would never match.
        _ => match text.split_once("://") {
            Some((scheme, host)) if is_token(scheme) && is_host(host) => Ok(Pattern::Exact(text.to_owned())),
            _ => Err(Error::BadOrigin { origin: text.to_owned() }),
        },
    }
}

fn is_host(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':' | b'[' | b']');
    !text.is_empty() && text.bytes().all(allowed)
}

/// RFC 9110 §5.6.2; `*` is one.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn joined(list: &[String]) -> Option<String> {
    (!list.is_empty()).then(|| list.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|item| (*item).to_owned()).collect()
    }

    fn settings(origins: &[&str]) -> Settings {
        Settings {
            allow_origins: strings(origins),
            allow_methods: strings(&["GET", "PUT"]),
            allow_headers: strings(&["X-One", "X-Two"]),
            expose_headers: strings(&["X-Three"]),
            max_age_s: Some(600),
            allow_credentials: false,
        }
    }

    fn shown(headers: &Headers) -> Vec<String> {
        headers
            .iter()
            .map(|field| format!("{}: {}", field.text.escape_ascii(), String::from_utf8_lossy(field.value)))
            .collect()
    }

    fn options(fields: &[(&str, &str)]) -> Request {
        let headers = fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        Request { method: Method::Options, headers, ..Request::default() }
    }

    #[track_caller]
    fn check_preflight(settings: &Settings, origin: &str, expected: &[&str]) {
        let request = options(&[
            ("Origin", origin),
            ("Access-Control-Request-Method", "PUT"),
            ("Access-Control-Request-Headers", "x-asked"),
        ]);
        let mut response = Response::default();
        assert!(Cors::new(settings).unwrap().preflight(&request, &mut response));
        assert_eq!(response.status, 204);
        assert_eq!(shown(&response.headers), expected);
    }

    #[track_caller]
    fn check_response(
        settings: &Settings,
        origin: Option<&str>,
        backend: &[(&str, &str)],
        expected: &[&str],
    ) {
        let mut response = Response::new(200);
        response.headers = backend.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        Cors::new(settings).unwrap().decorate(origin.map(str::as_bytes), &mut response);
        assert_eq!(shown(&response.headers), expected);
    }

    #[test]
    fn a_preflight_of_an_allowed_origin_is_told_all() {
        check_preflight(
            &settings(&["https://a.example", "http://*"]),
            "https://a.example",
            &[
                "Access-Control-Allow-Origin: https://a.example",
                "Access-Control-Allow-Methods: GET,PUT",
                "Access-Control-Allow-Headers: X-One,X-Two",
                "Access-Control-Max-Age: 600",
                "Vary: Origin",
            ],
        );
    }

    #[test]
    fn a_preflight_of_another_origin_is_told_nothing() {
        check_preflight(
            &settings(&["https://a.example", "http://*"]),
            "https://b.example",
            &["Vary: Origin"],
        );
        check_preflight(&settings(&["https://a.example"]), "https://a.example.evil", &["Vary: Origin"]);
        check_preflight(&settings(&["https://*"]), "https://", &["Vary: Origin"]);
        check_preflight(&settings(&[]), "null", &["Vary: Origin"]);
    }

    #[test]
    fn any_origin_is_a_star_and_varies_nothing() {
        check_preflight(
            &Settings { max_age_s: None, allow_headers: vec![], ..settings(&["*"]) },
            "https://b.example",
            &["Access-Control-Allow-Origin: *", "Access-Control-Allow-Methods: GET,PUT"],
        );
    }

    #[test]
    fn with_credentials_stars_are_spelt_out() {
        check_preflight(
            &Settings {
                allow_credentials: true,
                allow_methods: strings(&["*"]),
                allow_headers: strings(&["*"]),
                max_age_s: Some(-1),
                ..settings(&["https://*"])
            },
            "https://b.example",
            &[
                "Access-Control-Allow-Origin: https://b.example",
                "Access-Control-Allow-Credentials: true",
                "Access-Control-Allow-Methods: GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS",
                "Access-Control-Allow-Headers: x-asked",
                "Access-Control-Max-Age: -1",
                "Vary: Origin",
            ],
        );
    }

    #[test]
    fn only_preflights_are_answered() {
        let cors = Cors::new(&settings(&["*"])).unwrap();
        let (origin, asks) = (("Origin", "https://a.example"), ("Access-Control-Request-Method", "PUT"));
        let is_preflight = |request: &Request| cors.preflight(request, &mut Response::default());
        assert!(!is_preflight(&options(&[origin])));
        assert!(!is_preflight(&options(&[asks])));
        assert!(!is_preflight(&Request { method: Method::Get, ..options(&[origin, asks]) }));
        assert!(is_preflight(&options(&[origin, asks])));
    }

    #[test]
    fn the_backend_has_no_say() {
        let backend = [
            ("access-control-allow-origin", "https://evil.example"),
            ("Access-Control-Expose-Headers", "*"),
            ("X-Kept", "1"),
            ("Vary", "Accept"),
        ];
        let configured = settings(&["https://a.example"]);
        check_response(
            &configured,
            Some("HTTPS://A.example"),
            &backend,
            &[
                "X-Kept: 1",
                "Vary: Accept",
                "Access-Control-Allow-Origin: HTTPS://A.example",
                "Access-Control-Expose-Headers: X-Three",
                "Vary: Origin",
            ],
        );
        let silent = ["X-Kept: 1", "Vary: Accept", "Vary: Origin"];
        check_response(&configured, Some("https://b.example"), &backend, &silent);
        check_response(&configured, None, &backend, &silent);
    }

    #[test]
    fn vary_is_said_once() {
        for said in ["*", "accept, ORIGIN"] {
            let expected = format!("vary: {said}");
            check_response(&settings(&["https://a.example"]), None, &[("vary", said)], &[&expected]);
        }
        check_response(&settings(&["*"]), None, &[], &[]);
    }

    #[track_caller]
    fn check_refused(settings: &Settings, expected: &Error) {
        assert_eq!(Cors::new(settings).err().as_ref(), Some(expected));
    }

    #[test]
    fn bad_settings_are_refused() {
        for origin in
            ["", "a.example", "https://", "https://*.a.example", "https://a.example/", "https://a b", "null"]
        {
            check_refused(&settings(&[origin]), &Error::BadOrigin { origin: origin.to_owned() });
        }
        check_refused(&Settings { allow_credentials: true, ..settings(&["*"]) }, &Error::CredentialsForAll);
        for seconds in [-2, 86_401] {
            check_refused(
                &Settings { max_age_s: Some(seconds), ..settings(&["*"]) },
                &Error::BadMaxAge { seconds },
            );
        }
        check_refused(
            &Settings { allow_methods: strings(&["GET, PUT"]), ..settings(&["*"]) },
            &Error::BadMethod { method: "GET, PUT".into() },
        );
        for header in ["", "X\r\nEvil", "X: 1"] {
            check_refused(
                &Settings { expose_headers: strings(&[header]), ..settings(&["*"]) },
                &Error::BadHeader { header: header.into() },
            );
        }
    }
}

//! Limits of heads and bodies that an API or a route sets for itself (rows 174, 176, 177). The codec's own limits, which
//! protect the process, lie above them and are its own affair. And what REST APIs take of no client's query (row 129).

use message::{Dialect, Reason, Request};

use crate::{Context, Description, Policy, Verdict};

/// The policy: refuses what is longer than the route allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Names and values of the head together; in an HTTP API the request line counts as well (row 176).
    pub header_bytes_max: u64,
    /// The target as it was sent.
    pub target_bytes_max: u64,
    /// The body. A body whose length is not known beforehand is counted by who streams it.
    pub body_bytes_max: u64,
    /// Fields of the head.
    pub headers_max: usize,
    /// Whose way of counting.
    pub dialect: Dialect,
}

impl Limits {
    fn excess(&self, request: &Request) -> Option<Reason> {
        if request.target.raw().len() as u64 > self.target_bytes_max {
            return Some(Reason::TargetTooLong { max: self.target_bytes_max });
        }
        if self.dialect == Dialect::Rest && request.target.query().is_some_and(has_bad_byte) {
            return Some(Reason::BadRequest);
        }
        if self.header_bytes(request) > self.header_bytes_max || request.headers.len() > self.headers_max {
            return Some(Reason::HeadersTooLarge { max: self.header_bytes_max });
        }
        match request.body.length() {
            Some(bytes) if bytes > self.body_bytes_max => {
                Some(Reason::BodyTooLarge { max: self.body_bytes_max })
            }
            _ => None,
        }
    }

    fn header_bytes(&self, request: &Request) -> u64 {
        let line = match self.dialect {
            // `GET /path HTTP/1.1`
            Dialect::Http => request.method.as_str().len() + request.target.raw().len() + " HTTP/1.1 ".len(),
            Dialect::Rest | Dialect::Proxy => 0,
        };
        (line + request.headers.bytes()) as u64
    }
}

/// Whether a query has what RFC 3986 §3.4 has escaped there, and browsers leave as it is: REST APIs refuse it (row 129).
fn has_bad_byte(query: &str) -> bool {
    query.bytes().any(|byte| matches!(byte, b'|' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'}'))
}

impl Policy for Limits {
    fn on_request(&self, request: &mut Request, _cx: &mut Context<'_>) -> Verdict {
        self.excess(request).map_or(Verdict::Continue, Verdict::Refuse)
    }

    fn reads_responses(&self) -> bool {
        false
    }

    fn describe(&self) -> Description {
        let Self { header_bytes_max, target_bytes_max, body_bytes_max, headers_max, .. } = self;
        let asks = format!(
            "a target of {target_bytes_max} bytes, {headers_max} headers of {header_bytes_max} bytes, a body of \
             {body_bytes_max} bytes at most"
        );
        Description::of("limits", asks)
    }
}

#[cfg(test)]
mod tests {
    use message::{Body, Length, PathRules, Target};

    use super::*;

    const LIMITS: Limits = Limits {
        header_bytes_max: 40,
        target_bytes_max: 20,
        body_bytes_max: 10,
        headers_max: 3,
        dialect: Dialect::Rest,
    };

    fn request(target: &str, headers: &[(&str, &str)], body: Body) -> Request {
        Request {
            target: Target::parse(target.as_bytes(), PathRules::default()).unwrap(),
            headers: headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect(),
            body,
            ..Request::default()
        }
    }

    #[track_caller]
    fn check(dialect: Dialect, request: &Request, expected: Option<Reason>) {
        assert_eq!(Limits { dialect, ..LIMITS }.excess(request), expected);
    }

    /// Row 129.
    #[test]
    fn rest_apis_take_no_query_with_bytes_that_are_to_be_escaped() {
        for byte in ["|", "\"", "<", ">", "\\", "^", "`", "{", "}"] {
            let request = request(&format!("/a?b={byte}"), &[], Body::Empty);
            check(Dialect::Rest, &request, Some(Reason::BadRequest));
            check(Dialect::Http, &request, None);
            check(Dialect::Proxy, &request, None);
        }
        check(Dialect::Rest, &request("/a?b=%7C;c=d[]&'e'", &[], Body::Empty), None);
    }

    #[test]
    fn targets_count_as_they_were_sent() {
        let reason = Reason::TargetTooLong { max: 20 };
        check(Dialect::Rest, &request("/234567890?234567890", &[], Body::Empty), None);
        check(Dialect::Rest, &request("/234567890?2345678901", &[], Body::Empty), Some(reason.clone()));
        check(Dialect::Rest, &request("/%61%61%61%61%61%61%61", &[], Body::Empty), Some(reason));
    }

    #[test]
    fn heads_count_names_and_values() {
        let long = "v".repeat(39);
        check(Dialect::Rest, &request("/", &[("n", &long)], Body::Empty), None);
        let reason = Some(Reason::HeadersTooLarge { max: 40 });
        check(Dialect::Rest, &request("/", &[("nn", &long)], Body::Empty), reason.clone());
        check(Dialect::Proxy, &request("/", &[("nn", &long)], Body::Empty), reason.clone());
        check(Dialect::Rest, &request("/", &[("a", ""), ("b", ""), ("c", "")], Body::Empty), None);
        check(
            Dialect::Rest,
            &request("/", &[("a", ""), ("b", ""), ("c", ""), ("d", "")], Body::Empty),
            reason,
        );
    }

    #[test]
    fn an_http_api_counts_the_request_line() {
        // `GET / HTTP/1.1` without its end of line, and the space before the version.
        let line = "GET/ HTTP/1.1 ".len();
        let value = "v".repeat(40 - line - 1);
        check(Dialect::Http, &request("/", &[("n", &value)], Body::Empty), None);
        let reason = Some(Reason::HeadersTooLarge { max: 40 });
        check(Dialect::Http, &request("/", &[("nn", &value)], Body::Empty), reason);
    }

    #[test]
    fn bodies_count_when_their_length_is_known() {
        let reason = Some(Reason::BodyTooLarge { max: 10 });
        check(Dialect::Rest, &request("/", &[], Body::Stream(Length::Known(10))), None);
        check(Dialect::Rest, &request("/", &[], Body::Stream(Length::Known(11))), reason.clone());
        check(Dialect::Rest, &request("/", &[], Body::Whole("12345678901".into())), reason);
        check(Dialect::Rest, &request("/", &[], Body::Stream(Length::Unknown)), None);
    }
}

//! A request as templates see it: read once, kept until the response's template is rendered. It does not know templates'
//! language.

use std::net::{IpAddr, Ipv4Addr};

use message::{
    Name, Request, RequestId,
    context::{Values, Variable},
};
use template::{Fields, Inputs, NamedValues};

use super::{settings::Place, source::pairs, uri::unescaped};
use crate::Context;

/// What is known of a request, without its body. Its memory is used for one request after the other.
#[derive(Clone, Debug)]
pub(super) struct View {
    path: NamedValues,
    query: NamedValues,
    headers: NamedValues,
    method: String,
    asked_path: String,
    host: String,
    user_agent: Vec<u8>,
    client: IpAddr,
    request_id: RequestId,
    begun_unix_ns: u64,
}

impl Default for View {
    fn default() -> Self {
        Self {
            path: NamedValues::default(),
            query: NamedValues::default(),
            headers: NamedValues::default(),
            method: String::new(),
            asked_path: String::new(),
            host: String::new(),
            user_agent: Vec::new(),
            client: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            request_id: RequestId::new([0; 16]),
            begun_unix_ns: 0,
        }
    }
}

/// A view with a body, and with what its route knows.
pub(super) struct Rendered<'a> {
    pub(super) view: &'a View,
    pub(super) body: &'a [u8],
    pub(super) place: &'a Place,
    pub(super) stage_variables: &'a [(String, String)],
}

impl View {
    /// Reads a request, in place of what it has.
    pub(super) fn fill(&mut self, request: &Request, variables: &[String], cx: &Context<'_>) {
        let Self { path, query, headers, method, asked_path: asked, host, user_agent, .. } = self;
        [&mut *path, query, headers].into_iter().for_each(NamedValues::clear);
        let whole = request.target.path();
        for (name, (from, to)) in variables.iter().zip(cx.params) {
            let value = whole.get(*from as usize..*to as usize).unwrap_or_default();
            unescaped(value, false, |value| path.add(name).value(value));
        }
        // One value a name, the last one, in the place of the first.
        for (name, value) in pairs(request.target.query().unwrap_or_default()) {
            unescaped(name, true, |name| {
                let mut query = query.set(name, |known, name| known == name);
                unescaped(value, true, |value| query.value(value));
            });
        }
        for field in request.headers.iter() {
            let name = String::from_utf8_lossy(field.text);
            headers.set(&name, str::eq_ignore_ascii_case).value(&String::from_utf8_lossy(field.value));
        }
        for (text, value) in [
            (method, request.method.as_str()),
            (asked, asked_path(request)),
            (host, request.authority.host()),
        ] {
            text.clear();
            text.push_str(value);
        }
        user_agent.clear();
        user_agent.extend_from_slice(request.headers.get(Name::UserAgent).unwrap_or_default());
        (self.client, self.request_id, self.begun_unix_ns) = (cx.client, cx.request_id, cx.now.unix_ns);
    }

    /// The memory that it keeps, in bytes.
    pub(super) fn kept_bytes(&self) -> usize {
        let Self { path, query, headers, method, asked_path, host, user_agent, .. } = self;
        let fields: usize = [path, query, headers].into_iter().map(NamedValues::kept_bytes).sum();
        fields + method.capacity() + asked_path.capacity() + host.capacity() + user_agent.capacity()
    }

    pub(super) fn values<'a>(&'a self, place: &'a Place) -> Values<'a> {
        Values {
            method: &self.method,
            path: &self.asked_path,
            host: &self.host,
            user_agent: &self.user_agent,
            ..values_of(place, self.client, self.request_id, self.begun_unix_ns)
        }
    }
}

/// `$context` of a request that is at hand.
pub(super) fn values<'a>(request: &'a Request, place: &'a Place, cx: &Context<'_>) -> Values<'a> {
    Values {
        method: request.method.as_str(),
        path: asked_path(request),
        host: request.authority.host(),
        user_agent: request.headers.get(Name::UserAgent).unwrap_or_default(),
        ..values_of(place, cx.client, cx.request_id, cx.now.unix_ns)
    }
}

fn values_of(place: &Place, client: IpAddr, request_id: RequestId, begun_unix_ns: u64) -> Values<'_> {
    Values {
        account_id: &place.account_id,
        api_id: &place.api_id,
        stage: &place.stage,
        route_key: &place.route_key,
        resource_path: &place.resource_path,
        resource_id: &place.resource_id,
        deployment_id: &place.deployment_id,
        is_canary: place.is_canary,
        base_path: None,
        method: "",
        path: "",
        host: "",
        // Row 14: backends always get HTTP/1.1, and this says so for clients of HTTP/2, too.
        protocol: "HTTP/1.1",
        client,
        user_agent: b"",
        request_id,
        extended_request_id: b"",
        begun_unix_ns,
        failure: None,
        ended: None,
    }
}

/// The path as the client wrote it, stage and all.
fn asked_path(request: &Request) -> &str {
    let raw = request.target.raw();
    raw.split('?').next().unwrap_or(raw)
}

impl Inputs for Rendered<'_> {
    fn body(&self) -> &[u8] {
        self.body
    }

    fn field(&self, fields: Fields, name: &str) -> Option<&str> {
        let is_same = |known: &str, name: &str| known == name;
        let View { path, query, headers, .. } = self.view;
        match fields {
            Fields::Path => path.get(name, is_same)?.next(),
            Fields::Query => query.get(name, is_same)?.next(),
            Fields::Header => headers.get(name, str::eq_ignore_ascii_case)?.next(),
            Fields::StageVariables => {
                let mut variables = self.stage_variables.iter();
                variables.find(|(known, _)| known == name).map(|(_, value)| value.as_str())
            }
            // They come with authorizers.
            Fields::Authorizer | Fields::Claims => None,
        }
    }

    fn each_field<'s>(&'s self, fields: Fields, visit: &mut dyn FnMut(&'s str, &'s str)) {
        let View { path, query, headers, .. } = self.view;
        let own = match fields {
            Fields::Path => path,
            Fields::Query => query,
            Fields::Header => headers,
            Fields::StageVariables => {
                return self.stage_variables.iter().for_each(|(name, value)| visit(name, value));
            }
            Fields::Authorizer | Fields::Claims => return,
        };
        own.iter().for_each(|(name, mut values)| visit(name, values.next().unwrap_or_default()));
    }

    fn context(&self, name: &str, out: &mut Vec<u8>) -> bool {
        let values = || self.view.values(self.place);
        Variable::named(name).is_some_and(|variable| values().write(variable, out))
    }
}

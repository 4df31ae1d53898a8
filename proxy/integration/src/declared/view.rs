//! A request as templates see it: read once, kept until the response's template is rendered. It does not know templates'
//! language.

use std::{borrow::Cow, net::IpAddr};

use message::{
    Name, Request, RequestId,
    context::{Values, Variable},
};
use template::{Fields, Inputs};

use super::{settings::Place, source::query, uri::unescape};
use crate::Context;

/// What is known of a request, without its body.
#[derive(Clone, Debug)]
pub(super) struct View {
    path: Vec<(String, String)>,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    method: String,
    asked_path: String,
    host: String,
    user_agent: Vec<u8>,
    client: IpAddr,
    request_id: RequestId,
    begun_unix_ns: u64,
}

/// A view with a body, and with what its route knows.
pub(super) struct Rendered<'a> {
    pub(super) view: &'a View,
    pub(super) body: &'a [u8],
    pub(super) place: &'a Place,
    pub(super) stage_variables: &'a [(String, String)],
}

impl View {
    pub(super) fn new(request: &Request, variables: &[String], cx: &Context<'_>) -> Self {
        let whole = request.target.path();
        let value = |(from, to): &(u32, u32)| whole.get(*from as usize..*to as usize).unwrap_or_default();
        let path = variables.iter().zip(cx.params);
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let headers = request.headers.iter().map(|field| (text(field.text), text(field.value)));
        Self {
            path: path.map(|(name, param)| (name.clone(), unescape(value(param), false))).collect(),
            query: last_of_each(query(request.target.query().unwrap_or_default()), |a, b| a == b),
            headers: last_of_each(headers, str::eq_ignore_ascii_case),
            method: request.method.as_str().to_owned(),
            asked_path: asked_path(request).to_owned(),
            host: request.authority.host().to_owned(),
            user_agent: request.headers.get(Name::UserAgent).unwrap_or_default().to_vec(),
            client: cx.client,
            request_id: cx.request_id,
            begun_unix_ns: cx.now.unix_ns,
        }
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

/// One value a name, the last one, in the place of the first.
fn last_of_each(
    fields: impl Iterator<Item = (String, String)>,
    is_same: fn(&str, &str) -> bool,
) -> Vec<(String, String)> {
    let mut last: Vec<(String, String)> = Vec::new();
    for (name, value) in fields {
        match last.iter_mut().find(|(known, _)| is_same(known, &name)) {
            Some((_, known)) => *known = value,
            None => last.push((name, value)),
        }
    }
    last
}

impl Rendered<'_> {
    fn fields(&self, fields: Fields) -> &[(String, String)] {
        match fields {
            Fields::Path => &self.view.path,
            Fields::Query => &self.view.query,
            Fields::Header => &self.view.headers,
            Fields::StageVariables => self.stage_variables,
            // They come with authorizers.
            Fields::Authorizer | Fields::Claims => &[],
        }
    }
}

impl Inputs for Rendered<'_> {
    fn body(&self) -> &[u8] {
        self.body
    }

    fn field(&self, fields: Fields, name: &str) -> Option<&str> {
        let is_it = |known: &str| match fields {
            Fields::Header => known.eq_ignore_ascii_case(name),
            _ => known == name,
        };
        self.fields(fields).iter().find(|(known, _)| is_it(known)).map(|(_, value)| value.as_str())
    }

    fn each_field<'s>(&'s self, fields: Fields, visit: &mut dyn FnMut(&'s str, &'s str)) {
        self.fields(fields).iter().for_each(|(name, value)| visit(name, value));
    }

    fn context(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut value = Vec::new();
        let has_value = self.view.values(self.place).write(Variable::named(name)?, &mut value);
        has_value.then(|| Cow::Owned(String::from_utf8_lossy(&value).into_owned()))
    }
}

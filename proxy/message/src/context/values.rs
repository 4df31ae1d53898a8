//! The values of `$context`: borrowed from whoever has them, written as text where somebody asks.

use std::{fmt::Display, io::Write as _, net::IpAddr};

use super::{Variable, put_request_time};
use crate::RequestId;

/// What is known of a request. What is empty or `None` has no value.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// The account that the node says it belongs to.
    pub account_id: &'a str,
    /// The API's id.
    pub api_id: &'a str,
    /// The stage's name.
    pub stage: &'a str,
    /// `GET /pets/{id}`.
    pub route_key: &'a str,
    /// `/pets/{id}`.
    pub resource_path: &'a str,
    /// The resource's id.
    pub resource_id: &'a str,
    /// The deployment's id.
    pub deployment_id: &'a str,
    /// Whether a canary serves it; `None`: the stage has none.
    pub is_canary: Option<bool>,
    /// The base path of a custom domain that was taken off the path.
    pub base_path: Option<&'a str>,
    /// The method that the client sent.
    pub method: &'a str,
    /// The path that the client sent, base path and stage with it.
    pub path: &'a str,
    /// The host that the client asked for, without a port.
    pub host: &'a str,
    /// `HTTP/1.1`.
    pub protocol: &'a str,
    /// Who asks.
    pub client: IpAddr,
    /// What the client says that it is.
    pub user_agent: &'a [u8],
    /// The request's id.
    pub request_id: RequestId,
    /// Its other id, as `x-amz-apigw-id` has it; empty: the same as the first.
    pub extended_request_id: &'a [u8],
    /// When its head was there, in nanoseconds since 1970.
    pub begun_unix_ns: u64,
    /// Why the gateway answers, if it does.
    pub failure: Option<Failure<'a>>,
    /// How it ended: for access logs.
    pub ended: Option<Ended<'a>>,
}

/// Why the gateway answers in place of the integration.
#[derive(Clone, Copy, Debug)]
pub struct Failure<'a> {
    /// What is said to the client.
    pub message: &'a str,
    /// The kind of the gateway's answer: `THROTTLED` and the like.
    pub response_type: &'a str,
    /// What a model found wrong with the body.
    pub validation: &'a str,
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// What the client was told.
    pub status: u16,
    /// From head to last byte, in nanoseconds.
    pub latency_ns: u64,
    /// Bytes of the response.
    pub response_bytes: u64,
    /// Bytes of the request.
    pub request_bytes: u64,
    /// How a call of gRPC ended.
    pub grpc_status: Option<u8>,
    /// What became of the backend's call, if there was one.
    pub integrated: Option<Integrated<'a>>,
}

/// What became of a backend's call.
#[derive(Clone, Copy, Debug)]
pub struct Integrated<'a> {
    /// How long it took, in nanoseconds.
    pub latency_ns: u64,
    /// What it answered, if it did.
    pub status: Option<u16>,
    /// Why it did not.
    pub error: &'a str,
}

impl Values<'_> {
    /// Appends a value; says whether there is one. Nothing is escaped.
    pub fn write(&self, variable: Variable, out: &mut Vec<u8>) -> bool {
        let before = out.len();
        match variable {
            Variable::AccountId => text(out, self.account_id),
            Variable::ApiId => text(out, self.api_id),
            Variable::Stage => text(out, self.stage),
            Variable::RouteKey => text(out, self.route_key),
            Variable::ResourcePath => text(out, self.resource_path),
            Variable::ResourceId => text(out, self.resource_id),
            Variable::DeploymentId => text(out, self.deployment_id),
            Variable::IsCanaryRequest => each(out, self.is_canary),
            Variable::BasePathMatched => text(out, self.base_path.unwrap_or_default()),
            Variable::DomainName => text(out, self.host),
            Variable::DomainPrefix => text(out, self.host.split('.').next().unwrap_or_default()),
            Variable::HttpMethod => text(out, self.method),
            Variable::Path => text(out, self.path),
            Variable::Protocol => text(out, self.protocol),
            Variable::RequestId => out.extend_from_slice(&self.request_id.text()),
            Variable::ExtendedRequestId if self.extended_request_id.is_empty() => {
                out.extend_from_slice(&self.request_id.text());
            }
            Variable::ExtendedRequestId => out.extend_from_slice(self.extended_request_id),
            Variable::IdentitySourceIp => put(out, self.client),
            Variable::IdentityUserAgent => out.extend_from_slice(self.user_agent),
            Variable::RequestTime => put_request_time(out, self.begun_unix_ns / 1_000_000_000),
            Variable::RequestTimeEpoch => put(out, self.begun_unix_ns / 1_000_000),
            Variable::ErrorMessage => text(out, self.failure.map_or("", |failure| failure.message)),
            Variable::ErrorMessageString => {
                if let Some(Failure { message, .. }) = self.failure.filter(|it| !it.message.is_empty()) {
                    quoted(out, message);
                }
            }
            Variable::ErrorResponseType => text(out, self.failure.map_or("", |it| it.response_type)),
            Variable::ErrorValidation => text(out, self.failure.map_or("", |it| it.validation)),
            Variable::Status => each(out, self.ended.map(|ended| ended.status)),
            Variable::GrpcStatus => each(out, self.ended.and_then(|ended| ended.grpc_status)),
            Variable::ResponseLatency => each(out, self.ended.map(|ended| ended.latency_ns / 1_000_000)),
            Variable::ResponseLength => each(out, self.ended.map(|ended| ended.response_bytes)),
            Variable::DataProcessed => {
                each(out, self.ended.map(|it| it.request_bytes.saturating_add(it.response_bytes)));
            }
            Variable::IntegrationLatency => each(out, self.integrated().map(|it| it.latency_ns / 1_000_000)),
            Variable::IntegrationStatus => each(out, self.integrated().and_then(|it| it.status)),
            Variable::IntegrationError => text(out, self.integrated().map_or("", |it| it.error)),
            // They come with what they speak of: authorizers, keys, certificates of clients, firewalls, traces.
            Variable::AuthenticateError
            | Variable::AuthenticateLatency
            | Variable::AuthenticateStatus
            | Variable::AuthorizeError
            | Variable::AuthorizeLatency
            | Variable::AuthorizeStatus
            | Variable::AuthorizerPrincipalId
            | Variable::EndpointRequestId
            | Variable::IdentityAccountId
            | Variable::IdentityApiKey
            | Variable::IdentityApiKeyId
            | Variable::IdentityCaller
            | Variable::IdentityCertificateIssuer
            | Variable::IdentityCertificateNotAfter
            | Variable::IdentityCertificateNotBefore
            | Variable::IdentityCertificatePem
            | Variable::IdentityCertificateSerial
            | Variable::IdentityCertificateSubject
            | Variable::IdentityCognitoProvider
            | Variable::IdentityCognitoType
            | Variable::IdentityCognitoId
            | Variable::IdentityCognitoPoolId
            | Variable::IdentityOrganization
            | Variable::IdentityUser
            | Variable::IdentityUserArn
            | Variable::WafError
            | Variable::WafLatency
            | Variable::WafResponseCode
            | Variable::WafStatus
            | Variable::WebAclArn
            | Variable::XrayTraceId
            | Variable::Property => {}
        }
        out.len() > before
    }

    fn integrated(&self) -> Option<Integrated<'_>> {
        self.ended.and_then(|ended| ended.integrated)
    }
}

fn text(out: &mut Vec<u8>, value: &str) {
    out.extend_from_slice(value.as_bytes());
}

fn each(out: &mut Vec<u8>, value: Option<impl Display>) {
    value.into_iter().for_each(|value| put(out, value));
}

fn put(out: &mut Vec<u8>, value: impl Display) {
    // A vector takes every write.
    let _ = write!(out, "{value}");
}

/// A text as JSON has it, quotes and all.
fn quoted(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    for character in value.chars() {
        match character {
            '"' | '\\' => out.extend_from_slice(&[b'\\', character as u8]),
            control if control < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

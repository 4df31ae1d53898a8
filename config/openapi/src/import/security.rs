//! Security schemes → authorizers and API keys; what an operation asks for → who may call it. Of schemes API Gateway takes
//! those of type `apiKey` (row 140), and in HTTP APIs those with a JWT authorizer; what the whole document asks for it
//! ignores. Who reads the document believes that it holds, so what is left out stays with the operation by its name
//! (`unenforced_security`), and nobody runs it unless the operator says that it may be open.

use model::{Authorization, Authorizer, AuthorizerKind, Kind};

use super::Document;
use crate::tree::{Cursor, Value, quote};

const AUTHORIZER: &str = "x-amazon-apigateway-authorizer";
const AUTHTYPE: &str = "x-amazon-apigateway-authtype";
const AUTH: &str = "x-amazon-apigateway-auth";
/// The longest that an authorizer's answer is kept.
const TTL_S_MAX: i64 = 3_600;

/// What a scheme is to an operation that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Scheme {
    ApiKey,
    AwsIam,
    Authorizer,
    /// It is left out.
    None,
}

/// The schemes of a document.
#[derive(Default)]
pub(super) struct Schemes {
    schemes: Vec<(String, Scheme)>,
    pub(super) authorizers: Vec<Authorizer>,
}

/// Who may call an operation.
#[derive(Default)]
pub(super) struct Access {
    pub(super) authorization: Authorization,
    pub(super) api_key_required: bool,
    /// Names of what is asked for and left out.
    pub(super) unenforced: Vec<String>,
}

impl<'t> Document<'t> {
    /// All schemes.
    pub(super) fn schemes(&self) -> Schemes {
        let mut schemes = Schemes::default();
        let at = self.root.get("securityDefinitions");
        let at = at.or_else(|| self.root.get("components")?.get("securitySchemes"));
        for (name, at) in at.iter().flat_map(Cursor::entries) {
            let Some(at) = self.resolve(&at).filter(|at| at.expect_map()) else { continue };
            let scheme = self.scheme(name, &at, &mut schemes.authorizers);
            schemes.schemes.push((name.to_owned(), scheme));
        }
        if let Some(security) = self.root.get("security").filter(|it| it.expect_list()) {
            for requirement in security.items() {
                requirement.expect_map();
            }
            security
                .warn("what the whole document says of `security` is ignored: operations say it themselves");
        }
        schemes
    }

    fn scheme(&self, name: &str, at: &Cursor<'t>, authorizers: &mut Vec<Authorizer>) -> Scheme {
        let text = |key: &str| at.get(key).and_then(|it| it.text());
        let auth_type = text(AUTHTYPE);
        if auth_type.as_deref().is_some_and(|it| it.eq_ignore_ascii_case("awsSigv4")) {
            return Scheme::AwsIam;
        }
        if let Some(authorizer) = at.get(AUTHORIZER) {
            authorizers.extend(self.authorizer(name, at, &authorizer, auth_type));
            return Scheme::Authorizer;
        }
        let kind = text("type").unwrap_or_default();
        let is_header = text("in").is_some_and(|place| place == "header");
        let is_key = text("name").is_some_and(|name| name.eq_ignore_ascii_case("x-api-key"));
        if kind == "apiKey" && is_header && is_key && self.kind == Kind::Rest {
            return Scheme::ApiKey;
        }
        at.warn(match (&*kind, self.kind) {
            ("apiKey", Kind::Rest) => format!(
                "the scheme {} is left out: an API key stands in the header `x-api-key`, and else an `{AUTHORIZER}` \
                 has to say who is asked",
                quote(name)
            ),
            _ => format!("the scheme {} is left out: it has no `{AUTHORIZER}`", quote(name)),
        });
        Scheme::None
    }

    fn authorizer(
        &self,
        name: &str,
        scheme: &Cursor<'t>,
        at: &Cursor<'t>,
        auth_type: Option<String>,
    ) -> Option<Authorizer> {
        const KINDS: [(&str, AuthorizerKind); 4] = [
            ("token", AuthorizerKind::Token),
            ("request", AuthorizerKind::Request),
            ("cognito_user_pools", AuthorizerKind::CognitoUserPools),
            ("jwt", AuthorizerKind::Jwt),
        ];
        if !at.expect_map() {
            return None;
        }
        let Some(kind_at) = at.get("type") else {
            at.error_with(
                "the authorizer has no `type`",
                "write `token`, `request`, `cognito_user_pools` or `jwt`",
            );
            return None;
        };
        let kind = kind_at.one_of(&KINDS)?;
        let fits = match kind {
            AuthorizerKind::Request => true,
            AuthorizerKind::Jwt => self.kind == Kind::Http,
            AuthorizerKind::Token | AuthorizerKind::CognitoUserPools => self.kind == Kind::Rest,
        };
        if !fits {
            let which = if self.kind == Kind::Http { "an HTTP" } else { "a REST" };
            kind_at.error(format!("{which} API has no authorizers of this type"));
        }
        let text = |key: &str| at.get(key).and_then(|it| it.text());
        let jwt = at.get("jwtConfiguration");
        let header = || {
            let is_header = scheme.get("in").and_then(|it| it.text()).is_some_and(|place| place == "header");
            let name = scheme.get("name").filter(|_| is_header)?.text()?;
            Some(format!("method.request.header.{name}"))
        };
        let sources = match (at.get("identitySource"), kind) {
            (Some(sources), _) => {
                let texts = sources.texts();
                texts.iter().flat_map(|text| text.split(',')).map(|text| text.trim().to_owned()).collect()
            }
            (None, AuthorizerKind::Token | AuthorizerKind::CognitoUserPools) => {
                header().into_iter().collect()
            }
            (None, _) => Vec::new(),
        };
        at.warn_unknown(&[
            "type",
            "authorizerUri",
            "authorizerCredentials",
            "identitySource",
            "identityValidationExpression",
            "authorizerResultTtlInSeconds",
            "providerARNs",
            "authorizerPayloadFormatVersion",
            "enableSimpleResponses",
            "jwtConfiguration",
        ]);
        let authorizer = Authorizer {
            name: name.to_owned(),
            kind,
            auth_type: auth_type.filter(|it| it != default_auth_type(kind)),
            uri: text("authorizerUri"),
            credentials: text("authorizerCredentials"),
            identity_sources: sources,
            identity_validation_expression: text("identityValidationExpression"),
            result_ttl_s: at.get("authorizerResultTtlInSeconds").and_then(|it| it.whole(0, TTL_S_MAX)),
            provider_arns: at.get("providerARNs").map(|it| it.texts()).unwrap_or_default(),
            payload_format_version: text("authorizerPayloadFormatVersion"),
            enable_simple_responses: at
                .get("enableSimpleResponses")
                .and_then(|it| it.truth())
                .unwrap_or_default(),
            issuer: jwt.as_ref().and_then(|it| it.get("issuer")).and_then(|it| it.text()),
            audiences: jwt.and_then(|it| it.get("audience")).map(|it| it.texts()).unwrap_or_default(),
            origin: Some(at.origin()),
        };
        let missing = match kind {
            AuthorizerKind::Token | AuthorizerKind::Request if authorizer.uri.is_none() => "authorizerUri",
            AuthorizerKind::CognitoUserPools if authorizer.provider_arns.is_empty() => "providerARNs",
            AuthorizerKind::Jwt if authorizer.issuer.is_none() => "jwtConfiguration.issuer",
            _ => return Some(authorizer),
        };
        at.error_with(
            format!("the authorizer {} says nobody to ask", quote(name)),
            format!("add `{missing}`"),
        );
        None
    }

    /// Who may call an operation.
    pub(super) fn access(&self, at: &Cursor<'t>, schemes: &Schemes) -> Access {
        let mut access = Access::default();
        let signed = signed(at);
        if signed == Some(true) {
            access.authorization = Authorization::AwsIam;
        }
        let Some(own) = at.get("security").filter(|it| it.expect_list()) else {
            if signed.is_none() {
                access.unenforced = self.inherited();
            }
            return access;
        };
        for requirement in own.items().filter(|it| it.expect_map()) {
            for (name, scopes) in requirement.entries() {
                let Some((_, scheme)) = schemes.schemes.iter().find(|(other, _)| other == name) else {
                    scopes.error_with(
                        format!("there is no security scheme {}", quote(name)),
                        "add it to `components.securitySchemes`, or in 2.0 to `securityDefinitions`",
                    );
                    continue;
                };
                let asked = match scheme {
                    Scheme::ApiKey => {
                        access.api_key_required = true;
                        continue;
                    }
                    Scheme::None => {
                        add(&mut access.unenforced, name);
                        continue;
                    }
                    Scheme::AwsIam => Authorization::AwsIam,
                    Scheme::Authorizer => {
                        let scopes = if scopes.is_null() { Vec::new() } else { scopes.texts() };
                        Authorization::Authorizer { name: name.to_owned(), scopes }
                    }
                };
                if access.authorization == Authorization::None || access.authorization == asked {
                    access.authorization = asked;
                } else {
                    scopes.error_with(
                        "an operation has one authorizer, and this is its second",
                        "keep the one that is to be asked",
                    );
                }
            }
        }
        if own.items().any(|it| is_anonymous(&it)) {
            access.unenforced.clear();
        }
        access
    }

    /// What the whole document asks for, which holds for operations that say nothing themselves: API Gateway enforces none
    /// of it (row 140).
    fn inherited(&self) -> Vec<String> {
        let mut names = Vec::new();
        if signed(&self.root) == Some(true) {
            names.push("AWS_IAM".to_owned());
        }
        let Some(security) = self.root.get("security") else { return names };
        if !security.items().any(|it| is_anonymous(&it)) {
            let asked = security.items().flat_map(|requirement| requirement.entries());
            asked.for_each(|(name, _)| add(&mut names, name));
        }
        names
    }
}

/// Whether a signature is asked for, where it is said.
fn signed(at: &Cursor<'_>) -> Option<bool> {
    let auth = at.get(AUTH).filter(|auth| auth.expect_map())?;
    let Some(kind) = auth.get("type") else {
        auth.error_with("it says nothing of who may call: `type` is missing", "write `AWS_IAM` or `NONE`");
        return None;
    };
    kind.one_of(&[("NONE", false), ("AWS_IAM", true)])
}

/// Whether a requirement is met by who shows nothing: what else stands in its list is a choice then.
fn is_anonymous(requirement: &Cursor<'_>) -> bool {
    matches!(&requirement.node().value, Value::Map(entries) if entries.is_empty())
}

fn add(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|other| other == name) {
        names.push(name.to_owned());
    }
}

/// What `x-amazon-apigateway-authtype` says of a kind where nothing else is meant.
pub(crate) fn default_auth_type(kind: AuthorizerKind) -> &'static str {
    match kind {
        AuthorizerKind::Token | AuthorizerKind::Request => "custom",
        AuthorizerKind::CognitoUserPools => "cognito_user_pools",
        AuthorizerKind::Jwt => "oauth2",
    }
}

//! What a route or a method says of its requests and answers, beside what answers it.

/// Who may call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Authorization {
    /// Anybody.
    #[default]
    None,
    /// Who signs as an AWS identity that may (row 92).
    AwsIam,
    /// Whom an authorizer of the API lets in.
    Authorizer {
        /// Its name.
        name: String,
        /// Scopes of which a token has to have one.
        scopes: Vec<String>,
    },
}

/// What is known of a method's requests (rows 113, 118).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestRules {
    /// Parameters; what a mapping takes has to be among them.
    pub parameters: Vec<RequestParameter>,
    /// Content type and name of a model.
    pub models: Vec<(String, String)>,
    /// Name of the [`crate::RequestValidator`]; `None`: nothing is checked.
    pub validator: Option<String>,
}

/// A parameter of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestParameter {
    /// Where it stands.
    pub place: ParameterPlace,
    /// Its name.
    pub name: String,
    /// Whether a request without it is refused, if a validator looks.
    pub required: bool,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ParameterPlace {
    /// A variable of the path.
    Path,
    /// The query.
    QueryString,
    /// A field of the head.
    Header,
}

impl ParameterPlace {
    /// `path`, `querystring` or `header`, as mappings say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::QueryString => "querystring",
            Self::Header => "header",
        }
    }
}

/// An answer that a method may give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodResponse {
    /// Its status.
    pub status: u16,
    /// Fields that it may have, and whether it must; what an answer's mapping sets has to be among them (row 121).
    pub headers: Vec<(String, bool)>,
    /// Content type and name of a model.
    pub models: Vec<(String, String)>,
}

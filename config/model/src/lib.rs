//! The model: what an operator wants, in plain data that can only be valid in itself.
//! It does not know how it was written (`source`: TOML, OpenAPI) nor how it is run (`snapshot`).
//! What only mechanism can judge (a route conflict, a certificate) is found by `snapshot::compile`.

mod api;
mod definition;
mod deployment;
mod diagnostic;
mod domain;
mod ebpf;
mod integration;
mod method;
mod node;
mod quotas;
mod unenforced;
mod upstream;

pub use api::{
    Api, Cache, CacheKey, CacheMode, Cors, Kind, Limits, Mapping, MethodSettings, Route, RouteKey, Stage,
    Throttle, ThrottlePer,
};
pub use definition::{
    ApiKeySource, Authorizer, AuthorizerKind, BodyModel, Definition, DocumentationPart, GatewayResponse,
    GatewayResponseType, RequestValidator,
};
pub use deployment::{Canary, CanaryJudge, Deployment};
pub use diagnostic::{Diagnostic, Origin, Severity};
pub use domain::{Domain, EndpointAccessMode, EndpointType, IpAddressType, RoutingMode, RoutingRule};
pub use ebpf::{Ebpf, EbpfDriver, EbpfFeed, EbpfMode, EbpfPolicy, EbpfPortPolicy, EbpfPrefixes, EbpfRates};
pub use integration::{
    ContentHandling, Declared, Integration, IntegrationResponse, IntegrationType, Mock, Passthrough,
};
pub use method::{Authorization, MethodResponse, ParameterPlace, RequestParameter, RequestRules};
pub use node::{
    AccessLog, Admin, Certificate, Client, Demo, Driver, Endpoint, Listener, LogTarget, Node, NodeCache,
    PathRules, Templates, Timeouts,
};
pub use quotas::Quotas;
pub use unenforced::Unenforced;
pub use upstream::{Breaker, Health, Outlier, Retries, Statuses, Target, Upstream};

/// Everything a node runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// The process: threads, state, logs, admin.
    pub node: Node,
    /// Where clients connect.
    pub listeners: Vec<Listener>,
    /// Certificates by host name. None: the local authority makes one for each TLS listener.
    pub certificates: Vec<Certificate>,
    /// Groups of backends, by name.
    pub upstreams: Vec<Upstream>,
    /// The APIs.
    pub apis: Vec<Api>,
    /// What is said of hosts beside the APIs that are mapped to them.
    pub domains: Vec<Domain>,
}

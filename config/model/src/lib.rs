//! The model: what an operator wants, in plain data that can only be valid in itself.
//! It does not know how it was written (`source`: TOML, OpenAPI) nor how it is run (`snapshot`).
//! What only mechanism can judge (a route conflict, a certificate) is found by `snapshot::compile`.

mod api;
mod diagnostic;
mod ebpf;
mod node;
mod upstream;

pub use api::{
    Api, Cache, CacheKey, CacheMode, Cors, Integration, Kind, Limits, Mapping, Mock, Route, RouteKey, Stage,
    Throttle, ThrottlePer,
};
pub use diagnostic::{Diagnostic, Origin, Severity};
pub use ebpf::{Ebpf, EbpfDriver, EbpfFeed, EbpfMode, EbpfPolicy, EbpfPortPolicy, EbpfPrefixes, EbpfRates};
pub use node::{
    AccessLog, Admin, Certificate, Client, Demo, Driver, Listener, LogTarget, Node, NodeCache, PathRules,
    Timeouts,
};
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
}

//! Domain names: what is said of a host beside the APIs that are mapped to it (rows 35 to 40).

use crate::Origin;

/// A custom domain name.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    /// `api.example.com` or `*.example.com`.
    pub name: String,
    /// Whether rules or mappings decide.
    pub routing_mode: RoutingMode,
    /// Rules; the lowest priority that matches decides.
    pub rules: Vec<RoutingRule>,
    /// Where it says that it stands.
    pub endpoint: EndpointType,
    /// Which addresses it says that it has (row 15).
    pub ip_address_type: IpAddressType,
    /// What its requests have to show of where they belong (row 13).
    pub endpoint_access_mode: EndpointAccessMode,
    /// Whether it answers `/ping` and `/sping` by itself, for health checks (row 8).
    pub health: bool,
    /// Where it was written.
    pub origin: Option<Origin>,
}

/// Who decides where a request of a domain goes (row 39).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoutingMode {
    /// Mappings alone.
    #[default]
    MappingOnly,
    /// Rules alone.
    RuleOnly,
    /// Rules, and mappings for what none of them takes.
    RuleThenMapping,
}

/// A rule of a domain: REST APIs only (row 39).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutingRule {
    /// 1 to 1,000,000, its own alone; the lowest is asked first.
    pub priority: u32,
    /// Fields of the head and patterns of their values with `*`; at most two, all of which have to match.
    pub headers: Vec<(String, String)>,
    /// Whole segments without slashes at the ends; any of them.
    pub base_paths: Vec<String>,
    /// Name of the API.
    pub api: String,
    /// Its stage.
    pub stage: String,
    /// Whether the base path is taken off.
    pub strip_base_path: bool,
    /// Where it was written.
    pub origin: Option<Origin>,
}

/// Where an API says that it stands (rows 6, 7, 9). Here it is said back, and bounds URLs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EndpointType {
    /// In a region.
    #[default]
    Regional,
    /// Behind the edge's own network.
    Edge,
    /// In a private network.
    Private,
}

impl EndpointType {
    /// `REGIONAL` and the like.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Regional => "REGIONAL",
            Self::Edge => "EDGE",
            Self::Private => "PRIVATE",
        }
    }
}

/// Which addresses an API says that it has (row 15).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IpAddressType {
    /// IPv4.
    #[default]
    Ipv4,
    /// IPv4 and IPv6.
    Dualstack,
}

/// What the requests of an API or a domain have to show of where they belong (row 13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EndpointAccessMode {
    /// Nothing.
    #[default]
    Basic,
    /// That the client's TLS name is the host that it asks for; and that they came by an endpoint of the API's own type.
    Strict,
}

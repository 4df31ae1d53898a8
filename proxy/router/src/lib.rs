//! Routing: host and base path to an API ([`Mappings`]), method and path to a route ([`Router`]).
//! It knows templates and precedence (rows 21–25, 35–37) and gives numbers back; what stands behind a number, and
//! what is answered when there is none, is for others to know. Tables are built once and never change.

mod candidates;
mod domain;
mod elsewhere;
mod endpoints;
mod mappings;
pub mod properties;
mod router;
mod template;
#[cfg(test)]
mod tests;

pub use candidates::{Candidate, WhyNot};
pub use domain::{Domain, PRIORITY_MAX, RULES_MAX, Rule, RuleSettings};
pub use elsewhere::{Elsewhere, Entry};
pub use endpoints::{Endpoint, Endpoints, Reached};
pub use mappings::{Mapping, Mappings, Place};
pub use router::{Key, Match, Miss, Precedence, Route, Router};
pub use template::variables;

/// Why a table cannot be built: one mistake of one route or mapping.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The same method on the same resource twice; a variable's name makes no difference.
    #[error("takes the same requests as another route")]
    SameRoute {
        /// The later one.
        index: u32,
        /// The earlier one.
        other: u32,
    },
    /// A REST API has no `$default`.
    #[error("a REST API has no `$default` route: write `ANY /{{proxy+}}`")]
    DefaultInRest {
        /// Which route.
        index: u32,
    },
    /// A method that this kind of API does not have.
    #[error("`{method}` is no method here")]
    BadMethod {
        /// Which route.
        index: u32,
        /// As it was written.
        method: String,
    },
    /// A path template without its slash.
    #[error("a path begins with `/`")]
    NoSlash {
        /// Which route.
        index: u32,
    },
    /// Nothing between two slashes; at the end allowed only where a trailing slash matters.
    #[error("a path has no empty segments")]
    EmptySegment {
        /// Which route.
        index: u32,
    },
    /// More segments than a path may have here.
    #[error("a path has at most {max} segments")]
    TooManySegments {
        /// Which route.
        index: u32,
        /// The bound.
        max: usize,
    },
    /// Braces that are not around a whole segment, or around no name.
    #[error("`{segment}` is no variable: a whole segment is `{{name}}` or, at the end, `{{name+}}`")]
    BadVariable {
        /// Which route.
        index: u32,
        /// As it was written.
        segment: String,
    },
    /// Something behind `{name+}`.
    #[error("`{segment}` takes all that follows, so it must be the last segment")]
    GreedyNotLast {
        /// Which route.
        index: u32,
        /// As it was written.
        segment: String,
    },
    /// One name for two variables.
    #[error("`{name}` names two variables of one path")]
    SameVariable {
        /// Which route.
        index: u32,
        /// The name.
        name: String,
    },
    /// A segment that no normalised path has: a bad escape, a dot segment, a byte that must be escaped.
    #[error("`{segment}` can stand in no request's path")]
    BadSegment {
        /// Which route or mapping.
        index: u32,
        /// As it was written.
        segment: String,
    },
    /// A host that is neither a name, nor an address, nor `*.` and a name.
    #[error("`{host}` is no host: write a name, an address, or `*.` and a name")]
    BadHost {
        /// Which mapping.
        index: u32,
        /// As it was written.
        host: String,
    },
    /// The same host and base path twice.
    #[error("the same host and base path are mapped twice")]
    SameMapping {
        /// The later one.
        index: u32,
        /// The earlier one.
        other: u32,
    },
    /// Two things are said of one host.
    #[error("`{host}` is described twice")]
    SameDomain {
        /// Which of them.
        index: u32,
        /// As it was written.
        host: String,
    },
    /// More conditions than a rule may have (row 39).
    #[error("a rule has at most {max} conditions on fields")]
    TooManyConditions {
        /// Which rule.
        index: u32,
        /// The bound.
        max: usize,
    },
    /// A condition on a field that can't be, or with a pattern that is too long.
    #[error(
        "`{name}: {pattern}` is no condition: write a field's name, and a pattern of 1 to {max} bytes with `*`"
    )]
    BadCondition {
        /// Which rule.
        index: u32,
        /// The field's name as it was written.
        name: String,
        /// Its pattern as it was written.
        pattern: String,
        /// The bound of the pattern.
        max: usize,
    },
    /// The id that another API has.
    #[error("the id `{id}` is that of another API")]
    SameId {
        /// The later one.
        index: u32,
        /// The id.
        id: String,
    },
}

impl Error {
    /// Which route, by the number that the caller gave it; or which mapping, domain, rule or endpoint, by its place.
    pub fn index(&self) -> u32 {
        match self {
            Self::SameRoute { index, .. }
            | Self::DefaultInRest { index }
            | Self::BadMethod { index, .. }
            | Self::NoSlash { index }
            | Self::EmptySegment { index }
            | Self::TooManySegments { index, .. }
            | Self::BadVariable { index, .. }
            | Self::GreedyNotLast { index, .. }
            | Self::SameVariable { index, .. }
            | Self::BadSegment { index, .. }
            | Self::BadHost { index, .. }
            | Self::SameMapping { index, .. }
            | Self::SameDomain { index, .. }
            | Self::TooManyConditions { index, .. }
            | Self::BadCondition { index, .. }
            | Self::SameId { index, .. } => *index,
        }
    }
}

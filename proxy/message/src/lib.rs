//! Messages: the words all rooms of the data path share. A request, a response, their headers, where a
//! request goes, what its body is, and why the gateway may answer in place of the backend.
//! This room does not know HTTP's syntax (`wire`), sockets (`runtime`) or what an operator wrote (`model`).

mod authority;
mod bodies;
mod body;
pub mod context;
mod headers;
mod method;
mod name;
mod now;
pub mod octets;
pub mod properties;
mod reason;
mod request;
mod request_id;
mod response;
mod response_type;
mod target;

pub use authority::{Authority, AuthorityError};
pub use bodies::{Bodies, Room};
pub use body::{Body, Length};
pub use headers::{Field, Headers, Line, Lines};
pub use method::Method;
pub use name::{Name, Names};
pub use now::Now;
pub use reason::{Dialect, Reason};
pub use request::{NeverIndexed, Rare, Request, Scheme, Version};
pub use request_id::RequestId;
pub use response::{Response, reason_phrase};
pub use response_type::ResponseType;
pub use target::{PathRules, Target, TargetError};

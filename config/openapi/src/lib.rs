//! OpenAPI documents ↔ the model, with every mistake and its place: 2.0 and 3.0, JSON and YAML, with API Gateway's
//! extensions (rows 138 to 143 and 146).
//!
//! A text becomes a [`tree`] in which everything knows its place; [`import`] makes a definition of the tree, or says all
//! that is wrong with it; [`export`] writes a definition back. It does not know where texts come from, how we write
//! configurations ourselves, nor how an API is run.

pub mod export;
pub mod import;
pub mod properties;
pub mod tree;
mod variables;

pub use export::{Exported, Extensions, Format, export};
pub use import::{BasePath, Imported, Mode, Options, draft, import, is_openapi, merge};
pub use tree::{Syntax, Tree};
pub use variables::Variables;

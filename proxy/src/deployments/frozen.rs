//! How an API is frozen, and read again: its definition as TOML, references expanded. It is the one place that knows how a deployment
//! is written down.

use std::sync::Arc;

use model::{Api, Definition};

use super::book::Thawed;

/// Writes down what an API is; how it will be read is told beside it.
pub(crate) fn freeze(api: &Api) -> Result<Frozen, String> {
    let bytes = source::write_definition(&api.definition, api.kind).into_bytes();
    let thawed = thaw(&bytes)?;
    Ok(Frozen { bytes, definition: thawed.definition })
}

/// What was written down.
pub(crate) struct Frozen {
    pub(crate) bytes: Vec<u8>,
    /// What is read of it.
    pub(crate) definition: Arc<Definition>,
}

/// Reads what was written down.
pub(crate) fn thaw(bytes: &[u8]) -> Result<Thawed, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no text")?;
    let frozen = source::read_definition(text).map_err(|refused| {
        let first = refused.diagnostics.first();
        first.map_or_else(|| "it is no definition".to_owned(), |it| format!("{}: {}", it.key, it.message))
    })?;
    Ok(Thawed { definition: Arc::new(frozen.definition.without_origins()), upstreams: frozen.upstreams })
}

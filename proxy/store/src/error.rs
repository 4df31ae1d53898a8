//! What can go wrong with a file.

use std::{io, path::PathBuf};

/// Why a store can't be opened, read or written. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be made or opened.
    #[error("cannot open {path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is no store, or a damaged one.
    #[error("cannot use {path}: {source}; to begin anew, move it away", path = path.display())]
    Database {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<redb::Error>,
    },
    /// A value was written by a later version, or is damaged.
    #[error("{path} has a value that this version can't read ({table})", path = path.display())]
    Version {
        /// Which file.
        path: PathBuf,
        /// In which table.
        table: &'static str,
    },
    /// A value is longer than any may be.
    #[error("{what} is {bytes} bytes long, more than the {max} that are kept")]
    TooLong {
        /// Which.
        what: String,
        /// Its length.
        bytes: usize,
        /// The longest.
        max: usize,
    },
}

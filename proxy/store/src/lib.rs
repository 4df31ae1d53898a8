//! What a node remembers of deployments over restarts, in one file: deployments that never change, a pointer for each stage, and
//! what was done. Everything here is bytes under names; what they mean is for who wrote them. A change is taken whole and is on the
//! disk when [`Store::commit`] returns, or nothing of it is. It does not know what a deployment is, nor any clock.

mod error;
#[cfg(test)]
mod tests;

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use redb::{
    Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition, backends::FileBackend,
};

pub use error::Error;

/// The first byte of every value: how the rest is written. What a later version writes is not guessed at.
const VERSION: u8 = 1;
/// The longest deployment. A configuration of 10,000 routes has some 2 MiB.
pub const BODY_BYTES_MAX: usize = 64 << 20;
/// The longest value beside those.
pub const VALUE_BYTES_MAX: usize = 64 << 10;
/// What was done is kept for so many entries; older ones go.
pub const HISTORY_MAX: u64 = 10_000;
/// What the database may keep of its file in memory: it is read at the start and written now and then.
const CACHE_BYTES: usize = 1 << 20;

type Pairs = TableDefinition<'static, (&'static str, &'static str), &'static [u8]>;

/// By API and id: what is known of a deployment.
const DEPLOYMENTS: Pairs = TableDefinition::new("deployments");
/// By API and id: the deployment.
const BODIES: Pairs = TableDefinition::new("bodies");
/// By API and stage: what it runs.
const POINTERS: Pairs = TableDefinition::new("pointers");
/// By number, from 1: what was done.
const HISTORY: TableDefinition<'static, u64, &'static [u8]> = TableDefinition::new("history");

/// A value and the two names that it has.
pub type Named = ((String, String), Vec<u8>);

/// The file.
#[derive(Debug)]
pub struct Store {
    database: Database,
    path: PathBuf,
}

/// A deployment that is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Whose.
    pub api: String,
    /// Which.
    pub id: String,
    /// What is known of it, read whenever deployments are listed.
    pub head: Vec<u8>,
    /// Itself.
    pub body: Vec<u8>,
}

/// What is to be changed, whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Deployments that are new.
    pub deployments: Vec<Deployment>,
    /// Deployments that go: API and id.
    pub dropped: Vec<(String, String)>,
    /// What stages run from now on: API, stage, and `None` for a stage of which nothing is known any more.
    pub pointers: Vec<(String, String, Option<Vec<u8>>)>,
    /// What was done, in order.
    pub history: Vec<Vec<u8>>,
}

impl Change {
    /// Whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Store {
    /// Opens the file or makes it; nobody but its owner may read it. One process at a time may have it open.
    ///
    /// # Errors
    /// It can't be opened, is no store, or has lost what it needs to be one.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::File { path: path.to_owned(), source };
        let file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path);
        let file = FileBackend::new(file.map_err(failed)?);
        let database = file
            .and_then(|file| Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(file))
            .map_err(|error| broken(path, error))?;
        let store = Self { database, path: path.to_owned() };
        // The tables are there from now on, and the file's name outlives the machine.
        let begun = store.write(|_| Ok(()));
        begun.and_then(|()| {
            let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
        })?;
        Ok(store)
    }

    /// Takes a change; it is on the disk when this returns.
    ///
    /// # Errors
    /// A value is too long, or the disk refuses. Nothing has changed then.
    pub fn commit(&self, change: &Change) -> Result<(), Error> {
        for Deployment { api, id, head, body } in &change.deployments {
            bounded(&format!("deployment {id} of API {api}"), body, BODY_BYTES_MAX)?;
            bounded(&format!("what is known of deployment {id} of API {api}"), head, VALUE_BYTES_MAX)?;
        }
        for (api, stage, value) in &change.pointers {
            bounded(
                &format!("the pointer of stage {stage} of API {api}"),
                value.as_deref().unwrap_or_default(),
                VALUE_BYTES_MAX,
            )?;
        }
        for event in &change.history {
            bounded("an entry of the history", event, VALUE_BYTES_MAX)?;
        }
        self.write(|write| {
            let (mut heads, mut bodies) = (write.open_table(DEPLOYMENTS)?, write.open_table(BODIES)?);
            for Deployment { api, id, head, body } in &change.deployments {
                heads.insert((&**api, &**id), &*versioned(head))?;
                bodies.insert((&**api, &**id), &*versioned(body))?;
            }
            for (api, id) in &change.dropped {
                heads.remove((&**api, &**id))?;
                bodies.remove((&**api, &**id))?;
            }
            let mut pointers = write.open_table(POINTERS)?;
            for (api, stage, value) in &change.pointers {
                match value {
                    Some(value) => pointers.insert((&**api, &**stage), &*versioned(value))?,
                    None => pointers.remove((&**api, &**stage))?,
                };
            }
            let mut history = write.open_table(HISTORY)?;
            let mut last = history.last()?.map_or(0, |(number, _)| number.value());
            for event in &change.history {
                last += 1;
                history.insert(last, &*versioned(event))?;
            }
            while history.len()? > HISTORY_MAX {
                history.pop_first()?;
            }
            Ok(())
        })
    }

    /// What is known of all deployments, in order of API and id.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn deployments(&self) -> Result<Vec<Named>, Error> {
        self.pairs(DEPLOYMENTS, "deployments")
    }

    /// What all stages run, in order of API and stage.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn pointers(&self) -> Result<Vec<Named>, Error> {
        self.pairs(POINTERS, "pointers")
    }

    /// A deployment; `None`: there is none.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn body(&self, api: &str, id: &str) -> Result<Option<Vec<u8>>, Error> {
        let read = || {
            let table = self.database.begin_read()?.open_table(BODIES)?;
            Ok(table.get((api, id))?.map(|value| value.value().to_vec()))
        };
        let value = read().map_err(|error: redb::Error| broken(&self.path, error))?;
        value.map(|value| self.unversioned(&value, "bodies")).transpose()
    }

    /// What was done, with its numbers, oldest first.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn history(&self) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        let read = || {
            let table = self.database.begin_read()?.open_table(HISTORY)?;
            let entries = table.iter()?.map(|entry| {
                let (number, value) = entry?;
                Ok((number.value(), value.value().to_vec()))
            });
            entries.collect::<Result<Vec<_>, redb::Error>>()
        };
        let entries = read().map_err(|error| broken(&self.path, error))?;
        let entries = entries.into_iter();
        entries.map(|(number, value)| Ok((number, self.unversioned(&value, "history")?))).collect()
    }

    fn pairs(&self, table: Pairs, name: &'static str) -> Result<Vec<Named>, Error> {
        let read = || {
            let table = self.database.begin_read()?.open_table(table)?;
            let entries = table.iter()?.map(|entry| {
                let (key, value) = entry?;
                let (first, second) = key.value();
                Ok(((first.to_owned(), second.to_owned()), value.value().to_vec()))
            });
            entries.collect::<Result<Vec<_>, redb::Error>>()
        };
        let entries = read().map_err(|error| broken(&self.path, error))?;
        entries.into_iter().map(|(names, value)| Ok((names, self.unversioned(&value, name)?))).collect()
    }

    /// One transaction, on the disk when it returns (redb's default durability: it waits for the disk).
    fn write(
        &self,
        change: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), Error> {
        let write = || {
            let write = self.database.begin_write()?;
            for table in [DEPLOYMENTS, BODIES, POINTERS] {
                write.open_table(table)?;
            }
            write.open_table(HISTORY)?;
            change(&write)?;
            write.commit()?;
            Ok(())
        };
        write().map_err(|error: redb::Error| broken(&self.path, error))
    }

    fn unversioned(&self, value: &[u8], table: &'static str) -> Result<Vec<u8>, Error> {
        match value.split_first() {
            Some((&VERSION, value)) => Ok(value.to_vec()),
            _ => Err(Error::Version { path: self.path.clone(), table }),
        }
    }
}

fn versioned(value: &[u8]) -> Vec<u8> {
    [&[VERSION], value].concat()
}

fn bounded(what: &str, value: &[u8], max: usize) -> Result<(), Error> {
    if value.len() <= max {
        return Ok(());
    }
    Err(Error::TooLong { what: what.to_owned(), bytes: value.len(), max })
}

fn broken(path: &Path, error: impl Into<redb::Error>) -> Error {
    match error.into() {
        redb::Error::Io(source) if source.kind() != io::ErrorKind::InvalidData => {
            Error::File { path: path.to_owned(), source }
        }
        source => Error::Database { path: path.to_owned(), source: Box::new(source) },
    }
}

//! The configuration that was last in force, kept in the state folder: the files as they were written, references
//! unexpanded, so that no secret lies there that did not lie in the files. It is written whole or not at all, whatever
//! ends the process or the machine meanwhile.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions, Permissions},
    io::{self, Error, ErrorKind, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use source::{Environment, Sources, System};

/// Its name in the state folder.
const NAME: &str = "last-good";

/// The first byte of the file: how the rest is written. What a later version writes is not guessed at.
const VERSION: u8 = 1;

/// The longest that is kept, and read.
const BYTES_MAX: u64 = 64 << 20;

/// A configuration's files. To read it, this stands in place of the file system: variables, and files that it merely
/// refers to, are those of now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LastGood {
    /// The one that the operator named.
    main: PathBuf,
    /// All, by absolute path.
    files: BTreeMap<PathBuf, String>,
}

impl LastGood {
    /// What a configuration was read from; `None` if from no file.
    pub(crate) fn of(sources: &Sources) -> io::Result<Option<Self>> {
        // Absolute: the next start may be from another folder.
        let files = sources.iter().map(|(name, text)| Ok((std::path::absolute(name)?, text.to_owned())));
        let files = files.collect::<io::Result<Vec<_>>>()?;
        let Some((main, _)) = files.first() else { return Ok(None) };
        Ok(Some(Self { main: main.clone(), files: files.into_iter().collect() }))
    }

    /// The file that the operator named then.
    pub(crate) fn main(&self) -> &Path {
        &self.main
    }

    /// Whether that is a document, JSON or YAML.
    pub(crate) fn is_document(&self) -> bool {
        self.files.get(&self.main).is_some_and(|text| source::is_document(text))
    }

    /// Where it is kept.
    pub(crate) fn path(state: &Path) -> PathBuf {
        state.join(NAME)
    }

    /// Keeps it in place of what was kept before.
    pub(crate) fn store(&self, state: &Path) -> io::Result<()> {
        let bytes = self.encode();
        if bytes.len() as u64 > BYTES_MAX {
            return Err(Error::new(ErrorKind::FileTooLarge, format!("it is longer than {BYTES_MAX} bytes")));
        }
        let beside = state.join(format!("{NAME}.new"));
        let mut file =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
        // It may be there already, left by a process that was killed here.
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, Self::path(state))?;
        File::open(state)?.sync_all()
    }

    /// What is kept; `None` if nothing is.
    pub(crate) fn load(state: &Path) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        match File::open(Self::path(state)) {
            Ok(file) => file.take(BYTES_MAX + 1).read_to_end(&mut bytes)?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let damaged = || Error::new(ErrorKind::InvalidData, "it is damaged, or of a later version");
        Self::decode(&bytes).ok_or_else(damaged).map(Some)
    }

    fn encode(&self) -> Vec<u8> {
        let files = self.files.iter().map(|(path, text)| json!([path.to_string_lossy(), text]));
        let value = json!({ "main": self.main.to_string_lossy(), "files": files.collect::<Vec<_>>() });
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(value.to_string().as_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (&VERSION, text) = bytes.split_first()? else { return None };
        let value: Value = serde_json::from_slice(text).ok()?;
        let main = PathBuf::from(value["main"].as_str()?);
        let file = |file: &Value| Some((PathBuf::from(file[0].as_str()?), file[1].as_str()?.to_owned()));
        let files = value["files"].as_array()?.iter().map(file).collect::<Option<BTreeMap<_, _>>>()?;
        files.contains_key(&main).then_some(Self { main, files })
    }
}

impl Environment for LastGood {
    fn variable(&self, name: &str) -> Option<String> {
        System.variable(name)
    }

    fn read_file(&self, path: &Path, bytes_max: u64) -> io::Result<String> {
        match self.files.get(path) {
            Some(text) => Ok(text.clone()),
            None => System.read_file(path, bytes_max),
        }
    }

    /// What was not included then is not now.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let inside = self.files.keys().filter(|path| path.parent() == Some(directory));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect())
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A configuration of two files in a folder of its own, with a secret that it refers to.
    fn written(folder: &Path) -> PathBuf {
        let main = folder.join("main.toml");
        std::fs::create_dir(folder.join("d")).unwrap();
        std::fs::write(folder.join("secret"), "hidden\n").unwrap();
        std::fs::write(
            &main,
            "include = [\"d/*.toml\"]\n[[listener]]\naddress = \"127.0.0.1:1\"\n[[route]]\nmatch = \"/\"\n\
             mock = { status = 200, body = \"${file:secret}\" }\n",
        )
        .unwrap();
        std::fs::write(folder.join("d/a.toml"), "[[route]]\nmatch = \"/a\"\nmock = { status = 200 }\n")
            .unwrap();
        main
    }

    fn routes(outcome: &source::Outcome) -> Vec<String> {
        let model = outcome.model.as_ref().unwrap_or_else(|| panic!("{:?}", outcome.diagnostics));
        model.apis[0].definition.routes.iter().map(|route| route.key.to_string()).collect()
    }

    #[test]
    fn what_was_kept_is_read_as_it_was_whatever_became_of_the_files() {
        let folder = TempDir::new().unwrap();
        let main = written(folder.path());
        let before = source::load(&main, &System);
        LastGood::of(&before.sources).unwrap().unwrap().store(folder.path()).unwrap();
        std::fs::write(&main, "broken = \n").unwrap();
        std::fs::write(folder.path().join("d/b.toml"), "broken = \n").unwrap();
        std::fs::remove_file(folder.path().join("d/a.toml")).unwrap();
        let kept = LastGood::load(folder.path()).unwrap().unwrap();
        assert_eq!(kept.main(), main);
        let after = source::load(kept.main(), &kept);
        assert_eq!(routes(&after), routes(&before));
        assert_eq!(
            format!("{:?}", after.model),
            format!("{:?}", before.model),
            "references are those of now"
        );
    }

    #[test]
    fn the_file_is_its_owners_and_has_no_secret() {
        let folder = TempDir::new().unwrap();
        let main = written(folder.path());
        let stale = folder.path().join("last-good.new");
        std::fs::write(&stale, "left by a process that was killed").unwrap();
        std::fs::set_permissions(&stale, Permissions::from_mode(0o644)).unwrap();
        let kept = LastGood::of(&source::load(&main, &System).sources).unwrap().unwrap();
        kept.store(folder.path()).unwrap();
        let path = LastGood::path(folder.path());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes[0], VERSION);
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("${file:secret}") && !text.contains("hidden"), "{text}");
        assert!(!stale.exists());
    }

    /// Cut anywhere, it is not taken for something else.
    #[test]
    fn what_is_damaged_is_refused() {
        let folder = TempDir::new().unwrap();
        let main = written(folder.path());
        let kept = LastGood::of(&source::load(&main, &System).sources).unwrap().unwrap();
        let bytes = kept.encode();
        assert_eq!(LastGood::decode(&bytes).as_ref(), Some(&kept));
        for end in 0..bytes.len() {
            assert_eq!(LastGood::decode(&bytes[..end]), None, "cut at {end}");
        }
        assert_eq!(LastGood::decode(&[&[VERSION + 1], &bytes[1..]].concat()), None);
        assert_eq!(LastGood::decode(b"\x01{}"), None);
        std::fs::write(LastGood::path(folder.path()), &bytes[..9]).unwrap();
        assert_eq!(LastGood::load(folder.path()).unwrap_err().kind(), ErrorKind::InvalidData);
        std::fs::remove_file(LastGood::path(folder.path())).unwrap();
        assert_eq!(LastGood::load(folder.path()).unwrap(), None);
    }
}

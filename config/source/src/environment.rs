//! What reading a configuration asks of the outside: variables, files, folders. Tests give a table instead.

use std::{
    fs, io,
    io::{Error, ErrorKind, Read as _},
    path::Path,
};

use progress::Progress;

/// The longest folder that an include pattern may look through.
const DIRECTORY_ENTRIES_MAX: usize = 10_000;

/// Where variables and files come from.
pub trait Environment {
    /// The value of an environment variable, if it is set.
    fn variable(&self, name: &str) -> Option<String>;

    /// The text of a file. Longer than `bytes_max` is [`ErrorKind::FileTooLarge`], other than UTF-8
    /// [`ErrorKind::InvalidData`].
    fn read_file(&self, path: &Path, bytes_max: u64) -> io::Result<String>;

    /// The names of the files in a folder, in any order.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;

    /// Who is told how far reading has come: nobody, if nothing is said.
    fn progress(&self) -> &Progress {
        Progress::silent()
    }
}

/// The process's own environment and the file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Environment for System {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read_file(&self, path: &Path, bytes_max: u64) -> io::Result<String> {
        let mut bytes = Vec::new();
        // One byte more than is allowed tells too long from just long enough, also for pipes and /proc.
        fs::File::open(path)?.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > bytes_max {
            return Err(Error::new(ErrorKind::FileTooLarge, format!("longer than {bytes_max} bytes")));
        }
        String::from_utf8(bytes).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
            Error::new(ErrorKind::InvalidData, format!("line {line} is not UTF-8"))
        })
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        // The folder of a file that was named without one.
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        let mut names = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if names.len() == DIRECTORY_ENTRIES_MAX {
                let text = format!("more than {DIRECTORY_ENTRIES_MAX} entries");
                return Err(Error::new(ErrorKind::FileTooLarge, text));
            }
            if !entry.file_type()?.is_dir() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        Ok(names)
    }
}

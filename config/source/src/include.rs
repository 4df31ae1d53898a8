//! Which files a configuration consists of: the operator's and those that it includes, one level deep.

use std::path::{Path, PathBuf};

use crate::{
    Sources,
    context::{Context, File, Mistake, quote},
    reader::{Table, Value},
};

/// The longest file.
pub const FILE_BYTES_MAX: u64 = 10 << 20;
/// Files of one configuration, the operator's own included.
pub const FILES_MAX: usize = 256;

/// Reads one file; what is wrong with it is reported at `at`, the value that names it, if there is one.
pub(crate) fn read(
    path: &Path,
    at: Option<&Value<'_>>,
    cx: &Context<'_>,
    sources: &mut Sources,
) -> Option<File> {
    let name = path.to_string_lossy();
    match cx.environment.read_file(path, FILE_BYTES_MAX) {
        Ok(text) => {
            let file = File::new(&name, text, path.parent().unwrap_or(Path::new("")));
            sources.push(&file.name, &file.text);
            Some(file)
        }
        Err(error) => {
            cx.mark_incomplete();
            let mistake = Mistake::new(format!("can't read {}: {error}", quote(&name)));
            match at {
                Some(value) => {
                    value.mistake(mistake.help("paths are relative to the file that includes them"))
                }
                None => cx.mistake(None, "", mistake),
            }
            None
        }
    }
}

/// The files that `include` of the operator's file names, in the order of its patterns and, for each, of names.
pub(crate) fn files(main: &Path, root: &Table<'_>, cx: &Context<'_>, sources: &mut Sources) -> Vec<File> {
    let Some(include) = root.get("include") else { return Vec::new() };
    let patterns = include.items();
    let mut seen = vec![main.to_owned()];
    let mut files = Vec::new();
    for pattern in &patterns {
        for path in pattern.text().map(|text| matching(&text, pattern)).unwrap_or_default() {
            if seen.contains(&path) {
                continue;
            }
            if seen.len() == FILES_MAX {
                pattern.mistake(Mistake::new(format!("a configuration has at most {FILES_MAX} files")));
                return files;
            }
            files.extend(read(&path, Some(pattern), cx, sources));
            seen.push(path);
        }
    }
    files
}

/// An included file includes nothing: what is read stays easy to see.
pub(crate) fn refuse_nested(root: &Table<'_>) {
    if let Some(include) = root.get("include") {
        let mistake = Mistake::new("an included file can't include others");
        include.mistake(mistake.help("include them in the file that the gateway was started with"));
    }
}

fn matching(pattern: &str, value: &Value<'_>) -> Vec<PathBuf> {
    let path = value.file.directory.join(pattern);
    let (directory, name) = (path.parent().unwrap_or(Path::new("")), path.file_name());
    let Some(name) = name.map(|name| name.to_string_lossy()) else {
        value.mistake(Mistake::new(format!("{} names no file", quote(pattern))));
        return Vec::new();
    };
    if directory.to_string_lossy().contains(['*', '?']) {
        let mistake = Mistake::new("`*` and `?` may stand in the last part of the path only");
        value.mistake(mistake.help("include each folder by itself: `[\"a/*.toml\", \"b/*.toml\"]`"));
        return Vec::new();
    }
    if !name.contains(['*', '?']) {
        return vec![path];
    }
    match value.cx.environment.list(directory) {
        Ok(mut names) => {
            // A leading dot hides a file, as in a shell.
            names.retain(|candidate| !candidate.starts_with('.') && glob(&name, candidate));
            names.sort_unstable();
            names.iter().map(|name| directory.join(name)).collect()
        }
        Err(error) => {
            value.cx.mark_incomplete();
            let mistake =
                Mistake::new(format!("can't list {}: {error}", quote(&directory.to_string_lossy())));
            value.mistake(mistake.help("paths are relative to the file that includes them"));
            Vec::new()
        }
    }
}

/// Whether a name matches: `*` is any characters, `?` is one. Linear but for the last star, which alone is retried.
fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(char) if *char == '?' || *char == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, n) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|char| *char == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        let cases = [
            ("*.toml", "a.toml", true),
            ("*.toml", ".toml", true),
            ("*.toml", "a.toml~", false),
            ("a?.toml", "ab.toml", true),
            ("a?.toml", "a.toml", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("*", "", true),
            ("?", "é", true),
            ("", "a", false),
            ("**a", "aaaa", true),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(glob(pattern, name), expected, "{pattern} {name}");
        }
    }
}

//! What must hold of targets and authorities for any bytes whatever. Each property is a function that panics when it
//! does not, called by unit tests, by fuzz targets and by the replay of what those came upon.

use crate::{Authority, PathRules, Target};

/// Whatever an operator relaxes: what is taken for a target is normal, clean and no longer than it was; what is not
/// leaves nothing behind.
pub fn any_target(bytes: &[u8]) {
    for merge_slashes in [false, true] {
        for encoded_slashes in [false, true] {
            target(bytes, PathRules { merge_slashes, encoded_slashes });
        }
    }
}

fn target(raw: &[u8], rules: PathRules) {
    let shown = raw.escape_ascii();
    let mut target = Target::default();
    target.read(b"/before?it", rules).expect("a good target");
    if target.read(raw, rules).is_err() {
        assert_eq!(target, Target::default(), "{shown}");
        return;
    }
    assert_eq!(target.raw().as_bytes(), raw, "{shown}");
    path_is_normal(target.path(), rules);
    assert!(target.path().len() <= raw.len(), "{shown}");
    let query = raw.iter().position(|byte| *byte == b'?').map(|at| &raw[at + 1..]);
    assert_eq!(target.query().map(str::as_bytes), query, "{shown}");
    assert!(!target.query().unwrap_or_default().contains('#'), "{shown}");

    let again = Target::parse(target.path().as_bytes(), rules);
    assert_eq!(again.as_ref().map(Target::path), Ok(target.path()), "normal is not what is normal: {shown}");
    let mut rewritten = target.clone();
    assert_eq!(rewritten.set_path(target.path(), rules), Ok(()), "{shown}");
    assert_eq!(rewritten, target, "{shown}");
    // Base paths end where a segment ends.
    for (bytes, _) in target.path().match_indices('/').chain([(target.path().len(), "")]) {
        let mut stripped = target.clone();
        stripped.strip(bytes);
        path_is_normal(stripped.path(), PathRules { merge_slashes: false, ..rules });
    }
}

/// One slash at the beginning, no way up, no escape of what needs none or is ambiguous. Written without a look at the
/// normalisation.
fn path_is_normal(path: &str, rules: PathRules) {
    assert!(path.starts_with('/'), "{path}");
    assert!(path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\\".contains(&byte)), "{path}");
    assert!(!rules.merge_slashes || !path.contains("//"), "{path}");
    for segment in path.split('/') {
        let name = segment.split(';').next().unwrap_or_default();
        assert!(!matches!(name, "." | ".."), "{path}");
    }
    for escape in path.split('%').skip(1) {
        let digits = escape.get(..2).unwrap_or_else(|| panic!("{path}"));
        assert!(!digits.contains(|digit: char| digit.is_ascii_lowercase()), "{path}");
        let byte = u8::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("{path}"));
        assert!(!(byte.is_ascii_alphanumeric() || b"-._~\0".contains(&byte)), "{path}");
        assert!(rules.encoded_slashes || !b"/\\".contains(&byte), "{path}");
    }
}

/// What is taken for an authority is a host in lower case, and maybe a port; what is not leaves nothing behind.
pub fn any_authority(bytes: &[u8]) {
    let shown = bytes.escape_ascii();
    let mut authority = Authority::default();
    authority.read(b"before:1").expect("a good authority");
    if authority.read(bytes).is_err() {
        assert_eq!(authority, Authority::default(), "{shown}");
        return;
    }
    let text = authority.as_str();
    assert!(bytes.eq_ignore_ascii_case(text.as_bytes()), "{shown}");
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()), "{shown}");
    assert!(!text.contains(['@', '/', '\\', '?', '#', '%', ',', ';']), "{shown}");
    let rest = text.strip_prefix(authority.host()).unwrap_or_else(|| panic!("{shown}"));
    assert!(!authority.host().is_empty(), "{shown}");
    match authority.port() {
        None => assert_eq!(rest, "", "{shown}"),
        Some(port) => {
            let digits = rest.strip_prefix(':').unwrap_or_else(|| panic!("{shown}"));
            assert_eq!(digits.parse(), Ok(port), "{shown}");
        }
    }
    assert_eq!(Authority::parse(text.as_bytes()).as_ref(), Ok(&authority), "{shown}");
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn targets(raw in "(/(\\.|%2[eEfF]|%5c|%[0-9a-fA-F]{2}|[a-cA-C;/.])?){0,8}(\\?[ -~]{0,6})?") {
            any_target(raw.as_bytes());
        }

        #[test]
        fn authorities(text in "(\\[[0-9a-f:.]{0,8}\\]|[a-cA-C0-9._~-]{0,6})(:[0-9]{0,6})?") {
            any_authority(text.as_bytes());
        }

        #[test]
        fn noise(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            any_target(&bytes);
            any_authority(&bytes);
        }
    }

    /// Every file of a fuzz target's corpus holds its property.
    #[track_caller]
    fn check_corpus(target: &str, property: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus").join(target);
        let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(!files.is_empty(), "{} is empty", folder.display());
        for file in files {
            println!("{}", file.display());
            property(&fs::read(file).unwrap());
        }
    }

    #[test]
    fn corpora_hold_all_properties() {
        check_corpus("target", any_target);
        check_corpus("authority", any_authority);
    }
}

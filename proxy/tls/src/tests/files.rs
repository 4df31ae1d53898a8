//! The local authority's folder: made once, used again, and never in a state that needs a hand.

use super::*;
use crate::authority::{Authority, Created};
use crate::trust::{TrustStore, instructions};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn open(folder: &Path) -> (Authority, Created) {
    Authority::open_or_create(folder, now_unix_s()).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn files(folder: &Path) -> Vec<String> {
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    files
}

#[test]
fn it_is_made_once() {
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().join("deep").join("authority");
    let (first, created) = open(&folder);
    assert_eq!(created, Created(true));
    let (second, created) = open(&folder);
    assert_eq!(created, Created(false));
    assert_eq!(first.certificate_pem(), second.certificate_pem());
    assert_eq!(fs::read_to_string(second.certificate_path()).unwrap(), first.certificate_pem());
    assert_eq!((mode(&folder.join("ca.key")), mode(&folder.join("ca.pem"))), (0o600, 0o644));
    assert_eq!(files(&folder), ["ca.key", "ca.pem"]);
}

#[test]
fn a_leaf_is_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let now = now_unix_s();
    let (authority, _) = open(folder.path());
    let leaf = authority.leaf(&names(&["localhost", "127.0.0.1", "::1"]), now).unwrap();
    let again = names(&["::1", "LOCALHOST", "127.0.0.1", "localhost"]);
    assert!(authority.leaf(&again, now).unwrap() == leaf);
    assert!(open(folder.path()).0.leaf(&again, now + 30 * DAY_S).unwrap() == leaf);
    assert!(authority.leaf(&names(&["localhost"]), now).unwrap() != leaf);
    assert_eq!(files(folder.path()).len(), 4);
    for file in files(folder.path()).iter().filter(|file| file.starts_with("leaf-")) {
        assert_eq!(mode(&folder.path().join(file)), 0o600);
    }
    let near_its_end = now + 340 * DAY_S;
    assert!(authority.leaf(&again, near_its_end).unwrap() != leaf);
}

#[test]
fn a_damaged_leaf_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let now = now_unix_s();
    let (authority, _) = open(folder.path());
    let leaf = authority.leaf(&names(&["localhost"]), now).unwrap();
    let path = folder.path().join(files(folder.path()).pop().unwrap());
    let (good, other) = (fs::read(&path).unwrap(), certificate(&["localhost"]));
    let foreign = [other.chain_pem.clone(), other.key_pem.clone()].concat();
    let mixed = [leaf.chain_pem.clone(), other.key_pem].concat();
    for damage in
        [Vec::new(), b"nonsense".to_vec(), vec![0xff; 100], good[..good.len() / 2].to_vec(), foreign, mixed]
    {
        fs::write(&path, &damage).unwrap();
        let fresh = authority.leaf(&names(&["localhost"]), now).unwrap();
        assert!(fresh != leaf && authority.leaf(&names(&["localhost"]), now).unwrap() == fresh);
    }
}

#[test]
fn names_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, _) = open(folder.path());
    let many: Vec<String> = (0..101).map(|n| format!("host{n}.test")).collect();
    for bad in [names(&[]), names(&["a b"]), names(&[""]), names(&["*"]), names(&["a.test:443"]), many] {
        let error = authority.leaf(&bad, now_unix_s()).unwrap_err();
        assert!(matches!(error, Error::LeafNames { .. }), "{error}");
    }
    assert_eq!(files(folder.path()), ["ca.key", "ca.pem"]);
    let wild = names(&["*.local.test", "edge-1"]);
    let leaf = authority.leaf(&wild, now_unix_s()).unwrap();
    assert!(authority.leaf(&wild, now_unix_s()).unwrap() == leaf);
}

#[test]
fn clients_that_trust_it_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, _) = open(folder.path());
    let leaf = authority.leaf(&names(&["localhost", "127.0.0.1"]), now_unix_s()).unwrap();
    let server = server(vec![CertificateSettings {
        name: "local".to_owned(),
        chain_pem: leaf.chain_pem,
        key_pem: leaf.key_pem,
        ..CertificateSettings::default()
    }]);
    let ca_pem = Some(authority.certificate_pem().as_bytes().to_vec());
    let client = Client::build(&ClientSettings { ca_pem, alpn: Vec::new() }).unwrap();
    let (_, session) = connected(&client, &server, "localhost");
    assert_eq!(session.sni(), Some("localhost"));
    let (_, session) = connected(&client, &server, "127.0.0.1");
    assert_eq!(session.sni(), None);
    let mut stranger = Session::client(&client, "stranger.test").unwrap();
    assert!(converse(&mut stranger, &mut Session::server(&server)).is_err());
}

#[test]
fn near_its_end_it_is_renewed_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let later = now_unix_s() + 3640 * DAY_S;
    let (old, _) = open(folder.path());
    let key = fs::read(folder.path().join("ca.key")).unwrap();
    let (new, created) = Authority::open_or_create(folder.path(), later).unwrap();
    assert_eq!(created, Created(true), "it has to be trusted anew");
    assert_ne!(old.certificate_pem(), new.certificate_pem());
    assert_eq!(fs::read(folder.path().join("ca.key")).unwrap(), key);
    assert_eq!(Authority::open_or_create(folder.path(), later).unwrap().1, Created(false));
}

/// What a `kill -9` can leave behind: each is gone at the next start, which is a good one.
#[test]
fn a_crash_leaves_nothing_to_repair() {
    let whole = tempfile::tempdir().unwrap();
    open(whole.path());
    let file = |name: &str| (name.to_owned(), fs::read(whole.path().join(name)).unwrap());
    let half = |name: &str| (format!("{name}.new"), file(name).1[..40].to_vec());
    for (left, created) in [
        (vec![half("ca.key")], true),
        (vec![file("ca.key")], true),
        (vec![file("ca.key"), half("ca.pem")], true),
        (vec![file("ca.key"), file("ca.pem"), half("ca.pem")], false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in &left {
            fs::write(folder.path().join(name), bytes).unwrap();
            fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
        let (authority, now_created) = open(folder.path());
        assert_eq!(now_created, Created(created), "{left:?}");
        assert!(authority.leaf(&names(&["localhost"]), now_unix_s()).is_ok());
        assert_eq!(open(folder.path()).1, Created(false));
    }
}

/// Files that cannot be used stop the start with advice, and stay as they are.
#[test]
fn what_people_may_trust_is_never_overwritten() {
    #[track_caller]
    fn check(change: impl FnOnce(&Path), expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path());
        change(folder.path());
        let before = files(folder.path());
        let said = Authority::open_or_create(folder.path(), now_unix_s()).unwrap_err().to_string();
        assert!(said.contains(expected), "{said}\ndoes not contain\n{expected}");
        assert_eq!(files(folder.path()), before);
    }
    check(
        |folder| fs::remove_file(folder.join("ca.key")).unwrap(),
        "ca.key is missing: restore it, or remove",
    );
    check(|folder| fs::write(folder.join("ca.key"), "nonsense").unwrap(), "ca.key cannot be used");
    check(|folder| fs::write(folder.join("ca.pem"), "nonsense").unwrap(), "ca.pem cannot be used");
    check(|folder| fs::write(folder.join("ca.pem"), [0xff; 9]).unwrap(), "ca.pem cannot be used");
    check(
        |folder| fs::write(folder.join("ca.pem"), CA.pem()).unwrap(),
        "ca.pem cannot be used: it does not belong to ca.key",
    );
    check(
        |folder| {
            fs::set_permissions(folder.join("ca.key"), fs::Permissions::from_mode(0o640)).unwrap();
        },
        "can be read by others (mode 640): run `chmod 600`",
    );
    check(
        |folder| {
            fs::remove_file(folder.join("ca.key")).unwrap();
            fs::create_dir(folder.join("ca.key")).unwrap();
        },
        "cannot read",
    );
}

#[test]
fn a_folder_that_cannot_be_made_is_told() {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("file");
    fs::write(&file, "").unwrap();
    let said = Authority::open_or_create(&file.join("below"), now_unix_s()).unwrap_err().to_string();
    assert!(said.starts_with("cannot create "), "{said}");
}

/// A system with these folders: where the certificate goes and what is run.
#[track_caller]
fn check_store(folders: &[&str], expected: Option<(&str, &str)>) {
    let store = TrustStore::detect(|path| folders.iter().any(|folder| Path::new(folder) == path));
    let steps = store.and_then(|store| store.steps(Path::new("/state/ca.pem")));
    let steps = steps.map(|steps| {
        assert_eq!(steps.copy_from, Path::new("/state/ca.pem"));
        (steps.copy_to.parent().unwrap().to_str().unwrap().to_owned(), steps.run.join(" "))
    });
    assert_eq!(steps, expected.map(|(to, run)| (to.to_owned(), run.to_owned())));
}

#[test]
fn trust_stores_are_told_apart() {
    let (debian, fedora) = ("/usr/local/share/ca-certificates", "/etc/pki/ca-trust/source/anchors");
    let (arch, suse) = ("/etc/ca-certificates/trust-source/anchors", "/etc/pki/trust/anchors");
    check_store(&[debian], Some((debian, "update-ca-certificates")));
    check_store(&[fedora], Some((fedora, "update-ca-trust extract")));
    check_store(&[arch], Some((arch, "trust extract-compat")));
    check_store(&[debian, suse], Some((suse, "update-ca-certificates")));
    check_store(&["/etc"], None);
    assert!(instructions(Path::new("/state/ca.pem")).contains("curl --cacert /state/ca.pem"));
}

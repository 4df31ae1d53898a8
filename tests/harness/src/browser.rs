//! A browser: Chromium without a screen, with a profile of its own that trusts who it is told to. It opens one page and
//! gives back the document as scripts left it. It does not know what the page does.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

use crate::tools::{program, run};

/// Time that scripts may take, as the page sees it: it stands still while anything is fetched.
const PAGE_MS_MAX: u32 = 20_000;

/// Opens a page, trusting this authority (PEM) beside the public ones; the document when nothing goes on any more, or what
/// the browser says if there is none.
#[track_caller]
pub fn browse(url: &str, authority: Option<&Path>) -> Result<String, String> {
    let home = TempDir::new().unwrap_or_else(|error| panic!("no folder: {error}"));
    if let Some(authority) = authority {
        trust(home.path(), authority);
    }
    let mut command = Command::new(program("chromium-headless-shell"));
    command
        .env("HOME", home.path())
        // Tests run as root, too, where the sandbox refuses; the page is ours.
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server"])
        .arg(format!("--user-data-dir={}", home.path().join("profile").display()))
        .arg(format!("--virtual-time-budget={PAGE_MS_MAX}"))
        .args(["--timeout=60000", "--dump-dom", url]);
    let output = run(&mut command, b"");
    let document = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() && !document.is_empty() {
        Ok(document)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Puts an authority into a user's store as a person would.
#[track_caller]
fn trust(home: &Path, authority: &Path) {
    let store = home.join(".pki/nssdb");
    fs::create_dir_all(&store).unwrap_or_else(|error| panic!("{}: {error}", store.display()));
    let store = format!("sql:{}", store.display());
    let certutil = |arguments: &[&str]| {
        let mut command = Command::new(program("certutil"));
        command.args(["-d", &store]).args(arguments);
        let output = run(&mut command, b"");
        assert!(output.status.success(), "certutil: {}", String::from_utf8_lossy(&output.stderr));
    };
    certutil(&["-N", "--empty-password"]);
    let file = authority.to_string_lossy();
    certutil(&["-A", "-t", "C,,", "-n", "floodgate", "-i", &file]);
}

//! Where it runs: cores, free ports, a folder with what both gateways need, and a line about the machine.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;

use crate::shell;

/// Ports and files of one comparison.
pub(super) struct Site {
    pub(super) folder: PathBuf,
    /// Our binary.
    pub(super) gateway: PathBuf,
    pub(super) port: u16,
    pub(super) tls: u16,
    pub(super) backend: u16,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Site {
    /// Makes bodies and a certificate (ECDSA P-256) in the folder.
    pub(super) fn new(folder: &Path, gateway: PathBuf) -> anyhow::Result<Self> {
        // nginx' worker is another user where we are the administrator, and must be able to read its files.
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
        fs::write(folder.join("1k"), vec![b'a'; 1 << 10])?;
        fs::write(folder.join("64k"), vec![b'b'; 64 << 10])?;
        let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        let mut openssl = Command::new("openssl");
        openssl.args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ]);
        openssl.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout"]);
        shell::read(openssl.arg(&key).arg("-out").arg(&certificate))
            .context("openssl makes a certificate")?;
        let [port, tls, backend] = free_ports()?;
        Ok(Self { folder: folder.to_path_buf(), gateway, port, tls, backend, certificate, key })
    }
}

/// How many cores we may use.
pub(super) fn cores() -> anyhow::Result<usize> {
    Ok(std::thread::available_parallelism()?.get())
}

/// What a reader of the table must know.
pub(super) fn about() -> anyhow::Result<String> {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown processor");
    let kernel = shell::read(Command::new("uname").arg("-r"))?;
    let nginx = shell::which("nginx").context("nginx")?;
    let version = Command::new(nginx).arg("-v").output()?;
    let version = String::from_utf8_lossy(&version.stderr).into_owned();
    Ok(format!(
        "{}, {} cores, Linux {}, {}",
        model.trim_start_matches([' ', '\t', ':']),
        cores()?,
        kernel.trim(),
        version.trim().replace("nginx version: ", "")
    ))
}

/// Three at once, so that they differ.
fn free_ports() -> anyhow::Result<[u16; 3]> {
    let listeners = [
        TcpListener::bind("127.0.0.1:0")?,
        TcpListener::bind("127.0.0.1:0")?,
        TcpListener::bind("127.0.0.1:0")?,
    ];
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

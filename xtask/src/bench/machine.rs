//! Where it runs: free ports, a folder with what all gateways need, and a line about the machine.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;

use super::{cores::Cores, load::Tool};
use crate::shell;

/// Ports, files and cores of one comparison.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) folder: PathBuf,
    pub(super) cores: Cores,
    pub(super) port: u16,
    pub(super) tls: u16,
    pub(super) backend: u16,
    /// That of a backend of HTTP/2 by prior knowledge, nghttpd.
    pub(super) backend_h2: u16,
    /// The same, of the backend that is nginx.
    pub(super) backend_h2_nginx: u16,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    /// Both in one file, as HAProxy wants them.
    pub(super) pair: PathBuf,
    /// The body of uploads.
    pub(super) upload: PathBuf,
}

impl Site {
    /// Makes bodies and a certificate (ECDSA P-256) in the folder.
    pub(super) fn new(folder: &Path, cores: Cores, upload_bytes: usize) -> anyhow::Result<Self> {
        // nginx' worker is another user where we are the administrator, and must be able to read its files.
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
        fs::write(folder.join("1k"), vec![b'a'; 1 << 10])?;
        fs::write(folder.join("64k"), vec![b'b'; 64 << 10])?;
        // nghttpd has no other names for a file than its path.
        fs::create_dir(folder.join("h"))?;
        fs::copy(folder.join("1k"), folder.join("h/1k"))?;
        let upload = folder.join("upload");
        fs::write(&upload, vec![b'x'; upload_bytes])?;
        let file = |name: &str| folder.join(name);
        let (certificate, key, pair) = (file("cert.pem"), file("key.pem"), file("pair.pem"));
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        openssl.args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
        openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
        shell::read(&mut openssl).context("openssl makes a certificate")?;
        fs::write(&pair, [fs::read(&certificate)?, fs::read(&key)?].concat())?;
        let [port, tls, backend, backend_h2, backend_h2_nginx] = free_ports()?;
        let folder = folder.to_path_buf();
        Ok(Self {
            folder,
            cores,
            port,
            tls,
            backend,
            backend_h2,
            backend_h2_nginx,
            certificate,
            key,
            pair,
            upload,
        })
    }

    /// The same for the next gateway, on ports that none had: the kernel may hold a listener a while longer than the
    /// process whose ring accepted on it.
    pub(super) fn with_fresh_ports(&self) -> anyhow::Result<Self> {
        let [port, tls] = free_ports()?;
        Ok(Self { port, tls, ..self.clone() })
    }
}

/// What a reader of the table must know.
pub(super) fn about(cores: Cores, tool: Tool, programs: &[&str]) -> anyhow::Result<String> {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown processor");
    let kernel = shell::read(Command::new("uname").arg("-r"))?;
    let mut parts = vec![
        model.trim_start_matches([' ', '\t', ':']).to_owned(),
        format!("{} cores", std::thread::available_parallelism()?),
        format!("Linux {}", kernel.trim()),
    ];
    for program in programs {
        parts.push(version(program)?);
    }
    parts.push(format!(
        "{tool} on core {}, the backend on {}, the gateway alone on {}",
        cores.load, cores.backend, cores.gateway
    ));
    Ok(parts.join(", "))
}

/// `nginx/1.22.1` and `HAProxy 2.6.12-1+deb12u4`: each says it in its own way, one on standard error.
fn version(program: &str) -> anyhow::Result<String> {
    let path = shell::which(program).with_context(|| program.to_owned())?;
    let output = Command::new(path).arg("-v").output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let line = said.lines().next().unwrap_or_default().replace("nginx version: ", "").replace("version ", "");
    Ok(line.split_whitespace().take(if program == "haproxy" { 2 } else { 1 }).collect::<Vec<_>>().join(" "))
}

/// All at once, so that they differ.
fn free_ports<const COUNT: usize>() -> anyhow::Result<[u16; COUNT]> {
    let listeners = (0..COUNT).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
    let mut ports = [0; COUNT];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

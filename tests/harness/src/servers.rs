//! Real servers: nginx, nghttpd, HAProxy and Python's http.server, each in a folder of its own.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{
    process::{Process, eventually, free_port},
    protocol::{Protocol, over},
    tools::program,
};

/// nginx, over HTTP/2 where the test's backends are, with a few locations: `/small`, `/empty`, `/large` (1 MiB), `/show` (what it was asked), files under `/files/`.
#[derive(Debug)]
pub struct Nginx {
    _process: Process,
    address: SocketAddr,
    folder: TempDir,
}

/// nghttpd, nghttp2's own server: HTTP/2 of prior knowledge on a folder; it sends back what is posted.
#[derive(Debug)]
pub struct Nghttpd {
    _process: Process,
    address: SocketAddr,
    folder: TempDir,
}

/// Python's http.server on a folder.
#[derive(Debug)]
pub struct PythonServer {
    _process: Process,
    address: SocketAddr,
    folder: TempDir,
}

/// HAProxy with sections of the test's, in a folder of its own.
#[derive(Debug)]
pub struct Haproxy {
    _process: Process,
    address: SocketAddr,
    _folder: TempDir,
}

/// How often a port may be taken by somebody else between our look and nginx's.
const ATTEMPTS: usize = 5;

impl Nginx {
    /// Starts it.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Starts it with more lines in its server block.
    pub fn start_with(server: &str) -> Self {
        for _ in 0..ATTEMPTS {
            if let Some(nginx) = Self::try_start(server) {
                return nginx;
            }
        }
        panic!("nginx did not start in {ATTEMPTS} attempts");
    }

    fn try_start(server: &str) -> Option<Self> {
        let folder = TempDir::new().unwrap_or_else(|error| panic!("no folder: {error}"));
        let (root, port) = (folder.path(), free_port());
        let config = config(root, port, server);
        write(&root.join("nginx.conf"), &config);
        fs::create_dir_all(root.join("files")).unwrap_or_else(|error| panic!("{error}"));
        write(&root.join("files/large"), &"0123456789abcdef".repeat(1 << 16));
        let mut command = Command::new(program("nginx"));
        command
            .arg("-p")
            .arg(root)
            .arg("-c")
            .arg(root.join("nginx.conf"))
            .arg("-e")
            .arg(root.join("error.log"));
        let process = Process::start(&mut command);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let pid = root.join("nginx.pid");
        let up = eventually("nginx is up", || {
            if TcpStream::connect(address).is_ok() && pid.exists() {
                return Some(true);
            }
            let log = fs::read_to_string(root.join("error.log")).unwrap_or_default();
            log.contains("[emerg]").then_some(false)
        });
        up.then_some(Self { _process: process, address, folder })
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A file that it serves under `/files/`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("files").join(name)
    }
}

impl Nghttpd {
    /// Starts it.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts it with more arguments.
    pub fn start_with(arguments: &[&str]) -> Self {
        for _ in 0..ATTEMPTS {
            let folder = TempDir::new().unwrap_or_else(|error| panic!("no folder: {error}"));
            let port = free_port();
            let mut command = Command::new(program("nghttpd"));
            command
                .args(["--verbose", "--no-tls", "--echo-upload", "-a", "127.0.0.1", "-d"])
                .arg(folder.path());
            command.args(arguments).arg(port.to_string());
            let process = Process::start(&mut command);
            // IPv4: listen 127.0.0.1:40961
            let up = process
                .wait_for_stdout(|lines| lines.iter().any(|line| line.contains("listen")).then_some(()));
            if up.is_some() {
                return Self { _process: process, address: SocketAddr::from(([127, 0, 0, 1], port)), folder };
            }
        }
        panic!("nghttpd did not start in {ATTEMPTS} attempts");
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Puts a file into its folder.
    pub fn put(&self, name: &str, text: &str) {
        write(&self.folder.path().join(name), text);
    }
}

impl Haproxy {
    /// Starts it with these sections; `{PORT}` in them is the port that it is asked at.
    #[track_caller]
    pub fn start(sections: &str) -> Self {
        for _ in 0..ATTEMPTS {
            if let Some(haproxy) = Self::try_start(sections) {
                return haproxy;
            }
        }
        panic!("haproxy did not start in {ATTEMPTS} attempts");
    }

    #[track_caller]
    fn try_start(sections: &str) -> Option<Self> {
        let folder = TempDir::new().unwrap_or_else(|error| panic!("no folder: {error}"));
        let port = free_port();
        let file = folder.path().join("haproxy.cfg");
        let sections = sections.replace("{PORT}", &port.to_string());
        write(
            &file,
            &format!(
                "global\n  maxconn 4000\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  \
                 timeout server 60s\n{sections}\n"
            ),
        );
        let process = Process::start(Command::new(program("haproxy")).arg("-db").arg("-f").arg(&file));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let up = eventually("haproxy is up", || {
            if TcpStream::connect(address).is_ok() {
                return Some(true);
            }
            let said = process.said().1;
            assert!(!said.contains("[ALERT]") || said.contains("cannot bind"), "{said}");
            said.contains("cannot bind").then_some(false)
        });
        up.then_some(Self { _process: process, address, _folder: folder })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl PythonServer {
    /// Starts it on an empty folder.
    pub fn start() -> Self {
        let folder = TempDir::new().unwrap_or_else(|error| panic!("no folder: {error}"));
        let mut command = Command::new(program("python3"));
        command
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"])
            .arg(folder.path());
        let process = Process::start(&mut command);
        // Serving HTTP on 127.0.0.1 port 40961 (http://127.0.0.1:40961/) ...
        let port = process.wait_for_stdout(|lines| {
            let line = lines.iter().find(|line| line.starts_with("Serving HTTP"))?;
            line.split("port ").nth(1)?.split(' ').next()?.parse::<u16>().ok()
        });
        let port = port.unwrap_or_else(|| panic!("http.server did not start: {:?}", process.said()));
        Self { _process: process, address: SocketAddr::from(([127, 0, 0, 1], port)), folder }
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Puts a file into its folder.
    pub fn put(&self, name: &str, text: &str) {
        write(&self.folder.path().join(name), text);
    }
}

fn config(root: &Path, port: u16, server: &str) -> String {
    let root = root.display();
    // Either, since without TLS this nginx cannot tell them apart.
    let http2 = if over().backends == Protocol::Http2 { " http2" } else { "" };
    format!(
        "daemon off; master_process off; worker_processes 1; pid {root}/nginx.pid; error_log {root}/error.log;
        events {{ worker_connections 1024; }}
        http {{
          access_log off; server_tokens off; keepalive_requests 1000000; default_type text/plain;
          client_max_body_size 64m; client_body_buffer_size 64m;
          client_body_temp_path {root}/a; proxy_temp_path {root}/b; fastcgi_temp_path {root}/c;
          uwsgi_temp_path {root}/d; scgi_temp_path {root}/e;
          server {{
            listen 127.0.0.1:{port}{http2};
            location = /small {{ return 200 'small'; }}
            location = /empty {{ return 204; }}
            location = /large {{ alias {root}/files/large; }}
            location /files/ {{ alias {root}/files/; dav_methods PUT; create_full_put_path on; }}
            location /show {{ return 200 '$request_method $request_uri $server_protocol $http_host'; }}
            {server}
          }}
        }}"
    )
}

fn write(file: &Path, text: &str) {
    fs::write(file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

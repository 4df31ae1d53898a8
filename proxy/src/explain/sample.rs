//! The request that is explained, as it would come over a connection: its bytes are put together and read by the codec that serves.

use std::net::IpAddr;

use anyhow::{Context as _, Result, bail};
use message::{Request, Response, Scheme};
use snapshot::{Listener, Snapshot};
use wire::{Limits, h1};

use crate::cli::Explain;

/// A request, ready to be read.
pub(super) struct Sample {
    /// The index of the listener at which it comes.
    pub(super) listener: usize,
    /// The port on which it comes.
    pub(super) port: u16,
    /// Why that one, where the URL names another.
    pub(super) note: Option<String>,
    pub(super) method: String,
    pub(super) url: String,
    pub(super) from: IpAddr,
    head: Vec<u8>,
    pub(super) body: Vec<u8>,
}

/// A backend's answer that was put into its mouth.
pub(super) struct Reply {
    head: Vec<u8>,
    pub(super) body: Vec<u8>,
}

impl Sample {
    /// What the command line asks for.
    pub(super) fn of(asked: &Explain, snapshot: &Snapshot) -> Result<Self> {
        let url = asked.what.last().map(String::as_str).unwrap_or_default();
        let body = asked.data.as_deref().map(data).transpose()?;
        let usual = if body.is_some() { "POST" } else { "GET" };
        let method = asked.method.clone().unwrap_or_else(|| usual.to_owned());
        let (scheme, authority, target) = parts(url)?;
        let asked_port = scheme.zip(authority).map(|(scheme, authority)| port(scheme, authority));
        let (listener, note) = listener(&snapshot.listeners, scheme, asked_port)?;
        let address = snapshot.listeners[listener].address;
        // Which one the kernel gives is not known before.
        let port = if address.port() == 0 { asked_port.unwrap_or_default() } else { address.port() };
        let address = address.to_string();
        let host = authority.map_or(address, str::to_owned);
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        if !asked.headers.iter().any(|header| is_named(header, "host")) {
            head += &format!("Host: {host}\r\n");
        }
        head += &fields(&asked.headers)?;
        if let Some(body) = &body {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        head += "\r\n";
        let body = body.unwrap_or_default();
        Ok(Self {
            listener,
            port,
            note,
            method,
            url: url.to_owned(),
            from: asked.from,
            head: head.into_bytes(),
            body,
        })
    }

    /// Reads it as a connection does; or what its client is told, and why.
    pub(super) fn read(&self, snapshot: &Snapshot) -> Result<Request, Box<(Response, String)>> {
        let mut request = Request::default();
        let limits = shard::request_limits(snapshot);
        let refused = |status, why: String| {
            let mut response = Response::default();
            shard::refuse_malformed(status, snapshot.stranger_dialect(), &mut response);
            Box::new((response, why))
        };
        match h1::decode_request(&self.head, &limits, snapshot.path_rules, &mut request) {
            Ok(Some((bytes, _))) if bytes == self.head.len() => {}
            // A line end in a header has ended the head.
            Ok(_) => return Err(refused(400, "a header has a line end".to_owned())),
            Err(error) => return Err(refused(error.status(), error.to_string())),
        }
        let is_secure = snapshot.listeners[self.listener].tls.is_some();
        request.scheme = if is_secure { Scheme::Https } else { Scheme::Http };
        Ok(request)
    }
}

impl Reply {
    /// What the command line says that a backend answers.
    pub(super) fn of(asked: &Explain) -> Result<Option<Self>> {
        let Some(status) = asked.response else { return Ok(None) };
        let body = asked.response_body.as_deref().map(data).transpose()?.unwrap_or_default();
        let mut head = format!("HTTP/1.1 {status} {}\r\n", message::reason_phrase(status));
        head += &fields(&asked.response_header)?;
        head += &format!("Content-Length: {}\r\n\r\n", body.len());
        Ok(Some(Self { head: head.into_bytes(), body }))
    }

    /// Reads it as a backend's answer is read.
    pub(super) fn read(&self, request: &Request, response: &mut Response) -> Result<(), String> {
        match h1::decode_response(&self.head, &Limits::UPSTREAM, &request.method, response) {
            Ok(Some((bytes, _))) if bytes == self.head.len() => Ok(()),
            Ok(_) => Err("a header has a line end".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Scheme and authority, if there are any, and what is asked for.
fn parts(url: &str) -> Result<(Option<Scheme>, Option<&str>, String)> {
    let (scheme, rest) = match url.split_once("://") {
        Some(("https", rest)) => (Some(Scheme::Https), rest),
        Some(("http", rest)) => (Some(Scheme::Http), rest),
        None if url.starts_with('/') => (None, url),
        _ => bail!("`{url}` is neither a URL nor a path: write https://api.example.com/pets, or /pets"),
    };
    let end = if scheme.is_some() { rest.find(['/', '?', '#']).unwrap_or(rest.len()) } else { 0 };
    let (authority, target) = rest.split_at(end);
    // What stands behind it is the client's own affair.
    let target = target.split('#').next().unwrap_or_default();
    let slash = if target.starts_with('/') { "" } else { "/" };
    Ok((scheme, scheme.map(|_| authority), format!("{slash}{target}")))
}

/// At which listener a URL arrives.
fn listener(
    listeners: &[Listener],
    scheme: Option<Scheme>,
    port: Option<u16>,
) -> Result<(usize, Option<String>)> {
    let first = listeners.first().context("there is no listener")?;
    let (Some(scheme), Some(port)) = (scheme, port) else { return Ok((0, None)) };
    let is_secure = scheme == Scheme::Https;
    let speaks = |listener: &Listener| listener.tls.is_some() == is_secure;
    let exact = listeners.iter().position(|it| speaks(it) && [port, 0].contains(&it.address.port()));
    if let Some(exact) = exact {
        return Ok((exact, None));
    }
    let near = listeners.iter().position(speaks);
    let chosen = near.map_or(first, |near| &listeners[near]);
    let note = format!(
        "no listener speaks {} at port {port}: explained as if it came by `{}`, {}",
        scheme.as_str(),
        chosen.name,
        chosen.address
    );
    Ok((near.unwrap_or_default(), Some(note)))
}

/// The port of a URL.
fn port(scheme: Scheme, authority: &str) -> u16 {
    let written = message::Authority::parse(authority.as_bytes()).ok().and_then(|it| it.port());
    written.unwrap_or(if scheme == Scheme::Https { 443 } else { 80 })
}

/// Headers as they were written, `Name: value`.
fn fields(headers: &[String]) -> Result<String> {
    let mut fields = String::new();
    for header in headers {
        if !header.contains(':') {
            bail!("`{header}` is no header: write 'Name: value'");
        }
        fields += &format!("{header}\r\n");
    }
    Ok(fields)
}

fn is_named(header: &str, name: &str) -> bool {
    header.split_once(':').is_some_and(|(own, _)| own.eq_ignore_ascii_case(name))
}

/// A body as it was written, or the file behind `@`.
fn data(text: &str) -> Result<Vec<u8>> {
    match text.strip_prefix('@') {
        Some(file) => std::fs::read(file).with_context(|| format!("cannot read {file}")),
        None => Ok(text.as_bytes().to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: Option<(Option<Scheme>, Option<&str>, &str)>) {
        let parts = parts(url).ok();
        let parts = parts.as_ref().map(|(scheme, authority, target)| (*scheme, *authority, &**target));
        assert_eq!(parts, expected, "{url}");
    }

    #[test]
    fn a_url_or_a_path_is_what_is_asked_for() {
        check("/pets?x=1#y", Some((None, None, "/pets?x=1")));
        check("https://a.example", Some((Some(Scheme::Https), Some("a.example"), "/")));
        check("http://a.example:81?x", Some((Some(Scheme::Http), Some("a.example:81"), "/?x")));
        check("http://[::1]:81/%2f", Some((Some(Scheme::Http), Some("[::1]:81"), "/%2f")));
        check("ftp://a.example/", None);
        check("pets", None);
        check("", None);
    }
}

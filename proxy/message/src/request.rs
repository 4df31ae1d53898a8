//! A request as every room after the codec sees it.

use crate::{Authority, AuthorityError, Body, Headers, Method, Target};

/// A request: what is asked, of whom, how. Its headers are the end-to-end ones only; those of the hop (`connection`
/// and what it names, `te`, `transfer-encoding`, `content-length`, `host`, `expect`, `upgrade`) became typed fields
/// here or in the codec's framing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// What to do.
    pub method: Method,
    /// On which path and query.
    pub target: Target,
    /// At which host.
    pub authority: Authority,
    /// Over which security.
    pub scheme: Scheme,
    /// In which version of HTTP the client spoke.
    pub version: Version,
    /// Which of its parts are to be kept in no table of what was sent before.
    pub never_indexed: NeverIndexed,
    /// End-to-end fields.
    pub headers: Headers,
    /// What follows.
    pub body: Body,
    /// What few requests have.
    pub rare: Option<Box<Rare>>,
}

/// What few requests have: all the others look at it once. [`Request::upgrade`] and [`Request::host_for`] read it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rare {
    upgrade: Option<Box<str>>,
    told_host: Authority,
}

/// What stands among the fields in HTTP/2, and whether it was sent as [`Field::never_indexed`](crate::Field::never_indexed).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NeverIndexed {
    /// The path and the query.
    pub target: bool,
    /// The authority.
    pub authority: bool,
}

/// Whether the client came over TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Over TLS.
    #[default]
    Https,
    /// In the clear.
    Http,
}

/// Versions of HTTP that a client may speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
    /// HTTP/2
    Http2,
}

impl Request {
    /// Forgets the content, keeps the memory.
    pub fn clear(&mut self) {
        self.method = Method::Get;
        self.target.clear();
        self.authority.clear();
        self.never_indexed = NeverIndexed::default();
        self.headers.clear();
        self.body = Body::Empty;
        if let Some(rare) = &mut self.rare {
            rare.clear();
        }
    }

    /// The protocol the client asks to change to (`websocket`), when it does and may.
    pub fn upgrade(&self) -> Option<&str> {
        self.rare.as_ref()?.upgrade.as_deref()
    }

    /// It asks to change to this protocol.
    pub fn set_upgrade(&mut self, protocol: Box<str>) {
        self.rare.get_or_insert_default().upgrade = Some(protocol);
    }

    /// A backend is told this host and not its own (row 118); empty: its own. What is no host is refused, and nothing is told.
    pub fn tell_host(&mut self, host: &str) -> Result<(), AuthorityError> {
        match &mut self.rare {
            None if host.is_empty() => Ok(()),
            Some(rare) if host.is_empty() => {
                rare.told_host.clear();
                Ok(())
            }
            rare => rare.get_or_insert_default().told_host.read(host.as_bytes()),
        }
    }

    /// The host that a backend is told whose own is this.
    pub fn host_for<'a>(&'a self, own: &'a Authority) -> &'a Authority {
        self.rare.as_ref().map(|rare| &rare.told_host).filter(|told| !told.as_str().is_empty()).unwrap_or(own)
    }
}

impl Rare {
    #[cold]
    fn clear(&mut self) {
        self.upgrade = None;
        self.told_host.clear();
    }
}

impl Scheme {
    /// `https` or `http`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }
}

impl Version {
    /// As `$context.protocol` shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2.0",
        }
    }
}

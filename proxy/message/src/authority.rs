//! Host and port of a request (RFC 3986 §3.2), checked and lower-cased once.

/// Where a request is addressed: a reg-name, an IPv4 or a bracketed IPv6 address, and maybe a port.
#[derive(Debug, Default)]
pub struct Authority {
    /// Sound in any case: while `is_set` is false it is what was read last, which is likely to come again.
    text: String,
    host_bytes: usize,
    port: Option<u16>,
    is_set: bool,
}

/// Why a `Host` or an authority was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorityError {
    /// No bytes before the port or at all.
    Empty,
    /// A byte that neither a reg-name nor an address has.
    BadByte,
    /// After the colon stands something other than a number from 0 to 65,535.
    BadPort,
    /// Brackets around something other than an IPv6 address.
    BadAddress,
}

impl Authority {
    /// Reads `host[:port]`, keeping this value's memory. On an error the value is empty.
    pub fn read(&mut self, input: &[u8]) -> Result<(), AuthorityError> {
        self.is_set = !input.is_empty() && input == self.text.as_bytes();
        if self.is_set {
            // The same as last time, which is known to be sound.
            return Ok(());
        }
        self.text.clear();
        let host_bytes = host_length(input)?;
        let port = match &input[host_bytes..] {
            [] => None,
            [b':', digits @ ..] => Some(port(digits)?),
            _ => return Err(AuthorityError::BadByte),
        };
        // Checked above: all of it is ASCII.
        self.text.push_str(std::str::from_utf8(input).map_err(|_| AuthorityError::BadByte)?);
        self.text.make_ascii_lowercase();
        self.host_bytes = host_bytes;
        self.port = port;
        self.is_set = true;
        Ok(())
    }

    /// The same, making a new value.
    pub fn parse(input: &[u8]) -> Result<Self, AuthorityError> {
        let mut authority = Self::default();
        authority.read(input)?;
        Ok(authority)
    }

    /// Forgets the content, keeps the memory.
    pub fn clear(&mut self) {
        self.is_set = false;
    }

    /// `host[:port]`, lower case.
    pub fn as_str(&self) -> &str {
        if self.is_set { &self.text } else { "" }
    }

    /// The host alone, lower case; IPv6 addresses keep their brackets.
    pub fn host(&self) -> &str {
        if self.is_set { &self.text[..self.host_bytes] } else { "" }
    }

    /// The port, if one was written.
    pub fn port(&self) -> Option<u16> {
        if self.is_set { self.port } else { None }
    }
}

/// A port is written in the text.
impl PartialEq for Authority {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Authority {}

/// A copy is of the value, without what was read before it.
impl Clone for Authority {
    fn clone(&self) -> Self {
        let text = self.as_str().to_owned();
        Self { text, host_bytes: self.host().len(), port: self.port(), is_set: self.is_set }
    }
}

fn host_length(input: &[u8]) -> Result<usize, AuthorityError> {
    if let [b'[', rest @ ..] = input {
        let inner = rest.iter().position(|&byte| byte == b']').ok_or(AuthorityError::BadAddress)?;
        let text = std::str::from_utf8(&rest[..inner]).map_err(|_| AuthorityError::BadAddress)?;
        text.parse::<std::net::Ipv6Addr>().map_err(|_| AuthorityError::BadAddress)?;
        return Ok(inner + 2);
    }
    let bytes = input.iter().position(|&byte| !HOST_BYTES[usize::from(byte)]).unwrap_or(input.len());
    match (bytes, input.get(bytes)) {
        (_, Some(&byte)) if byte != b':' => Err(AuthorityError::BadByte),
        (0, _) => Err(AuthorityError::Empty),
        _ => Ok(bytes),
    }
}

/// Unreserved bytes only: names with sub-delims (`a,b`, `a;b`) have split our peers' opinions before.
const HOST_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        byte += 1;
    }
    table
};

fn port(digits: &[u8]) -> Result<u16, AuthorityError> {
    if digits.is_empty() || digits.len() > 5 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(AuthorityError::BadPort);
    }
    let number = digits.iter().fold(0u32, |number, digit| number * 10 + u32::from(digit - b'0'));
    u16::try_from(number).map_err(|_| AuthorityError::BadPort)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &str, expected: Result<(&str, Option<u16>), AuthorityError>) {
        let authority = Authority::parse(input.as_bytes());
        assert_eq!(authority.as_ref().map(|a| (a.host(), a.port())).map_err(|error| *error), expected);
    }

    #[test]
    fn hosts_and_ports_are_told_apart() {
        check("Example.COM", Ok(("example.com", None)));
        check("example.com:8443", Ok(("example.com", Some(8443))));
        check("[::1]:80", Ok(("[::1]", Some(80))));
        check("127.0.0.1", Ok(("127.0.0.1", None)));
    }

    #[test]
    fn what_was_read_last_shows_in_nothing() {
        let mut authority = Authority::parse(b"a.example:80").unwrap();
        authority.clear();
        assert_eq!((authority.as_str(), authority.host(), authority.port()), ("", "", None));
        assert_eq!((&authority, authority.clone()), (&Authority::default(), Authority::default()));
        for (input, expected) in [
            ("a.example:80", Ok(())),
            ("A.example:80", Ok(())),
            ("a.example:8o", Err(AuthorityError::BadPort)),
            ("", Err(AuthorityError::Empty)),
            ("a.example:80", Ok(())),
        ] {
            assert_eq!(authority.read(input.as_bytes()), expected, "{input}");
            let fresh = Authority::parse(input.as_bytes()).unwrap_or_default();
            assert_eq!(
                (&authority, authority.host(), authority.port()),
                (&fresh, fresh.host(), fresh.port())
            );
        }
    }

    #[test]
    fn anything_else_is_refused() {
        check("", Err(AuthorityError::Empty));
        check(":80", Err(AuthorityError::Empty));
        for text in ["a,b", "a b", "a/b", "user@host", "a%41", "h\u{e9}", "a\0b", "[::1]x"] {
            check(text, Err(AuthorityError::BadByte));
        }
        for text in ["a:", "a:65536", "a:8x", "a:+8", "a:80:80", "a:000080"] {
            check(text, Err(AuthorityError::BadPort));
        }
        check("[::g]", Err(AuthorityError::BadAddress));
        check("[::1", Err(AuthorityError::BadAddress));
    }
}

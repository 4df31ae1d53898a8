//! Header fields in two arenas: the names and the values of a message lie in two buffers that are kept from request to
//! request, so that neither reading, changing nor forgetting them allocates in steady state.

/// The fields that the gateway itself looks at; all others are [`Name::Other`].
/// Knowing them by number makes a look-up a scan over bytes of one cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Name {
    /// Any field that has no variant of its own.
    Other,
    /// `accept`
    Accept,
    /// `accept-encoding`
    AcceptEncoding,
    /// `access-control-request-headers`
    AccessControlRequestHeaders,
    /// `access-control-request-method`
    AccessControlRequestMethod,
    /// `age`
    Age,
    /// `authorization`
    Authorization,
    /// `cache-control`
    CacheControl,
    /// `connection`
    Connection,
    /// `content-encoding`
    ContentEncoding,
    /// `content-length`
    ContentLength,
    /// `content-type`
    ContentType,
    /// `cookie`
    Cookie,
    /// `date`
    Date,
    /// `expect`
    Expect,
    /// `forwarded`
    Forwarded,
    /// `host`
    Host,
    /// `if-modified-since`
    IfModifiedSince,
    /// `if-none-match`
    IfNoneMatch,
    /// `keep-alive`
    KeepAlive,
    /// `origin`
    Origin,
    /// `proxy-connection`
    ProxyConnection,
    /// `range`
    Range,
    /// `server`
    Server,
    /// `set-cookie`
    SetCookie,
    /// `te`
    Te,
    /// `trailer`
    Trailer,
    /// `transfer-encoding`
    TransferEncoding,
    /// `upgrade`
    Upgrade,
    /// `user-agent`
    UserAgent,
    /// `vary`
    Vary,
    /// `via`
    Via,
    /// `x-api-key`
    XApiKey,
    /// `x-forwarded-for`
    XForwardedFor,
    /// `x-forwarded-host`
    XForwardedHost,
    /// `x-forwarded-port`
    XForwardedPort,
    /// `x-forwarded-proto`
    XForwardedProto,
}

/// Where one field lies in the arenas.
#[derive(Clone, Copy, Debug)]
struct Span {
    name: Name,
    name_bytes: u16,
    name_at: u32,
    value_at: u32,
    value_bytes: u32,
}

/// One field: what it is, its name as it was written, its value without surrounding white space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Which known field it is.
    pub name: Name,
    /// The name as it was written; compare it without regard to case.
    pub text: &'a str,
    /// The value.
    pub value: &'a [u8],
}

/// The fields of a message in their order.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    names: String,
    values: Vec<u8>,
    spans: Vec<Span>,
}

impl Headers {
    /// Forgets all fields, keeps the memory.
    pub fn clear(&mut self) {
        self.names.clear();
        self.values.clear();
        self.spans.clear();
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Bytes of all names and values, as AWS counts them (row 176).
    pub fn bytes(&self) -> usize {
        self.spans.iter().map(|span| usize::from(span.name_bytes) + span.value_bytes as usize).sum()
    }

    /// Adds a field at the end. The caller answers for it that the name is a token and the value has no control
    /// characters: the codec checks what comes from outside, `compile` what comes from a configuration.
    pub fn push(&mut self, text: &str, value: &[u8]) {
        self.push_known(Name::of(text), text, value);
    }

    /// The same for a field whose number is known already.
    pub fn push_known(&mut self, name: Name, text: &str, value: &[u8]) {
        let value_at = self.values.len();
        self.values.extend_from_slice(value);
        self.note(name, text, value_at);
    }

    /// The same with a value that `write` appends in its place, without a buffer of its own.
    pub fn push_with(&mut self, text: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let value_at = self.values.len();
        write(&mut self.values);
        self.note(Name::of(text), text, value_at);
    }

    /// Notes a field whose value has just been appended.
    fn note(&mut self, name: Name, text: &str, value_at: usize) {
        let name_at = self.names.len();
        let value_bytes = self.values.len().saturating_sub(value_at);
        // Heads are bounded far below these widths by the codec's limits; what is added is our own.
        let (Ok(name_bytes), Ok(value_bytes), Ok(_), Ok(_)) = (
            u16::try_from(text.len()),
            u32::try_from(value_bytes),
            u32::try_from(self.values.len()),
            u32::try_from(name_at),
        ) else {
            self.values.truncate(value_at);
            return;
        };
        self.names.push_str(text);
        let span = Span { name, name_bytes, name_at: name_at as u32, value_at: value_at as u32, value_bytes };
        self.spans.push(span);
    }

    /// Removes every field of that name and adds one.
    pub fn set(&mut self, text: &str, value: &[u8]) {
        self.remove(text);
        self.push(text, value);
    }

    /// Removes every field of that name; says whether there was one.
    pub fn remove(&mut self, text: &str) -> bool {
        let before = self.spans.len();
        let names = &self.names;
        self.spans.retain(|span| !span.text(names).eq_ignore_ascii_case(text));
        before != self.spans.len()
    }

    /// Keeps the fields for which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(Field<'_>) -> bool) {
        let (names, values) = (&self.names, &self.values);
        self.spans.retain(|span| keep(span.field(names, values)));
    }

    /// The first field of a known name. For [`Name::Other`] use [`Headers::find`].
    pub fn get(&self, name: Name) -> Option<&[u8]> {
        debug_assert!(name != Name::Other);
        self.spans.iter().find(|span| span.name == name).map(|span| span.value(&self.values))
    }

    /// The first field of that name, in any case.
    pub fn find(&self, text: &str) -> Option<&[u8]> {
        self.iter().find(|field| field.text.eq_ignore_ascii_case(text)).map(|field| field.value)
    }

    /// All values of that name, in any case, in their order.
    pub fn find_all<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |field| field.text.eq_ignore_ascii_case(text)).map(|field| field.value)
    }

    /// All fields in their order.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.spans.iter().map(|span| span.field(&self.names, &self.values))
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'a> FromIterator<(&'a str, &'a [u8])> for Headers {
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a [u8])>>(fields: T) -> Self {
        let mut headers = Self::default();
        for (text, value) in fields {
            headers.push(text, value);
        }
        headers
    }
}

impl Span {
    fn text<'a>(&self, names: &'a str) -> &'a str {
        let at = self.name_at as usize;
        // Pushed at these bounds.
        &names[at..at + usize::from(self.name_bytes)]
    }

    fn value<'a>(&self, values: &'a [u8]) -> &'a [u8] {
        let at = self.value_at as usize;
        &values[at..at + self.value_bytes as usize]
    }

    fn field<'a>(&self, names: &'a str, values: &'a [u8]) -> Field<'a> {
        Field { name: self.name, text: self.text(names), value: self.value(values) }
    }
}

impl Name {
    /// The number of a name in any case. Asked for every field of every head: few names have the same length and
    /// begin and end alike, and those that do not are told apart by one comparison.
    pub fn of(text: &str) -> Self {
        let same_length = BY_LENGTH.get(text.len()).copied().unwrap_or_default();
        if same_length.is_empty() {
            return Self::Other;
        }
        let ends = ends(text.as_bytes());
        let known = same_length.iter().find(|known| known.ends == ends);
        known.filter(|known| known.text.eq_ignore_ascii_case(text)).map_or(Self::Other, |known| known.name)
    }

    /// The name in lower case; empty for [`Name::Other`].
    pub fn as_str(self) -> &'static str {
        let known = || BY_LENGTH.iter().copied().flatten();
        known().find(|known| known.name == self).map_or("", |known| known.text)
    }
}

/// A known name, and what tells it from those of the same length.
struct Known {
    name: Name,
    text: &'static str,
    ends: u64,
}

const fn known(name: Name, text: &'static str) -> Known {
    Known { name, text, ends: ends(text.as_bytes()) }
}

/// The first and the last four bytes as one number, letters in lower case. Other bytes fall together too: that two
/// numbers are equal is a hint, that they differ is certain.
const fn ends(text: &[u8]) -> u64 {
    match text {
        [a, b, c, d, ..] => {
            let [.., w, x, y, z] = text else { return 0 };
            u64::from_le_bytes([*a, *b, *c, *d, *w, *x, *y, *z]) | 0x2020_2020_2020_2020
        }
        [first, .., last] => ((*first as u64) << 8 | *last as u64) | 0x2020,
        _ => 0,
    }
}

/// The names by their length.
const BY_LENGTH: [&[Known]; 31] = [
    &[],
    &[],
    &[known(Name::Te, "te")],
    &[known(Name::Age, "age"), known(Name::Via, "via")],
    &[known(Name::Date, "date"), known(Name::Host, "host"), known(Name::Vary, "vary")],
    &[known(Name::Range, "range")],
    &[
        known(Name::Accept, "accept"),
        known(Name::Cookie, "cookie"),
        known(Name::Expect, "expect"),
        known(Name::Origin, "origin"),
        known(Name::Server, "server"),
    ],
    &[known(Name::Trailer, "trailer"), known(Name::Upgrade, "upgrade")],
    &[],
    &[known(Name::Forwarded, "forwarded"), known(Name::XApiKey, "x-api-key")],
    &[
        known(Name::Connection, "connection"),
        known(Name::KeepAlive, "keep-alive"),
        known(Name::SetCookie, "set-cookie"),
        known(Name::UserAgent, "user-agent"),
    ],
    &[],
    &[known(Name::ContentType, "content-type")],
    &[
        known(Name::Authorization, "authorization"),
        known(Name::CacheControl, "cache-control"),
        known(Name::IfNoneMatch, "if-none-match"),
    ],
    &[known(Name::ContentLength, "content-length")],
    &[known(Name::AcceptEncoding, "accept-encoding"), known(Name::XForwardedFor, "x-forwarded-for")],
    &[
        known(Name::ContentEncoding, "content-encoding"),
        known(Name::ProxyConnection, "proxy-connection"),
        known(Name::XForwardedHost, "x-forwarded-host"),
        known(Name::XForwardedPort, "x-forwarded-port"),
    ],
    &[
        known(Name::IfModifiedSince, "if-modified-since"),
        known(Name::TransferEncoding, "transfer-encoding"),
        known(Name::XForwardedProto, "x-forwarded-proto"),
    ],
    &[],
    &[],
    &[],
    &[],
    &[],
    &[],
    &[],
    &[],
    &[],
    &[],
    &[],
    &[known(Name::AccessControlRequestMethod, "access-control-request-method")],
    &[known(Name::AccessControlRequestHeaders, "access-control-request-headers")],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case() {
        for (length, names) in BY_LENGTH.iter().enumerate() {
            for Known { name, text, ends } in *names {
                assert_eq!(text.len(), length);
                assert_eq!(Name::of(text), *name);
                assert_eq!(Name::of(&text.to_ascii_uppercase()), *name);
                assert_eq!(name.as_str(), *text);
                assert_eq!(names.iter().filter(|other| other.ends == *ends).count(), 1, "{text}");
            }
        }
        assert_eq!(BY_LENGTH.iter().map(|names| names.len()).sum::<usize>(), 36);
        assert_eq!(Name::of("x-own"), Name::Other);
    }

    #[test]
    fn fields_are_set_removed_and_kept_in_order() {
        let mut headers: Headers =
            [("A", &b"1"[..]), ("b", b"2"), ("a", b"3"), ("Host", b"h")].into_iter().collect();
        assert_eq!(headers.find_all("a").collect::<Vec<_>>(), [b"1", b"3"]);
        assert_eq!(headers.get(Name::Host), Some(&b"h"[..]));
        assert_eq!(headers.bytes(), 11);
        headers.set("a", b"4");
        assert_eq!(headers.iter().map(|field| field.text).collect::<Vec<_>>(), ["b", "Host", "a"]);
        assert!(headers.remove("B"));
        assert!(!headers.remove("B"));
        headers.retain(|field| field.name != Name::Host);
        assert_eq!(headers, [("a", &b"4"[..])].into_iter().collect());
        headers.clear();
        assert!(headers.is_empty());
    }
}

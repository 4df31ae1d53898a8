//! A head as it was decoded: its fields in their order, in one run of bytes that is used again, and what RFC 9113 §8 has to
//! say of it. Does not know streams, nor what fields mean.

use message::{Field, Name};

use super::hpack;

/// What a field counts besides its name and value (RFC 9113 §6.5.2), and what it takes.
const FIELD_BYTES: usize = 32;

/// Above, memory is not kept for the next head.
const KEPT_BYTES_MAX: usize = 4 * 1024;

/// Which head it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Request,
    Answer,
    /// Behind a body, of either side.
    Trailers,
}

/// Pseudo-fields (RFC 9113 §8.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pseudo {
    Method,
    Scheme,
    Authority,
    Path,
    Status,
}

const PSEUDOS: [(&[u8], Pseudo); 5] = [
    (b":method", Pseudo::Method),
    (b":scheme", Pseudo::Scheme),
    (b":authority", Pseudo::Authority),
    (b":path", Pseudo::Path),
    (b":status", Pseudo::Status),
];

/// Where a field lies.
#[derive(Clone, Copy, Debug)]
struct Span {
    name: Name,
    never_indexed: bool,
    name_bytes: u16,
    at: u32,
    value_bytes: u32,
}

/// A decoded head.
#[derive(Debug, Default)]
pub(super) struct Head {
    text: Vec<u8>,
    spans: Vec<Span>,
    /// Where the pseudo-fields' values lie.
    pseudos: [Option<(u32, u32)>; PSEUDOS.len()],
    /// Which of them are to be in no table.
    pseudos_never_indexed: [bool; PSEUDOS.len()],
    kind: Kind,
    /// It came with the end of its stream.
    pub(super) ends: bool,
    list_bytes: usize,
    list_bytes_max: usize,
    is_malformed: bool,
}

impl Head {
    /// Forgets what was there. Of more than `list_bytes_max` in the form of a list no field is kept.
    pub(super) fn begin(&mut self, kind: Kind, ends: bool, list_bytes_max: usize) {
        self.forget();
        (self.kind, self.ends, self.list_bytes_max) = (kind, ends, list_bytes_max);
    }

    /// What came with it makes it malformed.
    pub(super) fn malform(&mut self) {
        self.is_malformed = true;
    }

    /// Which head it is.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Forgets all, and gives up memory that few heads need.
    pub(super) fn forget(&mut self) {
        self.text.clear();
        self.spans.clear();
        if self.text.capacity() > KEPT_BYTES_MAX || self.spans.capacity() * size_of::<Span>() > KEPT_BYTES_MAX
        {
            (self.text, self.spans) = (Vec::new(), Vec::new());
        }
        self.pseudos = [None; PSEUDOS.len()];
        self.pseudos_never_indexed = [false; PSEUDOS.len()];
        (self.list_bytes, self.is_malformed) = (0, false);
    }

    /// Gives up memory that it does not need: it is kept for a while.
    pub(super) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.spans.shrink_to_fit();
    }

    /// Adds the next field, and judges it where the protocol does (RFC 9113 §8.2, §8.3).
    pub(super) fn add(&mut self, field: &hpack::Field<'_>, never_indexed: bool) {
        let bytes = field.name.len() + field.value.len();
        self.list_bytes = self.list_bytes.saturating_add(bytes + FIELD_BYTES);
        if self.is_too_long() || self.is_malformed {
            return;
        }
        if !field.name_is_sound || !field.value_is_sound {
            self.is_malformed = true;
        } else if field.name.first() == Some(&b':') {
            self.add_pseudo(field, never_indexed);
        } else if is_of_the_connection(field) {
            self.is_malformed = true;
        } else {
            // Below a bound of far fewer bits.
            let (name_bytes, at) = (field.name.len() as u16, self.text.len() as u32);
            self.text.extend_from_slice(field.name);
            self.text.extend_from_slice(field.value);
            let value_bytes = field.value.len() as u32;
            self.spans.push(Span { name: field.known, never_indexed, name_bytes, at, value_bytes });
        }
    }

    fn add_pseudo(&mut self, field: &hpack::Field<'_>, never_indexed: bool) {
        let is_known = |(name, _): &&(&[u8], Pseudo)| *name == field.name;
        let pseudo = PSEUDOS.iter().find(is_known).map(|(_, pseudo)| *pseudo);
        let fits = match (self.kind, pseudo) {
            (Kind::Request, Some(pseudo)) => pseudo != Pseudo::Status,
            (Kind::Answer, Some(pseudo)) => pseudo == Pseudo::Status,
            (Kind::Trailers, _) | (_, None) => false,
        };
        let place = pseudo.filter(|_| fits && self.spans.is_empty()).map(|it| it as usize);
        match place.map(|place| (place, &mut self.pseudos[place])) {
            Some((place, value @ None)) => {
                self.pseudos_never_indexed[place] = never_indexed;
                *value = Some((self.text.len() as u32, field.value.len() as u32));
                self.text.extend_from_slice(field.value);
            }
            Some((_, Some(_))) | None => self.is_malformed = true,
        }
    }

    /// After the last field: whether it is malformed, so that its stream has to end (RFC 9113 §8.1.1).
    pub(super) fn is_malformed(&self) -> bool {
        let lacks = |pseudo| self.pseudo(pseudo).is_none_or(<[u8]>::is_empty);
        self.is_malformed
            || !self.is_too_long()
                && match self.kind {
                    // CONNECT, which has neither, is refused by those who know methods.
                    Kind::Request if self.pseudo(Pseudo::Method) == Some(b"CONNECT") => false,
                    Kind::Request => [Pseudo::Method, Pseudo::Scheme, Pseudo::Path].into_iter().any(lacks),
                    Kind::Answer => self.status().is_none(),
                    Kind::Trailers => !self.ends,
                }
    }

    /// Whether it is longer than may be, as a list. Then it has no fields.
    pub(super) fn is_too_long(&self) -> bool {
        self.list_bytes > self.list_bytes_max
    }

    /// The bytes of all fields that came in the form of a list, of those too that were not kept.
    pub(super) fn list_bytes(&self) -> usize {
        self.list_bytes
    }

    /// The bound.
    pub(super) fn list_bytes_max(&self) -> usize {
        self.list_bytes_max
    }

    /// The value of a pseudo-field.
    pub(super) fn pseudo(&self, pseudo: Pseudo) -> Option<&[u8]> {
        let (at, bytes) = self.pseudos[pseudo as usize]?;
        Some(&self.text[at as usize..][..bytes as usize])
    }

    /// Whether a pseudo-field's value is to be in no table.
    pub(super) fn is_never_indexed(&self, pseudo: Pseudo) -> bool {
        self.pseudos_never_indexed[pseudo as usize]
    }

    /// The status of an answer: three digits, from 100 on.
    pub(super) fn status(&self) -> Option<u16> {
        match self.pseudo(Pseudo::Status)? {
            [hundreds @ b'1'..=b'9', rest @ ..] if rest.len() == 2 && rest.iter().all(u8::is_ascii_digit) => {
                let digits = rest.iter().map(|digit| u16::from(digit - b'0'));
                Some(digits.fold(u16::from(hundreds - b'0'), |number, digit| number * 10 + digit))
            }
            _ => None,
        }
    }

    /// How many fields there are.
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Bytes of names and values, without pseudo-fields.
    pub(super) fn field_bytes(&self) -> usize {
        let pseudos = self.pseudos.iter().flatten().map(|(_, bytes)| *bytes as usize);
        self.text.len() - pseudos.sum::<usize>()
    }

    /// Bytes of memory that its text and its fields take.
    pub(super) fn held_bytes(&self) -> usize {
        self.text.len() + self.spans.len() * FIELD_BYTES
    }

    /// The same of the request that is made of it: none of one that is refused.
    pub(super) fn request_bytes(&self) -> usize {
        if self.is_too_long() { 0 } else { self.held_bytes() }
    }

    /// The fields in their order, their names in lower case.
    pub(super) fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        self.spans.iter().map(|span| {
            let (text, rest) = self.text[span.at as usize..].split_at(usize::from(span.name_bytes));
            let value = &rest[..span.value_bytes as usize];
            Field { name: span.name, text, value, never_indexed: span.never_indexed }
        })
    }

    /// The first value of a known field.
    pub(super) fn get(&self, name: Name) -> Option<&[u8]> {
        let span = self.spans.iter().find(|span| span.name == name)?;
        Some(&self.text[span.at as usize + usize::from(span.name_bytes)..][..span.value_bytes as usize])
    }
}

/// Fields of HTTP/1.1's connections, which no message of HTTP/2 may have (RFC 9113 §8.2.2).
fn is_of_the_connection(field: &hpack::Field<'_>) -> bool {
    match field.known {
        Name::Connection
        | Name::KeepAlive
        | Name::ProxyConnection
        | Name::TransferEncoding
        | Name::Upgrade => true,
        Name::Te => field.value != b"trailers",
        _ => false,
    }
}

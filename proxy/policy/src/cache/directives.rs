//! What `Cache-Control`, `Expires` and `Vary` ask of a shared cache (RFC 9111). This module reads fields; what follows
//! from them is the policy's to say.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use message::{Headers, Name};

use super::targeted;

/// Whether a client asks for a fresh answer: `Cache-Control: max-age=0` (row 86).
pub(super) fn asks_for_refresh(headers: &Headers) -> bool {
    directives(headers).any(|(name, value)| name.eq_ignore_ascii_case(b"max-age") && value == Some(b"0"))
}

/// Whether the backend forbids to keep its answer for others or without asking again. A directive that is limited to
/// some fields (`private="x-user"`) is read as one without a limit (RFC 9111 §5.2.2.4).
pub(super) fn forbids_storing(headers: &Headers) -> bool {
    directives(headers).any(|(name, _)| {
        [&b"no-store"[..], b"private", b"no-cache"].iter().any(|own| name.eq_ignore_ascii_case(own))
    })
}

/// How long the backend says its answer is fresh from `now_unix_ns` on; `None` when it does not say.
/// What cannot be read is stale (RFC 9111 §4.2.1), and of two lifetimes the shorter one counts.
pub(super) fn freshness(headers: &Headers, now_unix_ns: u64) -> Option<Duration> {
    let lifetime = shortest(headers, b"s-maxage")
        .or_else(|| shortest(headers, b"max-age"))
        .or_else(|| expires(headers, now_unix_ns))?;
    Some(lifetime.saturating_sub(Duration::from_secs(age_s(headers))))
}

/// The age that caches before us have written on an answer, in seconds; nonsense counts as none.
pub(super) fn age_s(headers: &Headers) -> u64 {
    headers.get(Name::Age).and_then(seconds).unwrap_or(0)
}

/// The names in a list of them, as in `Vary`.
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|item| !item.is_empty())
}

/// The longest time that is counted, in seconds: more is as good as for ever (RFC 9111 §1.2.2).
pub(super) const SECONDS_MAX: u64 = 1 << 31;

/// What a response says to a shared cache. Times in seconds; one that can't be read is 0, of two the shorter one counts
/// (§4.2.1): what is doubtful makes an answer stale, never fresh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) no_store: bool,
    /// With or without field names (§5.2.2.4, §5.2.2.7): what is limited to some fields is read as without a limit.
    pub(super) no_cache: bool,
    pub(super) private: bool,
    pub(super) public: bool,
    pub(super) must_revalidate: bool,
    pub(super) proxy_revalidate: bool,
    pub(super) must_understand: bool,
    pub(super) s_maxage_s: Option<u64>,
    pub(super) max_age_s: Option<u64>,
    /// RFC 5861 §3, §4.
    pub(super) stale_while_revalidate_s: u64,
    pub(super) stale_if_error_s: u64,
}

/// What a request says to a cache (§5.2.1). Times in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) no_store: bool,
    pub(super) no_cache: bool,
    pub(super) only_if_cached: bool,
    pub(super) max_age_s: Option<u64>,
    pub(super) min_fresh_s: u64,
    /// `Some` with or without a number; without one any staleness will do.
    pub(super) max_stale_s: Option<u64>,
}

impl Said {
    /// Reads `Cache-Control`, or in its place a `CDN-Cache-Control` that is well-formed (RFC 9213 §2.1); says whether it
    /// was the latter, which puts `Expires` out of force too.
    pub(super) fn read(headers: &Headers) -> (Self, bool) {
        match targeted::read(headers) {
            Some(said) => (said, true),
            None => {
                let mut said = Self::default();
                directives(headers).for_each(|(name, value)| said.take(name, value));
                (said, false)
            }
        }
    }

    fn take(&mut self, name: &[u8], value: Option<&[u8]>) {
        let time = || value.and_then(seconds).unwrap_or(0).min(SECONDS_MAX);
        let shorter = |before: Option<u64>| Some(before.map_or(time(), |before| before.min(time())));
        match &*name.to_ascii_lowercase() {
            b"no-store" => self.no_store = true,
            b"no-cache" => self.no_cache = true,
            b"private" => self.private = true,
            b"public" => self.public = true,
            b"must-revalidate" => self.must_revalidate = true,
            b"proxy-revalidate" => self.proxy_revalidate = true,
            b"must-understand" => self.must_understand = true,
            b"s-maxage" => self.s_maxage_s = shorter(self.s_maxage_s),
            b"max-age" => self.max_age_s = shorter(self.max_age_s),
            b"stale-while-revalidate" => self.stale_while_revalidate_s = time(),
            b"stale-if-error" => self.stale_if_error_s = time(),
            _ => {}
        }
    }
}

impl Asked {
    pub(super) fn read(headers: &Headers) -> Self {
        let mut asked = Self::default();
        for (name, value) in directives(headers) {
            let time = value.and_then(seconds).map(|time| time.min(SECONDS_MAX));
            match &*name.to_ascii_lowercase() {
                b"no-store" => asked.no_store = true,
                b"no-cache" => asked.no_cache = true,
                b"only-if-cached" => asked.only_if_cached = true,
                // What can't be read asks for the freshest.
                b"max-age" => {
                    asked.max_age_s = Some(asked.max_age_s.unwrap_or(u64::MAX).min(time.unwrap_or(0)))
                }
                b"min-fresh" => asked.min_fresh_s = asked.min_fresh_s.max(time.unwrap_or(SECONDS_MAX)),
                b"max-stale" => {
                    let most = if value.is_none() { SECONDS_MAX } else { time.unwrap_or(0) };
                    asked.max_stale_s = Some(asked.max_stale_s.unwrap_or(u64::MAX).min(most));
                }
                _ => {}
            }
        }
        asked
    }
}

/// The age in seconds that caches before us have written on an answer, `u64::MAX` for one that can't be read or is there
/// twice: nobody can tell how old that answer is (§5.1).
pub(super) fn strict_age_s(headers: &Headers) -> u64 {
    let mut fields = headers.iter().filter(|field| field.name == Name::Age);
    match (fields.next(), fields.next()) {
        (None, _) => 0,
        (Some(age), None) => seconds(age.value).map_or(u64::MAX, |age| age.min(SECONDS_MAX)),
        (Some(_), Some(_)) => u64::MAX,
    }
}

/// A field that holds a date, in seconds since 1970; `None` without one that can be read.
pub(super) fn unix_s(value: Option<&[u8]>) -> Option<u64> {
    date(value?)?.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// The parts of a value that commas outside of quotes part, without the white space around them.
pub(super) fn quoted_list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = value;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (item, tail) = rest.split_at(directive_length(rest));
        rest = tail.get(1..).unwrap_or_default();
        Some(item.trim_ascii())
    })
    .filter(|item| !item.is_empty())
}

fn shortest(headers: &Headers, own: &[u8]) -> Option<Duration> {
    let named = directives(headers).filter(|(name, _)| name.eq_ignore_ascii_case(own));
    named.map(|(_, value)| Duration::from_secs(value.and_then(seconds).unwrap_or(0))).min()
}

fn expires(headers: &Headers, now_unix_ns: u64) -> Option<Duration> {
    let at = headers.find("expires")?;
    let now = UNIX_EPOCH + Duration::from_nanos(now_unix_ns);
    let sent = headers.get(Name::Date).and_then(date).unwrap_or(now);
    Some(date(at).and_then(|at| at.duration_since(sent).ok()).unwrap_or_default())
}

fn date(value: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()
}

/// delta-seconds (RFC 9111 §1.2.2): more than fits is as good as for ever.
pub(super) fn seconds(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |sum: u64, byte: &u8| sum.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
    Some(value.iter().fold(0, digit))
}

/// All directives of all `Cache-Control` fields, with their arguments out of their quotes.
fn directives(headers: &Headers) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    let fields = headers.iter().filter(|field| field.name == Name::CacheControl);
    fields.flat_map(|field| Directives { rest: field.value })
}

/// One field's directives. Commas within quotes do not part them.
struct Directives<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Directives<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let (directive, rest) = self.rest.split_at(directive_length(self.rest));
            self.rest = rest.get(1..).unwrap_or_default();
            let directive = directive.trim_ascii();
            if directive.is_empty() {
                continue;
            }
            let Some(equals) = directive.iter().position(|byte| *byte == b'=') else {
                return Some((directive, None));
            };
            let value = directive[equals + 1..].trim_ascii();
            let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
            return Some((directive[..equals].trim_ascii(), Some(unquoted.unwrap_or(value))));
        }
    }
}

/// Bytes until the comma outside of quotes, or all. A quote that is never closed quotes nothing: what follows it must
/// not hide a `no-store`.
fn directive_length(text: &[u8]) -> usize {
    let comma =
        |from: usize| text[from..].iter().position(|byte| *byte == b',').map_or(text.len(), |at| from + at);
    let mut from = 0;
    loop {
        let end = comma(from);
        let Some(open) = text[from..end].iter().position(|byte| *byte == b'"').map(|at| from + at) else {
            return end;
        };
        let Some(close) = closing_quote(text, open) else { return end };
        from = close + 1;
    }
}

fn closing_quote(text: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

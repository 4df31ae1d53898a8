//! What must hold of any fields that say something about caching. The property panics when it does not hold; it is called
//! by unit tests, by a fuzz target and by the replay of what that came upon.

use message::{Headers, Now};

use super::conditional::{self, Selected};
use super::directives::{self, Asked, SECONDS_MAX, Said};
use super::validity::{Exchange, Validity};
use super::vary;

/// The most fields of a text: a head has no more.
const LINES_MAX: usize = 64;

/// Reads bytes as lines `name: value`, the fields of a response and of a request. Nothing panics; no time is beyond what
/// is counted; one more `no-store`, `private` or `Vary: *` keeps a response from being kept, whatever stands around it;
/// one more `Age` that can't be read leaves it never fresh; and what is kept is kept for no longer than is said.
pub fn any_fields(bytes: &[u8]) {
    let mut headers = Headers::default();
    for line in bytes.split(|byte| *byte == b'\n').take(LINES_MAX) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else { continue };
        let is_sound = !name.is_empty()
            && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
            && value.iter().all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f));
        match std::str::from_utf8(name) {
            Ok(name) if is_sound => headers.push(name, value.trim_ascii()),
            _ => {}
        }
    }
    times_are_bounded(&headers);
    let now = Now { mono_ns: 1 << 40, unix_ns: 1_700_000_000_000_000_000 };
    let exchange = Exchange { sent_ns: 1 << 39, has_credentials: false, has_cookies: false };
    for status in [200, 299, 404, 503] {
        let judge = |headers: &Headers| Validity::of(status, headers, &exchange, now);
        if let Ok(validity) = judge(&headers) {
            assert!(validity.fresh_ns() <= validity.lifetime_ns, "{headers:?}");
            assert!(vary::names(&headers).is_none_or(|names| names.len() <= vary::VARY_NAMES_MAX));
        }
        let (said, is_targeted) = Said::read(&headers);
        let with = |name: &str, value: &str| {
            let mut headers = headers.clone();
            headers.push(name, value.as_bytes());
            judge(&headers)
        };
        assert!(with("Vary", "*").is_err(), "{headers:?}");
        if !is_targeted {
            assert!(with("Cache-Control", "private").is_err(), "{headers:?}");
            assert!(said.must_understand || with("Cache-Control", "no-store").is_err(), "{headers:?}");
        }
        assert!(with("Age", "x").is_err() || with("Age", "x").is_ok_and(|it| it.is_never_fresh()));
    }
    any_range_lies_within(&headers);
}

fn times_are_bounded(headers: &Headers) {
    let (said, _) = Said::read(headers);
    let asked = Asked::read(headers);
    let times = [said.s_maxage_s, said.max_age_s, asked.max_age_s, asked.max_stale_s].into_iter().flatten();
    let others = [said.stale_while_revalidate_s, said.stale_if_error_s, asked.min_fresh_s];
    assert!(times.chain(others).all(|time_s| time_s <= SECONDS_MAX), "{said:?} {asked:?}");
    let age_s = directives::strict_age_s(headers);
    assert!(age_s <= SECONDS_MAX || age_s == u64::MAX);
}

fn any_range_lies_within(headers: &Headers) {
    for length in [0, 1, 10, u64::MAX] {
        for range in headers.find_all("range") {
            if let Selected::Part(from, to) = conditional::part(range, length) {
                assert!(from <= to && to < length, "{from}-{to} of {length}");
            }
        }
    }
}

//! Whether a response may be kept by a shared cache, and for how long it may be answered with (RFC 9111 §3, §4.2).
//! This module reads a response and what is known of its request; it does not know where entries live.

use message::{Headers, Name, Now};

use super::directives::{self, Said};

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

/// Share of the time since `Last-Modified` for which a response counts as fresh when nobody says how long (§4.2.2).
const HEURISTIC_DIVISOR: u64 = 10;

/// The longest heuristic lifetime: a day, as the RFC's predecessors bound it.
const HEURISTIC_S_MAX: u64 = 86_400;

/// How long past its freshness an entry is kept that can be validated. What is asked for stays, whatever its age; what
/// is not goes with the sweep.
const VALIDATABLE_NS: u64 = 86_400 * NANOSECONDS_PER_SECOND;

/// How long past its freshness a response stands in for a backend that can't be reached, where nobody forbids it
/// (§4.2.4).
const DISCONNECTED_NS: u64 = 3_600 * NANOSECONDS_PER_SECOND;

/// For how long and on what terms a kept response may be answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    /// How old it was when it came (§4.2.3, `corrected_initial_age`).
    pub(super) initial_age_ns: u64,
    /// From when it was made (§4.2.1).
    pub(super) lifetime_ns: u64,
    /// Never without asking the backend.
    pub(super) no_cache: bool,
    /// Not once it is stale, whatever happens.
    pub(super) must_revalidate: bool,
    pub(super) stale_while_revalidate_ns: u64,
    pub(super) stale_if_error_ns: u64,
    /// Also for requests with `Authorization` (§3.5).
    pub(super) is_for_all: bool,
    /// Whether it has a validator.
    pub(super) is_validatable: bool,
}

/// On what terms a request takes a kept response (§5.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    pub(super) max_age_ns: u64,
    pub(super) min_fresh_ns: u64,
    pub(super) max_stale_ns: u64,
    pub(super) no_cache: bool,
    pub(super) only_if_cached: bool,
    /// Whether what comes back may become an entry: not for a `HEAD` or a range.
    pub(super) fetches: bool,
    /// The request has `Authorization`.
    pub(super) has_credentials: bool,
}

impl Terms {
    /// Whether the client has said nothing against what is kept, however old it is.
    pub(super) fn takes_stale(&self) -> bool {
        !self.no_cache && self.max_age_ns == u64::MAX && self.min_fresh_ns == 0
    }
}

/// What may be done with a kept response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Answer with it.
    Answer,
    /// Answer with it while somebody validates it (RFC 5861 §3).
    AnswerMeanwhile,
    /// Ask the backend whether it still holds.
    Validate,
    /// Leave it to others.
    Pass,
}

/// What is known of the request whose response is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchange {
    /// When it was sent to the backend, in `mono_ns`.
    pub(super) sent_ns: u64,
    pub(super) has_credentials: bool,
    pub(super) has_cookies: bool,
}

/// Why a response is not kept: whether the next one is likely not to be kept either.
pub(super) struct Refused {
    pub(super) lasting: bool,
}

impl Validity {
    /// Judges a response (§3). The lengths of bodies are the caller's affair.
    pub(super) fn of(status: u16, headers: &Headers, exchange: &Exchange, now: Now) -> Result<Self, Refused> {
        let lasting = |lasting| Err(Refused { lasting });
        // What answers a condition or a range is about something else than the resource as a whole.
        if !matches!(status, 200..=599) || matches!(status, 206 | 304 | 412 | 416) {
            return lasting(false);
        }
        let (said, is_targeted) = Said::read(headers);
        let is_understood = is_understood(status);
        // §5.2.2.3: who understands the status need not heed the `no-store` beside it.
        let forbids = if said.must_understand { !is_understood } else { said.no_store };
        if forbids || said.private || varies_by_all(headers) {
            return lasting(true);
        }
        let is_for_all = said.public || said.must_revalidate || said.s_maxage_s.is_some();
        if exchange.has_credentials && !is_for_all {
            return lasting(true);
        }
        // §7.3 leaves it to the backend to forbid the keeping of cookies; most do not know that they set one. It takes a
        // word that is meant for shared caches to hand the same cookie to everybody.
        let is_meant_for_shared = said.public || said.s_maxage_s.is_some() || is_targeted;
        if headers.get(Name::SetCookie).is_some() && !is_meant_for_shared {
            return lasting(true);
        }
        let date_s = directives::unix_s(headers.get(Name::Date));
        let now_s = now.unix_ns / NANOSECONDS_PER_SECOND;
        let explicit_s = said.s_maxage_s.or(said.max_age_s).or_else(|| {
            headers.find("expires").filter(|_| !is_targeted).map(|expires| {
                let at = directives::unix_s(Some(expires)).unwrap_or(0);
                at.saturating_sub(date_s.unwrap_or(now_s)).min(directives::SECONDS_MAX)
            })
        });
        let is_validatable = is_validatable(headers);
        let may_guess = (is_guessable(status) || said.public) && !exchange.has_cookies;
        let guess = || {
            let modified_s = directives::unix_s(headers.find("last-modified")).filter(|_| may_guess)?;
            let unchanged_s = date_s.unwrap_or(now_s).saturating_sub(modified_s);
            Some((unchanged_s / HEURISTIC_DIVISOR).min(HEURISTIC_S_MAX))
        };
        let is_explicit = explicit_s.is_some();
        let lifetime_s = explicit_s.or_else(guess).unwrap_or(0);
        // Kept without being fresh only what a validator can make fresh again.
        if !is_explicit && !is_guessable(status) && !said.public {
            return lasting(status < 500);
        }
        let validity = Self {
            initial_age_ns: initial_age_ns(headers, date_s, exchange.sent_ns, now),
            lifetime_ns: lifetime_s * NANOSECONDS_PER_SECOND,
            no_cache: said.no_cache,
            // §5.2.2.10: `s-maxage` has the meaning of `proxy-revalidate` in it.
            must_revalidate: said.must_revalidate || said.proxy_revalidate || said.s_maxage_s.is_some(),
            stale_while_revalidate_ns: said.stale_while_revalidate_s * NANOSECONDS_PER_SECOND,
            stale_if_error_ns: said.stale_if_error_s * NANOSECONDS_PER_SECOND,
            is_for_all,
            is_validatable,
        };
        if validity.is_never_fresh() && !is_validatable {
            return lasting(true);
        }
        Ok(validity)
    }

    /// For how long from its arrival it is fresh.
    pub(super) fn fresh_ns(&self) -> u64 {
        if self.no_cache { 0 } else { self.lifetime_ns.saturating_sub(self.initial_age_ns) }
    }

    /// Whether every request has to ask the backend.
    pub(super) fn is_never_fresh(&self) -> bool {
        self.fresh_ns() == 0
    }

    /// How long past its freshness it is of use.
    pub(super) fn stale_ns(&self) -> u64 {
        let forbidden = self.must_revalidate || self.no_cache;
        let useful = self.stale_while_revalidate_ns.max(self.stale_if_error_ns).max(DISCONNECTED_NS);
        let validated = if self.is_validatable { VALIDATABLE_NS } else { 0 };
        validated.max(if forbidden { 0 } else { useful })
    }

    /// What a request may do with it, at an age and so long past its freshness, or before the end of it.
    pub(super) fn judge(&self, terms: &Terms, age_ns: u64, left_ns: u64, stale_ns: u64) -> Use {
        if terms.has_credentials && !self.is_for_all {
            return Use::Pass;
        }
        if terms.no_cache || self.no_cache || age_ns > terms.max_age_ns {
            return Use::Validate;
        }
        if left_ns > 0 {
            return if left_ns >= terms.min_fresh_ns { Use::Answer } else { Use::Validate };
        }
        if self.must_revalidate || terms.min_fresh_ns > 0 {
            return Use::Validate;
        }
        if stale_ns < terms.max_stale_ns {
            return Use::Answer;
        }
        if stale_ns < self.stale_while_revalidate_ns { Use::AnswerMeanwhile } else { Use::Validate }
    }

    /// Whether it may stand in for a backend that answers with an error (RFC 5861 §4), or does not answer.
    pub(super) fn stands_in(&self, answered: bool, stale_ns: u64) -> bool {
        let bound_ns =
            if answered { self.stale_if_error_ns } else { self.stale_if_error_ns.max(DISCONNECTED_NS) };
        !self.must_revalidate && !self.no_cache && stale_ns < bound_ns
    }
}

/// §4.2.3. The time on the way counts as age, and a backend's `Date` is believed when it says that the answer is older
/// than it looks.
fn initial_age_ns(headers: &Headers, date_s: Option<u64>, sent_ns: u64, now: Now) -> u64 {
    let now_s = now.unix_ns / NANOSECONDS_PER_SECOND;
    let apparent_s = date_s.map_or(0, |date_s| now_s.saturating_sub(date_s));
    let delay_ns = now.mono_ns.saturating_sub(sent_ns);
    let told_ns = directives::strict_age_s(headers).saturating_mul(NANOSECONDS_PER_SECOND);
    told_ns.saturating_add(delay_ns).max(apparent_s.saturating_mul(NANOSECONDS_PER_SECOND))
}

/// Whether the backend can be asked for a change.
fn is_validatable(headers: &Headers) -> bool {
    headers
        .iter()
        .any(|field| field.name == Name::Other && (is(field.text, "etag") || is(field.text, "last-modified")))
}

fn is(text: &[u8], own: &str) -> bool {
    text.eq_ignore_ascii_case(own.as_bytes())
}

/// `Vary: *`, wherever in the list it stands (§4.1).
fn varies_by_all(headers: &Headers) -> bool {
    let fields = headers.iter().filter(|field| field.name == Name::Vary);
    fields.flat_map(|field| directives::list(field.value)).any(|name| name == b"*")
}

/// Statuses that are fresh for a while without a word about it (RFC 9110 §15.1).
fn is_guessable(status: u16) -> bool {
    matches!(status, 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// Statuses whose meaning for a cache is known here: those that RFC 9110 defines.
fn is_understood(status: u16) -> bool {
    matches!(status, 200..=205 | 300..=303 | 305 | 307..=308 | 400..=411 | 413..=415 | 417 | 421..=422 | 426)
        || matches!(status, 500..=505)
}

//! What a client accepts, of its `Accept-Encoding` (RFC 9110 §12.5.3).

use message::{Headers, Name};

use super::Coding;

/// Weights are thousandths.
const WHOLE: u16 = 1_000;

/// What is best for a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Accepted {
    /// `None`: no coding is.
    pub(super) coding: Option<Coding>,
    /// It wants none without a coding.
    pub(super) identity_refused: bool,
}

/// The coding that a client likes best of those that we have; gzip of two that it likes alike. Without a word of it no
/// coding is: AWS takes that for `identity`.
pub(super) fn preferred(headers: &Headers) -> Accepted {
    if headers.get(Name::AcceptEncoding).is_none() {
        return Accepted::default();
    }
    let (mut gzip, mut deflate, mut identity, mut others) = (None, None, None, None);
    let elements = headers.find_all("accept-encoding").flat_map(|value| value.split(|byte| *byte == b','));
    for element in elements {
        let mut parts = element.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(weight).unwrap_or(WHOLE);
        match Coding::of(name) {
            Some(Coding::Gzip) => gzip = Some(weight),
            Some(Coding::Deflate) => deflate = Some(weight),
            None if name.eq_ignore_ascii_case(b"identity") => identity = Some(weight),
            None if name == b"*" => others = Some(weight),
            None => {}
        }
    }
    let unnamed = others.unwrap_or(0);
    let (gzip, deflate) = (gzip.unwrap_or(unnamed), deflate.unwrap_or(unnamed));
    let (coding, best) = if gzip >= deflate { (Coding::Gzip, gzip) } else { (Coding::Deflate, deflate) };
    let coding = (best > 0 && identity.is_none_or(|identity| best >= identity)).then_some(coding);
    Accepted { coding, identity_refused: identity.or(others) == Some(0) }
}

/// `q=0.5`; what is no weight is none that anybody could prefer.
fn weight(parameter: &[u8]) -> Option<u16> {
    let value = parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q="))?;
    Some(thousandths(value).unwrap_or(0))
}

/// `qvalue`: at most three digits behind the point, and no more than 1.
fn thousandths(value: &[u8]) -> Option<u16> {
    let (whole, rest) = value.split_first()?;
    let digits = match rest {
        [] => rest,
        [b'.', digits @ ..] if digits.len() <= 3 => digits,
        _ => return None,
    };
    let mut weight = match whole {
        b'0' => 0,
        b'1' => WHOLE,
        _ => return None,
    };
    let mut unit = WHOLE / 10;
    for digit in digits {
        let digit = char::from(*digit).to_digit(10)?;
        weight += u16::try_from(digit).ok()? * unit;
        unit /= 10;
    }
    (weight <= WHOLE).then_some(weight)
}

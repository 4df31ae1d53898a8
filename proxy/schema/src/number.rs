//! Numbers as they are written, compared exactly however long they are: no binary fraction between a bound and a body.

use std::cmp::Ordering;

/// A decimal number: its sign, its digits without zeros at either end, and which power of ten the first of them counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimal<'t> {
    negative: bool,
    /// Digits before the point.
    whole: &'t [u8],
    /// Digits behind it.
    fraction: &'t [u8],
    /// Digits in both before the first that is no zero, and behind the last.
    skipped: usize,
    count: usize,
    /// Of the last digit that counts.
    power: i64,
}

impl<'t> Decimal<'t> {
    /// Reads a number that JSON allows; of anything else it makes some number.
    pub(crate) fn read(text: &'t str) -> Self {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let (whole, fraction) = (whole.as_bytes(), fraction.as_bytes());
        let zeros =
            |digits: &mut dyn Iterator<Item = &u8>| digits.take_while(|digit| **digit == b'0').count();
        let all = whole.len() + fraction.len();
        let skipped = zeros(&mut whole.iter().chain(fraction));
        let behind =
            if skipped == all { 0 } else { zeros(&mut fraction.iter().rev().chain(whole.iter().rev())) };
        let count = all - skipped - behind;
        // Beyond what any number here is compared with, an exponent is as good as its bound.
        const EXPONENT_MAX: i64 = 1 << 40;
        let exponent = exponent.parse::<i64>().unwrap_or(match exponent.starts_with('-') {
            true => -EXPONENT_MAX,
            false => EXPONENT_MAX,
        });
        let exponent = exponent.clamp(-EXPONENT_MAX, EXPONENT_MAX);
        let power = exponent + behind as i64 - fraction.len() as i64;
        Self { negative: negative && count > 0, whole, fraction, skipped, count, power }
    }

    fn digits(self) -> impl Iterator<Item = u8> {
        self.whole.iter().chain(self.fraction).skip(self.skipped).take(self.count).map(|digit| digit - b'0')
    }

    /// What is the same for equal numbers and not for others: sign, power, digits.
    pub(crate) fn parts(self) -> (bool, i64, impl Iterator<Item = u8>) {
        (self.negative, if self.count == 0 { 0 } else { self.power }, self.digits())
    }

    pub(crate) fn compare(self, other: Self) -> Ordering {
        if self.negative != other.negative {
            return other.negative.cmp(&self.negative);
        }
        let size = match (self.count, other.count) {
            (0, 0) => Ordering::Equal,
            (0, _) => Ordering::Less,
            (_, 0) => Ordering::Greater,
            _ => {
                let first = |it: Self| it.power + it.count as i64;
                first(self).cmp(&first(other)).then_with(|| self.digits().cmp(other.digits()))
            }
        };
        if self.negative { size.reverse() } else { size }
    }
}

/// A number of up to eighteen digits without an exponent, which nearly all are: its digits, and how many of them are behind
/// the point.
#[derive(Clone, Copy, Debug)]
struct Short {
    digits: i64,
    scale: usize,
}

const DIGITS_MAX: usize = 18;

/// Powers of ten.
const TENS: [i128; DIGITS_MAX + 1] = {
    let mut tens = [1; DIGITS_MAX + 1];
    let mut power = 1;
    while power <= DIGITS_MAX {
        tens[power] = tens[power - 1] * 10;
        power += 1;
    }
    tens
};

impl Short {
    fn read(text: &str) -> Option<Self> {
        let (is_negative, text) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            text => (false, text),
        };
        if text.len() > DIGITS_MAX {
            return None;
        }
        let (mut digits, mut point) = (0_i64, None);
        for (at, byte) in text.iter().enumerate() {
            match byte {
                b'0'..=b'9' => digits = digits * 10 + i64::from(byte - b'0'),
                b'.' => point = Some(at),
                _ => return None,
            }
        }
        let scale = point.map_or(0, |at| text.len() - at - 1);
        Some(Self { digits: if is_negative { -digits } else { digits }, scale })
    }

    /// The digits of both as if they had as many behind the point: below 10³⁶.
    fn aligned(self, other: Self) -> (i128, i128) {
        (i128::from(self.digits) * TENS[other.scale], i128::from(other.digits) * TENS[self.scale])
    }
}

/// A bound of numbers.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub(crate) text: Box<str>,
    short: Option<Short>,
}

impl Bound {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.into(), short: Short::read(text) }
    }

    /// How a number stands to it.
    pub(crate) fn order(&self, number: &str) -> Ordering {
        if let Some(bound) = self.short
            && let Some(number) = Short::read(number)
        {
            let (number, bound) = number.aligned(bound);
            return number.cmp(&bound);
        }
        Decimal::read(number).compare(Decimal::read(&self.text))
    }
}

/// What numbers have to be multiples of.
#[derive(Clone, Debug)]
pub(crate) struct Divisor {
    pub(crate) text: Box<str>,
    short: Option<Short>,
    /// Its digits without zeros at the end: at least 1.
    digits: u64,
    power: i64,
}

impl Divisor {
    /// `None` if it isn't above zero, or has more than 18 digits that count.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let number = Decimal::read(text);
        if number.negative || number.count == 0 || number.count > DIGITS_MAX {
            return None;
        }
        let digits = number.digits().fold(0, |value, digit| value * 10 + u64::from(digit));
        Some(Self { text: text.into(), short: Short::read(text), digits, power: number.power })
    }

    /// Whether a number is a multiple of it: exactly, by remainders of its digits.
    pub(crate) fn divides(&self, number: &str) -> bool {
        if let Some(divisor) = self.short
            && let Some(number) = Short::read(number)
        {
            let (number, divisor) = number.aligned(divisor);
            // A divisor is above zero.
            return number.checked_rem(divisor) == Some(0);
        }
        self.divides_long(number)
    }

    fn divides_long(&self, number: &str) -> bool {
        let number = Decimal::read(number);
        if number.count == 0 {
            return true;
        }
        // The last digit that counts isn't 0, so that a multiple of a higher power of ten it can't be.
        let Ok(mut power) = u64::try_from(number.power - self.power) else { return false };
        let modulus = u128::from(self.digits);
        let mut rest = number.digits().fold(0, |rest, digit| (rest * 10 + u128::from(digit)) % modulus);
        let mut ten = 10 % modulus;
        while power > 0 && rest > 0 {
            if power & 1 == 1 {
                rest = rest * ten % modulus;
            }
            ten = ten * ten % modulus;
            power >>= 1;
        }
        rest == 0
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering::{self, Equal, Greater, Less};

    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(left: &str, right: &str, expected: Ordering) {
        assert_eq!(Bound::new(right).order(left), expected, "{left} and {right}");
        assert_eq!(Decimal::read(left).compare(Decimal::read(right)), expected, "{left} and {right}");
        assert_eq!(Bound::new(left).order(right), expected.reverse(), "{right} and {left}");
        let same = Decimal::read(left).parts().2.eq(Decimal::read(right).parts().2)
            && Decimal::read(left).parts().1 == Decimal::read(right).parts().1
            && Decimal::read(left).parts().0 == Decimal::read(right).parts().0;
        assert_eq!(same, expected == Equal, "{left} and {right}");
    }

    #[test]
    fn numbers_are_compared_exactly() {
        check("1", "1", Equal);
        check("1", "1.0", Equal);
        check("100", "1e2", Equal);
        check("100", "10000E-2", Equal);
        check("0", "-0.0e5", Equal);
        check("0.1", "0.10", Equal);
        check("0.1", "0.09999999999999999999", Greater);
        check("9007199254740993", "9007199254740992", Greater);
        check("123456789012345678901", "123456789012345678902", Less);
        check("-1", "0", Less);
        check("-2", "-1", Less);
        check("-1e3", "1e-3", Less);
        check("2", "10", Less);
        check("1.5", "1", Greater);
        check("0.00000000000000001", "99999999999999999.9", Less);
        check("-0.5", "0", Less);
        check("-1.25", "-1.250", Equal);
        check("0", "1e-99999999999999999999", Less);
        check("1e99999999999999999999", "5", Greater);
        check("0", "0e99999", Equal);
    }

    #[track_caller]
    fn check_multiple(number: &str, divisor: &str, expected: bool) {
        let divisor = Divisor::new(divisor).expect("a divisor");
        assert_eq!(divisor.divides(number), expected, "{number} by {}", divisor.text);
        assert_eq!(divisor.divides_long(number), expected, "{number} by {}", divisor.text);
    }

    #[test]
    fn multiples() {
        check_multiple("0", "7", true);
        check_multiple("10", "2", true);
        check_multiple("7", "2", false);
        check_multiple("4.5", "1.5", true);
        check_multiple("35", "1.5", false);
        check_multiple("0.0075", "0.0001", true);
        check_multiple("0.00751", "0.0001", false);
        check_multiple("19.99", "0.01", true);
        check_multiple("1e308", "0.123456789", false);
        check_multiple("12391239123", "1e-8", true);
        check_multiple("-9", "3", true);
        check_multiple("5", "10", false);
        check_multiple("1e9999999", "3", false);
        assert!(Divisor::new("0").is_none());
        assert!(Divisor::new("-2").is_none());
        assert!(Divisor::new("1234567890123456789").is_none());
        assert!(Divisor::new("12345678901234567800").is_some());
    }

    proptest! {
        #[test]
        fn as_integers_have_it(left in -99_999_i64..99_999, right in 1_i64..999, shift in 0_usize..4) {
            let scaled = format!("{left}{}e-{shift}", "0".repeat(shift));
            prop_assert_eq!(Bound::new(&right.to_string()).order(&scaled), left.cmp(&right));
            let divisor = Divisor::new(&right.to_string()).expect("a divisor");
            prop_assert_eq!(divisor.divides(&scaled), left % right == 0);
        }
    }
}

//! Numbers with their units: `30s`, `64KiB`, `100/s`. A number without one is a mistake.

use std::time::Duration;

use crate::context::{Mistake, quote};

const NS: u128 = 1;
const MS: u128 = 1_000_000 * NS;
const S: u128 = 1_000 * MS;
const MINUTE: u128 = 60 * S;
const HOUR: u128 = 60 * MINUTE;

const DURATIONS: [(&str, u128); 4] = [("ms", MS), ("s", S), ("m", MINUTE), ("h", HOUR)];
const SIZES: [(&str, u128); 9] = [
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];
/// What people write instead.
const ALIASES: [(&str, &str); 20] = [
    ("msec", "ms"),
    ("millis", "ms"),
    ("milliseconds", "ms"),
    ("sec", "s"),
    ("secs", "s"),
    ("second", "s"),
    ("seconds", "s"),
    ("min", "m"),
    ("mins", "m"),
    ("minute", "m"),
    ("minutes", "m"),
    ("hour", "h"),
    ("hours", "h"),
    ("hr", "h"),
    ("byte", "B"),
    ("bytes", "B"),
    ("k", "KiB"),
    ("m", "MiB"),
    ("g", "GiB"),
    ("t", "TiB"),
];
/// Digits that a number may have before the point: those of the longest `u64`.
const WHOLE_DIGITS_MAX: usize = 20;
/// Digits behind it.
const FRACTION_DIGITS_MAX: usize = 9;
/// Digits of a rate behind it: what tells any from its neighbours.
const RATE_FRACTION_DIGITS_MAX: usize = 60;
/// More digits than somebody would write.
const RATE_SHOWN_DIGITS_MAX: usize = 6;
/// Requests a second; more than any machine answers.
const RATE_MAX: f64 = 1e9;

/// `250ms`, `30s`, `1.5m`, `1h`.
pub(crate) fn duration(text: &str) -> Result<Duration, Mistake> {
    let nanoseconds = quantity(text, &DURATIONS, "a duration", "`250ms`, `30s`, `5m` or `1h`", "s")?;
    let seconds = u64::try_from(nanoseconds / S);
    let seconds = seconds.map_err(|_| Mistake::new(format!("{} is too long", quote(text))))?;
    Ok(Duration::new(seconds, (nanoseconds % S) as u32))
}

/// `512B`, `64KiB`, `1MB`, in bytes.
pub(crate) fn size(text: &str) -> Result<u64, Mistake> {
    let bytes = quantity(text, &SIZES, "a size", "`512B`, `64KiB` or `10MiB`", "B")?;
    u64::try_from(bytes).map_err(|_| Mistake::new(format!("{} is too long", quote(text))))
}

/// `100/s`, `0.5/s`, `30/m`, `1000/h`, in requests a second.
pub(crate) fn rate(text: &str) -> Result<f64, Mistake> {
    let wrong = |help: String| Mistake::new(format!("{} is no rate", quote(text))).help(help);
    let example = || "write a number and a unit: `100/s`, `30/m` or `1000/h`".to_owned();
    let (number, unit) = text.split_once('/').unwrap_or((text, ""));
    let (whole, fraction) = number.trim().split_once('.').unwrap_or((number.trim(), "0"));
    let digits =
        |text: &str, max| (1..=max).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit());
    if !digits(whole, WHOLE_DIGITS_MAX) || !digits(fraction, RATE_FRACTION_DIGITS_MAX) {
        return Err(wrong(example()));
    }
    let seconds = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        other => {
            let known = alias(other.trim()).filter(|unit| ["s", "m", "h"].contains(unit)).unwrap_or("s");
            return Err(wrong(format!("write `{}/{known}`", number.trim())));
        }
    };
    // Digits and a point are a number.
    let number = number.parse::<f64>().map_err(|_| wrong(example()))?;
    let rate = number / seconds;
    if rate > RATE_MAX {
        return Err(Mistake::new(format!("{} is more than {RATE_MAX} a second", quote(text))));
    }
    Ok(rate)
}

/// Names of the units of time.
pub(crate) fn duration_units() -> impl Iterator<Item = &'static str> {
    DURATIONS.iter().map(|(name, _)| *name)
}

/// Names of the units of bytes.
pub(crate) fn size_units() -> impl Iterator<Item = &'static str> {
    SIZES.iter().map(|(name, _)| *name)
}

/// A duration in the unit that shows it without a fraction.
pub(crate) fn show_duration(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    let whole = |(_, unit): &&(&str, u128)| nanoseconds.is_multiple_of(*unit) && nanoseconds > 0;
    match DURATIONS.iter().rev().find(whole) {
        Some((name, unit)) => format!("{}{name}", nanoseconds / unit),
        None => format!("{}s", duration.as_secs_f64()),
    }
}

/// A size in the unit that shows it without a fraction.
pub(crate) fn show_size(bytes: u64) -> String {
    let binary = SIZES.iter().filter(|(name, _)| name.len() != 2).rev();
    let whole = |unit: u128| bytes > 0 && u128::from(bytes).is_multiple_of(unit);
    let (name, unit) = binary.copied().find(|(_, unit)| whole(*unit)).unwrap_or(("B", 1));
    format!("{}{name}", u128::from(bytes) / unit)
}

/// A rate in the unit that shows it in short, exactly.
pub(crate) fn show_rate(rate: f64) -> String {
    let short = |number: f64| {
        let text = number.to_string();
        let is_short = text.split_once('.').is_none_or(|(_, digits)| digits.len() <= RATE_SHOWN_DIGITS_MAX);
        is_short.then_some(text)
    };
    let by = |(seconds, unit): (f64, &str)| {
        let number = (rate * seconds).round();
        (number / seconds == rate).then(|| format!("{number}/{unit}"))
    };
    match short(rate) {
        Some(text) => format!("{text}/s"),
        None => [(60.0, "m"), (3_600.0, "h")].into_iter().find_map(by).unwrap_or_else(|| format!("{rate}/s")),
    }
}

fn quantity(
    text: &str,
    units: &[(&'static str, u128)],
    what: &str,
    examples: &str,
    usual: &str,
) -> Result<u128, Mistake> {
    let split = text.find(|char: char| !char.is_ascii_digit() && char != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let examples = || format!("write a number and a unit: {examples}");
    let Some(decimal) = Decimal::parse(number) else {
        return Err(Mistake::new(format!("{} is not {what}", quote(text))).help(examples()));
    };
    if let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) {
        return decimal.times(*factor).map_err(|why| Mistake::new(format!("{} {why}", quote(text))));
    }
    let trimmed = unit.trim();
    if trimmed.is_empty() {
        let message = format!("{} has no unit", quote(text));
        return Err(Mistake::new(message).help(format!("write `{number}{usual}`")));
    }
    let meant = units.iter().map(|(name, _)| *name).find(|name| name.eq_ignore_ascii_case(trimmed));
    let among = |name: &&str| units.iter().any(|(unit, _)| unit == name);
    let meant = meant.or_else(|| alias(trimmed).filter(among));
    let message = format!("{} has a unit that is not known", quote(text));
    Err(Mistake::new(message).help(match meant {
        Some(unit) => format!("write `{number}{unit}`"),
        None => examples(),
    }))
}

fn alias(unit: &str) -> Option<&'static str> {
    ALIASES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, unit)| *unit)
}

/// A number with a point, exactly.
struct Decimal {
    digits: u128,
    scale: u32,
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return None,
            None => (text, ""),
        };
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let fits = whole.len() <= WHOLE_DIGITS_MAX && fraction.len() <= FRACTION_DIGITS_MAX;
        if whole.is_empty() || !fits || !are_digits(whole) || !are_digits(fraction) {
            return None;
        }
        let digits = format!("{whole}{fraction}").parse().ok()?;
        Some(Self { digits, scale: fraction.len() as u32 })
    }

    /// The product, if it is whole.
    fn times(&self, factor: u128) -> Result<u128, &'static str> {
        let product = self.digits.checked_mul(factor).ok_or("is too long")?;
        let scale = 10u128.pow(self.scale);
        if !product.is_multiple_of(scale) {
            return Err("is not a whole number of the smallest unit");
        }
        Ok(product / scale)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check_duration(text: &str, expected: Result<u64, &str>) {
        let read = duration(text).map(|duration| duration.as_millis() as u64);
        assert_eq!(read.map_err(|mistake| mistake.help.unwrap()), expected.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn durations() {
        const EXAMPLES: &str = "write a number and a unit: `250ms`, `30s`, `5m` or `1h`";
        check_duration("250ms", Ok(250));
        check_duration("30s", Ok(30_000));
        check_duration("0s", Ok(0));
        check_duration("1.5s", Ok(1_500));
        check_duration("5m", Ok(300_000));
        check_duration("1h", Ok(3_600_000));
        check_duration("30", Err("write `30s`"));
        check_duration("30 s", Err("write `30s`"));
        check_duration("30sec", Err("write `30s`"));
        check_duration("30S", Err("write `30s`"));
        check_duration("5min", Err("write `5m`"));
        check_duration("5k", Err(EXAMPLES));
        check_duration("5d", Err(EXAMPLES));
        check_duration("", Err(EXAMPLES));
        check_duration("-5s", Err(EXAMPLES));
        check_duration(".5s", Err(EXAMPLES));
        check_duration("5.s", Err(EXAMPLES));
        check_duration("1m30s", Err(EXAMPLES));
        check_duration("999999999999999999999s", Err(EXAMPLES));
    }

    #[track_caller]
    fn check_size(text: &str, expected: Result<u64, &str>) {
        let read = size(text).map_err(|mistake| mistake.help.unwrap_or(mistake.message));
        assert_eq!(read, expected.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn sizes() {
        const EXAMPLES: &str = "write a number and a unit: `512B`, `64KiB` or `10MiB`";
        check_size("512B", Ok(512));
        check_size("64KiB", Ok(65_536));
        check_size("1MB", Ok(1_000_000));
        check_size("1.5KiB", Ok(1_536));
        check_size("1TiB", Ok(1 << 40));
        check_size("64", Err("write `64B`"));
        check_size("64k", Err("write `64KiB`"));
        check_size("64kb", Err("write `64KB`"));
        check_size("64M", Err("write `64MiB`"));
        check_size("64s", Err(EXAMPLES));
        check_size("x", Err(EXAMPLES));
        check_size("0.3B", Err("`0.3B` is not a whole number of the smallest unit"));
        check_size("999999999999999999TiB", Err("`999999999999999999TiB` is too long"));
    }

    #[track_caller]
    fn check_rate(text: &str, expected: Result<f64, &str>) {
        let read = rate(text).map_err(|mistake| mistake.help.unwrap_or(mistake.message));
        assert_eq!(read, expected.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn rates() {
        const EXAMPLES: &str = "write a number and a unit: `100/s`, `30/m` or `1000/h`";
        check_rate("100/s", Ok(100.0));
        check_rate("0.5/s", Ok(0.5));
        check_rate("30/m", Ok(0.5));
        check_rate("1800/h", Ok(0.5));
        check_rate("0/s", Ok(0.0));
        check_rate("100", Err("write `100/s`"));
        check_rate("100/sec", Err("write `100/s`"));
        check_rate("100/minute", Err("write `100/m`"));
        check_rate("100/k", Err("write `100/s`"));
        check_rate("100 / s", Err("write `100/s`"));
        check_rate("-1/s", Err(EXAMPLES));
        check_rate("inf/s", Err(EXAMPLES));
        check_rate("1e3/s", Err(EXAMPLES));
        check_rate("/s", Err(EXAMPLES));
        check_rate("2000000000/s", Err("`2000000000/s` is more than 1000000000 a second"));
    }

    proptest! {
        #[test]
        fn durations_round_trip(ms in 0u64..1 << 50) {
            let shown = Duration::from_millis(ms);
            prop_assert_eq!(duration(&show_duration(shown)), Ok(shown));
        }

        #[test]
        fn sizes_round_trip(bytes: u64) {
            prop_assert_eq!(size(&show_size(bytes)), Ok(bytes));
        }

        #[test]
        fn rates_round_trip(number in 0u64..100_000_000_000, scale in 0i32..9, unit in 0usize..3) {
            let text = format!("{}/{}", number as f64 / 10f64.powi(scale), ["s", "m", "h"][unit]);
            if let Ok(read) = rate(&text) {
                prop_assert_eq!(rate(&show_rate(read)), Ok(read), "{}", text);
            }
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,24}|[0-9.]{0,40}(s|ms|B|KiB|TiB|/s|/h)?") {
            let _ = (duration(&text), size(&text), rate(&text).map(|rate| assert!(rate.is_finite() && rate >= 0.0)));
        }
    }
}

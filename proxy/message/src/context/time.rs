//! Times as `$context.requestTime` has them. No clock: seconds come from the caller.

/// Appends `21/Nov/2026:10:11:12 +0000` for so many seconds since 1970.
pub fn put_request_time(out: &mut Vec<u8>, unix_s: u64) {
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let (day, second) = (unix_s / 86_400, unix_s % 86_400);
    let (year, month, day) = date(day);
    let two = |number: u64| [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8];
    let month = (month as usize * 3).min(MONTHS.len() - 3);
    out.extend_from_slice(&two(day));
    out.push(b'/');
    out.extend_from_slice(&MONTHS[month..month + 3]);
    out.push(b'/');
    out.extend_from_slice(&two(year / 100));
    out.extend_from_slice(&two(year % 100));
    for part in [second / 3_600, second / 60 % 60, second % 60] {
        out.push(b':');
        out.extend_from_slice(&two(part));
    }
    out.extend_from_slice(b" +0000");
}

/// Year, month from 0 and day from 1 of a day counted from 1970-01-01: years begin in March, so that a leap day ends one.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let of_era_years = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * of_era_years + of_era_years / 4 - of_era_years / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = (march + 2) % 12;
    (era * 400 + of_era_years + u64::from(month < 2), month, day)
}

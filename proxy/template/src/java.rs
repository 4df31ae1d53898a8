//! How Java writes numbers.

use std::fmt::Write;

/// A double as `Double.toString` writes it: at least one digit after the point, powers of ten below 10⁻³ and from 10⁷ on.
pub(crate) fn double(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let size = number.abs();
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        // Rust's shortest digits that read back, which has no point for integers.
        let text = format!("{number}");
        return if text.contains('.') { text } else { text + ".0" };
    }
    let text = format!("{number:e}");
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    let mut written = digits.to_owned();
    if !digits.contains('.') {
        written.push_str(".0");
    }
    // Writing to a string can't fail.
    let _ = write!(written, "E{power}");
    written
}

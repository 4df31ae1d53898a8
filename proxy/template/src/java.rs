//! How Java writes numbers.

use std::fmt::Write;

use smallvec::SmallVec;

/// A number as it is written: shorter than its own memory.
pub(crate) struct Digits(SmallVec<[u8; 32]>);

impl Digits {
    fn of(text: &str) -> Self {
        Self(SmallVec::from_slice(text.as_bytes()))
    }

    pub(crate) fn as_str(&self) -> &str {
        // Of pieces of text.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Write for Digits {
    fn write_str(&mut self, piece: &str) -> std::fmt::Result {
        self.0.extend_from_slice(piece.as_bytes());
        Ok(())
    }
}

/// A double as `Double.toString` writes it: at least one digit after the point, powers of ten below 10⁻³ and from 10⁷ on.
pub(crate) fn double(number: f64) -> Digits {
    if number.is_nan() {
        return Digits::of("NaN");
    }
    if number.is_infinite() {
        return Digits::of(if number > 0.0 { "Infinity" } else { "-Infinity" });
    }
    let (size, mut digits) = (number.abs(), Digits(SmallVec::new()));
    // Its memory takes every write.
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        // Rust's shortest digits that read back, which has no point for integers.
        let _ = write!(digits, "{number}");
        if !digits.0.contains(&b'.') {
            digits.0.extend_from_slice(b".0");
        }
        return digits;
    }
    let _ = write!(digits, "{number:e}");
    if let Some(at) = digits.0.iter().position(|byte| *byte == b'e') {
        digits.0[at] = b'E';
        if !digits.0.contains(&b'.') {
            digits.0.insert_from_slice(at, b".0");
        }
    }
    digits
}

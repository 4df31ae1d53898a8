//! Which lines of two texts differ, as a person reads it.

/// Lines that are compared; longer texts are said to differ and no more.
const LINES_MAX: usize = 4_000;

/// The lines of `before` that are not in `after` and the other way round, as `name:line: - …` and `+ …`; the number is
/// that of the line in `before`. Lines that stand in both are not shown.
pub fn differences(name: &str, before: &str, after: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.split('\n').collect(), after.split('\n').collect());
    let head = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let (old, new) = (&old[head..], &new[head..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let (old, new) = (&old[..old.len() - tail], &new[..new.len() - tail]);
    if old.len().max(new.len()) > LINES_MAX {
        return format!("{name}:{}: {} lines from here on differ", head + 1, old.len());
    }
    let mut shown = Vec::new();
    let mut line = |number: usize, sign: char, text: &str| {
        shown.push(format!("{name}:{}: {sign} {}", head + number + 1, printable(text)));
    };
    let common = common(old, new);
    let (mut at, mut next) = (0, 0);
    for (same_old, same_new) in common.into_iter().chain([(old.len(), new.len())]) {
        (at..same_old).for_each(|number| line(number, '-', old[number]));
        (next..same_new).for_each(|number| line(at, '+', new[number]));
        (at, next) = (same_old + 1, same_new + 1);
    }
    shown.join("\n")
}

/// The places of a longest common subsequence.
fn common(old: &[&str], new: &[&str]) -> Vec<(usize, usize)> {
    // How long it is from each pair of places on.
    let columns = new.len() + 1;
    let mut lengths = vec![0_u16; (old.len() + 1) * columns];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            lengths[i * columns + j] = if old[i] == new[j] {
                lengths[(i + 1) * columns + j + 1] + 1
            } else {
                lengths[(i + 1) * columns + j].max(lengths[i * columns + j + 1])
            };
        }
    }
    let (mut i, mut j, mut places) = (0, 0, Vec::new());
    while i < old.len() && j < new.len() {
        if old[i] == new[j] {
            places.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if lengths[(i + 1) * columns + j] >= lengths[i * columns + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    places
}

/// White space that nobody would see is shown; a terminal is not told anything by what stands in a file.
fn printable(line: &str) -> String {
    let end = line.trim_end_matches([' ', '\t', '\r']).len();
    let (text, blanks) = line.split_at(end);
    let blanks = blanks.chars().map(|char| match char {
        ' ' => '·',
        '\t' => '→',
        _ => '␍',
    });
    let text = text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char });
    text.chain(blanks).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: &str, after: &str, expected: &[&str]) {
        assert_eq!(differences("f", before, after), expected.join("\n"));
    }

    #[test]
    fn lines_that_differ_are_shown() {
        check("a\nb\nc", "a\nb\nc", &[]);
        check("a\nb=1\nc", "a\nb = 1\nc", &["f:2: - b=1", "f:2: + b = 1"]);
        check("a\n\n\nb", "a\n\nb", &["f:3: - "]);
        check("a\nb", "a\n\nb", &["f:2: + "]);
        check("x\na \nb\n", "a\nb\ny\n", &["f:1: - x", "f:2: - a·", "f:1: + a", "f:4: + y"]);
        check("a\r", "a", &["f:1: - a␍", "f:1: + a"]);
        check(&"a\n".repeat(5_000), &"b\n".repeat(5_000), &["f:1: 5000 lines from here on differ"]);
    }
}

//! "Did you mean": the nearest of some names.

/// Longer words are compared with nothing.
const WORD_CHARS_MAX: usize = 64;

/// The known name that a misspelled one is nearest to, if it is near enough: a third of its characters may differ.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded: Vec<char> = word.to_lowercase().chars().take(WORD_CHARS_MAX + 1).collect();
    if folded.len() > WORD_CHARS_MAX {
        return None;
    }
    let near = |name: &&str| {
        let name: Vec<char> = name.to_lowercase().chars().take(WORD_CHARS_MAX).collect();
        let distance = distance(&folded, &name);
        (distance <= folded.len().max(name.len()).div_ceil(3)).then_some(distance)
    };
    let ranked = known.into_iter().filter_map(|name| near(&name).map(|distance| (distance, name)));
    ranked.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// Insertions, deletions, substitutions and swaps of neighbours that lead from one word to the other.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (i, this) in from.iter().enumerate() {
        let mut row = Vec::with_capacity(above.len());
        row.push(i + 1);
        for (j, other) in to.iter().enumerate() {
            let mut cost = (above[j] + usize::from(this != other)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *this == to[j - 1] && from[i - 1] == *other {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, known: &[&str], expected: Option<&str>) {
        assert_eq!(nearest(word, known.iter().copied()), expected, "{word}");
    }

    #[test]
    fn near_words_are_found() {
        let known = ["rate", "burst", "per", "client_invalidation"];
        check("rate", &known, Some("rate"));
        check("Rate", &known, Some("rate"));
        check("reate", &known, Some("rate"));
        check("brust", &known, Some("burst"));
        check("client-invalidation", &known, Some("client_invalidation"));
        check("x", &known, None);
        check("throttle", &known, None);
        check("", &known, None);
        check(&"r".repeat(1000), &known, None);
    }

    #[test]
    fn swaps_cost_one() {
        let chars = |word: &str| word.chars().collect::<Vec<_>>();
        assert_eq!(distance(&chars("ab"), &chars("ba")), 1);
        assert_eq!(distance(&chars("abc"), &chars("")), 3);
        assert_eq!(distance(&chars(""), &chars("abc")), 3);
        assert_eq!(distance(&chars("kitten"), &chars("sitting")), 3);
    }
}

//! Prometheus' text format, read strictly enough to notice a line that is not one.

/// One scrape.
#[derive(Clone, Debug)]
pub struct Metrics {
    samples: Vec<Sample>,
}

#[derive(Clone, Debug, PartialEq)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Metrics {
    /// Reads a scrape. A line that is neither a comment nor a sample is an error.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples = lines.map(|line| sample(line).ok_or_else(|| format!("not a sample: {line:?}")));
        Ok(Self { samples: samples.collect::<Result<_, _>>()? })
    }

    /// The sum of all samples of a name that have these labels; 0 if there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |sample: &&Sample| {
            labels
                .iter()
                .all(|(label, value)| sample.labels.iter().any(|(have, is)| have == label && is == value))
        };
        self.samples.iter().filter(|sample| sample.name == name).filter(has).map(|sample| sample.value).sum()
    }

    /// Whether a name is there at all.
    pub fn has(&self, name: &str) -> bool {
        self.samples.iter().any(|sample| sample.name == name)
    }

    /// Every name, once.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.samples.iter().map(|sample| sample.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn sample(line: &str) -> Option<Sample> {
    let name_end =
        line.find(|character: char| !character.is_ascii_alphanumeric() && !"_:".contains(character))?;
    let (name, mut rest) = line.split_at(name_end);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.push((label.to_owned(), value));
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ')?.split(' ').next()?.replace("+Inf", "inf").parse().ok()?;
    (!name.is_empty()).then(|| Sample { name: name.to_owned(), labels, value })
}

/// A label's value up to its closing quote, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::Metrics;

    #[test]
    fn samples_are_summed_by_label() {
        let text = "# HELP a b\n# TYPE a counter\na{x=\"1\",y=\"p\\\"q\"} 2\na{x=\"1\"} 3\na{x=\"2\"} 4\nb 0.5\nc_bucket{le=\"+Inf\"} 7\n";
        let metrics = Metrics::parse(text).unwrap();
        assert_eq!(metrics.sum("a", &[("x", "1")]), 5.0);
        assert_eq!(metrics.sum("a", &[("y", "p\"q")]), 2.0);
        assert_eq!(metrics.sum("a", &[]), 9.0);
        assert_eq!(metrics.sum("c_bucket", &[("le", "+Inf")]), 7.0);
        assert_eq!(metrics.names(), ["a", "b", "c_bucket"]);
        assert!(!metrics.has("d"));
    }

    #[test]
    fn other_lines_are_noticed() {
        assert!(Metrics::parse("a{x=1} 2").is_err());
        assert!(Metrics::parse("a{x=\"1\"}").is_err());
        assert!(Metrics::parse("hello").is_err());
    }
}

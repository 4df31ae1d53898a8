//! Mistakes that people make, each in a configuration that is right but for it: where it is said to be, and whether
//! the advice is the right one. Where the advice says what to write, writing that makes the configuration right.

use std::path::Path;

use model::{Diagnostic, Severity};

use super::{Table, line};
use crate::Outcome;

const MAIN: &str = "etc/f.toml";
const INCLUDED: &str = "etc/conf.d/apis.toml";
/// Floors of the three counts; they grow with the table.
const LOCATED_MIN: usize = 147;
const ADVISED_MIN: usize = 147;
const APPLIED_MIN: usize = 88;

struct Mistake {
    right: String,
    wrong: String,
    at: Option<String>,
    fix: Option<String>,
}

struct Seeds {
    main: String,
    included: String,
    mistakes: Vec<Mistake>,
}

fn seeds() -> Seeds {
    let table: toml::Table = include_str!("seeded.toml").parse().unwrap();
    let text = |table: &toml::Table, key: &str| {
        table.get(key).map(|value| value.as_str().unwrap().replace('⏎', "\n"))
    };
    let mistakes = table["mistakes"].as_array().unwrap().iter().map(|row| {
        let row = row.as_table().unwrap();
        let right = text(row, "right").unwrap();
        Mistake { right, wrong: text(row, "wrong").unwrap(), at: text(row, "at"), fix: text(row, "fix") }
    });
    Seeds {
        main: text(&table, "main").unwrap(),
        included: text(&table, "included").unwrap(),
        mistakes: mistakes.collect(),
    }
}

fn read(main: &str, included: &str) -> Outcome {
    crate::load(Path::new(MAIN), &Table::default().file(MAIN, main).file(INCLUDED, included))
}

/// One mistake in the file that has the text which it takes the place of.
struct Seeded {
    /// The other file stays as it is.
    is_main: bool,
    text: String,
    /// Bytes before what the message has to point at.
    start: usize,
}

impl Seeds {
    #[track_caller]
    fn seed(&self, mistake: &Mistake) -> Seeded {
        let Mistake { right, wrong, at, .. } = mistake;
        let is_main = self.main.contains(&**right);
        let text = if is_main { &self.main } else { &self.included };
        assert_eq!(
            self.main.matches(&**right).count() + self.included.matches(&**right).count(),
            1,
            "`{right}` stands in the files once"
        );
        let marked = text.replacen(&**right, wrong, 1);
        let text = marked.replace('»', "");
        let start = match at {
            Some(at) => text.find(&**at).unwrap_or_else(|| panic!("no `{at}` with `{wrong}`")),
            None => marked.find('»').unwrap_or_else(|| panic!("no » in `{wrong}`")),
        };
        Seeded { is_main, text, start }
    }

    fn read(&self, is_main: bool, text: &str) -> Outcome {
        if is_main { read(text, &self.included) } else { read(&self.main, text) }
    }
}

/// What the advice says to write in the place of what is wrong; `None` if it says something else.
fn advised(help: &str) -> Option<&str> {
    let (advice, ending) = [("did you mean `", "`?"), ("write `", "`")]
        .into_iter()
        .find_map(|(before, after)| help.strip_prefix(before).map(|rest| (rest, after)))?;
    advice.strip_suffix(ending).filter(|text| !text.contains('`'))
}

/// The texts that one could make by following the advice; none if it does not say what to write. It may be about the
/// whole value, or about a word of it that the message names.
fn applied(text: &str, diagnostic: &Diagnostic) -> Vec<String> {
    let (Some(advice), Some(origin)) = (diagnostic.help.as_deref().and_then(advised), &diagnostic.origin)
    else {
        return Vec::new();
    };
    let there = &text[origin.start..origin.end];
    let (before, after) = (&text[..origin.start], &text[origin.end..]);
    // `key = value`: the whole assignment.
    if let Some((key, value)) = advice.split_once(" = ") {
        let is_here = before.ends_with(&format!("{key} = "));
        return is_here.then(|| format!("{before}{value}{after}")).into_iter().collect();
    }
    let is_whole = advice.starts_with(['"', '[']) || !there.starts_with('"');
    let whole =
        if is_whole { format!("{before}{advice}{after}") } else { format!("{before}\"{advice}\"{after}") };
    let words = diagnostic
        .message
        .split('`')
        .skip(1)
        .step_by(2)
        .flat_map(|word| [format!("{{{word}}}"), word.into()]);
    let words = words.filter(|word| there.contains(&**word));
    let with_word = |word: String| format!("{before}{}{after}", there.replace(&word, advice));
    std::iter::once(whole).chain(words.map(with_word)).collect()
}

#[test]
fn every_seeded_mistake_is_located_and_most_are_put_right() {
    let seeds = seeds();
    let outcome = read(&seeds.main, &seeds.included);
    assert_eq!(outcome.diagnostics, [], "it is right without them");
    let (mut located, mut with_fix, mut put_right) = (0, 0, 0);
    let mut wrong = Vec::new();
    for mistake in &seeds.mistakes {
        let seeded = seeds.seed(mistake);
        let outcome = seeds.read(seeded.is_main, &seeded.text);
        let errors: Vec<_> = outcome.diagnostics.iter().filter(|it| it.severity == Severity::Error).collect();
        let lines: Vec<_> = errors.iter().map(|it| line(it)).collect();
        let (file, before) = (if seeded.is_main { MAIN } else { INCLUDED }, &seeded.text[..seeded.start]);
        let column = 1 + before.rsplit('\n').next().unwrap().chars().count();
        let place = format!("{file}:{}:{column}: ", 1 + before.matches('\n').count());
        match &errors[..] {
            [error] if line(error).starts_with(&place) => {
                located += 1;
                let help = error.help.as_deref();
                match (&mistake.fix, help) {
                    (Some(fix), Some(help)) if help.contains(&**fix) => with_fix += 1,
                    (None, None) => {}
                    _ => wrong.push(format!("{}: expected {:?} in {lines:?}", mistake.wrong, mistake.fix)),
                }
                let followed = applied(&seeded.text, error);
                if followed.iter().any(|text| seeds.read(seeded.is_main, text).model.is_some()) {
                    put_right += 1;
                } else if !followed.is_empty() {
                    wrong.push(format!("{}: {help:?} does not put it right", mistake.wrong));
                }
            }
            _ => wrong.push(format!("{}: expected one at {place}, found {lines:#?}", mistake.wrong)),
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(located, seeds.mistakes.len());
    assert!(located >= LOCATED_MIN, "{located} located");
    assert!(with_fix >= ADVISED_MIN, "{with_fix} with the right advice");
    assert!(put_right >= APPLIED_MIN, "{put_right} put right by following the advice");
}

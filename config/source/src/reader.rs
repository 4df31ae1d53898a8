//! Walks the spanned tree that TOML became: each value knows its key, its place and its file, and says itself what
//! is wrong with it. Unknown and missing keys are found when a table is opened.

use std::{net::SocketAddr, ops::Range, path::PathBuf, time::Duration};

use model::Origin;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    Form, Key, ROOT, Section,
    context::{Context, File, Mistake, quote},
    expand, suggest, units,
};

/// What a body is unless it is said.
pub(crate) const JSON: &str = "application/json";
/// Keys that a message lists.
const LISTED_MAX: usize = 24;

/// A table that was opened.
#[derive(Clone)]
pub(crate) struct Table<'a> {
    pub(crate) cx: &'a Context<'a>,
    pub(crate) file: &'a File,
    section: &'static Section,
    path: String,
    span: Range<usize>,
    entries: &'a DeTable<'a>,
    /// Keys that an unknown one was probably meant to be.
    misspelled: Vec<&'static str>,
}

/// A value of a key, or of an array that stands at the key.
#[derive(Clone)]
pub(crate) struct Value<'a> {
    pub(crate) cx: &'a Context<'a>,
    pub(crate) file: &'a File,
    key: &'static Key,
    path: String,
    item: &'a Spanned<DeValue<'a>>,
}

/// A table under a free name.
pub(crate) struct Named<'a> {
    pub(crate) name: String,
    pub(crate) origin: Origin,
    pub(crate) table: Table<'a>,
}

impl<'a> Table<'a> {
    /// Opens a table and reports the keys that don't belong in it or are not there.
    pub(crate) fn open(
        cx: &'a Context<'a>,
        file: &'a File,
        section: &'static Section,
        path: String,
        span: Range<usize>,
        entries: &'a DeTable<'a>,
    ) -> Self {
        let mut table = Self { cx, file, section, path, span, entries, misspelled: Vec::new() };
        for (key, value) in entries.iter().filter(|(key, _)| section.key(key.get_ref()).is_none()) {
            let origin = file.origin(key.span());
            let mistake = unknown(section, key.get_ref(), value.get_ref());
            cx.mistake(Some(&origin), &table.path_of(key.get_ref()), mistake);
            table.misspelled.extend(suggest::nearest(key.get_ref(), section.names()));
        }
        // What is there under a wrong name is not missing as well.
        let missing =
            |key: &&Key| key.required && !entries.contains_key(key.name) && !table.is_misspelled(key.name);
        for key in section.keys.iter().filter(missing).filter(|_| !file.is_broken()) {
            let mistake = Mistake::new(format!("`{}` is missing", key.name));
            table.mistake(mistake.help(format!("add `{} = {}`: {}", key.name, key.form.example(), key.doc)));
        }
        table
    }

    /// The value of a key of this section.
    pub(crate) fn get(&self, name: &str) -> Option<Value<'a>> {
        let key = self.section.key(name);
        debug_assert!(key.is_some(), "`{name}` is no key of {}", self.section.name);
        let item = self.entries.get(name)?;
        Some(Value { cx: self.cx, file: self.file, key: key?, path: self.path_of(name), item })
    }

    /// Whether a key was probably meant where another stands: what it would have said is not known.
    pub(crate) fn is_misspelled(&self, name: &str) -> bool {
        self.misspelled.contains(&name)
    }

    /// What a key says, or what it means to leave it out.
    pub(crate) fn or<T>(&self, name: &str, read: impl FnOnce(&Value<'a>) -> Option<T>, default: T) -> T {
        self.opt(name, read).unwrap_or(default)
    }

    /// What a key says, if it is there and right.
    pub(crate) fn opt<T>(&self, name: &str, read: impl FnOnce(&Value<'a>) -> Option<T>) -> Option<T> {
        self.get(name).and_then(|value| read(&value))
    }

    /// The tables of a key that holds an array of tables; none if it is not there.
    pub(crate) fn tables(&self, name: &str) -> Vec<Table<'a>> {
        self.get(name).map(|value| value.tables()).unwrap_or_default()
    }

    /// How many items an array has, whatever they are; nothing is judged.
    pub(crate) fn len_of(&self, name: &str) -> usize {
        self.get(name).and_then(|value| value.item.get_ref().as_array()).map_or(0, |items| items.len())
    }

    /// Where it begins.
    pub(crate) fn origin(&self) -> Origin {
        self.file.origin(self.span.clone())
    }

    /// Reports a mistake of the whole table.
    pub(crate) fn mistake(&self, mistake: Mistake) {
        self.cx.mistake(Some(&self.origin()), &self.path, mistake);
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

impl<'a> Value<'a> {
    /// The string, references replaced.
    pub(crate) fn text(&self) -> Option<String> {
        let Some(text) = self.string() else {
            self.wrong_type();
            return None;
        };
        let expanded = expand::expand(text, &self.file.directory, self.cx);
        expanded.map_err(|mistakes| mistakes.into_iter().for_each(|mistake| self.mistake(mistake))).ok()
    }

    /// The string of a grammar that has `${…}` of its own: what can't be a reference stays.
    pub(crate) fn own_text(&self) -> Option<String> {
        let text = self.typed(self.string())?;
        let expanded = expand::expand_own(text, &self.file.directory, self.cx);
        expanded.map_err(|mistakes| mistakes.into_iter().for_each(|mistake| self.mistake(mistake))).ok()
    }

    /// What a function reads from such a string.
    pub(crate) fn own_parse<T>(&self, read: impl FnOnce(&str) -> Result<T, Mistake>) -> Option<T> {
        let text = self.own_text()?;
        read(&text).map_err(|mistake| self.mistake(mistake)).ok()
    }

    /// What a function reads from the string.
    pub(crate) fn parse<T>(&self, read: impl FnOnce(&str) -> Result<T, Mistake>) -> Option<T> {
        let text = self.text()?;
        read(&text).map_err(|mistake| self.mistake(mistake)).ok()
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self) -> Option<bool> {
        self.typed(self.item.get_ref().as_bool())
    }

    /// A whole number in the key's range.
    pub(crate) fn count<T: TryFrom<u64>>(&self) -> Option<T> {
        let integer = self.typed(self.item.get_ref().as_integer())?;
        let count = i128::from_str_radix(integer.as_str(), integer.radix()).ok();
        let (Form::Count(min, max) | Form::Counts(min, max, _)) = self.key.form else {
            return self.typed(None);
        };
        let inside = count.filter(|count| (i128::from(min)..=i128::from(max)).contains(count));
        let inside =
            inside.and_then(|count| u64::try_from(count).ok()).and_then(|count| T::try_from(count).ok());
        if inside.is_none() {
            self.out_of_range(&quote(&integer.to_string()), &min.to_string(), &max.to_string());
        }
        inside
    }

    /// A number in the key's range.
    pub(crate) fn number(&self) -> Option<f64> {
        let Form::Number(min, max) = self.key.form else { return self.typed(None) };
        let item = self.item.get_ref();
        let text = match (item.as_float(), item.as_integer()) {
            (Some(float), _) => float.as_str().to_owned(),
            (_, Some(integer)) if integer.radix() == 10 => integer.as_str().to_owned(),
            _ => return self.typed(None),
        };
        let number = text.replace('_', "").parse::<f64>().ok().filter(|number| (min..=max).contains(number));
        if number.is_none() {
            self.out_of_range(&quote(&text), &min.to_string(), &max.to_string());
        }
        number
    }

    /// A duration in the key's range; where a table may stand instead, the range is that of its first key.
    pub(crate) fn duration(&self) -> Option<Duration> {
        let range = match &self.key.form {
            Form::DurationOrTable(section, _) => section.keys.first().map(|key| &key.form),
            form => Some(form),
        };
        let Some(Form::Duration(min, max)) = range else { return self.typed(None) };
        let duration = self.parse(units::duration)?;
        if (*min..=*max).contains(&duration) {
            return Some(duration);
        }
        let show = units::show_duration;
        self.out_of_range(&quote(&show(duration)), &show(*min), &show(*max));
        None
    }

    /// A size in bytes in the key's range.
    pub(crate) fn size(&self) -> Option<u64> {
        let Form::Size(min, max) = self.key.form else { return self.typed(None) };
        let size = self.parse(units::size)?;
        if (min..=max).contains(&size) {
            return Some(size);
        }
        self.out_of_range(&quote(&units::show_size(size)), &units::show_size(min), &units::show_size(max));
        None
    }

    /// A rate in requests a second.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.parse(units::rate)
    }

    /// An IP address and a port.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.parse(crate::names::address)
    }

    /// The same, refused if other machines could reach it.
    pub(crate) fn loopback(&self) -> Option<SocketAddr> {
        self.parse(crate::names::loopback)
    }

    /// A path, relative to the file that says it.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        let read = |text: &str| {
            if text.is_empty() || text.contains('\0') {
                return Err(Mistake::new("the path is empty or holds a zero byte"));
            }
            Ok(self.file.directory.join(text))
        };
        self.parse(read)
    }

    /// One of the key's choices.
    pub(crate) fn choice(&self) -> Option<&'static str> {
        let (Form::Choice(choices) | Form::WordOrTable(choices, _)) = self.key.form else {
            return self.typed(None);
        };
        self.parse(|text| {
            let chosen = choices.iter().copied().find(|choice| *choice == text);
            chosen.ok_or_else(|| {
                let help = match suggest::nearest(text, choices.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("write {}", alternatives(choices.iter().copied())),
                };
                Mistake::new(format!("{} is not known here", quote(text))).help(help)
            })
        })
    }

    /// The strings of an array, each read by a function.
    pub(crate) fn list<T>(&self, read: impl Fn(&str) -> Result<T, Mistake>) -> Option<Vec<T>> {
        self.typed(self.item.get_ref().as_array())?;
        // All of them are read, so that all mistakes are found.
        let read: Vec<_> = self.items().iter().map(|value| value.parse(&read)).collect();
        read.into_iter().collect()
    }

    /// The whole numbers of an array, each in the key's range.
    pub(crate) fn counts<T: TryFrom<u64>>(&self) -> Option<Vec<T>> {
        self.typed(self.item.get_ref().as_array())?;
        let read: Vec<_> = self.items().iter().map(Value::count).collect();
        read.into_iter().collect()
    }

    /// The values of an array.
    pub(crate) fn items(&self) -> Vec<Value<'a>> {
        let items = self.typed(self.item.get_ref().as_array());
        let items = items.into_iter().flatten().enumerate();
        items.map(|(index, item)| self.item(index, item)).collect()
    }

    /// Names and strings of a table with free names.
    pub(crate) fn pairs(&self) -> Option<Vec<(String, Value<'a>)>> {
        let entries = self.typed(self.item.get_ref().as_table())?;
        let mut entries: Vec<_> = entries.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        let value = |(name, item): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| {
            let name: &std::borrow::Cow<'a, str> = name.get_ref();
            let path = format!("{}.{name}", self.path);
            (name.to_string(), Value { cx: self.cx, file: self.file, key: self.key, path, item })
        };
        Some(entries.into_iter().map(value).collect())
    }

    /// Strings by media type; one alone is for `application/json`.
    pub(crate) fn text_or_pairs(&self) -> Option<Vec<(String, Value<'a>)>> {
        if self.item.get_ref().is_str() {
            return Some(vec![(JSON.to_owned(), self.clone())]);
        }
        self.pairs()
    }

    /// Whether it is a table, where a string may stand as well.
    pub(crate) fn is_table(&self) -> bool {
        self.item.get_ref().is_table()
    }

    /// Whether it is an array, empty or not.
    pub(crate) fn is_array(&self) -> bool {
        self.item.get_ref().is_array()
    }

    /// The table, opened.
    pub(crate) fn table(&self) -> Option<Table<'a>> {
        let section = self.typed(self.key.section())?;
        if let Form::Table(_) = self.key.form
            && self.item.get_ref().is_array()
        {
            let message = format!("`{}` is one table, not an array of tables", self.path);
            self.mistake(Mistake::new(message).help(format!("write `[{}]`", self.path)));
            return None;
        }
        let entries = self.typed(self.item.get_ref().as_table())?;
        Some(Table::open(self.cx, self.file, section, self.path.clone(), self.item.span(), entries))
    }

    /// The tables of an array; a table alone is one where the key says so.
    pub(crate) fn tables(&self) -> Vec<Table<'a>> {
        match (self.item.get_ref(), &self.key.form) {
            (DeValue::Array(items), _) => {
                let values = items.iter().enumerate().map(|(index, item)| self.item(index, item));
                values.filter_map(|value| value.open_item()).collect()
            }
            (DeValue::Table(_), Form::TableOrTables(_)) => self.table().into_iter().collect(),
            (DeValue::Table(_), _) => {
                let message = format!("`{}` is an array of tables", self.path);
                let name =
                    self.path.replace(|char: char| char == '[' || char == ']' || char.is_ascii_digit(), "");
                self.mistake(Mistake::new(message).help(format!("write `[[{name}]]` with two brackets")));
                Vec::new()
            }
            _ => {
                self.wrong_type();
                Vec::new()
            }
        }
    }

    /// The tables under free names, in the order of their places.
    pub(crate) fn named(&self) -> Vec<Named<'a>> {
        let (Some(section), Some(entries)) = (self.key.section(), self.typed(self.item.get_ref().as_table()))
        else {
            return Vec::new();
        };
        let mut entries: Vec<_> = entries.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        let open = |(name, item): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| {
            let origin = self.file.origin(name.span());
            let name: &std::borrow::Cow<'a, str> = name.get_ref();
            let path = format!("{}.{name}", self.path);
            let Some(entries) = item.get_ref().as_table() else {
                let message = format!("`{path}` is a table, not {}", described(item.get_ref()));
                self.cx.mistake(
                    Some(&origin),
                    &path,
                    Mistake::new(message).help(format!("write `[{path}]`")),
                );
                return None;
            };
            let table = Table::open(self.cx, self.file, section, path, item.span(), entries);
            Some(Named { name: name.to_string(), origin, table })
        };
        entries.into_iter().filter_map(open).collect()
    }

    /// The string as it was written, references and all.
    pub(crate) fn string(&self) -> Option<&'a str> {
        self.item.get_ref().as_str()
    }

    /// Whether it is one of these words, as it was written.
    pub(crate) fn is_one_of(&self, words: &[&str]) -> bool {
        self.string().is_some_and(|text| words.contains(&text))
    }

    /// Its text in the file.
    pub(crate) fn source(&self) -> &'a str {
        self.file.text.get(self.item.span()).unwrap_or_default()
    }

    /// Where it stands.
    pub(crate) fn origin(&self) -> Origin {
        self.file.origin(self.item.span())
    }

    /// Reports a mistake of this value.
    pub(crate) fn mistake(&self, mistake: Mistake) {
        self.cx.mistake(Some(&self.origin()), &self.path, mistake);
    }

    /// Reports something to think about.
    pub(crate) fn warn(&self, mistake: Mistake) {
        self.cx.warn(Some(&self.origin()), &self.path, mistake);
    }

    fn item(&self, index: usize, item: &'a Spanned<DeValue<'a>>) -> Value<'a> {
        Value { path: format!("{}[{index}]", self.path), item, ..self.clone() }
    }

    fn open_item(&self) -> Option<Table<'a>> {
        let (Some(section), Some(entries)) = (self.key.section(), self.item.get_ref().as_table()) else {
            let message = format!("expected a table, found {}", described(self.item.get_ref()));
            self.mistake(Mistake::new(message));
            return None;
        };
        Some(Table::open(self.cx, self.file, section, self.path.clone(), self.item.span(), entries))
    }

    fn typed<T>(&self, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.wrong_type();
        }
        value
    }

    fn wrong_type(&self) {
        let item = self.item.get_ref();
        // An item of an array of strings is a string.
        let is_inside = !self.path.ends_with(self.key.name);
        let in_array =
            matches!(self.key.form, Form::Texts(_) | Form::Pairs | Form::TextOrPairs(_)) && is_inside;
        let expected = match self.key.form {
            _ if in_array => "a string",
            Form::NamedPairs if is_inside => "a table of strings",
            Form::Counts(..) if is_inside => "a whole number",
            _ => self.key.form.expected(),
        };
        let number = item.as_integer().map(ToString::to_string).or(item.as_float().map(ToString::to_string));
        let help = match (&self.key.form, number) {
            (Form::Duration(..) | Form::DurationOrTable(..), Some(number)) => {
                format!("write `\"{number}s\"`")
            }
            (Form::Size(..), Some(number)) => format!("write `\"{number}B\"`"),
            (Form::Rate, Some(number)) => format!("write `\"{number}/s\"`"),
            // `path.id = "required"` is a table `path`.
            _ if in_array && item.is_table() => "write names with dots in quotes: `\"a.b\"`".to_owned(),
            _ if in_array => "write it in quotes".to_owned(),
            (Form::Counts(..), Some(number)) if !is_inside => format!("write `[{number}]`"),
            (Form::Texts(_), _) if item.is_str() => {
                format!("write `[{:?}]`", item.as_str().unwrap_or_default())
            }
            (form, _) => format!("write `{} = {}`", self.key.name, form.example()),
        };
        self.mistake(Mistake::new(format!("expected {expected}, found {}", described(item))).help(help));
    }

    fn out_of_range(&self, value: &str, min: &str, max: &str) {
        let message = format!("{value} is out of range");
        self.mistake(Mistake::new(message).help(format!("write something from `{min}` to `{max}`")));
    }
}

/// A list of names as a message shows it.
pub(crate) fn alternatives<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    if names.len() > LISTED_MAX {
        names.truncate(LISTED_MAX);
        names.push("…".into());
    }
    match names.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => names.join(""),
    }
}

fn unknown(section: &'static Section, name: &str, value: &DeValue<'_>) -> Mistake {
    let of = if std::ptr::eq(section, &ROOT) { String::new() } else { format!(" in `{}`", section.name) };
    let mistake = Mistake::new(format!("unknown key {}{of}", quote(name)));
    // A table is not meant where the key below holds none.
    let is_table =
        value.is_table() || value.as_array().is_some_and(|it| it.iter().any(|it| it.get_ref().is_table()));
    let fits = |key: &Key| !is_table || key.section().is_some();
    let below = section.keys.iter().find(|key| {
        !matches!(key.form, Form::Named(_))
            && key.section().and_then(|section| section.key(name)).is_some_and(fits)
    });
    mistake.help(match (below, suggest::nearest(name, section.names())) {
        (Some(below), _) => format!("did you mean `{}.{name}`?", below.name),
        (None, Some(near)) => format!("did you mean `{near}`?"),
        (None, None) => format!("known are {}", alternatives(section.names()).replace(" or ", " and ")),
    })
}

fn described(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

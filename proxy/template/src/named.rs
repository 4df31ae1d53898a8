//! Names with their values, in one text: fields, parameters, what is put over them. Filled anew for each message it keeps its memory, so
//! that it allocates nothing once it has been as full. It does not know what is named.

use std::slice;

/// Names in the order in which they came first, each with its values.
#[derive(Clone, Debug, Default)]
pub struct NamedValues {
    text: String,
    names: Vec<Named>,
    /// Those of one name stand together.
    values: Vec<Span>,
}

/// Where a part of the text lies.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    from: usize,
    to: usize,
}

#[derive(Clone, Copy, Debug)]
struct Named {
    name: Span,
    first: usize,
    count: usize,
    is_list: bool,
}

/// The values of one name.
#[derive(Clone, Debug)]
pub struct Values<'a> {
    text: &'a str,
    spans: slice::Iter<'a, Span>,
    is_list: bool,
}

/// One name, whose values are to be written.
#[derive(Debug)]
pub struct Writer<'a> {
    all: &'a mut NamedValues,
    at: usize,
}

impl NamedValues {
    /// Forgets all, keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.names.clear();
        self.values.clear();
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The memory that it keeps, in bytes.
    pub fn kept_bytes(&self) -> usize {
        self.text.capacity()
            + self.names.capacity() * size_of::<Named>()
            + self.values.capacity() * size_of::<Span>()
    }

    /// Begins a name at the end, whether or not it is there.
    pub fn add(&mut self, name: &str) -> Writer<'_> {
        let name = self.append(|text| text.push_str(name));
        let first = self.values.len();
        self.names.push(Named { name, first, count: 0, is_list: false });
        let at = self.names.len() - 1;
        Writer { all: self, at }
    }

    /// Begins a name in its own place, without the values that it had, or at the end. `is_same` compares names.
    pub fn set(&mut self, name: &str, is_same: fn(&str, &str) -> bool) -> Writer<'_> {
        let Some(at) = self.names.iter().position(|known| is_same(self.text(known.name), name)) else {
            return self.add(name);
        };
        let named = &mut self.names[at];
        (named.first, named.count, named.is_list) = (self.values.len(), 0, false);
        Writer { all: self, at }
    }

    /// Takes the name away that stands last.
    pub fn pop(&mut self) {
        self.names.pop();
    }

    /// The values of a name.
    pub fn get(&self, name: &str, is_same: fn(&str, &str) -> bool) -> Option<Values<'_>> {
        let named = self.names.iter().find(|known| is_same(self.text(known.name), name))?;
        Some(self.values_of(named))
    }

    /// Names and their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Values<'_>)> {
        self.names.iter().map(|named| (self.text(named.name), self.values_of(named)))
    }

    fn values_of(&self, named: &Named) -> Values<'_> {
        let spans = self.values.get(named.first..named.first + named.count).unwrap_or_default();
        Values { text: &self.text, spans: spans.iter(), is_list: named.is_list }
    }

    fn text(&self, span: Span) -> &str {
        self.text.get(span.from..span.to).unwrap_or_default()
    }

    fn append(&mut self, write: impl FnOnce(&mut String)) -> Span {
        let from = self.text.len();
        write(&mut self.text);
        Span { from, to: self.text.len() }
    }
}

impl Writer<'_> {
    /// Adds a value.
    pub fn value(&mut self, value: &str) {
        let span = self.all.append(|text| text.push_str(value));
        self.all.values.push(span);
        self.all.names[self.at].count += 1;
    }

    /// Says that it is a list, however many values it has.
    pub fn list(&mut self) {
        self.all.names[self.at].is_list = true;
    }
}

impl Values<'_> {
    /// Whether it is a list, and not one value.
    pub fn is_list(&self) -> bool {
        self.is_list
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.spans.next().map(|span| self.text.get(span.from..span.to).unwrap_or_default())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.spans.size_hint()
    }
}

impl ExactSizeIterator for Values<'_> {}

/// Two are the same when they read the same.
impl PartialEq for NamedValues {
    fn eq(&self, other: &Self) -> bool {
        let is_same = |((name, values), (other, others)): ((&str, Values<'_>), (&str, Values<'_>))| {
            name == other && values.is_list == others.is_list && values.eq(others)
        };
        self.len() == other.len() && self.iter().zip(other.iter()).all(is_same)
    }
}

impl Eq for NamedValues {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(named: &NamedValues) -> Vec<(&str, Vec<&str>)> {
        named.iter().map(|(name, values)| (name, values.collect())).collect()
    }

    #[test]
    fn names_keep_their_places() {
        let mut named = NamedValues::default();
        named.add("a").value("1");
        let mut list = named.add("B");
        list.list();
        list.value("2");
        list.value("3");
        named.set("b", str::eq_ignore_ascii_case).value("4");
        named.set("b", |known, name| known == name);
        assert_eq!(read(&named), [("a", vec!["1"]), ("B", vec!["4"]), ("b", vec![])]);
        assert_eq!(named.get("B", str::eq_ignore_ascii_case).map(Iterator::collect), Some(vec!["4"]));
        assert_eq!(named.get("c", str::eq_ignore_ascii_case).map(|values| values.len()), None);
        named.pop();
        assert_eq!(named.len(), 2);
    }

    #[test]
    fn what_reads_the_same_is_the_same() {
        let (mut one, mut other) = (NamedValues::default(), NamedValues::default());
        one.add("a").value("0");
        one.set("a", str::eq_ignore_ascii_case).value("1");
        other.add("a").value("1");
        assert_eq!(one, other);
        other.set("a", str::eq_ignore_ascii_case).list();
        assert_ne!(one, other);
        one.clear();
        assert!(one.is_empty() && one.kept_bytes() > 0);
    }
}

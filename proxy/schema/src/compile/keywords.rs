//! What the keywords of a schema say, and what is wrong with how they say it.

use hashbrown::HashMap;

use super::{Compiler, PATTERNS_MAX, Place};
use crate::{
    format::Format,
    json::{Kind, read},
    names::{Names, Property},
    node::{
        AnyRules, ArrayRules, Dependency, Items, Node, NodeId, NumberRules, ObjectRules, Others, TextRules,
        Types,
    },
    number::{Bound, Divisor},
    regex::Pattern,
};

impl<'d> Compiler<'d> {
    pub(super) fn keywords(&mut self, place: &Place<'d>) -> Node {
        Node {
            types: self.types(place),
            object: self.object(place).map(Box::new),
            array: self.array(place).map(Box::new),
            text: self.text(place).map(Box::new),
            number: self.number(place).map(Box::new),
            any: self.any(place).map(Box::new),
        }
    }

    /// What a keyword says, if it is there.
    fn keyword(place: &Place<'d>, name: &str) -> Option<Place<'d>> {
        Some(place.at(name, place.value.member(name)?))
    }

    fn types(&mut self, place: &Place<'d>) -> Types {
        let Some(place) = Self::keyword(place, "type") else { return Types::default() };
        let mut types = Types::NONE;
        let names: Vec<_> = match place.value.kind() {
            Kind::Array => place.value.elements().collect(),
            _ => vec![place.value],
        };
        let all_known = names.iter().all(|name| name.text().is_some_and(|name| types.add(&name.read())));
        if names.is_empty() || !all_known {
            self.refuse(
                &place,
                "there are the types array, boolean, integer, null, number, object and string",
            );
        }
        types
    }

    fn object(&mut self, place: &Place<'d>) -> Option<ObjectRules> {
        let mut properties: Vec<Property> = Vec::new();
        let mut known: HashMap<Box<str>, usize> = HashMap::new();
        for (name, place) in self.members(place, "properties") {
            let schema = Some(self.schema(&place));
            let name = Box::from(name);
            // The last one counts where a name stands twice.
            match known.get(&name) {
                Some(at) => properties[*at].schema = schema,
                None => {
                    known.insert(Box::clone(&name), properties.len());
                    properties.push(Property { name, schema, required: None });
                }
            }
        }
        let mut patterns = Vec::new();
        for (name, place) in self.members(place, "patternProperties") {
            let node = self.schema(&place);
            patterns.extend(self.pattern(&place, &name).map(|pattern| (pattern, node)));
        }
        let mut required = Self::keyword(place, "required").map_or_else(Vec::new, |place| self.names(&place));
        required.sort_unstable();
        required.dedup();
        for (number, name) in (0..).zip(&required) {
            match known.get(name) {
                Some(at) => properties[*at].required = Some(number),
                None => {
                    properties.push(Property { name: name.clone(), schema: None, required: Some(number) })
                }
            }
        }
        let additional = self.others(place, "additionalProperties");
        let (least, most) = (self.count(place, "minProperties"), self.count(place, "maxProperties"));
        let dependencies = self.dependencies(place);
        let says_nothing = properties.is_empty()
            && patterns.is_empty()
            && matches!(additional, Others::Any)
            && least.is_none()
            && most.is_none()
            && dependencies.is_empty();
        (!says_nothing).then(|| {
            let names = Names::new(properties);
            ObjectRules { names, required, patterns, additional, least, most, dependencies }
        })
    }

    fn dependencies(&mut self, place: &Place<'d>) -> Vec<(Box<str>, Dependency)> {
        let mut dependencies: Vec<(Box<str>, Dependency)> = Vec::new();
        for (name, place) in self.members(place, "dependencies") {
            let dependency = match place.value.kind() {
                Kind::Array => {
                    let mut names = self.names(&place);
                    names.sort_unstable();
                    Dependency::Names(names)
                }
                _ => Dependency::Schema(self.schema(&place)),
            };
            dependencies.push((Box::from(name), dependency));
        }
        dependencies.sort_by(|(left, what), (right, other)| {
            let is_schema = |what: &Dependency| matches!(what, Dependency::Schema(_));
            is_schema(what).cmp(&is_schema(other)).then_with(|| left.cmp(right))
        });
        dependencies
    }

    fn array(&mut self, place: &Place<'d>) -> Option<ArrayRules> {
        let items = match Self::keyword(place, "items") {
            None => Items::Any,
            Some(items) if items.value.kind() == Kind::Array => {
                let each = self.schemas(&items);
                Items::Each(each, self.others(place, "additionalItems"))
            }
            Some(items) => Items::All(self.schema(&items)),
        };
        let unique = self.flag(place, "uniqueItems");
        (unique || !matches!(items, Items::Any)).then_some(ArrayRules { items, unique })
    }

    fn text(&mut self, place: &Place<'d>) -> Option<TextRules> {
        let pattern = self.string(place, "pattern").and_then(|(place, text)| self.pattern(&place, &text));
        let format = self.string(place, "format").and_then(|(_, name)| Format::named(&name));
        let (least, most) = (self.count(place, "minLength"), self.count(place, "maxLength"));
        let says_nothing = pattern.is_none() && format.is_none() && least.is_none() && most.is_none();
        (!says_nothing).then_some(TextRules { least, most, pattern, format })
    }

    fn number(&mut self, place: &Place<'d>) -> Option<NumberRules> {
        let minimum = self.numeral(place, "minimum").map(|(_, text)| Bound::new(text));
        let maximum = self.numeral(place, "maximum").map(|(_, text)| Bound::new(text));
        let below_maximum = self.flag(place, "exclusiveMaximum");
        let multiple_of = self.numeral(place, "multipleOf").and_then(|(place, text)| {
            let divisor = Divisor::new(text);
            if divisor.is_none() {
                self.refuse(&place, "it has to be above 0, and have 18 digits that count at most");
            }
            divisor
        });
        let says_nothing = minimum.is_none() && maximum.is_none() && multiple_of.is_none();
        (!says_nothing).then_some(NumberRules { minimum, maximum, below_maximum, multiple_of })
    }

    fn any(&mut self, place: &Place<'d>) -> Option<AnyRules> {
        let enumeration = Self::keyword(place, "enum").and_then(|place| {
            if place.value.elements().next().is_none() {
                self.refuse(&place, "a list of values is wanted, with one at least");
                return None;
            }
            let mut text = String::new();
            place.value.compact(&mut text);
            // It was read before.
            read(text.as_bytes()).ok().map(crate::json::Document::into_owned)
        });
        let mut list = |name: &str| {
            let place = Self::keyword(place, name);
            place.map_or_else(Vec::new, |place| {
                let schemas = self.schemas(&place);
                if schemas.is_empty() {
                    self.refuse(&place, "a list of schemas is wanted, with one at least");
                }
                schemas
            })
        };
        let (all_of, any_of, one_of) = (list("allOf"), list("anyOf"), list("oneOf"));
        let not = Self::keyword(place, "not").map(|place| self.schema(&place));
        let says_nothing = enumeration.is_none()
            && all_of.is_empty()
            && any_of.is_empty()
            && one_of.is_empty()
            && not.is_none();
        (!says_nothing).then_some(AnyRules { enumeration, all_of, any_of, one_of, not })
    }

    /// The members of what a keyword says.
    fn members(&mut self, place: &Place<'d>, name: &str) -> Vec<(String, Place<'d>)> {
        let Some(place) = Self::keyword(place, name) else { return Vec::new() };
        if !place.value.is_object() {
            self.refuse(&place, "an object is wanted");
        }
        let members = place.value.members().map(|(name, value)| (name.read().into_owned(), value));
        members.map(|(name, value)| (name.clone(), place.at(&name, value))).collect()
    }

    /// Each schema of a list.
    fn schemas(&mut self, place: &Place<'d>) -> Vec<NodeId> {
        let elements = place.value.elements().enumerate();
        elements.map(|(number, value)| self.schema(&place.at(&number.to_string(), value))).collect()
    }

    /// A list of names.
    fn names(&mut self, place: &Place<'d>) -> Vec<Box<str>> {
        let names: Option<Vec<_>> =
            place.value.elements().map(|name| name.text().map(|name| Box::from(&*name.read()))).collect();
        match names.filter(|_| place.value.kind() == Kind::Array) {
            Some(names) => names,
            None => {
                self.refuse(place, "a list of names is wanted");
                Vec::new()
            }
        }
    }

    fn others(&mut self, place: &Place<'d>, name: &str) -> Others {
        let Some(place) = Self::keyword(place, name) else { return Others::Any };
        match place.value.boolean() {
            Some(true) => Others::Any,
            Some(false) => Others::None,
            None => Others::Schema(self.schema(&place)),
        }
    }

    fn flag(&mut self, place: &Place<'d>, name: &str) -> bool {
        let Some(place) = Self::keyword(place, name) else { return false };
        if place.value.boolean().is_none() {
            self.refuse(&place, "true or false is wanted");
        }
        place.value.boolean() == Some(true)
    }

    fn count(&mut self, place: &Place<'d>, name: &str) -> Option<u64> {
        let (place, text) = self.numeral(place, name)?;
        let count = text.parse().ok().filter(|_| place.value.is_integer());
        if count.is_none() {
            self.refuse(&place, "a whole number of 0 or more is wanted");
        }
        count
    }

    fn numeral(&mut self, place: &Place<'d>, name: &str) -> Option<(Place<'d>, &'d str)> {
        let place = Self::keyword(place, name)?;
        if place.value.kind() != Kind::Number {
            self.refuse(&place, "a number is wanted");
            return None;
        }
        let text = place.value.written();
        Some((place, text))
    }

    fn string(&mut self, place: &Place<'d>, name: &str) -> Option<(Place<'d>, String)> {
        let place = Self::keyword(place, name)?;
        let Some(text) = place.value.text().map(|text| text.read().into_owned()) else {
            self.refuse(&place, "a string is wanted");
            return None;
        };
        Some((place, text))
    }

    fn pattern(&mut self, place: &Place<'d>, pattern: &str) -> Option<Pattern> {
        self.patterns += 1;
        if self.patterns > PATTERNS_MAX {
            self.refuse(
                place,
                format!("there are more than {PATTERNS_MAX} regular expressions (limit: patterns)"),
            );
            return None;
        }
        let compiled = Pattern::new(pattern);
        compiled.map_err(|why| self.refuse(place, why)).ok()
    }
}

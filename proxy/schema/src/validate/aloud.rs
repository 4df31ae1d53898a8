//! The second walk, which tells what is wrong.

use super::Run;
use crate::{
    json::{Kind, Text, Value},
    node::{AnyRules, Dependency, Items, Node, ObjectRules, Others},
    report::Fault,
};

impl Run<'_> {
    fn say(&mut self, fault: &Fault<'_>) {
        if let Some(report) = &mut self.report {
            report.add(fault);
        }
    }

    /// Whether something was said already, or nothing more may be.
    fn is_done(&self) -> bool {
        self.over.is_some() || self.report.as_ref().is_none_or(|report| !report.is_empty())
    }

    pub(super) fn aloud(&mut self, node: &Node, value: Value<'_>) -> bool {
        if self.over.is_some() || self.report.as_ref().is_some_and(super::Report::is_full) {
            return false;
        }
        self.keywords(node, value);
        // As the Java validator does it.
        if self.is_done() {
            return false;
        }
        match value.kind() {
            Kind::Object => node.object.iter().for_each(|rules| self.members(rules, value)),
            Kind::Array => node.array.iter().for_each(|rules| self.elements(&rules.items, value)),
            _ => {}
        }
        !self.is_done()
    }

    /// Keywords in their order.
    fn keywords(&mut self, node: &Node, value: Value<'_>) {
        if let (Kind::Array, Some(rules)) = (value.kind(), &node.array)
            && let Items::Each(nodes, Others::None) = &rules.items
        {
            let found = value.elements().count();
            if found > nodes.len() {
                self.say(&Fault::AdditionalItems { allowed: nodes.len(), found });
            }
        }
        if let (Kind::Object, Some(rules)) = (value.kind(), &node.object) {
            self.additional(rules, value);
        }
        if let Some(rules) = &node.any {
            self.all_and_any(rules, value);
        }
        if let (Kind::Object, Some(rules)) = (value.kind(), &node.object) {
            self.dependencies(rules, value);
        }
        if let Some(values) = node.any.as_ref().and_then(|rules| rules.enumeration.as_ref())
            && !self.is_among(value, values.root())
        {
            self.say(&Fault::Enum { value, values: values.root() });
        }
        self.at_most(node, value);
        self.at_least(node, value);
        if let (Kind::Number, Some(rules)) = (value.kind(), &node.number)
            && let Some(divisor) = rules.multiple_of.as_ref().filter(|it| !it.divides(value.written()))
        {
            self.say(&Fault::NotMultiple { found: value.written(), of: &divisor.text });
        }
        if let Some(rules) = &node.any {
            self.not_and_one(rules, value);
        }
        if let (Some(text), Some(rules)) = (value.text(), &node.text)
            && let Some(pattern) = &rules.pattern
            && !self.is_in(pattern, text)
        {
            self.say(&Fault::Pattern { pattern: &pattern.text, text: &text.read() });
        }
        if let (Kind::Object, Some(rules)) = (value.kind(), &node.object) {
            self.required(rules, value);
        }
        if !node.types.allow(value) {
            self.say(&Fault::Type { value, allowed: node.types });
        }
        if let (Kind::Array, Some(rules)) = (value.kind(), &node.array)
            && rules.unique
            && !self.is_unique(value)
        {
            self.say(&Fault::Duplicates);
        }
        if let (Some(text), Some(rules)) = (value.text(), &node.text)
            && let Some(format) = rules.format
            && self.spend(text.steps() + format.steps(text.bytes()))
            && !format.is_of(&text.read())
        {
            self.say(&Fault::Format { format, text: &text.read() });
        }
    }

    fn additional(&mut self, rules: &ObjectRules, value: Value<'_>) {
        if !matches!(rules.additional, Others::None) {
            return;
        }
        let mut names = Vec::new();
        for (name, _) in value.members() {
            let is_property = rules.names.find(name).is_some_and(|property| property.schema.is_some());
            if !is_property && !rules.patterns.iter().any(|(pattern, _)| self.is_in(pattern, name)) {
                names.push(name.read());
            }
        }
        if !names.is_empty() {
            names.sort_unstable();
            names.dedup();
            let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
            self.say(&Fault::AdditionalProperties(&names));
        }
    }

    fn all_and_any(&mut self, rules: &AnyRules, value: Value<'_>) {
        let matched = self.matched(&rules.all_of, value);
        if matched < rules.all_of.len() {
            self.say(&Fault::AllOf { matched, of: rules.all_of.len() });
        }
        if !rules.any_of.is_empty() && !rules.any_of.iter().any(|node| self.quietly(*node, value)) {
            self.say(&Fault::AnyOf { of: rules.any_of.len() });
        }
    }

    fn not_and_one(&mut self, rules: &AnyRules, value: Value<'_>) {
        if rules.not.is_some_and(|node| self.quietly(node, value)) {
            self.say(&Fault::Not);
        }
        let of = rules.one_of.len();
        if of > 0 {
            let matched = self.matched(&rules.one_of, value);
            if matched != 1 {
                self.say(&Fault::OneOf { matched, of });
            }
        }
    }

    fn dependencies(&mut self, rules: &ObjectRules, value: Value<'_>) {
        for (name, dependency) in &rules.dependencies {
            if !self.has(value, name) {
                continue;
            }
            match dependency {
                Dependency::Names(required) => {
                    let missing: Vec<&str> =
                        required.iter().map(|name| &**name).filter(|name| !self.has(value, name)).collect();
                    if !missing.is_empty() {
                        self.say(&Fault::Dependency { property: name, required, missing: &missing });
                    }
                }
                // Not in a report of its own, as those of `allOf` are.
                Dependency::Schema(node) => {
                    self.check(*node, value);
                }
            }
        }
    }

    fn at_most(&mut self, node: &Node, value: Value<'_>) {
        match value.kind() {
            Kind::Text => {
                let (Some(rules), Some(text)) = (&node.text, value.text()) else { return };
                if let (Some(most), Some(length)) = (rules.most, self.length(rules, text))
                    && length > most
                {
                    self.say(&Fault::TooLong { text: &text.read(), length, most });
                }
            }
            Kind::Object => {
                let found = value.members().count() as u64;
                if let Some(most) =
                    node.object.as_ref().and_then(|rules| rules.most).filter(|most| found > *most)
                {
                    self.say(&Fault::TooManyProperties { found, most });
                }
            }
            Kind::Number => {
                let Some(rules) = &node.number else { return };
                let Some(maximum) = &rules.maximum else { return };
                let found = value.written();
                match maximum.order(found) {
                    std::cmp::Ordering::Greater => {
                        self.say(&Fault::TooLarge { found, maximum: &maximum.text });
                    }
                    std::cmp::Ordering::Equal if rules.below_maximum => {
                        self.say(&Fault::NotBelow { maximum: &maximum.text });
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn at_least(&mut self, node: &Node, value: Value<'_>) {
        match value.kind() {
            Kind::Text => {
                let (Some(rules), Some(text)) = (&node.text, value.text()) else { return };
                if let (Some(least), Some(length)) = (rules.least, self.length(rules, text))
                    && length < least
                {
                    self.say(&Fault::TooShort { text: &text.read(), length, least });
                }
            }
            Kind::Object => {
                let found = value.members().count() as u64;
                if let Some(least) =
                    node.object.as_ref().and_then(|rules| rules.least).filter(|least| found < *least)
                {
                    self.say(&Fault::TooFewProperties { found, least });
                }
            }
            Kind::Number => {
                let Some(minimum) = node.number.as_ref().and_then(|rules| rules.minimum.as_ref()) else {
                    return;
                };
                let found = value.written();
                if minimum.order(found).is_lt() {
                    self.say(&Fault::TooSmall { found, minimum: &minimum.text });
                }
            }
            _ => {}
        }
    }

    fn required(&mut self, rules: &ObjectRules, value: Value<'_>) {
        let mut seen = vec![false; rules.required.len()];
        for (name, _) in value.members() {
            if let Some(number) = rules.names.find(name).and_then(|property| property.required) {
                seen[number as usize] = true;
            }
        }
        let missing: Vec<&str> =
            rules.required.iter().zip(seen).filter(|(_, seen)| !seen).map(|(name, _)| &**name).collect();
        if !missing.is_empty() {
            self.say(&Fault::Required(&missing));
        }
    }

    fn members(&mut self, rules: &ObjectRules, value: Value<'_>) {
        let mut members: Vec<(Text<'_>, Value<'_>)> = value.members().collect();
        if !self.spend(members.len() as u64) {
            return;
        }
        members.sort_by_cached_key(|(name, _)| name.read());
        for (name, value) in members {
            let mut is_known = false;
            if let Some(node) = rules.names.find(name).and_then(|property| property.schema) {
                is_known = true;
                self.check(node, value);
            }
            for (pattern, node) in &rules.patterns {
                if self.is_in(pattern, name) {
                    is_known = true;
                    self.check(*node, value);
                }
            }
            if let (false, Others::Schema(node)) = (is_known, rules.additional) {
                self.check(node, value);
            }
        }
    }

    fn elements(&mut self, items: &Items, value: Value<'_>) {
        for (number, element) in value.elements().enumerate() {
            let node = match items {
                Items::Any => return,
                Items::All(node) => *node,
                Items::Each(nodes, others) => match (nodes.get(number), others) {
                    (Some(node), _) | (None, Others::Schema(node)) => *node,
                    _ => return,
                },
            };
            self.check(node, element);
        }
    }
}

//! `#set`: into a variable, a map, a list, or what the request and its response are to have (row 119).

use crate::NamedValues;

use super::{
    inputs::Overrides,
    object::place,
    program::{Reference, Step},
    render::{Handle, Render, Result},
    value::{Object, Value},
};

impl<'a> Render<'a, '_> {
    /// Nothing is not set: 1.7 leaves what was there (`directive.set.null.allowed`).
    pub(super) fn assign(&mut self, handle: Handle<'_>, target: &Reference, value: Value<'a>) -> Result<()> {
        if value.is_null() {
            return Ok(());
        }
        let Some((last, before)) = target.steps.split_last() else {
            if let Some(slot) = self.slots.get_mut(target.slot as usize) {
                *slot = value;
            }
            return Ok(());
        };
        let object = self.steps_of(handle, target, before.len())?;
        let key = match last {
            Step::Property(name) => Value::Text(self.heap.text(name)?),
            Step::Index(index) => self.value(handle, index)?,
            // What a method gives can't be set.
            Step::Method(_) => return Ok(()),
        };
        match (object, key) {
            (Value::Map(map), key) => {
                let key = self.text(key)?;
                map.put(self.heap, key, value)?;
            }
            (Value::List(list), Value::Int(index)) => {
                let length = list.len(self.heap)?;
                let at = place("set", index, length, length)?;
                list.read(self.heap)?[at] = value;
            }
            (Value::Object(Object::Context(group)), key) => {
                let key = self.text(key)?;
                self.override_with(group, key, value)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn override_with(&mut self, group: &str, name: &str, value: Value<'a>) -> Result<()> {
        if (group, name) == ("responseOverride", "status") {
            // Only an integer that can be a status counts.
            if let Value::Int(status @ 100..=599) = value {
                self.overrides.response_status = u16::try_from(status).ok();
            }
            return Ok(());
        }
        if overridden(self.overrides, group).is_none() {
            return Ok(());
        }
        let list = match value {
            Value::List(list) => Some(list),
            _ => None,
        };
        let count = list.map_or(Ok(1), |list| list.len(self.heap))?;
        let mut texts = self.heap.vec(count)?;
        for index in 0..count {
            let item = match list {
                Some(list) => {
                    self.pay(1)?;
                    list.get(self.heap, index)?.unwrap_or(Value::Null)
                }
                None => value,
            };
            let text = self.text(item)?;
            self.heap.push(&mut texts, text)?;
        }
        // What is kept beyond the rendering costs more: a step for each byte and each field.
        let bytes: usize = texts.iter().map(|text| text.len()).sum();
        let known = overridden(self.overrides, group).map_or(0, |fields| fields.len());
        self.pay((bytes + name.len() + known) as u64)?;
        let Some(fields) = overridden(self.overrides, group) else { return Ok(()) };
        let mut written = fields.set(name, |known, name| known == name);
        if list.is_some() {
            written.list();
        }
        texts.into_iter().for_each(|text| written.value(text));
        Ok(())
    }

    /// What was overridden before, read back.
    pub(super) fn override_of(&mut self, group: &str, name: &str) -> Result<Value<'a>> {
        if (group, name) == ("responseOverride", "status") {
            return Ok(self
                .overrides
                .response_status
                .map_or(Value::Null, |status| Value::Int(status.into())));
        }
        let heap = self.heap;
        let fields = overridden(self.overrides, group);
        let values = fields.and_then(|fields| fields.get(name, |known, name| known == name));
        Ok(match values {
            None => Value::Null,
            Some(values) if values.is_list() => {
                let mut items = heap.vec(values.len())?;
                for text in values {
                    heap.push(&mut items, Value::Text(heap.text(text)?))?;
                }
                heap.list(items, false)?
            }
            Some(mut values) => Value::Text(heap.text(values.next().unwrap_or_default())?),
        })
    }
}

/// The fields of a group of `$context` that may be overridden.
fn overridden<'o>(overrides: &'o mut Overrides, group: &str) -> Option<&'o mut NamedValues> {
    match group {
        "requestOverride.header" => Some(&mut overrides.request_headers),
        "requestOverride.path" => Some(&mut overrides.request_path),
        "requestOverride.querystring" => Some(&mut overrides.request_query),
        "responseOverride.header" => Some(&mut overrides.response_headers),
        _ => None,
    }
}

//! `#set`: into a variable, a map, a list, or what the request and its response are to have (row 119).

use super::{
    inputs::{Override, Overrides},
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
        let value = match value {
            Value::List(list) => {
                let mut texts = Vec::new();
                for index in 0..list.len(self.heap)? {
                    self.pay(1)?;
                    let item = list.get(self.heap, index)?.unwrap_or(Value::Null);
                    texts.push(self.text(item)?.to_owned());
                }
                Override::Many(texts)
            }
            value => Override::One(self.text(value)?.to_owned()),
        };
        // What is kept beyond the rendering costs more: a step for each byte and each field.
        let bytes = match &value {
            Override::One(text) => text.len(),
            Override::Many(texts) => texts.iter().map(String::len).sum(),
        };
        let known = overridden(self.overrides, group).map_or(0, |fields| fields.len());
        self.pay((bytes + name.len() + known) as u64)?;
        let Some(fields) = overridden(self.overrides, group) else { return Ok(()) };
        match fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => fields.push((name.to_owned(), value)),
        }
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
        let value = fields.and_then(|fields| fields.iter().find(|(known, _)| known == name));
        Ok(match value {
            None => Value::Null,
            Some((_, Override::One(text))) => Value::Text(heap.text(text)?),
            Some((_, Override::Many(texts))) => {
                let mut items = heap.vec(texts.len())?;
                for text in texts {
                    heap.push(&mut items, Value::Text(heap.text(text)?))?;
                }
                heap.list(items, false)?
            }
        })
    }
}

/// The fields of a group of `$context` that may be overridden.
fn overridden<'o>(overrides: &'o mut Overrides, group: &str) -> Option<&'o mut Vec<(String, Override)>> {
    match group {
        "requestOverride.header" => Some(&mut overrides.request_headers),
        "requestOverride.path" => Some(&mut overrides.request_path),
        "requestOverride.querystring" => Some(&mut overrides.request_query),
        "responseOverride.header" => Some(&mut overrides.response_headers),
        _ => None,
    }
}

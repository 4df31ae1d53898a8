//! Methods of maps.

use super::{
    method::Method,
    render::{Render, Result},
    value::{Entry, Map, Value},
};

impl<'a> Render<'a, '_> {
    pub(super) fn map_method(
        &mut self,
        map: &'a Map<'a>,
        method: Method,
        arguments: &[Value<'a>],
    ) -> Result<Value<'a>> {
        let heap = self.heap;
        let length = map.len(heap)?;
        Ok(match (method, arguments) {
            (Method::Size, []) => Value::Int(length as i64),
            (Method::IsEmpty, []) => Value::Bool(length == 0),
            (Method::Get, [key]) => {
                let key = self.text(*key)?;
                map.get(heap, key)?.unwrap_or(Value::Null)
            }
            (Method::GetOrDefault, [key, default]) => {
                let key = self.text(*key)?;
                map.get(heap, key)?.unwrap_or(*default)
            }
            (Method::Put, [key, value]) => {
                let key = self.text(*key)?;
                map.put(heap, key, *value)?
            }
            (Method::PutIfAbsent, [key, value]) => {
                let key = self.text(*key)?;
                match map.get(heap, key)? {
                    Some(old) => old,
                    None => map.put(heap, key, *value)?,
                }
            }
            (Method::PutAll, [Value::Map(other)]) => {
                let count = other.len(heap)?;
                self.pay(count as u64)?;
                for at in 0..count {
                    if let Some((key, value)) = other.entry(heap, at)? {
                        map.put(heap, key, value)?;
                    }
                }
                Value::Null
            }
            (Method::Remove, [key]) => {
                let key = self.text(*key)?;
                self.pay(length as u64 / 8)?;
                map.remove(heap, key)?
            }
            (Method::ContainsKey, [key]) => {
                let key = self.text(*key)?;
                Value::Bool(map.get(heap, key)?.is_some())
            }
            (Method::ContainsValue, [wanted]) => {
                for at in 0..length {
                    self.pay(1)?;
                    let Some((_, value)) = map.entry(heap, at)? else { break };
                    if value.is_text() == wanted.is_text() && self.equal(value, *wanted)? {
                        return Ok(Value::Bool(true));
                    }
                }
                Value::Bool(false)
            }
            (Method::KeySet | Method::Values | Method::EntrySet, []) => {
                self.pay(length as u64)?;
                let mut items = heap.vec(length)?;
                for at in 0..length {
                    let Some((key, value)) = map.entry(heap, at)? else { break };
                    let item = match method {
                        Method::KeySet => Value::Text(key),
                        Method::Values => value,
                        _ => Value::Entry(heap.keep(Entry { key, value })?),
                    };
                    heap.push(&mut items, item)?;
                }
                heap.list(items, false)?
            }
            (Method::Clear, []) => {
                map.clear();
                Value::Null
            }
            _ => Value::Null,
        })
    }
}

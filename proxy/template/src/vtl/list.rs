//! Methods of lists.

use super::{
    error::Reason,
    method::Method,
    object::place,
    render::{Render, Result},
    value::{List, Value},
};

impl<'a> Render<'a, '_> {
    pub(super) fn list_method(
        &mut self,
        list: &'a List<'a>,
        method: Method,
        arguments: &[Value<'a>],
    ) -> Result<Value<'a>> {
        let heap = self.heap;
        let length = list.len(heap)?;
        Ok(match (method, arguments) {
            (Method::Size, []) => Value::Int(length as i64),
            (Method::IsEmpty, []) => Value::Bool(length == 0),
            (Method::Get, [Value::Int(index)]) => {
                list.get(heap, place("get", *index, length, length)?)?.unwrap_or(Value::Null)
            }
            (Method::Add, [value]) => {
                heap.push(&mut *list.read(heap)?, *value)?;
                Value::Bool(true)
            }
            (Method::Add, [Value::Int(index), value]) => {
                let at = place("add", *index, length + 1, length)?;
                self.pay(length as u64 / 64)?;
                let mut items = list.read(heap)?;
                heap.push(&mut items, Value::Null)?;
                items.pop();
                items.insert(at, *value);
                Value::Null
            }
            (Method::AddAll, [other]) => {
                let other = match *other {
                    Value::List(other) => other,
                    other => match self.values(other)? {
                        Some(values) => values,
                        None => return Ok(Value::Null),
                    },
                };
                let count = other.len(heap)?;
                self.pay(count as u64)?;
                for index in 0..count {
                    let item = other.get(heap, index)?.unwrap_or(Value::Null);
                    heap.push(&mut *list.read(heap)?, item)?;
                }
                Value::Bool(count > 0)
            }
            (Method::Set, [Value::Int(index), value]) => {
                let at = place("set", *index, length, length)?;
                std::mem::replace(&mut list.read(heap)?[at], *value)
            }
            (Method::Remove, [Value::Int(index)]) => {
                let at = place("remove", *index, length, length)?;
                self.pay(length as u64 / 64)?;
                list.read(heap)?.remove(at)
            }
            (Method::Remove, [value]) => {
                let at = self.position(list, *value, false)?;
                if let Some(at) = at {
                    list.read(heap)?.remove(at);
                }
                Value::Bool(at.is_some())
            }
            (Method::Contains, [value]) => Value::Bool(self.position(list, *value, false)?.is_some()),
            (Method::ContainsAll, [Value::List(others)]) => {
                for index in 0..others.len(heap)? {
                    let other = others.get(heap, index)?.unwrap_or(Value::Null);
                    if self.position(list, other, false)?.is_none() {
                        return Ok(Value::Bool(false));
                    }
                }
                Value::Bool(true)
            }
            (Method::IndexOf, [value]) => number(self.position(list, *value, false)?),
            (Method::LastIndexOf, [value]) => number(self.position(list, *value, true)?),
            (Method::Clear, []) => {
                list.read(heap)?.clear();
                Value::Null
            }
            (Method::SubList, [Value::Int(from), Value::Int(to)]) => {
                let to = place("subList", *to, length + 1, length)?;
                let from = place("subList", *from, to + 1, length)?;
                self.pay((to - from) as u64)?;
                let mut items = heap.vec(to - from)?;
                for item in &list.read(heap)?[from..to] {
                    heap.push(&mut items, *item)?;
                }
                heap.list(items, list.json)?
            }
            // Only `#foreach` can do something with an iterator, and that takes the list as well.
            (Method::Iterator, []) => Value::List(list),
            (Method::Get | Method::Set | Method::SubList, _) => {
                let why = "an index is a whole number".to_owned();
                return Err(Reason::Method { method: method.name(), why }.into());
            }
            _ => Value::Null,
        })
    }

    /// Where an equal item is, as Java's `equals` has it: a text is no number.
    fn position(&mut self, list: &'a List<'a>, wanted: Value<'a>, last: bool) -> Result<Option<usize>> {
        let mut found = None;
        for index in 0..list.len(self.heap)? {
            self.pay(1)?;
            let item = list.get(self.heap, index)?.unwrap_or(Value::Null);
            if item.is_text() == wanted.is_text() && self.equal(item, wanted)? {
                found = Some(index);
                if !last {
                    break;
                }
            }
        }
        Ok(found)
    }
}

fn number<'a>(position: Option<usize>) -> Value<'a> {
    Value::Int(position.map_or(-1, |at| at as i64))
}

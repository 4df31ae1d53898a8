//! What values have: properties, indexes and methods, handed to who knows the kind of value. What a value does not have
//! comes to nothing, as in Velocity.

use smallvec::SmallVec;

use super::{
    error::{Limit, Reason},
    inputs::Fields,
    method::Method,
    program::{MethodCall, Prepared},
    render::{Handle, Render, Result},
    value::{List, Object, Value},
};
use crate::{json, path::Path};

/// The arguments of a call.
pub(super) type Arguments<'a> = SmallVec<[Value<'a>; 3]>;

impl<'a> Render<'a, '_> {
    pub(super) fn property(&mut self, value: Value<'a>, name: &str) -> Result<Value<'a>> {
        Ok(match value {
            Value::Map(map) => match map.get(self.heap, name)? {
                Some(value) => value,
                None if name == "empty" => Value::Bool(map.len(self.heap)? == 0),
                None if name == "class" => Value::Class(value.class()),
                None => Value::Null,
            },
            Value::Object(object) => return self.member(object, name),
            _ if name == "class" => Value::Class(value.class()),
            Value::Class(class) => match name {
                "name" => Value::Text(class),
                "simpleName" => Value::Text(class.rsplit(['.', '$']).next().unwrap_or(class)),
                _ => Value::Null,
            },
            Value::List(list) if name == "empty" => Value::Bool(list.len(self.heap)? == 0),
            Value::Text(text) if name == "empty" => Value::Bool(text.is_empty()),
            Value::Entry(entry) => match name {
                "key" => Value::Text(entry.key),
                "value" => entry.value,
                _ => Value::Null,
            },
            Value::Loop(this) => match name {
                "index" => Value::Int(this.index.get() as i64),
                "count" => Value::Int(this.index.get() as i64 + 1),
                "hasNext" => Value::Bool(this.has_next()),
                "first" => Value::Bool(this.index.get() == 0),
                "last" => Value::Bool(!this.has_next()),
                "parent" => this.parent.map_or(Value::Null, Value::Loop),
                "topmost" => {
                    let mut top = this;
                    while let Some(parent) = top.parent {
                        top = parent;
                    }
                    Value::Loop(top)
                }
                _ => Value::Null,
            },
            _ => Value::Null,
        })
    }

    /// A member of one of the objects that a template begins with.
    pub(super) fn member(&mut self, object: Object<'a>, name: &str) -> Result<Value<'a>> {
        match object {
            Object::Input if name == "body" => Ok(Value::Text(self.body_text()?)),
            Object::Params => Ok(match name {
                "path" => Value::Object(Object::Fields(Fields::Path)),
                "querystring" => Value::Object(Object::Fields(Fields::Query)),
                "header" => Value::Object(Object::Fields(Fields::Header)),
                _ => Value::Null,
            }),
            Object::Fields(fields) => match self.fields[fields as usize] {
                Some(map) => self.property(map, name),
                None => {
                    let value = self.inputs.field(fields, name);
                    // A stage variable that is missing is an empty text (row 33).
                    let missing =
                        if fields == Fields::StageVariables { Value::Text("") } else { Value::Null };
                    Ok(value.map_or(missing, Value::Text))
                }
            },
            Object::Context(group) => {
                let mut whole = SmallVec::<[u8; 64]>::from_slice(group.as_bytes());
                if !group.is_empty() {
                    whole.push(b'.');
                }
                whole.extend_from_slice(name.as_bytes());
                self.context(std::str::from_utf8(&whole).unwrap_or_default())
            }
            Object::Input | Object::Util => Ok(Value::Null),
        }
    }

    /// `$value[index]`
    pub(super) fn index(&mut self, value: Value<'a>, index: Value<'a>) -> Result<Value<'a>> {
        match (value, index) {
            (Value::List(list), Value::Int(index)) => {
                let length = list.len(self.heap)? as i64;
                // A negative index counts from the end; one that is not there comes to nothing.
                let at = if index < 0 { index.saturating_add(length) } else { index };
                Ok(match usize::try_from(at) {
                    Ok(at) => list.get(self.heap, at)?.unwrap_or(Value::Null),
                    Err(_) => Value::Null,
                })
            }
            (Value::Map(_) | Value::Object(_), index) if !index.is_null() => {
                let name = self.text(index)?;
                match value {
                    Value::Map(map) => Ok(map.get(self.heap, name)?.unwrap_or(Value::Null)),
                    value => self.property(value, name),
                }
            }
            _ => Ok(Value::Null),
        }
    }

    /// `value.method(…)`
    pub(super) fn method(
        &mut self,
        handle: Handle<'_>,
        value: Value<'a>,
        call: &MethodCall,
    ) -> Result<Value<'a>> {
        let mut arguments = Arguments::new();
        for argument in &call.arguments {
            arguments.push(self.value(handle, argument)?);
        }
        match (call.method, &*arguments) {
            (Method::ToString, []) => return Ok(Value::Text(self.text(value)?)),
            (Method::Equals, [other]) => {
                // Java's, where a text is never a number.
                let same_kind = value.is_text() == other.is_text();
                return Ok(Value::Bool(same_kind && self.equal(value, *other)?));
            }
            (Method::GetClass, []) => return Ok(Value::Class(value.class())),
            (Method::HashCode, []) => {
                let text = self.text(value)?;
                self.pay(text.len() as u64 / 64)?;
                let hash = text
                    .encode_utf16()
                    .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
                return Ok(Value::Int(hash.into()));
            }
            _ => {}
        }
        match value {
            Value::Text(text) => self.text_method(text, call.method, &arguments, &call.prepared),
            Value::Compact(_) => {
                let text = self.text(value)?;
                self.text_method(text, call.method, &arguments, &call.prepared)
            }
            Value::Int(_) | Value::Double(_) | Value::Bool(_) | Value::Big(_) => {
                self.number_method(value, call.method, &arguments)
            }
            Value::List(list) => self.list_method(list, call.method, &arguments),
            Value::Map(map) => self.map_method(map, call.method, &arguments),
            Value::Entry(entry) => match (call.method, &*arguments) {
                (Method::GetKey, []) => Ok(Value::Text(entry.key)),
                (Method::GetValue, []) => Ok(entry.value),
                _ => Ok(Value::Null),
            },
            Value::Loop(_) => match (call.method, &*arguments) {
                (Method::HasNext, []) => self.property(value, "hasNext"),
                (Method::GetCount, []) => self.property(value, "count"),
                (Method::GetIndex, []) => self.property(value, "index"),
                (Method::IsFirst, []) => self.property(value, "first"),
                (Method::IsLast, []) => self.property(value, "last"),
                _ => Ok(Value::Null),
            },
            Value::Class(_) => match (call.method, &*arguments) {
                (Method::GetName, []) => self.property(value, "name"),
                (Method::GetSimpleName, []) => self.property(value, "simpleName"),
                _ => Ok(Value::Null),
            },
            Value::Object(object) => self.object_method(object, call.method, &arguments, &call.prepared),
            Value::Null | Value::Block { .. } | Value::Argument { .. } => Ok(Value::Null),
        }
    }

    fn object_method(
        &mut self,
        object: Object<'a>,
        method: Method,
        arguments: &[Value<'a>],
        prepared: &Prepared,
    ) -> Result<Value<'a>> {
        match (object, method, arguments) {
            (Object::Input, Method::Json, [path]) => self.input_json(*path, prepared),
            (Object::Input, Method::Path, [path]) => self.input_path(*path, prepared),
            (Object::Input, Method::Params, []) => Ok(Value::Object(Object::Params)),
            (Object::Input, Method::Params, [name]) => {
                let name = self.text(*name)?;
                let inputs = self.inputs;
                let found = [Fields::Path, Fields::Query, Fields::Header]
                    .into_iter()
                    .find_map(|fields| inputs.field(fields, name));
                Ok(Value::Text(found.unwrap_or_default()))
            }
            (Object::Input, ..) => Ok(Value::Null),
            (Object::Util, method, [value]) => self.util(method, *value),
            (Object::Util, ..) => Ok(Value::Null),
            (object, Method::Get, [name]) => {
                let name = self.text(*name)?;
                self.member(object, name)
            }
            (object, method, arguments) => match self.as_map(object)? {
                Value::Map(map) => self.map_method(map, method, arguments),
                _ => Ok(Value::Null),
            },
        }
    }

    /// The object as a map. Fields stay the map that they became, so that what is put there is found again.
    pub(super) fn as_map(&mut self, object: Object<'a>) -> Result<Value<'a>> {
        if let Object::Fields(fields) = object
            && let Some(map) = self.fields[fields as usize]
        {
            return Ok(map);
        }
        let map = self.heap.map()?;
        match object {
            Object::Input | Object::Util => {}
            Object::Params => {
                for (name, fields) in
                    [("path", Fields::Path), ("querystring", Fields::Query), ("header", Fields::Header)]
                {
                    let fields = self.as_map(Object::Fields(fields))?;
                    map.put(self.heap, name, fields)?;
                }
            }
            Object::Fields(fields) => {
                let (heap, inputs) = (self.heap, self.inputs);
                let mut outcome = Ok(Value::Null);
                let mut count = 0;
                inputs.each_field(fields, &mut |name, value| {
                    count += 1;
                    if outcome.is_ok() {
                        outcome = map.put(heap, name, Value::Text(value));
                    }
                });
                outcome?;
                self.pay(count)?;
                self.fields[fields as usize] = Some(Value::Map(map));
            }
            Object::Context(group) => {
                for name in super::context::members(group) {
                    self.pay(1)?;
                    let value = self.member(object, name)?;
                    map.put(self.heap, name, value)?;
                }
                if group == "authorizer" {
                    // The authorizer's own names come before those that every one has.
                    return self.as_map(Object::Fields(Fields::Authorizer));
                }
                if group == "authorizer.claims" {
                    return self.as_map(Object::Fields(Fields::Claims));
                }
            }
        }
        Ok(Value::Map(map))
    }

    /// What `#foreach` goes over, of all but lists: the values of a map.
    pub(super) fn values(&mut self, value: Value<'a>) -> Result<Option<&'a List<'a>>> {
        let map = match value {
            Value::Object(object) => self.as_map(object)?,
            value => value,
        };
        let Value::Map(map) = map else { return Ok(None) };
        match self.map_method(map, Method::Values, &[])? {
            Value::List(list) => Ok(Some(list)),
            _ => Ok(None),
        }
    }

    fn body_text(&mut self) -> Result<&'a str> {
        if let Some((text, _)) = self.body {
            return Ok(text);
        }
        let text = match std::str::from_utf8(self.inputs.body()) {
            Ok(text) => text,
            // As Java decodes: what is no UTF-8 becomes U+FFFD.
            Err(_) => self.heap.text(&String::from_utf8_lossy(self.inputs.body()))?,
        };
        self.body = Some((text, None));
        Ok(text)
    }

    /// The body as checked JSON; `None` if there is no body.
    fn body_json(&mut self) -> Result<Option<&'a str>> {
        let text = self.body_text()?;
        if let Some((_, Some(checked))) = self.body {
            return Ok(Some(checked));
        }
        if text.trim_ascii().is_empty() {
            return Ok(None);
        }
        self.pay(text.len() as u64 / 64)?;
        let checked = json::check(text).map_err(Reason::Body)?;
        self.body = Some((text, Some(checked)));
        Ok(Some(checked))
    }

    /// What a path finds in the body, as JSON.
    fn find(&mut self, body: &'a str, path: Value<'a>, prepared: &Prepared) -> Result<Option<&'a str>> {
        let compiled;
        let path = if let Prepared::Path(path) = prepared {
            path
        } else {
            let text = self.text(path)?;
            self.pay(text.len() as u64)?;
            compiled = Path::compile(text).map_err(Reason::Path)?;
            &compiled
        };
        let found = path.find_checked(body, self.steps()).map_err(|_| {
            let max = self.settings.steps_max;
            Reason::Limit { limit: Limit::Steps, max }
        })?;
        match found.into_json() {
            Some(found) => Ok(Some(self.heap.text_of(found)?)),
            None => Ok(None),
        }
    }

    /// `$input.json(path)`: the text of what is found. Of nothing it is `""`, and a body that is not there is `{}` (U: as the
    /// published pass-through template shows for requests without a body).
    fn input_json(&mut self, path: Value<'a>, prepared: &Prepared) -> Result<Value<'a>> {
        let body = self.body_json()?.unwrap_or("{}");
        let Some(found) = self.find(body, path, prepared)? else {
            return Ok(Value::Text("\"\""));
        };
        Ok(match json::kind(found) {
            json::Kind::Object | json::Kind::Array => Value::Compact(found),
            json::Kind::Text if memchr::memchr(b'\\', found.as_bytes()).is_some() => Value::Compact(found),
            _ => Value::Text(found),
        })
    }

    /// `$input.path(path)`: what is found; of nothing, and of a body that is not there, nothing.
    fn input_path(&mut self, path: Value<'a>, prepared: &Prepared) -> Result<Value<'a>> {
        let Some(body) = self.body_json()? else { return Ok(Value::Null) };
        match self.find(body, path, prepared)? {
            Some(found) => Ok(self.heap.json(found)?),
            None => Ok(Value::Null),
        }
    }

    /// `$util.parseJson(text)`
    pub(super) fn parse_json(&mut self, text: Value<'a>) -> Result<Value<'a>> {
        let checked = match text {
            Value::Compact(source) => source,
            text => {
                let text = self.text(text)?;
                self.pay(text.len() as u64 / 64)?;
                json::check(text).map_err(Reason::Json)?
            }
        };
        Ok(self.heap.json(checked)?)
    }
}

/// An index that a method was given, which has to be below `end`.
pub(super) fn place(method: &'static str, index: i64, end: usize, length: usize) -> Result<usize, Reason> {
    usize::try_from(index).ok().filter(|index| *index < end).ok_or_else(|| Reason::Method {
        method,
        why: format!("index {index} is not there: the length is {length}"),
    })
}

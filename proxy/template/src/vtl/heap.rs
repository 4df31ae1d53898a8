//! Where values are made: an arena with a bound. What does not fit is an error, never a panic.

use std::{borrow::Cow, cell::RefCell, hash::BuildHasher};

use bumpalo::{Bump, collections::Vec as ArenaVec};
use foldhash::fast::RandomState;

use super::{
    error::{Limit, Reason},
    value::{Items, List, Map, Table, Value},
};
use crate::json::{self, Kind};

/// Maps up to this size are searched from end to end.
const SEARCHED_MAX: usize = 16;

/// The arena of a rendering.
#[derive(Clone, Copy)]
pub(super) struct Heap<'a> {
    arena: &'a Bump,
    /// Seeded at random, so that nobody can choose keys that meet.
    hasher: &'a RandomState,
}

type Result<T, E = Reason> = std::result::Result<T, E>;

impl<'a> Heap<'a> {
    pub(super) fn new(arena: &'a Bump, hasher: &'a RandomState) -> Self {
        Self { arena, hasher }
    }

    fn hash(self, key: &str) -> usize {
        self.hasher.hash_one(key) as usize
    }

    fn full(self) -> Reason {
        Reason::Limit { limit: Limit::MemoryBytes, max: self.arena.allocation_limit().unwrap_or(0) as u64 }
    }

    pub(super) fn keep<T>(self, value: T) -> Result<&'a T> {
        self.arena.try_alloc(value).map(|value| &*value).map_err(|_| self.full())
    }

    pub(super) fn text(self, text: &str) -> Result<&'a str> {
        self.text_mut(text).map(|text| &*text)
    }

    pub(super) fn text_mut(self, text: &str) -> Result<&'a mut str> {
        self.arena.try_alloc_str(text).map_err(|_| self.full())
    }

    /// What is written between quotes in JSON, read.
    pub(super) fn unescaped(self, written: &'a str) -> Result<&'a str> {
        if memchr::memchr(b'\\', written.as_bytes()).is_none() {
            return Ok(written);
        }
        // What is read is never longer than it is written.
        let mut text = self.vec(written.len())?;
        json::unescape_with(written, &mut |piece| {
            text.try_reserve(piece.len()).map_err(|_| self.full())?;
            text.extend_from_slice(piece.as_bytes());
            Ok(())
        })?;
        // Of pieces of text.
        Ok(std::str::from_utf8(text.into_bump_slice()).unwrap_or_default())
    }

    pub(super) fn text_of(self, text: Cow<'a, str>) -> Result<&'a str> {
        match text {
            Cow::Borrowed(text) => Ok(text),
            Cow::Owned(text) => self.text(&text),
        }
    }

    pub(super) fn vec<T>(self, capacity: usize) -> Result<ArenaVec<'a, T>> {
        let mut vec = ArenaVec::new_in(self.arena);
        vec.try_reserve_exact(capacity).map_err(|_| self.full())?;
        Ok(vec)
    }

    pub(super) fn push<T>(self, vec: &mut ArenaVec<'a, T>, value: T) -> Result<()> {
        vec.try_reserve(1).map_err(|_| self.full())?;
        vec.push(value);
        Ok(())
    }

    pub(super) fn list(self, items: ArenaVec<'a, Value<'a>>, json: bool) -> Result<Value<'a>> {
        Ok(Value::List(self.keep(List { items: RefCell::new(Items { source: None, items }), json })?))
    }

    pub(super) fn map(self) -> Result<&'a Map<'a>> {
        self.table(None)
    }

    fn table(self, source: Option<&'a str>) -> Result<&'a Map<'a>> {
        let (entries, index) = (ArenaVec::new_in(self.arena), ArenaVec::new_in(self.arena));
        self.keep(Map { table: RefCell::new(Table { source, entries, index }) })
    }

    /// A value of checked JSON; what is in containers is read later.
    pub(super) fn json(self, value: &'a str) -> Result<Value<'a>> {
        Ok(match json::kind(value) {
            Kind::Object => Value::Map(self.table(Some(value))?),
            Kind::Array => {
                let items = RefCell::new(Items { source: Some(value), items: ArenaVec::new_in(self.arena) });
                Value::List(self.keep(List { items, json: true })?)
            }
            Kind::Text => Value::Text(self.unescaped(json::inner(value))?),
            Kind::Number => match value.parse() {
                Ok(integer) => Value::Int(integer),
                Err(_) if !value.contains(['.', 'e', 'E']) => Value::Big(value),
                Err(_) => value.parse().map_or(Value::Null, Value::Double),
            },
            Kind::True => Value::Bool(true),
            Kind::False => Value::Bool(false),
            Kind::Null => Value::Null,
        })
    }
}

impl<'a> List<'a> {
    /// The items, read from JSON if nobody has yet.
    pub(super) fn read(&self, heap: Heap<'a>) -> Result<std::cell::RefMut<'_, ArenaVec<'a, Value<'a>>>> {
        let mut list = self.items.borrow_mut();
        if let Some(source) = list.source.take() {
            for element in json::elements(source) {
                heap.push(&mut list.items, heap.json(element)?)?;
            }
        }
        Ok(std::cell::RefMut::map(list, |list| &mut list.items))
    }

    pub(super) fn len(&self, heap: Heap<'a>) -> Result<usize> {
        Ok(self.read(heap)?.len())
    }

    pub(super) fn get(&self, heap: Heap<'a>, index: usize) -> Result<Option<Value<'a>>> {
        Ok(self.read(heap)?.get(index).copied())
    }
}

impl<'a> Map<'a> {
    fn read(&self, heap: Heap<'a>) -> Result<std::cell::RefMut<'_, Table<'a>>> {
        let mut table = self.table.borrow_mut();
        if let Some(source) = table.source.take() {
            for (key, value) in json::members(source) {
                let key = heap.unescaped(key)?;
                let value = heap.json(value)?;
                table.put(heap, key, value)?;
            }
        }
        Ok(table)
    }

    pub(super) fn len(&self, heap: Heap<'a>) -> Result<usize> {
        Ok(self.read(heap)?.entries.len())
    }

    pub(super) fn get(&self, heap: Heap<'a>, key: &str) -> Result<Option<Value<'a>>> {
        let mut table = self.read(heap)?;
        let found = table.find(heap, key)?;
        Ok(found.and_then(|at| table.entries.get(at)).map(|(_, value)| *value))
    }

    /// A pair by its number.
    pub(super) fn entry(&self, heap: Heap<'a>, at: usize) -> Result<Option<(&'a str, Value<'a>)>> {
        Ok(self.read(heap)?.entries.get(at).copied())
    }

    /// What the key had before.
    pub(super) fn put(&self, heap: Heap<'a>, key: &'a str, value: Value<'a>) -> Result<Value<'a>> {
        self.read(heap)?.put(heap, key, value)
    }

    pub(super) fn remove(&self, heap: Heap<'a>, key: &str) -> Result<Value<'a>> {
        let mut table = self.read(heap)?;
        let Some(at) = table.find(heap, key)? else { return Ok(Value::Null) };
        table.index.clear();
        Ok(table.entries.remove(at).1)
    }

    pub(super) fn clear(&self) {
        let mut table = self.table.borrow_mut();
        table.source = None;
        table.entries.clear();
        table.index.clear();
    }
}

impl<'a> Table<'a> {
    fn put(&mut self, heap: Heap<'a>, key: &'a str, value: Value<'a>) -> Result<Value<'a>> {
        if let Some(at) = self.find(heap, key)? {
            return Ok(std::mem::replace(&mut self.entries[at].1, value));
        }
        heap.push(&mut self.entries, (key, value))?;
        // An index holds twice as many places as entries at least.
        if self.entries.len() * 2 > self.index.len() {
            self.index.clear();
        } else if !self.index.is_empty() {
            self.enter(heap, self.entries.len() - 1);
        }
        Ok(Value::Null)
    }

    fn find(&mut self, heap: Heap<'a>, key: &str) -> Result<Option<usize>> {
        if self.entries.len() <= SEARCHED_MAX {
            return Ok(self.entries.iter().position(|(known, _)| *known == key));
        }
        if self.index.is_empty() {
            let places = (self.entries.len() * 4).next_power_of_two();
            let mut index = heap.vec(places)?;
            index.resize(places, FREE);
            self.index = index;
            for at in 0..self.entries.len() {
                self.enter(heap, at);
            }
        }
        let mask = self.index.len() - 1;
        let mut place = heap.hash(key) & mask;
        while self.index[place] != FREE {
            let at = self.index[place] as usize;
            if self.entries[at].0 == key {
                return Ok(Some(at));
            }
            place = (place + 1) & mask;
        }
        Ok(None)
    }

    fn enter(&mut self, heap: Heap<'a>, at: usize) {
        let mask = self.index.len() - 1;
        let mut place = heap.hash(self.entries[at].0) & mask;
        while self.index[place] != FREE {
            place = (place + 1) & mask;
        }
        self.index[place] = at as u32;
    }
}

/// A place of an index without an entry.
const FREE: u32 = u32::MAX;

//! Names of an object's properties: found without a hash where there are few.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::{json::Text, node::NodeId};

/// Up to so many are compared one by one.
const FEW: usize = 8;

/// What is said of one property.
#[derive(Clone, Debug)]
pub(crate) struct Property {
    pub(crate) name: Box<str>,
    /// What its value has to be.
    pub(crate) schema: Option<NodeId>,
    /// Its place among those that are required.
    pub(crate) required: Option<u32>,
}

/// Properties by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    list: Vec<Property>,
    table: HashTable<u32>,
}

impl Names {
    /// Names are not given twice.
    pub(crate) fn new(list: Vec<Property>) -> Self {
        let mut table = HashTable::new();
        if list.len() > FEW {
            for (number, property) in (0..).zip(&list) {
                let again = |number: &u32| hash(&list[*number as usize].name);
                table.insert_unique(hash(&property.name), number, again);
            }
        }
        Self { list, table }
    }

    pub(crate) fn find(&self, name: Text<'_>) -> Option<&Property> {
        let name = name.read();
        if self.list.len() <= FEW {
            return self.list.iter().find(|property| is_same(&property.name, &name));
        }
        let is_it = |number: &u32| *self.list[*number as usize].name == *name;
        self.table.find(hash(&name), is_it).map(|number| &self.list[*number as usize])
    }
}

/// Most names differ in their lengths or at their ends: looking there first is cheaper than a comparison.
#[inline]
fn is_same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.as_bytes().last() == b.as_bytes().last() && a == b
}

fn hash(name: &str) -> u64 {
    FixedState::default().hash_one(name)
}

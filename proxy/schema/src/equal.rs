//! When two values are the same: numbers by what they are worth, objects whatever the order of their members.

use std::{
    borrow::Cow,
    hash::{BuildHasher, Hash, Hasher},
};

use foldhash::fast::FixedState;
use smallvec::SmallVec;

use crate::{
    json::{Kind, Text, Value},
    number::Decimal,
};

/// Whether both are the same value. A name that stands twice is two members.
pub(crate) fn same(left: Value<'_>, right: Value<'_>) -> bool {
    if left.kind() != right.kind() {
        return false;
    }
    match left.kind() {
        Kind::Null => true,
        Kind::Boolean => left.boolean() == right.boolean(),
        Kind::Number => Decimal::read(left.written()).compare(Decimal::read(right.written())).is_eq(),
        Kind::Text => match (left.text(), right.text()) {
            (Some(left), Some(right)) => left.read() == right.read(),
            _ => false,
        },
        Kind::Array => {
            left.size() == right.size()
                && left.elements().count() == right.elements().count()
                && left.elements().zip(right.elements()).all(|(left, right)| same(left, right))
        }
        Kind::Object => {
            let (mut left, mut right) = (by_name(left), by_name(right));
            left.len() == right.len()
                && left
                    .drain(..)
                    .zip(right.drain(..))
                    .all(|((name, left), (other, right))| name == other && same(left, right))
        }
    }
}

/// The members of an object in the order of their names.
fn by_name(object: Value<'_>) -> SmallVec<[(Cow<'_, str>, Value<'_>); 16]> {
    let mut members: SmallVec<[_; 16]> = object.members().map(|(name, value)| (name.read(), value)).collect();
    members.sort_by(|(left, _), (right, _)| left.cmp(right));
    members
}

/// The same number for the same value.
pub(crate) fn hash(value: Value<'_>) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    match value.kind() {
        Kind::Null => 0_u8.hash(&mut hasher),
        Kind::Boolean => value.boolean().hash(&mut hasher),
        Kind::Number => {
            let (negative, power, digits) = Decimal::read(value.written()).parts();
            (negative, power).hash(&mut hasher);
            digits.for_each(|digit| hasher.write_u8(digit));
        }
        Kind::Text => value.text().map(|text| text.read()).hash(&mut hasher),
        Kind::Array => value.elements().for_each(|element| hasher.write_u64(hash(element))),
        Kind::Object => {
            // In whatever order they come.
            let member = |(name, value): (Text<'_>, Value<'_>)| {
                let mut hasher = FixedState::default().build_hasher();
                name.read().hash(&mut hasher);
                hasher.write_u64(hash(value));
                hasher.finish()
            };
            hasher.write_u64(value.members().map(member).fold(1, u64::wrapping_add));
        }
    }
    hasher.finish()
}

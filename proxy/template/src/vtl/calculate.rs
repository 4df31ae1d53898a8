//! Operators: Java's arithmetic as 1.7's `MathUtils` has it, and comparison as its nodes do. Integers have 64 bits here and
//! no more: beyond them the result is nothing, as for operands that are no numbers.

use std::cmp::Ordering;

use super::{
    program::{Expr, Operator},
    render::{Handle, Render, Result},
    value::Value,
};

impl<'a> Render<'a, '_> {
    pub(super) fn binary(
        &mut self,
        handle: Handle<'_>,
        operator: Operator,
        left: &Expr,
        right: &Expr,
    ) -> Result<Value<'a>> {
        let first = self.value(handle, left)?;
        match operator {
            Operator::And if !first.is_true() => return Ok(Value::Bool(false)),
            Operator::Or if first.is_true() => return Ok(Value::Bool(true)),
            _ => {}
        }
        let second = self.value(handle, right)?;
        let ordered = |accepts: fn(Ordering) -> bool| Value::Bool(order(first, second).is_some_and(accepts));
        Ok(match operator {
            Operator::And | Operator::Or => Value::Bool(second.is_true()),
            Operator::Equal => Value::Bool(self.equal(first, second)?),
            Operator::NotEqual => Value::Bool(!self.equal(first, second)?),
            Operator::Less => ordered(Ordering::is_lt),
            Operator::LessOrEqual => ordered(Ordering::is_le),
            Operator::Greater => ordered(Ordering::is_gt),
            Operator::GreaterOrEqual => ordered(Ordering::is_ge),
            Operator::Add if first.is_text() || second.is_text() => {
                // An operand without a value is part of the text as it is written.
                let start = if first.is_null() { self.written_as(handle, left)? } else { self.text(first)? };
                let end = if second.is_null() { self.written_as(handle, right)? } else { self.text(second)? };
                Value::Text(self.joined(&[start, end])?)
            }
            Operator::Add | Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Modulo => {
                calculated(operator, first, second)
            }
        })
    }

    /// Texts in a row, as one.
    pub(super) fn joined(&mut self, texts: &[&str]) -> Result<&'a str> {
        use crate::json::Sink;
        let mut joined = self.scratch.take();
        for text in texts {
            self.pay(1 + text.len() as u64 / 64)?;
            self.bounded(&mut joined).put(text)?;
        }
        let kept = self.heap.text(&joined)?;
        self.scratch.put(joined);
        Ok(kept)
    }

    /// `==`: numbers by value, what is of one class by what it holds, all else by how it is written.
    pub(super) fn equal(&mut self, left: Value<'a>, right: Value<'a>) -> Result<bool> {
        Ok(match (left, right) {
            (Value::Null, Value::Null) => true,
            (Value::Null, _) | (_, Value::Null) => false,
            (Value::Text(left), Value::Text(right)) => left == right,
            (Value::Bool(left), Value::Bool(right)) => left == right,
            _ => match order(left, right) {
                Some(order) => order.is_eq(),
                None if is_number(left) && is_number(right) => false,
                None => {
                    let (left, right) = (self.text(left)?, self.text(right)?);
                    left == right
                }
            },
        })
    }
}

fn is_number(value: Value<'_>) -> bool {
    matches!(value, Value::Int(_) | Value::Double(_))
}

/// Numbers have an order, and nothing else.
fn order(left: Value<'_>, right: Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(&right)),
        _ => double(left)?.partial_cmp(&double(right)?),
    }
}

fn double(value: Value<'_>) -> Option<f64> {
    match value {
        Value::Int(number) => Some(number as f64),
        Value::Double(number) => Some(number),
        _ => None,
    }
}

fn calculated<'a>(operator: Operator, left: Value<'a>, right: Value<'a>) -> Value<'a> {
    if let (Value::Int(left), Value::Int(right)) = (left, right) {
        let number = match operator {
            Operator::Add => left.checked_add(right),
            Operator::Subtract => left.checked_sub(right),
            Operator::Multiply => left.checked_mul(right),
            Operator::Divide => left.checked_div(right),
            Operator::Modulo => left.checked_rem(right),
            _ => None,
        };
        return number.map_or(Value::Null, Value::Int);
    }
    let (Some(left), Some(right)) = (double(left), double(right)) else {
        return Value::Null;
    };
    match operator {
        Operator::Add => Value::Double(left + right),
        Operator::Subtract => Value::Double(left - right),
        Operator::Multiply => Value::Double(left * right),
        // Velocity looks for a zero before it divides.
        Operator::Divide if right != 0.0 => Value::Double(left / right),
        Operator::Modulo if right != 0.0 => Value::Double(left % right),
        _ => Value::Null,
    }
}

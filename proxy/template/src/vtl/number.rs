//! Methods of numbers and of truth, and what Java has on their classes: `#set($Integer = 0)`, then `$Integer.parseInt("12")`.

use super::{
    error::Reason,
    method::Method,
    render::{Render, Result},
    value::Value,
};

impl<'a> Render<'a, '_> {
    pub(super) fn number_method(
        &mut self,
        value: Value<'a>,
        method: Method,
        arguments: &[Value<'a>],
    ) -> Result<Value<'a>> {
        Ok(match (method, arguments, value) {
            (Method::IntValue, [], Value::Int(number)) => Value::Int((number as i32).into()),
            (Method::LongValue, [], Value::Int(_)) => value,
            // A cast of Java's: to the nearest that there is.
            (Method::IntValue, [], Value::Double(number)) => Value::Int((number as i32).into()),
            (Method::LongValue, [], Value::Double(number)) => Value::Int(number as i64),
            (Method::DoubleValue | Method::FloatValue, [], Value::Int(number)) => {
                Value::Double(number as f64)
            }
            (Method::DoubleValue | Method::FloatValue, [], Value::Double(_)) => value,
            (Method::BooleanValue, [], Value::Bool(_)) => value,
            (Method::IsNaN, [], Value::Double(number)) => Value::Bool(number.is_nan()),
            (Method::CompareTo, [other], _) => match (double(value), double(*other)) {
                (Some(one), Some(other)) => Value::Int(one.total_cmp(&other) as i64),
                _ => Value::Null,
            },
            (Method::ParseInt | Method::ParseLong, [text], Value::Int(_)) => {
                Value::Int(self.parsed(method, *text)?)
            }
            (Method::ParseDouble, [text], Value::Double(_)) => Value::Double(self.parsed(method, *text)?),
            (Method::ValueOf, [text], Value::Int(_)) => Value::Int(self.parsed(method, *text)?),
            (Method::ValueOf, [text], Value::Double(_)) => Value::Double(self.parsed(method, *text)?),
            (Method::ParseBoolean | Method::ValueOf, [text], Value::Bool(_)) => {
                Value::Bool(self.text(*text)?.eq_ignore_ascii_case("true"))
            }
            (Method::ToString, [other], _) => Value::Text(self.text(*other)?),
            _ => Value::Null,
        })
    }

    /// A number that a text says; Java throws where it says none.
    fn parsed<N: std::str::FromStr>(&mut self, method: Method, text: Value<'a>) -> Result<N> {
        let text = self.text(text)?;
        text.parse().map_err(|_| {
            let shown: String = text.chars().take(40).collect();
            Reason::Method { method: method.name(), why: format!("\"{shown}\" is no number") }.into()
        })
    }
}

fn double(value: Value<'_>) -> Option<f64> {
    match value {
        Value::Int(number) => Some(number as f64),
        Value::Double(number) => Some(number),
        _ => None,
    }
}

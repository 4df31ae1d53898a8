//! Conditions: whether they hold.

use openapi::tree::{Node, quote};

use super::{Resolver, call, list};
use crate::build::{self, Span};

/// Conditions that name one another.
const DEPTH_MAX: usize = 32;

impl Resolver<'_> {
    /// Whether a named condition holds.
    pub(super) fn condition(&self, name: &str, span: &Span) -> bool {
        let condition = self.tree.root().get("Conditions").and_then(|it| it.get(name));
        let Some(condition) = condition else {
            self.fail(span, format!("there is no condition {}", quote(name)));
            return false;
        };
        let deep = self.conditions_deep.get() + 1;
        if deep > DEPTH_MAX {
            self.fail(span, format!("conditions name one another more than {DEPTH_MAX} deep"));
            return false;
        }
        // Each may ask several times for the next.
        if !self.take(span) {
            return false;
        }
        self.conditions_deep.set(deep);
        let holds = match call(condition) {
            Some((function, argument)) => self.holds(&function, &argument, &condition.span),
            None => build::scalar(condition).as_deref() == Some("true"),
        };
        self.conditions_deep.set(deep - 1);
        holds
    }

    pub(super) fn holds(&self, name: &str, argument: &Node, span: &Span) -> bool {
        let each = |item: &Node| match call(item) {
            Some((name, argument)) => self.holds(&name, &argument, &item.span),
            None => build::scalar(item).as_deref() == Some("true"),
        };
        match name {
            "Condition" => argument.as_str().is_some_and(|name| self.condition(name, span)),
            "Fn::Equals" => match list(argument) {
                [a, b] => build::scalar(&self.resolve(a)) == build::scalar(&self.resolve(b)),
                _ => {
                    self.fail(span, "`Fn::Equals` is a list of two values");
                    false
                }
            },
            "Fn::Not" => !list(argument).iter().any(each),
            "Fn::And" => list(argument).iter().all(each),
            "Fn::Or" => list(argument).iter().any(each),
            _ => {
                self.fail(span, format!("{} is no condition", quote(name)));
                false
            }
        }
    }
}

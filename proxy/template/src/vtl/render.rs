//! Renders a program: blocks, directives and references, each paid with steps.

use std::rc::Rc;

use bumpalo::{Bump, collections::Vec as ArenaVec};
use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::{
    Scratch, Settings,
    calls::Frames,
    context,
    error::{Limit, Reason, RenderError},
    heap::Heap,
    inputs::{Inputs, Overrides},
    print::{self, Bounded},
    program::{
        self, BlockId, Expr, FOREACH, Foreach, Node, Program, Reference, Slot, Span, Step, VELOCITY_COUNT,
        VELOCITY_HAS_NEXT,
    },
    value::{Loop, Object, Value},
};
use crate::json::Sink;

/// Renders into `text`.
pub(super) fn render<'a>(
    main: &'a Program,
    settings: &'a Settings,
    inputs: &'a dyn Inputs,
    (arena, hasher): (&'a Bump, &'a RandomState),
    (text, scratch): (&mut String, &mut Scratch),
    overrides: &mut Overrides,
) -> Result<(), RenderError> {
    let mut render = Render {
        settings,
        inputs,
        heap: Heap::new(arena, hasher),
        main,
        extra: Vec::new(),
        slots: ArenaVec::new_in(arena),
        frames: SmallVec::new(),
        out: std::mem::take(text),
        scratch,
        overrides,
        steps: settings.steps_max,
        depth: 0,
        body: None,
        fields: [None; 6],
    };
    let outcome = render.whole();
    *text = render.out;
    outcome.map_err(|failure| {
        let (line, column) = failure.place.unwrap_or((1, 1));
        RenderError { line, column, reason: failure.reason }
    })
}

/// A program that is being rendered.
#[derive(Clone, Copy)]
pub(super) struct Handle<'p> {
    /// 0 is the template, the others are what `#evaluate` was given.
    pub(super) id: u32,
    pub(super) program: &'p Program,
}

/// Why rendering ended, and where, once that is known.
pub(super) struct Failure {
    place: Option<(u32, u32)>,
    reason: Reason,
}

impl From<Reason> for Box<Failure> {
    #[cold]
    fn from(reason: Reason) -> Self {
        Box::new(Failure { place: None, reason })
    }
}

pub(super) type Result<T, E = Box<Failure>> = std::result::Result<T, E>;

/// How it goes on behind a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Next,
    Break,
    Stop,
}

pub(super) struct Render<'a, 'o> {
    pub(super) settings: &'a Settings,
    pub(super) inputs: &'a dyn Inputs,
    pub(super) heap: Heap<'a>,
    pub(super) main: &'a Program,
    pub(super) extra: Vec<Rc<Program>>,
    pub(super) slots: ArenaVec<'a, Value<'a>>,
    pub(super) frames: Frames<'a>,
    out: String,
    pub(super) scratch: &'o mut Scratch,
    pub(super) overrides: &'o mut Overrides,
    steps: u64,
    depth: u32,
    /// The body as text, and as JSON once it was looked into.
    pub(super) body: Option<(&'a str, Option<&'a str>)>,
    /// Fields that were looked at as a map.
    pub(super) fields: [Option<Value<'a>>; 6],
}

impl<'a> Render<'a, '_> {
    fn whole(&mut self) -> Result<()> {
        self.grow_slots(self.main.names.len())?;
        let known = [
            (program::INPUT, Object::Input),
            (program::UTIL, Object::Util),
            (program::CONTEXT, Object::Context("")),
            (program::STAGE_VARIABLES, Object::Fields(super::inputs::Fields::StageVariables)),
        ];
        for (slot, object) in known {
            self.slots[slot as usize] = Value::Object(object);
        }
        let main = Handle { id: 0, program: self.main };
        self.block(main, self.main.body)?;
        Ok(())
    }

    pub(super) fn grow_slots(&mut self, count: usize) -> Result<()> {
        while self.slots.len() < count {
            self.heap.push(&mut self.slots, Value::Null)?;
        }
        Ok(())
    }

    /// Pays for work.
    pub(super) fn pay(&mut self, steps: u64) -> Result<(), Reason> {
        match self.steps.checked_sub(steps) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => {
                self.steps = 0;
                Err(Reason::Limit { limit: Limit::Steps, max: self.settings.steps_max })
            }
        }
    }

    /// What is left to pay with, for who pays by himself.
    pub(super) fn steps(&mut self) -> &mut u64 {
        &mut self.steps
    }

    pub(super) fn bounded<'t>(&self, text: &'t mut String) -> Bounded<'t> {
        Bounded { text, bytes_max: self.settings.output_bytes_max }
    }

    pub(super) fn put(&mut self, text: &str) -> Result<()> {
        Bounded { text: &mut self.out, bytes_max: self.settings.output_bytes_max }.put(text)?;
        Ok(())
    }

    /// Runs `inner` one level deeper.
    pub(super) fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == self.settings.depth_max {
            let max = u64::from(self.settings.depth_max);
            return Err(Reason::Limit { limit: Limit::Depth, max }.into());
        }
        self.depth += 1;
        let outcome = inner(self);
        self.depth -= 1;
        outcome
    }

    /// Says where it was, unless somebody within has.
    fn at<T>(handle: Handle<'_>, at: u32, outcome: Result<T>) -> Result<T> {
        outcome.map_err(|mut failure| {
            failure.place.get_or_insert_with(|| handle.program.place(at));
            failure
        })
    }

    /// A literal of a program; of the template's it is lent.
    pub(super) fn literal(&self, handle: Handle<'_>, span: Span) -> Result<&'a str> {
        if handle.id == 0 {
            Ok(self.main.text(span))
        } else {
            Ok(self.heap.text(handle.program.text(span))?)
        }
    }

    pub(super) fn block(&mut self, handle: Handle<'_>, id: BlockId) -> Result<Flow> {
        self.deeper(|render| {
            for node in handle.program.block(id) {
                render.pay(1)?;
                let flow = render.node(handle, node)?;
                if flow != Flow::Next {
                    return Ok(flow);
                }
            }
            Ok(Flow::Next)
        })
    }

    fn node(&mut self, handle: Handle<'_>, node: &Node) -> Result<Flow> {
        match node {
            Node::Text(span) => self.put(handle.program.text(*span))?,
            Node::Reference(reference) => {
                let outcome = self.show(handle, reference);
                return Self::at(handle, reference.at, outcome);
            }
            Node::Set(set) => {
                let (target, value) = &**set;
                let outcome = self.value(handle, value).and_then(|value| self.assign(handle, target, value));
                Self::at(handle, target.at, outcome)?;
            }
            Node::If(node) => {
                for (condition, block) in &node.branches {
                    if self.value(handle, condition)?.is_true() {
                        return self.block(handle, *block);
                    }
                }
                if let Some(block) = node.otherwise {
                    return self.block(handle, block);
                }
            }
            Node::Foreach(node) => {
                let outcome = self.foreach(handle, node);
                return Self::at(handle, node.at, outcome);
            }
            Node::Call(index) => {
                if let Some(call) = handle.program.calls.get(*index as usize) {
                    let outcome = self.call_macro(handle, *index, call);
                    return Self::at(handle, call.at, outcome);
                }
            }
            Node::Define(slot, block) => {
                self.slots[*slot as usize] = Value::Block { program: handle.id, block: *block };
            }
            Node::Evaluate(node) => {
                let (what, at) = &**node;
                let outcome = self.value(handle, what).and_then(|text| self.evaluate(text));
                return Self::at(handle, *at, outcome);
            }
            Node::Stop => return Ok(Flow::Stop),
            Node::Break => return Ok(Flow::Break),
        }
        Ok(Flow::Next)
    }

    /// Writes a reference, its escapes and what stands for nothing (as 1.7's `ASTReference.render`).
    fn show(&mut self, handle: Handle<'_>, reference: &Reference) -> Result<Flow> {
        let value = self.reference(handle, reference)?;
        if reference.backslashes > 0 {
            self.show_escaped(handle, reference, value)?;
            return Ok(Flow::Next);
        }
        match value {
            Value::Null if reference.quiet => {}
            Value::Null => {
                let literal = self.literal_of(handle, reference)?;
                self.put(literal)?;
            }
            Value::Block { program, block } => return self.show_block(program, block),
            Value::Text(text) => self.put(text)?,
            value => {
                let value = self.shown(value)?;
                let mut out = std::mem::take(&mut self.out);
                let outcome = print::write(&mut self.bounded(&mut out), self.heap, value);
                self.out = out;
                outcome?;
            }
        }
        Ok(Flow::Next)
    }

    /// What is written of a value: of fields and groups the map that they are.
    fn shown(&mut self, value: Value<'a>) -> Result<Value<'a>> {
        match value {
            Value::Object(object) => self.as_map(object),
            value => Ok(value),
        }
    }

    fn show_escaped(&mut self, handle: Handle<'_>, reference: &Reference, value: Value<'a>) -> Result<()> {
        let count = reference.backslashes;
        let is_escaped = count % 2 == 1;
        let literal = self.literal_of(handle, reference)?;
        // Of what has a value each second backslash is an escape; of what has none they all are text.
        let slashes = if value.is_null() { count } else { count / 2 };
        for _ in 0..slashes {
            self.put("\\")?;
        }
        match value {
            _ if is_escaped => self.put(literal),
            Value::Null if reference.quiet => Ok(()),
            Value::Null => self.put(literal),
            value => {
                let text = self.text(value)?;
                self.put(text)
            }
        }
    }

    fn show_block(&mut self, program: u32, block: BlockId) -> Result<Flow> {
        let flow = self.with_program(program, |render, handle| render.block(handle, block))?;
        // `#break` in what was defined ends that.
        Ok(if flow == Flow::Break { Flow::Next } else { flow })
    }

    /// What `inner` writes, as a text.
    fn written(&mut self, inner: impl FnOnce(&mut Self) -> Result<()>) -> Result<&'a str> {
        let outer = std::mem::replace(&mut self.out, self.scratch.take());
        let outcome = inner(self);
        let text = std::mem::replace(&mut self.out, outer);
        outcome?;
        self.pay(text.len() as u64 / 64)?;
        let kept = self.heap.text(&text)?;
        self.scratch.put(text);
        Ok(kept)
    }

    /// A value as text.
    pub(super) fn text(&mut self, value: Value<'a>) -> Result<&'a str> {
        match value {
            Value::Text(text) | Value::Big(text) => Ok(text),
            Value::Bool(true) => Ok("true"),
            Value::Bool(false) => Ok("false"),
            Value::Null => Ok("null"),
            Value::Block { program, block } => {
                self.written(|render| render.show_block(program, block).map(|_| ()))
            }
            value => self.written(|render| {
                let value = render.shown(value)?;
                let mut out = std::mem::take(&mut render.out);
                let outcome = print::write(&mut render.bounded(&mut out), render.heap, value);
                render.out = out;
                Ok(outcome?)
            }),
        }
    }

    /// What a reference comes to.
    pub(super) fn reference(&mut self, handle: Handle<'_>, reference: &Reference) -> Result<Value<'a>> {
        let outcome = self.steps_of(handle, reference, reference.steps.len());
        Self::at(handle, reference.at, outcome)
    }

    /// The same up to a step.
    pub(super) fn steps_of(
        &mut self,
        handle: Handle<'_>,
        reference: &Reference,
        count: usize,
    ) -> Result<Value<'a>> {
        let mut value = self.variable(reference.slot)?;
        for step in reference.steps.iter().take(count) {
            if value.is_null() {
                break;
            }
            self.pay(1)?;
            value = match step {
                Step::Property(name) => self.property(value, name)?,
                Step::Index(index) => {
                    let index = self.value(handle, index)?;
                    self.index(value, index)?
                }
                Step::Method(call) => {
                    let outcome = self.method(handle, value, call);
                    Self::at(handle, call.at, outcome)?
                }
            };
        }
        Ok(value)
    }

    fn variable(&mut self, slot: Slot) -> Result<Value<'a>> {
        match self.slots.get(slot as usize).copied() {
            Some(Value::Argument { frame, index }) => self.argument(frame, index),
            Some(value) => Ok(value),
            None => Ok(Value::Null),
        }
    }

    /// What an expression comes to.
    pub(super) fn value(&mut self, handle: Handle<'_>, expr: &Expr) -> Result<Value<'a>> {
        Ok(match expr {
            Expr::Bool(value) => Value::Bool(*value),
            Expr::Int(number) => Value::Int(*number),
            Expr::Double(number) => Value::Double(*number),
            Expr::Text(span) => Value::Text(self.literal(handle, *span)?),
            Expr::Reference(reference) => self.reference(handle, reference)?,
            Expr::Interpolated(block) => {
                let block = *block;
                Value::Text(self.written(|render| render.block(handle, block).map(|_| ()))?)
            }
            _ => {
                self.pay(1)?;
                self.deeper(|render| render.composed(handle, expr))?
            }
        })
    }

    fn composed(&mut self, handle: Handle<'_>, expr: &Expr) -> Result<Value<'a>> {
        match expr {
            Expr::List(exprs) => {
                let mut items = self.heap.vec(exprs.len())?;
                for expr in exprs {
                    let value = self.value(handle, expr)?;
                    self.heap.push(&mut items, value)?;
                }
                Ok(self.heap.list(items, false)?)
            }
            Expr::Map(entries) => {
                let map = self.heap.map()?;
                for (key, value) in entries {
                    let key = self.value(handle, key)?;
                    let key = self.text(key)?;
                    let value = self.value(handle, value)?;
                    map.put(self.heap, key, value)?;
                }
                Ok(Value::Map(map))
            }
            Expr::Range(ends) => {
                let (first, last) = (self.value(handle, &ends.0)?, self.value(handle, &ends.1)?);
                let (Value::Int(first), Value::Int(last)) = (first, last) else {
                    return Ok(Value::Null);
                };
                let count = first.abs_diff(last).saturating_add(1);
                self.pay(count)?;
                let mut items = self.heap.vec(usize::try_from(count).unwrap_or(usize::MAX))?;
                let numbers =
                    (0..count as i64).map(|step| if last < first { first - step } else { first + step });
                for number in numbers {
                    self.heap.push(&mut items, Value::Int(number))?;
                }
                Ok(self.heap.list(items, false)?)
            }
            Expr::Not(inner) => Ok(Value::Bool(!self.value(handle, inner)?.is_true())),
            Expr::Binary(binary) => {
                let (operator, left, right) = &**binary;
                self.binary(handle, *operator, left, right)
            }
            _ => self.value(handle, expr),
        }
    }

    /// How an operand is written, for a text that it becomes part of without having a value.
    pub(super) fn written_as(&self, handle: Handle<'_>, expr: &Expr) -> Result<&'a str> {
        match expr {
            Expr::Reference(reference) => self.literal(handle, reference.literal),
            _ => Ok("null"),
        }
    }

    fn foreach(&mut self, handle: Handle<'_>, node: &Foreach) -> Result<Flow> {
        let over = self.value(handle, &node.over)?;
        let over = match over {
            Value::List(list) => list,
            // A map gives its values.
            over => match self.values(over)? {
                Some(list) => list,
                None => return Ok(Flow::Next),
            },
        };
        let slots = [node.slot, FOREACH, VELOCITY_COUNT, VELOCITY_HAS_NEXT].map(|slot| slot as usize);
        let saved = slots.map(|slot| self.slots[slot]);
        let parent = if let Value::Loop(parent) = saved[1] { Some(parent) } else { None };
        let this: &Loop<'_> =
            self.heap.keep(Loop { index: 0.into(), total: over.len(self.heap)?.into(), parent })?;
        let mut flow = Flow::Next;
        let mut index = 0;
        // Asked anew each round, since the list may grow.
        while let Some(item) = over.get(self.heap, index)? {
            if index as u64 >= u64::from(self.settings.iterations_max) {
                let max = u64::from(self.settings.iterations_max);
                return Err(Reason::Limit { limit: Limit::Iterations, max }.into());
            }
            this.index.set(index);
            this.total.set(over.len(self.heap)?);
            self.slots[slots[1]] = Value::Loop(this);
            self.slots[slots[2]] = Value::Int(index as i64 + 1);
            self.slots[slots[3]] = Value::Bool(this.has_next());
            self.slots[slots[0]] = item;
            match self.block(handle, node.body)? {
                Flow::Next => {}
                Flow::Break => break,
                Flow::Stop => {
                    flow = Flow::Stop;
                    break;
                }
            }
            index += 1;
        }
        for (slot, value) in slots.into_iter().zip(saved).rev() {
            self.slots[slot] = value;
        }
        Ok(flow)
    }

    /// A variable of `$context` by its whole name.
    pub(super) fn context(&mut self, name: &str) -> Result<Value<'a>> {
        context::variable(self, name)
    }
}

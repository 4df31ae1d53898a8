//! Macros, which are called by name, and `#evaluate`.

use std::rc::Rc;

use smallvec::SmallVec;

use super::{
    error::Reason,
    parse,
    program::{BODY_CONTENT, Call, Expr, Reference, Slot},
    render::{Flow, Handle, Render, Result},
    value::Value,
};

/// A macro's call that is under way.
pub(super) struct Frame<'a> {
    program: u32,
    call: u32,
    /// What the slots of the parameters hold while the frame is not in force.
    bindings: SmallVec<[(Slot, Value<'a>); 4]>,
}

/// Calls within each other; the usual two need no memory of their own.
pub(super) type Frames<'a> = SmallVec<[Frame<'a>; 2]>;

impl<'a> Render<'a, '_> {
    /// How a reference is written that has no value; of a macro's parameter the caller's argument.
    pub(super) fn literal_of(&mut self, handle: Handle<'_>, reference: &Reference) -> Result<&'a str> {
        if reference.steps.is_empty()
            && !reference.quiet
            && let Some(Value::Argument { frame, index }) = self.slots.get(reference.slot as usize).copied()
            && let Some(frame) = self.frames.get(frame as usize)
        {
            let (program, call) = (frame.program, frame.call);
            return self.with_program(program, |render, handle| {
                let call = handle.program.calls.get(call as usize);
                match call.and_then(|call| call.arguments.get(index as usize)) {
                    Some(Expr::Reference(argument)) => render.literal(handle, argument.literal),
                    _ => Ok(""),
                }
            });
        }
        self.literal(handle, reference.literal)
    }

    pub(super) fn with_program<T>(
        &mut self,
        id: u32,
        inner: impl FnOnce(&mut Self, Handle<'_>) -> Result<T>,
    ) -> Result<T> {
        match (id as usize).checked_sub(1).and_then(|at| self.extra.get(at)).cloned() {
            Some(program) => inner(self, Handle { id, program: &program }),
            None => inner(self, Handle { id: 0, program: self.main }),
        }
    }

    /// An argument by name: evaluated anew, with the variables as its caller has them.
    pub(super) fn argument(&mut self, frame: u32, index: u32) -> Result<Value<'a>> {
        self.pay(1)?;
        self.deeper(|render| {
            let from = (frame as usize).min(render.frames.len());
            let mut suspended: Frames<'_> = render.frames.drain(from..).collect();
            for frame in suspended.iter_mut().rev() {
                render.swap_bindings(frame);
            }
            let (program, call) = suspended.first().map_or((0, 0), |frame| (frame.program, frame.call));
            let value = render.with_program(program, |render, handle| {
                let call = handle.program.calls.get(call as usize);
                match call.and_then(|call| call.arguments.get(index as usize)) {
                    Some(argument) => render.value(handle, argument),
                    None => Ok(Value::Null),
                }
            })?;
            for frame in &mut suspended {
                render.swap_bindings(frame);
            }
            render.frames.extend(suspended);
            Ok(value)
        })
    }

    fn swap_bindings(&mut self, frame: &mut Frame<'a>) {
        for (slot, value) in &mut frame.bindings {
            std::mem::swap(&mut self.slots[*slot as usize], value);
        }
    }

    pub(super) fn call_macro(&mut self, handle: Handle<'_>, index: u32, call: &Call) -> Result<Flow> {
        let target = match call.target {
            Some(target) => Some((handle.id, target)),
            None => self.macro_elsewhere(&call.name),
        };
        let Some((program, target)) = target else {
            self.put(handle.program.text(call.literal))?;
            return match call.content {
                Some(content) => self.block(handle, content),
                None => Ok(Flow::Next),
            };
        };
        let content = call.content.map(|block| Value::Block { program: handle.id, block });
        let arguments = call.arguments.len();
        let caller = handle.id;
        self.with_program(program, |render, handle| {
            let Some(called) = handle.program.macros.get(target as usize) else { return Ok(Flow::Next) };
            let number = render.frames.len() as u32;
            let mut bindings: SmallVec<_> = called
                .parameters
                .iter()
                .enumerate()
                .map(|(index, slot)| {
                    let given = index < arguments;
                    (
                        *slot,
                        if given {
                            Value::Argument { frame: number, index: index as u32 }
                        } else {
                            Value::Null
                        },
                    )
                })
                .collect();
            bindings.extend(content.map(|content| (BODY_CONTENT, content)));
            let mut frame = Frame { program: caller, call: index, bindings };
            render.swap_bindings(&mut frame);
            render.frames.push(frame);
            let flow = render.block(handle, called.body)?;
            if let Some(mut frame) = render.frames.pop() {
                // In the other order, for a parameter that is named twice.
                frame.bindings.reverse();
                render.swap_bindings(&mut frame);
            }
            Ok(if flow == Flow::Break { Flow::Next } else { flow })
        })
    }

    /// A macro that another program has: the template, or what was evaluated before.
    fn macro_elsewhere(&self, name: &str) -> Option<(u32, u32)> {
        let programs = self.extra.iter().map(|program| &**program).enumerate().rev();
        let programs = programs.map(|(at, program)| (at as u32 + 1, program)).chain([(0, self.main)]);
        programs.into_iter().find_map(|(id, program)| {
            let at = program.macros.iter().position(|known| *known.name == *name)?;
            Some((id, at as u32))
        })
    }

    pub(super) fn evaluate(&mut self, text: Value<'a>) -> Result<Flow> {
        if text.is_null() {
            return Ok(Flow::Next);
        }
        let text = self.text(text)?;
        // Reading costs more than writing; each evaluated text also keeps its program until the end.
        self.pay(100 + text.len() as u64)?;
        let names = self.extra.last().map_or(&self.main.names, |program| &program.names).clone();
        self.pay(names.len() as u64)?;
        let program = parse::compile_after(text, self.settings, names)
            .map_err(|mistakes| Reason::Evaluate(mistakes.0.into_iter().next().unwrap_or_default()))?;
        self.grow_slots(program.names.len())?;
        let body = program.body;
        self.extra.push(Rc::new(program));
        let id = self.extra.len() as u32;
        let flow = self.with_program(id, |render, handle| render.block(handle, body))?;
        Ok(if flow == Flow::Break { Flow::Next } else { flow })
    }
}

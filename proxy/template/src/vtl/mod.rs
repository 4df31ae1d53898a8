//! Velocity Template Language as API Gateway has it: version 1.7, with `$input`, `$context`, `$stageVariables` and
//! `$util` (row 116). A template is compiled when it is deployed and rendered for each request. It does not know HTTP: what a
//! template asks for comes through [`Inputs`], what it overrides goes to [`Overrides`].

mod assign;
mod calculate;
mod calls;
mod context;
mod directive;
mod error;
mod expression;
mod heap;
mod inputs;
mod list;
mod map;
mod method;
mod number;
mod object;
mod parse;
mod print;
mod program;
mod render;
mod strings;
mod util;
mod value;
mod xml;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bumpalo::Bump;
use foldhash::fast::RandomState;

pub use error::{Limit, Mistake, Mistakes, Reason, RenderError};
pub use inputs::{Fields, Inputs, Overrides};
pub use parse::{MISTAKES_MAX, NESTING_MAX};
use program::Program;

/// What a template may be and do. The defaults are AWS's where it has them (rows 116, 180).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether there is `$util.xmlToJson`, which AWS does not have (row 19).
    pub xml: bool,
    /// The length of a template, in bytes.
    pub source_bytes_max: usize,
    /// The length of an output, and of any text made on the way, in bytes.
    pub output_bytes_max: usize,
    /// Rounds of one `#foreach`.
    pub iterations_max: u32,
    /// What a rendering may look at: about a node, a value or 64 bytes a step. A million steps are 20 to 120 ms of what is made
    /// to be slow (measured); a usual template takes some hundred.
    pub steps_max: u64,
    /// Blocks, calls and values within each other.
    pub depth_max: u32,
    /// What values of a rendering may take, in bytes; the body is not among them.
    pub memory_bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            xml: false,
            source_bytes_max: 300 << 10,
            output_bytes_max: 300 << 10,
            iterations_max: 1_000,
            steps_max: 1_000_000,
            depth_max: 100,
            memory_bytes_max: 16 << 20,
        }
    }
}

/// A compiled template. A clone has its own scratch memory of regular expressions: cores that share one contend for it.
#[derive(Clone, Debug)]
pub struct Template {
    program: Program,
    settings: Arc<Settings>,
}

/// What a rendering writes to, and the memory that it works in; made once and used again.
#[derive(Debug, Default)]
pub struct Output {
    text: String,
    arena: Bump,
    hasher: RandomState,
    scratch: Scratch,
}

/// Texts that are put together on the way, used again and again.
#[derive(Debug, Default)]
struct Scratch(Vec<String>);

impl Scratch {
    /// An empty one.
    fn take(&mut self) -> String {
        self.0.pop().unwrap_or_default()
    }

    fn put(&mut self, mut text: String) {
        text.clear();
        self.0.push(text);
    }

    /// Keeps so many that all of them are no more than so many bytes.
    fn trim(&mut self, bytes_max: usize) {
        let mut bytes = 0;
        self.0.retain(|text| {
            bytes += text.capacity() + size_of::<String>();
            bytes <= bytes_max
        });
    }
}

/// What an output keeps between renderings, in bytes.
const KEPT_BYTES_MAX: usize = 64 << 10;

impl Template {
    /// Compiles a template, or tells all its mistakes.
    pub fn compile(source: &str, settings: &Settings) -> Result<Self, Mistakes> {
        let program = parse::compile(source, settings)?;
        Ok(Self { program, settings: Arc::new(settings.clone()) })
    }

    /// Renders into `output`, in place of what it has. What was overridden before an error stays in `overrides`.
    pub fn render(
        &self,
        inputs: &dyn Inputs,
        output: &mut Output,
        overrides: &mut Overrides,
    ) -> Result<(), RenderError> {
        output.forget();
        let Output { text, arena, hasher, scratch } = output;
        arena.set_allocation_limit(Some(self.settings.memory_bytes_max));
        render::render(&self.program, &self.settings, inputs, (arena, hasher), (text, scratch), overrides)
    }
}

impl Output {
    /// What was rendered last; after an error, what there was until then.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Gives up what is more than it keeps from one rendering to the next.
    fn forget(&mut self) {
        if self.text.capacity() > KEPT_BYTES_MAX {
            self.text = String::new();
        }
        self.text.clear();
        self.scratch.trim(KEPT_BYTES_MAX);
        if self.arena.allocated_bytes() > KEPT_BYTES_MAX {
            self.arena = Bump::new();
        }
        self.arena.reset();
    }
}

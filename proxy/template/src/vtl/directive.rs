//! Directives: `#set`, `#if`, `#foreach`, `#define`, `#macro` and calls.

use super::{
    parse::{DIRECTIVES, End, Parser, Result, Told, word},
    program::{Call, Expr, Foreach, If, Macro, Node, Reference},
};

impl Parser<'_, '_, '_> {
    pub(super) fn set(&mut self, nodes: &mut Vec<Node>, start: usize) -> Result<()> {
        self.open("set", start)?;
        self.space();
        let Some(target) = self.wanted_reference("`#set($name = value)` is how it is written")? else {
            return Err(Told);
        };
        self.space();
        if !self.take("=") {
            return self.told(self.at, "`=` is missing: `#set($name = value)` is how it is written");
        }
        let value = self.deeper(Self::expression)?;
        self.close("set")?;
        nodes.push(Node::Set(Box::new((target, value))));
        Ok(())
    }

    fn wanted_reference(&mut self, why: &str) -> Result<Option<Reference>> {
        let start = self.at;
        let reference = if self.peek() == Some(b'$') { self.reference()? } else { None };
        if reference.is_none() {
            return self.told(start, format!("a variable is wanted: {why}"));
        }
        Ok(reference)
    }

    pub(super) fn if_(&mut self, nodes: &mut Vec<Node>, start: usize) -> Result<()> {
        self.deeper(|parser| {
            let mut branches = Vec::new();
            let mut otherwise = None;
            let mut name = "if";
            let mut at = start;
            loop {
                let condition = parser.condition(name, at);
                let (block, mut end) = parser.block(Some((name, start)));
                branches.push((condition, block));
                if end == End::Else {
                    let (block, after) = parser.block(Some(("else", start)));
                    otherwise = Some(block);
                    end = after;
                }
                if end != End::ElseIf {
                    break;
                }
                name = "elseif";
                at = parser.at;
            }
            nodes.push(Node::If(Box::new(If { branches: branches.into(), otherwise })));
            Ok(())
        })
    }

    /// What stands in the parentheses. After a mistake in it the block is read on, so that its `#end` finds it.
    fn condition(&mut self, name: &str, start: usize) -> Expr {
        let condition = self.open(name, start).and_then(|()| {
            let condition = self.expression()?;
            self.close(name)?;
            Ok(condition)
        });
        condition.unwrap_or_else(|Told| {
            self.recover();
            Expr::Bool(false)
        })
    }

    pub(super) fn foreach(&mut self, nodes: &mut Vec<Node>, start: usize) -> Result<()> {
        let written = "`#foreach($item in $list)` is how it is written";
        self.deeper(|parser| {
            let head = parser.open("foreach", start).and_then(|()| {
                parser.space();
                let Some(item) = parser.wanted_reference(written)? else { return Err(Told) };
                if !item.steps.is_empty() {
                    return parser.told(start, format!("the loop's variable has no properties: {written}"));
                }
                parser.space();
                if parser.word("in").is_none() {
                    return parser.told(parser.at, format!("`in` is missing: {written}"));
                }
                parser.space();
                let over = parser.parameter()?;
                parser.close("foreach")?;
                Ok((item.slot, over))
            });
            let (slot, over) = head.unwrap_or_else(|Told| {
                parser.recover();
                (0, Expr::Bool(false))
            });
            let (body, _) = parser.block(Some(("foreach", start)));
            nodes.push(Node::Foreach(Box::new(Foreach { slot, over, body, at: parser.place(start) })));
            Ok(())
        })
    }

    pub(super) fn define(&mut self, nodes: &mut Vec<Node>, start: usize) -> Result<()> {
        self.deeper(|parser| {
            let head = parser.open("define", start).and_then(|()| {
                parser.space();
                let Some(name) = parser.wanted_reference("`#define($name) … #end` is how it is written")?
                else {
                    return Err(Told);
                };
                parser.close("define")?;
                Ok(name.slot)
            });
            let slot = head.unwrap_or_else(|Told| {
                parser.recover();
                0
            });
            let (body, _) = parser.block(Some(("define", start)));
            nodes.push(Node::Define(slot, body));
            Ok(())
        })
    }

    pub(super) fn macro_(&mut self, start: usize) -> Result<()> {
        let written = "`#macro(name $a $b) … #end` is how it is written";
        self.deeper(|parser| {
            let head = parser.open("macro", start).and_then(|()| {
                parser.space();
                let Some((name, length)) = word(parser.rest()) else {
                    return parser.told(parser.at, format!("a name is wanted: {written}"));
                };
                if DIRECTIVES.contains(&name) {
                    return parser
                        .told(parser.at, format!("`{name}` is a directive; give the macro another name"));
                }
                if parser.builder.program.macros.iter().any(|known| *known.name == *name) {
                    return parser.told(
                        parser.at,
                        format!("there is a macro `{name}` already; give this one another name"),
                    );
                }
                parser.at += length;
                let mut parameters = Vec::new();
                loop {
                    parser.space();
                    if parser.take(",") {
                        parser.space();
                    }
                    if parser.peek() != Some(b'$') {
                        break;
                    }
                    let Some(parameter) = parser.wanted_reference(written)? else { return Err(Told) };
                    parameters.push(parameter.slot);
                }
                parser.close("macro")?;
                Ok((name, parameters))
            });
            let head = head.map_err(|Told| parser.recover());
            // Known before its body is read, so that it may be escaped there.
            let index = parser.builder.program.macros.len();
            if let Ok((name, parameters)) = head {
                let parameters = parameters.into();
                parser.builder.program.macros.push(Macro { name: name.into(), parameters, body: 0 });
            }
            let (body, _) = parser.block(Some(("macro", start)));
            if let Some(added) = parser.builder.program.macros.get_mut(index) {
                added.body = body;
            }
            Ok(())
        })
    }

    /// `#name(…)`, `#name`, `#@name(…) … #end`
    pub(super) fn call(&mut self, nodes: &mut Vec<Node>, name: &str, start: usize) -> Result<()> {
        let mut arguments = Vec::new();
        if self.rest().trim_start_matches([' ', '\t', '\n', '\r']).starts_with('(') {
            // Text that looks like a call is text: what can't be read as arguments is no mistake.
            let mistakes = self.builder.mistakes.len();
            match self.call_arguments(name) {
                Ok(read) => arguments = read,
                Err(Told) if name.starts_with('@') || self.is_macro_somewhere(name) => return Err(Told),
                Err(Told) => {
                    self.builder.mistakes.truncate(mistakes);
                    self.at = start + 1;
                    self.text(nodes, "#");
                    return Ok(());
                }
            }
        }
        let literal = self.builder.span(&self.source[start..self.at]);
        let at = self.place(start);
        let (name, content) = match name.strip_prefix('@') {
            None => (name, None),
            Some(name) => {
                let shown = format!("@{name}");
                let (block, _) = self.deeper(|parser| Ok(parser.block(Some((&shown, start)))))?;
                (name, Some(block))
            }
        };
        let arguments = arguments.into();
        let calls = &mut self.builder.program.calls;
        calls.push(Call { name: name.into(), target: None, arguments, content, literal, at });
        nodes.push(Node::Call(calls.len() as u32 - 1));
        Ok(())
    }

    /// Whether a macro of this name stands anywhere in the text, be it further on.
    fn is_macro_somewhere(&self, name: &str) -> bool {
        self.source.match_indices("#macro").any(|(at, _)| {
            let rest = self.source[at + "#macro".len()..].trim_start().strip_prefix('(');
            rest.is_some_and(|rest| word(rest.trim_start()).is_some_and(|(known, _)| known == name))
        })
    }

    fn call_arguments(&mut self, name: &str) -> Result<Vec<Expr>> {
        self.open(name, self.at)?;
        let mut arguments = Vec::new();
        loop {
            self.space();
            if self.take(",") {
                self.space();
            }
            if matches!(self.peek(), None | Some(b')')) {
                break;
            }
            arguments.push(self.parameter()?);
        }
        self.close(name)?;
        Ok(arguments)
    }
}

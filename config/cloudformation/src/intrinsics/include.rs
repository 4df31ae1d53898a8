//! Files that a template names: `AWS::Include`, and definitions beside it.

use openapi::tree::{Node, Tree, quote};

use super::Resolver;
use crate::{
    File,
    build::{self, Span, placed},
};

/// Files that a template names.
pub(super) const FILES_MAX: usize = 64;

impl Resolver<'_> {
    /// `AWS::Include` is put in; other macros run on AWS alone.
    pub(super) fn transform(&self, argument: &Node, span: &Span) -> Node {
        match argument.get("Name").and_then(build::scalar).as_deref() {
            Some("AWS::Include") => {}
            name => {
                let message = format!("the macro {} runs on AWS alone", quote(name.unwrap_or("?")));
                self.fail_with(
                    span,
                    message,
                    "put in what it makes; `AWS::Include` of a local file is known",
                );
                return build::null(span);
            }
        }
        let location = argument.get("Parameters").and_then(|it| it.get("Location"));
        let Some(location) = location.map(|it| self.resolve(it)) else {
            return self.wrong(span, "`AWS::Include` has no `Location`");
        };
        if self.is_included.get() {
            return self
                .wrong(span, "what is included includes something itself, which AWS does not take either");
        }
        let Some(tree) = self.document(&location) else { return build::null(span) };
        self.is_included.set(true);
        let resolved = self.resolve(&placed(tree.root(), span));
        self.is_included.set(false);
        resolved
    }

    /// A document beside the template; `None` if it can't be had, which is said.
    pub(crate) fn document(&self, location: &Node) -> Option<Tree> {
        let span = &location.span;
        let Some(path) = location.as_str() else {
            let message = "the document lies in S3, where it can't be read";
            self.fail_with(span, message, "put it beside the template, and its path here");
            return None;
        };
        if let Some((scheme, _)) = path.split_once("://") {
            let place = if scheme == "s3" { "in S3" } else { "on another machine" };
            let message = format!("{} lies {place}, where it can't be read", quote(path));
            self.fail_with(span, message, "put it beside the template, and its path here");
            return None;
        }
        let Some(left) = self.files_left.get().checked_sub(1) else {
            self.fail(span, format!("the template names more than {FILES_MAX} files"));
            return None;
        };
        self.files_left.set(left);
        let read = self.world.file(path);
        let read = read.map_err(|why| self.fail(span, format!("{} can't be read: {why}", quote(path))));
        let File { name, text } = read.ok()?;
        let tree = Tree::parse(&name, &text);
        tree.map_err(|broken| self.found.borrow_mut().push(*broken)).ok()
    }
}

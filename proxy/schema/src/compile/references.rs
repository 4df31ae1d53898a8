//! `$ref`: to a place in the same model, or to another model of the API. Nothing is ever fetched.

use super::{Compiler, Place, REFERENCES_MAX};
use crate::{aws, json::Value};

impl<'d> Compiler<'d> {
    /// The schema itself, or what it refers to in the end. What stands beside a `$ref` does not count (draft 4, JSON
    /// Reference §3).
    pub(super) fn followed(&mut self, place: &Place<'d>) -> Option<Place<'d>> {
        let mut at = place.clone();
        for _ in 0..=REFERENCES_MAX {
            let Some(reference) = at.value.member("$ref").and_then(Value::text) else { return Some(at) };
            let reference = reference.read();
            match self.resolve(at.model, &reference) {
                Ok(next) => at = next,
                Err(why) => {
                    self.mistake(at.model, &format!("{}/$ref", at.pointer), why);
                    return None;
                }
            }
        }
        let why =
            format!("it leads to itself, or through more than {REFERENCES_MAX} others (limit: references)");
        self.mistake(place.model, &format!("{}/$ref", place.pointer), why);
        None
    }

    fn resolve(&self, model: usize, reference: &str) -> Result<Place<'d>, String> {
        let (base, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let model = match base {
            "" => model,
            _ => {
                let name = base
                    .strip_prefix(aws::MODELS)
                    .and_then(|rest| rest.split_once("/models/"))
                    .filter(|(api, name)| !api.is_empty() && !api.contains('/') && !name.is_empty())
                    .map(|(_, name)| name);
                let Some(name) = name else {
                    return Err(format!(
                        "`{reference}` leads nowhere; it has to begin with `#`, or to be `{}ID/models/NAME`",
                        aws::MODELS
                    ));
                };
                let found = self.documents.iter().position(|(known, _)| *known == name);
                found.ok_or_else(|| format!("`{reference}` leads nowhere: the API has no model `{name}`"))?
            }
        };
        let mut place = Place { model, value: self.documents[model].1.root(), pointer: String::new() };
        let pointer = percent_decoded(fragment);
        if pointer.is_empty() {
            return Ok(place);
        }
        let Some(tokens) = pointer.strip_prefix('/') else {
            return Err(format!("`{reference}` leads nowhere: behind `#` a JSON pointer is wanted"));
        };
        for token in tokens.split('/') {
            let token = token.replace("~1", "/").replace("~0", "~");
            let next = match token.parse::<usize>() {
                Ok(number) if !place.value.is_object() => place.value.elements().nth(number),
                _ => place.value.member(&token),
            };
            let Some(next) = next else {
                return Err(format!("`{reference}` leads nowhere: there is no `{token}`"));
            };
            place = place.at(&token, next);
        }
        Ok(place)
    }
}

/// A fragment without its escapes; what is no UTF-8 then is left out.
fn percent_decoded(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((&first, more)) = rest.split_first() {
        let code =
            more.get(..2).filter(|_| first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &more[2..];
            }
            None => {
                bytes.push(first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

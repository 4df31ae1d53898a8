//! Tables: each rule of the codec with what it lets through and what it refuses. Every case is also cut everywhere.

use message::{
    AuthorityError, Body, Length, Method, Name, PathRules, Request, Response, TargetError, Version,
};

use super::*;
use crate::{Error, Limits, Underscores};

mod bodies;
mod encoding;
mod fields;
mod generated;
mod requests;
mod responses;
mod vectors;

const RULES: PathRules = PathRules { merge_slashes: false, encoded_slashes: false };

/// Decodes a request that is whole, or says why not.
fn request_of(bytes: &[u8], limits: &Limits) -> Result<(Request, RequestFraming), Error> {
    properties::cut_request(bytes, limits);
    let mut request = Request::default();
    match decode_request(bytes, limits, RULES, &mut request)? {
        Some((_, framing)) => Ok((request, framing)),
        None => panic!("not whole: {}", bytes.escape_ascii()),
    }
}

/// The same for a response to `method`.
fn response_of(bytes: &[u8], method: &Method, limits: &Limits) -> Result<(Response, ResponseFraming), Error> {
    properties::cut_response(bytes, limits, method);
    let mut response = Response::default();
    match decode_response(bytes, limits, method, &mut response)? {
        Some((_, framing)) => Ok((response, framing)),
        None => panic!("not whole: {}", bytes.escape_ascii()),
    }
}

/// `Name: value` for each field, joined by `|`, in their order.
fn fields_of(headers: &message::Headers) -> String {
    let field = |field: message::Field<'_>| {
        format!("{}: {}", String::from_utf8_lossy(field.text), field.value.escape_ascii())
    };
    headers.iter().map(field).collect::<Vec<_>>().join("|")
}

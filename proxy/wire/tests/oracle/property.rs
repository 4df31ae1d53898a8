//! The codec beside `httparse`, which thousands of programs read heads with: whatever the codec takes, that takes too,
//! ends it at the same byte and finds the same fields. Used by tests and by fuzz targets.

use httparse::{EMPTY_HEADER, Header, Status};
use message::{Headers, Method, PathRules, Request, Response};
use wire::{Limits, Underscores, h1};

/// For what a client sends.
pub(crate) fn request(bytes: &[u8]) {
    let limits = Limits { underscores: Underscores::Keep, ..Limits::CLIENT };
    let mut ours = Request::default();
    let Ok(Some((read, _))) = h1::decode_request(bytes, &limits, PathRules::default(), &mut ours) else {
        return;
    };
    let mut table = [EMPTY_HEADER; wire::HEADERS_CAP];
    let mut theirs = httparse::Request::new(&mut table);
    let shown = bytes.escape_ascii();
    assert_eq!(theirs.parse(bytes), Ok(Status::Complete(read)), "{shown}");
    assert_eq!(theirs.method, Some(ours.method.as_str()), "{shown}");
    let version = if ours.version == message::Version::Http11 { 1 } else { 0 };
    assert_eq!(theirs.version, Some(version), "{shown}");
    assert!(
        theirs
            .path
            .is_some_and(|path| path.ends_with(ours.target.raw()) || path.ends_with(ours.authority.as_str())),
        "{shown}"
    );
    same_fields(&ours.headers, theirs.headers, bytes);
}

/// For what an upstream sends.
pub(crate) fn response(bytes: &[u8]) {
    let mut ours = Response::default();
    let Ok(Some((read, _))) = h1::decode_response(bytes, &Limits::UPSTREAM, &Method::Get, &mut ours) else {
        return;
    };
    let mut table = [EMPTY_HEADER; wire::HEADERS_CAP];
    let mut theirs = httparse::Response::new(&mut table);
    let shown = bytes.escape_ascii();
    assert_eq!(theirs.parse(bytes), Ok(Status::Complete(read)), "{shown}");
    assert_eq!(theirs.code, Some(ours.status), "{shown}");
    let kept = |field: &&Header<'_>| ours.status != 304 || !field.name.eq_ignore_ascii_case("content-length");
    let theirs: Vec<_> = theirs.headers.iter().filter(kept).copied().collect();
    ours.headers.retain(|field| field.name != message::Name::ContentLength);
    same_fields(&ours.headers, &theirs, bytes);
}

/// Theirs are ours in the same order, with others between them: those of the hop, and what `Connection` names.
fn same_fields(ours: &Headers, theirs: &[Header<'_>], bytes: &[u8]) {
    let shown = bytes.escape_ascii();
    let mut ours = ours.iter().peekable();
    for field in theirs {
        let same = |own: &message::Field<'_>| own.text == field.name.as_bytes() && own.value == field.value;
        if ours.next_if(same).is_none() {
            assert!(is_kept_back(field, theirs), "{} was lost: {shown}", field.name);
        }
    }
    assert_eq!(ours.next(), None, "{shown}");
}

/// Whether a field is not to go on.
fn is_kept_back(field: &Header<'_>, fields: &[Header<'_>]) -> bool {
    const OF_THE_HOP: [&str; 11] = [
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    let is_named = || {
        fields
            .iter()
            .filter(|connection| connection.name.eq_ignore_ascii_case("connection"))
            .flat_map(|connection| connection.value.split(|byte| *byte == b','))
            .any(|name| name.trim_ascii().eq_ignore_ascii_case(field.name.as_bytes()))
    };
    OF_THE_HOP.iter().any(|name| field.name.eq_ignore_ascii_case(name)) || is_named()
}

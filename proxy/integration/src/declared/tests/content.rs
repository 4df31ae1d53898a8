//! Content handling: the developer guide's tables (row 124).

use super::*;
use crate::declared::content::{Conversion, of_request, of_response};

/// The nine rows for requests: text or binary data (its media type is not, or is, among the API's binary ones), what the
/// integration says, and what its backend gets.
#[test]
fn the_table_for_requests() {
    use {
        Conversion as C,
        Handling::{ToBinary, ToText},
    };
    const TEXT: bool = false;
    const BINARY: bool = true;
    // Without binary media types, whatever the content type; then with some, and a text type; then a binary one.
    let table = [
        (TEXT, None, C::Text),
        (TEXT, Some(ToBinary), C::Decode),
        (TEXT, Some(ToText), C::Text),
        (TEXT, None, C::Text),
        (TEXT, Some(ToBinary), C::Decode),
        (TEXT, Some(ToText), C::Text),
        (BINARY, None, C::Binary),
        (BINARY, Some(ToBinary), C::Binary),
        (BINARY, Some(ToText), C::Encode),
    ];
    for (is_binary, handling, expected) in table {
        assert_eq!(of_request(is_binary, handling), expected, "{is_binary} {handling:?}");
    }
}

/// The fifteen rows for answers: the answer's data, what the client accepts first, what the integration's response says,
/// and what the client gets.
#[test]
fn the_table_for_answers() {
    use {
        Conversion as C,
        Handling::{ToBinary, ToText},
    };
    const TEXT: bool = false;
    const BINARY: bool = true;
    let table = [
        // Without binary media types nothing is binary.
        (TEXT, TEXT, None, C::Text),
        (TEXT, TEXT, Some(ToBinary), C::Decode),
        (TEXT, TEXT, Some(ToText), C::Text),
        // With some.
        (TEXT, TEXT, None, C::Text),
        (TEXT, TEXT, Some(ToBinary), C::Decode),
        (TEXT, TEXT, Some(ToText), C::Text),
        (TEXT, BINARY, None, C::Decode),
        (TEXT, BINARY, Some(ToBinary), C::Decode),
        (TEXT, BINARY, Some(ToText), C::Text),
        (BINARY, TEXT, None, C::Encode),
        (BINARY, TEXT, Some(ToBinary), C::Binary),
        (BINARY, TEXT, Some(ToText), C::Encode),
        (BINARY, BINARY, None, C::Binary),
        (BINARY, BINARY, Some(ToBinary), C::Binary),
        (BINARY, BINARY, Some(ToText), C::Encode),
    ];
    for (is_binary, accepts_binary, handling, expected) in table {
        assert_eq!(
            of_response(is_binary, accepts_binary, handling),
            expected,
            "{is_binary} {accepts_binary} {handling:?}"
        );
    }
}

const PNG: &[u8] = b"\x89PNG\xff";
const PNG_BASE64: &[u8] = b"iVBOR/8=";

fn api(handling: Option<Handling>) -> Settings {
    Settings { handling, binary_media_types: vec!["image/png".into()], ..settings(Kind::Http) }
}

#[track_caller]
fn check_request(settings: Settings, content_type: &str, sent: &[u8], expected: &[u8]) {
    let put = put(settings, &Asked("POST /pets/7/a", &[("Content-Type", content_type)], sent));
    let Body::Whole(got) = &put.request.body else { panic!("{:?}", put.outbound) };
    assert_eq!(&got[..], expected);
}

#[test]
fn bodies_of_requests_are_converted() {
    check_request(api(None), "image/png", PNG, PNG);
    check_request(api(Some(Handling::ToText)), "image/png", PNG, PNG_BASE64);
    check_request(api(Some(Handling::ToBinary)), "text/plain", PNG_BASE64, PNG);
    check_request(api(None), "text/plain", b"hi", b"hi");
    let all = Settings { binary_media_types: vec!["*/*".into()], ..api(Some(Handling::ToText)) };
    check_request(all, "text/plain", b"hi", b"aGk=");
    // With a proxy, too.
    let proxy = Settings { kind: Kind::HttpProxy, responses: Vec::new(), ..api(Some(Handling::ToText)) };
    check_request(proxy, "image/png", PNG, PNG_BASE64);
}

#[test]
fn what_can_not_be_converted_is_answered_with_500() {
    let asked = Asked("POST /pets/7/a", &[("Content-Type", "text/plain")], b"no base64!");
    check_refused(api(Some(Handling::ToBinary)), &asked, &Reason::ApiConfiguration);
    // Templates are text's.
    let settings = Settings { request_templates: pairs(&[("image/png", "x")]), ..api(None) };
    check_refused(
        settings,
        &Asked("POST /pets/7/a", &[("Content-Type", "image/png")], PNG),
        &Reason::ApiConfiguration,
    );
}

#[track_caller]
fn check_answer(
    handling: Option<Handling>,
    accept: &str,
    content_type: &str,
    sent: &[u8],
    expected: Result<&[u8], Reason>,
) {
    let responses = vec![ResponseSettings { handling, ..response(None, 200) }];
    let mut put =
        put(Settings { responses, ..api(None) }, &Asked("GET /pets/7/a", &[("Accept", accept)], b""));
    let got =
        put.answered(200, &[("Content-Type", content_type)], sent).map(|response| match response.body {
            Body::Whole(bytes) => bytes,
            other => panic!("{other:?}"),
        });
    assert_eq!(got.as_deref(), expected.as_ref().map(|bytes| &bytes[..]), "{handling:?} {accept}");
}

#[test]
fn bodies_of_answers_are_converted() {
    check_answer(None, "image/png", "image/png", PNG, Ok(PNG));
    check_answer(None, "text/html, image/png", "image/png", PNG, Ok(PNG_BASE64));
    check_answer(None, "image/png;q=1, text/html", "image/png", PNG, Ok(PNG));
    check_answer(None, "image/png", "text/plain", PNG_BASE64, Ok(PNG));
    check_answer(Some(Handling::ToText), "image/png", "image/png", PNG, Ok(PNG_BASE64));
    check_answer(Some(Handling::ToBinary), "*/*", "text/plain", PNG_BASE64, Ok(PNG));
    check_answer(Some(Handling::ToBinary), "*/*", "text/plain", b"no base64!", Err(Reason::ApiConfiguration));
}

//! Heads that nobody has thought of: nearly right ones in any order, through HPACK and out again.

use message::{Authority, Headers, Method, Name, PathRules, Request, Response, Target, Version};
use proptest::prelude::*;

use crate::Limits;
use crate::h1;
use crate::h1::head::Side;
use crate::h2::fields::{self, OF_THE_HOP};
use crate::h2::frames::flag;
use crate::h2::head::{Head, Kind};
use crate::h2::hpack::{self, Decoder, Encoder};
use crate::h2::properties::raw::{Raw, headers, literal};
use crate::h2::properties::{request_is_clean, response_is_clean};
use crate::h2::{request, response};

const RULES: PathRules = PathRules { merge_slashes: false, encoded_slashes: false };

type Field = (Vec<u8>, Vec<u8>);

/// What is written, as its reader decodes it.
fn sent(kind: Kind, write: impl FnOnce(&mut Encoder, &mut Vec<u8>)) -> Head {
    let (mut block, mut head) = (Vec::new(), Head::default());
    let mut encoder = Encoder::new();
    encoder.begin(&mut block);
    write(&mut encoder, &mut block);
    head.begin(kind, true, usize::MAX);
    let decoded = Decoder::new(4096).decode(&block, |field, marked| head.add(&field, marked));
    assert!(decoded.is_ok() && !head.is_malformed(), "{head:?}");
    head
}

/// Whether it is a message's: those of the hop are not.
fn goes_on(name: &str) -> bool {
    !OF_THE_HOP.with(Name::Host).with(Name::Expect).has(Name::of(name.as_bytes()))
}

/// Something like the name of a field.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "host",
        "cookie",
        "content-length",
        "te",
        "trailer",
        "expect",
        "connection",
        "transfer-encoding",
        "proxy",
        "x_a",
        "accept",
        "x-forwarded-for",
    ]);
    prop_oneof![
        8 => "[a-z!#$%&'*+.^`|~0-9-]{1,12}".prop_map(String::into_bytes),
        4 => known.prop_map(Vec::from),
        1 => "[A-Za-z\"(:/ @]{0,3}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => "[ -~]{0,24}".prop_map(String::into_bytes),
        4 => "[!-~]{1,12}".prop_map(String::into_bytes),
        2 => prop::sample::select(vec!["0", "5", "a.example", "trailers", "100-continue", "a=1; b=2"])
            .prop_map(Vec::from),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ]
}

/// Pseudo-fields, mostly those of a request.
fn pseudo() -> impl Strategy<Value = Vec<Field>> {
    let method = prop_oneof![Just("GET".to_owned()), Just("POST".into()), "[A-Za-z!-/]{1,6}"];
    let path = prop_oneof![
        8 => "(/[a-zA-Z0-9.;,=~%-]{0,6}){1,4}(\\?[!-~]{0,12})?",
        2 => "/[ -~]{0,12}",
        1 => "[!-~]{0,12}",
    ];
    let authority = prop_oneof![Just("a.example".to_owned()), "[a-zA-Z0-9.:@\\[\\]_-]{0,12}"];
    (method, path, authority, prop::sample::select(vec!["https", "http", "ftp"])).prop_map(
        |(method, path, authority, scheme)| {
            [(":method", method), (":path", path), (":authority", authority), (":scheme", scheme.into())]
                .map(|(name, value)| (name.as_bytes().to_vec(), value.into_bytes()))
                .to_vec()
        },
    )
}

/// A request of ours, as any room may make it.
fn own_request() -> impl Strategy<Value = Request> {
    let path = "(/[a-zA-Z0-9.;,=~\\[\\]@:!$&'()*+-]{0,6}){1,4}(\\?[!\"$-~]{0,12})?";
    let field = ("[A-Za-z!#$%&'*+.^`|~0-9-]{1,12}", "[!-~]{1,4}([ -~]{0,8}[!-~])?");
    let method = prop_oneof![Just("GET"), Just("POST"), Just("M-SEARCH"), Just("patch")];
    (method, path, prop::collection::vec(field, 0..8)).prop_filter_map(
        "a target that is one",
        |(method, path, fields)| {
            let mut request = Request {
                method: Method::from_token(method),
                target: Target::parse(path.as_bytes(), RULES).ok()?,
                authority: Authority::parse(b"a.example:80").ok()?,
                version: Version::Http2,
                ..Request::default()
            };
            let fields = fields.iter().filter(|(name, _)| goes_on(name));
            fields.for_each(|(name, value)| request.headers.push(name, value.as_bytes()));
            Some(request)
        },
    )
}

/// Names in lower case, and those of one name together: their order among others means nothing.
fn in_lower_case(headers: &Headers) -> Vec<(String, Vec<u8>)> {
    let name = |field: &message::Field<'_>| String::from_utf8_lossy(field.text).to_lowercase();
    let all: Vec<_> = headers.iter().map(|field| (name(&field), field.value.to_vec())).collect();
    let mut names: Vec<&String> = Vec::new();
    all.iter().for_each(|(name, _)| {
        if !names.contains(&name) {
            names.push(name)
        }
    });
    names.iter().flat_map(|wanted| all.iter().filter(move |(name, _)| name == *wanted).cloned()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(768))]

    /// What comes out is clean, whatever came in, and the same however it was cut.
    #[test]
    fn what_comes_out_is_clean(
        pseudo in pseudo(),
        fields in prop::collection::vec((name(), value()), 0..6),
        swap in any::<(prop::sample::Index, prop::sample::Index)>(),
        swaps in prop::bool::weighted(0.2),
        ends in any::<bool>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut all: Vec<Field> = pseudo.into_iter().chain(fields).collect();
        if swaps {
            let length = all.len();
            all.swap(swap.0.index(length), swap.1.index(length));
        }
        let block: Vec<u8> = all.iter().flat_map(|(name, value)| literal(name, value)).collect();
        let bytes = headers(if ends { flag::END_STREAM } else { 0 }, 1, &block);
        let at = cut.index(bytes.len());
        let mut outcomes = Vec::new();
        for parts in [vec![&bytes[..]], vec![&bytes[..at], &bytes[at..]]] {
            let mut raw = Raw::new();
            let mut incoming = Vec::new();
            for part in parts {
                raw.send(part);
                incoming.extend(raw.run());
            }
            prop_assert!(incoming.len() <= 1);
            let mut request = Request::default();
            let read = incoming.pop().map(|mut incoming| incoming.read(&Limits::CLIENT, RULES, &mut request));
            if let Some(Ok(_)) = read {
                request_is_clean(&request);
            }
            outcomes.push((read, request, raw.ended));
        }
        prop_assert_eq!(&outcomes[0], &outcomes[1]);
    }

    /// A request that is sent on is read as the same.
    #[test]
    fn requests_survive(own in own_request()) {
        let sent = sent(Kind::Request, |encoder, out| request::write(encoder, &own, &own.authority, true, None, out));
        let mut got = Request::default();
        request::read(&sent, &Limits::UPSTREAM, RULES, &mut got).expect("ours are sound");
        prop_assert_eq!(
            (&got.method, got.target.path(), got.target.query(), &got.authority),
            (&own.method, own.target.path(), own.target.query(), &own.authority)
        );
        prop_assert_eq!(in_lower_case(&got.headers), in_lower_case(&own.headers));
    }

    /// An answer in HTTP/1.1 that is read, sent on and read again is the same, and clean.
    #[test]
    fn answers_survive(
        status in 200_u16..600,
        fields in prop::collection::vec(("[A-Za-z!#$%&'*+.^`|~0-9-]{1,12}", "[!-~]{1,4}([ -~]{0,8}[!-~])?"), 0..8),
    ) {
        let mut own = Response::new(status);
        let fields = fields.iter().filter(|(name, _)| goes_on(name));
        fields.for_each(|(name, value)| own.headers.push(name, value.as_bytes()));
        own.headers.push("Date", b"Sun, 06 Nov 1994 08:49:37 GMT");
        let sent = sent(Kind::Answer, |encoder, out| response::write(encoder, &own, None, &[b'x'; 29], out));
        let mut got = Response::default();
        response::read(&sent, &Method::Get, &Limits::UPSTREAM, &mut got).expect("ours are sound");
        prop_assert_eq!(got.status, status);
        prop_assert_eq!(in_lower_case(&got.headers), in_lower_case(&own.headers));
        response_is_clean(&got);
    }

    /// Trailers that go on are of no meaning to anybody between, and written and read again the same.
    #[test]
    fn trailers_that_pass_are_harmless(fields in prop::collection::vec((name(), value()), 0..8)) {
        let mut head = Head::default();
        head.begin(Kind::Trailers, true, usize::MAX);
        fields.iter().for_each(|(name, value)| head.add(&hpack::Field::new(name, value), false));
        let (mut once, mut twice) = (Headers::default(), Headers::default());
        fields::read_trailers(&head, Side::Client, &Limits::CLIENT, &mut once);
        let sent = sent(Kind::Trailers, |encoder, out| fields::write(encoder, &once, OF_THE_HOP, out));
        fields::read_trailers(&sent, Side::Client, &Limits::CLIENT, &mut twice);
        prop_assert_eq!(&once, &twice);
        prop_assert!(once.iter().all(|field| field.name == Name::Other && h1::head::passes_unknown(field.text, Side::Client, &Limits::CLIENT) == Ok(true)));
    }
}

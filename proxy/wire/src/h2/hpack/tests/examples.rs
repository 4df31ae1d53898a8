//! The examples of RFC 7541, Appendix C.

use super::{bytes, fields, shown, table};
use crate::h2::hpack::{Decoder, integer};

/// A block, what is in it, and what is in the table then, all as lines of `name: value`.
type Step<'a> = (&'a str, &'a str, &'a str);

/// The blocks of one connection.
#[track_caller]
fn check(steps: &[Step<'_>]) {
    let mut decoder = Decoder::new(4096);
    for (block, expected, entries) in steps {
        let found = fields(&mut decoder, &bytes(block)).map(|fields| shown(&fields));
        assert_eq!(found.as_deref(), Ok(*expected), "{block}");
        assert_eq!(shown(&table(&mut decoder)), *entries, "{block}");
    }
}

#[test]
fn integers() {
    for (value, mask, hex) in [(10, 0x1f, "0a"), (1337, 0x1f, "1f9a0a"), (42, 0xff, "2a")] {
        let mut out = Vec::new();
        integer::write(0, mask, value, &mut out);
        assert_eq!(out, bytes(hex));
        let (&first, mut rest) = out.split_first().unwrap();
        assert_eq!(integer::read(first, mask, &mut rest), Ok(value));
        assert!(rest.is_empty());
    }
}

#[test]
fn single_fields() {
    check(&[(
        "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
        "custom-key: custom-header\n",
        "custom-key: custom-header\n",
    )]);
    check(&[("040c 2f73 616d 706c 652f 7061 7468", ":path: /sample/path\n", "")]);
    check(&[("1008 7061 7373 776f 7264 0673 6563 7265 74", "password: secret\n", "")]);
    check(&[("82", ":method: GET\n", "")]);
}

/// What the requests of C.3 and C.4 are, and what is in the table after each.
const REQUESTS: [[&str; 2]; 3] = [
    [":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\n", ":authority: www.example.com\n"],
    [
        ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\ncache-control: no-cache\n",
        "cache-control: no-cache\n:authority: www.example.com\n",
    ],
    [
        ":method: GET\n:scheme: https\n:path: /index.html\n:authority: www.example.com\ncustom-key: custom-value\n",
        "custom-key: custom-value\ncache-control: no-cache\n:authority: www.example.com\n",
    ],
];

/// The same for the answers of C.5 and C.6, in a table of 256 bytes.
const ANSWERS: [[&str; 2]; 3] = [
    [
        ":status: 302\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\nlocation: https://www.example.com\n",
        "location: https://www.example.com\ndate: Mon, 21 Oct 2013 20:13:21 GMT\ncache-control: private\n:status: 302\n",
    ],
    [
        ":status: 307\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\nlocation: https://www.example.com\n",
        ":status: 307\nlocation: https://www.example.com\ndate: Mon, 21 Oct 2013 20:13:21 GMT\ncache-control: private\n",
    ],
    [
        ":status: 200\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:22 GMT\nlocation: https://www.example.com\n\
         content-encoding: gzip\nset-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1\n",
        "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1\ncontent-encoding: gzip\n\
         date: Mon, 21 Oct 2013 20:13:22 GMT\n",
    ],
];

#[track_caller]
fn check_all(blocks: [&str; 3], expected: [[&str; 2]; 3]) {
    let steps: Vec<_> =
        blocks.iter().zip(expected).map(|(block, [all, table])| (*block, all, table)).collect();
    check(&steps);
}

#[test]
fn requests() {
    check_all(
        [
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "8286 84be 5808 6e6f 2d63 6163 6865",
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        ],
        REQUESTS,
    );
}

#[test]
fn requests_in_huffmans_code() {
    check_all(
        [
            "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
            "8286 84be 5886 a8eb 1064 9cbf",
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        ],
        REQUESTS,
    );
}

// The first block of each begins with an update of the size to 256, which the RFC takes as given.

#[test]
fn answers() {
    check_all(
        [
            "3fe1 01 4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a \
             3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "4803 3330 37c1 c0bf",
            "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 \
             7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 \
             6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
        ],
        ANSWERS,
    );
}

#[test]
fn answers_in_huffmans_code() {
    check_all(
        [
            "3fe1 01 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e \
             919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
            "4883 640e ffc1 c0bf",
            "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 \
             e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
        ],
        ANSWERS,
    );
}

//! Header blocks of HTTP/2 in both directions: what a further message of a connection costs that has had some.

use message::{Headers, Name};
use wire::h2::properties::HeaderBlocks;

use crate::Case;

/// The fields of a browser's first request but its path, in Huffman's code and put into the table, as the `hpack` package of
/// Python writes them.
pub const FIRST: &str = "8287418b1d665cbe474d7415721e9f7ab5d07f66a281b0dae053fafc087ed4ce6aadf2a7979c89c6bed4b3bdc0b405c1fda988\
    a4ea76040080010054c26b0b29fcb01680b83f53991d75d0620d263d4c7441eafa5125f2962ba066abe94f963e7f51932d4b62bbf45abefb4005dd\
    fa90bf7da002ecff50929bd9abfa5242cb40d25fa523b3e94f684c9f40853d8698d57f919d29ad171861139eb5cbe474d7415721e9";

/// The same fields again, and `/orders/4711/items?page=2&sort=name`.
pub const AGAIN: &str =
    "8287c3c2c1c0bfbe04232f6f72646572732f343731312f6974656d733f706167653d3226736f72743d6e616d65";

/// A path, `referer`, `authorization`, `cookie` and `x-request-id` in Huffman's code, of 215 bytes, none of them for the table.
const CODED: &str = "049960f6485b10c34e842c1925a51fe56398b00be107b130543a4b0f249a9d29ad171861139eb5cbe474d7415721e960f6485b\
    10c34e843f1f08afba51d85b142facb3c78886d46cb8787bc81d26cafae5f597dc9cb21b51b2034fbc1e725405c82a2a8e9c2093f32d1f1f119a\
    4150831ea8001132d36e3af3e38c92165fb51339692c120ecebf0089f2b585ed6950958d2799725090056c6b35202359a200ab3e36995831bd28\
    06223b2043";

/// Bytes of hexadecimal digits.
pub fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<_> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

pub(crate) fn decode_block() -> Case {
    decoded_block("h2_decode_block", AGAIN, 9)
}

pub(crate) fn decode_coded_block() -> Case {
    decoded_block("h2_decode_coded_block", CODED, 5)
}

fn decoded_block(name: &'static str, block: &str, fields: usize) -> Case {
    let block = bytes(block);
    let mut blocks = HeaderBlocks::new();
    let first = blocks.decode(&bytes(FIRST));
    debug_assert_eq!(first, Some(8));
    Case::new(name, move || blocks.decode(&block) == Some(fields))
}

/// An answer of which all but length, tag and number were sent before.
pub(crate) fn encode_block() -> Case {
    let mut fields = Headers::default();
    for (name, value) in [
        ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("server", "floodgate"),
        ("content-type", "application/json; charset=utf-8"),
        ("content-length", "1024"),
        ("etag", "\"5f3c-9a1b2c3d\""),
        ("cache-control", "private, max-age=0"),
        ("vary", "accept-encoding"),
        ("strict-transport-security", "max-age=31536000"),
    ] {
        fields.push_known(Name::of(name.as_bytes()), name, value.as_bytes());
    }
    let mut blocks = HeaderBlocks::new();
    let mut out = Vec::new();
    Case::new("h2_encode_block", move || {
        out.clear();
        blocks.encode(200, &fields, &mut out);
        out.starts_with(b"\x88") && out.len() > 20
    })
}

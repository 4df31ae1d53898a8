//! A strict decoder: what RFC 7541 does not allow is an error with its reason.

use super::{Entry, Table, huffman};
use crate::h2::Field;

/// Decodes the blocks of one direction of a connection, one after another.
#[derive(Clone, Debug)]
pub struct Decoder {
    table: Table,
    /// What our SETTINGS allow the table to be told.
    bytes_allowed: usize,
}

/// A block from where it is read.
struct Input<'a>(&'a [u8]);

impl Decoder {
    /// The table is as large as SETTINGS_HEADER_TABLE_SIZE says.
    pub fn new(table_bytes_max: usize) -> Self {
        Self { table: Table::new(table_bytes_max), bytes_allowed: table_bytes_max }
    }

    /// Bytes in its dynamic table.
    pub fn table_bytes(&self) -> usize {
        self.table.bytes()
    }

    /// The fields of a block.
    pub fn decode(&mut self, block: &[u8]) -> Result<Vec<Entry>, String> {
        Ok(self.decode_marked(block)?.into_iter().map(|(entry, _)| entry).collect())
    }

    /// The fields of a block, and whether each is never to be indexed (RFC 7541, section 6.2.3).
    pub fn decode_marked(&mut self, block: &[u8]) -> Result<Vec<(Entry, bool)>, String> {
        let mut input = Input(block);
        let mut fields = Vec::new();
        while let Some(&first) = input.0.first() {
            if first & 0x80 != 0 {
                let index = input.integer(7)?;
                fields.push((self.entry(index)?, false));
            } else if first & 0x40 != 0 {
                let (name, value) = self.literal(&mut input, 6)?;
                self.table.insert(name.clone(), value.clone());
                fields.push(((name, value), false));
            } else if first & 0x20 != 0 {
                if !fields.is_empty() {
                    return Err("a size update behind a field (RFC 7541, 4.2)".to_owned());
                }
                let bytes = input.integer(5)?;
                if bytes > self.bytes_allowed {
                    return Err(format!(
                        "a size update to {bytes} of {} (RFC 7541, 6.3)",
                        self.bytes_allowed
                    ));
                }
                self.table.resize(bytes);
            } else {
                fields.push((self.literal(&mut input, 4)?, first & 0x10 != 0));
            }
        }
        Ok(fields)
    }

    /// The same as text.
    pub fn decode_text(&mut self, block: &[u8]) -> Result<Vec<Field>, String> {
        let text = |bytes| String::from_utf8(bytes).map_err(|error| format!("a field is not text: {error}"));
        self.decode(block)?.into_iter().map(|(name, value)| Ok((text(name)?, text(value)?))).collect()
    }

    fn entry(&self, index: usize) -> Result<Entry, String> {
        self.table.get(index).ok_or_else(|| format!("no entry {index} (RFC 7541, 2.3.3)"))
    }

    fn literal(&self, input: &mut Input<'_>, prefix_bits: u8) -> Result<Entry, String> {
        let name = match input.integer(prefix_bits)? {
            0 => input.string()?,
            index => self.entry(index)?.0,
        };
        Ok((name, input.string()?))
    }
}

impl Input<'_> {
    fn byte(&mut self) -> Result<u8, String> {
        let (&first, rest) = self.0.split_first().ok_or("a block ends within a field")?;
        self.0 = rest;
        Ok(first)
    }

    /// RFC 7541, section 5.1; more than 28 bits behind the prefix are nobody's.
    fn integer(&mut self, prefix_bits: u8) -> Result<usize, String> {
        let max = (1_usize << prefix_bits) - 1;
        let mut value = usize::from(self.byte()?) & max;
        if value < max {
            return Ok(value);
        }
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("an integer of more than four bytes".to_owned())
    }

    fn string(&mut self) -> Result<Vec<u8>, String> {
        let coded = self.0.first().is_some_and(|byte| byte & 0x80 != 0);
        let length = self.integer(7)?;
        let (text, rest) = self.0.split_at_checked(length).ok_or("a block ends within a text")?;
        self.0 = rest;
        if coded { huffman::decode(text) } else { Ok(text.to_vec()) }
    }
}

#[cfg(test)]
mod tests {
    use super::Decoder;
    use crate::h2::hpack::Block;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    /// Blocks in order, each with its fields and the bytes that the table then holds.
    #[track_caller]
    fn check(table_bytes_max: usize, blocks: &[(&str, &str, usize)]) {
        let mut decoder = Decoder::new(table_bytes_max);
        for (block, expected, table_bytes) in blocks {
            let fields = decoder.decode_text(&bytes(block)).unwrap();
            let lines: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            assert_eq!(lines.join("\n"), *expected);
            assert_eq!(decoder.table_bytes(), *table_bytes);
        }
    }

    const REQUESTS: [&str; 3] = [
        ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com",
        ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\ncache-control: no-cache",
        ":method: GET\n:scheme: https\n:path: /index.html\n:authority: www.example.com\ncustom-key: custom-value",
    ];

    /// RFC 7541, Appendix C.3 and C.4.
    #[test]
    fn requests() {
        check(
            4096,
            &[
                ("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", REQUESTS[0], 57),
                ("8286 84be 5808 6e6f 2d63 6163 6865", REQUESTS[1], 110),
                (
                    "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
                    REQUESTS[2],
                    164,
                ),
            ],
        );
        check(
            4096,
            &[
                ("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", REQUESTS[0], 57),
                ("8286 84be 5886 a8eb 1064 9cbf", REQUESTS[1], 110),
                ("8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", REQUESTS[2], 164),
            ],
        );
    }

    /// RFC 7541, Appendix C.6: a table of 256 bytes that evicts.
    #[test]
    fn responses() {
        let (date, location) = ("date: Mon, 21 Oct 2013 20:13:21 GMT", "location: https://www.example.com");
        let first = format!(":status: 302\ncache-control: private\n{date}\n{location}");
        let second = format!(":status: 307\ncache-control: private\n{date}\n{location}");
        let third = format!(
            ":status: 200\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:22 GMT\n{location}\ncontent-encoding: gzip\n\
             set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"
        );
        check(
            256,
            &[
                (
                    "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e \
                 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
                    &first,
                    222,
                ),
                ("4883 640e ffc1 c0bf", &second, 222),
                (
                    "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 \
                 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed \
                 4ee5 b106 3d50 07",
                    &third,
                    215,
                ),
            ],
        );
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for (block, problem) in [
            (Block::new().indexed(0), "no entry 0"),
            (Block::new().indexed(62), "no entry 62"),
            (Block::new().size_update(4097), "a size update to 4097"),
            (Block::new().indexed(2).size_update(0), "a size update behind"),
            (Block::new().raw([0x00, 0x05, b'a']), "a block ends"),
            (Block::new().raw([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]), "an integer"),
        ] {
            let found = Decoder::new(4096).decode(&block.bytes()).unwrap_err();
            assert!(found.starts_with(problem), "{found}");
        }
    }
}

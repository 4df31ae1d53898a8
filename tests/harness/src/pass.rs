//! A small program for XDP, as an object that ip(8) loads, for the clients' end of a cable. The driver of veth delivers what one end
//! sends out of XDP only where the other end has a program too (`veth_xdp_flush`), which no network card asks for. It passes all but
//! answers to sources of floods that nobody is at (10.66.0.0/16): a network would carry those away, and here the core that sent
//! them would have to look what to do with them.

/// Its section, as ip is told.
pub(crate) const SECTION: &str = "xdp";

/// Instructions of BPF: operation, registers (source, destination), offset, number.
const PROGRAM: [(u8, u8, i16, i32); 13] = [
    // r2 and r3 = where the frame begins and ends
    (0x61, 0x12, 0, 0),
    (0x61, 0x13, 4, 0),
    // one without an IPv4 header passes
    (0xbf, 0x24, 0, 0),
    (0x07, 0x04, 0, 34),
    (0x2d, 0x34, 6, 0),
    (0x69, 0x25, 12, 0),
    (0x55, 0x05, 4, u16::from_ne_bytes([0x08, 0x00]) as i32),
    // and so does one to somebody
    (0x69, 0x25, 30, 0),
    (0x55, 0x05, 2, u16::from_ne_bytes([10, 66]) as i32),
    // XDP_DROP
    (0xb7, 0, 0, 1),
    (0x95, 0, 0, 0),
    // XDP_PASS
    (0xb7, 0, 0, 2),
    (0x95, 0, 0, 0),
];
const LICENSE: &[u8] = b"GPL\0";
/// Names of sections and of the program; offsets into it stand in the tables below.
const NAMES: &[u8] = b"\0xdp\0license\0.symtab\0.strtab\0pass\0";

const HEADER_BYTES: u64 = 64;
const SYMBOL_BYTES: u64 = 24;
const SECTION_BYTES: u16 = 64;

/// An ELF object for BPF, as elf(5) has it.
pub(crate) fn object() -> Vec<u8> {
    let mut code = Vec::new();
    for (operation, registers, offset, number) in PROGRAM {
        code.extend([operation, registers]);
        code.extend(offset.to_le_bytes());
        code.extend(number.to_le_bytes());
    }
    // The program is a global function at the start of section 1; entry 0 is nobody.
    let mut symbols = vec![0; SYMBOL_BYTES as usize];
    symbols.extend(29_u32.to_le_bytes());
    symbols.extend([0x12, 0]);
    symbols.extend(1_u16.to_le_bytes());
    symbols.extend([0_u64, code.len() as u64].map(u64::to_le_bytes).concat());

    let bits = Section { flags: 6, alignment: 8, ..Section::new(1, 1, &code) };
    let license = Section { flags: 3, ..Section::new(5, 1, LICENSE) };
    let symbols = Section {
        link: 4,
        info: 1,
        alignment: 8,
        entry_bytes: SYMBOL_BYTES,
        ..Section::new(13, 2, &symbols)
    };
    let names = Section::new(21, 3, NAMES);
    let mut contents = Vec::new();
    let mut table = vec![0; usize::from(SECTION_BYTES)];
    for section in [bits, license, symbols, names] {
        contents.resize(contents.len().next_multiple_of(8), 0);
        table.extend(section.head(HEADER_BYTES + contents.len() as u64));
        contents.extend(section.bytes);
    }
    contents.resize(contents.len().next_multiple_of(8), 0);

    // 64 bits, little endian; relocatable, EM_BPF.
    let mut object = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    object.extend([1_u16, 247].map(u16::to_le_bytes).concat());
    object.extend(1_u32.to_le_bytes());
    object.extend([0, 0, HEADER_BYTES + contents.len() as u64].map(u64::to_le_bytes).concat());
    object.extend(0_u32.to_le_bytes());
    object.extend([HEADER_BYTES as u16, 0, 0, SECTION_BYTES, 5, 4].map(u16::to_le_bytes).concat());
    object.extend(contents);
    object.extend(table);
    object
}

struct Section<'a> {
    name: u32,
    /// 1: bits of the program, 2: symbols, 3: strings.
    kind: u32,
    /// 1: may be written, 2: is loaded, 4: is code.
    flags: u64,
    bytes: &'a [u8],
    link: u32,
    info: u32,
    alignment: u64,
    entry_bytes: u64,
}

impl<'a> Section<'a> {
    fn new(name: u32, kind: u32, bytes: &'a [u8]) -> Self {
        Self { name, kind, flags: 0, bytes, link: 0, info: 0, alignment: 1, entry_bytes: 0 }
    }

    /// Its line in the table.
    fn head(&self, at: u64) -> Vec<u8> {
        let mut head = [self.name, self.kind].map(u32::to_le_bytes).concat();
        head.extend([self.flags, 0, at, self.bytes.len() as u64].map(u64::to_le_bytes).concat());
        head.extend([self.link, self.info].map(u32::to_le_bytes).concat());
        head.extend([self.alignment, self.entry_bytes].map(u64::to_le_bytes).concat());
        head
    }
}

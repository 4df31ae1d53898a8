//! What of a frame is read.

use gate::{Parsed, parse};

use crate::frames::{Bare, Frame, SYN, address};

/// `T`: a segment of TCP for port 443, `o`: another thing, `u`: not parsed, `m`: malformed.
#[track_caller]
fn check(frame: &[u8], expected: char) {
    let found = match parse(&frame) {
        Parsed::Segment(segment) => {
            assert_eq!((segment.port, segment.source_port), (443, 40_000));
            assert_eq!(frame[usize::from(segment.tcp_at)..][..2], 40_000u16.to_be_bytes());
            'T'
        }
        Parsed::Other => 'o',
        Parsed::Unparsed => 'u',
        Parsed::Malformed => 'm',
    };
    assert_eq!(found, expected, "{frame:02x?}");
}

fn v4() -> Frame {
    Frame::syn("198.51.100.7", 443)
}

fn v6() -> Frame {
    Frame::syn("2001:db8::7", 443)
}

#[test]
fn tags_are_looked_behind_up_to_two() {
    for tags in [vec![], vec![0x8100], vec![0x88a8], vec![0x88a8, 0x8100], vec![0x8100, 0x8100]] {
        check(&Frame { tags: tags.clone(), ..v4() }.bytes(), 'T');
        check(&Frame { tags, ..v6() }.bytes(), 'T');
    }
    check(&Frame { tags: vec![0x88a8, 0x8100, 0x8100], ..v4() }.bytes(), 'u');
    check(&Frame { tags: vec![0x9100], ..v4() }.bytes(), 'o');
}

/// The same as behind Ethernet, but for where it lies; whatever a tag would be is none here.
#[test]
fn packets_of_a_tunnel_begin_with_ip() {
    let frames = [
        v4(),
        Frame { options: 10, ..v4() },
        Frame { fragment: Some((1, true)), ..v4() },
        v6(),
        Frame { extensions: vec![(0, 0), (60, 3)], ..v6() },
        Frame { protocol: 17, ..v6() },
    ];
    for frame in frames.map(|frame| frame.bytes()) {
        let (framed, bare) = (parse(&frame.as_slice()), parse(&Bare(&frame[14..])));
        match (framed, bare) {
            (Parsed::Segment(framed), Parsed::Segment(bare)) => {
                assert_eq!((framed.ip_at - 14, framed.tcp_at - 14), (bare.ip_at, bare.tcp_at));
                assert_eq!(
                    gate::Segment { ip_at: 0, tcp_at: 0, ..framed },
                    gate::Segment { ip_at: 0, tcp_at: 0, ..bare }
                );
            }
            _ => assert_eq!(framed, bare),
        }
        for end in 0..20 {
            assert_eq!(parse(&Bare(&frame[14..14 + end])), Parsed::Unparsed, "{end}");
        }
    }
    for first in [0x00, 0x35, 0x55, 0x70, 0xff] {
        assert_eq!(parse(&Bare(&[first; 64])), Parsed::Other);
    }
}

#[test]
fn ipv4() {
    for options in 0..=10 {
        check(&Frame { options, ..v4() }.bytes(), 'T');
    }
    check(&Frame { protocol: 17, ..v4() }.bytes(), 'o');
    // The first fragment has the ports, the others don't.
    check(&Frame { fragment: Some((0, true)), ..v4() }.bytes(), 'T');
    check(&Frame { fragment: Some((1, true)), ..v4() }.bytes(), 'u');
    check(&Frame { fragment: Some((0x1fff, false)), ..v4() }.bytes(), 'u');
    for words in 0..5 {
        let mut frame = v4().bytes();
        frame[14] = 0x40 | words;
        check(&frame, 'm');
    }
}

#[test]
fn ipv6() {
    for protocol in [0, 43, 60, 51] {
        for length in [0, 1, 2, 255] {
            check(&Frame { extensions: vec![(protocol, length)], ..v6() }.bytes(), 'T');
        }
        check(&Frame { extensions: vec![(protocol, 0); 6], ..v6() }.bytes(), 'T');
        check(&Frame { extensions: vec![(protocol, 0); 7], ..v6() }.bytes(), 'u');
    }
    check(&Frame { extensions: vec![(60, 255); 6], ..v6() }.bytes(), 'T');
    check(&Frame { fragment: Some((0, true)), ..v6() }.bytes(), 'T');
    check(&Frame { fragment: Some((1, true)), ..v6() }.bytes(), 'u');
    check(&Frame { fragment: Some((0x1fff, false)), ..v6() }.bytes(), 'u');
    check(&Frame { extensions: vec![(50, 0)], ..v6() }.bytes(), 'o');
    check(&Frame { protocol: 17, ..v6() }.bytes(), 'o');
    check(&Frame { protocol: 59, ..v6() }.bytes(), 'o');
}

/// A frame that ends anywhere before TCP's fixed header does.
#[test]
fn what_is_cut_is_not_parsed() {
    let frames = [
        v4(),
        v6(),
        Frame { tags: vec![0x88a8, 0x8100], options: 10, ..v4() },
        Frame { extensions: vec![(0, 3); 6], ..v6() },
    ];
    for frame in frames {
        // Without options, so that the fixed header ends with the frame.
        let whole = Frame { offset: 5, ..frame }.bytes();
        for bytes in 0..whole.len() {
            check(&whole[..bytes], 'u');
        }
        check(&whole, 'T');
    }
}

#[test]
fn a_syn_asks_for_a_connection_and_nothing_else() {
    for flags in 0..=255u8 {
        let frame = Frame { flags, ..v4() }.bytes();
        let Parsed::Segment(segment) = parse(&frame.as_slice()) else { panic!("{flags}") };
        assert_eq!(segment.is_syn(), flags & 0x17 == SYN, "{flags:#x}");
        assert!(!segment.is_malformed());
    }
    for offset in 0..=15 {
        let frame = Frame { offset, ..v4() }.bytes();
        let Parsed::Segment(segment) = parse(&frame.as_slice()) else { panic!("{offset}") };
        assert_eq!(segment.is_malformed(), offset < 5);
    }
}

#[test]
fn addresses_are_those_of_the_tables() {
    for text in ["198.51.100.7", "2001:db8:1:2:3:4:5:6"] {
        let frame = Frame::syn(text, 443).bytes();
        let Parsed::Segment(segment) = parse(&frame.as_slice()) else { panic!("{text}") };
        assert_eq!(segment.source.address(), address(text));
        assert_eq!(segment.source, gate::Place::new(address(text)));
        assert_eq!(segment.source.is_v4(), text.contains('.'));
    }
}

#[test]
fn loopback_is_what_it_is_everywhere() {
    let check = |text: &str, expected: bool| {
        assert_eq!(gate::Place::new(address(text)).is_loopback(), expected, "{text}")
    };
    for text in ["127.0.0.1", "127.0.0.0", "127.255.255.255", "::1"] {
        check(text, true);
    }
    for text in ["126.255.255.255", "128.0.0.0", "::", "::2", "1::1", "::127.0.0.1", "::1:7f00:1"] {
        check(text, false);
    }
}

#[test]
fn a_prefix_is_its_first_bits() {
    let whole = u128::from_be_bytes(address("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"));
    for bits in 0..=255u8 {
        let mask = if bits == 0 { 0 } else { u128::MAX << (128 - u32::from(bits.min(128))) };
        let found = gate::Place::new(whole.to_be_bytes()).prefix(bits).address();
        assert_eq!(found, (whole & mask).to_be_bytes(), "{bits}");
    }
}

/// Of 4,096 neighbours no bucket of 1,024 has many; of one `/64` all are in the same.
#[test]
fn sources_spread_over_the_buckets() {
    let mut counts = vec![0u32; 1024];
    for host in 0..4096u32 {
        counts[gate::Place::v4(0x0a00_0000 + host).bucket() as usize] += 1;
    }
    assert!(counts.iter().all(|count| *count <= 16), "{:?}", counts.iter().max());
    assert!(counts.iter().filter(|count| **count > 0).count() > 900);
    let bucket = |text: &str| gate::Place::new(address(text)).bucket();
    assert_eq!(bucket("2001:db8::1"), bucket("2001:db8::ffff:ffff:ffff:ffff"));
    assert_ne!(bucket("2001:db8::1"), bucket("2001:db8:0:1::1"));
}

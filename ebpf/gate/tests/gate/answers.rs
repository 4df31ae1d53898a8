//! The SYN-ACK that stands for the kernel's.

use gate::{Parsed, answer, parse};

use crate::frames::{Frame, checksum, tcp_checksum};

fn words<const N: usize>(bytes: &[u8]) -> [u32; N] {
    std::array::from_fn(|word| u32::from_ne_bytes(bytes[word * 4..][..4].try_into().unwrap()))
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// It goes back where the SYN came from, acknowledges it, and its checksums hold.
#[track_caller]
fn check(source: &str, cookie: u32, mss: u16) {
    let frame = Frame::syn(source, 443).bytes();
    let Parsed::Segment(syn) = parse(&frame.as_slice()) else { panic!("no segment") };
    let (ip, tcp) = (&frame[14..], &frame[usize::from(syn.tcp_at)..]);
    let out = if syn.source.is_v4() {
        let mut out = [0; answer::V4_WORDS];
        answer::v4(&words(ip), &words(tcp), cookie, mss, &mut out);
        let out = bytes(&out);
        assert_eq!(checksum(&out[..20], 0), 0);
        assert_eq!(usize::from(u16::from_be_bytes([out[2], out[3]])), out.len());
        out
    } else {
        let mut out = [0; answer::V6_WORDS];
        answer::v6(&words(ip), &words(tcp), cookie, mss, &mut out);
        let out = bytes(&out);
        assert_eq!(usize::from(u16::from_be_bytes([out[4], out[5]])), out.len() - 40);
        out
    };
    let answered = [&frame[..14], &out].concat();
    let Parsed::Segment(back) = parse(&answered.as_slice()) else { panic!("{answered:02x?}") };
    assert_eq!((back.source, back.destination), (syn.destination, syn.source));
    assert_eq!((back.source_port, back.port), (443, 40_000));
    assert_eq!((back.flags, back.header_bytes), (18, 24));
    let tcp = &answered[usize::from(back.tcp_at)..];
    assert_eq!(tcp_checksum(&back.source.address(), &back.destination.address(), tcp), 0);
    assert_eq!(tcp[4..8], cookie.to_be_bytes());
    assert_eq!(tcp[8..12], 1001u32.to_be_bytes());
    assert_eq!(tcp[20..24], [2, 4, (mss >> 8) as u8, mss as u8]);
}

#[test]
fn it_goes_back_with_the_cookie() {
    for source in [
        "198.51.100.7",
        "255.255.255.254",
        "0.0.0.1",
        "2001:db8::7",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ] {
        for cookie in [0, 1, 0xdead_beef, u32::MAX] {
            for mss in [536, 1300, 1440, 1460] {
                check(source, cookie, mss);
            }
        }
    }
}

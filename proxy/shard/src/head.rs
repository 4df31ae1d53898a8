//! Reading a head that may come in pieces. The usual head is decoded where it was received; one in pieces is gathered
//! first, and only as far as the head goes, so that what follows it stays in the queue.

/// Feeds a run of received bytes to `decode`, which answers how long the head was. Says how many of the received bytes
/// belong to the head, and what came of it; `None` while more must come. `memory` makes the buffer when it is
/// needed first.
pub(crate) fn gather<T, E>(
    received: &[u8],
    buffer: &mut Vec<u8>,
    memory: impl FnOnce() -> Vec<u8>,
    head_bytes_max: usize,
    mut decode: impl FnMut(&[u8]) -> Result<Option<(usize, T)>, E>,
) -> (usize, Result<Option<T>, E>) {
    if buffer.is_empty() {
        match decode(received) {
            Ok(Some((bytes, decoded))) => return (bytes, Ok(Some(decoded))),
            Ok(None) => {}
            Err(error) => return (received.len(), Err(error)),
        }
        if buffer.capacity() == 0 {
            *buffer = memory();
        }
    }
    // The decoder is offered all of it each time: what is wrong is refused at once however it is cut, and looking at a
    // head anew costs less than the read that brought more of it.
    let before = buffer.len();
    let room = (head_bytes_max + 1).saturating_sub(before).min(received.len());
    buffer.extend_from_slice(&received[..room]);
    match decode(buffer) {
        Ok(Some((bytes, decoded))) => (bytes.saturating_sub(before), Ok(Some(decoded))),
        Ok(None) => (room, Ok(None)),
        Err(error) => (received.len(), Err(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: &[u8] = b"\r\n\r\n";

    /// A head is everything up to the first empty line; `!` in it is an error.
    fn decode(input: &[u8]) -> Result<Option<(usize, Vec<u8>)>, &'static str> {
        if input.contains(&b'!') {
            return Err("bad");
        }
        let end = input.windows(END.len()).position(|window| window == END);
        Ok(end.map(|at| (at + END.len(), input[..at].to_vec())))
    }

    /// Feeds `input` in runs of `step` bytes; what is not taken is offered again before the next run.
    fn read(input: &[u8], step: usize) -> (Option<Vec<u8>>, usize) {
        let (mut buffer, mut taken, mut offered) = (Vec::new(), 0, 0);
        while offered < input.len() {
            offered = (offered + step).min(input.len());
            while taken < offered {
                let (bytes, decoded) = gather(&input[taken..offered], &mut buffer, Vec::new, 64, decode);
                taken += bytes;
                if let Some(head) = decoded.unwrap() {
                    return (Some(head), taken);
                }
            }
        }
        (None, taken)
    }

    #[test]
    fn however_it_is_cut_the_head_is_the_same_and_what_follows_stays() {
        let input = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody follows\r\n\r\n";
        for step in 1..=input.len() {
            assert_eq!(read(input, step), (Some(b"GET / HTTP/1.1\r\nHost: a".to_vec()), 27), "{step}");
        }
    }

    #[test]
    fn a_head_in_pieces_fails_as_a_whole_one_does() {
        let mut buffer = Vec::new();
        assert_eq!(gather(b"GET ", &mut buffer, Vec::new, 64, decode), (4, Ok(None)));
        assert_eq!(gather(b"!\r\n\r\n", &mut buffer, Vec::new, 64, decode), (5, Err("bad")));
    }
}

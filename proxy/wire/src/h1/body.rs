//! Bodies of requests and responses as they come (RFC 9112 §6.3, §7.1): tells data from framing, byte by byte strict,
//! and holds nothing but a few counters.

use message::octets;

use super::BodyLength;
use crate::Error;
use crate::limits::{
    CHUNK_DIGITS_MAX, CHUNK_OVERHEAD_FREE_BYTES, CHUNK_OVERHEAD_RATIO_MAX, TRAILER_BYTES_MAX,
};

/// Reads one body. Framing is read over, trailers are checked and dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyDecoder {
    state: State,
    /// Bytes of chunk framing so far.
    framing_bytes: u64,
    /// Bytes of chunk data so far.
    data_bytes: u64,
    /// Bytes of the trailer section so far.
    trailer_bytes: u64,
}

/// What one call found at the beginning of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Bytes of the input that are dealt with: framing before the data, and the data.
    pub consumed: usize,
    /// The next bytes of the body; at most one run of them.
    pub data: &'a [u8],
    /// Whether the body ends here. What follows in the input is not its own.
    pub done: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Done,
    UntilClose,
    /// So many bytes of a body of known length are left.
    Known(u64),
    /// Within a chunk's size; so many digits were read.
    Size {
        size: u64,
        digits: u8,
    },
    /// After the CR of a chunk's size.
    SizeLf(u64),
    /// So many bytes of a chunk are left.
    Data(u64),
    /// After the data of a chunk.
    DataCr,
    DataLf,
    /// At the beginning of a line of the trailer section.
    TrailerLine,
    TrailerName,
    TrailerValue,
    TrailerLf,
    /// After the CR of the empty line that ends the body.
    EndLf,
}

impl BodyDecoder {
    /// For a body of that length.
    pub fn new(length: BodyLength) -> Self {
        let state = match length {
            BodyLength::None | BodyLength::Known(0) => State::Done,
            BodyLength::Known(bytes) => State::Known(bytes),
            BodyLength::Chunked => State::Size { size: 0, digits: 0 },
            BodyLength::UntilClose => State::UntilClose,
        };
        Self { state, framing_bytes: 0, data_bytes: 0, trailer_bytes: 0 }
    }

    /// Reads on. One call returns at most one run of data: call again with what was not consumed, for as long as
    /// something is consumed and the body is not done. After an error the decoder is of no more use.
    pub fn decode<'a>(&mut self, input: &'a [u8]) -> Result<Piece<'a>, Error> {
        let mut at = 0;
        loop {
            let left = match &mut self.state {
                State::Done => return Ok(Piece { consumed: at, data: &[], done: true }),
                State::UntilClose => return Ok(Piece { consumed: input.len(), data: input, done: false }),
                State::Known(left) | State::Data(left) => left,
                _ => {
                    let Some(&byte) = input.get(at) else {
                        return Ok(Piece { consumed: at, data: &[], done: false });
                    };
                    self.step(byte)?;
                    at += 1;
                    continue;
                }
            };
            let rest = &input[at..];
            let data = &rest[..usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()))];
            *left -= data.len() as u64;
            self.data_bytes = self.data_bytes.saturating_add(data.len() as u64);
            self.state = match self.state {
                State::Known(0) => State::Done,
                State::Data(0) => State::DataCr,
                state => state,
            };
            return Ok(Piece { consumed: at + data.len(), data, done: self.is_done() });
        }
    }

    /// Whether the body has ended. One that ends with its connection does so by [`BodyDecoder::at_eof`] only.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes note that the peer sends no more.
    pub fn at_eof(&mut self) -> Result<(), Error> {
        match self.state {
            State::Done | State::UntilClose => {
                self.state = State::Done;
                Ok(())
            }
            _ => Err(Error::Cut),
        }
    }

    /// Takes one byte of framing.
    fn step(&mut self, byte: u8) -> Result<(), Error> {
        self.state = match self.state {
            State::Size { size, digits } => match (byte, char::from(byte).to_digit(16)) {
                (_, Some(_)) if digits == CHUNK_DIGITS_MAX => {
                    return Err(Error::ChunkSizeTooLong { max: CHUNK_DIGITS_MAX });
                }
                // At most sixteen digits: the shift loses nothing.
                (_, Some(digit)) => State::Size { size: size << 4 | u64::from(digit), digits: digits + 1 },
                (b'\r', None) if digits > 0 => {
                    self.count_framing(digits)?;
                    State::SizeLf(size)
                }
                (b';', None) if digits > 0 => return Err(Error::ChunkExtension),
                _ => return Err(Error::BadChunkSize),
            },
            State::SizeLf(size) => match (byte, size) {
                (b'\n', 0) => State::TrailerLine,
                (b'\n', size) => State::Data(size),
                _ => return Err(Error::BadChunkSize),
            },
            State::DataCr if byte == b'\r' => State::DataLf,
            State::DataLf if byte == b'\n' => State::Size { size: 0, digits: 0 },
            State::DataCr | State::DataLf => return Err(Error::BadChunkEnd),
            state => self.step_trailer(state, byte)?,
        };
        Ok(())
    }

    /// Takes one byte after the last chunk.
    fn step_trailer(&mut self, state: State, byte: u8) -> Result<State, Error> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > TRAILER_BYTES_MAX {
            return Err(Error::TrailerTooLong { max: TRAILER_BYTES_MAX });
        }
        match (state, byte) {
            (State::TrailerLine, b'\r') => Ok(State::EndLf),
            (State::EndLf, b'\n') => Ok(State::Done),
            (State::TrailerLine | State::TrailerName, _) if octets::is_token_byte(byte) => {
                Ok(State::TrailerName)
            }
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerValue, b'\r') => Ok(State::TrailerLf),
            (State::TrailerValue, _) if octets::is_value_byte(byte) => Ok(State::TrailerValue),
            (State::TrailerLf, b'\n') => Ok(State::TrailerLine),
            _ => Err(Error::BadTrailer),
        }
    }

    /// Counts the framing of a chunk, its size and two line ends, once those before it are found in proportion.
    fn count_framing(&mut self, digits: u8) -> Result<(), Error> {
        let bound = self.data_bytes.saturating_mul(CHUNK_OVERHEAD_RATIO_MAX).max(CHUNK_OVERHEAD_FREE_BYTES);
        if self.framing_bytes > bound {
            return Err(Error::ChunkOverhead { max: CHUNK_OVERHEAD_RATIO_MAX });
        }
        self.framing_bytes = self.framing_bytes.saturating_add(u64::from(digits) + 4);
        Ok(())
    }
}

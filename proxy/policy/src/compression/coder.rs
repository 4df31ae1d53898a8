//! Compressing and decompressing a body that is at hand, a slice at a time: whoever does it can let others have their turn
//! in between. The format is zlib's (flate2, zlib-rs).

use flate2::{Compress, Compression as Level, Decompress, FlushCompress, FlushDecompress, Status};

use super::Coding;

/// What a step takes of what is to be compressed: a millisecond or so of zlib at level 6.
const SLICE_IN_BYTES: usize = 32 << 10;
/// What a step adds to what was decompressed at most.
const SLICE_OUT_BYTES: usize = 128 << 10;
/// The window, as large as the formats have it.
const WINDOW_BITS: u8 = 15;
/// zlib's own default.
const LEVEL: u32 = 6;
/// Room grows with what comes, up to here: to move what is longer would take too long. For that there is room at once.
const MOVED_BYTES_MAX: usize = 256 << 10;
/// So much room at once, and no more.
const ROOM_BYTES_MAX: usize = 16 << 20;
/// Members of a gzip file, of which there may be several (RFC 1952 §2.2); those of who cuts a file are few.
const MEMBERS_MAX: u32 = 64;
/// The state of a coder in memory, at most: windows, hash chains, pending output (zlib-rs: 268 KiB, and its own).
pub const STATE_BYTES: usize = 320 << 10;

/// Why a body can't be decompressed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not what its coding says, or was cut.
    #[error("the body is not what its content coding says")]
    Malformed,
    /// It comes to more than is wanted.
    #[error("the body comes to more than {max} bytes")]
    TooLarge {
        /// In bytes.
        max: u64,
    },
}

/// How far a coder has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is more to do.
    More,
    /// All is done.
    Done,
}

/// What was used once and can be used again: state that is costly to make.
#[derive(Debug, Default)]
pub struct Spare {
    gzip: Option<Box<Compress>>,
    deflate: Option<Box<Compress>>,
    /// Since [`Spare::trim`] was called last.
    is_used: bool,
}

impl Spare {
    /// Frees what has not been needed since this was called last; whether there is any left.
    pub fn trim(&mut self) -> bool {
        if !std::mem::take(&mut self.is_used) {
            *self = Self::default();
        }
        self.gzip.is_some() || self.deflate.is_some()
    }
}

/// A body under way.
#[derive(Debug)]
pub struct Coder {
    engine: Engine,
    /// Bytes of the input that are done with.
    taken: usize,
    out: Vec<u8>,
    out_bytes_max: u64,
}

#[derive(Debug)]
enum Engine {
    Compress(Coding, Box<Compress>),
    Gunzip {
        inflate: Box<Decompress>,
        members: u32,
    },
    /// It is seen by the first bytes which of two formats this is: zlib's, as it should be, or none around it, as some
    /// clients send it (RFC 9110 §8.4.1.2).
    Inflate(Option<Box<Decompress>>),
}

impl Coder {
    /// Compresses.
    pub fn compress(coding: Coding, spare: &mut Spare) -> Self {
        let kept = match coding {
            Coding::Gzip => spare.gzip.take(),
            Coding::Deflate => spare.deflate.take(),
        };
        let compress = kept.unwrap_or_else(|| {
            Box::new(match coding {
                Coding::Gzip => Compress::new_gzip(Level::new(LEVEL), WINDOW_BITS),
                Coding::Deflate => Compress::new(Level::new(LEVEL), true),
            })
        });
        Self {
            engine: Engine::Compress(coding, compress),
            taken: 0,
            out: Vec::new(),
            out_bytes_max: u64::MAX,
        }
    }

    /// Decompresses to so many bytes at most.
    pub fn decompress(coding: Coding, out_bytes_max: u64) -> Self {
        let engine = match coding {
            Coding::Gzip => {
                Engine::Gunzip { inflate: Box::new(Decompress::new_gzip(WINDOW_BITS)), members: 1 }
            }
            Coding::Deflate => Engine::Inflate(None),
        };
        Self { engine, taken: 0, out: Vec::new(), out_bytes_max }
    }

    /// Does a slice of the work; the input is the same each time.
    pub fn step(&mut self, input: &[u8]) -> Result<Step, Error> {
        match &mut self.engine {
            Engine::Compress(_, compress) => {
                deflate(compress, input, &mut self.taken, &mut self.out).ok_or(Error::Malformed)
            }
            Engine::Gunzip { inflate, members } => {
                let step = inflated(inflate, input, &mut self.taken, &mut self.out, self.out_bytes_max)?;
                if step == Step::More || self.taken == input.len() {
                    return Ok(step);
                }
                if *members == MEMBERS_MAX {
                    return Err(Error::Malformed);
                }
                *members += 1;
                **inflate = Decompress::new_gzip(WINDOW_BITS);
                Ok(Step::More)
            }
            Engine::Inflate(inflate) => {
                let inflate = inflate.get_or_insert_with(|| Box::new(Decompress::new(is_zlib(input))));
                let step = inflated(inflate, input, &mut self.taken, &mut self.out, self.out_bytes_max)?;
                if step == Step::Done && self.taken < input.len() {
                    return Err(Error::Malformed);
                }
                Ok(step)
            }
        }
    }

    /// Bytes that have come of it so far.
    pub fn out_bytes(&self) -> usize {
        self.out.len()
    }

    /// What has come of it; what can be used again is kept.
    pub fn finish(self, spare: &mut Spare) -> Vec<u8> {
        if let Engine::Compress(coding, mut compress) = self.engine {
            compress.reset();
            spare.is_used = true;
            match coding {
                Coding::Gzip => spare.gzip = Some(compress),
                Coding::Deflate => spare.deflate = Some(compress),
            }
        }
        self.out
    }
}

/// The two bytes that a zlib stream begins with (RFC 1950 §2.2).
fn is_zlib(input: &[u8]) -> bool {
    matches!(input, [cmf, flg, ..] if cmf & 15 == 8 && (u16::from(*cmf) << 8 | u16::from(*flg)) % 31 == 0)
}

/// `None` is a fault of the engine's own, of which there is none for a state that was begun well.
fn deflate(compress: &mut Compress, input: &[u8], taken: &mut usize, out: &mut Vec<u8>) -> Option<Step> {
    if out.capacity() == 0 {
        // What is short is mostly text; what is not would be moved when it grows.
        let is_short = input.len() <= MOVED_BYTES_MAX;
        out.reserve_exact(if is_short { input.len() / 3 } else { input.len() + input.len() / 1_000 } + 64);
    }
    let end = input.len().min(taken.saturating_add(SLICE_IN_BYTES));
    let flush = if end == input.len() { FlushCompress::Finish } else { FlushCompress::None };
    loop {
        if out.capacity() == out.len() {
            out.reserve(SLICE_IN_BYTES / 8);
        }
        let before = compress.total_in();
        let status = compress.compress_vec(input.get(*taken..end)?, out, flush).ok()?;
        *taken += usize::try_from(compress.total_in() - before).ok()?;
        match status {
            Status::StreamEnd => return Some(Step::Done),
            Status::Ok | Status::BufError if *taken == end && end < input.len() => return Some(Step::More),
            // There is more to be written than there was room for.
            Status::Ok | Status::BufError => {}
        }
    }
}

fn inflated(
    inflate: &mut Decompress,
    input: &[u8],
    taken: &mut usize,
    out: &mut Vec<u8>,
    out_bytes_max: u64,
) -> Result<Step, Error> {
    let rest = input.get(*taken..).unwrap_or_default();
    let room = SLICE_OUT_BYTES.min(rest.len().saturating_mul(8).max(1 << 10));
    let before = out.len();
    if before + room > MOVED_BYTES_MAX && before + room > out.capacity() {
        let all = usize::try_from(out_bytes_max).unwrap_or(usize::MAX).min(ROOM_BYTES_MAX);
        out.reserve_exact(all.saturating_sub(before).max(room));
    }
    out.resize(before + room, 0);
    // However little comes of it: what is taken in one step is bounded too.
    let rest = rest.get(..SLICE_OUT_BYTES).unwrap_or(rest);
    let (in_before, out_before) = (inflate.total_in(), inflate.total_out());
    let status = inflate.decompress(rest, out.get_mut(before..).unwrap_or_default(), FlushDecompress::None);
    let consumed = usize::try_from(inflate.total_in() - in_before).unwrap_or(rest.len());
    let written = usize::try_from(inflate.total_out() - out_before).unwrap_or(room);
    out.truncate(before + written);
    *taken += consumed;
    if out.len() as u64 > out_bytes_max {
        return Err(Error::TooLarge { max: out_bytes_max });
    }
    match status {
        Ok(Status::StreamEnd) => Ok(Step::Done),
        // It had room and something to read, or had read all: it was cut.
        Ok(_) if consumed == 0 && written == 0 => Err(Error::Malformed),
        Ok(_) => Ok(Step::More),
        Err(_) => Err(Error::Malformed),
    }
}

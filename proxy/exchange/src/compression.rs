//! Compressing and decompressing bodies that are whole, a slice at a time: others have their turn between two. What is
//! coded, and for whom, `policy::compression` has decided.

use message::{Body, Reason, Request, Response};
use policy::compression::{self, Coder, Coding, Error, STATE_BYTES, Step, Wanted};

use crate::Core;

/// Puts a request's whole body as it was before its sender coded it.
pub(super) async fn decode<C: Core>(
    core: &C,
    request: &mut Request,
    coding: Coding,
    bytes_max: u64,
) -> Result<(), Reason> {
    let Body::Whole(coded) = &request.body else { return Ok(()) };
    if coded.is_empty() {
        return Ok(());
    }
    let coder = Coder::decompress(coding, bytes_max);
    let body = run(core, coder, coded).await.map_err(|stopped| match stopped {
        Stopped::By(Error::Malformed) => Reason::BodyMalformed,
        Stopped::By(Error::TooLarge { max }) => Reason::BodyTooLarge { max },
        Stopped::NoRoom => Reason::Overloaded,
    })?;
    request.body = Body::Whole(body.into());
    Ok(())
}

/// Codes a response as its client likes it, if it is one to be coded. Where there is no memory for that it stays as it is.
pub(super) async fn encode<C: Core>(core: &C, wanted: &Wanted, response: &mut Response) {
    let coding = wanted.coding_of(response);
    wanted.mark(response);
    let (Some(coding), Body::Whole(plain)) = (coding, &response.body) else { return };
    let coder = core.decide(|lent| Coder::compress(coding, &mut lent.spare.coders));
    if let Ok(body) = run(core, coder, plain).await {
        compression::replace(response, coding, body.into());
    }
}

/// Why a body is not coded.
enum Stopped {
    By(Error),
    /// There is no memory for it.
    NoRoom,
}

async fn run<C: Core>(core: &C, mut coder: Coder, input: &[u8]) -> Result<Vec<u8>, Stopped> {
    let mut is_waiting = false;
    let stopped = loop {
        let before = coder.out_bytes();
        let step = coder.step(input);
        if !core.hold(coder.out_bytes() - before) {
            break Some(Stopped::NoRoom);
        }
        match step {
            Ok(Step::Done) => break None,
            Ok(Step::More) => {}
            Err(error) => break Some(Stopped::By(error)),
        }
        // A coder that waits for its next turn is one of many.
        if !is_waiting && !core.hold(STATE_BYTES) {
            break Some(Stopped::NoRoom);
        }
        is_waiting = true;
        core.pause().await;
    };
    if is_waiting {
        core.let_go(STATE_BYTES);
    }
    let coded = core.decide(|lent| coder.finish(&mut lent.spare.coders));
    stopped.map_or(Ok(coded), Err)
}

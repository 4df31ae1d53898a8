//! Which protocol a test runs over: it is written once, and whoever makes two tests of it says with which protocol its
//! gateways are asked, and with which they ask its backends.

use std::cell::Cell;

/// A version of HTTP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2, of prior knowledge or by ALPN.
    Http2,
}

/// What is spoken on either side of the gateways of a test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Over {
    /// By [`crate::Client`], and by curl.
    pub clients: Protocol,
    /// By [`crate::Origin`]; gateways are told so.
    pub backends: Protocol,
}

impl Protocol {
    /// As `$context.protocol` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2.0",
        }
    }

    /// With which curl speaks it and no other.
    pub fn curl_flag(self) -> &'static str {
        match self {
            Self::Http1 => "--http1.1",
            Self::Http2 => "--http2-prior-knowledge",
        }
    }

    /// As curl shows it.
    pub fn curl_name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

thread_local! {
    // A test has a thread of its own; what it starts on others it makes on its own first.
    static OVER: Cell<Over> = const { Cell::new(Over { clients: Protocol::Http1, backends: Protocol::Http1 }) };
}

/// Runs a test over these.
pub fn run_over(over: Over, test: impl FnOnce()) {
    /// Also when the test fails.
    struct Back(Over);
    impl Drop for Back {
        fn drop(&mut self) {
            OVER.set(self.0);
        }
    }
    let _back = Back(OVER.replace(over));
    test();
}

/// What the running test runs over; HTTP/1.1 on both sides where nothing was said.
pub fn over() -> Over {
    OVER.get()
}

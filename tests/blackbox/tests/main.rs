//! The binary from outside, one linked test binary. `FLOODGATE_BIN` is the gateway, `FLOODGATE_DRIVER` how it asks the
//! kernel. What measures lives in `measured`, so that it can run alone.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

/// Makes two tests of each function: its clients speak HTTP/1.1, or HTTP/2. Which tests run over one alone, `alone` says.
macro_rules! over_both {
    ($($name:ident)*) => {
        over! { http1, Http1 to Http1: $($name)* }
        over! { http2, Http2 to Http1: $($name)* }
    };
}

/// Makes four: the same, and with backends that are spoken to in HTTP/2.
macro_rules! over_all {
    ($($name:ident)*) => {
        over_both! { $($name)* }
        over! { http1_to_http2, Http1 to Http2: $($name)* }
        over! { http2_to_http2, Http2 to Http2: $($name)* }
    };
}

/// Makes one test of each function, of whose clients and backends it is said what they speak.
macro_rules! over {
    ($module:ident, $clients:ident to $backends:ident: $($name:ident)*) => {
        mod $module {
            const OVER: harness::Over =
                harness::Over { clients: harness::Protocol::$clients, backends: harness::Protocol::$backends };
            $(#[test] fn $name() { harness::run_over(OVER, super::$name); })*
        }
    };
}

mod addresses;
mod admin;
mod alone;
mod backends;
mod cache;
mod cache_suite;
mod care;
mod confined;
mod deadlines;
mod deployments;
mod errors;
mod examples;
mod explain;
mod files;
mod framing;
mod front_line;
mod h2;
mod hostile;
mod last_good;
mod manager;
mod measured;
mod memory;
mod openapi;
mod payload;
mod pressure;
mod progress;
mod proxying;
mod reload;
mod scenarios;
mod shared_cache;
mod shipped;
mod start;
mod stop;
mod syscalls;
mod templates;
mod tls;
mod upgrade;
mod watch;

/// Ends what goes on until it is over, also when a test fails: a thread that goes on would keep it from failing.
struct EndsWith<'a>(&'a std::sync::atomic::AtomicBool);

impl Drop for EndsWith<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

/// A route for everything, to this backend.
fn everything(url: &str) -> String {
    format!("[[route]]\nmatch = \"$default\"\nurl = \"{url}\"\n")
}

/// The same with an upstream of its own, so that its deadlines can be set.
fn everything_with(url: &str, upstream: &str) -> String {
    format!(
        "[upstream.origin]\ntargets = [\"{url}\"]\n{upstream}\n[[route]]\nmatch = \"$default\"\nupstream = \"origin\"\n"
    )
}

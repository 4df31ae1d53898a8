//! The harness: the gateway as a process, and everything around it that a test needs: raw clients, scripted origins,
//! real backends and tools, metrics. It uses the binary only and knows no room of it. Whatever it starts, it ends.
//!
//! It is used by tests alone, so what goes wrong panics with all that is known.

#![allow(
    clippy::missing_panics_doc,
    reason = "a test that cannot go on panics; that is what this crate is for"
)]

mod asking;
mod browser;
mod cache_suite;
mod cgroup;
mod client;
mod flood;
mod gateway;
mod grpc;
pub mod h2;
mod judge;
mod metrics;
mod netns;
mod nghttp;
mod oracle;
mod origin;
mod pass;
mod process;
mod processors;
mod protocol;
mod response;
mod scenario;
mod servers;
mod strace;
mod tools;
mod vectors;
mod visits;

pub use asking::Client;
pub use browser::browse;
pub use cache_suite::{CacheSuite, Judgement, cache_suite_missing};
pub use cgroup::Cgroup;
pub use client::{Broken, Connection};
pub use flood::{Flood, Flooded};
pub use gateway::{Builder, Gateway, Refused, driver, gateway_binary};
pub use grpc::{GRPC_CASES, GrpcServer, grpc_agree, grpc_client, grpc_missing};
pub use judge::{Watch, judge_strictly};
pub use metrics::Metrics;
pub use netns::{Bpffs, Namespace, Network, client_address};
pub use nghttp::{Frame, H2load, Nghttp, h2load, nghttp, nghttp_until};
pub use oracle::{Judged, judge_requests, judge_responses, oracle_missing, python};
pub use origin::{Act, Gate, Origin, Recorded};
pub use process::{Ended, descriptors_max, eventually, free_port, raise_descriptor_limit, rss_bytes, skip};
pub use processors::{
    Parted, Schedule, go_first, part, processors, schedule_of, schedule_of_thread, stand_back, stay_on,
    thread_cpu,
};
pub use protocol::{Over, Protocol, over, run_over};
pub use response::Response;
pub use scenario::{Scenario, run_scenario};
pub use servers::{Haproxy, Nghttpd, Nginx, PythonServer};
pub use strace::{Calls, Strace};
pub use tools::{Curl, Wrk, curl, curl_says, openssl, program, s_client, wrk, wrk_saying};
pub use vectors::{conformance, latin1};
pub use visits::{Host, Visited, Visits, dial, visit_from};

/// How long anything may take that should take no time; a test that waits longer has failed.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(15);

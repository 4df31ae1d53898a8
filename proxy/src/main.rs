//! `floodgate`: the door. Arguments, wiring, signals; what happens behind them is the rooms' affair.

mod admin;
mod bar;
mod cli;
mod climb;
mod commands;
mod cores;
mod deployments;
mod descriptors;
mod explain;
mod frontline;
mod greeting;
mod heartbeat;
mod ladder;
mod last_good;
mod listen;
mod manager;
mod memory;
mod node;
mod openapi;
mod publisher;
mod say;
mod state;
mod watch;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The first touch of a huge page clears two megabytes: a core serves nobody meanwhile, for milliseconds on a virtual machine.
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        say::warning(&format!("the kernel goes on using huge pages, which may hold cores: {error}"));
    }
    let cli = cli::Cli::parse();
    match commands::run(cli) {
        Ok(code) => code,
        Err(error) => {
            say::error(&say::chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

//! Room `harness`.

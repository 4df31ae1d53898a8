//! Room `integration`.

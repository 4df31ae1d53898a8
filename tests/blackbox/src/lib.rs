//! The black-box tests: the real binary from outside. They live in `tests/`; this library is empty on purpose, so
//! that all of them are one linked test binary.

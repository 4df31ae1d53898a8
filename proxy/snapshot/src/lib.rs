//! Room `snapshot`.

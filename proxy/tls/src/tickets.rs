//! Session tickets: one ticketer for each virtual server, shared by all cores and kept over reloads.
//! This module does not know certificates; it sees identities.
//!
//! A ticket sealed for one virtual server means nothing to another, so a session is never resumed where
//! its handshake would have been refused (nginx CVE-2025-23419). Keys turn every six hours and live for
//! twelve (rustls's rotator), in memory only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::server::ProducesTickets;

use crate::SecurityPolicy;

/// What makes two settings "the same virtual server": the names it answers to, under which policy, and
/// what it may speak.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    /// Lower-case, sorted.
    pub(crate) hosts: Vec<String>,
    pub(crate) policy: SecurityPolicy,
    pub(crate) alpn: Vec<Vec<u8>>,
}

/// The ticket keys of all virtual servers. One for the life of the process; touched only when a
/// [`crate::Server`] is built.
#[derive(Debug, Default)]
pub struct Tickets {
    ticketers: Mutex<HashMap<Identity, Arc<dyn ProducesTickets>>>,
}

impl Tickets {
    /// No keys yet: each virtual server gets its own when first built.
    pub fn new() -> Self {
        Self::default()
    }

    /// The ticketer of this virtual server: the one it had before, if it is not new.
    pub(crate) fn ticketer(&self, identity: &Identity) -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
        let mut ticketers = self.ticketers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ticketer) = ticketers.get(identity) {
            return Ok(ticketer.clone());
        }
        let ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
        ticketers.insert(identity.clone(), ticketer.clone());
        Ok(ticketer)
    }

    /// Forgets the keys that no living server holds, so that the table is bounded by what is served.
    pub(crate) fn forget_unused(&self) {
        let mut ticketers = self.ticketers.lock().unwrap_or_else(PoisonError::into_inner);
        ticketers.retain(|_, ticketer| Arc::strong_count(ticketer) > 1);
    }

    /// How many virtual servers have keys.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.ticketers.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

//! `trust`: how the authority that this node made for itself is trusted.

use std::{path::Path, process::Command as Process};

use anyhow::{Context, Result, bail};
use tls::trust::TrustStore;

use crate::{say, state};

/// `floodgate trust`.
pub(super) fn trust(install: bool, state: Option<&Path>) -> Result<()> {
    let certificate = state::folder(state)?.join("authority/ca.pem");
    if !certificate.exists() {
        bail!("{} does not exist yet: a node makes it when it first starts with TLS", certificate.display());
    }
    if !install {
        say::out(tls::trust::instructions(&certificate).trim_end());
        return Ok(());
    }
    let store =
        TrustStore::detect(Path::is_dir).context("this system's trust store is not known to floodgate")?;
    let steps = store.steps(&certificate).context("the certificate has no name to install it under")?;
    std::fs::copy(&steps.copy_from, &steps.copy_to)
        .with_context(|| format!("cannot copy it to {} (root may)", steps.copy_to.display()))?;
    let [program, arguments @ ..] = &steps.run[..] else { bail!("nothing to run") };
    let status =
        Process::new(program).args(arguments).status().with_context(|| format!("cannot run {program}"))?;
    if !status.success() {
        bail!("{} failed", steps.run.join(" "));
    }
    say::out(&format!("installed {} and ran {}", steps.copy_to.display(), steps.run.join(" ")));
    Ok(())
}

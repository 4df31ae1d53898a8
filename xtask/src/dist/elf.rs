//! What a binary needs of the system, read with objdump, said in Debian's words.

use std::{collections::BTreeSet, path::Path, process::Command};

use anyhow::{Context, bail};

use crate::shell;

/// The packages of its libraries, for `Depends`.
pub(super) fn depends(binary: &Path) -> anyhow::Result<String> {
    let headers = shell::read(Command::new("objdump").arg("-p").arg(binary))?;
    packages(&headers)
}

/// From `objdump -p`: a line `NEEDED libc.so.6` for each library, `GLIBC_2.34` for each version of its symbols.
fn packages(headers: &str) -> anyhow::Result<String> {
    let words: Vec<&str> = headers.split_whitespace().collect();
    let mut packages = BTreeSet::new();
    for pair in words.windows(2) {
        if let ["NEEDED", library] = pair {
            packages.insert(match *library {
                "libc.so.6" | "libm.so.6" | "libdl.so.2" | "libpthread.so.0" | "librt.so.1" => "libc6",
                "libgcc_s.so.1" => "libgcc-s1",
                name if name.starts_with("ld-linux") => "libc6",
                other => bail!("the binary needs {other}, and no package is known for it"),
            });
        }
    }
    let newest = words.iter().filter_map(|word| word.strip_prefix("GLIBC_")).filter_map(version).max();
    let (major, minor) = newest.context("the binary names no version of the C library")?;
    let with_version = |package| match package {
        "libc6" => format!("libc6 (>= {major}.{minor})"),
        other => other.to_owned(),
    };
    Ok(packages.into_iter().map(with_version).collect::<Vec<_>>().join(", "))
}

/// `2.34`, also of `2.2.5`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::packages;

    #[test]
    fn libraries_become_packages() {
        let headers = "Dynamic Section:\n  NEEDED               libgcc_s.so.1\n  NEEDED               libc.so.6\n\
                       Version References:\n  required from libc.so.6:\n    0x0d696914 0x00 04 GLIBC_2.4\n    0x069691b9 0x00 03 GLIBC_2.39\n\
                       0x09691a75 0x00 02 GLIBC_2.2.5\n  required from libgcc_s.so.1:\n    0x0b792655 0x00 05 GCC_4.2.0\n";
        assert_eq!(packages(headers).unwrap(), "libc6 (>= 2.39), libgcc-s1");
        let other = packages("NEEDED libssl.so.3\nGLIBC_2.34").unwrap_err().to_string();
        assert_eq!(other, "the binary needs libssl.so.3, and no package is known for it");
        assert!(packages("NEEDED libc.so.6").is_err());
    }
}

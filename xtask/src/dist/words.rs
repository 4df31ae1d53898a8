//! The manual and the completions of shells, made from the command line's own definition, so that they say what it takes.

/// The gateway's command line. It is this file and not a package, so that what makes manuals stays out of the gateway.
#[path = "../../../proxy/src/cli.rs"]
mod cli;

use std::fs;

use clap::CommandFactory;
use clap_complete::{Shell, generate};

/// Shells, and what each calls the file.
const SHELLS: [(Shell, &str); 3] =
    [(Shell::Bash, "floodgate.bash"), (Shell::Zsh, "_floodgate"), (Shell::Fish, "floodgate.fish")];

/// Completions: shell, file name, text.
pub(super) fn completions() -> Vec<(Shell, &'static str, Vec<u8>)> {
    let made = SHELLS.map(|(shell, name)| {
        let mut text = Vec::new();
        generate(shell, &mut cli::Cli::command(), "floodgate", &mut text);
        (shell, name, text)
    });
    made.into()
}

/// Pages of section 1: file name and text, one for the program and one for each verb.
pub(super) fn manual() -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let folder = tempfile::tempdir()?;
    clap_mangen::generate_to(cli::Cli::command().disable_help_subcommand(true), folder.path())?;
    let mut pages = Vec::new();
    for page in fs::read_dir(folder.path())? {
        let page = page?;
        pages.push((page.file_name().to_string_lossy().into_owned(), fs::read(page.path())?));
    }
    pages.sort();
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::{completions, manual};

    #[test]
    fn every_verb_has_its_page() {
        let pages = manual().unwrap();
        for name in ["floodgate.1", "floodgate-run.1", "floodgate-reload.1", "floodgate-trust.1"] {
            let page = pages.iter().find(|(page, _)| page == name).unwrap_or_else(|| panic!("no {name}"));
            assert!(String::from_utf8_lossy(&page.1).contains(".TH floodgate"), "{name}");
        }
    }

    #[test]
    fn every_shell_knows_every_verb() {
        for (shell, _, text) in completions() {
            let text = String::from_utf8(text).unwrap();
            for word in ["run", "check", "reload", "--workers"] {
                assert!(text.contains(word.trim_start_matches('-')), "{shell}: {word}");
            }
        }
    }
}

//! `watchbell completions SHELL`.

use clap_complete::Shell;

use super::{Done, Failure};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  watchbell completions bash > /etc/bash_completion.d/watchbell
  watchbell completions zsh > ~/.zfunc/_watchbell
  watchbell completions fish > ~/.config/fish/completions/watchbell.fish")]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

impl Args {
    pub(super) fn run(self) -> Done {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::definition(), "watchbell", &mut script);
        std::io::Write::write_all(&mut std::io::stdout(), &script)
            .map_err(|error| Failure::failed(format!("cannot print: {error}")))
    }
}

//! The `ferry` binary: every implementation that ships with ferry, and nothing else.

use std::sync::Arc;

fn main() -> std::process::ExitCode {
    ferry_cli::App::builder()
        .transport(ferry_transport_local::register())
        // A daemon has no terminal, so it is never asked for a passphrase.
        .transport(ferry_transport_ssh::register_with_prompt(Arc::new(ferry_transport_ssh::ask_on_terminal)))
        .transport(ferry_transport_ssh::register_openssh())
        .scheduler(ferry_scheduler_direct::register())
        .scheduler(ferry_scheduler_slurm::register())
        .main()
}

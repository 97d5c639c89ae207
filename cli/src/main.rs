//! The `ferry` binary: every implementation that ships with ferry, and nothing else.

fn main() -> std::process::ExitCode {
    ferry_cli::App::builder()
        .transport(ferry_transport_local::register())
        .transport(ferry_transport_ssh::register())
        .scheduler(ferry_scheduler_direct::register())
        .scheduler(ferry_scheduler_slurm::register())
        .main()
}

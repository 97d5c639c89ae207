//! Any command as a calcjob: most users' first plugin and their daily one.
//!
//! `shell.run` runs one program with arguments, files and values, keeps what it printed, and keeps the files
//! that it is asked for. No shell reads the arguments: they reach the program as they are, so a name with a
//! blank or a quote in it is nothing special. Whoever wants pipes says so: `command=sh arguments="-c 'ls | wc'"`.
//!
//! ```text
//! ferry run shell.run command=date
//! ferry run shell.run command=cat arguments='{first} {second}' nodes.first=@12 nodes.second=@13
//! ```
//!
//! Input nodes are named in the arguments by braces: a file or a folder stands for its name in the work
//! directory, a stash for its path on the computer, a number or a text for itself. `{{` and `}}` are braces.
//!
//! Its monitors look at the running job of any calculation: `shell.text_appears` stops it when a text appears in a file,
//! `shell.file_grows` when a file grows beyond a size, and `shell.always_kill` at once.
//!
//! ```text
//! ferry submit shell.run command=./run monitors.error='{"entry_point": "shell.text_appears", "kwargs": {"text": "NaN"}}'
//! ```

mod arguments;
mod keep;
mod layout;
mod monitors;
mod run;
mod transfer;
mod words;

pub use arguments::Arguments;
pub use monitors::{AlwaysKill, FileGrows, TextAppears};
pub use run::{Run, RunExit, RunInputs, RunOutputs};
pub use transfer::{Transfer, TransferExit, TransferInputs, TransferOutputs};

//! Any command as a calcjob: most users' first plugin and their daily one.
//!
//! `shell.run` runs one program with arguments, files and values, and keeps its output and the requested files.
//! No shell reads the arguments: they reach the program unchanged, so a name with a blank or a quote in it is
//! nothing special. For pipes, run a shell: `command=sh arguments="-c 'ls | wc'"`.
//!
//! ```text
//! ferry run shell.run command=date
//! ferry run shell.run command=cat arguments='{first} {second}' nodes.first=@12 nodes.second=@13
//! ```
//!
//! Braces in the arguments name input nodes. A file or a folder becomes its name in the work directory, a stash
//! its path on the computer, a number or a text its value. `{{` and `}}` are braces.
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

//! The deeds, by name.

use std::hint::black_box;
use std::time::Duration;

use ferry_plugin::Result;

/// Commits a deed.
///
/// # Errors
/// Fails for the deed `error`, and for an unknown one.
pub fn commit(deed: &str) -> Result {
    match deed {
        "nothing" => Ok(()),
        "error" => Err("an error on purpose")?,
        "panic" => panic!("a panic on purpose"),
        "panic_twice" => panic_twice(),
        "panic_payload" => std::panic::panic_any(Bomb),
        "exit" => std::process::exit(7),
        "abort" => std::process::abort(),
        "segfault" => segfault(),
        "overflow" => overflow(black_box(0)),
        "loop" => loop {
            std::hint::spin_loop();
        },
        "sleep" => loop {
            std::thread::sleep(Duration::from_secs(3600));
        },
        "memory" => memory(),
        "print" => print(),
        other => Err(format!("unknown deed `{other}`"))?,
    }
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a panic in a drop on purpose");
    }
}

/// The second panic comes while the first unwinds: nothing can contain it.
fn panic_twice() -> Result {
    let _bomb = Bomb;
    panic!("the first of two panics on purpose");
}

fn segfault() -> Result {
    // SAFETY: there is none; address 8 is mapped nowhere, and the signal it raises is the purpose.
    unsafe { black_box(8 as *mut u8).write_volatile(1) };
    Ok(())
}

#[allow(unconditional_recursion, reason = "the stack is to overflow")]
fn overflow(depth: u64) -> Result {
    let frame = black_box([depth; 512]);
    overflow(depth + 1)?;
    black_box(frame);
    Ok(())
}

/// Asks for more memory than there is.
fn memory() -> Result {
    black_box(Vec::<u8>::with_capacity(1 << 46));
    Ok(())
}

/// Prints to where a careless host would keep its protocol.
fn print() -> Result {
    for _ in 0..10_000 {
        println!("\u{1}noise on stdout");
        eprintln!("noise on stderr");
    }
    Ok(())
}

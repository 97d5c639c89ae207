//! A port of our own before a server: it counts connections, and can refuse them all.

use std::{
    io,
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use ferry_matrix::Result;

#[derive(Default)]
struct Shared {
    down: AtomicBool,
    over: AtomicBool,
    turned_away: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
}

/// The port. Dropping it closes it.
pub(crate) struct Port {
    shared: Arc<Shared>,
    pub(crate) number: u16,
}

impl Port {
    /// Opens one before a server on this machine.
    pub(crate) fn before(server: u16) -> Result<Port> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let number = listener.local_addr().map_err(|error| error.to_string())?.port();
        let shared = Arc::new(Shared::default());
        let serving = shared.clone();
        thread::spawn(move || serve(&listener, server, &serving));
        Ok(Port { shared, number })
    }

    /// Cuts all connections, and turns new ones away.
    pub(crate) fn close(&self) {
        self.shared.down.store(true, Ordering::SeqCst);
        for stream in self.shared.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Lets everybody in again; how many were turned away.
    pub(crate) fn open(&self) -> usize {
        self.shared.down.store(false, Ordering::SeqCst);
        self.shared.turned_away.load(Ordering::SeqCst)
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        self.close();
        // Wakes the accepting thread.
        let _ = TcpStream::connect(("127.0.0.1", self.number));
    }
}

fn serve(listener: &TcpListener, server: u16, shared: &Arc<Shared>) {
    for stream in listener.incoming().flatten() {
        if shared.over.load(Ordering::SeqCst) {
            return;
        }
        if shared.down.load(Ordering::SeqCst) {
            shared.turned_away.fetch_add(1, Ordering::SeqCst);
        } else if let Err(error) = forward(stream, server, shared) {
            eprintln!("the server behind the port can't be reached: {error}");
        }
    }
}

fn forward(near: TcpStream, server: u16, shared: &Shared) -> io::Result<()> {
    let far = TcpStream::connect(("127.0.0.1", server))?;
    let mut open = shared.open.lock().unwrap_or_else(PoisonError::into_inner);
    open.extend([near.try_clone()?, far.try_clone()?]);
    for (mut from, mut to) in [(near.try_clone()?, far.try_clone()?), (far, near)] {
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
    Ok(())
}

//! The client side of russh: its callbacks, and its configuration.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use ferry_engine_core::transport::Error;
use russh::{
    ChannelId, Preferred, cipher,
    client::{Config, DisconnectReason, Handler, Session},
    keys::PublicKeyOrCertificate,
};
use tokio::sync::watch;

use crate::trust::host_key::HostKeys;

/// Bytes that the server may send ahead on each channel. russh's 2 MiB halve a download at 50 ms round trip.
const WINDOW: u32 = 16 << 20;

/// The reason why a connection is over; none while it lives.
#[derive(Debug, Clone)]
pub(crate) struct Gone(Arc<watch::Sender<Option<Arc<str>>>>);

impl Gone {
    pub(crate) fn new() -> Self {
        Gone(Arc::new(watch::Sender::new(None)))
    }

    /// Marks the connection as over; the first reason stays.
    pub(crate) fn tell(&self, reason: &str) {
        self.0.send_if_modified(|told| {
            let is_first = told.is_none();
            if is_first {
                *told = Some(reason.into());
            }
            is_first
        });
    }

    /// Returns the reason, if it is over.
    pub(crate) fn reason(&self) -> Option<Arc<str>> {
        self.0.borrow().clone()
    }

    /// Waits for the end; returns the reason.
    pub(crate) async fn wait(&self) -> Arc<str> {
        let mut told = self.0.subscribe();
        match told.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => Arc::default(),
        }
    }
}

/// The time when the server was last heard, apart from answers to our pings.
#[derive(Debug, Clone)]
pub(crate) struct Pulse(Arc<Mutex<Instant>>);

impl Pulse {
    pub(crate) fn new() -> Self {
        Pulse(Arc::new(Mutex::new(Instant::now())))
    }

    fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Returns the time since then.
    pub(crate) fn silence(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

/// The handler of russh's questions and events.
pub(crate) struct Client {
    host_keys: HostKeys,
    gone: Gone,
    pulse: Pulse,
    refusal: Arc<Mutex<Option<Error>>>,
}

impl Client {
    /// Makes a client. The second value holds the reason once the host key was refused.
    pub(crate) fn new(host_keys: HostKeys, gone: Gone, pulse: Pulse) -> (Self, Arc<Mutex<Option<Error>>>) {
        let refusal = Arc::default();
        (Client { host_keys, gone, pulse, refusal: Arc::clone(&refusal) }, refusal)
    }
}

impl Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let checked = self.host_keys.check(shown).await;
        let is_fine = checked.is_ok();
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = checked.err();
        Ok(is_fine)
    }

    async fn data(&mut self, _: ChannelId, _: &[u8], _: &mut Session) -> Result<(), russh::Error> {
        self.pulse.beat();
        Ok(())
    }

    async fn window_adjusted(&mut self, _: ChannelId, _: u32, _: &mut Session) -> Result<(), russh::Error> {
        self.pulse.beat();
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<russh::Error>) -> Result<(), russh::Error> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                self.gone.tell(&format!("the server ended the connection: {}", info.message.trim()));
                Ok(())
            }
            DisconnectReason::Error(error) => {
                self.gone.tell(&format!("the connection was lost: {error}"));
                Err(error)
            }
        }
    }
}

/// Returns the algorithms and limits for russh, where its defaults do not suit us.
pub(crate) fn config(host_keys: &HostKeys) -> Arc<Config> {
    let mut preferred = Preferred::DEFAULT;
    preferred.cipher = Cow::Borrowed(&[
        cipher::AES_128_GCM,
        cipher::AES_256_GCM,
        cipher::CHACHA20_POLY1305,
        cipher::AES_256_CTR,
        cipher::AES_192_CTR,
        cipher::AES_128_CTR,
    ]);
    preferred.key = Cow::Owned(host_keys.preferred(&preferred.key));
    if host_keys.has_authorities() {
        preferred.host_key_certificates = preferred.key.clone();
    }
    // Compression before the log-in is an attack surface, and after it costs more than it saves.
    preferred.compression = Cow::Borrowed(&[russh::compression::NONE]);
    // The connection is watched by `connection.rs`: russh sends keepalives only while it is not busy writing.
    Arc::new(Config { preferred, window_size: WINDOW, maximum_packet_size: 65535, ..Config::default() })
}

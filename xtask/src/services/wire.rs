//! A wire that can be cut: a network namespace behind a pair of virtual interfaces, in which the private sshd
//! is reached a second time. Cutting it severs that link alone; sshd, its sessions and Slurm live on, and
//! nobody is told, as when a cable is pulled.
//!
//! ```text
//! this machine                  namespace ferry-PORT
//! ferry ── fwPORT ══ the wire ══ far ── a door's listening socket ─ ─ sshd, its sessions (this machine's)
//! ```
//!
//! Takes root, as namespaces do. Names and addresses follow from the sshd's port, which is ours alone while
//! the services live, so two services never meet; what is found under our names was left by the dead.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::packages;

/// Says which wire is ours, so that it is removed also after a crash.
const LEDGER: &str = "wire";
/// The far end's name in its namespace.
const FAR: &str = "far";
/// The network for tests of devices (RFC 2544). Its addresses are unassigned, so no route of this machine is
/// hidden.
const NETWORK: u32 = Ipv4Addr::new(198, 18, 0, 0).to_bits();
/// The lowest port there is for us; the network has room for four addresses each from there on.
const FIRST_PORT: u16 = 20_000;

/// One wire.
#[derive(Debug)]
pub(super) struct Wire {
    /// The namespace of the far end.
    pub(super) namespace: String,
    /// Address of the far end.
    pub(super) address: Ipv4Addr,
    near: Ipv4Addr,
    link: String,
}

impl Wire {
    /// Lays the wire that belongs to a port.
    ///
    /// # Errors
    /// Fails with the reason if this machine, or this user, can't have one. Nothing is left of it then.
    pub(super) fn lay(dir: &Path, port: u16) -> Result<Wire> {
        if !packages::is_root() {
            bail!("not root, who alone may make a network namespace");
        }
        let wire = Wire::of(port);
        wire.remove()?;
        fs::write(dir.join(LEDGER), port.to_string()).context("could not write down the wire")?;
        if let Err(error) = wire.connect() {
            wire.remove()?;
            return Err(error);
        }
        Ok(wire)
    }

    /// Returns the commands that cut the wire and mend it.
    pub(super) fn cut_and_mend(&self) -> [Vec<String>; 2] {
        // At the far end: pulled at ours, the route would go with it, and packets find another way out.
        ["down", "up"].map(|state| {
            let words = ["ip", "-n", &self.namespace, "link", "set", FAR, state];
            words.map(str::to_owned).to_vec()
        })
    }

    fn of(port: u16) -> Wire {
        let net = NETWORK + u32::from(port.saturating_sub(FIRST_PORT)) * 4;
        Wire {
            namespace: format!("ferry-{port}"),
            address: Ipv4Addr::from_bits(net + 2),
            near: Ipv4Addr::from_bits(net + 1),
            link: format!("fw{port}"),
        }
    }

    fn connect(&self) -> Result<()> {
        let Wire { namespace, address, near, link } = self;
        ip(&format!("netns add {namespace}"))?;
        ip(&format!("link add {link} type veth peer name {FAR} netns {namespace}"))?;
        ip(&format!("addr add {near}/30 dev {link}"))?;
        ip(&format!("link set {link} up"))?;
        ip(&format!("-n {namespace} addr add {address}/30 dev {FAR}"))?;
        ip(&format!("-n {namespace} link set {FAR} up"))
    }

    fn remove(&self) -> Result<()> {
        // Both, since the link disappears with the namespace only once no process is in there any more.
        if Path::new("/sys/class/net").join(&self.link).exists() {
            // It may just go by itself.
            let _ = ip(&format!("link del {}", self.link));
        }
        if namespace_file(&self.namespace).exists() {
            ip(&format!("netns del {}", self.namespace))?;
        }
        Ok(())
    }
}

/// Removes the wire that was laid for services in `dir`, if there is one.
pub(super) fn remove(dir: &Path) -> Result<()> {
    match fs::read_to_string(dir.join(LEDGER)).ok().and_then(|port| port.parse().ok()) {
        Some(port) => Wire::of(port).remove(),
        None => Ok(()),
    }
}

/// Returns the file by which a namespace is entered.
pub(super) fn namespace_file(name: &str) -> std::path::PathBuf {
    Path::new("/run/netns").join(name)
}

fn ip(words: &str) -> Result<()> {
    let output = Command::new("ip").args(words.split(' ')).output().context("could not start ip")?;
    if !output.status.success() {
        bail!("`ip {words}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_has_a_wire_of_its_own() {
        let (first, next) = (Wire::of(20_000), Wire::of(20_001));
        assert_eq!(first.address.to_string(), "198.18.0.2");
        assert_eq!(next.near.to_string(), "198.18.0.5");
        assert_eq!(Wire::of(31_999).address.to_string(), "198.18.187.126");
        assert_ne!(first.namespace, next.namespace);
        assert!(first.link.len() < 16, "the kernel's bound for names of interfaces");
    }
}

//! Free ports on the loopback address.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};

/// Below the kernel's own choice for outgoing connections, which might else take one before the daemon does.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// Returns this many free ports. The search starts at a place that depends on the process, so that two at
/// once rarely collide.
///
/// # Errors
/// Fails if none are left.
pub(super) fn free(count: usize) -> Result<Vec<u16>> {
    let begin = std::process::id().wrapping_mul(37) % u32::from(RANGE.end - RANGE.start);
    let ports = RANGE.skip(begin as usize).chain(RANGE);
    // Held until all are found.
    let mut listeners = Vec::new();
    for port in ports {
        if listeners.len() == count {
            break;
        }
        listeners
            .extend(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok().map(|listener| (port, listener)));
    }
    if listeners.len() < count {
        bail!("no {count} free ports between {} and {}", RANGE.start, RANGE.end);
    }
    Ok(listeners.into_iter().map(|(port, _)| port).collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn ports_differ() {
        let mut ports = super::free(6).unwrap();
        ports.dedup();
        assert_eq!(ports.len(), 6);
    }
}

//! The text of a set-up file: a local path first, else a web address.

use std::{fs::File, io::Read, path::Path, time::Duration};

use crate::error::{Failure, Result};

/// Largest set-up file, bytes.
const MAX: u64 = 1 << 20;
/// Maximum time that a web address may take.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn text(source: &str) -> Result<String> {
    let path = Path::new(source);
    if path.exists() {
        let file = File::open(path).map_err(|error| Failure::new(format!("{source}: {error}")))?;
        return limited(source, file);
    }
    if source.starts_with("http://") || source.starts_with("https://") {
        return from_web(source);
    }
    match source.split_once("://") {
        Some((scheme, _)) => {
            Err(Failure::new(format!("{source}: addresses with `{scheme}://` can't be read"))
                .help("give a file, or an address that begins with https:// or http://"))
        }
        None => Err(Failure::usage(format!("{source}: no such file"))
            .help("give a file that exists, or an address that begins with https:// or http://")),
    }
}

fn from_web(address: &str) -> Result<String> {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).build().into();
    match agent.get(address).call() {
        Ok(response) => limited(address, response.into_body().into_reader()),
        Err(ureq::Error::StatusCode(status)) => {
            Err(Failure::new(format!("{address}: the server answered with HTTP status {status}"))
                .help("check the address, or download the file and give its path"))
        }
        Err(error) => Err(Failure::new(format!("{address} can't be reached: {error}"))
            .help("check the address and the network, or download the file and give its path")),
    }
}

fn limited(source: &str, reader: impl Read) -> Result<String> {
    let mut bytes = Vec::new();
    reader
        .take(MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::new(format!("{source}: {error}")))?;
    if bytes.len() as u64 > MAX {
        return Err(Failure::new(format!("{source}: larger than 1 MiB"))
            .help("a set-up file holds a few `key: value` lines; is this the right file?"));
    }
    String::from_utf8(bytes).map_err(|_| {
        Failure::usage(format!("{source}: not UTF-8 text")).help("save the file in the UTF-8 encoding")
    })
}

#[cfg(test)]
mod tests {
    use std::{io::Write, net::TcpListener};

    use super::*;

    /// Serves one answer, then goes away.
    fn serve(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/c.yml", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        });
        address
    }

    #[test]
    fn a_web_address_is_read() {
        let address = serve("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nlabel: x\n");
        assert_eq!(text(&address).unwrap(), "label: x\n");
    }

    #[test]
    fn each_failure_says_what_it_is() {
        let missing = serve("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        let message = |source: &str| text(source).unwrap_err().lines.join("");
        assert!(message(&missing).ends_with("the server answered with HTTP status 404"));
        assert!(message("http://127.0.0.1:9/c.yml").contains("can't be reached"));
        assert_eq!(message("no/such.yml"), "no/such.yml: no such file");
        assert_eq!(message("ftp://x/c.yml"), "ftp://x/c.yml: addresses with `ftp://` can't be read");
        let big = tempfile::NamedTempFile::new().unwrap();
        big.as_file().set_len(MAX + 1).unwrap();
        assert!(message(big.path().to_str().unwrap()).ends_with("larger than 1 MiB"));
    }
}

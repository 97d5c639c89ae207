//! Cases about the input and output of commands: every byte arrives, whatever the amount and the order.

use std::time::Duration;

use ferry_engine_core::transport::Command;

use super::{
    case::{Case, Outcome, cases},
    site::Site,
};

/// Larger than every buffer on the way.
const LARGE: usize = 6_000_000;

pub(super) fn cases() -> Vec<Case> {
    cases![
        no_stdin_is_its_end,
        stdin_keeps_every_byte,
        stdin_that_is_not_read_is_no_error,
        stdin_that_is_half_read_is_no_error,
        stdin_and_stdout_flow_together,
        output_need_not_be_text,
        long_stdout_is_complete,
        long_stderr_is_complete,
        long_streams_are_complete_when_interleaved,
        a_slow_stream_is_complete,
    ]
}

async fn no_stdin_is_its_end(site: Site) -> Outcome {
    let output = site.exec(&Command::new(["cat"]).timeout(Duration::from_secs(20))).await?;
    assert_eq!((output.status, output.stdout.len()), (0, 0));
    Ok(())
}

async fn stdin_keeps_every_byte(site: Site) -> Outcome {
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let output = site.exec(&Command::new(["cat"]).stdin(bytes.clone())).await?;
    assert!(output.stdout == bytes, "{} bytes came back", output.stdout.len());
    Ok(())
}

async fn stdin_that_is_not_read_is_no_error(site: Site) -> Outcome {
    let output = site.exec(&Command::new(["true"]).stdin(vec![b'x'; LARGE])).await?;
    assert_eq!(output.status, 0);
    Ok(())
}

async fn stdin_that_is_half_read_is_no_error(site: Site) -> Outcome {
    let output = site.exec(&Command::new(["head", "-c", "5"]).stdin(vec![b'x'; LARGE])).await?;
    assert_eq!((output.status, output.text()), (0, "xxxxx".into()));
    Ok(())
}

async fn stdin_and_stdout_flow_together(site: Site) -> Outcome {
    // A program that writes all of its input before it reads any output hangs here.
    let bytes: Vec<u8> = (0..=255).cycle().take(LARGE).collect();
    let output = site.exec(&Command::new(["cat"]).stdin(bytes.clone())).await?;
    assert!(output.stdout == bytes, "{} bytes came back", output.stdout.len());
    Ok(())
}

async fn output_need_not_be_text(site: Site) -> Outcome {
    let output = site.sh(r"printf '\377\000\376'; printf '\200\n' >&2").await?;
    assert_eq!((&*output.stdout, &*output.stderr), (&b"\xff\0\xfe"[..], &b"\x80\n"[..]));
    Ok(())
}

async fn long_stdout_is_complete(site: Site) -> Outcome {
    let output = site.sh(&format!("head -c {LARGE} /dev/zero")).await?;
    assert_eq!((output.stdout.len(), output.stderr.len()), (LARGE, 0));
    Ok(())
}

async fn long_stderr_is_complete(site: Site) -> Outcome {
    let output = site.sh(&format!("head -c {LARGE} /dev/zero >&2")).await?;
    assert_eq!((output.stdout.len(), output.stderr.len()), (0, LARGE));
    Ok(())
}

async fn long_streams_are_complete_when_interleaved(site: Site) -> Outcome {
    let script = "i=0; while [ $i -lt 60 ]; do
        head -c 100000 /dev/zero; head -c 100000 /dev/zero >&2; i=$((i+1)); done";
    let output = site.sh(script).await?;
    assert_eq!((output.stdout.len(), output.stderr.len()), (LARGE, LARGE));
    Ok(())
}

async fn a_slow_stream_is_complete(site: Site) -> Outcome {
    let output = site.sh("for i in 1 2 3 4; do echo $i; sleep 0.3; done; echo 5 >&2").await?;
    assert_eq!((output.text(), output.error_text()), ("1\n2\n3\n4\n".into(), "5".into()));
    Ok(())
}

//! Asks a program of Ansible's something, and takes in no more of its words than there can be sense in.

use std::io;
use std::process::{Output, Stdio};

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

/// Most bytes of an answer: the inventory of ten thousand nodes with their facts has some fifty million.
const MAX_BYTES: u64 = 128 << 20;

/// Runs a command to its end. It is killed where it says more than that, and where nobody waits any more.
///
/// # Errors
/// It cannot be run, or does not stop talking.
pub(super) async fn ask(command: &mut Command) -> io::Result<Output> {
    ask_for(command, MAX_BYTES).await
}

async fn ask_for(command: &mut Command, most: u64) -> io::Result<Output> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let (said, complained) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = tokio::try_join!(words(said, most), words(complained, most))?;
    Ok(Output { status: child.wait().await?, stdout, stderr })
}

async fn words(from: Option<impl AsyncRead + Unpin>, most: u64) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let Some(from) = from else { return Ok(text) };
    from.take(most + 1).read_to_end(&mut text).await?;
    if text.len() as u64 > most {
        return Err(io::Error::other(format!("it printed more than {most} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn the_answer_is_whole_and_one_without_an_end_is_none() {
        let output = ask_for(&mut shell("echo said; echo complained >&2; exit 3"), 100).await.unwrap();
        assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"said\n"[..], &b"complained\n"[..]));
        assert_eq!(output.status.code(), Some(3));
        for endless in ["yes", "yes >&2"] {
            let error = ask_for(&mut shell(endless), 100).await.unwrap_err();
            assert_eq!(error.to_string(), "it printed more than 100 bytes");
        }
        assert!(ask(&mut Command::new("/nonexistent/ansible")).await.is_err());
    }
}

//! Requests byte for byte, over plain HTTP: what no well-behaved client would send.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use super::rig::{Engine, PATIENCE};

/// A reply.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    /// Whether it is the answer that makes an installer stop before any disk is touched, and ask again.
    pub(crate) fn is_retry(&self) -> bool {
        self.status == 200
            && self.head.contains("application/toml")
            && self.body.contains("fqdn = \"retry.installer.invalid\"")
    }
}

/// Opens a connection.
pub(crate) fn connect(engine: &Engine) -> TcpStream {
    let stream = TcpStream::connect(engine.authority()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Writes a request with a JSON body. The reply is read later: the engine may hold it.
pub(crate) fn send(engine: &Engine, method: &str, path: &str, body: &[u8]) -> TcpStream {
    let mut stream = connect(engine);
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        engine.authority(),
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // A server that turns a large body down may stop reading it.
    let _ = stream.write_all(body);
    stream
}

/// Reads the reply to its end.
#[track_caller]
pub(crate) fn receive(mut stream: TcpStream) -> Reply {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(read.is_ok() || !text.is_empty(), "{read:?}");
    let _ = stream.shutdown(Shutdown::Both);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no reply: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, head: head.to_owned(), body: body.to_owned() }
}

/// Sends a request and reads its reply.
#[track_caller]
pub(crate) fn exchange(engine: &Engine, method: &str, path: &str, body: &[u8]) -> Reply {
    receive(send(engine, method, path, body))
}

//! MJPEG over HTTP, as network cameras serve it (`multipart/x-mixed-replace`).
//!
//! The parts need no parser: between two JPEG files anything is skipped (`mjpeg`), so that servers that number their
//! parts wrongly are read as well. Plain HTTP only, and basic authentication: whoever needs more has ffmpeg and a pipe.

mod chunked;
mod url;

pub use chunked::Chunked;
pub use url::Url;

use super::Mjpeg;
use crate::error::{Error, Result};
use crate::limits::HTTP_HEAD_BYTES_MAX;
use base64::Engine;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest wait for the next bytes, and for the whole head.
const SILENCE: Duration = Duration::from_secs(10);
/// Most lines of a head.
const HEADERS_MAX: usize = 64;

/// Connects, asks, and leaves the answer's body to be read.
///
/// # Errors
/// [`Error::Io`] names the address (without its password), and what the server answers instead of a stream.
pub(super) fn open(url: &Url) -> Result<Mjpeg<Box<dyn Read + Send>>> {
    let failed = |e: io::Error| Error::io(url.to_string(), e);
    let mut stream = connect(url).map_err(failed)?;
    stream.write_all(request(url).as_bytes()).map_err(failed)?;
    let mut reader = BufReader::new(stream);
    let head = read_head(&mut reader, Instant::now() + SILENCE).map_err(failed)?;
    let is_chunked = check_head(&head).map_err(|what| failed(io::Error::other(what)))?;
    let body: Box<dyn Read + Send> =
        if is_chunked { Box::new(Chunked::new(reader)) } else { Box::new(reader) };
    Ok(Mjpeg::new(body, url.to_string()))
}

fn connect(url: &Url) -> io::Result<TcpStream> {
    let mut failure = io::Error::other("the host has no address");
    for address in (url.host.as_str(), url.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(SILENCE))?;
                stream.set_write_timeout(Some(SILENCE))?;
                return Ok(stream);
            }
            Err(e) => failure = e,
        }
    }
    Err(failure)
}

fn request(url: &Url) -> String {
    let login = url.login.as_ref().map(|login| {
        let login = base64::engine::general_purpose::STANDARD.encode(login);
        format!("Authorization: Basic {login}\r\n")
    });
    let (path, host, login) = (&url.path, url.authority(), login.unwrap_or_default());
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: ocellus/{}\r\nAccept: */*\r\n{login}Connection: close\r\n\r\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// The head with its empty line.
fn read_head(reader: &mut impl BufRead, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        let room = HTTP_HEAD_BYTES_MAX.saturating_sub(head.len());
        if room == 0 || Instant::now() > deadline {
            let what =
                format!("no end of the head within {HTTP_HEAD_BYTES_MAX} bytes and {} s", SILENCE.as_secs());
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        // What has arrived, up to the end of a line at most.
        let available = match reader.fill_buf() {
            Ok(available) => available,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        if available.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = available.iter().position(|&byte| byte == b'\n').map_or(available.len(), |at| at + 1);
        let taken = line.min(room);
        head.extend_from_slice(&available[..taken]);
        reader.consume(taken);
    }
    Ok(head)
}

/// Whether the body comes in chunks; in words, what the server says instead of a stream.
fn check_head(head: &[u8]) -> Result<bool, String> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err("the answer ends inside its head".into()),
        Err(e) => return Err(format!("no answer of HTTP: {e}")),
    }
    let value = |name: &str| {
        let header = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        header
            .map_or(String::new(), |header| String::from_utf8_lossy(header.value).trim().to_ascii_lowercase())
    };
    match response.code.unwrap_or(0) {
        200 => {}
        401 => {
            return Err(
                "the server wants a login: write http://user:password@…, or, where it does not take basic \
                        authentication, let ffmpeg read it and pipe it in"
                    .into(),
            );
        }
        301 | 302 | 307 | 308 => return Err(format!("the stream has moved to '{}'", value("location"))),
        code => return Err(format!("the server answers {code} {}", response.reason.unwrap_or_default())),
    }
    let kind = value("content-type");
    let streams = ["multipart/", "image/", "video/", "application/octet-stream"];
    if !kind.is_empty() && !streams.iter().any(|stream| kind.starts_with(stream)) {
        return Err(format!("the server sends {kind}, no stream of pictures"));
    }
    Ok(value("transfer-encoding").split(',').any(|coding| coding.trim() == "chunked"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::{Source, Step};
    use std::net::TcpListener;
    use std::thread::spawn;

    fn jpeg() -> Vec<u8> {
        let frame = crate::image::Frame::new(8, 8, vec![128; 192]).unwrap();
        let path = std::env::temp_dir().join(format!("ocellus-http-{}.jpg", std::process::id()));
        crate::image::save(&frame, &path).unwrap();
        std::fs::read(path).unwrap()
    }

    /// A server that gives one answer and tells what it was asked.
    fn serve(answer: Vec<u8>) -> (u16, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let head = read_head(&mut BufReader::new(&stream), Instant::now() + SILENCE).unwrap();
            // A client that has seen enough hangs up.
            let _ = stream.write_all(&answer);
            String::from_utf8(head).unwrap()
        });
        (port, thread)
    }

    fn frames(mjpeg: &mut impl Source) -> usize {
        std::iter::from_fn(|| match mjpeg.next_frame().unwrap() {
            Step::Frame(shot) => Some(shot.picture.decode().unwrap()),
            _ => None,
        })
        .count()
    }

    #[test]
    fn parts_of_a_stream_are_frames_in_chunks_or_not() {
        let part = [&b"--b\r\nContent-Type: image/jpeg\r\n\r\n"[..], &jpeg(), b"\r\n"].concat();
        let head = "HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=b\r\n";
        let plain = [head.as_bytes(), b"\r\n", &part, &part, &part].concat();
        let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        let (a, b) = part.split_at(part.len() / 2);
        let body = [chunk(a), chunk(b), chunk(&part), b"0\r\n\r\n".to_vec()].concat();
        let chunked = [head.as_bytes(), b"Transfer-Encoding: chunked\r\n\r\n", &body].concat();
        for (answer, expected) in [(plain, 3), (chunked, 2)] {
            let (port, asked) = serve(answer);
            let url: Url = format!("http://me:secret@127.0.0.1:{port}/cam?x=1").parse().unwrap();
            assert_eq!(frames(&mut open(&url).unwrap()), expected);
            let asked = asked.join().unwrap();
            // As RFC 7617 computes it: base64 of "me:secret".
            assert!(
                asked.starts_with("GET /cam?x=1 HTTP/1.1\r\n") && asked.contains("Basic bWU6c2VjcmV0\r\n")
            );
        }
    }

    #[test]
    fn other_answers_are_named_without_the_password() {
        let endless = [&b"HTTP/1.1 200 OK\r\n"[..], &vec![b'x'; 2 * HTTP_HEAD_BYTES_MAX]].concat();
        for (answer, why) in [
            (&b"HTTP/1.1 401 Unauthorized\r\n\r\n"[..], "wants a login"),
            (b"HTTP/1.1 404 Not Found\r\n\r\n", "answers 404 Not Found"),
            (b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n", "moved to '/login'"),
            (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", "text/html, no stream"),
            (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "no answer of HTTP"),
            (b"HTTP/1.1 200 OK\r\n", "end of file"),
            (&endless, "no end of the head"),
        ] {
            let (port, asked) = serve(answer.to_vec());
            let url: Url = format!("http://me:secret@127.0.0.1:{port}/").parse().unwrap();
            let error = open(&url).err().unwrap().to_string();
            assert!(
                error.contains(why) && error.contains("127.0.0.1") && !error.contains("secret"),
                "{error}"
            );
            drop(asked);
        }
    }
}
